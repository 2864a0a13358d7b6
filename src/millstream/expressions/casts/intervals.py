"""Intervals to and from text and numbers (sql.md §4.6, §6.2).

Short intervals are microseconds, long ones months. A qualifier names the first and last field; the first
takes what the fields above it would have held.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from millstream.expressions.casts.conversion import Conversion, Converted, failed_between
from millstream.expressions.vectors import join, relabel, valid_of, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import LONG_INTERVALS

ROW_BY_ROW = ("CAST between text and INTERVAL",)
UNIT_MICROS = {"DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000}
UNIT_MONTHS = {"YEAR": 12, "MONTH": 1}
_SEPARATORS = {"DAY": " ", "HOUR": ":", "MINUTE": ":", "YEAR": "-"}


def fields_of(kind: Kind) -> list[str]:
    """The fields of an interval qualifier from first to last."""
    named = kind.value.removeprefix("INTERVAL_").split("_")
    order = ["YEAR", "MONTH"] if kind in LONG_INTERVALS else ["DAY", "HOUR", "MINUTE", "SECOND"]
    return order[order.index(named[0]) : order.index(named[-1]) + 1]


def unit_length(kind: Kind) -> int:
    """Microseconds or months of one unit of the first field."""
    first = fields_of(kind)[0]
    return UNIT_MONTHS[first] if kind in LONG_INTERVALS else UNIT_MICROS[first]


def interval_text(amount: int, kind: Kind) -> str:
    """`+10 10:30:40.999000`: signed, fields below the first with two digits."""
    sign, rest = "-" if amount < 0 else "+", abs(amount)
    lengths = UNIT_MONTHS if kind in LONG_INTERVALS else UNIT_MICROS
    text, fields = sign, fields_of(kind)
    for position, field in enumerate(fields):
        value, rest = divmod(rest, lengths[field])
        if position == 0:
            text += str(value)
        else:
            text += _SEPARATORS[fields[position - 1]] + f"{value:02d}"
    if fields[-1] == "SECOND" and (rest or len(fields) == 1):
        text += f".{rest:06d}"
    return text


def intervals_to_text(array: pa.Array, kind: Kind) -> pa.Array:
    """The texts of an interval column."""
    amounts = relabel(array, pa.int32() if kind in LONG_INTERVALS else pa.int64()).to_pylist()
    return pa.array([None if v is None else interval_text(v, kind) for v in amounts], pa.large_string())


def interval_pattern(kind: Kind) -> re.Pattern[str]:
    """The regular expression of the literal text of a qualifier, one group a field."""
    fields = fields_of(kind)
    parts = []
    for position, field in enumerate(fields):
        digits = r"(\d+)" if position == 0 else r"(\d{1,2})"
        parts.append(digits + (r"(?:\.(\d{1,9}))?" if field == "SECOND" else ""))
        if position + 1 < len(fields):
            parts.append(re.escape(_SEPARATORS[field]))
    return re.compile(r"\s*([+-]?)" + "".join(parts) + r"\s*", re.ASCII)


def parse_interval(text: str, kind: Kind) -> int | None:
    """Microseconds or months of literal text such as `10 10:30`; None when it does not match the
    qualifier."""
    match = interval_pattern(kind).fullmatch(text)
    if match is None:
        return None
    lengths = UNIT_MONTHS if kind in LONG_INTERVALS else UNIT_MICROS
    limits = {"MONTH": 11, "HOUR": 23, "MINUTE": 59, "SECOND": 59}
    total = 0
    groups = list(match.groups()[1:])
    for position, field in enumerate(fields_of(kind)):
        value = int(groups[position])
        if position and value > limits[field]:
            return None
        total += value * lengths[field]
        if field == "SECOND" and groups[position + 1]:
            total += int(groups[position + 1].ljust(9, "0")) // 1000
    return -total if match[1] == "-" else total


def interval_of_text(target: SqlType) -> Conversion:
    """CAST(string AS INTERVAL ...)."""
    kind, data_type = target.kind, arrow_type(target)
    storage = pa.int32() if kind in LONG_INTERVALS else pa.int64()

    def convert(array: pa.Array) -> Converted:
        parsed = [None if text is None else parse_interval(text, kind) for text in array.to_pylist()]
        column = pa.array(parsed, storage)
        return relabel(column, data_type), failed_between(array, column)

    return Conversion(convert, lambda v: f"Cannot convert string '{v.as_py()}' to {target.sql()}")


def interval_amounts(array: pa.Array, kind: Kind) -> pa.Array:
    """Whole units of a single-unit interval column, truncated, as BIGINT."""
    values = values_of(array).astype(np.int64)
    length = unit_length(kind)
    return join(np.sign(values) * (np.abs(values) // length), valid_of(array), pa.int64())


def interval_of_amounts(array: pa.Array, kind: Kind) -> Converted:
    """An interval column of BIGINT amounts in the unit of its first field."""
    long = kind in LONG_INTERVALS
    limit = (2**31 - 1 if long else 2**63 - 1) // unit_length(kind)
    values, valid = values_of(array), valid_of(array)
    fits = (values >= -limit) & (values <= limit)
    data_type = pa.int32() if long else pa.duration("us")
    failed = ~fits if valid is None else ~fits & valid
    return join(np.where(fits, values, 0) * unit_length(kind), valid, data_type), failed
