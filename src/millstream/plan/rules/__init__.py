"""Rewriting of plans. `RULES` is what is done, in order; each rule is a function from plan to plan."""

from __future__ import annotations

from collections.abc import Callable

from millstream.plan.nodes import Plan

Rule = Callable[[Plan], Plan]

RULES: tuple[Rule, ...] = ()


def optimize(plan: Plan) -> Plan:
    """An equivalent plan that costs less to maintain. Its schema is that of `plan`."""
    schema = plan.schema
    for rule in RULES:
        plan = rule(plan)
        assert [c.type for c in plan.schema] == [c.type for c in schema], rule
    return plan
