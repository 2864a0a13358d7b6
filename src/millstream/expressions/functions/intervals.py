"""Arithmetic with dates, times, timestamps and intervals (sql.md §5.7).

A short interval is a number of microseconds and adds directly. A long one is a number of months: it moves the
month and clamps the day to the month's end. `resolve_interval_arithmetic` types every combination that SQL
allows; the kernel is then found by the kinds of the operands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.casts.text import float_text
from millstream.expressions.coercion import coerce, is_null_literal, spanning_interval
from millstream.expressions.decimals import widen
from millstream.expressions.errors import cannot_apply, wrong_count
from millstream.expressions.function import Function, Options, table
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import (
    Bools,
    Kernel,
    both_valid,
    join,
    on_arrays,
    relabel,
    valid_of,
    values_of,
)
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, LONG_INTERVALS

DAY_US = 86_400_000_000
DAY_NS = 86_400_000_000_000
_MOMENTS = frozenset((Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
_EXACT: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": lambda a, b: a / b if isinstance(b, float) else Fraction(a) / Fraction(b),
}  # fmt: skip
_NAMES = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}
MIN_TIMESTAMP = -62_135_596_800_000_000  # 0001-01-01
MAX_TIMESTAMP = 253_402_300_799_999_999  # 9999-12-31 23:59:59.999999
_LONGEST = 2**62


# ---- typing ------------------------------------------------------------------------------------------------------


def resolve_interval_arithmetic(name: str, left: Expression, right: Expression) -> Expression | None:
    """The call of `name` over date/time operands, None when the types do not allow it."""
    a, b = left.type, right.type
    nullable = a.nullable or b.nullable
    if name in "+-" and a.is_interval and b.is_interval:
        if (a.kind in LONG_INTERVALS) is not (b.kind in LONG_INTERVALS):
            return None
        return Call(SqlType(spanning_interval(a.kind, b.kind), nullable), name, (left, right))
    if name == "+" and a.is_interval and b.kind in _MOMENTS:
        return Call(b.with_nullable(nullable), name, (right, left))
    if name in "+-" and a.kind in _MOMENTS:
        if b.is_interval:
            return Call(a.with_nullable(nullable), name, (left, right))
        return None
    if name == "*" and b.is_interval:
        left, right, a, b = right, left, b, a
    if name in "*/" and a.is_interval:
        return _scaled(name, left, right, nullable)
    return None


def _scaled(name: str, interval: Expression, factor: Expression, nullable: bool) -> Expression | None:
    if is_null_literal(factor):
        factor = coerce(factor, BIGINT)
    if not factor.type.is_numeric:
        return None
    if factor.type.is_integer:
        factor = coerce(factor, BIGINT)
    return Call(interval.type.with_nullable(nullable), name, (interval, factor))


def implement_interval_arithmetic(call: Call) -> Kernel:
    """The kernel of a call that `resolve_interval_arithmetic` made."""
    a, b = (argument.type for argument in call.arguments)
    if call.name in "*/":
        return on_arrays(_scaling(call.name, a, b))
    sign = 1 if call.name == "+" else -1
    if a.is_interval:
        return _interval_sum(call.name, call.type)
    long = b.kind in LONG_INTERVALS
    if a.kind is Kind.TIME:
        return on_arrays(lambda x, y: _add_to_time(x, y, 0 if long else sign))
    if a.kind is Kind.DATE:
        return on_arrays(lambda x, y: _add_to_date(x, y, sign, long))
    return on_arrays(lambda x, y: _add_to_timestamp(x, y, sign, long))


# ---- calendar ---------------------------------------------------------------------------------------------------

Int64s = npt.NDArray[np.int64]


def civil_of_days(days: npt.NDArray[Any]) -> tuple[Int64s, Int64s, Int64s]:
    """Year, month and day of days since 1970-01-01 in the proleptic Gregorian calendar."""
    moments = days.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    number = months.astype(np.int64)
    return number // 12 + 1970, number % 12 + 1, (moments - months).astype(np.int64) + 1


def days_of_civil(year: Int64s, month: Int64s, day: Int64s) -> Int64s:
    """Days since 1970-01-01; `day` may lie beyond the month and then counts on."""
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1


def days_in_month(year: Int64s, month: Int64s) -> Int64s:
    """The length of months."""
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)


def add_months(days: npt.NDArray[Any], months: npt.NDArray[Any]) -> Int64s:
    """Days moved by whole months, the day of the month clamped to the new month's length."""
    year, month, day = civil_of_days(days)
    number = year * 12 + month - 1 + months
    year, month = number // 12, number % 12 + 1
    return days_of_civil(year, month, np.minimum(day, days_in_month(year, month)))


def split_days(micros: npt.NDArray[np.int64]) -> tuple[Int64s, Int64s]:
    """Days since the epoch, and microseconds within the day."""
    return np.divmod(micros, DAY_US)


# ---- kernels ----------------------------------------------------------------------------------------------------


def check_timestamps(values: Int64s, valid: Bools | None) -> None:
    """Raises when a valid timestamp lies outside years 1 to 9999."""
    outside = (values < MIN_TIMESTAMP) | (values > MAX_TIMESTAMP)
    if valid is not None:
        outside &= valid
    if outside.any():
        raise EvaluationError(f"Timestamp out of range: {int(values[np.argmax(outside)])} microseconds")


def _interval_values(array: pa.Array) -> Int64s:
    return values_of(array).astype(np.int64)


def _signed_amounts(array: pa.Array, sign: int) -> Int64s:
    """The lengths of intervals, cut to what can be added to any time without overflow: longer ones lead out of the
    years that times have, too."""
    return np.clip(_interval_values(array), -_LONGEST, _LONGEST) * sign


def _length(intervals: pa.Array, row: int, long: bool) -> str:
    return f"{_interval_values(intervals)[row]} {'months' if long else 'microseconds'}"


def _add_to_timestamp(x: pa.Array, y: pa.Array, sign: int, long: bool) -> pa.Array:
    valid = both_valid(valid_of(x), valid_of(y))
    values, amount = values_of(x), _signed_amounts(y, sign)
    if valid is not None:
        values, amount = np.where(valid, values, 0), np.where(valid, amount, 0)
    if long:
        days, rest = split_days(values)
        days = add_months(days, amount)
        outside = (days < MIN_TIMESTAMP // DAY_US) | (days > MAX_TIMESTAMP // DAY_US)
        moved = np.where(outside, 0, days) * DAY_US + rest
    else:
        moved = values + amount
        outside = (moved < MIN_TIMESTAMP) | (moved > MAX_TIMESTAMP)
    if outside.any():
        row = int(np.argmax(outside))
        moment = str(np.datetime64(int(values[row]), "us")).replace("T", " ")
        raise EvaluationError(f"Timestamp out of range: {moment} {'+' if sign > 0 else '-'} {_length(y, row, long)}")
    return join(moved, valid, x.type)


def _add_to_date(x: pa.Array, y: pa.Array, sign: int, long: bool) -> pa.Array:
    valid = both_valid(valid_of(x), valid_of(y))
    days, amount = values_of(x).astype(np.int64), _signed_amounts(y, sign)
    if valid is not None:
        days, amount = np.where(valid, days, 0), np.where(valid, amount, 0)
    moved = add_months(days, amount) if long else days + np.sign(amount) * (np.abs(amount) // DAY_US)
    outside = (moved < MIN_TIMESTAMP // DAY_US) | (moved > MAX_TIMESTAMP // DAY_US)
    if outside.any():
        row = int(np.argmax(outside))
        length = ("-" if sign < 0 else "") + _length(y, row, long)
        raise EvaluationError(f"Cannot add interval {length} to date {np.datetime64(int(days[row]), 'D')}")
    return join(moved, valid, x.type)


def _add_to_time(x: pa.Array, y: pa.Array, sign: int) -> pa.Array:
    """Modulo 24 hours; a long interval (sign 0) changes nothing."""
    valid = both_valid(valid_of(x), valid_of(y))
    moved = values_of(x) + (_interval_values(y) % DAY_US) * (1000 * sign)
    return join(moved % DAY_NS, valid, x.type)


def _interval_sum(name: str, result: SqlType) -> Kernel:
    arrow = pc.add_checked if name == "+" else pc.subtract_checked
    storage = _storage(result)

    def kernel(x: pa.Array, y: pa.Array) -> pa.Array:
        left, right = relabel(x, storage), relabel(y, storage)
        try:
            return relabel(arrow(left, right), arrow_type(result))
        except pa.ArrowInvalid:
            raise overflow(name, left, right, storage) from None

    return on_arrays(kernel)


def _storage(interval: SqlType) -> pa.DataType:
    """The integers that intervals of a type are."""
    return pa.int32() if interval.kind in LONG_INTERVALS else pa.int64()


def interval_kernel(sql_type: SqlType, checked: Kernel, message: str) -> Kernel:
    """A checked kernel for integers on intervals: Arrow does not check durations. Only the shortest interval may fail;
    the message has a place for it."""
    storage, target = _storage(sql_type), arrow_type(sql_type)

    def kernel(array: pa.Array) -> pa.Array:
        try:
            return relabel(checked(relabel(array, storage)), target)
        except pa.ArrowInvalid:
            raise EvaluationError(message.format(-(2 ** (storage.bit_width - 1)))) from None

    return kernel


def overflow(name: str, left: pa.Array, right: pa.Array, storage: pa.DataType) -> EvaluationError:
    """The error of an operation on intervals, with the first operands whose result has no place in `storage`."""
    limit = 2 ** (storage.bit_width - 1)
    for a, b in zip(left.to_pylist(), right.to_pylist(), strict=True):
        if a is not None and b is not None and not _fits(_EXACT[name], a, b, limit):
            shown = float_text(pa.scalar(b)) if isinstance(b, float) else b
            return EvaluationError(f"overflow in INTERVAL {_NAMES[name]} {a} {name} {shown}")
    raise AssertionError("no operands overflow")


def _fits(operation: Callable[[Any, Any], Any], a: Any, b: Any, limit: int) -> bool:
    try:
        return -limit <= int(operation(a, b)) < limit
    except (ArithmeticError, ValueError):
        return False


def _scaling(name: str, interval: SqlType, factor: SqlType) -> Kernel:
    """interval * number and interval / number, fractions truncated."""
    target = arrow_type(interval)
    storage = _storage(interval)

    def kernel(x: pa.Array, y: pa.Array) -> pa.Array:
        amounts = relabel(x, storage).cast(pa.int64())
        try:
            if factor.is_float:
                found = _scale_float(name, amounts, y)
            elif factor.kind is Kind.DECIMAL:
                found = _scale_decimal(name, amounts, y)
            else:
                found = (pc.multiply_checked if name == "*" else pc.divide_checked)(amounts, y)
            return relabel(found.cast(storage), target)
        except pa.ArrowInvalid:
            raise overflow(name, amounts, y, storage) from None

    return kernel


def _scale_float(name: str, amounts: pa.Array, factor: pa.Array) -> pa.Array:
    exact = (pc.multiply if name == "*" else pc.divide)(
        amounts.cast(pa.float64(), safe=False), factor.cast(pa.float64())
    )
    return pc.trunc(exact).cast(pa.int64())


def _scale_decimal(name: str, amounts: pa.Array, factor: pa.Array) -> pa.Array:
    whole = relabel(amounts.cast(pa.decimal256(19, 0)), pa.decimal256(20, 0))
    if name == "*":
        wide = pc.multiply(whole, relabel(widen(factor, factor.type.scale), pa.decimal256(38, factor.type.scale)))
    else:
        wide = pc.divide(
            relabel(widen(whole, factor.type.scale), pa.decimal256(68, 0)),
            relabel(widen(factor, factor.type.scale), pa.decimal256(1, 0)),
        )
    truncated = wide.cast(pa.decimal256(76, 0), safe=False)
    return truncated.cast(pa.decimal128(38, 0)).cast(pa.int64())


# ---- (a - b) UNIT ------------------------------------------------------------------------------------------------


def months_between(start: Int64s, end: Int64s) -> Int64s:
    """Completed calendar months from `start` to `end` (microseconds), truncated toward zero."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    (low_days, low_rest), (high_days, high_rest) = split_days(low), split_days(high)
    low_year, low_month, low_day = civil_of_days(low_days)
    high_year, high_month, high_day = civil_of_days(high_days)
    months = (high_year - low_year) * 12 + high_month - low_month
    incomplete = (high_day < low_day) | ((high_day == low_day) & (high_rest < low_rest))
    months -= incomplete
    return np.where(start <= end, months, -months)


def micros_of(array: pa.Array) -> Int64s:
    """DATE, TIME and TIMESTAMP values as microseconds."""
    values = values_of(array).astype(np.int64)
    if pa.types.is_date32(array.type):
        return values * DAY_US
    return values // 1000 if pa.types.is_time64(array.type) else values


def common_moment(name: str, left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """Two date/time operands that can be subtracted: a DATE next to a timestamp becomes one."""
    a, b = left.type.kind, right.type.kind
    if a is Kind.NULL and b in _MOMENTS:
        left, a = coerce(left, right.type), b
    elif b is Kind.NULL and a in _MOMENTS:
        right, b = coerce(right, left.type), a
    if a not in _MOMENTS or b not in _MOMENTS:
        raise cannot_apply(name, (left, right))
    if a is b:
        return left, right
    if a is Kind.DATE and b in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return coerce(left, right.type), right
    if b is Kind.DATE and a in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return left, coerce(right, left.type)
    raise cannot_apply(name, (left, right))


def _resolve_difference(arguments: Any, options: Options) -> Expression:
    if len(arguments) != 2 or len(options) != 1:
        raise wrong_count("-", "2")
    left, right = common_moment("-", *arguments)
    kind = Kind(options[0])
    nullable = left.type.nullable or right.type.nullable
    return Call(SqlType(kind, nullable), "TIMESTAMP_DIFF_INTERVAL", (left, right), (kind,))


def _implement_difference(call: Call) -> Kernel:
    long = call.type.kind in LONG_INTERVALS
    data_type = arrow_type(call.type)

    def kernel(x: pa.Array, y: pa.Array) -> pa.Array:
        valid = both_valid(valid_of(x), valid_of(y))
        later, earlier = micros_of(x), micros_of(y)
        return join(months_between(earlier, later) if long else later - earlier, valid, data_type)

    return on_arrays(kernel)


FUNCTIONS = table(
    Function(
        "TIMESTAMP_DIFF_INTERVAL",
        _resolve_difference,
        _implement_difference,
        doc="(a - b) UNIT: the interval between two dates, times or timestamps.",
    ),
)
