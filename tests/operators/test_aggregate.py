"""Group by: every function over every type, filters, distinct, appearing and vanishing groups."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.errors import MillstreamError
from millstream.operators.accumulators.extremes import pick_winners
from millstream.plan.nodes import Aggregate, AggregateCall, SortKey
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR, array
from tests.operators.law import (
    PRICE,
    TABLES,
    T,
    changes,
    check,
    circuit_of,
    random_schedule,
    rows_of,
    schedules,
    schema,
)

quick = settings(max_examples=30, deadline=None, derandomize=True)
TYPES = {0: INTEGER, 1: BIGINT, 2: VARCHAR, 3: DOUBLE, 4: PRICE, 5: BOOLEAN}


def call(name, *arguments, type=None, **options):
    result = type or (BIGINT if name in ("COUNT", "COUNTIF") else TYPES[arguments[0]])
    return AggregateCall(name, arguments, result, **options)


def aggregate(group, *calls):
    return Aggregate(schema([TYPES[g] for g in group] + [c.type for c in calls]), T, group, calls)


CALLS = {
    "counts": [call("COUNT"), call("COUNT", 0), call("COUNT", 0, 2), call("COUNT", 2, filter=5)],
    "integer sums": [call("SUM", 0), call("SUM", 1), call("AVG", 0), call("AVG", 1), call("SUM", 1, filter=5)],
    "decimal sums": [call("SUM", 4), call("AVG", 4)],
    "float sums": [call("SUM", 3), call("AVG", 3, filter=5)],
    "distinct": [
        call("COUNT", 2, distinct=True),
        call("COUNT", 0, 1, distinct=True),
        call("SUM", 1, distinct=True, filter=5),
        call("MAX", 1, distinct=True),
        call("COUNT"),
    ],
    "truth": [call("EVERY", 5), call("SOME", 5), call("COUNTIF", 5)],
    "word extremes": [call("MIN", 1), call("MAX", 1), call("MAX", 3), call("MIN", 3), call("MIN", 5), call("MAX", 4)],
    "value extremes": [call("MIN", 2), call("MAX", 2), call("MAX", 2, filter=5)],
    "variances": [call("VAR_POP", 1), call("VAR_SAMP", 0), call("STDDEV_SAMP", 1), call("STDDEV_POP", 4)],
    "decimal variances": [call("VARIANCE", 4), call("VAR_POP", 4, filter=5), call("REGR_COUNT", 0, 1, type=BIGINT)],
    "bits": [call("BIT_AND", 1), call("BIT_OR", 0), call("BIT_XOR", 1), call("BIT_XOR", 1, distinct=True)],
    "modes": [call("MODE", 2), call("MODE", 0, filter=5)],
    "arrays": [
        call("ARRAY_AGG", 1, type=array(BIGINT)),
        call("ARRAY_AGG", 2, type=array(VARCHAR), distinct=True),
        call("ARRAY_AGG", 0, type=array(INTEGER), filter=5),
    ],
    "sorted arrays": [
        call("ARRAY_AGG", 2, type=array(VARCHAR), order=(SortKey(1, True, False), SortKey(3, False, False))),
        call("ARRAY_AGG", 0, type=array(INTEGER), distinct=True, order=(SortKey(0, True, True),)),
    ],
    "within distinct": [
        call("SUM", 1, within=(1, 2)),
        call("COUNT", type=BIGINT, within=(2, 4)),
        call("SUM", 0, within=(0,), distinct=True, filter=5),
        call("ARRAY_AGG", 2, type=array(VARCHAR), within=(2, 3), order=(SortKey(3, True, False),)),
    ],
    "arguments of extremes": [call("ARG_MIN", 2, 1), call("ARG_MAX", 1, 2)],
}


@pytest.mark.parametrize("calls", list(CALLS.values()), ids=list(CALLS))
@pytest.mark.parametrize("group", [(), (0,), (2, 3)], ids=["global", "one key", "two keys"])
@quick
@given(schedules(max_changes=10))
def test_aggregate(group, calls, steps):
    check(aggregate(group, *calls), steps)


@pytest.mark.parametrize("calls", list(CALLS.values()), ids=list(CALLS))
def test_aggregate_over_long_schedules(calls):
    for seed in range(8):
        check(aggregate((0,) if seed % 2 else (), *calls), random_schedule(seed))


def test_a_global_aggregate_exists_from_the_first_step():
    circuit = circuit_of(aggregate((), call("COUNT"), call("SUM", 1), call("MIN", 2)))
    assert rows_of(circuit.step({}).deltas["v0"]) == {(0, None, None): 1}
    assert not circuit.step({}).deltas


def test_group_by_without_calls_lists_the_groups():
    row = (1, None, None, None, None, None)
    circuit = circuit_of(aggregate((0,)))
    assert rows_of(circuit.step(changes(TABLES, [("t", row, 1), ("t", row, 1)])).deltas["v0"]) == {(1,): 1}


def test_an_unknown_function_is_refused_when_the_circuit_is_built():
    with pytest.raises(MillstreamError, match="FUSION is not supported"):
        circuit_of(aggregate((0,), call("FUSION", 1)))


def test_deletions_that_came_first_are_made_up_for_by_insertions():
    circuit = circuit_of(aggregate((0,), call("COUNT"), call("SUM", 1)))
    a, b = (1, 10, None, None, None, None), (1, 5, None, None, None, None)
    circuit.step(changes(TABLES, [("t", a, -1)]))
    circuit.step(changes(TABLES, [("t", (2, *a[1:]), 1)]))
    circuit.step(changes(TABLES, [("t", b, 1)]))
    circuit.step(changes(TABLES, [("t", (3, *a[1:]), 1)]))
    result = circuit.step(changes(TABLES, [("t", a, 1)]))
    assert rows_of(result.deltas["v0"]) == {(1, 1, 5): 1}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(-1, 2)), max_size=40))
def test_the_winner_is_the_greatest_candidate_that_deletions_left(entries):
    groups, codes, weights = (np.array([e[i] for e in entries], np.int64) for i in range(3))
    winners = pick_winners(groups, codes.astype(np.uint64), weights, 2)
    totals = Counter()
    for group, code, weight in entries:
        totals[group, code] += weight
    for group, (winner, debt) in enumerate(zip(winners.rows.tolist(), winners.debt.tolist(), strict=True)):
        left = [code for (g, code), total in totals.items() if g == group and total > 0]
        assert (codes[winner] if winner >= 0 else None) == max(left, default=None)
        owed = [code for (g, code), total in totals.items() if g == group and total < 0]
        assert debt == (max(owed, default=-1) > max(left, default=-1))
