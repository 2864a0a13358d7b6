"""LATENESS of tables and views and WATERMARK (sql.md §12.2, §12.5): checked, and refused where they would have to work.

Late rows must be dropped and early ones withheld. That is not built, so a program that asks for it does not compile:
it would have other results than its author wants.
"""

from __future__ import annotations

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import Expression, Literal
from millstream.expressions.registry import build_call
from millstream.sql.binding import Environment, QueryEnvironment
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, invalid, not_yet
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
    """LATENESS statements hold for the whole program: they are looked at when all views are known."""
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
    bind_delay("LATENESS", column, declared.type, statement.value, context)
    raise not_yet("LATENESS of a view", statement.span)
