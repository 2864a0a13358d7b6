"""The table at the top of the report: what the project wants to reach, and whether what was measured does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.grid import Cells, Grid, Target
from benchmarks.harness import format_number
from benchmarks.nexmark import grids as nexmark
from benchmarks.scaling import GROWTH, STATE_GRID
from benchmarks.workers import TIMES, WORKERS


@dataclass(frozen=True)
class Goal:
    """A line of the table: `heading` of `grid` for the rows that `target` names; `unit` follows the numbers."""

    what: str
    wanted: str
    grid: Grid
    heading: str
    target: Target
    unit: str = ""


def _speeds() -> Iterator[Goal]:
    for speed in sorted(set(nexmark.SPEEDS.values()), reverse=True):
        values = {query: s for query, s in nexmark.SPEEDS.items() if s == speed}
        what = f"Nexmark {', '.join(values)}, steps of 100,000 events"
        wanted = f"at least {speed / 1e6:g} M events/s"
        yield Goal(what, wanted, nexmark.THROUGHPUT, nexmark.BIG, Target(values), " events/s")


def _of(grid: Grid, heading: str, what: str, wanted: str, unit: str = "") -> Goal:
    return Goal(what, wanted, grid, heading, grid.targets[heading], unit)


_SHARE = nexmark.TARGET_SMALL / 100
GOALS = (
    *_speeds(),
    Goal(
        "steps of 1,000 events",
        f"at least {_SHARE:.0%} of the speeds above",
        nexmark.THROUGHPUT,
        nexmark.SMALL,
        Target({query: speed * _SHARE for query, speed in nexmark.SPEEDS.items()}),
        " events/s",
    ),
    _of(
        nexmark.THROUGHPUT,
        nexmark.SMALL_SHARE,
        "steps of 1,000 events",
        f"at least {_SHARE:.0%} of what was measured in steps of 100,000",
        " %",
    ),
    _of(
        nexmark.THROUGHPUT,
        nexmark.TIMES_DUCKDB,
        "against DuckDB asked again after each of 100 batches, 1 M events",
        f"at least {nexmark.TARGET_DUCKDB:g} times",
        " times",
    ),
    _of(
        nexmark.LARGE,
        nexmark.TIMES_DUCKDB,
        "against DuckDB asked again after each of 1,000 batches, 10 M events",
        f"at least {nexmark.TARGET_DUCKDB_LARGE:g} times",
        " times",
    ),
    *(
        _of(nexmark.THROUGHPUT, heading, what, f"at least {nexmark.TARGET_PATHWAY:g} times", " times")
        for heading, what in (
            (nexmark.TIMES_PATHWAY, "against Pathway, both without reading the events"),
            (nexmark.TIMES_FILES, "against Pathway, both from CSV files to a view"),
        )
    ),
    *(
        _of(nexmark.LATENCY, nexmark.LATENCIES[f"1: {name}, ms"], f"a change of one row, {name}", wanted, " ms")
        for name, wanted in (
            ("p50", f"at most {nexmark.TARGET_P50:g} ms"),
            ("p99", f"at most {nexmark.TARGET_P99:g} ms"),
        )
    ),
    _of(STATE_GRID, GROWTH, "a change of fixed size while state grows", "at most 2 times as long", " times"),
    *(
        _of(grid, nexmark.STATE_TIMES, f"state after {events} events", "at most 2 times the rows to hold", " times")
        for grid, events in ((nexmark.THROUGHPUT, "1 M"), (nexmark.LARGE, "10 M"))
    ),
    _of(WORKERS, TIMES, "two workers against one, joins and aggregates", "at least 1.6 times", " times"),
)
#: Cases: name, measurement, what is said of it, target, whether at least so much, unit.
CASE_GOALS = (
    ("ndjson_bids", "Millstream", "NDJSON file of bids to a view", 800_000.0, True, "rows/s"),
    (
        "first_result_of_a_server",
        "median of the later ones",
        "SQL text to first result, through a running server",
        1.0,
        False,
        "s",
    ),
    ("sql_to_first_result", "a new process", "SQL text to first result, a new process", 1.0, False, "s"),
    (
        "sql_to_first_result",
        "the first time on a machine (target 10 s)",
        "SQL text to first result, the first time on a machine",
        10.0,
        False,
        "s",
    ),
)


def summary(saved: Mapping[str, Any]) -> list[str]:
    """The section; lines whose measurements are missing say so."""
    lines = [
        "## Targets",
        "",
        "Which are reached in the measurements below, of two cores and one worker unless said. A line is reached when "
        "every query that was measured reaches it.",
        "",
        "| case | target | measured | |",
        "|---|---|---|---|",
    ]
    for goal in GOALS:
        measured, reached = _judge(goal, saved["grids"].get(goal.grid.name, {}))
        lines.append(f"| {goal.what} | {goal.wanted} | {measured} | {_word(reached)} |")
    for name, measurement, what, target, at_least, unit in CASE_GOALS:
        value = saved["cases"].get(name, {}).get(measurement)
        reached = None if value is None else value >= target if at_least else value <= target
        wanted = f"at {'least' if at_least else 'most'} {format_number(target)} {unit}"
        shown = "" if value is None else f"{format_number(value)} {unit}"
        lines.append(f"| {what} | {wanted} | {shown} | {_word(reached)} |")
    return [*lines, ""]


def _judge(goal: Goal, rows: Mapping[str, Cells]) -> tuple[str, bool | None]:
    """What was measured in words, and whether all of it reaches the target; None if nothing was."""
    values = {
        row: cells[goal.heading] for row, cells in rows.items() if row in goal.target.values and goal.heading in cells
    }
    failed = [row for row, value in values.items() if isinstance(value, str)]
    numbers = {row: float(value) for row, value in values.items() if not isinstance(value, str)}
    if not values:
        return "", None
    missed = [row for row, value in numbers.items() if not goal.target.reached(row, value)]

    def worst_first(row: str) -> float:
        share = numbers[row] / goal.target.values[row]
        return share if goal.target.at_least else -share

    shown = [f"{row} {_short(numbers[row])}{goal.unit}" for row in sorted(missed or numbers, key=worst_first)]
    if not missed:
        shown = shown[:1]
    said = "; ".join([*shown, *(f"{row} {values[row]}" for row in failed)])
    good = len(numbers) - len(missed)
    if good == len(values):
        return said if good == 1 else f"all {good}; worst {said}", True
    return f"{good} of {len(values)}; not {said}", False


def _short(value: float) -> str:
    return f"{value / 1e6:.3g} M" if value >= 1e5 else format_number(value)


def _word(reached: bool | None) -> str:
    return "not measured" if reached is None else "reached" if reached else "**not reached**"
