"""Filters move towards the tables, and into joins as keys (plan/joining.py).

A condition that may fail only moves where it is evaluated on no more rows than before: through projections, DISTINCT
and UNION ALL. Outer joins whose padding a filter would drop anyway become inner ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millstream.expressions.nodes import Expression, columns_used, remap_columns, substitute
from millstream.plan.conditions import (
    MAX_SIZE,
    conjunction,
    may_fail,
    rejects_nulls,
    split_conjunction,
    substituted_size,
)
from millstream.plan.joining import join_plan, key_conditions
from millstream.plan.nodes import (
    Aggregate,
    Distinct,
    Except,
    Filter,
    Hop,
    Intersect,
    Join,
    JoinKind,
    Plan,
    Project,
    Session,
    TopK,
    UnionAll,
    Unnest,
    Window,
)
from millstream.plan.walk import with_inputs

_Conditions = Sequence[Expression]


def push_filters(plan: Plan) -> Plan:
    """Move every filter in a plan as far down as it may go."""
    if isinstance(plan, Filter):
        return _filtered(plan.input, split_conjunction(plan.predicate))
    return with_inputs(plan, [push_filters(child) for child in plan.inputs])


def _filtered(plan: Plan, conditions: _Conditions) -> Plan:
    """`plan`, its own filters pushed, restricted to rows for which all conditions are TRUE."""
    if not conditions:
        return push_filters(plan)
    if isinstance(plan, Filter):
        return _through_filter(plan, conditions)
    if isinstance(plan, Project) and sum(substituted_size(c, plan.expressions) for c in conditions) < MAX_SIZE:
        moved = [substitute(c, dict(enumerate(plan.expressions))) for c in conditions]
        return replace(plan, input=_filtered(plan.input, moved))
    if isinstance(plan, Distinct):
        return replace(plan, input=_filtered(plan.input, conditions))
    if isinstance(plan, UnionAll):
        return replace(plan, operands=tuple(_filtered(operand, conditions) for operand in plan.operands))
    if isinstance(plan, Join):
        return _through_join(plan, conditions)
    down = [c for c in conditions if _passes(plan, c)]
    stay = [c for c in conditions if c not in down]
    return _kept(_into_inputs(plan, down), stay)


def _kept(plan: Plan, conditions: _Conditions) -> Plan:
    condition = conjunction(conditions)
    return plan if condition is None else Filter(plan.schema, plan, condition)


def _through_filter(plan: Filter, conditions: _Conditions) -> Plan:
    """Conditions of two filters become those of one, unless the outer ones may fail: AND evaluates its right side
    where the left one is NULL, the outer filter does not."""
    inner = split_conjunction(plan.predicate)
    if plan.predicate.type.nullable and any(may_fail(c) for c in conditions):
        safe = [c for c in conditions if not may_fail(c)]
        return _kept(_filtered(plan.input, [*inner, *safe]), [c for c in conditions if may_fail(c)])
    return _filtered(plan.input, [*inner, *conditions])


def _passes(plan: Plan, condition: Expression) -> bool:
    """Whether a condition over the output of a node may be applied to its inputs instead."""
    used = columns_used(condition)
    if may_fail(condition) or not used:
        return False
    if isinstance(plan, Aggregate):
        return max(used) < len(plan.group)
    if isinstance(plan, TopK | Window):
        return used <= set(plan.partition)
    if isinstance(plan, Session):
        return max(used) < len(plan.kept) and {plan.kept[i] for i in used} <= set(plan.partition)
    if isinstance(plan, Unnest):
        return max(used) < len(plan.kept)
    if isinstance(plan, Hop):
        return max(used) < len(plan.input.schema)
    return isinstance(plan, Except | Intersect)


def _into_inputs(plan: Plan, conditions: list[Expression]) -> Plan:
    if isinstance(plan, Aggregate):
        conditions = [remap_columns(c, dict(enumerate(plan.group))) for c in conditions]
    if isinstance(plan, Unnest | Session):
        conditions = [remap_columns(c, dict(enumerate(plan.kept))) for c in conditions]
    return with_inputs(plan, [_filtered(child, conditions) for child in plan.inputs])


# ---- joins ----


def _through_join(plan: Join, conditions: _Conditions) -> Plan:
    kind = _reduced_kind(plan, conditions)
    if kind is JoinKind.INNER:
        return _inner(plan, conditions)
    width = len(plan.left.schema)
    left: list[Expression] = []
    right: list[Expression] = []
    stay: list[Expression] = []
    for condition in conditions:
        used = columns_used(condition)
        if not used or may_fail(condition):
            stay.append(condition)
        elif kind in (JoinKind.LEFT, JoinKind.SEMI, JoinKind.ANTI) and max(used) < width:
            left.append(condition)
        elif kind is JoinKind.RIGHT and min(used) >= width:
            right.append(remap_columns(condition, {i: i - width for i in used}))
        else:
            stay.append(condition)
    joined = replace(plan, kind=kind, left=_filtered(plan.left, left), right=_filtered(plan.right, right))
    return _kept(joined, stay)


def _reduced_kind(plan: Join, conditions: _Conditions) -> JoinKind:
    """The kind of join that is left when a filter drops padded rows."""
    width = len(plan.left.schema)
    total = width + len(plan.right.schema)
    kind = plan.kind
    if kind in (JoinKind.RIGHT, JoinKind.FULL) and any(rejects_nulls(c, range(width)) for c in conditions):
        kind = JoinKind.LEFT if kind is JoinKind.FULL else JoinKind.INNER
    if kind in (JoinKind.LEFT, JoinKind.FULL) and any(rejects_nulls(c, range(width, total)) for c in conditions):
        kind = JoinKind.RIGHT if kind is JoinKind.FULL else JoinKind.INNER
    return kind


def _inner(plan: Join, conditions: _Conditions) -> Plan:
    """Conditions of the join and of the filter above it, placed anew. One that may fail stays above the join, where
    only rows of the join meet it."""
    own = key_conditions(plan)
    if plan.residual is not None:
        own += split_conjunction(plan.residual)
    stay = [c for c in conditions if may_fail(c)]
    joined = join_plan(JoinKind.INNER, plan.left, plan.right, [*own, *(c for c in conditions if c not in stay)])
    if joined.schema != plan.schema:
        joined = replace(joined, schema=plan.schema)
    return _kept(with_inputs(joined, [push_filters(child) for child in joined.inputs]), stay)
