"""SQL programs against DuckDB: the same tables, the same queries, compared after every step.

A `World` holds what both engines are fed. Rows come from small fixed pools, so that duplicates, NULLs, matching keys
and ties are frequent; a schedule is a list of steps, each a list of (table, row, action) numbers that hypothesis can
shrink. Rows of bag tables are only deleted while they are there: negative multiplicities have no meaning in DuckDB.
"""

from __future__ import annotations

import datetime
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from millstream.circuit import Circuit
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch, Operation

TABLES = """
CREATE TABLE t (id INT NOT NULL, a INT, b BIGINT NOT NULL, s VARCHAR, x DOUBLE, m DECIMAL(10, 2), d DATE,
                ts TIMESTAMP, f BOOLEAN);
CREATE TABLE u (a INT, c SMALLINT, s VARCHAR, x DOUBLE, m DECIMAL(8, 3), ts TIMESTAMP NOT NULL);
CREATE TABLE k (id INT NOT NULL PRIMARY KEY, a INT, s VARCHAR NOT NULL);
CREATE TABLE w (id INT NOT NULL, p INT, o BIGINT) WITH ('append_only' = 'true');
"""
EPOCH = datetime.datetime(2024, 1, 31, 22)
Row = tuple[Any, ...]
#: One change: table number, row number in its pool, action (0, 1: insert; 2: delete; 3: replace)
Change = tuple[int, int, int]
Step = list[Change]


@dataclass(frozen=True)
class Case:
    """A query and, where DuckDB spells it differently, the query that asks it the same."""

    name: str
    query: str
    duck: str = ""

    @property
    def oracle(self) -> str:
        return self.duck or self.query


@cache
def pools() -> dict[str, list[Row]]:
    """The rows that tables may hold, by table."""
    chance = random.Random(20240131)

    def one(*values: Any) -> Any:
        return chance.choice(values)

    def moment() -> datetime.datetime:
        return EPOCH + datetime.timedelta(minutes=17 * chance.randrange(40), microseconds=one(0, 0, 123456))

    words = ("", "a", "b", "ab", "Ab", "b_%", "zä", " a ", None)
    t = [
        (
            i % 30,
            one(None, 0, 1, 1, 2, 3, -2),
            chance.randrange(-3, 4),
            one(*words),
            one(None, 0.0, 0.5, -1.25, 2.0, 1e6),
            one(None, Decimal("0.00"), Decimal("1.50"), Decimal("-2.25"), Decimal("100.01")),
            one(None, *(datetime.date(2024, 2, 27) + datetime.timedelta(days=n) for n in range(4))),
            one(None, moment(), moment(), moment()),
            one(None, True, False),
        )
        for i in range(60)
    ]
    u = [
        (
            one(None, 0, 1, 1, 2, 4),
            one(None, 0, 1, -7, 12),
            one(*words),
            one(None, 0.0, 0.5, 2.0, -3.5),
            one(None, Decimal("0.000"), Decimal("1.500"), Decimal("-2.250"), Decimal("7.125")),
            moment(),
        )
        for _ in range(40)
    ]
    k = [(i % 6, one(None, 0, 1, 2), one("a", "b", "ab")) for i in range(24)]
    w = [(i, one(None, 0, 1, 2), chance.randrange(5)) for i in range(30)]
    return {"t": t, "u": u, "k": k, "w": w}


NAMES = ("t", "u", "k", "w")
_changes = st.tuples(st.sampled_from((0, 0, 1, 1, 2, 3)), st.integers(0, 59), st.integers(0, 3))
#: Steps without changes, with a few, and with many
steps = st.one_of(st.lists(_changes, min_size=20, max_size=40), st.lists(_changes, min_size=1, max_size=4), st.just([]))
schedules = st.lists(steps, min_size=1, max_size=6)


@dataclass
class World:
    """The contents of all tables, and the batches that bring a circuit to the same contents."""

    program: Program
    contents: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def apply(self, step: Step) -> dict[str, list[ChangeBatch]]:
        """Change the contents; returns what a circuit is given for the step."""
        operations: dict[str, list[tuple[Row, Operation]]] = {}
        for number, index, action in step:
            name = NAMES[number]
            pool = pools()[name]
            row = pool[index % len(pool)]
            done = operations.setdefault(name, [])
            if name == "k":
                self._keyed(row, action, done)
            else:
                self._bag(name, row, index, action, done)
        return {name: [self._batch(name, rows)] for name, rows in operations.items() if rows}

    def _keyed(self, row: Row, action: int, done: list[tuple[Row, Operation]]) -> None:
        rest = [r for r in self.contents["k"] if r[0] != row[0]]
        self.contents["k"] = rest if action == 2 else [*rest, row]
        done.append((row, Operation.DELETE if action == 2 else Operation.INSERT))

    def _bag(self, name: str, row: Row, index: int, action: int, done: list[tuple[Row, Operation]]) -> None:
        rows = self.contents[name]
        if action >= 2 and rows and name != "w":
            old = rows.pop(index % len(rows))
            done.append((old, Operation.DELETE))
            if action == 2:
                return
        if action == 2:
            return
        rows.append(row)
        done.append((row, Operation.INSERT))

    def _batch(self, name: str, rows: Sequence[tuple[Row, Operation]]) -> ChangeBatch:
        table = self.program.table(name)
        assert table is not None
        return ChangeBatch(
            columns_of([row for row, _ in rows], [arrow_type(c.type) for c in table.columns]),
            len(rows),
            np.array([int(operation) for _, operation in rows], np.int8),
        )

    def duck(self, connection: duckdb.DuckDBPyConnection, names: Iterable[str] = NAMES) -> None:
        """Give DuckDB the same tables, or those of some names."""
        for name in names:
            table = self.program.table(name)
            assert table is not None
            types = [arrow_type(c.type) for c in table.columns]
            columns = columns_of(self.contents[name], types)
            rows = pa.table(dict(zip([c.name for c in table.columns], columns, strict=True)))
            connection.register("rows", rows)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM rows LIMIT 0")
            connection.execute(f"DELETE FROM {name}")
            connection.execute(f"INSERT INTO {name} FROM rows")
            connection.unregister("rows")


def columns_of(rows: Sequence[Row], types: Sequence[pa.DataType]) -> tuple[pa.Array, ...]:
    """Rows as columns."""
    return tuple(pa.array([row[i] for row in rows], t) for i, t in enumerate(types))


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB with this dialect's order of NULLs, on one thread."""
    connection = duckdb.connect()
    connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    connection.execute("SET threads = 1")
    connection.execute("SET timezone = 'UTC'")
    return connection


def program_of(cases: Iterable[Case]) -> Program:
    """A program with one view a case."""
    text = TABLES + "".join(f"CREATE VIEW {case.name} AS {case.query};\n" for case in cases)
    result = compile_program(text)
    errors = "\n".join(f"{m.message}\n{m.snippet}" for m in result.messages if not m.warning)
    assert result.program is not None, errors
    return result.program


def normal(value: Any) -> Any:
    """One representative of values that are equal in SQL whatever their type."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return str(value)
        return Decimal(f"{value:.10g}").normalize() + 0
    if isinstance(value, (int, Decimal)):
        exact = Decimal(value)
        return Decimal(f"{exact:.28g}").normalize() + 0
    if isinstance(value, (list, tuple)):
        return tuple(normal(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, normal(v)) for k, v in value.items())
    return value


class Views:
    """The accumulated changes of every view of a circuit."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.circuit = Circuit(program)
        self.contents: dict[str, Counter[Row]] = {view.name: Counter() for view in program.views}

    def step(self, changes: dict[str, list[ChangeBatch]]) -> None:
        deltas = self.circuit.step(changes).deltas
        for view in self.program.views:
            delta = deltas.get(view.name)
            if delta is None:
                continue
            content = self.contents[view.name]
            columns = [column.to_pylist() for column in delta.columns]
            for column, values in zip(view.schema, columns, strict=True):
                assert column.type.nullable or None not in values, f"NULL in {view.name}.{column.name} NOT NULL"
            for row, weight in zip(zip(*columns, strict=True), delta.weights.tolist(), strict=True):
                key = tuple(normal(value) for value in row)
                content[key] += weight
                if not content[key]:
                    del content[key]


def expected(connection: duckdb.DuckDBPyConnection, query: str) -> Counter[Row]:
    """What DuckDB computes from scratch."""
    return Counter(tuple(normal(value) for value in row) for row in connection.execute(query).fetchall())


class Oracle:
    """DuckDB, with the queries of cases prepared. A query whose tables are as they were is not computed again."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.connection = connect()
        self.answers: dict[str, Counter[Row]] = {}
        World(program_of(())).duck(self.connection)
        for case in cases:
            self.connection.execute(f"PREPARE {case.name} AS {case.oracle}")

    def compute(self, world: World, changed: Iterable[str]) -> dict[str, Counter[Row]]:
        """The rows of every case, after changes of some tables."""
        names = set(changed)
        world.duck(self.connection, names)
        for case in self.cases:
            if case.name not in self.answers or names & set(re.findall(r"\w+", case.oracle.lower())):
                self.answers[case.name] = expected(self.connection, f"EXECUTE {case.name}")
        return self.answers


def check(program: Program, oracle: Oracle, schedule: Sequence[Step]) -> None:
    """After every step each view equals its query over the accumulated tables."""
    world, views = World(program), Views(program)
    for number, step in enumerate(([], *schedule)):
        changes = world.apply(step)
        views.step(changes)
        answers = oracle.compute(world, changes if number else NAMES)
        for case in oracle.cases:
            compare(case, views.contents[case.name], answers[case.name])


def compare(case: Case, got: Counter[Row], want: Counter[Row]) -> None:
    assert got == want, (
        f"{case.name}: {case.query}\nmissing: {sorted((want - got).items(), key=str)}\n"
        f"surplus: {sorted((got - want).items(), key=str)}"
    )
