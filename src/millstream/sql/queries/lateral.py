"""LATERAL: a derived table whose query may use the columns of the FROM items before it."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.nodes import ColumnRef
from millstream.plan.conditions import split_conjunction
from millstream.plan.decorrelate import CannotDecorrelateError, decorrelate
from millstream.plan.joining import join_plan
from millstream.plan.nodes import JoinKind, Plan, Project
from millstream.sql.binding import Environment, QueryEnvironment
from millstream.sql.messages import not_yet
from millstream.sql.queries.aliases import aliased
from millstream.sql.queries.select import condition
from millstream.sql.scope import Scope, combine, nullable_side
from millstream.sql.syntax import DerivedTable, Join

_KINDS = {"CROSS": JoinKind.INNER, "INNER": JoinKind.INNER, "LATERAL": JoinKind.INNER, "LEFT": JoinKind.LEFT}


def bind_lateral(node: Join, table: DerivedTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    """Each row of the left side with the rows that the query on the right has for it."""
    kind = _KINDS.get(node.kind)
    if kind is None or node.natural or node.using:
        raise not_yet(f"{node.kind} JOIN LATERAL", node.span)
    left, left_scope = env.bind_relation(node.left)
    inner = env.nested(outer=replace(left_scope, outer=env.outer)).bind(table.query)
    width, total = len(left.schema), len(left.schema) + len(inner.schema)
    scope = combine(left_scope, aliased(inner, table.alias, "")[1], width, table.span)
    try:
        correlation = decorrelate(left, inner, lambda r: ColumnRef(r.type, r.index), only_keys=False)
    except CannotDecorrelateError:
        raise not_yet("It looks like the compiler could not decorrelate this query.", table.span) from None
    conditions = list(correlation.conditions)
    if node.condition is not None:
        on = Environment(env, replace(scope, outer=env.outer), clause="ON")
        conditions += split_conjunction(condition(node.condition, on))
    joined = join_plan(kind, left, correlation.plan, conditions)
    schema = joined.schema[:total]
    plan = Project(schema, joined, tuple(ColumnRef(c.type, i) for i, c in enumerate(schema)))
    return plan, nullable_side(scope, width, total) if kind is JoinKind.LEFT else scope
