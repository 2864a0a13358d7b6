"""Connectors, formats and engine together, in one process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.harness import Measurements, case
from millstream import Pipeline

DATAGEN_ROWS = 3_000_000
NDJSON_ROWS = 1_000_000
GROUPS = 100

DATAGEN = """
CREATE TABLE t (id BIGINT, bucket BIGINT) WITH ('connectors' = '[{"name": "c", "transport": {"name": "datagen",
  "config": {"plan": [{"limit": %d, "fields": {"bucket": {"range": [0, %d]}}}]}}}]');
CREATE MATERIALIZED VIEW v AS
%s;
"""
COUNT = "SELECT COUNT(*) AS n FROM t"
GROUPED = "SELECT bucket, COUNT(*) AS n, SUM(id) AS total FROM t GROUP BY bucket"

NDJSON_TABLE = "CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, ts TIMESTAMP)"
NDJSON_QUERY = "SELECT channel, COUNT(*) AS n, SUM(price) AS total, MAX(ts) AS latest FROM bids GROUP BY channel"
NDJSON = """
%s WITH ('connectors' = '[{"name": "c", "transport": {"name": "file_input", "config": {"path": "%s"}},
  "format": {"name": "json", "config": {"update_format": "raw"}}}]');
CREATE MATERIALIZED VIEW v AS
%s;
"""


def write_bids(path: Path, rows: int) -> int:
    """Five-column NDJSON, about 110 bytes a line; gives their number back."""
    rng = np.random.default_rng(7)
    auctions, bidders, prices = (rng.integers(0, 10**6, rows) for _ in range(3))
    with path.open("w") as file:
        for i in range(rows):
            second = i % 86_400
            stamp = f"2024-05-{1 + i % 28:02d} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            file.write(
                f'{{"auction": {auctions[i]}, "bidder": {bidders[i]}, "price": {prices[i]}, '
                f'"channel": "channel-{i % 40}", "ts": "{stamp}"}}\n'
            )
    return rows


def timed(sql: str) -> tuple[float, list[tuple[object, ...]]]:
    """Seconds from the start of the connectors until everything is in the view, and the view's rows."""
    with Pipeline(sql) as pipeline:
        begin = time.perf_counter()
        pipeline.start()
        pipeline.wait_for_completion()
        seconds = time.perf_counter() - begin
        return seconds, sorted(tuple(row.values()) for row in pipeline.snapshot("v").to_pylist())


def datagen(query: str) -> Measurements:
    warm = DATAGEN % (10_000, GROUPS, query)
    timed(warm)  # kernels compile
    seconds, rows = timed(DATAGEN % (DATAGEN_ROWS, GROUPS, query))
    database = duckdb.connect(config={"threads": 1})
    begin = time.perf_counter()
    database.execute(f"CREATE TABLE t AS SELECT i AS id, i % {GROUPS} AS bucket FROM range({DATAGEN_ROWS}) r(i)")
    expected = database.execute(f"SELECT * FROM ({query}) ORDER BY ALL").fetchall()
    theirs = time.perf_counter() - begin
    assert rows == [tuple(int(v) for v in row) for row in expected]
    return {
        "Millstream": DATAGEN_ROWS / seconds,
        "DuckDB, generate into a table and run the query once, one thread": DATAGEN_ROWS / theirs,
    }


@case("datagen into COUNT(*)", "rows/s", quick=False)
def datagen_count() -> Measurements:
    """Three million generated rows of two columns, counted."""
    return datagen(COUNT)


@case("datagen into GROUP BY", "rows/s")
def datagen_group_by() -> Measurements:
    """Three million generated rows of two columns, counted and summed in 100 groups."""
    return datagen(GROUPED)


@case("NDJSON file into GROUP BY", "rows/s", target=400_000, quick=False)
def ndjson_file() -> Measurements:
    """A file of a million five-column JSON lines (text and a timestamp among them), parsed, grouped and aggregated."""
    columns = "{auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', ts: 'TIMESTAMP'}"
    return file_into_view(
        lambda path, large: write_bids(path, NDJSON_ROWS if large else 5_000),
        lambda path: NDJSON % (NDJSON_TABLE, path, NDJSON_QUERY),
        lambda path: (
            f"CREATE TABLE bids AS FROM read_json('{path}', format = 'newline_delimited', columns = {columns})"
        ),
        NDJSON_QUERY,
    )


def file_into_view(
    write: Callable[[Path, bool], int], program: Callable[[Path], str], load: Callable[[Path], str], query: str
) -> Measurements:
    """Rows per second of reading a file into the view of `program`, and of DuckDB's statement `load` and one run of
    `query`, which must give the same four columns. `write` makes a file, a small or the large one, and says of how many
    rows."""
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        write(small, False)
        rows = write(large, True)
        timed(program(small))  # kernels compile
        seconds, view = timed(program(large))
        database = duckdb.connect(config={"threads": 1})
        begin = time.perf_counter()
        database.execute(load(large))
        expected = database.execute(f"SELECT * FROM ({query}) ORDER BY ALL").fetchall()
        theirs = time.perf_counter() - begin
    assert [(r[0], r[1], int(str(r[2])), r[3]) for r in view] == [(r[0], r[1], int(r[2]), r[3]) for r in expected]
    return {
        "Millstream": rows / seconds,
        "DuckDB, load the file and run the query once, one thread": rows / theirs,
    }
