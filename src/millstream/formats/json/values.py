"""Decoded JSON values to storage values, for every type and flavour: the exact path, one value at a time.

`value_converter(type, flavor)` builds a closure once; it takes what `values.json_text.decode` yields and
returns the storage form (see `values`) or raises ValueError. None never reaches a scalar's converter: NULL is
handled around it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from millstream.formats.json.flavors import BinaryForm, Flavor, TimeForm, TimestampForm
from millstream.formats.values import scalars, temporal
from millstream.formats.values.json_text import canonical, decode, quote
from millstream.types import Kind, SqlType
from millstream.types.variant import encode

Converter = Callable[[Any], Any]


def describe(value: object) -> str:
    """A JSON value in an error text, shortened."""
    text = canonical(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _wrong(value: object, sql_type: SqlType, expected: str) -> ValueError:
    return ValueError(f"invalid {sql_type.sql()} {describe(value)}: expected {expected}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _boolean(sql_type: SqlType, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, sql_type, "true or false")
    return value


def _integer(sql_type: SqlType, strings: bool, value: Any) -> int:
    if _is_int(value):
        return scalars.check_integer(value, sql_type)
    if strings and isinstance(value, str):
        return scalars.parse_integer(value, sql_type)
    raise _wrong(value, sql_type, "an integer")


def _float(sql_type: SqlType, value: Any) -> float:
    if _is_int(value) or isinstance(value, Decimal):
        try:
            return scalars.finite_float(float(value), value, sql_type)
        except OverflowError:
            raise ValueError(f"number {describe(value)} is out of range for {sql_type.sql()}") from None
    if isinstance(value, str):
        return scalars.parse_float(value, sql_type, infinities=False)
    raise _wrong(value, sql_type, "a number")


def _decimal(sql_type: SqlType, value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return scalars.fit_decimal(value, sql_type)
    if _is_int(value):
        return scalars.fit_decimal(Decimal(value), sql_type)
    if isinstance(value, str):
        return scalars.parse_decimal(value, sql_type)
    raise _wrong(value, sql_type, "a number or a string of digits")


def _string(sql_type: SqlType, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(value, sql_type, "a string")
    return value


def _uuid(sql_type: SqlType, value: object) -> bytes:
    if not isinstance(value, str):
        raise _wrong(value, sql_type, "a string")
    return scalars.parse_uuid(value)


def _date(sql_type: SqlType, flavor: Flavor, value: Any) -> int:
    if isinstance(value, str):
        return temporal.parse_date(value)
    if _is_int(value) and flavor.date_as_days:
        return temporal.date_from_days(value)
    if _is_int(value) and flavor.date_as_millis:
        return temporal.date_from_days(value // 86_400_000)
    raise _wrong(value, sql_type, "a number of days" if flavor.date_as_days else "a string YYYY-MM-DD")


def _time(sql_type: SqlType, form: TimeForm, value: Any) -> int:
    if isinstance(value, str):
        return temporal.parse_time(value)
    if _is_int(value) and form is not TimeForm.TEXT:
        return temporal.time_from_units(value, form.value)
    raise _wrong(value, sql_type, "a string HH:MM:SS[.f]" if form is TimeForm.TEXT else "an integer")


def _timestamp(sql_type: SqlType, form: TimestampForm, value: Any) -> int:
    if isinstance(value, str):
        return temporal.parse_timestamp(value)
    if _is_int(value) and form is TimestampForm.MILLIS:
        return temporal.timestamp_from_millis(value)
    expected = "epoch milliseconds" if form is TimestampForm.MILLIS else "a string YYYY-MM-DD HH:MM:SS[.f] or RFC 3339"
    raise _wrong(value, sql_type, expected)


_BINARY_TEXTS: dict[BinaryForm, Callable[[str], bytes]] = {
    BinaryForm.BASE58: scalars.parse_base58,
    BinaryForm.HEX_0X: partial(scalars.parse_hexadecimal, prefix="0x"),
    BinaryForm.HEX_BACKSLASH: partial(scalars.parse_hexadecimal, prefix="\\x"),
    BinaryForm.BASE64: scalars.parse_base64,
}


def _binary(sql_type: SqlType, form: BinaryForm, value: Any) -> bytes:
    if form is BinaryForm.ARRAY:
        if not isinstance(value, list) or not all(_is_int(byte) and 0 <= byte <= 255 for byte in value):
            raise _wrong(value, sql_type, "an array of numbers 0 to 255")
        return bytes(value)
    if not isinstance(value, str):
        raise _wrong(value, sql_type, f"a {form.value} string")
    return _BINARY_TEXTS[form](value)


def _variant(as_string: bool, value: object) -> str:
    return encode(decode(value) if as_string and isinstance(value, str) else value)


def _refused(type_name: str, value: object) -> object:
    raise ValueError(f"deserialization is not implemented for the {type_name} type")


def _null(sql_type: SqlType, value: object) -> object:
    raise _wrong(value, sql_type, "null")


def nullable_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    """As `value_converter`, and null becomes None (or the VARIANT null of a NOT NULL VARIANT), or an error if
    NOT NULL."""
    convert = value_converter(sql_type, flavor)
    if sql_type.kind is Kind.VARIANT and not sql_type.nullable:
        return convert
    if sql_type.nullable:
        return lambda value: None if value is None else convert(value)

    def required(value: object) -> object:
        if value is None:
            raise ValueError("null is not allowed here")
        return convert(value)

    return required


def _array_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    assert sql_type.component is not None
    element = nullable_converter(sql_type.component, flavor)

    def convert(value: object) -> list[object]:
        if not isinstance(value, list):
            raise _wrong(value, sql_type, "an array")
        return [element(item) for item in value]

    return convert


def _map_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    assert sql_type.key is not None
    assert sql_type.value is not None
    key_converter = _key_converter(sql_type.key, flavor)
    value_of = nullable_converter(sql_type.value, flavor)

    def convert(value: object) -> list[tuple[object, object]]:
        if not isinstance(value, dict):
            raise _wrong(value, sql_type, "an object")
        entries = {key_converter(key): value_of(item) for key, item in value.items()}
        return sorted(entries.items(), key=lambda entry: entry[0])

    return convert


def _key_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    """Keys of an object are text; what is not text by itself is the JSON text of the key."""
    convert = value_converter(sql_type, flavor)
    if sql_type.kind in (
        Kind.CHAR,
        Kind.VARCHAR,
        Kind.DATE,
        Kind.TIME,
        Kind.TIMESTAMP,
        Kind.TIMESTAMP_TZ,
        Kind.UUID,
    ):
        as_number = flavor.date_as_days or flavor.timestamp is TimestampForm.MILLIS or flavor.time is not TimeForm.TEXT
        if not as_number or sql_type.is_string or sql_type.kind is Kind.UUID:
            return convert
        return lambda key: convert(int(key) if key.lstrip("-").isdecimal() else key)
    if sql_type.kind is Kind.VARIANT:
        return quote

    def from_text(key: str) -> object:
        try:
            return convert(decode(key))
        except ValueError:
            raise ValueError(f"invalid MAP key '{key}': expected {sql_type.sql()}") from None

    return from_text


def _struct_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    names = [field.name for field in sql_type.fields]
    converters = [nullable_converter(field.type, flavor) for field in sql_type.fields]
    lookup = FieldLookup([(field.name, field.case_sensitive) for field in sql_type.fields])

    def convert(value: object) -> dict[str, object]:
        if isinstance(value, dict):
            values = lookup.assign(value)
        elif isinstance(value, list) and len(value) <= len(names):
            values = [*value, *[None] * (len(names) - len(value))]
        else:
            raise _wrong(value, sql_type, "an object")
        row: dict[str, object] = {}
        for name, converter, item in zip(names, converters, values, strict=True):
            try:
                row[name] = converter(None if item is MISSING else item)
            except ValueError as error:
                raise ValueError(f"field '{name}': {error}") from None
        return row

    return convert


def value_converter(sql_type: SqlType, flavor: Flavor) -> Converter:
    """The conversion of non-null JSON values to `sql_type`."""
    kind = sql_type.kind
    if kind is Kind.BOOLEAN:
        return partial(_boolean, sql_type)
    if sql_type.is_integer:
        return partial(_integer, sql_type, flavor.integer_strings)
    if sql_type.is_float:
        return partial(_float, sql_type)
    if kind is Kind.DECIMAL:
        return partial(_decimal, sql_type)
    if sql_type.is_string:
        return partial(_string, sql_type)
    if sql_type.is_binary:
        return partial(_binary, sql_type, flavor.binary)
    if kind is Kind.DATE:
        return partial(_date, sql_type, flavor)
    if kind is Kind.TIME:
        return partial(_time, sql_type, flavor.time)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return partial(_timestamp, sql_type, flavor.timestamp)
    if kind is Kind.UUID:
        return partial(_uuid, sql_type)
    if kind is Kind.VARIANT:
        return partial(_variant, flavor.variant_as_string)
    if kind is Kind.ARRAY:
        return _array_converter(sql_type, flavor)
    if kind is Kind.MAP:
        return _map_converter(sql_type, flavor)
    if kind is Kind.STRUCT:
        return _struct_converter(sql_type, flavor)
    if kind is Kind.NULL:
        return partial(_null, sql_type)
    return partial(_refused, "GEOMETRY" if kind is Kind.GEOMETRY else "INTERVAL")


class _Missing:
    """The value of a column that a record does not mention."""


MISSING = _Missing()


class FieldLookup:
    """Finds columns by the names that records use: exact first, then without regard to case for unquoted
    names."""

    def __init__(self, names: list[tuple[str, bool]]) -> None:
        self.count = len(names)
        self._exact = {name: index for index, (name, _) in reversed(list(enumerate(names)))}
        self._folded = {
            name.lower(): index
            for index, (name, case_sensitive) in reversed(list(enumerate(names)))
            if not case_sensitive
        }

    def find(self, key: str) -> int | None:
        """The column's index, or None."""
        index = self._exact.get(key)
        return self._folded.get(key.lower()) if index is None else index

    def assign(self, record: dict[str, Any]) -> list[Any]:
        """The record's values by column, MISSING where it has none; the last of several spellings wins."""
        values: list[Any] = [MISSING] * self.count
        for key, value in record.items():
            index = self.find(key)
            if index is not None:
                values[index] = value
        return values
