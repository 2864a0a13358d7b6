"""Two workers against one: Nexmark's joins and aggregates, in large and in small steps.

`python -m benchmarks.workers --only q4 --events 2000000 --step 100000` prints events per second of both as JSON. With
`--loaded` that many events come first, in steps of 100,000, and are not timed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import chain

import numpy as np

from benchmarks.grid import Grid, Job, Ratio, Target
from benchmarks.harness import Measurements
from benchmarks.nexmark.program import QUERIES, batches, program_of, side_input
from millstream import no_pandas  # noqa: F401 - before anything makes Arrow values, as in the process of a pipeline
from millstream.circuit.circuit import Circuit
from millstream.circuit.workers import Workers
from millstream.operators.base import merge_parts
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS

#: Steps before the clock starts.
WARM_UP_STEPS = 2
LOAD_STEP = 100_000
COUNTS = (1, 2)
#: Rows of changes that are kept until they are compared.
MOST_PENDING = 100_000
#: How many times the speed of one worker two are to have in steps of 100,000.
TARGET, TIMES = 1.6, "times"
JOINS_AND_AGGREGATES = ("q3", "q4", "q7", "q8", "q9", "q15", "q17", "q18", "q20")
QUICK = ("q4",)


def measure(query: str, num_events: int, step_events: int, loaded: int = 0) -> Measurements:
    """Events per second of one worker and of two, which take turns step by step; AssertionError if what they gave in
    all differs."""
    circuits = [Circuit(program_of(query), workers=Workers(count)) for count in COUNTS]
    total = loaded + num_events + WARM_UP_STEPS * step_events
    parts = chain([side_input()], batches(0, loaded, LOAD_STEP), batches(loaded, total, step_events))
    seconds: list[list[float]] = [[] for _ in COUNTS]
    differing: list[Delta] = []
    for number, part in enumerate(parts):
        # Whoever comes second finds the events in the cache: neither does always.
        for i in (0, 1) if number % 2 else (1, 0):
            begin = time.perf_counter()
            delta = circuits[i].step(part).deltas.get(query)
            seconds[i].append(time.perf_counter() - begin)
            if delta is not None:
                differing.append(delta.negate() if i else delta)
        if sum(delta.num_rows for delta in differing) > MOST_PENDING:
            differing = rest_of(differing)
    wrong = sum(delta.num_rows for delta in rest_of(differing))
    assert wrong == 0, f"{query}: {wrong} rows differ"
    timed = num_events // step_events
    measured: Measurements = {}
    for count, samples in zip(COUNTS, seconds, strict=True):
        measured[f"{count}: events/s"] = timed * step_events / float(np.sum(samples[-timed:]))
        measured[f"{count}: ms"] = float(np.median(samples[-timed:])) * 1e3
    return measured


def rest_of(deltas: list[Delta]) -> list[Delta]:
    """What remains of deltas when rows and their negatives cancel."""
    merged = merge_parts(deltas)
    return [] if merged is None else [rest for rest in [consolidate(merged, DEFAULT_SEEDS)] if rest.num_rows]


def _jobs(full: bool) -> Iterator[Job]:
    for query in JOINS_AND_AGGREGATES if full else QUICK:
        options = ("--only", query, "--events", "10000000" if full else "2000000", "--step", "100000")
        headings = {"1: events/s": "1 worker, events/s", "2: events/s": "2 workers, events/s"}
        yield Job(query, "benchmarks.workers", options, headings, 3)
        for rows, count in (("1,000", 300_000), ("1", 1_000)):
            step = rows.replace(",", "")
            headings = {f"{workers}: ms": f"{rows} rows: {workers}, ms" for workers in COUNTS}
            options = ("--only", query, "--events", str(count), "--step", step)
            yield Job(query, "benchmarks.workers", options, headings, 1)
            headings = {f"{workers}: ms": f"{rows} rows later: {workers}, ms" for workers in COUNTS}
            yield Job(query, "benchmarks.workers", (*options, "--loaded", "1000000"), headings, 1)


WORKERS = Grid(
    "workers",
    "Two workers against one",
    "Events per second of Nexmark in steps of 100,000 events; both give the same changes. Then the median of the "
    "milliseconds of steps of 1,000 events and of one event: from the beginning, and after a million events in steps "
    "of 100,000, which have spread the state over both workers, until enough small ones have put it together again.",
    _jobs,
    (Ratio(TIMES, "2 workers, events/s", "1 worker, events/s"),),
    {TIMES: Target(dict.fromkeys(JOINS_AND_AGGREGATES, TARGET))},
)


def main() -> None:
    """Print the measurement of one case."""
    parser = argparse.ArgumentParser(prog="benchmarks.workers")
    parser.add_argument("--only", choices=QUERIES, required=True)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--step", type=int, default=100_000)
    parser.add_argument("--loaded", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.events < arguments.step or arguments.step < 1 or arguments.loaded < 0:
        parser.error("--events must be at least --step, which must be positive")
    print(json.dumps(measure(arguments.only, arguments.events, arguments.step, arguments.loaded)))


if __name__ == "__main__":
    main()
