"""How the cost of a step depends on the size of the state, and on the size of the change.

`python -m benchmarks.scaling --only join --state 100000 --delta 1000` prints the milliseconds of a step as JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.engine import compiled
from benchmarks.grid import Grid, Job, Ratio, Target
from benchmarks.harness import Measurements
from millstream import no_pandas  # noqa: F401 - before anything makes Arrow values, as in the process of a pipeline
from millstream.circuit.circuit import Circuit
from millstream.zset.changes import ChangeBatch, Operation

TABLE = (
    "CREATE TABLE l (k BIGINT NOT NULL, v BIGINT NOT NULL); CREATE TABLE r (k BIGINT NOT NULL, v BIGINT NOT NULL);\n"
)
#: Keys occur about ten times in each table, whatever its size, so an operator touches about as much at every size.
ROWS_OF_KEY = 10
QUERIES = {
    "join": "SELECT l.k, l.v, r.v AS w FROM l JOIN r ON l.k = r.k",
    "left join": "SELECT l.k, l.v, r.v AS w FROM l LEFT JOIN r ON l.k = r.k",
    "sum": "SELECT k, SUM(v) AS s, COUNT(*) AS n FROM l GROUP BY k",
    "max": "SELECT k, MAX(v) AS m FROM l GROUP BY k",
    "distinct": "SELECT DISTINCT k, v FROM l",
    "top 3": "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) AS n FROM l) x WHERE n <= 3",
    "running sum": "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY v) AS s FROM l",
}
#: The whole table is one partition, and rows come at its end, as times do.
LONG_QUERIES = {
    "running sum of one partition": "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY v) AS s FROM l",
    "rank in one partition": "SELECT k, v, RANK() OVER (PARTITION BY k ORDER BY v) AS n FROM l",
    "range frame in one partition": "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY v "
    "RANGE BETWEEN 100 PRECEDING AND CURRENT ROW) AS s FROM l",
}
ALL_QUERIES = {**QUERIES, **LONG_QUERIES}
LOAD_STEPS, WARM_UP = 10, 10
#: Steps that are timed: so many, fewer where they are large.
STEPS, FEWEST_STEPS, STEP_ROWS = 100, 10, 200_000
STATES = (10_000, 100_000, 1_000_000, 10_000_000)
DELTAS = (1, 10, 100, 1_000, 10_000, 100_000)
QUICK, QUICK_STATES, QUICK_DELTAS = ("join", "sum", "top 3", "running sum"), (10_000, 1_000_000), (1, 100, 10_000)
#: The cost on the largest state by that on the smallest, and what it is to be at most.
GROWTH, TARGET = "largest by smallest", 2.0


def measure(query: str, state: int, delta: int) -> Measurements:
    """Milliseconds of a step that inserts `delta` rows into l, random ones or following ones, and deletes those of the
    step before, median of many; checked against DuckDB."""
    rng = np.random.default_rng(1)
    long = query in LONG_QUERIES
    made_rows = functools.partial(following, 0) if long else functools.partial(rows, rng, max(state // ROWS_OF_KEY, 1))
    tables = {name: made_rows(state) for name in ("l", "r")}
    circuit = Circuit(compiled(TABLE + f"CREATE VIEW v AS {ALL_QUERIES[query]};"))
    for part in range(LOAD_STEPS):
        circuit.step({name: [batch(table, part, LOAD_STEPS)] for name, table in tables.items()})
    parts = WARM_UP + min(STEPS, max(FEWEST_STEPS, STEP_ROWS // delta))
    more = delta * parts
    changes = following(state, more) if long else made_rows(more)
    seconds, deltas = [], []
    for part in range(parts):
        arriving = batch(changes, part, parts)
        leaving = [batch(changes, part - 1, parts, Operation.DELETE)] if part else []
        change = {"l": [*leaving, arriving]}
        begin = time.perf_counter()
        made = circuit.step(change).deltas.get("v")
        seconds.append(time.perf_counter() - begin)
        if made is not None:
            deltas.append(made)
    check(query, tables, changes.slice(changes.num_rows - delta), sum(int(d.weights.sum()) for d in deltas))
    return {"ms": statistics.median(seconds[WARM_UP:]) * 1e3}


def rows(rng: np.random.Generator, keys: int, count: int) -> pa.Table:
    """Random rows with columns k and v."""
    return pa.table({"k": rng.integers(0, keys, count), "v": rng.integers(0, 1 << 40, count)})


def following(first: int, count: int) -> pa.Table:
    """Rows of one key with ascending v, from the number `first` on."""
    return pa.table({"k": np.zeros(count, np.int64), "v": 10 * np.arange(first, first + count)})


def batch(table: pa.Table, part: int, parts: int, operation: Operation = Operation.INSERT) -> ChangeBatch:
    """One of equal parts of a table, inserted or deleted."""
    size = table.num_rows // parts
    piece = table.slice(part * size, size).combine_chunks()
    columns = tuple(column.combine_chunks() for column in piece.columns)
    return ChangeBatch(columns, size, np.full(size, int(operation), np.int8))


def check(query: str, tables: dict[str, pa.Table], changes: pa.Table, grown: int) -> None:
    """The view grew by as many rows as DuckDB says that it did."""
    counts = []
    for left in (tables["l"], pa.concat_tables([tables["l"], changes])):
        database = duckdb.connect(config={"threads": 1})
        database.register("l", left)
        database.register("r", tables["r"])
        ((count,),) = database.execute(f"SELECT COUNT(*) FROM ({ALL_QUERIES[query]})").fetchall()
        counts.append(int(count))
    assert counts[1] - counts[0] == grown, f"{query}: grew by {grown} rows instead of {counts[1] - counts[0]}"


def _rows(count: int) -> str:
    return f"{count:,} rows"


def _states(full: bool) -> Iterator[Job]:
    for query in ALL_QUERIES if full else QUICK:
        for state in STATES if full else QUICK_STATES:
            options = ("--only", query, "--state", str(state), "--delta", "1000")
            yield Job(query, "benchmarks.scaling", options, {"ms": _rows(state)}, 3 if full else 1)


def _deltas(full: bool) -> Iterator[Job]:
    for query in QUERIES if full else ("join",):
        for delta in DELTAS if full else QUICK_DELTAS:
            options = ("--only", query, "--state", "1000000", "--delta", str(delta))
            yield Job(query, "benchmarks.scaling", options, {"ms": _rows(delta)}, 1)


STATE_GRID = Grid(
    "scaling_state",
    "Cost of a step while the state grows",
    "Milliseconds of a step that inserts 1,000 rows and deletes 1,000, by the number of rows already "
    "there, ten of each key or all in one partition: the cost follows the change.",
    _states,
    tuple(Ratio(GROWTH, _rows(state), _rows(STATES[0])) for state in STATES[1:]),
    {GROWTH: Target(dict.fromkeys(ALL_QUERIES, TARGET), at_least=False)},
)
DELTA_GRID = Grid(
    "scaling_delta",
    "Cost of a step while the change grows",
    "Milliseconds of a step on a state of 1,000,000 rows, by the number of rows inserted, and as many deleted.",
    _deltas,
)


def main() -> None:
    """Print the measurement of one case."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling")
    parser.add_argument("--only", choices=ALL_QUERIES, required=True)
    parser.add_argument("--state", type=int, default=1_000_000)
    parser.add_argument("--delta", type=int, default=1_000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.only, arguments.state, arguments.delta)))


if __name__ == "__main__":
    main()
