"""DuckDB in the engine's place: every batch of events is inserted, then the query is run again from scratch.

Queries that keep no state (STATELESS) are run over the new batch alone, as a user of DuckDB would.
"""

from __future__ import annotations

import statistics
import time

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.harness import Measurements
from benchmarks.nexmark.measure import WARM_UP_STEPS
from benchmarks.nexmark.program import NAMES, Batches, batches, events, oracle_of, side_input

STATELESS = frozenset({"q0", "q1", "q2", "q10", "q14", "q21", "q22"})
#: The query is timed after so many batches, evenly spread; its cost in between is taken to be their mean.
SAMPLES = 10
SHOWN = "SELECT COUNT(*) FROM answer"


def rerun(query: str, num_events: int, step_events: int) -> Measurements:
    """Events per second of DuckDB on one thread; answers are stored in a table, as a view's contents would be."""
    database = duckdb.connect(config={"threads": 1})
    for name in NAMES:
        database.register("incoming", _table(name, _empty(name)))
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        database.unregister("incoming")
    _insert(database, side_input())
    total = num_events + WARM_UP_STEPS * step_events
    count = -(-total // step_events)
    sampled = set(np.linspace(WARM_UP_STEPS, count - 1, min(SAMPLES, count - WARM_UP_STEPS)).astype(int))
    ask = f"CREATE OR REPLACE TEMP TABLE answer AS {oracle_of(query)}"
    insertions, answers = [], []
    for number, batch in enumerate(batches(0, total, step_events)):
        if query in STATELESS:
            for name in NAMES:
                database.execute(f"DELETE FROM {name}")
        begin = time.perf_counter()
        _insert(database, batch)
        if number >= WARM_UP_STEPS:
            insertions.append(time.perf_counter() - begin)
        if number in sampled:
            begin = time.perf_counter()
            database.execute(ask)
            answers.append(time.perf_counter() - begin)
            database.execute(SHOWN).fetchall()
    seconds = sum(insertions) + statistics.mean(answers) * len(insertions)
    return {"events/s": num_events / seconds, "batch p50, ms": statistics.median(answers) * 1e3}


def _insert(database: duckdb.DuckDBPyConnection, batches: Batches) -> None:
    for name, parts in batches.items():
        for part in parts:
            database.register("incoming", _table(name, part.columns))
            database.execute(f"INSERT INTO {name} SELECT * FROM incoming")
            database.unregister("incoming")


def _table(name: str, columns: tuple[pa.Array, ...]) -> pa.Table:
    return pa.table(list(columns), names=NAMES[name])


def _empty(name: str) -> tuple[pa.Array, ...]:
    some = side_input() if name == "side_input" else events(0, 50)
    return tuple(column.slice(0, 0) for column in some[name][0].columns)
