"""What Python programs hold rows in, to Arrow tables and back: lists of dicts, pandas and polars data frames, Arrow.

pandas and polars are not dependencies: a frame is recognised by what it can do, and a library is imported only to make
a frame that somebody asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.pipeline.rows import invalid
from millstream.plan.program import Table
from millstream.types import Kind, arrow_type

FrameFormat = Literal["arrow", "pandas", "polars", "dicts"]


def to_arrow(table: Table, rows: Any) -> pa.Table:
    """`rows` as an Arrow table whose columns are named; types are not yet those of `table`.

    A list of dicts may leave out columns. Raises MillstreamError `InvalidInput` for anything that holds no rows.
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if isinstance(rows, pa.RecordBatchReader):
        return rows.read_all()
    if isinstance(rows, Mapping):
        return _from_dicts(table, [rows])
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return _from_dicts(table, rows)
    if type(rows).__module__.partition(".")[0] == "pandas" and hasattr(rows, "columns"):
        return _from_pandas(rows)
    if hasattr(rows, "__arrow_c_stream__"):  # polars, DuckDB and others: the Arrow PyCapsule interface
        return pa.table(rows)
    raise invalid(
        f"cannot read rows from {type(rows).__name__}; give a list of dicts, a pandas or polars DataFrame, or an Arrow "
        "table"
    )


def _from_pandas(frame: Any) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as failure:
        raise invalid(f"the data frame has a column of mixed types: {failure}") from None


def _from_dicts(table: Table, rows: Sequence[Any]) -> pa.Table:
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise invalid(f"row {position} is not a dict but {type(row).__name__}: {row!r}"[:300])
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    columns = {str(name): _column(table, str(name), [row.get(name) for row in rows]) for name in names}
    return pa.table(columns)


def _column(table: Table, name: str, values: list[Any]) -> pa.Array:
    """Values of a column of the table in its type where they fit it as they are, otherwise in the type they suggest."""
    declared = next((c for c in table.columns if c.name == name or c.name == name.lower()), None)
    if declared is not None and declared.type.kind is Kind.VARIANT:
        return pa.array([None if v is None else _json(name, v) for v in values], pa.large_string())
    if declared is not None and declared.type.kind is not Kind.UUID:
        try:
            return pa.array(values, arrow_type(declared.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            pass
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as failure:
        raise invalid(f"column '{name}' holds values of mixed types: {failure}") from None


def _json(name: str, value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as failure:
        raise invalid(f"column '{name}' has type VARIANT and a value that is no JSON: {failure}") from None


def from_arrow(rows: pa.Table, form: FrameFormat) -> Any:
    """`rows` in the form that was asked for. Raises MillstreamError if the library is not installed."""
    if form == "arrow":
        return rows
    if form == "dicts":
        return rows.to_pylist()
    if form == "pandas":
        _needed("pandas")
        return rows.to_pandas()
    if form == "polars":
        polars = _needed("polars")
        return polars.from_arrow(rows)
    raise MillstreamError(
        "InvalidParam", f"unknown format '{form}'; it is one of arrow, pandas, polars, dicts", {"error": form}
    )


def _needed(library: str) -> Any:
    import importlib

    try:
        return importlib.import_module(library)
    except ImportError:
        raise MillstreamError(
            "NotSupported", f"'{library}' is not installed: pip install {library}", {"library": library}
        ) from None
