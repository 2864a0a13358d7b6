"""Tables of measurements: a row a query, each cell from a process of its own, medians of several runs.

A grid is a list of jobs. A job fills some cells of one row: it runs a command that prints a JSON object as its last
line, and says under which headings the values go. What fails, or takes too long, is a cell that says so.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """A heading whose cells are those of one heading divided by those of another, times the factor."""

    heading: str
    above: str
    below: str
    factor: float = 1


@dataclass(frozen=True)
class Target:
    """What the cells under a heading are to reach: `values` by row; at least so much, or at most."""

    values: Mapping[str, float]
    at_least: bool = True

    def reached(self, row: str, value: float) -> bool | None:
        """None where the row has no target."""
        target = self.values.get(row)
        return None if target is None else value >= target if self.at_least else value <= target


@dataclass(frozen=True)
class Part:
    """Some headings of a grid, shown as a table of their own."""

    title: str
    text: str
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A section of the report: `jobs(full)` of the quick or the full selection; targets by heading. Headings that no
    part takes are its first table."""

    name: str
    title: str
    text: str
    jobs: Callable[[bool], Iterable[Job]]
    ratios: tuple[Ratio, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


def run_grid(grid: Grid, full: bool, budget_s: float) -> dict[str, Cells]:
    """All cells by row and heading; each is run up to `job.runs` times, within the budget."""
    rows: dict[str, Cells] = {}
    for job in grid.jobs(full):
        begin = time.monotonic()
        cells = rows.setdefault(job.row, {})
        cells.update(_run(job, budget_s))
        shown = ", ".join(f"{heading}: {_cell(cells[heading])}" for heading in job.headings.values())
        print(f"{grid.name} {job.row}: {shown} ({time.monotonic() - begin:.0f} s)", flush=True)
    for ratio in grid.ratios:
        for cells in rows.values():
            above, below = cells.get(ratio.above), cells.get(ratio.below)
            if isinstance(above, float) and isinstance(below, float) and below:
                cells[ratio.heading] = above / below * ratio.factor
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
    apart = {heading for part in grid.parts for heading in part.headings}
    headings = [h for h in dict.fromkeys(heading for cells in rows.values() for heading in cells) if h not in apart]
    lines = [f"## {grid.title}", "", grid.text, "", *_table(grid, rows, headings)]
    for part in grid.parts:
        filled = {row: cells for row, cells in rows.items() if any(cells.get(h) for h in part.headings)}
        if filled:
            lines += [f"### {part.title}", "", part.text, "", *_table(grid, filled, part.headings)]
    return lines


def _table(grid: Grid, rows: Mapping[str, Cells], headings: Sequence[str]) -> list[str]:
    titles, columns = [""], []
    for heading in headings:
        titles.append(heading)
        columns.append([_cell(cells.get(heading, "")) for cells in rows.values()])
        if heading in grid.targets:
            titles.append("target")
            target = grid.targets[heading]
            columns.append([_verdict(target, row, cells.get(heading)) for row, cells in rows.items()])
    lines = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {' | '.join(line)} |" for line in zip(rows, *columns, strict=True)]
    return [*lines, ""]


def _verdict(target: Target, row: str, value: float | str | None) -> str:
    if row not in target.values:
        return ""
    reached = isinstance(value, float) and target.reached(row, value)
    return f"{format_number(target.values[row])}: {'reached' if reached else '**not reached**'}"


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(value)
