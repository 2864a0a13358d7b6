"""Top-k: order, ties, offsets, partitions, and heads that must be read again after deletions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings

from millstream.plan.nodes import SortKey, TopK
from tests.operators.law import T, U, check, random_schedule, schedules

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
