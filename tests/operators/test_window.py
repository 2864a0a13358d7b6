"""Window functions: ranks, neighbours, frames of every shape, aggregates, partitions and their order."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.windows import near_rows
from millstream.operators.windows.operator import WindowOperator
from millstream.plan.nodes import SortKey, Window, WindowCall, WindowFrame
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from tests.operators.law import PRICE, T, U, check, random_schedule, schedules, schema, table

quick = settings(max_examples=25, deadline=None, derandomize=True)
COUNT = BIGINT.with_nullable(False)
UP, DOWN, NULLS_LAST = SortKey(1, False, True), SortKey(1, True, False), SortKey(1, False, False)
RUNNING = WindowFrame(False, None, 0)
WHOLE = WindowFrame(False, None, None)
FRAMES = {
    "running": RUNNING,
    "whole": WHOLE,
    "range around": WindowFrame(False, -1, 1),
    "range before": WindowFrame(False, -2, -1),
    "range after": WindowFrame(False, 1, None),
    "range up to": WindowFrame(False, None, -1),
    "peers": WindowFrame(False, 0, 0),
    "rows around": WindowFrame(True, -1, 1),
    "rows before": WindowFrame(True, None, -2),
    "rows after": WindowFrame(True, 1, 2),
    "rows running": WindowFrame(True, None, 0),
}
RANKS = tuple(WindowCall(name, (), COUNT) for name in ("ROW_NUMBER", "RANK", "DENSE_RANK"))


def window(partition, keys, *calls, source=T):
    return Window(source.schema + schema([c.type for c in calls]), source, partition, keys, calls)


def aggregates(frame):
    return (
        WindowCall("COUNT", (), COUNT, frame),
        WindowCall("COUNT", (2,), COUNT, frame),
        WindowCall("SUM", (0,), INTEGER, frame),
        WindowCall("SUM", (4,), PRICE, frame),
        WindowCall("SUM", (3,), DOUBLE, frame),
        WindowCall("AVG", (1,), BIGINT, frame),
        WindowCall("AVG", (4,), PRICE, frame),
        WindowCall("MIN", (2,), VARCHAR, frame),
        WindowCall("MAX", (3,), DOUBLE, frame),
        WindowCall("MIN", (4,), PRICE, frame, filter=5),
        WindowCall("SUM", (1,), BIGINT, frame, filter=5),
        WindowCall("FIRST_VALUE", (2,), VARCHAR, frame),
        WindowCall("LAST_VALUE", (4,), PRICE, frame),
        WindowCall("COUNT", (0,), COUNT, frame, distinct=True),
        WindowCall("SUM", (1,), BIGINT, frame, distinct=True),
        WindowCall("EVERY", (5,), BOOLEAN, frame),
    )


@pytest.mark.parametrize("keys", [(UP,), (DOWN,), (SortKey(3, True, True), SortKey(2, False, False)), ()])
@quick
@given(schedules(max_changes=10))
def test_ranks(keys, steps):
    check(window((0,), keys, *RANKS), steps)


@pytest.mark.parametrize("name", ["LAG", "LEAD"])
@quick
@given(schedules(max_changes=10))
def test_neighbours(name, steps):
    calls = [
        WindowCall(name, (2,), VARCHAR),
        WindowCall(name, (1, 1), BIGINT, offset=2),
        WindowCall(name, (3,), DOUBLE, offset=0),
        WindowCall(name, (4,), PRICE, offset=10**12),
    ]
    check(window((0,), (DOWN,), *calls), steps)
    check(window((), (), *calls), steps)


@pytest.mark.parametrize("frame", list(FRAMES.values()), ids=list(FRAMES))
@pytest.mark.parametrize("key", [UP, DOWN, NULLS_LAST], ids=["up", "down", "nulls last"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(schedules(max_changes=10))
def test_frames(frame, key, steps):
    check(window((0,), (key,), *aggregates(frame)), steps)


@pytest.mark.parametrize("frame", list(FRAMES.values()), ids=list(FRAMES))
def test_frames_over_long_schedules(frame):
    for seed in range(3):
        check(window((), (DOWN,), *aggregates(frame)), random_schedule(seed))


def test_ranks_and_frames_of_several_shapes_together():
    calls = (*RANKS, WindowCall("SUM", (1,), BIGINT, FRAMES["range around"]), *aggregates(RUNNING)[:3])
    for seed in range(6):
        check(window((2,), (UP,), *calls), random_schedule(seed))


@pytest.mark.parametrize("key", [SortKey(4, False, True), SortKey(4, True, False)], ids=["up", "down"])
@quick
@given(schedules(max_changes=10))
def test_ranges_of_decimals_are_in_units_of_the_last_digit(key, steps):
    check(window((), (key,), *aggregates(WindowFrame(False, -75, 150))), steps)


def test_ranges_at_the_ends_of_the_type_do_not_wrap():
    top, bottom = 2**63 - 1, -(2**63)
    rows = [(0, v, None) for v in (top, top - 1, bottom, bottom + 1, 0, None)]
    frames = [
        WindowFrame(False, -2, 2),
        WindowFrame(False, 2, 5),
        WindowFrame(False, -5, -2),
        WindowFrame(False, -1, 2**70),
    ]
    for frame in frames:
        for key in (UP, DOWN):
            calls = [WindowCall("COUNT", (), COUNT, frame), WindowCall("MIN", (1,), BIGINT, frame)]
            check(window((0,), (key,), *calls, source=U), [[("u", row, 1)] for row in rows])


@pytest.mark.parametrize("descending", [False, True])
def test_bounded_ranges_in_a_long_partition_touch_their_neighbourhood_only(descending):
    source = random.Random(7)
    types = [INTEGER, BIGINT, VARCHAR]
    rows = [(None, source.randrange(-500, 500), "x") for _ in range(100)]
    steps = [[("u", row, 1) for row in rows]]
    for _ in range(6):
        step = [("u", row, -1) for row in source.sample(rows, 2)]
        for _, row, _ in step:
            rows.remove(row)
        rows += (new := [(None, source.randrange(-500, 500), None)])
        steps.append(step + [("u", row, 1) for row in new])
    frames = (WindowFrame(False, -50, 10), WindowFrame(False, -3, -1))
    calls = [WindowCall("COUNT", (), COUNT, f) for f in frames] + [WindowCall("MAX", (1,), BIGINT, f) for f in frames]
    plan = window((0,), (SortKey(1, descending, True),), *calls, source=U)
    check(plan, steps, tables=[table("u", types)])


@pytest.mark.parametrize("keys", [(UP,), (SortKey(1, True, False), SortKey(0, False, True))], ids=["up", "down, up"])
def test_bounded_rows_in_long_partitions_touch_their_neighbours_only(keys):
    source = random.Random(11)
    rows, steps = [], []
    for size in (120, 1, 2, 30, 1, 1, 4, 60, 2):
        gone = source.sample(rows, min(len(rows), size // 2 + 1))
        for row in gone:
            rows.remove(row)
        keyed = (source.choice([None, *range(-60, 60)]) for _ in range(size))
        come = [(source.choice([1, 1, 1, None]), value, source.choice(["x", "y", None])) for value in keyed]
        rows += come
        steps.append([("u", row, -1) for row in gone] + [("u", row, 1) for row in come])
    frames = [WindowFrame(True, low, high) for low, high in ((-2, 1), (0, 0), (-5, -3), (2, 3))]
    calls = [WindowCall("SUM", (1,), BIGINT, frame) for frame in frames]
    calls += [WindowCall("LAG", (2,), VARCHAR, offset=3), WindowCall("LEAD", (1,), BIGINT)]
    for partition in ((), (0,), (0, 2)):
        for some in (calls, calls[:2], calls[2:3], calls[4:]):
            check(window(partition, keys, *some, source=U), steps, tables=[table("u", [INTEGER, BIGINT, VARCHAR])])


@pytest.mark.parametrize(
    "call",
    [WindowCall("LAG", (1,), BIGINT), WindowCall("MAX", (1,), BIGINT, WindowFrame(True, -3, 2))],
    ids=["lag", "rows"],
)
def test_a_change_reads_the_rows_near_it_only(call, monkeypatch):
    types = [pa.int32(), pa.int64()]
    operator = WindowOperator(types, (0,), (SortKey(1, False, True),), (call,), DEFAULT_SEEDS)
    read = []
    step = near_rows.NearRows.step
    monkeypatch.setattr(near_rows.NearRows, "step", lambda self, delta: read.append(step(self, delta)) or read[-1])
    for values in (range(0, 20_000, 2), [10_001]):
        values = pa.array(values, pa.int64())
        ones = pa.array(np.ones(len(values)), pa.int32())
        operator.step([Delta.inserts((ones, values))], EvaluationContext())
    assert read[1].rows.num_rows <= 11
