"""Every construct against DuckDB, over random schedules of inserts, deletes and updates."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.plan.program import Program
from tests.oracle.cases import aggregates, grouping_sets, joins, ordering, pivots, scalar, sets, subqueries, windows
from tests.oracle.harness import Oracle, Step, Views, World, check, program_of, schedules

FAMILIES = {
    "scalar": scalar.CASES,
    "joins": joins.CASES,
    "aggregates": aggregates.CASES,
    "sets": sets.CASES,
    "ordering": ordering.CASES,
    "windows": windows.CASES,
    "subqueries": subqueries.CASES,
    "grouping_sets": grouping_sets.CASES,
    "pivots": pivots.CASES,
}


@cache
def program(family: str) -> Program:
    return program_of(FAMILIES[family])


@cache
def oracle(family: str) -> Oracle:
    return Oracle(FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(schedule=schedules)
def test_views_equal_the_query_over_the_tables(family: str, schedule: list[Step]) -> None:
    check(program(family), oracle(family), schedule)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=150, deadline=None)
@given(schedule=schedules)
def test_views_equal_the_query_over_the_tables_at_length(family: str, schedule: list[Step]) -> None:
    check(program(family), oracle(family), schedule)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(schedule=schedules, seed=st.integers(0, 2**16))
def test_results_do_not_depend_on_how_changes_are_cut_into_steps(family: str, schedule: list[Step], seed: int) -> None:
    chance = random.Random(seed)
    changes = [change for step in schedule for change in step]
    at_once, in_parts = Views(program(family)), Views(program(family))
    at_once.step(World(program(family)).apply(changes))
    world = World(program(family))
    while changes:
        size = chance.choice((1, 3, 10, 40))
        in_parts.step(world.apply(changes[:size]))
        changes = changes[size:]
    in_parts.step({})
    assert in_parts.contents == at_once.contents
