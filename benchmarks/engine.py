"""The engine alone: Arrow batches in, view deltas out, one thread, no connectors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.harness import Measurements, case
from millstream.circuit.circuit import Circuit
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.zset.changes import ChangeBatch

STEP_ROWS = 100_000
STEPS = 20
USERS = 1_000_000
REGIONS = 1_000

SCHEMA = """
CREATE TABLE users (id BIGINT NOT NULL, region INT NOT NULL, score BIGINT NOT NULL);
CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT NOT NULL, amount BIGINT NOT NULL, city VARCHAR NOT NULL);
"""
JOIN = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT o.id, o.amount, u.region FROM orders o JOIN users u ON o.user_id = u.id;
"""
)
LEFT_JOIN = JOIN.replace(" JOIN ", " LEFT JOIN ")
GROUP_BY = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT user_id % 10000 AS bucket, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY user_id % 10000;
"""
)
GROUP_BY_TEXT = (
    SCHEMA
    + """
CREATE MATERIALIZED VIEW v AS
SELECT city, COUNT(*) AS n, AVG(amount) AS mean, MIN(amount) AS low, MAX(amount) AS high FROM orders GROUP BY city;
"""
)
FILTER = (
    SCHEMA
    + """
CREATE VIEW v AS
SELECT id, user_id + amount AS score FROM orders WHERE amount >= 500 AND user_id <> 7;
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
COLUMNS = {"users": ["id", "region", "score"], "orders": ["id", "user_id", "amount", "city"]}
CITIES = pa.array([f"city-{i:05d}" for i in range(10_000)], pa.large_string())


def compiled(text: str) -> Program:
    """The program, which must compile."""
    result = compile_program(text)
    assert result.program is not None, [m.message for m in result.messages]
    return result.program


def batch(*columns: np.ndarray | pa.Array) -> ChangeBatch:
    """Inserted rows of columns."""
    return ChangeBatch(tuple(c if isinstance(c, pa.Array) else pa.array(c) for c in columns), len(columns[0]))


def users() -> ChangeBatch:
    """The dimension table: a million rows."""
    ids = np.arange(USERS, dtype=np.int64)
    return batch(ids, (ids % REGIONS).astype(np.int32), ids * 7 % 1013)


def orders(count: int, seed: int) -> ChangeBatch:
    """`count` orders of random users."""
    rng = np.random.default_rng(seed)
    ids = np.arange(seed * count, (seed + 1) * count, dtype=np.int64)
    cities = CITIES.take(pa.array(rng.integers(0, len(CITIES), count)))
    return batch(ids, rng.integers(0, USERS, count), rng.integers(0, 1000, count), cities)


def table_of(name: str, parts: list[ChangeBatch]) -> pa.Table:
    """The rows of batches under the table's column names."""
    return pa.concat_tables(pa.table(list(part.columns), names=COLUMNS[name]) for part in parts)


def query_of(text: str) -> str:
    """The query of the program's view, which DuckDB understands, too."""
    return text.split(" AS\n", 1)[1].strip().rstrip(";").replace("AVG(amount)", "SUM(amount) // COUNT(amount)")


def duckdb_of(batches: dict[str, list[ChangeBatch]]) -> duckdb.DuckDBPyConnection:
    """A database on one thread that holds the same rows."""
    database = duckdb.connect(config={"threads": 1})
    for name, parts in batches.items():
        database.register("incoming", table_of(name, parts))
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        database.unregister("incoming")
    return database


def check(actual: pa.Table, text: str, batches: dict[str, list[ChangeBatch]]) -> None:
    """The view equals DuckDB's answer."""
    database = duckdb_of(batches)
    database.register("actual", actual)
    query = query_of(text)
    for left, right in ((query, "FROM actual"), ("FROM actual", query)):
        missing = database.execute(f"SELECT count(*) FROM (({left}) EXCEPT ALL ({right}))").fetchall()
        assert missing == [(0,)], "the view differs from DuckDB's answer"


def throughput(text: str, *, steps: int = STEPS) -> Measurements:
    """Rows per second of `orders` through the view, with `users` loaded; DuckDB re-runs the query after every step."""
    circuit = Circuit(compiled(text))
    loaded = users()
    circuit.step({"users": [loaded]})
    parts = [orders(STEP_ROWS, seed) for seed in range(steps + 2)]
    deltas = [circuit.step({"orders": [part]}).deltas.get("v") for part in parts[:2]]  # kernels compile, caches fill
    seconds = []
    for part in parts[2:]:
        begin = time.perf_counter()
        deltas.append(circuit.step({"orders": [part]}).deltas.get("v"))
        seconds.append(time.perf_counter() - begin)
    if "v" in circuit.snapshot().relations:
        actual = circuit.snapshot().table("v")
    else:
        names = [column.name for column in circuit.program.views[0].schema]
        actual = pa.concat_tables(pa.table(list(d.columns), names=names) for d in deltas if d is not None)
    check(actual, text, {"users": [loaded], "orders": parts})
    return {
        "Millstream, incremental, one thread": steps * STEP_ROWS / sum(seconds),
        "Millstream, median step": STEP_ROWS / statistics.median(seconds),
        "DuckDB, the query run again after every step, one thread": requery(text, loaded, parts),
    }


def requery(text: str, loaded: ChangeBatch, parts: list[ChangeBatch]) -> float:
    """Rows per second when a user inserts each batch into DuckDB and runs the query again."""
    query = query_of(text)
    database = duckdb_of({"users": [loaded], "orders": parts[:2]})
    begin = time.perf_counter()
    for part in parts[2:]:
        database.register("incoming", table_of("orders", [part]))
        database.execute("INSERT INTO orders SELECT * FROM incoming")
        database.sql(query).to_arrow_table()
    return (len(parts) - 2) * STEP_ROWS / (time.perf_counter() - begin)


@case("Join with a table of 1,000,000 rows", "rows/s", target=1_500_000)
def join_throughput() -> Measurements:
    """Orders in steps of 100,000 rows joined with a million users; every joined row is an output of the view."""
    return throughput(JOIN)


@case("Left join with a table of 1,000,000 rows", "rows/s", target=1_500_000, quick=False)
def left_join_throughput() -> Measurements:
    """The same with LEFT JOIN: the engine also keeps count of the matches of each user."""
    return throughput(LEFT_JOIN)


@case("GROUP BY with COUNT and SUM", "rows/s", target=1_500_000, quick=False)
def group_by_throughput() -> Measurements:
    """Orders in steps of 100,000 rows grouped into 10,000 groups."""
    return throughput(GROUP_BY)


@case("GROUP BY text with COUNT, AVG, MIN and MAX", "rows/s", target=1_500_000)
def group_by_text_throughput() -> Measurements:
    """Orders in steps of 100,000 rows grouped by 10,000 names of cities; rows could be deleted, so all amounts are kept
    for MIN and MAX."""
    return throughput(GROUP_BY_TEXT)


@case("Filter and projection", "rows/s", quick=False)
def filter_throughput() -> Measurements:
    """Orders in steps of 100,000 rows through WHERE and an addition, to the consolidated change of the view."""
    return throughput(FILTER)


@case("Join and GROUP BY together", "rows/s", target=1_500_000, quick=False)
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
    check(circuit.snapshot().table("v"), JOIN_GROUP_BY, {"users": [loaded], "orders": [*parts, *singles]})
    database = duckdb_of({"users": [loaded], "orders": parts})
    query = query_of(JOIN_GROUP_BY)

    def requery_one(i: int) -> None:
        values = [c[0].as_py() for c in singles[i].columns]
        database.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", values)
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
