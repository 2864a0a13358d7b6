"""Rows per second of parsing and encoding, one thread: `python benchmarks/formats_micro.py [rows]`.

Five columns (BIGINT, VARCHAR, DECIMAL, DOUBLE, TIMESTAMP), about 107 bytes a row as JSON. Every figure is the best of
three; kernels are compiled before. The exact path is measured on a tenth of the rows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa

from millstream.formats import Parser, build_encoder, build_parser
from millstream.formats.json.config import parser_config
from millstream.formats.json.exact import ExactParser
from millstream.types import Field, Relation, RelationColumn, arrow_type, sql_type
from millstream.zset.delta import Delta

CHUNK = 1 << 20
RELATION = Relation(
    "t",
    (
        RelationColumn("id", sql_type.BIGINT),
        RelationColumn("name", sql_type.VARCHAR),
        RelationColumn("amount", sql_type.decimal(12, 2)),
        RelationColumn("price", sql_type.DOUBLE),
        RelationColumn("ts", sql_type.TIMESTAMP),
    ),
)


def sample(rows: int) -> Delta:
    """A delta of inserts."""
    columns = (
        list(range(rows)),
        [f"customer {i % 1000}" for i in range(rows)],
        [Decimal(i * 37).scaleb(-2) for i in range(rows)],
        (np.arange(rows) * 0.25).tolist(),
        (1_704_103_200_000_000 + np.arange(rows) * 1_000_000).tolist(),
    )
    types = [arrow_type(column.type) for column in RELATION.columns]
    return Delta.inserts([pa.array(values, t) for values, t in zip(columns, types, strict=True)])


def best_of(action: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def parse_all(parser: Parser, data: bytes, chunk: int) -> int:
    """Split and parse `data` as a transport would; returns the rows."""
    parser.restart()
    position = rows = 0
    while position < len(data):
        buffer = data[position : position + chunk]
        length = parser.split(buffer, end_of_input=position + chunk >= len(data))
        rows += parser.parse(buffer[:length]).num_records
        position += length
    return rows


def report(name: str, rows: int, seconds: float, num_bytes: int) -> None:
    print(f"{name:34} {rows / seconds:>12,.0f} rows/s {num_bytes / seconds / 1e6:>8,.0f} MB/s")


def main(rows: int) -> None:
    delta = sample(rows)
    for name, config in (
        ("json", {}),
        ("json", {"array": True}),
        ("json", {"update_format": "snowflake"}),
        ("csv", {}),
    ):
        encoder = build_encoder(name, config, RELATION, "bench")
        buffers = list(encoder.encode(delta))
        seconds = best_of(lambda encoder=encoder: list(encoder.encode(delta)))
        report(f"encode {name} {config or ''}", rows, seconds, sum(len(buffer.data) for buffer in buffers))
    insert_delete = b"".join(b.data for b in build_encoder("json", {}, RELATION, "bench").encode(delta))
    inputs = {
        "insert_delete": ("json", {}, insert_delete),
        "raw": ("json", {"update_format": "raw"}, insert_delete.replace(b'{"insert":', b"").replace(b"}}\n", b"}\n")),
        "raw, lines=single": (
            "json",
            {"update_format": "raw", "lines": "single"},
            insert_delete.replace(b'{"insert":', b"").replace(b"}}\n", b"}\n"),
        ),
        "csv": ("csv", {}, b"".join(b.data for b in build_encoder("csv", {}, RELATION, "bench").encode(delta))),
    }
    for label, (name, config, data) in inputs.items():
        for chunk in (1 << 16, CHUNK):
            parser = build_parser(name, config, RELATION, "bench")
            assert parse_all(parser, data, chunk) == rows
            seconds = best_of(lambda parser=parser, data=data, chunk=chunk: parse_all(parser, data, chunk))
            report(f"parse {label}, {chunk >> 10} KiB chunks", rows, seconds, len(data))
    documents = Relation("t", (RelationColumn("id", sql_type.BIGINT), RelationColumn("doc", sql_type.VARIANT)))
    lines = [
        b'{"id":%d,"doc":{"user":"u%d","tags":["a","b"],"at":{"x":%d.5,"y":2}}}\n' % (i, i, i) for i in range(rows)
    ]
    parser, data = build_parser("json", {"update_format": "raw"}, documents, "bench"), b"".join(lines)
    seconds = best_of(lambda: parse_all(parser, data, CHUNK))
    report("parse raw, VARIANT column", rows, seconds, len(data))
    where = sql_type.struct((Field("x", sql_type.DOUBLE), Field("y", sql_type.INTEGER)))
    fields = (Field("user", sql_type.VARCHAR), Field("tags", sql_type.array(sql_type.VARCHAR)), Field("at", where))
    nested = Relation("t", (RelationColumn("id", sql_type.BIGINT), RelationColumn("doc", sql_type.struct(fields))))
    parser = build_parser("json", {"update_format": "raw"}, nested, "bench")
    seconds = best_of(lambda: parse_all(parser, data, CHUNK))
    report("parse raw, ROW column with an ARRAY", rows, seconds, len(data))
    block = insert_delete[: insert_delete.index(b"\n", len(insert_delete) // 10) + 1]
    exact = ExactParser(RELATION, parser_config({}, "bench"))
    seconds = best_of(lambda: exact.parse(block, 1))
    report("parse insert_delete, exact path", block.count(b"\n"), seconds, len(block))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
