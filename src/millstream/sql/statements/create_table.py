"""CREATE TABLE: columns with their attributes, the primary key, and the table's properties (sql.md §2.1)."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.evaluate import EvaluationError, evaluate_constant, is_deterministic
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import Expression
from millstream.expressions.registry import build_cast
from millstream.plan.monotone import is_ordered
from millstream.plan.program import Table, TableColumn
from millstream.sql.binding import Environment, QueryEnvironment
from millstream.sql.connectors import parse_connectors
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, not_yet
from millstream.sql.normal_text import normal_text
from millstream.sql.properties import boolean, declared_properties, integer
from millstream.sql.statements.create_view import has_interval
from millstream.sql.statements.lateness import bind_delay
from millstream.sql.statements.names import check_relation_name
from millstream.sql.statements.registry import check_new_name, compiles
from millstream.sql.syntax import ColumnAttribute, ColumnDeclaration, CreateTable, Identifier
from millstream.sql.types import resolve_type
from millstream.types import Kind, SqlType

_PROPERTIES = ("materialized", "append_only", "skip_unused_columns", "expected_size", "connectors")
#: What connectors know of a record is as good as constant: its only use is in defaults.
_METADATA = frozenset(("CONNECTOR_METADATA",))
_UNFIT_KEYS = (Kind.ARRAY, Kind.MAP, Kind.STRUCT, Kind.VARIANT)
_REPEATED = {
    "PRIMARY KEY": "already declared a primary key",
    "DEFAULT": "already has a default value",
    "LATENESS": "already has lateness",
    "WATERMARK": "already has a watermark",
    "INTERNED": "already marked as interned",
}


@compiles(CreateTable)
def create_table(statement: CreateTable, context: Context) -> None:
    """Adds the table to the catalog."""
    check_new_name(statement.name, context)
    check_relation_name(statement.name, "table")
    columns = _columns(statement, context)
    context.places[statement.name.name] = statement.name.span
    for column in statement.columns:
        context.places[f"{statement.name.name}.{column.name.name}"] = column.name.span
    properties = declared_properties(statement.properties, _PROPERTIES, "table")
    for flag in ("materialized", "append_only", "skip_unused_columns"):
        boolean(flag, properties.get(flag))
    integer("expected_size", properties.get("expected_size"))
    key = _primary_key(statement, columns)
    _check_watermarks(statement, columns)
    context.catalog.tables[statement.name.name] = Table(
        statement.name.name,
        columns,
        key,
        case_sensitive=statement.name.quoted,
        properties=properties,
        materialized=boolean("materialized", properties.get("materialized")),
        append_only=boolean("append_only", properties.get("append_only")),
        connectors=parse_connectors(statement.name, "table", properties, context, has_key=bool(key)),
    )


# ---- columns ----


def _columns(statement: CreateTable, context: Context) -> tuple[TableColumn, ...]:
    found: dict[str, TableColumn] = {}
    for declaration in statement.columns:
        if declaration.name.name in found:
            raise SqlError(f"Column with name '{declaration.name.name}' already defined", declaration.name.span)
        found[declaration.name.name] = _column(declaration, statement.name, context)
    if not found:
        raise SqlError(f"Table '{statement.name.name}' has no columns", statement.name.span)
    return tuple(found.values())


def _column(declaration: ColumnDeclaration, table: Identifier, context: Context) -> TableColumn:
    name = declaration.name
    sql_type = resolve_type(declaration.type, context)
    if has_interval(sql_type) or sql_type.kind is Kind.NULL:
        text = (
            f"Column '{name.name}' of table '{table.name}' has type '{sql_type.sql()}' "
            "which is currently not allowed in a table."
        )
        raise SqlError(text, name.span, error_type="Unsupported column type")
    column = TableColumn(name.name, sql_type, name.quoted)
    seen: set[str] = set()
    for attribute in declaration.attributes:
        if attribute.kind in seen:
            raise SqlError(f"Column '{name.name}' {_REPEATED[attribute.kind]}", attribute.span)
        seen.add(attribute.kind)
        column = _with_attribute(column, attribute, context)
    return column


def _with_attribute(column: TableColumn, attribute: ColumnAttribute, context: Context) -> TableColumn:
    if attribute.kind == "INTERNED" and not column.type.is_string:
        text = f"Column '{column.name}' of type '{column.type.sql()}' cannot be interned; only strings are"
        context.warn("Illegal type interned", text, attribute.span)
    if attribute.value is None:
        return column
    shown = normal_text(attribute.value, context.source)
    if attribute.kind == "DEFAULT":
        return replace(column, default=_default(column, attribute, context), default_text=shown)
    bound = bind_delay(attribute.kind, column.name, column.type, attribute.value, context)
    if attribute.kind == "LATENESS":
        return replace(column, lateness=bound, lateness_text=shown)
    return replace(column, watermark=bound, watermark_text=shown)


def _bind_constant(attribute: ColumnAttribute, context: Context) -> Expression:
    """An expression in which no column is in sight."""
    assert attribute.value is not None
    return Environment(QueryEnvironment(context), clause=attribute.kind).bind(attribute.value)


def _default(column: TableColumn, attribute: ColumnAttribute, context: Context) -> Expression:
    value = _bind_constant(attribute, context)
    assert attribute.value is not None
    if not is_deterministic(value, _METADATA) or calls_user_code(value):
        text = f"Default value for column '{column.name}' must be a compile-time constant"
        raise SqlError(text, attribute.value.span, error_type="Non-deterministic initializer")
    if value.type.nullable and not column.type.nullable:
        raise SqlError(f"Nullable default value assigned to non-null column '{column.name}'", attribute.value.span)
    shown = f"column '{column.name}' of type {column.type.sql()}"
    try:
        default = build_cast(value, column.type)
        evaluate_constant(default)
    except TypeCheckError:
        text = f"Cannot use {value.type.sql()} as default value for {shown}"
        raise SqlError(text, attribute.value.span) from None
    except EvaluationError as error:
        written = normal_text(attribute.value, context.source)
        text = f"Cannot use {written} as default value for {shown}: {error}"
        raise SqlError(text, attribute.value.span) from None
    return default


def _check_watermarks(statement: CreateTable, columns: tuple[TableColumn, ...]) -> None:
    """What holds rows back is one column."""
    watermarks = [a for column in statement.columns for a in column.attributes if a.kind == "WATERMARK"]
    if len(watermarks) > 1:
        text = "More than 1 watermark per table not yet supported"
        raise SqlError(text, watermarks[1].span, error_type="Not yet implemented")
    for watermark in watermarks[:1]:
        column = next(c for c in columns if c.watermark is not None)
        if not is_ordered(column.type):
            raise not_yet(f"WATERMARK of a column of type {column.type.sql()}", watermark.span)


# ---- keys ----


def _primary_key(statement: CreateTable, columns: tuple[TableColumn, ...]) -> tuple[int, ...]:
    """The key's column indices, declared inline or for the table."""
    inline = [
        declaration.name
        for declaration in statement.columns
        if any(attribute.kind == "PRIMARY KEY" for attribute in declaration.attributes)
    ]
    names = list(inline)
    for position, key in enumerate(statement.keys):
        if position:
            raise SqlError("PRIMARY KEY already declared", key.span)
        if inline:
            text = f"Column '{inline[0].name}' declared PRIMARY KEY in table with another PRIMARY KEY constraint"
            raise SqlError(text, inline[0].span)
        names.extend(key.columns)
    indices: list[int] = []
    by_name = {column.name: index for index, column in enumerate(columns)}
    for name in names:
        index = by_name.get(name.name)
        if index is None:
            text = f"Key field '{name.name}' does not correspond to a column"
            raise SqlError(text, name.span, error_type="No such column")
        if index in indices:
            raise SqlError(f"Column '{name.name}' already declared as key", name.span)
        _check_key_type(name, columns[index].type)
        indices.append(index)
    return tuple(indices)


def _check_key_type(name: Identifier, sql_type: SqlType) -> None:
    if sql_type.kind in _UNFIT_KEYS:
        text = f"PRIMARY KEY column '{name.name}' cannot have type {sql_type.sql()}"
        raise SqlError(text, name.span, error_type="Illegal PRIMARY KEY type")
    if sql_type.nullable:
        text = f"PRIMARY KEY column '{name.name}' has type {sql_type.sql()}, which is nullable"
        raise SqlError(text, name.span, error_type="PRIMARY KEY cannot be nullable")


def check_foreign_keys(statement: CreateTable, context: Context) -> None:
    """Foreign keys are checked when all tables are known, and not enforced on data. Raises SqlError."""
    if context.places.get(statement.name.name) != statement.name.span or not statement.foreign_keys:
        return
    if statement.name.name not in context.catalog.tables:  # dropped
        return
    own = {column.name: column for column in context.catalog.tables[statement.name.name].columns}
    for key in statement.foreign_keys:
        table = context.catalog.tables.get(key.table.name)
        if table is None:
            if key.table.name not in context.catalog.poisoned:
                text = (
                    f"Table '{key.table.name}', referred in FOREIGN KEY constraint of table "
                    f"'{statement.name.name}', does not exist"
                )
                context.warn("Table not found", text, key.table.span)
            continue
        _check_foreign_key(key.columns, key.targets, statement.name, own, table)


def _check_foreign_key(
    names: tuple[Identifier, ...],
    targets: tuple[Identifier, ...],
    name: Identifier,
    own: dict[str, TableColumn],
    table: Table,
) -> None:
    if len(names) != len(targets):
        text = (
            f"FOREIGN KEY section of table '{name.name}' contains {len(names)} columns, "
            f"which does not match the size the REFERENCES, which is {len(targets)}"
        )
        raise SqlError(text, names[0].span, error_type="Size mismatch")
    other = {column.name: column for column in table.columns}
    key = {table.columns[index].name for index in table.primary_key}
    for mine, target in zip(names, targets, strict=True):
        if mine.name not in own:
            raise SqlError(f"Table '{name.name}' does not have a column named '{mine.name}'", mine.span)
        if target.name not in other:
            raise SqlError(f"Table '{table.name}' does not have a column named '{target.name}'", target.span)
        if target.name not in key:
            text = (
                f"FOREIGN KEY column '{name.name}.{mine.name}' refers to column "
                f"'{table.name}.{target.name}' which is not a PRIMARY KEY"
            )
            raise SqlError(text, target.span)
        first, second = own[mine.name].type, other[target.name].type
        if not first.same_apart_from_nullability(second):
            text = (
                f"FOREIGN KEY column '{name.name}.{mine.name}' has type {_short(first)} which does not match "
                f"the type {_short(second)} of the referenced column '{table.name}.{target.name}'"
            )
            raise SqlError(text, mine.span)
    if len(key) != len(targets):
        text = f"The PRIMARY KEY of table '{table.name}' does not match the FOREIGN KEY of '{name.name}'"
        raise SqlError(text, names[0].span)


def _short(sql_type: SqlType) -> str:
    return "INT" if sql_type.kind is Kind.INTEGER else sql_type.sql()
