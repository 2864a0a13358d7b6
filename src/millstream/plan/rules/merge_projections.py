"""Projections over projections become one, and those that change nothing disappear."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.nodes import ColumnRef, substitute
from millstream.plan.conditions import MAX_SIZE, substituted_size
from millstream.plan.nodes import Plan, Project


def merge_projections(plan: Plan) -> Plan:
    """Merge one node with its input. Subexpressions that this repeats are still evaluated once (evaluate.py)."""
    if not isinstance(plan, Project):
        return plan
    inner = plan.input
    if isinstance(inner, Project) and sum(substituted_size(e, inner.expressions) for e in plan.expressions) < MAX_SIZE:
        expressions = tuple(substitute(e, dict(enumerate(inner.expressions))) for e in plan.expressions)
        return merge_projections(replace(plan, input=inner.input, expressions=expressions))
    if _is_identity(plan):
        return replace(inner, schema=plan.schema)
    return plan


def _is_identity(plan: Project) -> bool:
    width = len(plan.input.schema)
    if len(plan.expressions) != width or any(
        not isinstance(e, ColumnRef) or e.index != i for i, e in enumerate(plan.expressions)
    ):
        return False
    return all(mine.type == other.type for mine, other in zip(plan.schema, plan.input.schema, strict=True))
