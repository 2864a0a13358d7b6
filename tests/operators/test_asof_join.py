"""As-of joins: keys with NULLs, times of several types, ties, deletions on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from millstream.plan.nodes import AsofJoin
from tests.operators.law import T, U, check, random_schedule, schedules

quick = settings(max_examples=40, deadline=None, derandomize=True)
SHAPES = {
    "integer time": ((0,), (0,), (False,), 1, 1),
    "text time": ((0,), (0,), (False,), 2, 2),
    "null-safe key": ((0, 2), (0, 2), (True, False), 1, 1),
    "no key": ((), (), (), 1, 1),
}


def asof(name):
    return AsofJoin(T.schema + U.schema, T, U, *SHAPES[name])


@pytest.mark.parametrize("name", list(SHAPES))
@quick
@given(schedules(both=True, max_changes=10))
def test_asof_join(name, steps):
    check(asof(name), steps)


@pytest.mark.parametrize("name", list(SHAPES))
def test_asof_join_over_long_schedules(name):
    for seed in range(15):
        check(asof(name), random_schedule(seed, both=True))
