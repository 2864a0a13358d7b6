"""`python -m benchmarks [--only NAME ...]`: run the cases, save JSON, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks import end_to_end, engine, recursion, server  # noqa: F401 - importing declares the cases
from benchmarks.harness import CASES, ROOT, format_number, report, run_case
from benchmarks.nexmark import cases  # noqa: F401


def main() -> int:
    """Run what was asked for; with `--case` run one case in this process and print its measurements as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--case", choices=CASES, help="run one case once, in this process, and print JSON")
    parser.add_argument("--only", nargs="+", choices=CASES, help="run only these, and do not rewrite the report")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(CASES[arguments.case].function()))
        return 0
    results = {}
    for name in arguments.only or CASES:
        results[name] = run_case(CASES[name])
        shown = ", ".join(f"{what}: {format_number(value)} {CASES[name].unit}" for what, value in results[name].items())
        print(f"{name}: {shown}", flush=True)
    if not arguments.only:
        (ROOT / "benchmarks" / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        (ROOT / "docs" / "benchmarks.md").write_text(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
