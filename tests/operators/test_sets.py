"""Distinct, except and intersect emit where multiplicities cross zero."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from millstream.expressions.nodes import ColumnRef
from millstream.plan.nodes import Distinct, Except, Intersect, Project
from tests.operators.law import TABLES, T, U, changes, check, circuit_of, random_schedule, rows_of, schedules

quick = settings(max_examples=40, deadline=None, derandomize=True)
PAIR = U.schema[:2]
LEFT = Project(PAIR, T, tuple(ColumnRef(c.type, i) for i, c in enumerate(PAIR)))
RIGHT = Project(PAIR, U, tuple(ColumnRef(c.type, i) for i, c in enumerate(PAIR)))


@quick
@given(schedules())
def test_distinct(steps):
    check(Distinct(T.schema, T), steps)


@pytest.mark.parametrize("operation", [Except, Intersect])
@pytest.mark.parametrize("keep_all", [False, True], ids=["distinct", "all"])
@quick
@given(schedules(both=True, max_changes=10))
def test_set_operation(operation, keep_all, steps):
    check(operation(PAIR, LEFT, RIGHT, keep_all), steps)


@pytest.mark.parametrize("operation", [Except, Intersect])
@pytest.mark.parametrize("keep_all", [False, True], ids=["distinct", "all"])
def test_set_operation_over_long_schedules(operation, keep_all):
    for seed in range(12):
        check(operation(PAIR, LEFT, RIGHT, keep_all), random_schedule(seed, both=True))


def test_rows_of_negative_multiplicity_are_not_distinct_rows_until_made_up_for():
    circuit = circuit_of(Distinct(U.schema, U))
    row = ("u", (1, 1, "a"))
    assert not circuit.step(changes(TABLES, [(*row, -1)])).deltas.get("v0")
    other = ("u", (2, 2, "b"))
    circuit.step(changes(TABLES, [(*other, 1)]))
    assert not circuit.step(changes(TABLES, [(*row, 1)])).deltas.get("v0")
    assert rows_of(circuit.step(changes(TABLES, [(*row, 1)])).deltas["v0"]) == {row[1]: 1}
