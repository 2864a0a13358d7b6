"""Which columns of each relation a plan reads, given which of its own columns somebody wants."""

from __future__ import annotations

from collections.abc import Iterable

from millstream.expressions.nodes import columns_used
from millstream.plan.nodes import (
    Aggregate,
    AsofJoin,
    Filter,
    Hop,
    Join,
    Plan,
    Project,
    Scan,
    Session,
    UnionAll,
    Unnest,
)

Usage = dict[str, set[int]]


def columns_read(plan: Plan, wanted: Iterable[int], usage: Usage) -> None:
    """Adds to `usage`, by relation, the columns that must be known to compute the columns `wanted` of `plan`.

    A relation that is read without any of its columns (COUNT(*)) has an entry with an empty set.
    """
    wanted = set(wanted)
    if isinstance(plan, Scan):
        usage.setdefault(plan.relation, set()).update(wanted)
        return
    for child, needed in zip(plan.inputs, input_columns(plan, wanted), strict=True):
        columns_read(child, needed, usage)


def input_columns(plan: Plan, wanted: set[int]) -> tuple[set[int], ...]:
    """For each input of a node the columns that it needs."""
    if isinstance(plan, Project):
        used: set[int] = set()
        for position in wanted:
            used |= columns_used(plan.expressions[position])
        return (used,)
    if isinstance(plan, Filter):
        return (wanted | columns_used(plan.predicate),)
    if isinstance(plan, Join):
        return _join_columns(plan, wanted)
    if isinstance(plan, Aggregate):
        return (_aggregate_columns(plan, wanted),)
    if isinstance(plan, UnionAll):
        return tuple(set(wanted) for _ in plan.operands)
    if isinstance(plan, Hop):
        return ({i for i in wanted if i < len(plan.input.schema)} | {plan.time_column},)
    if isinstance(plan, Session):
        kept = {plan.kept[i] for i in wanted if i < len(plan.kept)}
        return (kept | set(plan.partition) | {plan.time_column},)
    if isinstance(plan, AsofJoin):
        # all columns of right decide between rows of the same time
        width = len(plan.left.schema)
        left = {i for i in wanted if i < width} | set(plan.left_keys) | {plan.left_time}
        return left, set(range(len(plan.right.schema)))
    if isinstance(plan, Unnest):
        return ({plan.kept[i] for i in wanted if i < len(plan.kept)} | {plan.column},)
    # rows are told apart by all their columns: DISTINCT, EXCEPT, INTERSECT, and the tie-break of TopK
    return tuple(set(range(len(child.schema))) for child in plan.inputs)


def _aggregate_columns(plan: Aggregate, wanted: set[int]) -> set[int]:
    used = set(plan.group)
    for position, call in enumerate(plan.calls, len(plan.group)):
        if position in wanted:
            used |= call.columns
    return used


def _join_columns(plan: Join, wanted: set[int]) -> tuple[set[int], ...]:
    width = len(plan.left.schema)
    both = set(wanted)
    if plan.residual is not None:
        both |= columns_used(plan.residual)
    left = {i for i in both if i < width} | set(plan.left_keys)
    right = {i - width for i in both if i >= width} | set(plan.right_keys)
    return left, right
