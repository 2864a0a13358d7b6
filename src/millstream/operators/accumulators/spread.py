"""VAR_*, STDDEV_*, COVAR_*, REGR_SXX and REGR_SYY: linear states n, sum x, sum y and sum x*y.

    variance = (sum x*y - sum x * sum y / n) / (n or n - 1)      where y is x, for variances
    REGR_SXX, REGR_SYY = n * variance                            with the divisor n

Integers divide like integers (truncating) and are exact before that. DECIMAL(p, s) is computed in DECIMAL(3p, 3s), or
where that has more than 38 digits in DECIMAL(38, s * 38 / p): each product and quotient is truncated to its scale, the
result to s. Sums are exact beyond the digits of that type: a result that fits is never refused for the size of what it
is made of. Floats use pairs of doubles. The last arithmetic is done per touched group in Python integers: this is the
slow part, proportional to groups and not to rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.operators.accumulators.base import GroupBatch, LinearAccumulator, State
from millstream.operators.accumulators.sums import add_floats
from millstream.operators.arrays import Words, decimal_array, decimal_words, fixed_array, fixed_values
from millstream.operators.kernels import add_wide, sum_floats, sum_weights, sum_wide
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import INTEGER_BITS, MAX_DECIMAL_PRECISION

_SIGN = np.uint64(63)
SPREADS = {
    "VAR_POP": (0, 0, "population"),
    "VAR_SAMP": (0, 0, "sample"),
    "VARIANCE": (0, 0, "sample"),
    "STDDEV_POP": (0, 0, "population root"),
    "STDDEV_SAMP": (0, 0, "sample root"),
    "STDDEV": (0, 0, "sample root"),
    "COVAR_POP": (0, 1, "population"),
    "COVAR_SAMP": (0, 1, "sample"),
    "REGR_SXX": (1, 1, "sum"),
    "REGR_SYY": (0, 0, "sum"),
}
"""Per function: which arguments are x and y of the formula, and what is made of the numerator."""


def _integers(words: State) -> list[int]:
    """192-bit integers as Python ones."""
    values = [w0 | w1 << 64 | w2 << 128 for w0, w1, w2 in words.tolist()]
    return [v - (1 << 192) if v >> 191 else v for v in values]


def middle_scale(sql_type: SqlType) -> int:
    """The digits after the point of the type that a spread of this type is computed in."""
    if sql_type.kind is not Kind.DECIMAL:
        return 0
    precision, scale = sql_type.precision or MAX_DECIMAL_PRECISION, sql_type.scale or 0
    if 3 * precision <= MAX_DECIMAL_PRECISION:
        return 3 * scale
    return scale * MAX_DECIMAL_PRECISION // precision


def _divide(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


class ExactSpread(LinearAccumulator):
    """Integers and decimals of at most 18 digits."""

    def __init__(
        self, pair: tuple[int, int], arguments: Sequence[int], filter_column: int | None, mode: str, result: SqlType
    ) -> None:
        super().__init__([(np.int64, 1), (np.uint64, 3), (np.uint64, 3), (np.uint64, 3)])
        self._pair = pair
        self._arguments = tuple(arguments)
        self._filter = filter_column
        self._mode = mode
        self._type = result
        self._shift: int = 10 ** max(middle_scale(result) - 2 * (result.scale or 0), 0)

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, self._arguments)
        groups, count = batch.groups, batch.num_groups
        x, y = (self._values(batch.columns[c]) for c in self._pair)
        return (
            sum_weights(groups, weights, count),
            sum_wide(groups, *self._halves(x), weights, count),
            sum_wide(groups, *self._halves(y), weights, count),
            sum_wide(groups, *self._product(x, y), weights, count),
        )

    def _values(self, column: pa.Array) -> Words:
        if self._type.kind is Kind.DECIMAL:
            return decimal_words(column)[0]
        return fixed_values(column).astype(np.uint64)

    def _halves(self, low: Words) -> tuple[Words, Words]:
        return low, np.zeros_like(low) if self._type.is_unsigned else np.uint64(0) - (low >> _SIGN)

    def _product(self, x: Words, y: Words) -> tuple[Words, Words]:
        """128-bit products of 64-bit values."""
        negative_x = np.zeros(len(x), np.bool_) if self._type.is_unsigned else x >> _SIGN != 0
        negative_y = np.zeros(len(y), np.bool_) if self._type.is_unsigned else y >> _SIGN != 0
        a = np.where(negative_x, np.uint64(0) - x, x)
        b = np.where(negative_y, np.uint64(0) - y, y)
        half, low32 = np.uint64(32), np.uint64(0xFFFFFFFF)
        a0, a1, b0, b1 = a & low32, a >> half, b & low32, b >> half
        middle = ((a0 * b0) >> half) + ((a0 * b1) & low32) + ((a1 * b0) & low32)
        low = ((a0 * b0) & low32) | (middle << half)
        high = a1 * b1 + ((a0 * b1) >> half) + ((a1 * b0) >> half) + (middle >> half)
        negative = negative_x != negative_y
        return np.where(negative, np.uint64(0) - low, low), np.where(negative, ~high + (low == 0), high)

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        return before[0] + more[0], *(add_wide(a, b) for a, b in zip(before[1:], more[1:], strict=True))

    def finish(self, *state: State) -> pa.Array:
        counts = state[0].tolist()
        sums = zip(counts, *(self._totals(words) for words in state[1:]), strict=True)
        results = [self._result(n, x, y, xy) for n, x, y, xy in sums]
        valid = np.array([r is not None for r in results], np.bool_)
        if self._type.kind is Kind.DECIMAL:
            scaled = [r or 0 for r in results]
            low = np.array([r & (1 << 64) - 1 for r in scaled], np.uint64)
            high = np.array([(r >> 64) & (1 << 64) - 1 for r in scaled], np.uint64)
            return decimal_array(arrow_type(self._type), low, high, valid)
        return pa.array(results, arrow_type(self._type))

    def _totals(self, sums: State) -> list[int]:
        return _integers(sums)

    def _result(self, n: int, x: int, y: int, xy: int) -> int | None:
        """One group's value, in units of the last digit of the type; None for NULL."""
        divisor = n - 1 if self._mode.startswith("sample") else n
        if n == 0 or divisor == 0:
            return None
        scale = (self._type.scale or 0) if self._type.kind is Kind.DECIMAL else 0
        middle = middle_scale(self._type)
        # In units of the last digit of the intermediate type.
        value = self._product_sum(xy) - _divide(self._product_of_sums(x, y), n)
        value = _divide(value, n if self._mode == "sum" else divisor)
        if self._mode == "sum":
            value *= n
        if self._mode.endswith("root"):
            value = int(math.sqrt(max(value / 10**middle, 0.0)) * 10**scale)
        else:
            value = _divide(value, 10 ** (middle - scale))
        return self._checked(value, scale)

    def _product_sum(self, xy: int) -> int:
        """The sum of products in the intermediate type, which has at least the digits of a product here."""
        return xy * self._shift

    def _product_of_sums(self, x: int, y: int) -> int:
        """sum x * sum y in the intermediate type."""
        return x * y * self._shift

    def _checked(self, value: int, scale: int) -> int:
        if self._type.kind is Kind.DECIMAL:
            if abs(value) >= 10 ** (self._type.precision or 38):
                raise EvaluationError(
                    f"Cannot represent {value}e-{scale} as {self._type.sql()}: "
                    "precision of DECIMAL type too small to represent value"
                )
            return value
        bits = INTEGER_BITS[self._type.kind]
        low = 0 if self._type.is_unsigned else -(1 << (bits - 1))
        if not low <= value <= low + (1 << bits) - 1:
            raise EvaluationError(
                f"Error converting {value} to {self._type.sql()}: out of range integral type conversion attempted"
            )
        return value


class FloatSpread(LinearAccumulator):
    """Floats. A NaN or infinity among the values makes the result NaN until it is deleted."""

    def __init__(
        self, pair: tuple[int, int], arguments: Sequence[int], filter_column: int | None, mode: str, result: SqlType
    ) -> None:
        super().__init__([(np.int64, 1), (np.float64, 3), (np.float64, 3), (np.float64, 3), (np.int64, 1)])
        self._pair = pair
        self._arguments = tuple(arguments)
        self._filter = filter_column
        self._mode = mode
        self._arrow_type = arrow_type(result)

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, self._arguments)
        groups, count = batch.groups, batch.num_groups
        x, y = (fixed_values(batch.columns[c]).astype(np.float64) for c in self._pair)
        with np.errstate(all="ignore"):
            finite = np.isfinite(x) & np.isfinite(y)
            product = x * y
        counted = np.where(finite, weights, 0)
        return (
            sum_weights(groups, weights, count),
            sum_floats(groups, x, counted, count)[0],
            sum_floats(groups, y, counted, count)[0],
            sum_floats(groups, product, counted, count)[0],
            sum_weights(groups, weights - counted, count),
        )

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        counts = before[0] + more[0]
        sums = [add_floats(a, b, counts) for a, b in zip(before[1:4], more[1:4], strict=True)]
        return counts, *sums, before[4] + more[4]

    def finish(self, *state: State) -> pa.Array:
        n = state[0]
        x, y, xy = (sums[:, 0] + sums[:, 1] for sums in state[1:4])
        divisor = n - 1 if self._mode.startswith("sample") else n
        valid = (n != 0) & (divisor != 0)
        with np.errstate(all="ignore"):
            value = xy - x * y / np.where(valid, n, 1)
            if self._mode != "sum":
                value = value / np.where(valid, divisor, 1)
            if self._mode.endswith("root"):
                value = np.sqrt(np.maximum(value, 0.0))
            value = np.where(state[4] != 0, np.nan, value)
            values = value.astype(self._arrow_type.to_pandas_dtype())
        return fixed_array(self._arrow_type, values, valid)
