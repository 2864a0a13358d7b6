"""docs/benchmarks.md and its plots, from saved results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.grid import Cells, Grid, markdown
from benchmarks.harness import CASES, ROOT, Measurements, format_number
from benchmarks.targets import summary

PLOTS = ROOT / "docs" / "plots"
#: Lines of a bar or line chart by grid: the headings that are drawn.
BARS = {"nexmark": ("steps of 100,000", "steps of 10,000", "DuckDB again", "Pathway")}
LINES = {"scaling_state": "rows already there", "scaling_delta": "rows changed"}


def page(saved: Mapping[str, Any], grids: Mapping[str, Grid]) -> str:
    """The whole page; draws the plots beside it."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (a quick selection) and `make bench-full`; every result was checked before its speed "
        "was noted. Medians of up to three processes, fewer where one takes long in the quick selection.",
        "",
        ", ".join(f"{name} {value}" for name, value in saved["environment"].items()),
        "",
        *summary(saved),
    ]
    for name, rows in saved["grids"].items():
        if rows:
            lines += markdown(grids[name], rows)
            lines += _plot(name, grids[name].title, rows)
    for name, measurements in saved["cases"].items():
        lines += _case(name, measurements)
    return "\n".join(lines)


def _case(name: str, measurements: Measurements) -> list[str]:
    benchmark = CASES[name]
    doc = " ".join((benchmark.function.__doc__ or "").split())
    lines = [f"## {benchmark.title}", "", doc, "", f"| what | {benchmark.unit} |", "|---|---:|"]
    lines += [f"| {what} | {format_number(value)} |" for what, value in measurements.items()]
    if benchmark.target is not None:
        first = next(iter(measurements.values()))
        reached = first >= benchmark.target if benchmark.higher_is_better else first <= benchmark.target
        sign = "at least" if benchmark.higher_is_better else "at most"
        verdict = "reached" if reached else "**not reached**"
        lines += [
            "",
            f"Target for the first row: {sign} {format_number(benchmark.target)} {benchmark.unit}: {verdict}.",
        ]
    return [*lines, ""]


def _plot(name: str, title: str, rows: Mapping[str, Cells]) -> list[str]:
    if name not in BARS and name not in LINES:
        return []
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yscale("log")
    if name in BARS:
        headings = BARS[name]
        width = 0.8 / len(headings)
        for i, heading in enumerate(headings):
            at = [j for j, cells in enumerate(rows.values()) if isinstance(cells.get(heading), int | float)]
            heights = [float(cells[heading]) for cells in rows.values() if isinstance(cells.get(heading), int | float)]
            axes.bar([j + i * width for j in at], heights, width, label=heading)
        axes.set_xticks([j + 0.4 - width / 2 for j in range(len(rows))], list(rows))
        axes.set_ylabel("events per second")
    else:
        axes.set_xscale("log")
        for row, cells in rows.items():
            points = [
                (int(heading.removesuffix(" rows").replace(",", "")), value)
                for heading, value in cells.items()
                if heading.endswith(" rows") and isinstance(value, float)
            ]
            axes.plot(*zip(*points, strict=True), marker="o", label=row)
        axes.set_xlabel(LINES[name])
        axes.set_ylabel("ms of a step")
    axes.legend(fontsize="small")
    PLOTS.mkdir(parents=True, exist_ok=True)
    path: Path = PLOTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    return [f"![{title}](plots/{name}.svg)", ""]
