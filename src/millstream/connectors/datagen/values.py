"""Constants of a configuration as column values: range bounds of dates and times, and the `values` lists."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from millstream.connectors.datagen.settings import FieldSettings
from millstream.connectors.options import shown
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BINARIES, FLOATS, INTEGERS, STRINGS
from millstream.types.variant import parse_json

_EPOCH_DATE = dt.date(1970, 1, 1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
MILLISECONDS_PER_DAY = 86_400_000


class _MismatchError(Exception):
    """A constant that its type cannot hold; the text says what would be right."""


def days(value: Any) -> int | None:
    """Days since 1970 of an integer or `YYYY-MM-DD`."""
    if isinstance(value, str):
        try:
            return (dt.date.fromisoformat(value) - _EPOCH_DATE).days
        except ValueError:
            return None
    return _integer(value)


def day_milliseconds(value: Any) -> int | None:
    """Milliseconds since midnight of an integer or `HH:MM:SS[.fff]`."""
    if isinstance(value, str):
        try:
            moment = dt.time.fromisoformat(value)
        except ValueError:
            return None
        return (dt.datetime.combine(_EPOCH_DATE, moment.replace(tzinfo=dt.UTC)) - _EPOCH) // _MILLISECOND
    return _integer(value)


def epoch_milliseconds(value: Any) -> int | None:
    """Milliseconds since 1970 UTC of an integer or an RFC 3339 text (`YYYY-MM-DD HH:MM:SS` is UTC)."""
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return (moment - _EPOCH) // _MILLISECOND
    return _integer(value)


def uuid_number(value: Any) -> int | None:
    """The 128-bit number of a UUID text."""
    if not isinstance(value, str):
        return None
    try:
        return uuid.UUID(value).int
    except ValueError:
        return None


def decimal_number(value: Any) -> Decimal | None:
    """A number or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def constants(sql_type: SqlType, settings: FieldSettings) -> pa.Array:
    """The `values` of the settings as a column of that type. Raises OptionError naming the first that does not fit."""
    assert settings.values is not None
    python_values = []
    for position, value in enumerate(settings.values):
        try:
            python_values.append(_convert(sql_type, value))
        except _MismatchError as mismatch:
            raise settings.error(
                f"values[{position}] is {shown(value)}, which is no {sql_type.sql()}; expected {mismatch}"
            ) from mismatch
    try:
        return pa.array(python_values, arrow_type(sql_type))
    except (pa.ArrowInvalid, OverflowError, pa.ArrowTypeError) as error:
        raise settings.error(f"the values do not fit {sql_type.sql()}: {error}") from error


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _expect(converted: Any, what: str) -> Any:
    if converted is None:
        raise _MismatchError(what)
    return converted


def _convert(sql_type: SqlType, value: Any) -> Any:
    """A JSON value as what `pa.array` takes for the type. NULL is allowed where the type is nullable."""
    kind = sql_type.kind
    if kind is Kind.VARIANT:
        return _expect(parse_json(json.dumps(value)), "JSON that is not nested too deeply")
    if value is None:
        if not sql_type.nullable:
            raise _MismatchError("a value, as NULL is not allowed")
        return None
    if kind in INTEGERS:
        return _expect(_integer(value), "an integer")
    if kind in FLOATS:
        return float(value) if _is_number(value) else _expect(None, "a number")
    if kind is Kind.DECIMAL:
        return _decimal(sql_type, value)
    if kind in STRINGS:
        return _expect(value if isinstance(value, str) else None, "a string")
    if kind is Kind.BOOLEAN:
        return _expect(value if isinstance(value, bool) else None, "true or false")
    if kind in _TEMPORAL:
        read, unit, what = _TEMPORAL[kind]
        return _expect(read(value), what) * unit
    if kind is Kind.UUID:
        return int(_expect(uuid_number(value), "a UUID string")).to_bytes(16, "big")
    if kind in BINARIES:
        return _bytes(value)
    return _nested(sql_type, value)


_TEMPORAL: dict[Kind, tuple[Callable[[Any], int | None], int, str]] = {
    Kind.DATE: (days, 1, "a `YYYY-MM-DD` string or days since 1970"),
    Kind.TIME: (day_milliseconds, 1_000_000, "an `HH:MM:SS` string or milliseconds since midnight"),
    Kind.TIMESTAMP: (epoch_milliseconds, 1000, "an RFC 3339 string or milliseconds since 1970"),
    Kind.TIMESTAMP_TZ: (epoch_milliseconds, 1000, "an RFC 3339 string or milliseconds since 1970"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decimal(sql_type: SqlType, value: Any) -> Decimal:
    number = decimal_number(value)
    if number is None:
        raise _MismatchError("a number or a string that is one")
    scaled = number.scaleb(sql_type.scale or 0)
    if scaled != scaled.to_integral_value() or abs(scaled) >= 10 ** (sql_type.precision or 0):
        raise _MismatchError(f"at most {sql_type.precision} digits, {sql_type.scale} of them after the point")
    return number


def _bytes(value: Any) -> bytes:
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= 255 for item in value):
        raise _MismatchError("an array of integers 0..255")
    return bytes(value)


def _nested(sql_type: SqlType, value: Any) -> Any:
    if sql_type.kind is Kind.ARRAY:
        assert sql_type.component is not None
        if not isinstance(value, list):
            raise _MismatchError("an array")
        return [_convert(sql_type.component, item) for item in value]
    if not isinstance(value, dict):
        raise _MismatchError("an object")
    if sql_type.kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return [(_map_key(sql_type.key, key), _convert(sql_type.value, item)) for key, item in value.items()]
    return {field.name: _convert(field.type, value.get(field.name)) for field in sql_type.fields}


def _map_key(key_type: SqlType, key: str) -> Any:
    """JSON object keys are strings; keys of other types are written as JSON inside them."""
    if key_type.kind in INTEGERS | FLOATS | {Kind.BOOLEAN}:
        try:
            return _convert(key_type, json.loads(key))
        except ValueError as error:
            raise _MismatchError("keys of the map's key type") from error
    return _convert(key_type, key)
