"""Variances of DECIMALs of more than 18 digits, and spreads whose result has another type than their arguments.

Sums of wide decimals and of their products do not fit the words that the other spreads use, so their states are Python
integers; a batch costs a few microseconds a row. Their intermediate type has the 38 digits that a DECIMAL can have, so
products and sums may have too many: then evaluation fails, as in expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import NoReturn, Self

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError, MillstreamError
from millstream.expressions.casts import cast_kernel
from millstream.expressions.decimals import decimal_text
from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch, LinearAccumulator, State, Update
from millstream.operators.accumulators.spread import SPREADS, ExactSpread, FloatSpread, middle_scale
from millstream.operators.arrays import Integers, Mask, decimal_words
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import Moved
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import MAX_DECIMAL_PRECISION, decimal

#: Longer decimals do not fit a word.
WORD_DIGITS = 18
_TOO_LONG = 10**MAX_DECIMAL_PRECISION
_EXACT = Context(prec=120)


class WideSpread(ExactSpread):
    """As ExactSpread, for DECIMALs of any precision."""

    def __init__(
        self, pair: tuple[int, int], arguments: Sequence[int], filter_column: int | None, mode: str, result: SqlType
    ) -> None:
        super().__init__(pair, arguments, filter_column, mode, result)
        LinearAccumulator.__init__(self, [(np.int64, 1), (np.object_, 1), (np.object_, 1), (np.object_, 1)])
        # A product has 2s digits after the point, the intermediate type `_middle`.
        self._scale, self._middle = result.scale or 0, middle_scale(result)
        self._excess: int = 10 ** max(2 * self._scale - self._middle, 0)

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, self._arguments)
        rows = np.flatnonzero(weights)
        counted, groups = weights[rows].astype(np.object_), batch.groups[rows]
        x, y = (_integers(batch.columns[c].take(pa.array(rows))) for c in self._pair)
        sums = [np.zeros(batch.num_groups, np.object_) for _ in range(3)]
        for total, values in zip(sums, (x, y, self._products(x, y)), strict=True):
            np.add.at(total, groups, values * counted)
        return sum_weights(batch.groups, weights, batch.num_groups), *sums

    def _products(self, x: State, y: State) -> State:
        """x * y in the intermediate type, cut to its scale. EvaluationError where one has too many digits."""
        product = x * y * self._shift
        cut: State = np.sign(product) * (abs(product) // self._excess)
        for place in np.flatnonzero(abs(cut) >= _TOO_LONG)[:1]:
            self._too_long(x[place], y[place])
        return cut

    def _product_sum(self, xy: int) -> int:
        return xy

    def _product_of_sums(self, x: int, y: int) -> int:
        product = x * y * self._shift
        cut = abs(product) // self._excess
        if cut >= _TOO_LONG:
            self._too_long(x, y)
        return cut if product >= 0 else -cut

    def _too_long(self, x: int, y: int) -> NoReturn:
        a, b = (decimal_text(_EXACT.scaleb(Decimal(value), -self._scale)) for value in (x, y))
        middle = decimal(MAX_DECIMAL_PRECISION, self._middle)
        raise EvaluationError(f"Overflow in multiplication {a}*{b} cannot be represented as {middle.sql()}")

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        for old, new in zip(before[1:], more[1:], strict=True):
            total = abs(old + new)
            for place in np.flatnonzero(total >= _TOO_LONG)[:1]:
                scale = self._middle if old is before[3] else self._scale
                a, b = (decimal_text(_EXACT.scaleb(Decimal(int(side[place])), -scale)) for side in (old, new))
                raise EvaluationError(f"Overflow during aggregation {a}+{b}")
        return LinearAccumulator.add(self, before, more)

    def _totals(self, sums: State) -> list[int]:
        return [int(total) for total in sums]


def _integers(column: pa.Array) -> State:
    """The unscaled values of a DECIMAL column as Python integers."""
    low, high = decimal_words(column)
    return (high.view(np.int64).astype(np.object_) << 64) + low.astype(np.object_)


class Converted(Accumulator):
    """An accumulator whose results are cast to another type. EvaluationError when one does not fit."""

    def __init__(self, inner: Accumulator, source: SqlType, target: SqlType) -> None:
        self._inner = inner
        self._cast = cast_kernel(source.with_nullable(True), target.with_nullable(True))

    def update(self, batch: GroupBatch) -> Update:
        return _ConvertedUpdate(self._inner.update(batch), self)

    def converted(self, results: pa.Array) -> pa.Array:
        """Results in the target type."""
        found: pa.Array = self._cast(results)
        return found

    def vacant(self, slots: Integers) -> Mask:
        return self._inner.vacant(slots)

    def clear(self, slots: Integers) -> None:
        self._inner.clear(slots)

    def forget(self, gone: Forgotten) -> None:
        self._inner.forget(gone)

    def absorb(self, other: Self, moved: Moved) -> None:
        self._inner.absorb(other._inner, moved)

    @property
    def nbytes(self) -> int:
        return self._inner.nbytes

    @property
    def num_rows(self) -> int:
        return self._inner.num_rows


class _ConvertedUpdate:
    """The update of the accumulator inside; groups whose converted results are the same count as changed, too."""

    def __init__(self, inner: Update, accumulator: Converted) -> None:
        self._inner = inner
        self._accumulator = accumulator

    @property
    def changed(self) -> Mask:
        return self._inner.changed

    def output(self, before: Integers, after: Integers) -> pa.Array:
        return self._accumulator.converted(self._inner.output(before, after))


_INTEGER_KINDS = {
    pa.int8(): Kind.TINYINT, pa.int16(): Kind.SMALLINT, pa.int32(): Kind.INTEGER, pa.int64(): Kind.BIGINT,
    pa.uint8(): Kind.UTINYINT, pa.uint16(): Kind.USMALLINT, pa.uint32(): Kind.UINTEGER, pa.uint64(): Kind.UBIGINT,
    pa.float32(): Kind.REAL, pa.float64(): Kind.DOUBLE,
}  # fmt: skip


def _sql_type(data_type: pa.DataType) -> SqlType:
    if pa.types.is_decimal(data_type):
        return decimal(data_type.precision, data_type.scale)
    return SqlType(_INTEGER_KINDS[data_type])


def spread_accumulator(
    function: str, arguments: Sequence[int], types: Sequence[pa.DataType], filter_column: int | None, result: SqlType
) -> Accumulator:
    """The accumulator of one of SPREADS. MillstreamError for arguments of different types."""
    first, second, mode = SPREADS[function]
    x, y = arguments[first], arguments[second]
    if types[x] != types[y] or not (pa.types.is_decimal(types[x]) or types[x] in _INTEGER_KINDS):
        raise MillstreamError(
            "UnsupportedAggregate",
            f"Aggregate function {function} is not supported for arguments of Arrow types {types[x]} and {types[y]}",
            {"function": function},
        )
    source = _sql_type(types[x])
    build: type[FloatSpread | ExactSpread] = FloatSpread if source.is_float else ExactSpread
    if source.kind is Kind.DECIMAL and (source.precision or 38) > WORD_DIGITS:
        build = WideSpread
    made = build((x, y), arguments, filter_column, mode, source)
    return made if types[x] == arrow_type(result) else Converted(made, source, result)
