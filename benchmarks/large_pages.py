"""Large pages of memory: Nexmark q4 in processes whose heap asks for them and in others."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from benchmarks.harness import ROOT, Measurements, case

QUERY = "q4"
EVENTS = 1_000_000
#: Processes of each kind, which take turns.
TURNS = 3


def _events_per_second(setting: str) -> float:
    """Of a new process; the view is compared with DuckDB's answer there."""
    command = [sys.executable, "-m", "benchmarks.nexmark", "--here", "--only", QUERY, "--events", str(EVENTS)]
    environment = {**os.environ, "GLIBC_TUNABLES": f"glibc.malloc.hugetlb={setting}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["events/s"])


@case("Large pages: times the speed without them", "times", runs=1)
def large_pages() -> Measurements:
    """What it makes for Nexmark in steps of 100,000 events that the heap of a process asks for large pages, as that of
    every pipeline of a server does. Medians of three processes each. It takes glibc 2.35 and a system that gives large
    pages to those who ask."""
    pairs = [[_events_per_second(setting) for setting in ("1", "0")] for _ in range(TURNS)]
    with_them, without = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
    return {QUERY: with_them / without}
