"""The law of incremental operators: after every step, the sum of a view's deltas is its query on the tables' contents.

`check` runs a plan through a circuit over a schedule of steps and compares with tests/reference/plans.py after each;
`schedules` makes schedules with insertions, deletions of present rows, duplicates, NULLs and empty steps. `check` also
runs the same changes as one step: how they were cut must not matter.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from millstream.circuit import Circuit
from millstream.plan.nodes import Column, Plan, Scan, Schema
from millstream.plan.program import Program, Table, TableColumn, View
from millstream.types import SqlType, arrow_type
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR, decimal
from millstream.zset.changes import ChangeBatch
from millstream.zset.delta import Delta
from tests.reference.plans import Bag, Row, evaluate, normal

Step = Sequence[tuple[str, Row, int]]
"""Changes of one step: table, row, +1 or -1."""

PRICE = decimal(10, 2)
T_TYPES = (INTEGER, BIGINT, VARCHAR, DOUBLE, PRICE, BOOLEAN)
U_TYPES = (INTEGER, BIGINT, VARCHAR)


def schema(types: Sequence[SqlType]) -> Schema:
    """Columns c0, c1, ... of those types."""
    return tuple(Column(f"c{i}", t) for i, t in enumerate(types))


T = Scan(schema(T_TYPES), "t")
U = Scan(schema(U_TYPES), "u")


def table(name: str, types: Sequence[SqlType], **options: Any) -> Table:
    """A table with columns c0, c1, ..."""
    return Table(name, tuple(TableColumn(f"c{i}", t) for i, t in enumerate(types)), **options)


TABLES = (table("t", T_TYPES), table("u", U_TYPES))


def circuit_of(*plans: Plan, tables: Sequence[Table] = TABLES, materialized: bool = False) -> Circuit:
    """A circuit with views v0, v1, ..."""
    views = tuple(View(f"v{i}", p.schema, p, materialized=materialized) for i, p in enumerate(plans))
    return Circuit(Program(tuple(tables), views))


def batch(types: Sequence[SqlType], rows: Sequence[Row], weights: Sequence[int]) -> ChangeBatch:
    """A change batch of rows with operations +1 (insert) or -1 (delete)."""
    columns = tuple(pa.array([row[i] for row in rows], arrow_type(t)) for i, t in enumerate(types))
    return ChangeBatch(columns, len(rows), np.array(weights, np.int8))


def changes(tables: Sequence[Table], step: Step) -> dict[str, list[ChangeBatch]]:
    """The step's changes as batches by table."""
    result = {}
    for t in tables:
        mine = [(row, weight) for name, row, weight in step if name == t.name]
        if mine:
            types = [column.type for column in t.columns]
            result[t.name] = [batch(types, [row for row, _ in mine], [weight for _, weight in mine])]
    return result


def rows_of(delta: Delta) -> Bag:
    """A delta as a bag, with normal values."""
    columns = [_values(column) for column in delta.columns]
    rows = zip(*columns, strict=True) if columns else [()] * delta.num_rows
    bag: Bag = Counter()
    for row, weight in zip(rows, delta.weights.tolist(), strict=True):
        bag[row] += weight
    return bag


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return [normal(value) for value in column.to_pylist()]


def add(bag: Bag, more: Mapping[Row, int]) -> None:
    """Adds multiplicities in place, dropping zeros."""
    for row, count in more.items():
        bag[row] += count
        if not bag[row]:
            del bag[row]


def check(plan: Plan, steps: Sequence[Step], tables: Sequence[Table] = TABLES) -> None:
    """Asserts the law for `plan` after every step of the schedule, and for all of it as one step."""
    circuit = circuit_of(plan, tables=tables)
    contents: dict[str, Bag] = {t.name: Counter() for t in tables}
    view: Bag = Counter()
    for step in steps:
        result = circuit.step(changes(tables, step))
        for name, row, weight in step:
            add(contents[name], {tuple(normal(v) for v in row): weight})
        delta = result.deltas.get("v0")
        if delta is not None:
            assert (delta.weights != 0).all()
            add(view, rows_of(delta))
        assert view == evaluate(plan, contents)
    at_once = circuit_of(plan, tables=tables).step(changes(tables, [c for step in steps for c in step]))
    delta = at_once.deltas.get("v0")
    assert (Counter() if delta is None else rows_of(delta)) == view


INTEGERS = st.none() | st.integers(-2, 3)
TEXTS = st.none() | st.sampled_from(["", "a", "ab", "b", "é", "\U0001f600"])
FLOATS = st.none() | st.sampled_from([0.0, -0.0, 1.5, -2.25, 1e16, float("nan"), float("inf")])
PRICES = st.none() | st.decimals(-9, 9, places=2)
BOOLEANS = st.none() | st.booleans()
T_ROWS = st.tuples(INTEGERS, INTEGERS, TEXTS, FLOATS, PRICES, BOOLEANS)
U_ROWS = st.tuples(INTEGERS, INTEGERS, TEXTS)


@st.composite
def schedules(draw: st.DrawFn, both: bool = False, max_steps: int = 5, max_changes: int = 8) -> list[Step]:
    """Steps in which only present rows are deleted; later steps prefer to delete."""
    present: list[tuple[str, Row]] = []
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, max_steps))):
        step: list[tuple[str, Row, int]] = []
        for _ in range(draw(st.integers(0, max_changes))):
            if present and draw(st.booleans()):
                name, row = present.pop(draw(st.integers(0, len(present) - 1)))
                step.append((name, row, -1))
            else:
                name = draw(st.sampled_from(["t", "u"])) if both else "t"
                row = draw(T_ROWS if name == "t" else U_ROWS)
                present += [(name, row)] * (copies := draw(st.sampled_from([1, 1, 1, 2])))
                step += [(name, row, 1)] * copies
        steps.append(step)
    return steps


def random_schedule(seed: int, both: bool = False, num_steps: int = 8, num_changes: int = 12) -> list[Step]:
    """A longer schedule than hypothesis makes, whose values meet each other often; every third step mostly deletes."""
    source = random.Random(seed)

    def row(name: str) -> Row:
        numbers = [source.choice([None, 0, 1, 2]) for _ in range(2)]
        text = source.choice([None, "a", "b"])
        if name == "u":
            return (*numbers, text)
        price = source.choice([None, Decimal("1.50"), Decimal("-0.25")])
        return (*numbers, text, source.choice([None, -0.0, 0.5, math.nan]), price, source.choice([None, True, False]))

    present: list[tuple[str, Row]] = []
    steps: list[Step] = []
    for number in range(num_steps):
        names = source.choice([["t"], ["u"], ["t", "u"]]) if both else ["t"]
        step: list[tuple[str, Row, int]] = []
        for _ in range(source.randrange(num_changes + 1)):
            old = [p for p in present if p[0] in names]
            if old and source.random() < (0.8 if number % 3 == 2 else 0.2):
                gone = source.choice(old)
                present.remove(gone)
                step.append((*gone, -1))
            else:
                name = source.choice(names)
                present.append((name, row(name)))
                step.append((*present[-1], 1))
        steps.append(step)
    return steps
