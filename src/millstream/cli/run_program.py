"""`millstream run`: a program in this process, from its inputs' beginning to their end."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import typer
from rich.live import Live
from rich.table import Table

from millstream import no_pandas
from millstream.cli.render import Output
from millstream.cli.udf_file import UdfFile, udf_file
from millstream.errors import MillstreamError
from millstream.lasting import keep_loaded, lasting

if TYPE_CHECKING:
    from millstream.embedded import Pipeline

REFRESH_S = 0.25
DEFAULT_ROWS = 50


class FileFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def run(
    file: Annotated[typer.FileText, typer.Argument(help="The SQL program.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write each view into a file of this directory.")
    ] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Format of those files.")] = FileFormat.CSV,
    rows: Annotated[int, typer.Option(min=0, help="Rows of each view to print.")] = DEFAULT_ROWS,
    udf: UdfFile = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so long, even if inputs have more.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that compute a step, no more than processors; one a processor if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: views and connectors.")] = False,
) -> None:
    """Run a program here, without a server, until its inputs end or Ctrl-C, and show its views."""
    with lasting():
        from millstream.allocator import keep_freed_memory  # the engine takes a moment to load: not for other commands
        from millstream.embedded import Pipeline
        from millstream.processors import usable_processors

    keep_freed_memory()
    keep_loaded()
    code = udf_file(Path(file.name), udf)
    if code is not None:
        no_pandas.allow()
    with Pipeline(file.read(), udf=code, workers=workers or usable_processors()) as pipeline:
        started = time.perf_counter()
        pipeline.start()
        ended = _follow(pipeline, seconds, quiet=as_json)
        elapsed = time.perf_counter() - started
        views = {name: pipeline.snapshot(name) for name in pipeline.views}
        stats = pipeline.stats()
    if output is not None:
        _write(output, file_format, views)
    if as_json:
        shown = {} if output is not None else {name: _json_rows(view) for name, view in views.items()}
        Output.json({"complete": ended, "seconds": elapsed, "views": shown, "connectors": _connectors(stats)})
        return
    for name, view in views.items():
        if output is not None:
            Output.text(f"{name}: {view.num_rows:,} rows in {output / f'{name}.{file_format}'}")
        else:
            _print_view(name, view, rows)
    total = stats["global_metrics"]["total_processed_records"]
    rate = f", {total / elapsed:,.0f} rows/s" if total else ""
    Output.text(f"{'finished' if ended else 'stopped'} after {elapsed:.2f} s: {total:,} rows read{rate}")
    _print_errors(stats)


def _follow(pipeline: Pipeline, seconds: float | None, *, quiet: bool) -> bool:
    """Wait for the end, showing a progress line a connector; whether the inputs ended."""
    deadline = None if seconds is None else time.perf_counter() + seconds
    interactive = not quiet and Output.console.is_terminal
    try:
        with Live(console=Output.console, transient=True, auto_refresh=False) as live:
            while True:
                left = REFRESH_S if deadline is None else min(REFRESH_S, max(0.0, deadline - time.perf_counter()))
                if pipeline.wait_for_completion(left):
                    return True
                if deadline is not None and time.perf_counter() >= deadline:
                    return False
                if interactive:
                    live.update(_progress(pipeline.stats()), refresh=True)
    except KeyboardInterrupt:
        return False


def _progress(stats: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for status in stats["inputs"]:
        metrics = status["metrics"]
        state = "paused" if status["paused"] else "ended" if metrics["end_of_input"] else "reading"
        state = "failed" if status["fatal_error"] else state
        errors = metrics["num_parse_errors"] + metrics["num_transport_errors"]
        grid.add_row(
            status["endpoint_name"],
            state,
            f"{metrics['total_records']:,} rows",
            f"{metrics['buffered_records']:,} waiting",
            f"{errors:,} errors" if errors else "",
        )
    return grid


def _connectors(stats: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": status["endpoint_name"],
            "paused": status["paused"],
            "rows": status["metrics"]["total_records"],
            "end_of_input": status["metrics"]["end_of_input"],
            "errors": status["metrics"]["num_parse_errors"] + status["metrics"]["num_transport_errors"],
            "fatal_error": status["fatal_error"],
        }
        for status in stats["inputs"]
    ]


def _print_errors(stats: dict[str, Any]) -> None:
    for status in (*stats["inputs"], *stats["outputs"]):
        kinds = ("parse_errors", "transport_errors", "encode_errors")
        errors = [error["message"] for kind in kinds for error in status.get(kind) or []]
        if status["fatal_error"]:
            Output.error(f"{status['endpoint_name']}: {status['fatal_error']}")
        for message in errors[:3]:
            Output.error(f"{status['endpoint_name']}: {message}")
        if len(errors) > 3:
            Output.error(f"{status['endpoint_name']}: and {len(errors) - 3} more errors")


def _print_view(name: str, view: pa.Table, limit: int) -> None:
    head = view.slice(0, limit)
    title = f"{name} ({view.num_rows:,} rows)" if head.num_rows == view.num_rows else (
        f"{name} (first {head.num_rows:,} of {view.num_rows:,} rows)"
    )  # fmt: skip
    columns = [column.to_pylist() for column in head.columns]
    Output.table(title, head.column_names, list(zip(*columns, strict=True)) if columns else [])


def _json_rows(view: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = view.to_pylist()
    return rows


def _write(directory: Path, file_format: FileFormat, views: dict[str, pa.Table]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, view in views.items():
            path = directory / f"{name.replace('/', '_')}.{file_format}"
            if file_format is FileFormat.PARQUET:
                pq.write_table(view, path)
            elif file_format is FileFormat.JSON:
                with path.open("w") as file:
                    file.writelines(json.dumps(row, default=str) + "\n" for row in _json_rows(view))
            else:
                pa_csv.write_csv(_flat(view), path)
    except OSError as failure:
        raise MillstreamError("IoError", f"cannot write to '{directory}': {failure}") from None


def _flat(view: pa.Table) -> pa.Table:
    """Nested values as JSON text, binary as hexadecimal: CSV has neither."""
    columns = []
    for column in view.columns:
        if pa.types.is_nested(column.type):
            texts = [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        elif pa.types.is_large_binary(column.type) or pa.types.is_duration(column.type):
            shown = [None if v is None else v.hex() if isinstance(v, bytes) else str(v) for v in column.to_pylist()]
            column = pa.chunked_array([pa.array(shown, pa.string())])
        columns.append(column)
    return pa.Table.from_arrays(columns, names=view.column_names)
