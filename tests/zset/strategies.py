"""Hypothesis strategies and small helpers for deltas of every column type; usable by tests of other rooms."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from millstream.zset.delta import Delta

FLAT_TYPES: tuple[pa.DataType, ...] = (
    pa.bool_(),
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(38, 3),
    pa.large_string(),
    pa.large_binary(),
    pa.date32(),
    pa.time64("ns"),
    pa.timestamp("us"),
    pa.timestamp("us", "UTC"),
    pa.duration("us"),
    pa.binary(16),
    pa.binary(3),
    pa.null(),
)
NESTED_TYPES: tuple[pa.DataType, ...] = (
    pa.large_list(pa.field("item", pa.int32())),
    pa.large_list(pa.field("item", pa.large_list(pa.field("item", pa.large_string())))),
    pa.map_(pa.large_string(), pa.float64()),
    pa.struct([pa.field("x", pa.float64()), pa.field("y", pa.float64())]),
    pa.struct([pa.field("s", pa.large_string()), pa.field("l", pa.large_list(pa.field("item", pa.bool_())))]),
)
ALL_TYPES = FLAT_TYPES + NESTED_TYPES

_EPOCH = datetime.datetime(1970, 1, 1)


def values(data_type: pa.DataType, *, nullable: bool = True) -> st.SearchStrategy[Any]:
    """Python values of an Arrow type, few enough that equal ones are common."""
    strategy = _present(data_type)
    return st.none() | strategy if nullable else strategy


def _present(data_type: pa.DataType) -> st.SearchStrategy[Any]:
    is_ = pa.types
    small = st.integers(0, 6)
    if is_.is_null(data_type):
        return st.none()
    if is_.is_boolean(data_type):
        return st.booleans()
    if is_.is_integer(data_type):
        bits = data_type.bit_width
        low, high = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if is_.is_signed_integer(data_type) else (0, (1 << bits) - 1)
        )
        return small | st.sampled_from([low, high])
    if is_.is_floating(data_type):
        return st.sampled_from([0.0, -0.0, 1.0, -1.5, math.nan, -math.nan, math.inf, -math.inf])
    if is_.is_decimal(data_type):
        return st.sampled_from([decimal.Decimal(text) for text in ("0.000", "1.500", "-1.500", "9" * 35)])
    if is_.is_large_string(data_type):
        return st.sampled_from(["", "a", "b", "ab", "\0", "a\0", "eight by", "ninebytes", "žluťoučký kůň" * 3])
    if is_.is_large_binary(data_type):
        return st.sampled_from([b"", b"\0", b"\0\0", b"\xff" * 8, b"\xff" * 17])
    if is_.is_fixed_size_binary(data_type):
        return small.map(lambda n: bytes([n]) + bytes(data_type.byte_width - 1))
    if is_.is_date(data_type):
        return small.map(lambda n: datetime.date(2020, 1, 1 + n))
    if is_.is_time(data_type):
        return small.map(lambda n: datetime.time(n))
    if is_.is_timestamp(data_type):
        zone = datetime.UTC if data_type.tz else None
        return small.map(lambda n: (_EPOCH + datetime.timedelta(days=n)).replace(tzinfo=zone))
    if is_.is_duration(data_type):
        return small.map(lambda n: datetime.timedelta(seconds=n - 3))
    if is_.is_struct(data_type):
        fields = {field.name: values(field.type) for field in data_type}
        return st.fixed_dictionaries(fields)
    if is_.is_map(data_type):
        keys = values(data_type.key_type, nullable=False)
        return st.lists(st.tuples(keys, values(data_type.item_type)), max_size=3, unique_by=lambda e: e[0])
    return st.lists(values(data_type.value_type), max_size=3)


@st.composite
def arrays(draw: st.DrawFn, data_type: pa.DataType, length: int) -> pa.Array:
    """An array of `length`, at times a slice out of a longer one."""
    before, after = draw(st.sampled_from([(0, 0), (1, 0), (9, 2)]))
    total = before + length + after
    items = draw(st.lists(values(data_type), min_size=total, max_size=total))
    return pa.array(items, data_type).slice(before, length)


@st.composite
def deltas(draw: st.DrawFn, types: Sequence[pa.DataType], max_rows: int = 12) -> Delta:
    """A delta, with duplicates, opposite weights and zero weights."""
    rows = draw(st.integers(0, max_rows))
    weights = draw(st.lists(st.integers(-2, 2), min_size=rows, max_size=rows))
    columns = tuple(draw(arrays(data_type, rows)) for data_type in types)
    return Delta(columns, np.array(weights, np.int64))


def comparable(value: Any) -> Any:
    """The value as a hashable one: equal for equal SQL values, also NaN, -0.0 and maps in any order."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else ("float", value + 0.0)
    if isinstance(value, dict):
        return ("struct", *((name, comparable(item)) for name, item in value.items()))
    if isinstance(value, list):
        return ("list", *(comparable(item) for item in value))
    if isinstance(value, tuple):
        return ("entry", *(comparable(item) for item in value))
    return value


def column_values(column: pa.Array) -> list[Any]:
    """The column's values, comparable."""
    found = column.to_pylist()
    if pa.types.is_map(column.type):
        found = [None if entries is None else sorted(entries) for entries in found]
    return [comparable(value) for value in found]


def contents(*parts: Delta) -> dict[tuple[Any, ...], int]:
    """The Z-set that deltas add up to: rows to non-zero weights."""
    total: dict[tuple[Any, ...], int] = {}
    for delta in parts:
        columns = [column_values(column) for column in delta.columns]
        for i, weight in enumerate(delta.weights.tolist()):
            row = tuple(column[i] for column in columns)
            total[row] = total.get(row, 0) + weight
    return {row: weight for row, weight in total.items() if weight}


def rows_of(delta: Delta) -> list[tuple[Any, ...]]:
    """The entries in order: the row's values, then its weight."""
    columns = [column_values(column) for column in delta.columns]
    weights = delta.weights.tolist()
    return [(*(column[i] for column in columns), weight) for i, weight in enumerate(weights)]
