"""The TPC-H table of the report."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.grid import Grid, Job, Ratio
from benchmarks.tpch.schedule import QUERIES

QUICK = ("q1", "q3", "q9", "q18")
AGAIN, REFRESH = "DuckDB again, ms", "refresh, ms"
HEADINGS = {name: name for name in ("load, rows/s", "rows of a refresh", REFRESH, AGAIN, "state, MiB")}


def _jobs(full: bool) -> Iterator[Job]:
    for query in QUERIES if full else QUICK:
        yield Job(query, "benchmarks.tpch", ("--only", query), HEADINGS, 1)
    for query in ("q1", "q3", "q5", "q9", "q13", "q18", "q21") if full else ():
        yield Job(f"{query}, scale 1", "benchmarks.tpch", ("--only", query, "--scale", "1"), HEADINGS, 1)


TPCH = Grid(
    "tpch",
    "TPC-H, incrementally",
    "Scale 0.1 unless said: loaded in 20 steps, then 20 refreshes, each of which inserts and deletes one order in a "
    "thousand with its lines; the view equals DuckDB's answer at the end. *DuckDB again* runs the query after a "
    "refresh (one thread, tables already changed).",
    _jobs,
    (Ratio("times DuckDB", AGAIN, REFRESH),),
)
