"""Schemas of the Kafka Connect JSON converter, for the `debezium` output format (connectors.md §13.1)."""

from __future__ import annotations

from typing import Any

from millstream.formats.order import encode_error
from millstream.types import Kind, RelationColumn, SqlType

_SIMPLE: dict[Kind, tuple[str, str | None]] = {
    Kind.BOOLEAN: ("boolean", None),
    Kind.TINYINT: ("int8", None),
    Kind.SMALLINT: ("int16", None),
    Kind.UTINYINT: ("int16", None),
    Kind.INTEGER: ("int32", None),
    Kind.USMALLINT: ("int32", None),
    Kind.BIGINT: ("int64", None),
    Kind.UINTEGER: ("int64", None),
    Kind.UBIGINT: ("string", None),
    Kind.DECIMAL: ("string", None),
    Kind.VARIANT: ("string", None),
    Kind.UUID: ("string", None),
    Kind.CHAR: ("string", None),
    Kind.VARCHAR: ("string", None),
    Kind.REAL: ("float", None),
    Kind.DOUBLE: ("double", None),
    Kind.BINARY: ("bytes", None),
    Kind.VARBINARY: ("bytes", None),
    Kind.TIME: ("int64", "org.apache.kafka.connect.data.Time"),
    Kind.DATE: ("int32", "org.apache.kafka.connect.data.Date"),
    Kind.TIMESTAMP: ("int64", "org.apache.kafka.connect.data.Timestamp"),
    Kind.TIMESTAMP_TZ: ("int64", "org.apache.kafka.connect.data.Timestamp"),
    Kind.NULL: ("string", None),
}


def type_schema(sql_type: SqlType) -> dict[str, Any]:
    """The schema of a type."""
    schema: dict[str, Any] = {"type": "string", "optional": sql_type.nullable}
    if sql_type.kind is Kind.ARRAY:
        assert sql_type.component is not None
        return schema | {"type": "array", "items": type_schema(sql_type.component)}
    if sql_type.kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return schema | {
            "type": "map",
            "keys": type_schema(sql_type.key),
            "values": type_schema(sql_type.value),
        }
    if sql_type.kind is Kind.STRUCT:
        members = [type_schema(field.type) | {"field": field.name} for field in sql_type.fields]
        return schema | {"type": "struct", "fields": members}
    if sql_type.is_interval:
        return schema | {"type": "string", "name": "io.debezium.time.Interval"}
    if sql_type.kind not in _SIMPLE:
        raise encode_error(f"type {sql_type.sql()} has no Kafka Connect schema")
    name, logical = _SIMPLE[sql_type.kind]
    return schema | {"type": name} | ({"name": logical} if logical else {})


def struct_schema(columns: list[RelationColumn], *, name: str | None, optional: bool) -> dict[str, Any]:
    """The schema of a row of `columns`."""
    schema: dict[str, Any] = {"type": "struct", "optional": optional}
    if name is not None:
        schema["name"] = name
    schema["fields"] = [type_schema(column.type) | {"field": column.name} for column in columns]
    return schema


def envelope_schema(columns: list[RelationColumn]) -> dict[str, Any]:
    """The schema of a message's value: operation, row before, row after."""
    row = struct_schema(columns, name=None, optional=True)
    return {
        "type": "struct",
        "name": "Envelope",
        "optional": False,
        "fields": [
            {"field": "op", "type": "string", "optional": False},
            row | {"field": "before"},
            row | {"field": "after"},
        ],
    }
