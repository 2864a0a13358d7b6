"""`python -m benchmarks.nexmark [--events N] [--step N] [--only q4 ...]`: a table of all queries, each checked."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from benchmarks.harness import ROOT, Measurements, format_number
from benchmarks.nexmark.measure import measure
from benchmarks.nexmark.program import QUERIES

TIMEOUT_S = 1800


def main() -> int:
    """Run every query that was asked for in a process of its own; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.nexmark")
    parser.add_argument("--events", type=int, default=1_000_000, help="events that are timed")
    parser.add_argument("--step", type=int, default=100_000, help="events of a step: 1000, 10000, 100000")
    parser.add_argument("--only", nargs="+", choices=QUERIES, default=list(QUERIES), metavar="QUERY")
    parser.add_argument("--here", action="store_true", help="run in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.events < 1 or arguments.step < 1:
        parser.error("--events and --step must be positive")
    if arguments.here:
        for query in arguments.only:
            print(json.dumps(measure(query, arguments.events, arguments.step)))
        return 0
    failed = False
    titled = False
    for query in arguments.only:
        try:
            measured = apart(query, arguments.events, arguments.step)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed = True
            print(f"| {query} | {error} |", flush=True)
            continue
        if not titled:
            titled = True
            print(f"| query | {' | '.join(measured)} |\n|---|{'---:|' * len(measured)}")
        print(f"| {query} | {' | '.join(format_number(value) for value in measured.values())} |", flush=True)
    return int(failed)


def apart(query: str, num_events: int, step_events: int) -> Measurements:
    """The measurements of a new process."""
    options = ["--here", "--only", query, "--events", str(num_events), "--step", str(step_events)]
    command = [sys.executable, "-m", "benchmarks.nexmark", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit code {done.returncode}")
    measured: Measurements = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


if __name__ == "__main__":
    sys.exit(main())
