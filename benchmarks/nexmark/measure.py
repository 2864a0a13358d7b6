"""One query over a stream of events, or small changes of its state, checked and measured, in this process."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from itertools import chain, islice

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.harness import Measurements
from benchmarks.nexmark.held import held_bytes
from benchmarks.nexmark.program import NAMES, Batches, batches, differences, program_of, side_input
from millstream.circuit.circuit import Circuit

#: Steps before the clock starts, with events of their own: kernels are loaded, traces have their first runs.
WARM_UP_STEPS = 2
MIB = 1 << 20
#: Events that are made before a step that is timed needs the first of them.
AHEAD_EVENTS = 2_500_000
#: Latency: events of a step of the load and of changes; how many changes are timed, and how many come before them.
LOAD, CHANGES, SMALL, SMALL_WARM_UP = 100_000, (1, 1_000), 500, 50


def measure(query: str, num_events: int, step_events: int) -> Measurements:
    """Events per second and so on, in steps of `step_events`; AssertionError if the view is not what DuckDB says.

    Peak memory is that of the process: with the events, of which `AHEAD_EVENTS` are made while the clock stands still,
    and the changes of the view, which are kept for the check. State is that of tables and operators.
    """
    program = program_of(query)
    circuit = Circuit(program)
    total = num_events + WARM_UP_STEPS * step_events
    deltas, seconds = [], []
    for part in chain([side_input()], ahead(batches(0, total, step_events), max(AHEAD_EVENTS // step_events, 1))):
        begin = time.perf_counter()
        delta = circuit.step(part).deltas.get(query)
        seconds.append(time.perf_counter() - begin)
        if delta is not None:
            deltas.append(delta)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    profile = circuit.profile()
    del circuit
    # Made again: to hold all events and all state at once takes much memory.
    database = database_of([side_input(), *batches(0, total, LOAD)])
    wrong = differences(database, program, query, deltas)
    assert wrong == 0, f"{query}: {wrong} rows differ from DuckDB's answer"
    timed = np.array(seconds[1 + WARM_UP_STEPS :])
    return {
        "events/s": num_events / float(timed.sum()),
        "step p50, ms": float(np.percentile(timed, 50)) * 1e3,
        "step p99, ms": float(np.percentile(timed, 99)) * 1e3,
        "peak memory, MiB": peak,
        "state, MiB": sum(entry["state_bytes"] for entry in profile) / MIB,
        "rows to hold, MiB": held_bytes(database, query) / MIB,
        "state, rows": sum(entry["state_rows"] for entry in profile),
    }


def ahead(stream: Iterator[Batches], count: int) -> Iterator[Batches]:
    """The same, so many made at once."""
    while made := list(islice(stream, count)):
        yield from made


def latency(query: str, num_events: int) -> Measurements:
    """Milliseconds that changes of 1 and then of 1,000 new events take on the state of `num_events`, median and 99th
    percentile of many; AssertionError if the view is not what DuckDB says afterwards."""
    program = program_of(query)
    circuit = Circuit(program)
    parts = [side_input(), *batches(0, num_events, LOAD)]
    first = num_events
    for rows in CHANGES:
        end = first + rows * (SMALL_WARM_UP + SMALL)
        parts += batches(first, end, rows)
        first = end
    deltas, seconds = [], []
    for part in parts:
        begin = time.perf_counter()
        delta = circuit.step(part).deltas.get(query)
        seconds.append(time.perf_counter() - begin)
        if delta is not None:
            deltas.append(delta)
    del circuit
    wrong = differences(database_of(parts), program, query, deltas)
    assert wrong == 0, f"{query}: {wrong} rows differ from DuckDB's answer"
    measured: Measurements = {}
    for i, rows in enumerate(reversed(CHANGES)):
        end = len(seconds) - i * (SMALL_WARM_UP + SMALL)
        timed = np.array(seconds[end - SMALL : end]) * 1e3
        measured[f"{rows}: p50, ms"] = float(np.percentile(timed, 50))
        measured[f"{rows}: p99, ms"] = float(np.percentile(timed, 99))
    return measured


def database_of(parts: list[Batches]) -> duckdb.DuckDBPyConnection:
    """DuckDB on one thread over the rows of all batches, which must be insertions; they are not copied."""
    database = duckdb.connect(config={"threads": 1})
    for name, columns in NAMES.items():
        tables = [pa.table(list(b.columns), names=columns) for part in parts for b in part.get(name, [])]
        database.register(name, pa.concat_tables(tables))
    return database
