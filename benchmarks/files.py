"""Files of Nexmark bids, NDJSON and CSV, parsed into a view: reading rows that are as wide as in practice."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.end_to_end import file_into_view
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
    types = ", ".join("{}: '{}'".format(*column.split()) for column in COLUMNS.split(", "))
    return file_into_view(
        lambda path, large: write(path, EVENTS if large else WARM_EVENTS, options),
        lambda path: PROGRAM % (COLUMNS, path, format_config, QUERY),
        lambda path: f"CREATE TABLE bid AS FROM {reader.format(path=path, columns='{' + types + '}')}",
        QUERY,
    )


@case("NDJSON file of bids into GROUP BY", "rows/s", target=800_000)
def ndjson_bids() -> Measurements:
    """Nearly a million Nexmark bids, seven columns, 250 bytes a line, parsed, grouped and aggregated."""
    reader = "read_json('{path}', format = 'newline_delimited', columns = {columns})"
    return measured("FORMAT json", JSON, reader)


@case("CSV file of bids into GROUP BY", "rows/s", quick=False)
def csv_bids() -> Measurements:
    """The same bids as CSV with a header line."""
    return measured("FORMAT csv, HEADER", CSV, "read_csv('{path}', header = true, columns = {columns})")
