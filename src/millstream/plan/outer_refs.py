"""References from a sub-query to the rows of the queries around it: finding them, replacing them."""

from __future__ import annotations

from collections.abc import Callable

from millstream.expressions.nodes import ColumnRef, Expression, OuterRef, children
from millstream.plan.conditions import map_children
from millstream.plan.nodes import Plan
from millstream.plan.walk import expressions_of, map_expressions, nodes


def outer_columns(expression: Expression) -> dict[int, OuterRef]:
    """The references in an expression to the next query out, by column."""
    if isinstance(expression, OuterRef):
        return {expression.index: expression} if expression.level == 1 else {}
    found: dict[int, OuterRef] = {}
    for child in children(expression):
        found.update(outer_columns(child))
    return found


def plan_outer_columns(plan: Plan) -> dict[int, OuterRef]:
    """The same for all expressions of a plan."""
    found: dict[int, OuterRef] = {}
    for node in nodes(plan):
        for expression in expressions_of(node):
            found.update(outer_columns(expression))
    return found


def is_correlated(plan: Plan) -> bool:
    """Whether a plan depends on the row of the next query out."""
    return bool(plan_outer_columns(plan))


def resolved(expression: Expression, resolve: Callable[[OuterRef], Expression]) -> Expression:
    """The expression with references to the next query out replaced, and those further out one level nearer."""
    if isinstance(expression, OuterRef):
        if expression.level == 1:
            return resolve(expression)
        return OuterRef(expression.type, expression.level - 1, expression.index)
    return map_children(expression, lambda child: resolved(child, resolve))


def deeper(plan: Plan) -> Plan:
    """A plan of a query as a part of its sub-query: all its references lead one level further out."""

    def change(e: Expression) -> Expression:
        if isinstance(e, OuterRef):
            return OuterRef(e.type, e.level + 1, e.index)
        return map_children(e, change)

    return map_expressions(plan, change)


def nearer(plan: Plan) -> Plan:
    """A plan that is not correlated with the next query out, as a part of that query."""

    def refuse(reference: OuterRef) -> Expression:
        raise AssertionError(reference)

    return map_expressions(plan, lambda e: resolved(e, refuse))


def over_joined(expression: Expression, width: int, resolve: Callable[[OuterRef], Expression]) -> Expression:
    """An expression over the rows of a sub-query, as one over `width` columns of the outer row and those after them.
    `resolve`: references to the outer row, over its columns."""

    def change(e: Expression) -> Expression:
        if isinstance(e, ColumnRef):
            return ColumnRef(e.type, e.index + width)
        if isinstance(e, OuterRef):
            return resolve(e) if e.level == 1 else OuterRef(e.type, e.level - 1, e.index)
        return map_children(e, change)

    return change(expression)
