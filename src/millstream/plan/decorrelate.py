"""Sub-queries as joins: a correlated plan becomes one that is not, and the conditions of the join with the outer rows.

Conditions are pulled out of the sub-query where that is possible (plan/pull_up.py), because then only the sub-query's
own relations are read; otherwise it is evaluated for all distinct outer values (plan/dependent.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from millstream.expressions.nodes import ColumnRef, Expression, OuterRef
from millstream.expressions.registry import build_call
from millstream.plan.dependent import CannotDecorrelateError, Dependent
from millstream.plan.nodes import Aggregate, Column, Distinct, Filter, Plan, Project, TopK, Values
from millstream.plan.outer_refs import deeper, nearer, over_joined, plan_outer_columns
from millstream.plan.pull_up import equality, pull_up

__all__ = ["CannotDecorrelateError", "Correlation", "at_most_one_row", "decorrelate", "exactly_one_row"]

Resolve = Callable[[OuterRef], Expression]


@dataclass(frozen=True)
class Correlation:
    """`plan`: the sub-query's columns and then others; `keys`: pairs of an expression over `plan` and one over the
    outer row that must be equal, with the name of the equality. `conditions`: the same and what else must hold, over
    the columns of the outer row followed by those of `plan`. `missing`: see plan/pull_up.py."""

    plan: Plan
    keys: tuple[tuple[Expression, Expression, str], ...]
    conditions: tuple[Expression, ...]
    missing: tuple[Expression, ...] | None = None


def decorrelate(
    outer: Plan, inner: Plan, resolve: Resolve, *, only_keys: bool, allow_missing: bool = False
) -> Correlation:
    """The relation between the rows of `outer` and those of a sub-query. `resolve`: a reference as an expression over
    `outer`. `only_keys`: all conditions are equalities, listed in `keys`. Raises CannotDecorrelateError."""
    width = len(outer.schema)
    pulled = pull_up(inner)
    if pulled is not None and (allow_missing or pulled.missing is None):
        pairs = [equality(condition) for condition in pulled.conditions]
        keys = tuple((pair[0], over_joined(pair[1], 0, resolve), pair[2]) for pair in pairs if pair is not None)
        if len(keys) == len(pairs) or not only_keys:
            conditions = tuple(over_joined(c, width, resolve) for c in pulled.conditions)
            return Correlation(nearer(pulled.plan), keys, conditions, pulled.missing)
    return _dependent(outer, inner, resolve)


def _dependent(outer: Plan, inner: Plan, resolve: Resolve) -> Correlation:
    references = plan_outer_columns(inner)
    values = [resolve(reference) for reference in references.values()]
    schema = tuple(Column(f"$outer{i}", value.type) for i, value in enumerate(values))
    parameters = deeper(Distinct(schema, Project(schema, outer, tuple(values))))
    rewriting = Dependent(parameters, {index: position for position, index in enumerate(references)})
    plan = nearer(_front_last(rewriting.rewrite(inner), len(schema)))
    count, width = len(inner.schema), len(outer.schema)
    keys = []
    conditions = []
    for position, value in enumerate(values):
        column = ColumnRef(value.type, count + position)
        keys.append((column, value, "<=>"))
        conditions.append(build_call("<=>", [value, ColumnRef(value.type, width + count + position)]))
    return Correlation(plan, tuple(keys), tuple(conditions))


def _front_last(plan: Plan, count: int) -> Plan:
    """The plan with its first columns moved to its end."""
    order = [*range(count, len(plan.schema)), *range(count)]
    schema = tuple(plan.schema[i] for i in order)
    return Project(schema, plan, tuple(ColumnRef(c.type, i) for c, i in zip(schema, order, strict=True)))


def at_most_one_row(plan: Plan) -> bool:
    """Whether a sub-query certainly has no second row for the same outer row."""
    if isinstance(plan, Filter | Project | Distinct):
        return at_most_one_row(plan.input)
    if isinstance(plan, TopK) and plan.limit is not None and plan.limit <= 1 and not plan.partition:
        return True
    return exactly_one_row(plan)


def exactly_one_row(plan: Plan) -> bool:
    """Whether a sub-query has exactly one row for every outer row."""
    if isinstance(plan, Project):
        return exactly_one_row(plan.input)
    if isinstance(plan, Values):
        return len(plan.rows) == 1
    return isinstance(plan, Aggregate) and not plan.group
