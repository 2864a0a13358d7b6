"""Statements without an effect on the catalog, and those that this version refuses."""

from __future__ import annotations

from millstream.sql.context import Context
from millstream.sql.messages import SqlError, not_yet
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import IgnoredStatement, OtherStatement, QueryStatement


@compiles(IgnoredStatement)
def ignored(statement: IgnoredStatement, context: Context) -> None:
    """INSERT and REMOVE belong to ad-hoc queries."""
    text = f"{statement.what} statement has no effect in a pipeline definition"
    context.warn("Statement ignored", text, statement.span)


@compiles(OtherStatement)
def other(statement: OtherStatement, context: Context) -> None:
    """Anything else that the grammar knows."""
    raise not_yet(f"SQL statement not yet implemented: {statement.what}", statement.span)


@compiles(QueryStatement)
def raw_query(statement: QueryStatement, context: Context) -> None:
    """A query that no view names."""
    text = "Raw 'SELECT' statements are not supported; did you forget to CREATE VIEW?"
    raise SqlError(text, statement.span, error_type="Not supported")
