"""How a benchmark case is declared, run and written down.

A case is a function that takes no arguments and returns measurements by name. It runs in a process of its own
(`python -m benchmarks --case NAME`), up to `runs` times; the report shows medians. A case raises AssertionError when
its result is wrong: then there is no number.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

Measurements = dict[str, float]
ROOT = Path(__file__).parent.parent
TIMEOUT_S = 300
#: What is installed to compare with, and the line that says which Pathway.
LOCK = ROOT / "benchmarks" / "rivals.lock"
PATHWAY = re.compile(r"(?P<name>pathway)==(?P<version>[^ ;]+)")


@dataclass(frozen=True)
class Case:
    """A benchmark. `unit` is that of every measurement; `target` is what the first one should reach (None: no target);
    `higher_is_better` says which side of the target is good; `quick` whether it is in the quick selection."""

    name: str
    title: str
    unit: str
    function: Callable[[], Measurements]
    runs: int
    target: float | None
    higher_is_better: bool
    quick: bool


CASES: dict[str, Case] = {}


def case(
    title: str,
    unit: str,
    *,
    target: float | None = None,
    higher_is_better: bool = True,
    runs: int = 3,
    quick: bool = True,
) -> Callable[[Callable[[], Measurements]], Callable[[], Measurements]]:
    """Declare the decorated function as a case."""

    def register(function: Callable[[], Measurements]) -> Callable[[], Measurements]:
        name = function.__name__
        CASES[name] = Case(name, title, unit, function, runs, target, higher_is_better, quick)
        return function

    return register


def run_case(benchmark: Case, budget_s: float) -> Measurements:
    """Medians over `runs` processes, or as many as begin within the budget."""
    return medians([sys.executable, "-m", "benchmarks", "--case", benchmark.name], benchmark.runs, budget_s, TIMEOUT_S)


def medians(command: Sequence[str], runs: int, budget_s: float, timeout_s: float) -> Measurements:
    """What the command prints as JSON in its last line: medians of one to `runs` processes, none of which begins when
    `budget_s` seconds have passed. Raises RuntimeError if one fails, subprocess.TimeoutExpired if it takes too long."""
    samples: list[Measurements] = []
    begin = time.monotonic()
    while not samples or (len(samples) < runs and time.monotonic() - begin < budget_s):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        samples.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {name: statistics.median(s[name] for s in samples) for name in samples[0]}


def environment() -> dict[str, str]:
    """What the numbers depend on: machine and versions."""
    packages = ("millstream", "pyarrow", "numba", "numpy", "duckdb", "datafusion", "feldera")
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        **{found["name"]: found["version"] for line in _lines(LOCK) if (found := PATHWAY.match(line))},
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def format_number(value: float) -> str:
    """Three significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
