"""Temporal operators against evaluating everything again, and what they keep."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.filter import FilterOperator
from millstream.operators.project import ProjectOperator
from millstream.operators.temporal import TemporalOperator
from millstream.operators.volatile import VolatileOperator
from millstream.plan.nodes import Filter, Project
from millstream.plan.temporal import required_guards, split_guards
from millstream.sql.compile import compile_program
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS as SEEDS
from tests.operators.law import add, rows_of

TYPES = (pa.int64(), pa.timestamp("us"), pa.timestamp("us"))
SECOND = 1_000_000

CONDITIONS = [
    "a >= NOW()",
    "a > NOW()",
    "a <= NOW()",
    "NOW() > a",
    "a = NOW()",
    "a <> NOW()",
    "NOT (a < NOW())",
    "a BETWEEN NOW() - INTERVAL 2 SECONDS AND NOW()",
    "a >= NOW() - INTERVAL 3 SECONDS AND b < NOW() + INTERVAL 1 SECOND",
    "a >= NOW() OR b <= NOW()",
    "a + INTERVAL 1 SECOND >= NOW() AND n > 1",
    "n > 1 AND a <= NOW()",
    "CASE WHEN a >= NOW() THEN n > 1 WHEN b >= NOW() THEN n > 2 END",
    "TIMESTAMP_TRUNC(a, MINUTE) >= TIMESTAMP_TRUNC(NOW() - INTERVAL 2 SECONDS, MINUTE)",
    "CAST(a AS DATE) <= CAST(NOW() AS DATE)",
]
PROJECTIONS = [
    "n, a >= NOW() AS x",
    "CASE WHEN a > NOW() THEN n ELSE 0 END AS x, a < NOW() AND b < NOW() AS y, a",
    "COALESCE(a = NOW(), FALSE) AS x",
]


def compiled(view):
    text = f"CREATE TABLE t (n BIGINT, a TIMESTAMP, b TIMESTAMP); CREATE VIEW v AS {view};"
    result = compile_program(text)
    assert result.program is not None, [m.message for m in result.messages]
    return result.program.view("v").plan


def both(plan):
    """The operator under test, and one that computes everything again whenever the time moves."""
    width = len(TYPES)
    if isinstance(plan, Filter):
        guarded = split_guards([plan.predicate], width)
        (condition,) = guarded.expressions
        linear = FilterOperator(condition, SEEDS, range(width))
        required = required_guards(condition, width)
        return (
            TemporalOperator(linear, guarded.guards, required, SEEDS),
            VolatileOperator(FilterOperator(plan.predicate, SEEDS), TYPES, SEEDS),
        )
    assert isinstance(plan, Project)
    guarded = split_guards(plan.expressions, width)
    return (
        TemporalOperator(ProjectOperator(guarded.expressions, SEEDS), guarded.guards, (), SEEDS),
        VolatileOperator(ProjectOperator(plan.expressions, SEEDS), TYPES, SEEDS),
    )


def delta(rows, weights):
    columns = tuple(pa.array([row[i] for row in rows], t) for i, t in enumerate(TYPES))
    return Delta(columns, np.array(weights, np.int64))


MOMENT = st.none() | st.integers(0, 8).map(lambda s: s * SECOND)
ROW = st.tuples(st.integers(0, 3), MOMENT, MOMENT)
STEPS = st.lists(
    st.tuples(st.lists(st.tuples(ROW, st.sampled_from([1, 1, 2, -1])), max_size=5), st.integers(0, 4)), max_size=8
)


@pytest.mark.parametrize("view", [f"SELECT n, a, b FROM t WHERE {c}" for c in CONDITIONS]
                         + [f"SELECT {p} FROM t" for p in PROJECTIONS])  # fmt: skip
@settings(max_examples=30, deadline=None, derandomize=True)
@given(STEPS)
def test_rows_come_and_go_as_if_everything_were_computed_again(view, steps):
    tested, plain = both(compiled(view))
    now, sums = 0, (Counter(), Counter())
    for changes, passed in steps:
        now += passed * SECOND
        change = delta([row for row, _ in changes], [weight for _, weight in changes]) if changes else None
        for operator, total in zip((tested, plain), sums, strict=True):
            result = operator.step([change], EvaluationContext(now))
            if result is not None:
                add(total, rows_of(result))
        assert sums[0] == sums[1]


def test_the_clock_costs_what_it_changes_and_rows_that_left_are_forgotten():
    tested, _ = both(compiled("SELECT n, a, b FROM t WHERE a >= NOW() - INTERVAL 10 SECONDS"))
    for second in range(200):
        rows = [(n, second * SECOND, None) for n in range(20)]
        result = tested.step([delta(rows, [1] * 20)], EvaluationContext(second * SECOND))
        # Twenty rows come in, and twenty leave.
        assert result.num_rows == (40 if second > 10 else 20)
        assert tested.state_rows <= 11 * 20
    assert tested.step([None], EvaluationContext(199 * SECOND)) is None
    late = tested.step([delta([(1, 0, None)], [1])], EvaluationContext(199 * SECOND))
    assert (0 if late is None else late.num_rows, tested.state_rows) == (0, 11 * 20)


def test_a_row_that_has_entered_for_good_is_not_kept():
    tested, _ = both(compiled("SELECT n, a, b FROM t WHERE a <= NOW()"))
    tested.step([delta([(1, 5, None), (2, 50, None)], [1, 1])], EvaluationContext(10))
    assert tested.state_rows == 1
    assert rows_of(tested.step([None], EvaluationContext(60))) == {(2, 50, None): 1}
    assert tested.state_rows == 0
    assert rows_of(tested.step([delta([(1, 5, None)], [-1])], EvaluationContext(70))) == {(1, 5, None): -1}


@pytest.mark.parametrize(
    "condition",
    [
        "n > EXTRACT(SECOND FROM NOW())",
        "TIMESTAMPDIFF(SECOND, a, NOW()) < n",
        "n > 5 OR TIMESTAMPADD(DAY, 10 / n, a) > NOW()",
    ],
)
def test_other_uses_of_the_time_are_no_guards(condition):
    plan = compiled(f"SELECT n, a, b FROM t WHERE {condition}")
    assert split_guards([plan.predicate], len(TYPES)) is None
