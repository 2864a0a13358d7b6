"""SESSION: sessions grow, merge, split and vanish; by rows and by sessions; state below floors goes."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.ordering import word_codes
from millstream.operators.session import SessionOperator
from millstream.plan.nodes import Scan, Session
from millstream.types.sql_type import BIGINT, INTEGER, VARCHAR
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from tests.operators.law import check, schema, table

TYPES = (INTEGER, BIGINT.with_nullable(False), VARCHAR)
TABLES = [table("u", TYPES)]
EVENTS = Scan(schema(TYPES), "u")
KEPT = {"rows": (0, 1, 2), "sessions": (0,), "bounds": ()}


def sessions(partition, gap, kept):
    types = [TYPES[k] for k in kept]
    return Session(schema([*types, TYPES[1], TYPES[1]]), EVENTS, partition, 1, gap, kept)


@st.composite
def schedules(draw):
    """Events at few times, so that sessions meet; deletions of present ones."""
    present, steps = [], []
    for _ in range(draw(st.integers(1, 6))):
        step = []
        for _ in range(draw(st.integers(0, 8))):
            if present and draw(st.booleans()):
                row = present.pop(draw(st.integers(0, len(present) - 1)))
                step.append(("u", row, -1))
            else:
                key, text = draw(st.sampled_from([None, 1, 2])), draw(st.sampled_from([None, "", "a"]))
                row = (key, draw(st.integers(-12, 12)), text)
                copies = draw(st.sampled_from([1, 1, 2]))
                present += [row] * copies
                step += [("u", row, 1)] * copies
        steps.append(step)
    return steps


@pytest.mark.parametrize("kept", list(KEPT.values()), ids=list(KEPT))
@settings(max_examples=60, deadline=None, derandomize=True)
@given(schedules(), st.integers(1, 5))
def test_sessions_follow_their_rows(kept, steps, gap):
    check(sessions((0,), gap, kept), steps, tables=TABLES)


@pytest.mark.parametrize("kept", list(KEPT.values())[::2], ids=list(KEPT)[::2])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(schedules(), st.integers(1, 5))
def test_all_rows_may_be_of_one_key(kept, steps, gap):
    check(sessions((), gap, kept), steps, tables=TABLES)


@pytest.mark.parametrize("kept", list(KEPT.values()), ids=list(KEPT))
def test_many_steps_leave_many_runs(kept):
    for seed in range(4):
        source = random.Random(seed)
        present, steps = [], []
        for size in (300, 1, 40, 3, 90, 2, 1, 1, 150):
            gone = source.sample(present, min(size // 3, len(present)))
            for row in gone:
                present.remove(row)
            come = [(source.randrange(4), source.randrange(400), source.choice("ab")) for _ in range(size)]
            present += come
            steps.append([("u", row, -1) for row in gone] + [("u", row, 1) for row in come])
        check(sessions((0,), 3, kept), steps, tables=TABLES)


def test_gaps_at_the_ends_of_the_type_do_not_wrap():
    times = (2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1, 0)
    for gap in (1, 2, 2**63, 2**70):
        check(sessions((0,), gap, (1,)), [[("u", (0, time, None), 1)] for time in times], tables=TABLES)


def test_partitions_may_be_any_columns():
    steps = [[("u", (k, t, text), 1) for k in (None, 1) for t in (0, 1, 9) for text in (None, "a")]]
    check(sessions((0, 2), 2, (2,)), steps, tables=TABLES)


def test_a_session_that_grows_is_one_change_when_rows_are_not_asked_for():
    operator = SessionOperator([pa.int32(), pa.int64(), pa.large_string()], (0,), 1, 2, (0,), DEFAULT_SEEDS)
    operator.step([events(range(100))], EvaluationContext())
    grown = operator.step([events([100])], EvaluationContext())
    assert sorted(zip(*(c.to_pylist() for c in grown.columns), grown.weights.tolist(), strict=True)) == [
        (1, 0, 99, -100),
        (1, 0, 100, 101),
    ]


def test_sessions_that_ended_below_the_floor_are_forgotten():
    types = [pa.int32(), pa.int64(), pa.large_string()]
    operator = SessionOperator(types, (0,), 1, 10, (0, 1), DEFAULT_SEEDS, ends=True)
    operator.step([events(range(0, 9000, 30))], EvaluationContext())
    operator.step([events(range(9000, 9100))], EvaluationContext())
    assert operator.state_rows == 400
    operator.discard([int(word_codes(pa.array([9050]))[0])])
    # The last session goes on; the one before it ended at 8970.
    assert operator.state_rows == 100
    change = operator.step([events([9105])], EvaluationContext())
    assert change.weights.sum() == 1
    assert set(change.columns[2].to_pylist()) == {9000}


def events(times):
    times = list(times)
    columns = (
        pa.array([1] * len(times), pa.int32()),
        pa.array(times),
        pa.array([None] * len(times), pa.large_string()),
    )
    return Delta(columns, np.ones(len(times), np.int64))
