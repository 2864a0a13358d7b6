"""`python -m benchmarks.nexmark [--only q4 ...]`: every query checked and measured, in a process of its own.

`--with millstream` (default) feeds the engine, `duckdb` runs the query again after every batch, `pathway` hands it to
Pathway, `latency` times changes of 1 and of 1,000 events on a loaded state.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import ROOT, Measurements, format_number
from benchmarks.nexmark.measure import latency, measure
from benchmarks.nexmark.program import QUERIES
from benchmarks.nexmark.rerun import rerun
from benchmarks.nexmark.rival import pathway
from millstream import no_pandas  # noqa: F401 - before anything makes Arrow values, as in the process of a pipeline

TIMEOUT_S = 1800
MEASURES: dict[str, Callable[[str, int, int], Measurements]] = {
    "millstream": measure,
    "duckdb": rerun,
    "pathway": lambda query, num_events, _: pathway(query, num_events),
    "latency": lambda query, num_events, _: latency(query, num_events),
}


def main() -> int:
    """Run every query that was asked for; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.nexmark")
    parser.add_argument("--events", type=int, default=1_000_000, help="events that are timed, or loaded for latency")
    parser.add_argument("--step", type=int, default=100_000, help="events of a step: 1000, 10000, 100000")
    parser.add_argument("--only", nargs="+", choices=QUERIES, default=list(QUERIES), metavar="QUERY")
    parser.add_argument("--with", dest="way", choices=MEASURES, default="millstream")
    parser.add_argument("--here", action="store_true", help="run in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.events < 1 or arguments.step < 1:
        parser.error("--events and --step must be positive")
    if arguments.here:
        for query in arguments.only:
            print(json.dumps(MEASURES[arguments.way](query, arguments.events, arguments.step)))
        return 0
    failed = False
    titled = False
    for query in arguments.only:
        try:
            measured = apart(query, arguments.way, arguments.events, arguments.step)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed = True
            print(f"| {query} | {error} |", flush=True)
            continue
        if not titled:
            titled = True
            print(f"| query | {' | '.join(measured)} |\n|---|{'---:|' * len(measured)}")
        print(f"| {query} | {' | '.join(format_number(value) for value in measured.values())} |", flush=True)
    return int(failed)


def apart(query: str, way: str, num_events: int, step_events: int) -> Measurements:
    """The measurements of a new process."""
    options = ["--here", "--with", way, "--only", query, "--events", str(num_events), "--step", str(step_events)]
    command = [sys.executable, "-m", "benchmarks.nexmark", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit code {done.returncode}")
    measured: Measurements = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


if __name__ == "__main__":
    sys.exit(main())
