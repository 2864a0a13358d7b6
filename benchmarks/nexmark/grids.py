"""The Nexmark tables of the report: throughput beside DuckDB and Pathway, and the latency of small changes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.grid import Grid, Job, Ratio
from benchmarks.nexmark.program import QUERIES
from benchmarks.nexmark.rival import PYTHON, READS

MODULE = "benchmarks.nexmark"
QUICK = ("q1", "q3", "q4", "q5", "q15", "q18")
TARGETS = (
    dict.fromkeys(("q0", "q1", "q2"), 8e6)
    | dict.fromkeys(("q14", "q21", "q22"), 3e6)
    | dict.fromkeys(("q3", "q8", "q13"), 2.5e6)
    | dict.fromkeys(("q4", "q5", "q6", "q7", "q12", "q15", "q16", "q17"), 2e6)
    | dict.fromkeys(("q9", "q18", "q19", "q20"), 1e6)
)
BIG, SMALL, DUCKDB, PATHWAY = "steps of 100,000", "steps of 1,000", "DuckDB again", "Pathway"


def _job(query: str, way: str, events: int, step: int, headings: dict[str, str], runs: int) -> Job:
    options = ("--here", "--only", query, "--with", way, "--events", str(events), "--step", str(step))
    return Job(query, MODULE, options, headings, runs)


def _throughput(full: bool) -> Iterator[Job]:
    runs = 3 if full else 1
    for query in QUERIES if full else QUICK:
        headings = {"events/s": BIG, "peak memory, MiB": "peak, MiB", "state, MiB": "state, MiB"}
        yield _job(query, "millstream", 2_000_000, 100_000, headings, 3)
        headings = {"events/s": "steps of 10,000", "step p50, ms": "p50, ms", "step p99, ms": "p99, ms"}
        yield _job(query, "millstream", 1_000_000, 10_000, headings, runs)
        yield _job(query, "millstream", 500_000, 1_000, {"events/s": SMALL}, runs)
        yield _job(query, "duckdb", 1_000_000, 10_000, {"events/s": DUCKDB}, 1)
        if PYTHON.exists() and query in READS:
            headings = {"events/s": PATHWAY, "with reading, events/s": "Pathway with its reading"}
            yield _job(query, "pathway", 1_000_000 if full else 200_000, 1, headings, 1)


def _large(full: bool) -> Iterator[Job]:
    for query in ("q3", "q4", "q5", "q7", "q8", "q12", "q15", "q17", "q18", "q20") if full else ():
        yield _job(
            query, "millstream", 10_000_000, 10_000, {"events/s": "steps of 10,000", "state, MiB": "state, MiB"}, 1
        )
        yield _job(query, "duckdb", 10_000_000, 10_000, {"events/s": DUCKDB}, 1)


def _latency(full: bool) -> Iterator[Job]:
    for query in QUERIES if full else QUICK:
        headings = {"p50, ms": "1 row: p50, ms", "p99, ms": "1 row: p99, ms"}
        yield _job(query, "latency", 1_000_000, 1, headings, 1)
        headings = {"p50, ms": "1,000 rows: p50, ms", "p99, ms": "1,000 rows: p99, ms"}
        yield _job(query, "latency", 1_000_000, 1000, headings, 1)


THROUGHPUT = Grid(
    "nexmark",
    "Nexmark: events per second",
    "Events per second of one thread, from Arrow batches in memory. Two million events in steps of 100,000, one "
    "million in steps of 10,000, half a million in steps of 1,000; every view is compared with DuckDB's answer "
    "first. *DuckDB again* inserts batches of 10,000 into DuckDB (one thread) and runs the query again after each "
    "(timed at ten of them, evenly spread; queries that keep no state run over the new batch only). *Pathway* "
    "computes the query once over a million events (in the quick selection 200,000) read from CSV files with one "
    "thread, less the time of only reading them (at least a twentieth of the whole).",
    _throughput,
    (Ratio("times DuckDB", "steps of 10,000", DUCKDB), Ratio("times Pathway", BIG, PATHWAY)),
    BIG,
    TARGETS,
)
LARGE = Grid(
    "nexmark_large",
    "Nexmark: ten million events in 1,000 steps",
    "As above. DuckDB's time is that of ten of the runs, evenly spread, times their number.",
    _large,
    (Ratio("times DuckDB", "steps of 10,000", DUCKDB),),
)
LATENCY = Grid(
    "nexmark_latency",
    "Nexmark: latency of small changes",
    "Time of a step with the next event, or the next 1,000 events, on the state of a million; of 500 such steps.",
    _latency,
)
