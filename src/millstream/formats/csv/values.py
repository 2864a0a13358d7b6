"""CSV fields to storage values, for every type: the exact path, one field at a time.

Types without a text form of their own (ARRAY, MAP, ROW, VARIANT, BINARY) are JSON in a field. An empty field
is NULL in a nullable column; so are `NULL` and `null` unless the column is a string (connectors.md §16, D4).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from millstream.formats.json.flavors import DEFAULT
from millstream.formats.json.values import nullable_converter
from millstream.formats.values import scalars, temporal
from millstream.formats.values.json_text import decode
from millstream.types import Kind, SqlType

FieldConverter = Callable[[str], Any]


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"invalid BOOLEAN '{text}': expected true or false")
    return text == "true"


def _from_json(convert: Callable[[Any], Any], text: str) -> Any:
    try:
        value = decode(text)
    except ValueError as error:
        raise ValueError(f"invalid JSON '{text}': {error}") from None
    return convert(value)


def _text_converter(sql_type: SqlType) -> FieldConverter:
    kind = sql_type.kind
    if kind is Kind.BOOLEAN:
        return _boolean
    if sql_type.is_integer:
        return partial(scalars.parse_integer, sql_type=sql_type, hexadecimal=True)
    if sql_type.is_float:
        return partial(scalars.parse_float, sql_type=sql_type, infinities=True)
    if kind is Kind.DECIMAL:
        return partial(scalars.parse_decimal, sql_type=sql_type)
    if kind is Kind.DATE:
        return temporal.parse_date
    if kind is Kind.TIME:
        return temporal.parse_time
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return temporal.parse_timestamp
    if kind is Kind.UUID:
        return scalars.parse_uuid
    return partial(_from_json, nullable_converter(sql_type, DEFAULT))


def field_converter(sql_type: SqlType) -> FieldConverter:
    """The conversion of fields to `sql_type`; None stands for NULL. Raises ValueError."""
    if sql_type.is_string:
        return (lambda text: text or None) if sql_type.nullable else (lambda text: text)
    convert = _text_converter(sql_type)
    if sql_type.nullable:
        return lambda text: None if text in ("", "NULL", "null") else convert(text)
    return lambda text: None if text == "" else convert(text)
