"""Hop: every row once for each window that holds it. Linear, keeps nothing.

The first window of a row starts at ts - ((ts - offset) rem slide) + slide - size with the remainder truncated towards
zero (sql.md §10), further ones follow every `slide`: ceil(size / slide) windows. Rows without a time vanish.

Where the time itself is not wanted, rows that differ in nothing else and lie in the same windows are the same row
several times: they are counted before they are copied. So an aggregate over overlapping windows is given the groups of
each slide of time, not every row once a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, fixed_array, fixed_values, validity
from millstream.operators.base import Inputs, Operator
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import group_rows
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS, Seeds

_DAY_US = 86_400_000_000


class HopOperator(Operator):
    """Appends window_start and window_end, of the time column's type, to copies of the input rows; gives those columns
    of the result that are `kept` (None: all)."""

    kind = "hop"
    linear = True

    def __init__(
        self,
        time_column: int,
        slide_us: int,
        size_us: int,
        offset_us: int,
        kept: Sequence[int] | None = None,
        seeds: Seeds = DEFAULT_SEEDS,
    ) -> None:
        self._time_column = time_column
        self._slide = slide_us
        self._size = size_us
        self._offset = offset_us
        self._windows = -(-size_us // slide_us)
        self._kept = kept
        self._seeds = seeds

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        valid = validity(delta.columns[self._time_column])
        if valid is not None:
            delta = delta.filter(valid)
        column = delta.columns[self._time_column]
        time = _to_micros(column)
        first = time - np.fmod(time - self._offset, self._slide) + self._slide - self._size
        width = len(delta.columns)
        kept = range(width + 2) if self._kept is None else self._kept
        own = [c for c in kept if c < width]
        delta = delta.select(own)
        if self._time_column not in own and self._windows > 1:
            delta, first = self._counted(delta, first)
        repeated = delta.take(np.repeat(np.arange(delta.num_rows), self._windows))
        start = (first[:, None] + np.arange(self._windows) * self._slide).ravel()
        made = dict(zip(own, repeated.columns, strict=True))
        for c, bound in ((width, start), (width + 1, start + self._size)):
            if c in kept:
                made[c] = fixed_array(column.type, _from_micros(bound, column.type))
        return Delta(tuple(made[c] for c in kept), repeated.weights)

    def _counted(self, delta: Delta, first: Integers) -> tuple[Delta, Integers]:
        """The different rows of the delta, each with its first window. O(rows)."""
        touched = group_rows([pa.array(first)] + delta.columns, delta.num_rows, self._seeds)
        if touched.count == delta.num_rows:
            return delta, first
        weights = sum_weights(touched.groups, delta.weights, touched.count)
        return Delta(delta.take(touched.first).columns, weights), first[touched.first]


def _to_micros(column: pa.Array) -> npt.NDArray[Any]:
    values = fixed_values(column).astype(np.int64)
    if pa.types.is_date(column.type):
        return values * _DAY_US
    return values // 1000 if pa.types.is_time(column.type) else values


def _from_micros(micros: npt.NDArray[Any], data_type: pa.DataType) -> npt.NDArray[Any]:
    if pa.types.is_date(data_type):
        return micros // _DAY_US
    return micros * 1000 if pa.types.is_time(data_type) else micros
