"""Tables of measurements: a row a query, each cell from a process of its own, medians of several runs.

A grid is a list of jobs. A job fills some cells of one row: it runs a command that prints a JSON object as its last
line, and says under which headings the values go. What fails, or takes too long, is a cell that says so.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.harness import format_number, medians

Cells = dict[str, float | str]
TIMEOUT_S = 1200


@dataclass(frozen=True)
class Job:
    """`module` with `arguments` measures cells of `row`; `headings` maps what it prints to headings of the table."""

    row: str
    module: str
    arguments: tuple[str, ...]
    headings: Mapping[str, str]
    runs: int = 3


@dataclass(frozen=True)
class Ratio:
    """A heading whose cells are those of one heading divided by those of another."""

    heading: str
    above: str
    below: str


@dataclass(frozen=True)
class Grid:
    """A table of the report: `jobs(full)` of the quick or the full selection; `targets` by row for one heading."""

    name: str
    title: str
    text: str
    jobs: Callable[[bool], Sequence[Job]]
    ratios: tuple[Ratio, ...] = ()
    target_of: str | None = None
    targets: Mapping[str, float] = field(default_factory=dict)


def run_grid(grid: Grid, full: bool, budget_s: float) -> dict[str, Cells]:
    """All cells by row and heading; each is run up to `job.runs` times, within the budget."""
    rows: dict[str, Cells] = {}
    for job in grid.jobs(full):
        cells = rows.setdefault(job.row, {})
        cells.update(_run(job, budget_s))
        shown = ", ".join(f"{heading}: {_cell(cells[heading])}" for heading in job.headings.values())
        print(f"{grid.name} {job.row}: {shown}", flush=True)
    for ratio in grid.ratios:
        for cells in rows.values():
            above, below = cells.get(ratio.above), cells.get(ratio.below)
            if isinstance(above, float) and isinstance(below, float) and below:
                cells[ratio.heading] = above / below
    return rows


def _run(job: Job, budget_s: float) -> Cells:
    command = [sys.executable, "-m", job.module, *job.arguments]
    try:
        found = medians(command, job.runs, budget_s, TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return dict.fromkeys(job.headings.values(), "too long")
    except RuntimeError as error:
        print(str(error).rstrip().splitlines()[-1], " ".join(command), sep=": ", file=sys.stderr)
        return dict.fromkeys(job.headings.values(), "failed")
    return {heading: found[name] for name, heading in job.headings.items()}


def markdown(grid: Grid, rows: Mapping[str, Cells]) -> list[str]:
    """The section of docs/benchmarks.md."""
    headings = list(dict.fromkeys(heading for cells in rows.values() for heading in cells))
    if grid.targets and grid.target_of in headings:
        headings.insert(headings.index(grid.target_of) + 1, "target")
    lines = [f"## {grid.title}", "", grid.text, ""]
    lines += [f"| | {' | '.join(headings)} |", f"|---|{'---:|' * len(headings)}"]
    for row, cells in rows.items():
        shown = []
        for heading in headings:
            if heading == "target":
                shown.append(_verdict(grid.targets.get(row), cells.get(grid.target_of or "")))
            else:
                shown.append(_cell(cells.get(heading, "")))
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return [*lines, ""]


def _verdict(target: float | None, value: float | str | None) -> str:
    if target is None:
        return ""
    reached = isinstance(value, float) and value >= target
    return f"{format_number(target)}: {'reached' if reached else '**not reached**'}"


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(value)
