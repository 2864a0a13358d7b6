"""Hop: every row once for each window that holds it. Linear, keeps nothing.

The first window of a row starts at ts - ((ts - offset) rem slide) + slide - size with the remainder truncated towards
zero (sql.md §10), further ones follow every `slide`: ceil(size / slide) windows. Rows without a time vanish.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import fixed_array, fixed_values, validity
from millstream.operators.base import Inputs, Operator
from millstream.zset.delta import Delta

_DAY_US = 86_400_000_000


class HopOperator(Operator):
    """Appends window_start and window_end, of the time column's type, to copies of the input rows."""

    kind = "hop"
    linear = True

    def __init__(self, time_column: int, slide_us: int, size_us: int, offset_us: int) -> None:
        self._time_column = time_column
        self._slide = slide_us
        self._size = size_us
        self._offset = offset_us

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
        windows = -(-self._size // self._slide)
        start = (first[:, None] + np.arange(windows) * self._slide).ravel()
        repeated = delta.take(np.repeat(np.arange(delta.num_rows), windows))
        bounds = tuple(
            fixed_array(column.type, _from_micros(bound, column.type)) for bound in (start, start + self._size)
        )
        return Delta(repeated.columns + bounds, repeated.weights)


def _to_micros(column: pa.Array) -> npt.NDArray[Any]:
    values = fixed_values(column).astype(np.int64)
    if pa.types.is_date(column.type):
        return values * _DAY_US
    return values // 1000 if pa.types.is_time(column.type) else values


def _from_micros(micros: npt.NDArray[Any], data_type: pa.DataType) -> npt.NDArray[Any]:
    if pa.types.is_date(data_type):
        return micros // _DAY_US
    return micros * 1000 if pa.types.is_time(data_type) else micros
