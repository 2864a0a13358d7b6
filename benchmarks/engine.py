"""The engine alone: Arrow batches in, view deltas out, one thread, no connectors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa
from millstream.circuit.circuit import Circuit
from millstream.sql.compile import compile_program

from benchmarks.harness import Measurements, case
from millstream.plan.program import Program
from millstream.zset.changes import ChangeBatch

STEP_ROWS = 100_000
STEPS = 20
USERS = 1_000_000
REGIONS = 1_000

SCHEMA = """
CREATE TABLE users (id BIGINT NOT NULL, region INT NOT NULL, score BIGINT NOT NULL);
CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT NOT NULL, amount BIGINT NOT NULL);
"""
JOIN = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT o.id, o.amount, u.region FROM orders o JOIN users u ON o.user_id = u.id;
"""
)
GROUP_BY = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT user_id % 1000 AS bucket, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY user_id % 1000;
"""
)
JOIN_GROUP_BY = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT u.region, COUNT(*) AS n, SUM(o.amount) AS total
FROM orders o JOIN users u ON o.user_id = u.id GROUP BY u.region;
"""
)


def compiled(text: str) -> Program:
    """The program, which must compile."""
    result = compile_program(text)
    assert result.program is not None, [m.message for m in result.messages]
    return result.program


def batch(*columns: np.ndarray) -> ChangeBatch:
    """Inserted rows of numpy columns."""
    return ChangeBatch(tuple(pa.array(c) for c in columns), len(columns[0]))


def users() -> ChangeBatch:
    """The dimension table: a million rows."""
    ids = np.arange(USERS, dtype=np.int64)
    return batch(ids, (ids % REGIONS).astype(np.int32), ids * 7 % 1013)


def orders(count: int, seed: int) -> ChangeBatch:
    """`count` orders of random users."""
    rng = np.random.default_rng(seed)
    ids = np.arange(seed * count, (seed + 1) * count, dtype=np.int64)
    return batch(ids, rng.integers(0, USERS, count), rng.integers(0, 1000, count))


def duckdb_of(batches: dict[str, list[ChangeBatch]]) -> duckdb.DuckDBPyConnection:
    """A database on one thread that holds the same rows."""
    database = duckdb.connect(config={"threads": 1})
    names = {"users": ("id", "region", "score"), "orders": ("id", "user_id", "amount")}
    for table, parts in batches.items():
        rows = pa.concat_tables(pa.table(list(p.columns), names=list(names[table])) for p in parts)
        database.register("incoming", rows)
        database.execute(f"CREATE TABLE {table} AS SELECT * FROM incoming")
        database.unregister("incoming")
    return database


def check(circuit: Circuit, text: str, batches: dict[str, list[ChangeBatch]]) -> None:
    """The view equals DuckDB's answer."""
    query = text.split(" AS\n", 1)[1].strip().rstrip(";")
    expected = duckdb_of(batches).execute(f"SELECT * FROM ({query}) ORDER BY ALL").fetchall()
    actual = sorted(tuple(row.values()) for row in circuit.snapshot().table("v").to_pylist())
    assert actual == [tuple(row) for row in expected], "the view differs from DuckDB's answer"


def throughput(text: str) -> Measurements:
    """Rows per second of `orders` through the view, with `users` loaded; DuckDB re-runs the query after every step."""
    circuit = Circuit(compiled(text))
    loaded = users()
    circuit.step({"users": [loaded]})
    parts = [orders(STEP_ROWS, seed) for seed in range(STEPS + 2)]
    for part in parts[:2]:  # kernels compile, caches fill
        circuit.step({"orders": [part]})
    begin = time.perf_counter()
    for part in parts[2:]:
        circuit.step({"orders": [part]})
    seconds = time.perf_counter() - begin
    check(circuit, text, {"users": [loaded], "orders": parts})
    return {
        "Millstream, incremental, one thread": STEPS * STEP_ROWS / seconds,
        "DuckDB, the query run again after every step, one thread": requery(text, loaded, parts),
    }


def requery(text: str, loaded: ChangeBatch, parts: list[ChangeBatch]) -> float:
    """Rows per second when a user inserts each batch into DuckDB and runs the query again."""
    query = text.split(" AS\n", 1)[1].strip().rstrip(";")
    database = duckdb_of({"users": [loaded], "orders": parts[:2]})
    begin = time.perf_counter()
    for part in parts[2:]:
        rows = pa.table(list(part.columns), names=["id", "user_id", "amount"])
        database.register("incoming", rows)
        database.execute("INSERT INTO orders SELECT * FROM incoming")
        database.execute(query).to_arrow_table()
    return STEPS * STEP_ROWS / (time.perf_counter() - begin)


@case("Join with a table of 1,000,000 rows", "rows/s", target=1_500_000)
def join_throughput() -> Measurements:
    """Orders in steps of 100,000 rows joined with a million users; every joined row is an output of the view."""
    return throughput(JOIN)


@case("GROUP BY with COUNT and SUM", "rows/s", target=1_500_000)
def group_by_throughput() -> Measurements:
    """Orders in steps of 100,000 rows grouped into 1,000 groups."""
    return throughput(GROUP_BY)


@case("Join and GROUP BY together", "rows/s", target=1_500_000)
def join_group_by_throughput() -> Measurements:
    """Orders in steps of 100,000 rows joined with a million users and grouped by region."""
    return throughput(JOIN_GROUP_BY)


def latencies(change: Callable[[int], object]) -> list[float]:
    """Milliseconds of 300 calls, after 20 that warm up."""
    samples = []
    for index in range(320):
        begin = time.perf_counter()
        change(index)
        samples.append((time.perf_counter() - begin) * 1e3)
    return samples[20:]


@case("Latency of a one-row change", "ms", target=5.0, higher_is_better=False)
def one_row_latency() -> Measurements:
    """One order through the join and the aggregate, with 1,000,000 users and 1,000,000 orders as state; DuckDB inserts
    the row and runs the query again."""
    circuit = Circuit(compiled(JOIN_GROUP_BY))
    loaded = users()
    circuit.step({"users": [loaded]})
    parts = [orders(STEP_ROWS, seed) for seed in range(10)]
    for part in parts:
        circuit.step({"orders": [part]})
    singles = [orders(1, 10_000_000 + i) for i in range(320)]
    ours = latencies(lambda i: circuit.step({"orders": [singles[i]]}))
    check(circuit, JOIN_GROUP_BY, {"users": [loaded], "orders": [*parts, *singles]})
    database = duckdb_of({"users": [loaded], "orders": parts})
    query = JOIN_GROUP_BY.split(" AS\n", 1)[1].strip().rstrip(";")

    def requery_one(i: int) -> None:
        values = [c[0].as_py() for c in singles[i].columns]
        database.execute("INSERT INTO orders VALUES (?, ?, ?)", values)
        database.execute(query).fetchall()

    theirs = [0.0] * 12
    for i in range(12):
        begin = time.perf_counter()
        requery_one(i)
        theirs[i] = (time.perf_counter() - begin) * 1e3
    return {
        "Millstream, median": statistics.median(ours),
        "Millstream, 99th percentile": float(np.percentile(ours, 99)),
        "DuckDB, insert and run the query again, one thread, median": statistics.median(theirs[2:]),
    }
