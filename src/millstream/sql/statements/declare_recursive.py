"""DECLARE RECURSIVE VIEW: the columns of a view that is created later and may be read before."""

from __future__ import annotations

from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_cast
from millstream.plan.nodes import Column, Plan, Project, Schema
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, invalid
from millstream.sql.statements.names import check_relation_name
from millstream.sql.statements.registry import check_new_name, compiles
from millstream.sql.syntax import DeclareRecursiveView, Identifier
from millstream.sql.types import resolve_type
from millstream.types import Kind


@compiles(DeclareRecursiveView)
def declare_recursive(statement: DeclareRecursiveView, context: Context) -> None:
    """Adds the declaration to the catalog."""
    check_new_name(statement.name, context)
    check_relation_name(statement.name, "view")
    name = statement.name.name
    if name in context.catalog.recursive:
        raise SqlError(f"'{name}' already defined", statement.name.span, error_type="Duplicate declaration")
    seen: set[str] = set()
    columns = []
    for column in statement.columns:
        if column.name.name in seen:
            raise invalid(f"Column with name '{column.name.name}' already defined", column.name.span)
        seen.add(column.name.name)
        columns.append(Column(column.name.name, resolve_type(column.type, context), column.name.quoted))
    context.catalog.recursive[name] = tuple(columns)
    context.places[f"declaration of {name}"] = statement.name.span


def as_declared(name: Identifier, plan: Plan, schema: Schema, context: Context) -> tuple[Plan, Schema]:
    """The plan of a view and its columns; those of a declared view must be the declared ones."""
    declared = context.catalog.recursive.get(name.name)
    if declared is None:
        return plan, schema
    if len(declared) == len(schema):
        nulls = [i for i, c in enumerate(schema) if c.type.kind is Kind.NULL and declared[i].type.nullable]
        if nulls:
            cells: list[Expression] = [ColumnRef(c.type, i) for i, c in enumerate(schema)]
            for i in nulls:
                cells[i] = build_cast(cells[i], declared[i].type)
            schema = tuple(Column(c.name, e.type, c.case_sensitive) for c, e in zip(schema, cells, strict=True))
            plan = Project(schema, plan, tuple(cells))
        if [(c.name, c.type) for c in schema] == [(c.name, c.type) for c in declared]:
            return plan, schema
    text = (
        f"Type inferred for view '{name.name}' is {_shown(schema)}\n"
        f"which does not match the declared type {_shown(declared)}"
    )
    raise SqlError(text, name.span, error_type="Type mismatch")


def _shown(schema: Schema) -> str:
    return "(" + ", ".join(f"{column.name} {column.type}" for column in schema) + ")"
