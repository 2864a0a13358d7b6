"""CREATE TYPE: aliases and struct types."""

from __future__ import annotations

from millstream.sql.context import Context
from millstream.sql.messages import SqlError
from millstream.sql.statements.registry import check_new_name, compiles
from millstream.sql.syntax import CreateType
from millstream.sql.types import resolve_fields, resolve_type
from millstream.types.sql_type import struct


@compiles(CreateType)
def create_type(statement: CreateType, context: Context) -> None:
    """Adds the type to the catalog."""
    check_new_name(statement.name, context)
    name = statement.name.name
    if name in context.catalog.functions:
        raise SqlError(f"'{name}' already defined", statement.name.span, error_type="Duplicate declaration")
    if statement.type is not None:
        if statement.type.name == "ROW":
            text = (
                "User-defined types cannot be defined to be ROW types; consider eliminating 'ROW' from this definition"
            )
            raise SqlError(text, statement.type.span)
        context.catalog.types[name] = resolve_type(statement.type, context)
        return
    context.catalog.types[name] = struct(resolve_fields(statement.fields, context, nullable=True))
