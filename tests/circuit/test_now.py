"""Views that read the time: recomputed when it moves on, incremental while it stands still."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from millstream.errors import MillstreamError
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Filter, Join, JoinKind, Project, Scan, Values
from millstream.types.sql_type import BIGINT, TIMESTAMP
from millstream.zset.changes import ChangeBatch
from tests.operators.law import add, circuit_of, rows_of, schema, table

EVENTS = table("e", (BIGINT, TIMESTAMP))
E = Scan(schema((BIGINT, TIMESTAMP)), "e")
NOW = build_call("NOW", ())
PAST = build_call("<=", (ColumnRef(TIMESTAMP, 1), NOW))


def batch(rows, weight=1):
    columns = (pa.array([r[0] for r in rows], pa.int64()), pa.array([r[1] for r in rows], pa.timestamp("us")))
    return {"e": [ChangeBatch(columns, len(rows), np.full(len(rows), weight, np.int8))]}


class Running:
    """A view and the sum of its deltas."""

    def __init__(self, plan):
        self.circuit = circuit_of(plan, tables=[EVENTS])
        self.view = Counter()

    def step(self, changes, now_us):
        delta = self.circuit.step(changes, now_us).deltas.get("v0")
        if delta is not None:
            add(self.view, rows_of(delta))
        return 0 if delta is None else delta.num_rows


def test_rows_enter_a_temporal_filter_when_their_time_comes():
    running = Running(Filter(E.schema, E, PAST))
    running.step(batch([(1, 10), (2, 20), (3, 30)]), 15)
    assert running.view == {(1, 10): 1}
    assert running.step({}, 15) == 0
    assert running.step({}, 25) == 1
    assert running.view == {(1, 10): 1, (2, 20): 1}
    running.step(batch([(1, 10), (3, 30)], -1), 25)
    assert running.view == {(2, 20): 1}
    assert running.step({}, 35) == 0


def test_the_clock_does_not_go_back():
    running = Running(Filter(E.schema, E, PAST))
    running.step(batch([(1, 10)]), 15)
    assert running.step({}, 5) == 0
    running.step(batch([(2, 12)]), 5)
    assert running.view == {(1, 10): 1, (2, 12): 1}


def test_changes_at_an_unchanged_time_are_incremental():
    running = Running(Filter(E.schema, E, PAST))
    running.step(batch([(n, 10) for n in range(100)]), 50)
    assert running.step(batch([(7, 10)], -1), 50) == 1
    assert running.step(batch([(7, 10), (8, 60)]), 50) == 1
    assert running.step({}, 51) == 0
    assert sum(running.view.values()) == 100


def test_a_projection_of_the_time_is_the_time_of_the_step():
    running = Running(Project(schema([TIMESTAMP]), E, (NOW,)))
    running.step(batch([(1, 10), (2, 20)]), 15)
    running.step(batch([(3, 20)]), 15)
    assert running.view == {(15,): 3}
    running.step({}, 16)
    assert running.view == {(16,): 3}


def test_a_constant_row_of_the_time_moves_on():
    running = Running(Values(schema([TIMESTAMP]), ((NOW,),)))
    running.step({}, 15)
    running.step({}, 16)
    assert running.view == {(16,): 1}


def join(kind):
    residual = build_call("<=", (ColumnRef(TIMESTAMP, 3), NOW))
    return Join(E.schema + E.schema, kind, E, E, (0,), (0,), (False,), residual)


def test_the_condition_of_an_inner_join_may_read_the_time():
    running = Running(join(JoinKind.INNER))
    running.step(batch([(1, 10), (1, 20)]), 15)
    assert running.view == {(1, 10, 1, 10): 1, (1, 20, 1, 10): 1}
    running.step({}, 25)
    assert sum(running.view.values()) == 4


@pytest.mark.parametrize("kind", [JoinKind.LEFT, JoinKind.RIGHT, JoinKind.FULL])
def test_the_condition_of_an_outer_join_may_not(kind):
    with pytest.raises(MillstreamError, match="inner joins only"):
        Running(join(kind))
