"""Pathway's speed on a query: it runs in an environment of its own, over files written here, and is checked, too."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from benchmarks.harness import ROOT, Measurements
from benchmarks.nexmark.program import FOLDER, NAMES, events, oracle_of, side_input
from millstream import Pipeline

PYTHON = ROOT / ".venv-rivals" / "bin" / "python"
SCRIPT = Path(__file__).parent / "pathway_run.py"
#: What each query reads; queries that are not here are not written for Pathway.
READS = {
    "q0": "bid", "q1": "bid", "q2": "bid", "q3": "auction,person", "q4": "auction,bid", "q5": "bid", "q7": "bid",
    "q8": "person,auction", "q9": "auction,bid", "q11": "bid", "q12": "bid", "q13": "bid,side_input", "q14": "bid",
    "q15": "bid", "q16": "bid", "q17": "bid", "q18": "bid", "q20": "bid,auction",
}  # fmt: skip
CSV = {"name": "csv", "config": {"headers": True}}
CHECKED_EVENTS = 20_000
#: A difference of two runs below this share of one is noise: it counts as so much.
RESOLUTION = 0.05
_TIMES = ("TIMESTAMP", "DATE")
TIMEOUT_S = 1800


def pathway(query: str, num_events: int) -> Measurements:
    """Events per second of the query alone, which is the run less one that only reads the same files; of the run; and
    of Millstream over such files. AssertionError if Pathway's answer over the first events is not DuckDB's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, CHECKED_EVENTS, READS[query])
        _run(query, folder, "--output", str(folder / "answer.csv"))
        _check(query, folder)
        _write(folder, num_events, READS[query])
        whole = _run(query, folder)
        read = _run("read:" + READS[query], folder)
        ours = [_millstream(query, folder, count) for count in (CHECKED_EVENTS, num_events)][-1]
    return {
        "events/s": num_events / max(whole - read, whole * RESOLUTION),
        "with reading, events/s": num_events / whole,
        "Millstream with reading, events/s": num_events / ours,
    }


def _millstream(query: str, folder: Path, num_events: int) -> float:
    """Seconds from the start of connectors that read such files (times as text, all columns) until the view, which is
    kept, has all rows."""
    statements = []
    for statement in (FOLDER / "tables.sql").read_text().split(";")[:-1]:
        kind = statement.split()[2]
        if kind in READS[query].split(","):
            path = folder / f"{kind}.text.csv"
            pyarrow.csv.write_csv(_tables(num_events)[kind], path)
            connector = {"name": "c", "transport": {"name": "file_input", "config": {"path": str(path)}}, "format": CSV}
            statement += f" WITH ('connectors' = '{json.dumps([connector])}')"
        statements.append(statement)
    statements.append(f"CREATE MATERIALIZED VIEW {query} AS {(FOLDER / f'{query}.sql').read_text()}")
    with Pipeline(";".join(statements)) as pipeline:
        begin = time.perf_counter()
        pipeline.start()
        pipeline.wait_for_completion()
        seconds = time.perf_counter() - begin
        found = pipeline.snapshot(query).num_rows
    database = duckdb.connect()
    for name, table in _tables(num_events).items():
        database.register(name, table)
    ((wanted,),) = database.execute(f"SELECT COUNT(*) FROM ({oracle_of(query)})").fetchall()
    assert found == wanted, f"{query} from files: {found} rows instead of {wanted}"
    return seconds


def _tables(num_events: int) -> dict[str, pa.Table]:
    made = events(0, num_events) | side_input()
    return {name: pa.table(list(made[name][0].columns), names=NAMES[name]) for name in NAMES}


def _write(folder: Path, num_events: int, kinds: str) -> None:
    tables = _tables(num_events)
    for kind in kinds.split(","):
        table = tables[kind]
        if kind == "person":
            table = table.select(["id", "name", "city", "state", "date_time"])
        for i, column in enumerate(table.column_names):
            if pa.types.is_timestamp(table.schema.field(i).type):
                table = table.set_column(i, column, pc.cast(table.column(i), pa.int64()))
        table = table.rename_columns(["key" if name == "id" else name for name in table.column_names])
        pyarrow.csv.write_csv(table, folder / f"{kind}.csv")


def _run(query: str, folder: Path, *options: str) -> float:
    """Seconds of a run; Pathway uses one thread, and tells nobody about it."""
    environment = {**os.environ, "PATHWAY_THREADS": "1", "PATHWAY_TELEMETRY_SERVER": "", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [PYTHON, SCRIPT, query, folder, *options], capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        env=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"Pathway failed on {query}: {done.stderr.strip().splitlines()[-1:]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


def _check(query: str, folder: Path) -> None:
    database = duckdb.connect()
    for name, table in _tables(CHECKED_EVENTS).items():
        database.register(name, table)
    answer = database.sql(oracle_of(query))
    columns = list(zip(answer.columns, (str(kind) for kind in answer.types), strict=True))
    wanted = ", ".join(f"epoch_us({name}) AS {name}" if kind in _TIMES else name for name, kind in columns)
    found = ", ".join(
        f"CAST({'key' if name == 'id' else name} AS {'BIGINT' if kind in _TIMES else kind}) AS {name}"
        for name, kind in columns
    )
    want = f"SELECT {wanted}, COUNT(*)::BIGINT AS n FROM ({oracle_of(query)}) GROUP BY ALL"
    got = f"""SELECT {found}, SUM(diff)::BIGINT AS n FROM read_csv('{folder / "answer.csv"}')
        GROUP BY ALL HAVING SUM(diff) <> 0"""
    for left, right in ((got, want), (want, got)):
        ((count,),) = database.execute(f"SELECT COUNT(*) FROM (({left}) EXCEPT ALL ({right}))").fetchall()
        assert count == 0, f"Pathway's {query}: {count} rows differ from DuckDB's answer"
