"""`python -m benchmarks [--full] [--only NAME ...]`: run cases and grids, save JSON, write docs/benchmarks.md.

Without `--full` a quick selection. `--only` merges what it ran into the saved results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import compilation, end_to_end, engine, files, first_run, recursion, server, sharing  # noqa: F401 - importing declares the cases
from benchmarks.grid import Cells, Grid, run_grid
from benchmarks.harness import CASES, ROOT, Measurements, environment, format_number, run_case
from benchmarks.nexmark.grids import LARGE, LATENCY, THROUGHPUT
from benchmarks.report import page
from benchmarks.scaling import DELTA_GRID, STATE_GRID
from benchmarks.tpch.grids import TPCH
from benchmarks.workers import WORKERS

GRIDS: dict[str, Grid] = {g.name: g for g in (THROUGHPUT, LARGE, LATENCY, TPCH, WORKERS, STATE_GRID, DELTA_GRID)}
#: No further run of a case or cell begins after so many seconds: in the quick selection, in the full one.
QUICK_BUDGET_S, FULL_BUDGET_S = 6.0, 15.0
RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> int:
    """Run what was asked for; with `--case` run one case in this process and print its measurements as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--case", choices=CASES, help="run one case once, in this process, and print JSON")
    parser.add_argument("--full", action="store_true", help="all queries, sizes and step sizes: two hours")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="another file for the JSON; then no page is written"
    )
    parser.add_argument("--only", nargs="+", choices=[*CASES, *GRIDS], help="run only these")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(CASES[arguments.case].function()))
        return 0
    cases_wanted = (name for name, one in CASES.items() if one.quick or arguments.full)
    wanted = arguments.only or [*cases_wanted, *GRIDS]
    results = arguments.results
    saved = json.loads(results.read_text()) if arguments.only and results.exists() else {}
    cases: dict[str, Measurements] = saved.get("cases", {})
    grids: dict[str, dict[str, Cells]] = saved.get("grids", {})
    budget_s = FULL_BUDGET_S if arguments.full else QUICK_BUDGET_S
    for name in wanted:
        begin = time.monotonic()
        if name in CASES:
            cases[name] = run_case(CASES[name], budget_s)
            unit = CASES[name].unit
            shown = ", ".join(f"{what}: {format_number(value)} {unit}" for what, value in cases[name].items())
            print(f"{name}: {shown}", flush=True)
        else:
            grids[name] = run_grid(GRIDS[name], arguments.full, budget_s)
        print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
        # Saved after each, so that a run that is interrupted keeps what it measured.
        saved = {"environment": environment(), "cases": cases, "grids": grids}
        results.write_text(json.dumps(saved, indent=2) + "\n")
    if results == RESULTS:
        (ROOT / "docs" / "benchmarks.md").write_text(page(saved, GRIDS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
