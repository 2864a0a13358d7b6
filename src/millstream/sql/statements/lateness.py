"""LATENESS of tables and views, and WATERMARK (sql.md §12.2, §12.5): how far rows may be behind or are held back.

LATENESS statements hold for the whole program, wherever they stand; so they are looked at when all views are known.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import Expression, Literal
from millstream.expressions.registry import build_call
from millstream.plan.program import ERROR_VIEW, Delay
from millstream.plan.walk import reads_relation
from millstream.sql.binding import Environment, QueryEnvironment
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, invalid
from millstream.sql.normal_text import normal_text
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import Node, ViewLateness
from millstream.types import SqlType


def bind_delay(kind: str, column: str, sql_type: SqlType, value: Node, context: Context) -> Expression:
    """The value of a LATENESS or WATERMARK: a constant that can be subtracted from the column."""
    bound = Environment(QueryEnvironment(context), clause=kind).bind(value)
    if not isinstance(bound, Literal) or bound.value is None:
        raise SqlError(f"Illegal expression for {kind.lower()} value", value.span)
    try:
        if sql_type.is_string:
            raise TypeCheckError("strings have no distance")
        build_call("-", [Literal(sql_type, None), bound])
    except TypeCheckError:
        shown = normal_text(value, context.source)
        text = f"Cannot subtract {shown} from column '{column}' of type {sql_type.sql()}"
        raise SqlError(text, value.span) from None
    return bound


def check_view_lateness(statements: list[ViewLateness], context: Context) -> None:
    """Give the views that LATENESS statements name their delays."""
    seen: set[tuple[str, str]] = set()
    for statement in statements:
        try:
            _check(statement, seen, context)
        except SqlError as error:
            context.report(error)


@compiles(ViewLateness)
def view_lateness(statement: ViewLateness, context: Context) -> None:
    """Nothing yet: see check_view_lateness."""


def _check(statement: ViewLateness, seen: set[tuple[str, str]], context: Context) -> None:
    view, column = statement.view.name, statement.column.name
    if view in context.catalog.poisoned:
        return
    if (view, column) in seen:
        raise SqlError(f"Lateness for {view}.{column} already declared", statement.span)
    seen.add((view, column))
    found = context.catalog.views.get(view)
    if found is None:
        context.warn("No such view", f"No view named '{view}' found", statement.view.span)
        return
    declared = next((c for c in found.schema if c.name == column), None)
    if declared is None:
        raise invalid(f"Column '{column}' not found in table '{view}'", statement.column.span)
    if reads_relation(found, ERROR_VIEW, context.catalog.views):
        text = f"View '{view}' reads '{ERROR_VIEW}', where its own late rows would go; it cannot have LATENESS"
        raise SqlError(text, statement.span)
    lateness = bind_delay("LATENESS", column, declared.type, statement.value, context)
    delay = Delay(found.schema.index(declared), lateness, normal_text(statement.value, context.source))
    context.catalog.views[view] = replace(found, delays=(*found.delays, delay))
