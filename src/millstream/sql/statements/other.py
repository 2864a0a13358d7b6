"""Statements without an effect on the catalog, and those that this version refuses."""

from __future__ import annotations

from millstream.sql.context import Context
from millstream.sql.messages import SqlError, not_yet
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import IgnoredStatement, OtherStatement, QueryStatement, SetOption

_SETTINGS = frozenset(
    """feldera_warnings_are_errors enforce_positive_inputs feldera_avoid_star_joins feldera_flat_variant
    feldera_use_multi_joins""".split()  # noqa: SIM905 - a table of words
)


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


@compiles(SetOption)
def set_option(statement: SetOption, context: Context) -> None:
    """Settings tune the upstream compiler; the known ones are accepted."""
    name = statement.name.name
    if name not in _SETTINGS and not name.startswith("feldera_ignore_warning_"):
        text = f"Variable '{name}' does not control any known settings"
        context.warn("Unknown setting", text, statement.span)
