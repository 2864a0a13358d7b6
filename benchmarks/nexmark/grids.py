"""The Nexmark tables of the report: throughput beside DuckDB and Pathway, and the latency of small changes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.grid import Grid, Job, Part, Ratio, Target
from benchmarks.nexmark.held import HELD
from benchmarks.nexmark.program import QUERIES
from benchmarks.nexmark.rerun import STATELESS
from benchmarks.nexmark.rival import PYTHON, READS

MODULE = "benchmarks.nexmark"
#: Pathway takes minutes for more events.
PATHWAY_SLOW = {"q11": 50_000}
QUICK = ("q1", "q3", "q4", "q5", "q15", "q18")
QUICK_PATHWAY = ("q3", "q4", "q18")
SPEEDS = (
    dict.fromkeys(("q0", "q1", "q2"), 8e6)
    | dict.fromkeys(("q14", "q21", "q22"), 3e6)
    | dict.fromkeys(("q3", "q8", "q13"), 2.5e6)
    | dict.fromkeys(("q4", "q5", "q6", "q7", "q12", "q15", "q16", "q17"), 2e6)
    | dict.fromkeys(("q9", "q18", "q19", "q20"), 1e6)
)
#: Queries that keep state, which DuckDB must ask again over all rows.
STATEFUL = tuple(query for query in QUERIES if query not in STATELESS)
BIG, MIDDLE, SMALL = "steps of 100,000", "steps of 10,000", "steps of 1,000"
DUCKDB, PATHWAY, TIMES_DUCKDB, TIMES_PATHWAY = "DuckDB again", "Pathway", "times DuckDB", "times Pathway"
#: From files to a view, with reading.
PATHWAY_FILES, OURS_FILES, TIMES_FILES = "Pathway from files", "Millstream from files", "times Pathway from files"
SMALL_SHARE, STATE_TIMES = "small steps, % of large", "times the rows"
STATE, HELD_ROWS, PEAK = "state, MiB", "rows to hold, MiB", "peak, MiB"
LATENCIES = {f"{rows}: {what}, ms": f"{rows} rows: {what}, ms" for rows in (1, 1000) for what in ("p50", "p99")}
#: How many times DuckDB's and Pathway's speed; state by the size of the rows; small steps; ms of a change of one row.
TARGET_DUCKDB, TARGET_DUCKDB_LARGE, TARGET_PATHWAY, TARGET_STATE, TARGET_SMALL = 5.0, 20.0, 3.0, 2.0, 40.0
TARGET_P50, TARGET_P99 = 2.0, 10.0


def _job(query: str, way: str, events: int, step: int, headings: dict[str, str], runs: int) -> Job:
    options = ("--here", "--only", query, "--with", way, "--events", str(events), "--step", str(step))
    return Job(query, MODULE, options, headings, runs)


def _throughput(full: bool) -> Iterator[Job]:
    for query in QUERIES if full else QUICK:
        yield _job(query, "millstream", 2_000_000, 100_000, {"events/s": BIG, "peak memory, MiB": PEAK}, 3)
        headings = {"events/s": MIDDLE, "step p50, ms": "p50, ms", "step p99, ms": "p99, ms"}
        headings |= {"state, MiB": STATE, "rows to hold, MiB": HELD_ROWS} if query in HELD else {}
        yield _job(query, "millstream", 1_000_000, 10_000, headings, 1)
        yield _job(query, "millstream", 500_000, 1_000, {"events/s": SMALL}, 1)
        yield _job(query, "duckdb", 1_000_000, 10_000, {"events/s": DUCKDB}, 1)
        if PYTHON.exists() and query in (READS if full else QUICK_PATHWAY):
            headings = {"events/s": PATHWAY, "with reading, events/s": PATHWAY_FILES}
            headings["Millstream with reading, events/s"] = OURS_FILES
            count = PATHWAY_SLOW.get(query, 500_000) if full else 200_000
            yield _job(query, "pathway", count, 1, headings, 1)


def _large(full: bool) -> Iterator[Job]:
    for query in STATEFUL if full else ():
        headings = {"events/s": MIDDLE, "step p50, ms": "p50, ms", "step p99, ms": "p99, ms", "state, MiB": STATE}
        headings |= {"peak memory, MiB": PEAK, "rows to hold, MiB": HELD_ROWS}
        yield _job(query, "millstream", 10_000_000, 10_000, headings, 1)
        yield _job(query, "duckdb", 10_000_000, 10_000, {"events/s": DUCKDB}, 1)


def _latency(full: bool) -> Iterator[Job]:
    for query in QUERIES if full else QUICK:
        yield _job(query, "latency", 1_000_000, 1, LATENCIES, 1)


_DUCKDB_RATIO = Ratio(TIMES_DUCKDB, MIDDLE, DUCKDB)
_STATE_RATIO, _STATE_TARGET = Ratio(STATE_TIMES, STATE, HELD_ROWS), Target(dict.fromkeys(HELD, TARGET_STATE), False)
_STATE_TEXT = (
    "State of tables and operators, beside the size in Arrow's memory of the rows that any evaluation must remember "
    "when every row may be deleted later: the columns in use of the input rows of joins, top-k, MIN and MAX, filtered, "
    "and keys, counts and sums of groups; no weights, no hashes, no index, and nothing twice (benchmarks/nexmark/"
    "held.py has a query for each). Queries that hold nothing are left out."
)
THROUGHPUT = Grid(
    "nexmark",
    "Nexmark: events per second",
    "Events per second of one thread, from Arrow batches in memory. Two million events in steps of 100,000, one "
    "million in steps of 10,000, half a million in steps of 1,000; every view is compared with DuckDB's answer "
    "first. *DuckDB again* inserts batches of 10,000 into DuckDB (one thread) and runs the query again after each "
    "(timed at ten of them, evenly spread; queries that keep no state run over the new batch only). *Pathway* "
    "computes the query once over half a million events (in the quick selection 200,000, q11 50,000) read from CSV "
    "files with one thread, less the time of only reading them (at least a twentieth of the whole). *From files* "
    "is all of it, in Millstream with its CSV connector into a materialized view.",
    _throughput,
    (
        Ratio(SMALL_SHARE, SMALL, BIG, 100),
        _DUCKDB_RATIO,
        Ratio(TIMES_PATHWAY, BIG, PATHWAY),
        Ratio(TIMES_FILES, OURS_FILES, PATHWAY_FILES),
        _STATE_RATIO,
    ),
    {
        BIG: Target(SPEEDS),
        TIMES_DUCKDB: Target(dict.fromkeys(STATEFUL, TARGET_DUCKDB)),
        TIMES_PATHWAY: Target(dict.fromkeys(READS, TARGET_PATHWAY)),
        TIMES_FILES: Target(dict.fromkeys(READS, TARGET_PATHWAY)),
        SMALL_SHARE: Target(dict.fromkeys(SPEEDS, TARGET_SMALL)),
        STATE_TIMES: _STATE_TARGET,
    },
    (
        Part("Beside Pathway", "Events per second.", (PATHWAY, TIMES_PATHWAY, PATHWAY_FILES, OURS_FILES, TIMES_FILES)),
        Part(
            "In steps of other sizes",
            "Milliseconds are those of steps of 10,000. Small steps are steps of 1,000, large ones of 100,000.",
            (MIDDLE, "p50, ms", "p99, ms", SMALL, SMALL_SHARE),
        ),
        Part("State after a million events", _STATE_TEXT, (STATE, HELD_ROWS, STATE_TIMES)),
    ),
)
LARGE = Grid(
    "nexmark_large",
    "Nexmark: ten million events in 1,000 steps",
    "As above, for the queries that keep state. DuckDB's time is that of ten runs, evenly spread, times their number.",
    _large,
    (_DUCKDB_RATIO, _STATE_RATIO),
    {TIMES_DUCKDB: Target(dict.fromkeys(STATEFUL, TARGET_DUCKDB_LARGE)), STATE_TIMES: _STATE_TARGET},
)
LATENCY = Grid(
    "nexmark_latency",
    "Nexmark: latency of small changes",
    "Time of a step with the next event, or the next 1,000 events, on the state of a million; of 500 such steps.",
    _latency,
    targets={
        LATENCIES["1: p50, ms"]: Target(dict.fromkeys(QUERIES, TARGET_P50), False),
        LATENCIES["1: p99, ms"]: Target(dict.fromkeys(QUERIES, TARGET_P99), False),
    },
)
