"""From SQL text to the first result: in a process that has run programs, in a new one, and the first time ever.

`python -m benchmarks.first_run` prints the seconds since its process began until a joined and grouped view has its
first rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.harness import ROOT, Measurements, case

PROGRAM = """
CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, country VARCHAR);
CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT, amount DECIMAL(12, 2), placed TIMESTAMP);
CREATE MATERIALIZED VIEW spending AS
SELECT country, COUNT(*) AS n, SUM(amount) AS total, MAX(placed) AS latest
FROM orders JOIN users ON users.id = orders.user_id GROUP BY country;
"""
USERS = [{"id": 1, "country": "NO"}, {"id": 2, "country": "DK"}]
ORDERS = [
    {"id": 10, "user_id": 1, "amount": "12.50", "placed": "2024-05-01 10:00:00"},
    {"id": 11, "user_id": 1, "amount": "7.50", "placed": "2024-05-01 11:00:00"},
]
WARM_PROGRAMS = 10


def first_result() -> None:
    """Compile the program, feed both tables, and check what is in the view."""
    from millstream import Pipeline  # part of what is measured

    with Pipeline(PROGRAM) as pipeline:
        pipeline.push("users", USERS)
        pipeline.push("orders", ORDERS)
        pipeline.step()
        (row,) = pipeline.snapshot("spending", "dicts")
    assert (row["country"], row["n"], str(row["total"])) == ("NO", 2, "20.00"), row


def in_new_process(**environment: str) -> float:
    """Seconds that a process prints for its first result. Python keeps compiled modules, as it does by default."""
    command = [sys.executable, "-m", "benchmarks.first_run"]
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | environment
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True)
    return float(done.stdout)


def run_of_files() -> float:
    """Seconds from the call of `millstream run` to its end, the view in JSON."""
    with tempfile.TemporaryDirectory() as directory:
        program = PROGRAM
        for table, rows in (("users", USERS), ("orders", ORDERS)):
            path = Path(directory) / f"{table}.json"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            transport = {"name": "file_input", "config": {"path": str(path)}}
            connectors = [{"transport": transport, "format": {"name": "json", "config": {"update_format": "raw"}}}]
            begin = program.index(");", program.index(f"TABLE {table}"))
            program = f"{program[:begin]}) WITH ('connectors' = '{json.dumps(connectors)}');{program[begin + 2 :]}"
        sql = Path(directory) / "program.sql"
        sql.write_text(program)
        command = [sys.executable, "-m", "millstream.cli.main", "run", "--json", str(sql)]
        begin_s = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begin_s
    (row,) = json.loads(done.stdout)["views"]["spending"]
    assert (row["country"], row["n"]) == ("NO", 2), row
    return seconds


@case("From SQL text to the first result", "s", target=1, higher_is_better=False)
def sql_to_first_result() -> Measurements:
    """A program with a join and an aggregate: text, two tables fed, view read. In a process that has run it before
    (median of ten), in a new process with its imports, by `millstream run` with both tables in files, and in a new
    process without any compiled kernel on disk."""
    first_result()
    samples = []
    for _ in range(WARM_PROGRAMS):
        begin = time.perf_counter()
        first_result()
        samples.append(time.perf_counter() - begin)
    in_new_process()  # compiles what Python has not compiled yet
    # The process that compiles beside the first one ends a moment after it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kernels:
        coldest = in_new_process(NUMBA_CACHE_DIR=kernels)
    return {
        "a new process": in_new_process(),
        "millstream run": run_of_files(),
        "a process that has run it before": sorted(samples)[WARM_PROGRAMS // 2],
        "the first time on a machine (target 10 s)": coldest,
    }


if __name__ == "__main__":
    first_result()
    print(time.time() - psutil.Process().create_time())
