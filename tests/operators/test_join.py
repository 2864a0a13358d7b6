"""Joins of every kind, with NULL keys, null-safe keys, residuals and no keys at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Join, JoinKind
from millstream.types.sql_type import BIGINT, INTEGER
from tests.operators.law import TABLES, T, U, changes, check, circuit_of, random_schedule, rows_of, schedules

quick = settings(max_examples=30, deadline=None, derandomize=True)
WIDTH = len(T.schema)
LESS = build_call("<", (ColumnRef(BIGINT, 1), ColumnRef(BIGINT, WIDTH + 1)))
ONE_SIDED = (JoinKind.SEMI, JoinKind.ANTI)


def join(kind, keys=(0,), null_safe=None, residual=None):
    output = T.schema if kind in ONE_SIDED else T.schema + U.schema
    return Join(output, kind, T, U, keys, keys, null_safe or (False,) * len(keys), residual)


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("residual", [None, LESS], ids=["", "residual"])
@quick
@given(schedules(both=True, max_changes=10))
def test_join(kind, residual, steps):
    check(join(kind, residual=residual), steps)


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("residual", [None, LESS], ids=["", "residual"])
def test_join_over_long_schedules(kind, residual):
    for seed in range(12):
        check(join(kind, residual=residual), random_schedule(seed, both=True))


@pytest.mark.parametrize("kind", [JoinKind.INNER, JoinKind.FULL, JoinKind.ANTI])
@quick
@given(schedules(both=True, max_changes=10))
def test_null_safe_keys_match_null(kind, steps):
    check(join(kind, (0, 2), (True, False)), steps)


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("residual", [None, LESS], ids=["", "residual"])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(schedules(both=True, max_changes=6))
def test_cross_join(kind, residual, steps):
    check(join(kind, (), residual=residual), steps)


QUOTIENT = build_call("/", (Literal(INTEGER, 6), ColumnRef(INTEGER, WIDTH)))
FALLIBLE = build_call("<", (QUOTIENT, Literal(INTEGER, 4)))


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("left_goes", [True, False], ids=["left goes", "right goes"])
def test_a_residual_is_not_evaluated_on_rows_that_never_met(kind, left_goes):
    """One side's row is deleted in the step that brings the other side's row."""
    left, right, other = ("t", (0, 1, None, None, None, None)), ("u", (0, 1, None)), ("u", (2, 1, "x"))
    gone, new = (left, right) if left_goes else (right, left)
    check(join(kind, (1,), residual=FALLIBLE), [[(*gone, 1)], [(*gone, -1), (*new, 1), (*new, 1), (*other, 1)]])


def test_a_residual_that_fails_on_deleted_rows_does_not_surface():
    circuit = circuit_of(join(JoinKind.LEFT, (1,), residual=FALLIBLE))
    bad = ("u", (0, 1, None))
    # The filler keeps the deletion in a run of its own, so that it is still in the trace when it is probed.
    filler = [("u", (9, n, None), 1) for n in range(100, 300)]
    circuit.step(changes(TABLES, [(*bad, 1), *filler]))
    circuit.step(changes(TABLES, [(*bad, -1)]))
    row = (0, 1, None, None, None, None)
    result = circuit.step(changes(TABLES, [("u", (2, 1, None), 1), ("t", row, 1)]))
    assert rows_of(result.deltas["v0"]) == {(*row, 2, 1, None): 1}
