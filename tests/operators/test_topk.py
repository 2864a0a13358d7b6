"""Top-k: order, ties, offsets, partitions, and heads that must be read again after deletions."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings

from millstream.plan.nodes import Column, Scan, SortKey, TopK, Window, WindowCall
from millstream.types import Kind, SqlType
from tests.operators.law import (
    TABLES,
    U_TYPES,
    T,
    U,
    add,
    changes,
    check,
    circuit_of,
    random_schedule,
    rows_of,
    schedules,
    table,
)

quick = settings(max_examples=30, deadline=None, derandomize=True)
ORDERS = {
    "ascending": (SortKey(1, False, True),),
    "descending": (SortKey(1, True, False),),
    "nulls last": (SortKey(1, False, False),),
    "two keys": (SortKey(2, True, True), SortKey(0, False, True)),
    "floats": (SortKey(3, True, False), SortKey(4, False, False)),
    "no keys": (),
}


@pytest.mark.parametrize("keys", list(ORDERS.values()), ids=list(ORDERS))
@quick
@given(schedules(max_changes=10))
def test_global_limit(keys, steps):
    check(TopK(T.schema, T, (), keys, 3, 0), steps)


@pytest.mark.parametrize("limit, offset", [(1, 0), (2, 1), (None, 2)])
@quick
@given(schedules(max_changes=10))
def test_limit_per_partition(limit, offset, steps):
    check(TopK(T.schema, T, (0,), (SortKey(1, True, False),), limit, offset), steps)


@pytest.mark.parametrize("keys", list(ORDERS.values()), ids=list(ORDERS))
def test_limit_over_long_schedules(keys):
    for seed in range(8):
        check(TopK(T.schema, T, (0,), keys, 2, seed % 2), random_schedule(seed))


@pytest.mark.parametrize("seed", range(3))
def test_a_head_emptied_by_deletions_is_read_again(seed):
    source = random.Random(seed)
    rows = [(n % 2, n, "x") for n in range(200)]
    inserts = [("u", row, 1) for row in rows]
    doomed = sorted(rows, key=lambda row: (row[1], source.random()))[:150]
    steps = [inserts]
    while doomed:
        count = source.randrange(1, 30)
        steps.append([("u", row, -1) for row in doomed[:count]])
        steps.append([("u", (source.randrange(2), source.randrange(-5, 250), "y"), 1) for _ in range(3)])
        doomed = doomed[count:]
    check(TopK(U.schema, U, (0,), (SortKey(1, False, True),), 3, 1), steps)


def test_absent_rows_deleted_beyond_the_boundary_do_not_make_a_head_whole():
    circuit = circuit_of(TopK(U.schema, U, (), (SortKey(1, False, False),), 2, 0))
    circuit.step(changes(TABLES, [("u", (0, n, "x"), 1) for n in range(100)]))
    head = 2 * 2 + 16
    absent = [("u", (0, 1000 + n, "x")) for n in range(100 - head)]
    circuit.step(changes(TABLES, [(*row, -1) for row in absent]))
    circuit.step(changes(TABLES, [("u", (0, 90, "y"), 1)]))
    circuit.step(changes(TABLES, [("u", (0, n, "x"), -1) for n in range(head)]))
    result = circuit.step(changes(TABLES, [("u", (0, head, "x"), -1), *[(*row, 1) for row in absent]]))
    assert rows_of(result.deltas["v0"]) == {(0, head, "x"): -1, (0, head + 2, "x"): 1}


def test_append_only_inputs_keep_heads_only():
    log = table("log", U_TYPES, append_only=True)
    plan = TopK(U.schema, Scan(U.schema, "log"), (0,), (SortKey(1, False, False),), 1, 1)
    circuit = circuit_of(plan, tables=[log])
    view = Counter()
    for start in (500, 400, 0):
        rows = [("log", (n % 2, start + n, "x"), 1) for n in range(100)]
        add(view, rows_of(circuit.step(changes([log], rows)).deltas["v0"]))
    assert view == {(0, 2, "x"): 1, (1, 3, "x"): 1}
    assert circuit.state_rows < 100


ROW_NUMBER = WindowCall("ROW_NUMBER", (), SqlType(Kind.BIGINT, False))
NUMBER = Column("place", ROW_NUMBER.type)


@pytest.mark.parametrize("limit, offset", [(1, 0), (3, 1), (None, 2)])
@quick
@given(schedules(max_changes=10))
def test_numbers_of_the_chosen_rows(limit, offset, steps):
    top = TopK(T.schema, T, (0,), ORDERS["descending"], limit, offset)
    check(Window((*T.schema, NUMBER), top, top.partition, top.keys, (ROW_NUMBER,)), steps)


def test_numbers_over_long_schedules_come_from_the_limit_itself():
    for seed in range(4):
        top = TopK(T.schema, T, (0,), ORDERS["two keys"], 2, seed % 2)
        check(Window((*T.schema, NUMBER), top, top.partition, top.keys, (ROW_NUMBER,)), random_schedule(seed))
    top = TopK(U.schema, U, (0,), (SortKey(1, False, True),), 3, 0)
    circuit = circuit_of(Window((*U.schema, NUMBER), top, top.partition, top.keys, (ROW_NUMBER,)))
    assert [entry["kind"] for entry in circuit.profile()].count("window") == 0
    circuit.step(changes(TABLES, [("u", (0, n, "x"), 1) for n in range(60)]))
    # Deletions beyond what the head has in reserve, and a row several times: it has several numbers.
    result = circuit.step(changes(TABLES, [("u", (0, n, "x"), -1) for n in range(59)] + [("u", (0, -1, "x"), 1)] * 2))
    view = Counter({(0, n, "x", n + 1): 1 for n in range(3)})
    add(view, rows_of(result.deltas["v0"]))
    assert view == {(0, -1, "x", 1): 1, (0, -1, "x", 2): 1, (0, 59, "x", 3): 1}
