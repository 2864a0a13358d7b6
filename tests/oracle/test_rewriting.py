"""Rewritten plans give what the plans as written give, for every query of the oracle suite."""

from __future__ import annotations

import random
from unittest import mock

import pytest

from millstream.plan.program import Program
from tests.oracle.harness import Views, World, program_of
from tests.oracle.test_queries import FAMILIES, program


def unoptimized(family: str) -> Program:
    with mock.patch("millstream.sql.statements.create_view.optimize", lambda plan: plan):
        return program_of(FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_rewriting_changes_no_result(family: str) -> None:
    chance = random.Random(family)
    plain, rewritten = Views(unoptimized(family)), Views(program(family))
    world = World(program(family))
    assert plain.program.views != rewritten.program.views
    for size in (0, 40, 3, 40, 1, 40):
        step = [(chance.choice((0, 0, 1, 1, 2, 3)), chance.randrange(60), chance.randrange(4)) for _ in range(size)]
        changes = world.apply(step)
        plain.step(changes)
        rewritten.step(changes)
        assert plain.contents == rewritten.contents
