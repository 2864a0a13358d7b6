"""`python -m benchmarks.tpch --only q1 [--scale 0.1]`: one TPC-H query kept incrementally, checked, and timed as JSON.

The load comes in steps, then refreshes, each inserting and deleting one part in a thousand of the orders with their
lines. Millstream's view is compared with DuckDB's answer after the last; DuckDB's time is that of running the query.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from benchmarks.harness import Measurements
from benchmarks.tpch.generate import generate
from benchmarks.tpch.schedule import QUERIES, Oracle, Step, compiled, difference, load_steps, refresh_steps
from millstream import no_pandas  # noqa: F401 - before anything makes Arrow values, as in the process of a pipeline
from millstream.circuit.circuit import Circuit

LOAD_STEPS = 20
REFRESHES = 20


def measure(query: str, scale: float) -> Measurements:
    """Rows per second of the load, milliseconds of a refresh, and of DuckDB's query after it (one thread)."""
    data = generate(scale, num_refresh_orders=round(1_500_000 * scale * REFRESHES / 1000))
    circuit = Circuit(compiled([query]))
    oracle = Oracle(data)
    loads, refreshes, again = [], [], []
    rows = 0

    def run(step: Step) -> float:
        changes = step.changes()
        begin = time.perf_counter()
        circuit.step(changes).deltas.get(query)
        seconds = time.perf_counter() - begin
        oracle.apply(step)
        return seconds

    for step in load_steps(data, LOAD_STEPS):
        rows += step.num_rows
        loads.append(run(step))
    changed = []
    for step in refresh_steps(data, REFRESHES):
        changed.append(step.num_rows)
        refreshes.append(run(step))
        begin = time.perf_counter()
        expected = oracle.answer(query)
        again.append(time.perf_counter() - begin)
    wrong = difference(circuit.snapshot().table(query), expected)
    assert wrong is None, f"{query}: {wrong}"
    return {
        "load, rows/s": rows / sum(loads),
        "rows of a refresh": statistics.median(changed),
        "refresh, ms": statistics.median(refreshes) * 1e3,
        "DuckDB again, ms": statistics.median(again) * 1e3,
        "state, MiB": circuit.state_bytes / (1 << 20),
    }


def main() -> None:
    """Print the measurements of one query."""
    parser = argparse.ArgumentParser(prog="benchmarks.tpch")
    parser.add_argument("--only", choices=QUERIES, required=True)
    parser.add_argument("--scale", type=float, default=0.1)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.only, arguments.scale)))


if __name__ == "__main__":
    main()
