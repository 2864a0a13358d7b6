"""Rewriting of plans. `RULES` is what is done, in order; each rule is a function from plan to plan.

Every rule keeps the rows of a plan, its column types, and its errors: nothing that may fail is evaluated on a row that
the original would not have evaluated it on. (A column that nobody reads may vanish together with its errors.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from millstream.plan.nodes import Plan
from millstream.plan.rules.limit_ranks import limit_ranks
from millstream.plan.rules.merge_projections import merge_projections
from millstream.plan.rules.order_joins import order_joins
from millstream.plan.rules.prune_columns import prune_columns
from millstream.plan.rules.push_filters import push_filters
from millstream.plan.rules.simplify import simplify
from millstream.plan.walk import with_inputs

Rule = Callable[[Plan], Plan]


def bottom_up(rule: Rule) -> Rule:
    """The rule for whole plans that applies a rule for one node to every node, inputs first."""

    def everywhere(plan: Plan) -> Plan:
        return rule(with_inputs(plan, [everywhere(child) for child in plan.inputs]))

    return everywhere


RULES: tuple[Rule, ...] = (
    bottom_up(simplify),
    push_filters,
    order_joins,
    bottom_up(merge_projections),
    push_filters,
    bottom_up(limit_ranks),
    prune_columns,
    bottom_up(merge_projections),
)


def optimize(plan: Plan) -> Plan:
    """An equivalent plan that costs less to maintain. Its schema is that of `plan`."""
    schema = plan.schema
    for rule in RULES:
        plan = rule(plan)
        assert [c.type for c in plan.schema] == [c.type for c in schema], rule
    return plan if plan.schema == schema else replace(plan, schema=schema)
