"""Encodings of query results: text table, JSON lines, Parquet, Arrow stream, order-independent hash (api.md §18.1)."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import io
import math
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from millstream.errors import MillstreamError
from millstream.pipeline.adhoc import QueryResult

FORMATS = ("text", "json", "parquet", "arrow_ipc", "hash")
MAX_CELL = 64


def encode_result(result: QueryResult, form: str) -> Iterator[bytes]:
    """The result's bytes in pieces, computed as they are asked for.

    A failure while rows are produced ends text with a line `ERROR: ...` and JSON with a line that is the error
    object; the binary forms raise.
    """
    encoders = {"text": _text, "json": _json, "parquet": _parquet, "arrow_ipc": _arrow_ipc, "hash": _hash}
    return encoders[form](result)


def _text(result: QueryResult) -> Iterator[bytes]:
    header = [field.name for field in result.schema]
    rows: list[list[str]] = []
    error = ""
    try:
        for batch in result.batches:
            columns = [[_cell(v) for v in column.to_pylist()] for column in batch.columns]
            rows.extend(list(row) for row in zip(*columns, strict=True))
    except MillstreamError as failure:
        error = f"ERROR: {failure.message}\n"
    widths = [max([len(name), *(len(row[i]) for row in rows)]) for i, name in enumerate(header)]
    rule = "+" + "+".join("-" * (w + 2) for w in widths) + "+\n"

    def line(cells: list[str]) -> str:
        return "|" + "|".join(f" {c:<{w}} " for c, w in zip(cells, widths, strict=True)) + "|\n"

    if header:
        yield rule.encode()
        yield line(header).encode()
        yield rule.encode()
        for start in range(0, len(rows), 1000):
            yield "".join(line(row) for row in rows[start : start + 1000]).encode()
        yield rule.encode() if rows else b""
    yield error.encode()


def _cell(value: Any) -> str:
    if value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, datetime.datetime):
        text = value.isoformat()
    else:
        text = str(value)
    return text if len(text) <= MAX_CELL else text[:MAX_CELL] + "..."


def _json(result: QueryResult) -> Iterator[bytes]:
    names = [field.name for field in result.schema]
    try:
        for batch in result.batches:
            columns = [_json_column(column) for column in batch.columns]
            lines = [_json_row(names, row) for row in zip(*columns, strict=True)] if columns else []
            yield b"".join(lines)
    except MillstreamError as failure:
        yield orjson.dumps(failure.to_json()) + b"\n"


def _json_column(column: pa.Array) -> list[Any]:
    if pa.types.is_floating(column.type):
        return [v if v is None or math.isfinite(v) else None for v in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _json_row(names: list[str], row: tuple[Any, ...]) -> bytes:
    return (
        orjson.dumps(dict(zip(names, row, strict=True)), default=_json_value, option=orjson.OPT_PASSTHROUGH_DATETIME)
        + b"\n"
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return orjson.Fragment(format(value, "f").encode())
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.timedelta):
        return str(value)
    raise MillstreamError("AdHocQueryError", f"values of type {type(value).__name__} have no JSON form")


def _parquet(result: QueryResult) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, result.schema, compression="snappy") as writer:
        for batch in result.batches:
            writer.write_batch(batch)
    yield buffer.getvalue()


def _arrow_ipc(result: QueryResult) -> Iterator[bytes]:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, result.schema) as writer:
        for batch in result.batches:
            writer.write_batch(batch)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _hash(result: QueryResult) -> Iterator[bytes]:
    """SHA-256 over the schema, the row count and the sum of per-row digests: equal for any order of rows."""
    total, count = 0, 0
    for batch in result.batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big")
            count += 1
    digest = hashlib.sha256()
    digest.update(repr([(f.name, str(f.type)) for f in result.schema]).encode())
    digest.update(f"{count}:{total % 2**256}".encode())
    yield digest.hexdigest().upper().encode()
