"""Joins whose condition has sub-queries.

The value of a sub-query becomes a column of the side of the join that it refers to. One that refers to both sides is
evaluated on the pairs of an inner join that the other conditions leave; for other joins there are no such rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.nodes import ColumnRef, Expression, columns_used, remap_columns, substitute
from millstream.plan.conditions import conjunction
from millstream.plan.joining import join_plan
from millstream.plan.nodes import Filter, JoinKind, Plan, Project
from millstream.plan.outer_refs import plan_outer_columns
from millstream.plan.program import Span
from millstream.sql.binding import SUBQUERY_BASE, Subqueries
from millstream.sql.messages import not_yet
from millstream.sql.queries.subqueries import placed_subqueries


def join_with_subqueries(
    kind: JoinKind, left: Plan, right: Plan, conjuncts: Sequence[Expression], subqueries: Subqueries, span: Span
) -> Plan:
    """The join of two plans under conditions with placeholders of sub-queries. Raises SqlError."""
    width, numbers = len(left.schema), range(len(subqueries.requests))
    columns = [_columns(number, subqueries) for number in numbers]
    of_left = [n for n in numbers if max(columns[n], default=-1) < width]
    of_right = [n for n in numbers if min(columns[n], default=-1) >= width]
    of_both = [n for n in numbers if n not in of_left and n not in of_right]
    if of_both and kind is not JoinKind.INNER:
        raise not_yet("It looks like the compiler could not decorrelate this query.", span)

    own = {width + i: i for i in range(len(right.schema))}
    left, of_left_row = placed_subqueries(left, subqueries, of_left, lambda e: e, span)
    more = {SUBQUERY_BASE + n: SUBQUERY_BASE + n for n in of_right}
    right, of_right_row = placed_subqueries(right, subqueries, of_right, lambda e: remap_columns(e, own | more), span)
    start = len(left.schema)
    behind = {i: start + i for i in range(len(right.schema))}
    values = {SUBQUERY_BASE + n: of_left_row(_placeholder(n, subqueries)) for n in of_left}
    values |= {SUBQUERY_BASE + n: remap_columns(of_right_row(_placeholder(n, subqueries)), behind) for n in of_right}
    moved = {i: i for i in range(width)} | {i: start + place for i, place in own.items()}
    moved |= {SUBQUERY_BASE + n: SUBQUERY_BASE + n for n in of_both}

    def rewrite(expression: Expression) -> Expression:
        return substitute(expression, values, moved)

    late = [c for c in conjuncts if any(SUBQUERY_BASE + n in columns_used(c) for n in of_both)]
    plan = join_plan(kind, left, right, [rewrite(c) for c in conjuncts if c not in late])
    predicate = conjunction([rewrite(c) for c in late])
    kept = [*range(width), *(moved[i] for i in own if kind not in (JoinKind.SEMI, JoinKind.ANTI))]
    schema = tuple(plan.schema[i] for i in kept)
    if predicate is not None:
        plan, place = placed_subqueries(plan, subqueries, of_both, rewrite, span)
        plan = Filter(plan.schema, plan, place(predicate))
    return Project(schema, plan, tuple(ColumnRef(plan.schema[i].type, i) for i in kept))


def _placeholder(number: int, subqueries: Subqueries) -> Expression:
    return ColumnRef(subqueries.requests[number].type, SUBQUERY_BASE + number)


def _columns(number: int, subqueries: Subqueries) -> set[int]:
    """The columns of both sides that the value of a sub-query depends on."""
    request = subqueries.requests[number]
    found = set(plan_outer_columns(request.plan))
    for operand in request.operands:
        for column in columns_used(operand):
            found |= {column} if column < SUBQUERY_BASE else _columns(column - SUBQUERY_BASE, subqueries)
    return found
