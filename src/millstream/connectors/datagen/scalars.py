"""Columns of numbers, booleans, dates, times and UUIDs by strategy.

Each function checks the settings against the type and returns a `Generator`: a closure from lanes to an Arrow array of
exactly the column's type. NULLs and `values` are dealt with one level up (`generator.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.connectors.datagen.integers import (
    integers,
    parse_range,
    plain_integer,
    require_numeric_strategy,
)
from millstream.connectors.datagen.random import Lanes, bounded, salt, unit_interval, zipf_ranks
from millstream.connectors.datagen.settings import FieldSettings
from millstream.connectors.datagen.values import (
    MILLISECONDS_PER_DAY,
    day_milliseconds,
    days,
    decimal_number,
    epoch_milliseconds,
    uuid_number,
)
from millstream.connectors.datagen.wide import MASK_128, Wide, wide_index_times, wide_uniform
from millstream.connectors.options import shown
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import INTEGER_BITS, UNSIGNED_INTEGERS

Generator = Callable[[Lanes], pa.Array]

_DRAW = salt("scalar")
#: 0001-01-01 and 9999-12-31 in days since 1970.
_DATE_LIMITS = (-719_162, 2_932_896)
_TIMESTAMP_LIMITS = (_DATE_LIMITS[0] * MILLISECONDS_PER_DAY, (_DATE_LIMITS[1] + 1) * MILLISECONDS_PER_DAY - 1)
_DEFAULT_DATES = (0, 54_787)
_DEFAULT_TIMESTAMPS = (0, 4_102_444_800_000)


def integer_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """TINYINT .. BIGINT and the unsigned ones."""
    kind = sql_type.kind
    bits = INTEGER_BITS[kind]
    limits = (0, 2**bits - 1) if kind in UNSIGNED_INTEGERS else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    make = integers(settings, limits, parse_range(settings, plain_integer, "an integer"), type_name=sql_type.sql())
    dtype = np.dtype(f"{'uint' if kind in UNSIGNED_INTEGERS else 'int'}{bits}")
    return lambda lanes: pa.array(make(lanes).astype(dtype, copy=False))


def float_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """REAL and DOUBLE."""
    require_numeric_strategy(settings, sql_type.sql())
    dtype: np.dtype[Any] = np.dtype(np.float32 if sql_type.kind is Kind.REAL else np.float64)
    highest = float(np.finfo(dtype).max)
    span = _float_range(settings, highest, sql_type.sql())
    scale, exponent = float(settings.scale), settings.exponent
    if settings.strategy == "increment":
        if span is None:
            return lambda lanes: pa.array(np.fmod(lanes.index * scale, highest).astype(dtype))
        low, width = span[0], min(span[1] - span[0], highest)
        return lambda lanes: pa.array((low + np.mod(lanes.index * scale, width)).astype(dtype))
    if settings.strategy == "zipf":
        low, high = span or (0.0, highest)
        count = int(min(max(1.0, high - low), 2.0**63))
        return lambda lanes: pa.array((zipf_ranks(lanes, _DRAW, count, exponent) - 1.0 + low).astype(dtype))
    low, high = span or (-highest, highest)
    if max(abs(low), abs(high)) * abs(scale) > highest:
        if span is not None:
            raise settings.error(f"values of the range times scale {settings.scale} do not fit {sql_type.sql()}")
        low, high = low / abs(scale), high / abs(scale)
    # The largest number below `high`, which rounding could otherwise reach.
    top = np.nextafter(dtype.type(high), dtype.type(low))

    def uniform(lanes: Lanes) -> pa.Array:
        fraction = unit_interval(lanes.draw(_DRAW))
        # Two products instead of low + fraction * (high - low), whose difference may overflow.
        drawn = (low * (1.0 - fraction) + high * fraction).astype(dtype)
        return pa.array(np.minimum(drawn, top) * dtype.type(scale))

    return uniform


def _float_range(settings: FieldSettings, highest: float, type_name: str) -> tuple[float, float] | None:
    if settings.range is None:
        return None
    bounds = []
    for bound in settings.range:
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise settings.error(f"range bound {shown(bound)} is not a number")
        if not abs(bound) <= highest:
            raise settings.error(f"range bound {shown(bound)} does not fit {type_name}")
        bounds.append(float(bound))
    low, high = bounds
    if low > high:
        raise settings.error(f"invalid range [{low}, {high}): min is greater than max")
    if low == high:
        raise settings.error(f"Empty range [{low}, {high}): max is exclusive")
    return low, high


def decimal_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """DECIMAL(p, s). All numbers are unscaled 128-bit integers."""
    require_numeric_strategy(settings, sql_type.sql())
    precision, digits = sql_type.precision or 0, sql_type.scale or 0
    decimal_type = arrow_type(sql_type)
    one, largest = 10**digits, 10**precision - 1
    span = parse_range(settings, lambda bound: _unscaled(bound, digits), f"a number with at most {digits} decimals")
    if span is not None and not (-largest <= span[0] and span[1] - 1 <= largest):
        raise settings.error(f"the range does not fit {sql_type.sql()}")
    scale, exponent = settings.scale, settings.exponent
    if settings.strategy == "increment":
        if span is None and scale < 0:
            # Counts down from 0: the negated upward count.
            return lambda lanes: (
                wide_index_times(lanes.index, -scale * one, largest).times(-1).to_decimals(decimal_type)
            )
        low, modulus = (0, largest) if span is None else (span[0], span[1] - span[0])
        return lambda lanes: wide_index_times(lanes.index, scale * one, modulus).plus(low).to_decimals(decimal_type)
    if settings.strategy == "zipf":
        low, high = span or (0, largest)
        count = min(max(1, -(-(high - low) // one)), 2**63)
        return lambda lanes: (
            Wide.of(zipf_ranks(lanes, _DRAW, count, exponent))
            .plus(-1 & MASK_128)
            .times(one)
            .plus(low)
            .to_decimals(decimal_type)
        )
    low, high = span or (-largest, largest)
    if max(abs(low), abs(high - 1)) * abs(scale) > largest:
        if span is not None:
            raise settings.error(f"values of the range times scale {scale} do not fit {sql_type.sql()}")
        low, high = -(largest // abs(scale)), largest // abs(scale) + 1
    return lambda lanes: wide_uniform(lanes, high - low).plus(low).times(scale).to_decimals(decimal_type)


def _unscaled(bound: Any, digits: int) -> int | None:
    number = decimal_number(bound)
    if number is None:
        return None
    sign, figures, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    unscaled = Decimal((sign, figures, exponent + digits))
    return int(unscaled) if unscaled == unscaled.to_integral_value() else None


def boolean_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """BOOLEAN: odd indices, a fair coin, or rank 1 of 2."""
    require_numeric_strategy(settings, sql_type.sql())
    if settings.strategy == "increment":
        return lambda lanes: pa.array((lanes.index & np.uint64(1)).astype(np.bool_))
    if settings.strategy == "uniform":
        return lambda lanes: pa.array(bounded(lanes.draw(_DRAW), 2).astype(np.bool_))
    exponent = settings.exponent
    return lambda lanes: pa.array(zipf_ranks(lanes, _DRAW, 2, exponent) == 1)


def date_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """DATE, in days since 1970."""
    given = parse_range(settings, days, "a `YYYY-MM-DD` string or a number of days since 1970")
    make = integers(settings, _DATE_LIMITS, given, _DEFAULT_DATES, "DATE")
    return lambda lanes: pa.array(make(lanes).view(np.int64).astype(np.int32)).view(pa.date32())


def time_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """TIME, made in milliseconds."""
    given = parse_range(settings, day_milliseconds, "an `HH:MM:SS` string or a number of milliseconds")
    limits = (0, MILLISECONDS_PER_DAY - 1)
    make = integers(settings, limits, given, (0, MILLISECONDS_PER_DAY), "TIME")
    return lambda lanes: pa.array((make(lanes) * np.uint64(1_000_000)).view(np.int64)).view(pa.time64("ns"))


def timestamp_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """TIMESTAMP with or without time zone, made in milliseconds."""
    given = parse_range(settings, epoch_milliseconds, "an RFC 3339 string or a number of milliseconds since 1970")
    make = integers(settings, _TIMESTAMP_LIMITS, given, _DEFAULT_TIMESTAMPS, sql_type.sql())
    timestamp_type = arrow_type(sql_type)
    return lambda lanes: pa.array((make(lanes) * np.uint64(1000)).view(np.int64)).view(timestamp_type)


def uuid_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """UUID, as an unsigned 128-bit number."""
    require_numeric_strategy(settings, "UUID")
    if settings.strategy == "zipf":
        raise settings.error("strategy `zipf` on type UUID needs `values`")
    low, high = parse_range(settings, uuid_number, "a UUID string") or (0, 2**128)
    scale = settings.scale
    if settings.strategy == "increment":
        return lambda lanes: wide_index_times(lanes.index, scale, high - low).plus(low).to_uuids()
    return lambda lanes: wide_uniform(lanes, high - low).plus(low).to_uuids()
