"""SUM and AVG.

| argument | state | result |
|---|---|---|
| integers of at most 32 bits, months | count, int64 | range checked; AVG truncates |
| BIGINT, UBIGINT, DECIMAL, durations | count, 192-bit integer | as above; SUM fails beyond 38 digits |
| REAL, DOUBLE | count, sum of finite values and largest magnitude, counts of NaN and infinities | rounded once |

Integer states are exact, so deletions undo insertions. Floats are summed in pairs of doubles, which keep 106 bits: a
deletion leaves an error of relative size 2^-106 of the largest sum on the way. When no value is left, what remains is
such an error and becomes zero, unless it is too large for one: then deletions came before insertions that are to come.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NoReturn

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.decimals import decimal_text
from millstream.operators.accumulators.base import GroupBatch, LinearAccumulator, State
from millstream.operators.arrays import (
    Integers,
    Mask,
    Words,
    decimal_array,
    decimal_words,
    fixed_array,
    fixed_values,
)
from millstream.operators.kernels import (
    add_wide,
    divide_wide,
    sum_floats,
    sum_integers,
    sum_weights,
    sum_wide,
)
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import FLOATS, INTEGER_BITS, LONG_INTERVALS, MAX_DECIMAL_PRECISION

_SIGN = np.uint64(63)
# More than the sum of all rounding errors, relative to the largest value, and less than any value that matters.
_ERROR = 2.0**-60
_EXACT = Context(prec=120)


def sum_accumulator(average: bool, argument: int, filter_column: int | None, result: SqlType) -> LinearAccumulator:
    """SUM or AVG over a column of the type `result`."""
    if result.kind in FLOATS:
        return FloatSum(average, argument, filter_column, result)
    if INTEGER_BITS.get(result.kind, 64) <= 32 or result.kind in LONG_INTERVALS:
        return NarrowSum(average, argument, filter_column, result)
    return WideSum(average, argument, filter_column, result)


def add_floats(before: State, more: State, count: Integers) -> State:
    """The sums of states (value, error, largest magnitude), renormalised (Knuth's two-sum). Where `count` says that no
    values are left, errors become zero."""
    with np.errstate(all="ignore"):
        total = before[:, 0] + more[:, 0]
        virtual = total - before[:, 0]
        error = (before[:, 0] - (total - virtual)) + (more[:, 0] - virtual) + before[:, 1] + more[:, 1]
        high = total + error
        low = error - (high - total)
        largest = np.maximum(np.maximum(before[:, 2], more[:, 2]), np.abs(high))
        remainder = ~(np.abs(high) > largest * _ERROR)
    result = np.stack((high, np.where(np.isfinite(low), low, 0.0), largest), axis=1)
    result[(count == 0) & (remainder | ~np.isfinite(high))] = 0.0
    return result


class _Sum(LinearAccumulator):
    def __init__(self, average: bool, argument: int, filter_column: int | None, result: SqlType, width: int) -> None:
        super().__init__([(np.int64, 1), (np.int64 if width == 1 else np.uint64, width)])
        self._average = average
        self._argument = argument
        self._filter = filter_column
        self._type = result
        self._arrow_type = arrow_type(result)

    def _text(self, value: int) -> str:
        """An unscaled DECIMAL as text."""
        return decimal_text(_EXACT.scaleb(Decimal(value), -(self._type.scale or 0)))

    def _overflow(self, value: int) -> NoReturn:
        if self._type.kind is Kind.DECIMAL:
            raise EvaluationError(
                f"Cannot represent {self._text(value)} as {self._type.sql()}: "
                "precision of DECIMAL type too small to represent value"
            )
        raise EvaluationError(
            f"Error converting {value} to {self._type.sql()}: out of range integral type conversion attempted"
        )


class NarrowSum(_Sum):
    """Integers whose sums fit in 64 bits, as long as there are less than 2^31 rows."""

    def __init__(self, average: bool, argument: int, filter_column: int | None, result: SqlType) -> None:
        super().__init__(average, argument, filter_column, result, 1)
        bits = INTEGER_BITS.get(result.kind, 32)
        self._low = 0 if result.is_unsigned else -(1 << (bits - 1))
        self._high = (1 << bits) - 1 if result.is_unsigned else (1 << (bits - 1)) - 1

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, (self._argument,))
        values = fixed_values(batch.columns[self._argument]).astype(np.int64)
        return (
            sum_weights(batch.groups, weights, batch.num_groups),
            sum_integers(batch.groups, values, weights, batch.num_groups),
        )

    def finish(self, *state: State) -> pa.Array:
        count, total = state
        valid = count != 0
        if self._average:
            divisor = np.where(valid, count, 1)
            total = np.sign(total) * np.sign(divisor) * (np.abs(total) // np.abs(divisor))
        outside = valid & ((total < self._low) | (total > self._high))
        if outside.any():
            self._overflow(int(total[outside][0]))
        return fixed_array(self._arrow_type, total, valid)


class WideSum(_Sum):
    """64-bit integers and decimals, summed in 192 bits."""

    def __init__(self, average: bool, argument: int, filter_column: int | None, result: SqlType) -> None:
        super().__init__(average, argument, filter_column, result, 3)

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, (self._argument,))
        low, high = self._halves(batch.columns[self._argument])
        return (
            sum_weights(batch.groups, weights, batch.num_groups),
            sum_wide(batch.groups, low, high, weights, batch.num_groups),
        )

    def _halves(self, column: pa.Array) -> tuple[Words, Words]:
        if self._type.kind is Kind.DECIMAL:
            return decimal_words(column)
        low = fixed_values(column).astype(np.uint64)
        return low, np.zeros_like(low) if self._type.is_unsigned else np.uint64(0) - (low >> _SIGN)

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        total = add_wide(before[1], more[1])
        if self._type.kind is Kind.DECIMAL and not self._average:
            low, high = np.ascontiguousarray(total[:, 0]), np.ascontiguousarray(total[:, 1])
            fits = (total[:, 2] == np.uint64(0) - (high >> _SIGN)) & _within(low, high, MAX_DECIMAL_PRECISION)
            for place in np.flatnonzero(~fits)[:1]:
                a, b = (self._text(_integer(side[place])) for side in (before[1], more[1]))
                raise EvaluationError(f"Overflow during aggregation {a}+{b}")
        return before[0] + more[0], total

    def finish(self, *state: State) -> pa.Array:
        count, total = state
        valid: Mask = count != 0
        if self._average:
            total = divide_wide(total, np.where(valid, count, 1))
        low, high = np.ascontiguousarray(total[:, 0]), np.ascontiguousarray(total[:, 1])
        fits = total[:, 2] == np.uint64(0) - (high >> _SIGN)
        if self._type.kind is Kind.DECIMAL:
            fits &= _within(low, high, self._type.precision or MAX_DECIMAL_PRECISION)
        elif self._type.is_unsigned:
            fits &= high == 0
        else:
            fits &= high == np.uint64(0) - (low >> _SIGN)
        if not (fits | ~valid).all():
            self._overflow(_integer(total[valid & ~fits][0]))
        if self._type.kind is Kind.DECIMAL:
            return decimal_array(self._arrow_type, low, high, valid)
        return fixed_array(self._arrow_type, low.view(np.uint64 if self._type.is_unsigned else np.int64), valid)


def _integer(words: State) -> int:
    """A 192-bit integer as a Python one."""
    w0, w1, w2 = words.tolist()
    value: int = w0 | w1 << 64 | w2 << 128
    return value - (1 << 192) if value >> 191 else value


def _within(low: Words, high: Words, digits: int) -> Mask:
    """Which 128-bit integers have at most so many digits."""
    bound = 10**digits
    negative = high >> _SIGN != 0
    magnitude_low = np.where(negative, ~low + np.uint64(1), low)
    magnitude_high = np.where(negative, ~high + (low == 0), high)
    bound_low, bound_high = np.uint64(bound & (1 << 64) - 1), np.uint64(bound >> 64)
    within: Mask = (magnitude_high < bound_high) | ((magnitude_high == bound_high) & (magnitude_low < bound_low))
    return within


class FloatSum(LinearAccumulator):
    """Floats, summed in pairs of doubles."""

    def __init__(self, average: bool, argument: int, filter_column: int | None, result: SqlType) -> None:
        super().__init__([(np.int64, 1), (np.float64, 3), (np.int64, 3)])
        self._average = average
        self._argument = argument
        self._filter = filter_column
        self._arrow_type = arrow_type(result)

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, (self._argument,))
        values = fixed_values(batch.columns[self._argument]).astype(np.float64)
        totals, specials = sum_floats(batch.groups, values, weights, batch.num_groups)
        return sum_weights(batch.groups, weights, batch.num_groups), totals, specials

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        count: Integers = before[0] + more[0]
        return count, add_floats(before[1], more[1], count), before[2] + more[2]

    def finish(self, *state: State) -> pa.Array:
        count, sums, specials = state
        nan = (specials[:, 0] != 0) | ((specials[:, 1] != 0) & (specials[:, 2] != 0))
        total = np.where(specials[:, 1] != 0, np.inf, np.where(specials[:, 2] != 0, -np.inf, sums[:, 0] + sums[:, 1]))
        total = np.where(nan, np.nan, total)
        with np.errstate(all="ignore"):
            if self._average:
                total = total / np.where(count != 0, count, 1)
            values = total.astype(self._arrow_type.to_pandas_dtype())
        return fixed_array(self._arrow_type, values, count != 0)
