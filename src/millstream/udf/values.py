"""Between columns and the Python values that row functions take and give.

| SQL | Python |
|---|---|
| BOOLEAN, integers, REAL and DOUBLE, CHAR and VARCHAR, BINARY and VARBINARY | bool, int, float, str, bytes |
| DECIMAL, UUID | decimal.Decimal, uuid.UUID |
| DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE | date, time, datetime without zone, datetime in UTC |
| intervals of days to seconds, of years and months | timedelta, int (months) |
| ARRAY, MAP, ROW and user types, GEOMETRY | list, dict, dict by field name, dict of x and y |
| VARIANT | what json.loads gives, and the types above for what a VARIANT knows to be more than JSON |

What a function gives must be of the type on the right, or of one that holds nothing else (an int for a DOUBLE, a float
without fraction for an INTEGER): nothing is rounded or cut silently. Cost: some hundred nanoseconds a value.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BINARIES, FLOATS, INTEGERS, LONG_INTERVALS, SHORT_INTERVALS, STRINGS
from millstream.types.variant import SQL_NULL, TYPE_NAMES, Tagged, decode, encode, untagged

Change = Callable[[Any], Any]


class Unfit(Exception):  # noqa: N818 - a signal: the caller says which function gave the value, and for what
    """A Python value that is not one of the SQL type."""


# ---- columns to Python -------------------------------------------------------------------------------------------


def arrow_column(column: pa.Array, sql_type: SqlType) -> pa.Array:
    """A column as Arrow functions see it: VARIANTs are JSON texts."""
    return untagged(column, sql_type)


def python_values(column: pa.Array, sql_type: SqlType) -> list[Any]:
    """A column as Python values, NULL as None."""
    change = _decoder(sql_type)
    values: list[Any] = column.to_pylist()
    return values if change is None else [None if value is None else change(value) for value in values]


def _decoder(sql_type: SqlType) -> Change | None:
    """What makes the natural value of what pyarrow gives, which is no NULL; None: it is natural already."""
    kind = sql_type.kind
    if kind is Kind.UUID:
        return lambda value: UUID(bytes=value)
    if kind is Kind.VARIANT:
        return lambda text: _natural(decode(text))
    if kind is Kind.ARRAY and sql_type.component is not None:
        inner = _decoder(sql_type.component)
        return None if inner is None else lambda items: [None if item is None else inner(item) for item in items]
    if kind is Kind.MAP and sql_type.key is not None and sql_type.value is not None:
        key, item = _decoder(sql_type.key) or _same, _decoder(sql_type.value) or _same
        return lambda entries: {key(k): None if v is None else item(v) for k, v in entries}
    if kind is Kind.STRUCT:
        changes = {f.name: found for f in sql_type.fields if (found := _decoder(f.type)) is not None}
        if changes:
            return lambda row: {n: changes[n](v) if n in changes and v is not None else v for n, v in row.items()}
    return None


def _same(value: Any) -> Any:
    return value


def _natural(value: Any) -> Any:
    """The natural value of a decoded VARIANT."""
    if isinstance(value, list):
        return [_natural(item) for item in value]
    if isinstance(value, dict):
        return {key: _natural(item) for key, item in value.items()}
    if not isinstance(value, Tagged):
        return value
    if isinstance(value.value, dict):
        return {_natural(decode(key)): _natural(item) for key, item in value.value.items()}
    return None if value.tag == SQL_NULL else _natural_scalar(TYPE_NAMES[value.tag], value.value)


def _natural_scalar(name: str, text: str) -> Any:
    if name in ("REAL", "DOUBLE"):
        if text.endswith("null"):
            return {"\x1b": math.inf, "\x1d": -math.inf}.get(text[0], math.nan)
        return float(text)
    read = json.loads(text, parse_float=Decimal)
    if name == "DECIMAL":
        return Decimal(text)
    makers: dict[str, Change] = {
        "DATE": dt.date.fromisoformat, "TIME": _time, "TIMESTAMP": dt.datetime.fromisoformat,
        "TIMESTAMP WITH TIME ZONE": dt.datetime.fromisoformat, "UUID": UUID,
    }  # fmt: skip
    if name == "BINARY" and isinstance(read, list):
        return bytes(read)
    return makers[name](read) if name in makers else read


def _time(text: str) -> dt.time:
    whole, _, fraction = text.partition(".")
    return dt.time.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}")


# ---- Python to columns -------------------------------------------------------------------------------------------


def column_of(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """The column of Python values, None as NULL. Raises Unfit for the first value that is not of the type."""
    change = _encoder(sql_type)
    wanted = arrow_type(sql_type)
    changed = [None if value is None else change(value) for value in values]
    try:
        return pa.array(changed, wanted, from_pandas=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        reason = str(error)
    for value, prepared in zip(values, changed, strict=True):
        try:
            pa.array([prepared], wanted, from_pandas=False)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            raise _unfit(value, sql_type) from None
    raise Unfit(f"values that are not of type {sql_type.sql()}: {reason}")


def first_unfit(values: Sequence[Any], sql_type: SqlType) -> int:
    """The position of the first value that `column_of` refuses; the number of values if it refuses none alone."""
    for position, value in enumerate(values):
        try:
            column_of([value], sql_type)
        except Unfit:
            return position
    return len(values)


def shown(value: Any, limit: int = 80) -> str:
    """A value as messages show it."""
    try:
        text = "NULL" if value is None else repr(value) if isinstance(value, str | bytes) else str(value)
    except Exception:  # noqa: BLE001 - a broken __str__ of the user's own class
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else text[:limit] + "..."


def _unfit(value: Any, sql_type: SqlType) -> Unfit:
    return Unfit(f"{shown(value)} (a {type(value).__name__}), which is no {sql_type.sql()}")


def _encoder(sql_type: SqlType) -> Change:
    """What makes of a value, which is not None, one that pyarrow takes for exactly what it is. It raises Unfit."""
    kind = sql_type.kind
    if kind is Kind.VARIANT:
        return lambda value: encode(_variant(value, sql_type))
    if kind is Kind.ARRAY and sql_type.component is not None:
        inner = _encoder(sql_type.component)
        return lambda value: [None if v is None else inner(v) for v in _listed(value, sql_type)]
    if kind is Kind.MAP and sql_type.key is not None and sql_type.value is not None:
        return _map_encoder(sql_type, _encoder(sql_type.key), _encoder(sql_type.value))
    if kind is Kind.STRUCT:
        return _struct_encoder(sql_type, [_encoder(f.type) for f in sql_type.fields])
    accept = _accepting(kind)

    def change(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        fitting = accept(value)
        if fitting is None:
            raise _unfit(value, sql_type)
        return fitting

    return change


def _accepting(kind: Kind) -> Change:
    """From a Python value to one that is of the kind; None for those that are not."""
    if kind is Kind.BOOLEAN:
        return lambda v: v if isinstance(v, bool) else None
    if kind in INTEGERS or kind in LONG_INTERVALS:
        return _integer
    if kind in FLOATS:
        return lambda v: float(v) if isinstance(v, int | float) and not isinstance(v, bool) else None
    if kind is Kind.DECIMAL:
        return lambda v: v if isinstance(v, Decimal | int) and not isinstance(v, bool) else None
    if kind in STRINGS:
        return lambda v: str(v) if isinstance(v, str) else None
    if kind in BINARIES:
        return lambda v: bytes(v) if isinstance(v, bytes | bytearray | memoryview) else None
    if kind is Kind.UUID:
        return lambda v: v.bytes if isinstance(v, UUID) else None
    if kind is Kind.DATE:
        return lambda v: v if isinstance(v, dt.date) and not isinstance(v, dt.datetime) else None
    if kind is Kind.TIMESTAMP:
        return lambda v: v if isinstance(v, dt.datetime) and v.tzinfo is None else None
    accepted: dict[Kind, type] = {Kind.TIME: dt.time, Kind.TIMESTAMP_TZ: dt.datetime, Kind.GEOMETRY: dict}
    accepted.update(dict.fromkeys(SHORT_INTERVALS, dt.timedelta))
    wanted = accepted[kind]
    return lambda v: v if isinstance(v, wanted) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _listed(value: Any, sql_type: SqlType) -> Sequence[Any]:
    if isinstance(value, np.ndarray | pa.Array):
        return list(value.tolist())
    if isinstance(value, list | tuple):
        return value
    raise _unfit(value, sql_type)


def _map_encoder(sql_type: SqlType, key: Change, item: Change) -> Change:
    def change(value: Any) -> Any:
        if not isinstance(value, dict) or None in value:
            raise _unfit(value, sql_type)
        return [(key(k), None if v is None else item(v)) for k, v in value.items()]

    return change


def _struct_encoder(sql_type: SqlType, changes: Sequence[Change]) -> Change:
    names = [f.name for f in sql_type.fields]

    def change(value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == len(names):
            value = dict(zip(names, value, strict=True))
        if not isinstance(value, dict) or not set(value) <= set(names):
            raise _unfit(value, sql_type)
        parts = [(name, value.get(name), part) for name, part in zip(names, changes, strict=True)]
        return {name: None if found is None else part(found) for name, found, part in parts}

    return change


def _variant(value: Any, sql_type: SqlType) -> Any:
    """The decoded VARIANT of what JSON can say."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, list | tuple):
        return [_variant(item, sql_type) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _variant(item, sql_type) for key, item in value.items()}
    raise _unfit(value, sql_type)


def variant_texts(column: pa.Array) -> list[Any]:
    """JSON texts as the values that they say. Raises Unfit."""
    values: list[Any] = []
    for text in column.to_pylist():
        try:
            values.append(None if text is None else json.loads(text, parse_float=Decimal))
        except ValueError:
            raise Unfit(f"{shown(text)}, which is no JSON text") from None
    return values
