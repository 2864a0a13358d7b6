"""Statements by syntax class: each module here says how one kind of statement changes the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from millstream.plan.program import ERROR_VIEW
from millstream.sql.context import Context
from millstream.sql.messages import SqlError
from millstream.sql.syntax import Identifier, Node

Statement = Callable[[Any, Context], None]
_STATEMENTS: dict[type[Node], Statement] = {}
F = TypeVar("F", bound=Statement)


def compiles(*classes: type[Node]) -> Callable[[F], F]:
    """Registers the function that compiles statements of these classes."""

    def register(function: F) -> F:
        _STATEMENTS.update(dict.fromkeys(classes, function))
        return function

    return register


def compile_statement(statement: Node, context: Context) -> None:
    """Apply a statement to the catalog. Raises SqlError for the first mistake that makes it meaningless."""
    _STATEMENTS[type(statement)](statement, context)


def check_new_name(name: Identifier, context: Context) -> None:
    """Whether an object may be declared under a name."""
    catalog = context.catalog
    known = (catalog.tables, catalog.views, catalog.types)
    if any(name.name in names for names in known):
        raise SqlError(f"'{name.name}' already defined", name.span, error_type="Duplicate declaration")
    if name.name == ERROR_VIEW:
        raise SqlError(f"'{ERROR_VIEW}' already defined", name.span, error_type="Duplicate declaration")
