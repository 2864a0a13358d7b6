"""CREATE INDEX: columns that are unique in a view, for connectors that write keys (sql.md §2.5)."""

from __future__ import annotations

from millstream.plan.nodes import Schema
from millstream.plan.program import Index
from millstream.sql.context import Context
from millstream.sql.messages import Poisoned, SqlError
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import CreateIndex
from millstream.types import Kind, SqlType

_UNFIT = (Kind.ARRAY, Kind.MAP, Kind.STRUCT, Kind.VARIANT)


@compiles(CreateIndex)
def create_index(statement: CreateIndex, context: Context) -> None:
    """Adds the index to the catalog."""
    catalog, name, relation = context.catalog, statement.name, statement.relation
    if name.name in catalog.indexes or catalog.schema(name.name) is not None:
        raise SqlError(f"'{name.name}' already defined", name.span, error_type="Duplicate declaration")
    schema = catalog.schema(relation.name)
    if schema is None:
        if relation.name in catalog.poisoned:
            raise Poisoned
        text = f"Object with name '{relation.name}' used in CREATE INDEX statement '{name.name}' does not exist."
        raise SqlError(text, relation.span, error_type="Indexed object not found")
    columns = _columns(statement, schema)
    if relation.name in catalog.tables:
        text = f"INDEX '{name.name}' refers to TABLE '{relation.name}'; this has no effect."
        context.warn("Indexed table", text, relation.span)
        return
    catalog.indexes[name.name] = Index(name.name, relation.name, columns)


def _columns(statement: CreateIndex, schema: Schema) -> tuple[int, ...]:
    places = {column.name: index for index, column in enumerate(schema)}
    found: list[int] = []
    for column in statement.columns:
        index = places.get(column.name)
        if index is None:
            text = (
                f"Column '{column.name}' used in CREATE INDEX statement '{statement.name.name}' "
                f"does not exist in view '{statement.relation.name}'"
            )
            raise SqlError(text, column.span)
        if index in found:
            raise SqlError(f"Column '{column.name}' duplicated in index", column.span)
        sql_type = schema[index].type
        if sql_type.kind in _UNFIT:
            text = f"Cannot index on column '{column.name}' because it has type {_shown(sql_type)}"
            raise SqlError(text, column.span, error_type="Illegal type in INDEX")
        found.append(index)
    return tuple(found)


def _shown(sql_type: SqlType) -> str:
    if sql_type.kind is Kind.ARRAY and sql_type.component is not None:
        return f"{_shown(sql_type.component)} ARRAY"
    return "INT" if sql_type.kind is Kind.INTEGER else sql_type.sql()
