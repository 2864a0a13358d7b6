"""How scripts write values: text in quotes, times as in SQL, intervals in months or seconds, NULL."""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

from millstream.types import Kind, SqlType
from millstream.types.variant import untagged


def show_rows(rows: pa.Table, types: Sequence[SqlType]) -> list[str]:
    """The rows of a table, one text each, values separated by ` | `."""
    columns = [
        [show(value, sql_type) for value in untagged(column, sql_type).to_pylist()]
        for column, sql_type in zip(rows.columns, types, strict=True)
    ]
    return [" | ".join(row) for row in zip(*columns, strict=True)]


def show(value: Any, sql_type: SqlType) -> str:
    """One value."""
    kind = sql_type.kind
    if value is None:
        return "NULL"
    if kind is Kind.ARRAY:
        assert sql_type.component is not None
        return "[" + ", ".join(show(v, sql_type.component) for v in value) + "]"
    if kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return "{" + ", ".join(f"{show(k, sql_type.key)}: {show(v, sql_type.value)}" for k, v in value) + "}"
    if kind is Kind.STRUCT:
        return "(" + ", ".join(show(value[f.name], f.type) for f in sql_type.fields) + ")"
    if kind is Kind.UUID:
        return str(uuid.UUID(bytes=value))
    if kind is Kind.VARIANT:
        return str(value)
    return _show_scalar(value)


def _show_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value + "'"
    if isinstance(value, bytes):
        return "x'" + value.hex() + "'"
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        zone = "+00:00" if value.tzinfo is not None else ""
        return value.replace(tzinfo=None).isoformat(" ") + zone
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds():.10g} s"
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return str(value)


def _show_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)
