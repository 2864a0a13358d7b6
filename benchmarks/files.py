"""Files of Nexmark bids, NDJSON and CSV, parsed into a view: reading rows that are as wide as in practice."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.end_to_end import timed
from benchmarks.harness import Measurements, case
from benchmarks.nexmark.program import NAMES
from millstream.connectors.nexmark.model import columns_of

#: 46 of 50 events are bids.
EVENTS, WARM_EVENTS = 1_000_000, 5_000
COLUMNS = (
    "auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR"
)
QUERY = "SELECT channel, COUNT(*) AS n, SUM(price) AS total, MAX(date_time) AS latest FROM bid GROUP BY channel"
PROGRAM = """
CREATE TABLE bid (%s) WITH ('connectors' = '[{"name": "c",
  "transport": {"name": "file_input", "config": {"path": "%s"}}, "format": %s}]');
CREATE MATERIALIZED VIEW v AS
%s;
"""
JSON = '{"name": "json", "config": {"update_format": "raw"}}'
CSV = '{"name": "csv", "config": {"headers": true}}'


def write(path: Path, events: int, options: str) -> int:
    """The bids among so many events, written by DuckDB; their number."""
    columns = columns_of("bid", 0, events)
    database = duckdb.connect()
    database.register("bids", pa.table(list(columns), names=NAMES["bid"]))
    stamp = "strftime(date_time, '%Y-%m-%d %H:%M:%S.%g') AS date_time"
    database.execute(f"COPY (SELECT * REPLACE ({stamp}) FROM bids) TO '{path}' ({options})")
    return len(columns[0])


def measured(options: str, format_config: str, reader: str) -> Measurements:
    """Rows per second of reading the bids into the view, in Millstream and, once, in DuckDB."""
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        write(small, WARM_EVENTS, options)
        rows = write(large, EVENTS, options)
        timed(PROGRAM % (COLUMNS, small, format_config, QUERY))
        seconds, view = timed(PROGRAM % (COLUMNS, large, format_config, QUERY))
        types = ", ".join("{}: '{}'".format(*column.split()) for column in COLUMNS.split(", "))
        database = duckdb.connect(config={"threads": 1})
        begin = time.perf_counter()
        database.execute(f"CREATE TABLE bid AS SELECT * FROM {reader.format(path=large, columns='{' + types + '}')}")
        expected = database.execute(f"{QUERY} ORDER BY ALL").fetchall()
        theirs = time.perf_counter() - begin
    assert [(r[0], r[1], int(str(r[2])), r[3]) for r in view] == [(r[0], r[1], int(r[2]), r[3]) for r in expected]
    return {
        "Millstream": rows / seconds,
        "DuckDB, load the file and run the query once, one thread": rows / theirs,
    }


@case("NDJSON file of bids into GROUP BY", "rows/s", target=800_000)
def ndjson_bids() -> Measurements:
    """Nearly a million Nexmark bids, seven columns, 250 bytes a line, parsed, grouped and aggregated."""
    reader = "read_json('{path}', format = 'newline_delimited', columns = {columns})"
    return measured("FORMAT json", JSON, reader)


@case("CSV file of bids into GROUP BY", "rows/s")
def csv_bids() -> Measurements:
    """The same bids as CSV with a header line."""
    return measured("FORMAT csv, HEADER", CSV, "read_csv('{path}', header = true, columns = {columns})")
