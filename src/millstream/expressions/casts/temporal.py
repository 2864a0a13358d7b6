"""Casts among DATE, TIME, TIMESTAMP, intervals and numbers (sql.md §6.2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, Converted, total
from millstream.expressions.casts.intervals import interval_amounts, interval_of_amounts, unit_length
from millstream.expressions.casts.numbers import number_conversion
from millstream.expressions.decimals import decimal_of_int64
from millstream.expressions.vectors import join, relabel, valid_of, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, decimal

DAY_US = 86_400_000_000
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 to 9999
_MOMENTS = (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)


def chain(first: Conversion, second: Conversion) -> Conversion:
    """Both conversions in turn; elements that the first refuses are refused."""

    def convert(array: pa.Array) -> Converted:
        between, failed_first = first.convert(array)
        converted, failed_second = second.convert(between)
        if failed_first is None:
            return converted, failed_second
        return converted, failed_first if failed_second is None else failed_first | failed_second

    def explain(value: pa.Scalar) -> str:
        between, failed = first.convert(pa.array([value.as_py()], value.type))
        if failed is not None and failed.any():
            assert first.explain is not None
            return first.explain(value)
        assert second.explain is not None
        return second.explain(between[0])

    return Conversion(convert, None if first.explain is None and second.explain is None else explain)


def temporal_conversion(source: SqlType, target: SqlType) -> Conversion:
    """The conversion between two types of which at least one is a date/time or interval type, and none a
    string."""
    if source.is_interval:
        return _from_interval(source, target)
    if target.is_interval:
        return _to_interval(source, target)
    if source.kind in _MOMENTS:
        return _from_timestamp(source, target)
    if source.is_numeric:
        return _number_to_timestamp(source, arrow_type(target))
    data_type = arrow_type(target)
    if source.kind is Kind.DATE:
        return total(lambda a: join(values_of(a).astype(np.int64) * DAY_US, valid_of(a), data_type))
    return total(lambda a: join(values_of(a) // 1000, valid_of(a), data_type))


def _from_timestamp(source: SqlType, target: SqlType) -> Conversion:
    data_type = arrow_type(target)
    if target.kind in _MOMENTS:
        return total(lambda a: relabel(a, data_type))
    if target.kind is Kind.DATE:
        return total(lambda a: join(values_of(a) // DAY_US, valid_of(a), data_type))
    if target.kind is Kind.TIME:
        return total(lambda a: join(values_of(a) % DAY_US * 1000, valid_of(a), data_type))
    if target.kind is Kind.DECIMAL:
        exact = total(lambda a: decimal_of_int64(values_of(a), valid_of(a), pa.decimal128(19, 3)))
        return chain(exact, number_conversion(decimal(19, 3), target))
    milliseconds = total(lambda a: join(_truncated(values_of(a), 1000), valid_of(a), pa.int64()))
    return milliseconds if target.kind is Kind.BIGINT else chain(milliseconds, number_conversion(BIGINT, target))


def _truncated(values: Any, unit: int) -> Any:
    return np.sign(values) * (np.abs(values) // unit)


def _number_to_timestamp(source: SqlType, data_type: pa.DataType) -> Conversion:
    """The number is milliseconds; whole seconds below it are kept."""

    def seconds(array: pa.Array) -> Converted:
        whole, valid = _truncated(values_of(array), 1000), valid_of(array)
        fits = (whole >= FIRST_SECOND) & (whole <= LAST_SECOND)
        failed = ~fits if valid is None else ~fits & valid
        return join(np.where(fits, whole, 0) * 1_000_000, valid, data_type), failed

    to_seconds = Conversion(seconds, lambda v: f"Timestamp out of range: {v.as_py()} milliseconds")
    return to_seconds if source.kind is Kind.BIGINT else chain(number_conversion(source, BIGINT), to_seconds)


def _from_interval(source: SqlType, target: SqlType) -> Conversion:
    if target.is_interval:
        return total(lambda a: a)
    amounts = total(lambda a: interval_amounts(a, source.kind))
    return amounts if target.kind is Kind.BIGINT else chain(amounts, number_conversion(BIGINT, target))


def _to_interval(source: SqlType, target: SqlType) -> Conversion:
    lengthen = Conversion(
        lambda a: interval_of_amounts(a, target.kind), lambda v: f"Cannot convert {v.as_py()} to {target.sql()}"
    )
    if source.kind is Kind.BIGINT:
        return lengthen
    if source.kind is Kind.DECIMAL and arrow_type(target) == pa.duration("us"):
        return _decimal_to_short(source, target)
    return chain(number_conversion(source, BIGINT), lengthen)


def _decimal_to_short(source: SqlType, target: SqlType) -> Conversion:
    """Fractions of the unit count, down to microseconds."""
    micros = unit_length(target.kind)

    def scaled(array: pa.Array) -> pa.Array:
        wide = relabel(array.cast(pa.decimal256(76, array.type.scale)), pa.decimal256(38, array.type.scale))
        return pc.multiply(wide, pa.scalar(Decimal(micros), pa.decimal256(20, 0)))

    def convert(array: pa.Array) -> Converted:
        whole = scaled(array).cast(pa.decimal256(76, 0), safe=False).cast(pa.decimal128(38, 0))
        converted, failed = number_conversion(decimal(38, 0), BIGINT).convert(whole)
        return relabel(converted, pa.duration("us")), failed

    explain = number_conversion(source, BIGINT).explain
    return Conversion(convert, explain)
