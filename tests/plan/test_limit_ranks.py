"""Limits on ranks: the rows stay the same, and only the first ones of a partition are kept in order."""

from __future__ import annotations

import pytest

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Filter, Join, Plan, SortKey, TopK, Window, WindowCall
from millstream.plan.rules.limit_ranks import limit_ranks
from millstream.plan.walk import nodes
from millstream.types.sql_type import BIGINT, INTEGER
from tests.operators.law import T, check, random_schedule, schema

RANK_TYPE = BIGINT.with_nullable(False)
WIDTH = len(T.schema)


def ranked(function: str, operator: str, value: int, flip: bool = False) -> Plan:
    window = Window(
        T.schema + schema([RANK_TYPE]), T, (0,), (SortKey(1, True, False),), (WindowCall(function, (), RANK_TYPE),)
    )
    operands = [ColumnRef(RANK_TYPE, WIDTH), Literal(INTEGER, value)]
    predicate = build_call(operator, operands[::-1] if flip else operands)
    return Filter(window.schema, window, predicate)


@pytest.mark.parametrize("function", ["ROW_NUMBER", "RANK", "DENSE_RANK"])
@pytest.mark.parametrize(
    ("operator", "value", "flip"), [("<=", 2, False), ("<", 2, False), ("=", 2, False), (">=", 1, True)]
)
def test_rows_are_those_of_the_whole_partition(function, operator, value, flip):
    plan = ranked(function, operator, value, flip)
    limited = limit_ranks(plan)
    kind = TopK if function == "ROW_NUMBER" else Join
    assert any(isinstance(node, kind) for node in nodes(limited))
    for seed in range(4):
        steps = random_schedule(seed, num_changes=20)
        check(plan, steps)
        check(limited, steps)


@pytest.mark.parametrize(("operator", "value"), [(">", 2), ("<=", 0), ("<>", 1)])
def test_other_conditions_stay(operator, value):
    plan = ranked("RANK", operator, value)
    assert limit_ranks(plan) == plan
