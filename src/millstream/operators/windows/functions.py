"""The values of window functions for chosen rows of ordered partitions.

`compile_call` gives for a call the function that computes its column. COUNT, SUM, AVG, MIN and MAX take time in
proportion to the rows (sums of floats: see kernels.py); any other aggregate is computed anew for each distinct frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.accumulators.sums import FloatSum, NarrowSum, WideSum, sum_accumulator
from millstream.operators.aggregate import AggregateOperator
from millstream.operators.arrays import Integers, Mask, Words, decimal_words, fixed_values, validity
from millstream.operators.ordering import NO_VARIANTS, Variants, sort_codes
from millstream.operators.windows.frames import Distances, frame_bounds
from millstream.operators.windows.kernels import frame_floats, prefix_wide, sliding_extremes, subtract_wide
from millstream.operators.windows.ordered import Segments
from millstream.plan.nodes import AggregateCall, WindowCall, WindowFrame
from millstream.types import Kind, SqlType, arrow_type
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class TakenColumns(Sequence[pa.Array]):
    """Some rows of columns; each column is taken when it is first read."""

    def __init__(self, columns: Sequence[pa.Array], rows: Integers) -> None:
        self._columns = columns
        self._rows = pa.array(rows)
        self._taken: dict[int, pa.Array] = {}

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if index not in self._taken:
            self._taken[index] = self._columns[index].take(self._rows)
        return self._taken[index]


@dataclass(frozen=True, slots=True)
class Partitions:
    """Rows in order, one per occurrence; equal frames are computed once."""

    columns: Sequence[pa.Array]
    segments: Segments
    distances: Distances | None
    _frames: dict[WindowFrame, tuple[Integers, Integers]] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        return len(self.segments.partition_starts)

    def frame(self, frame: WindowFrame) -> tuple[Integers, Integers]:
        found = self._frames.get(frame)
        if found is None:
            found = self._frames[frame] = frame_bounds(frame, self.segments, self.distances)
        return found


WindowFunction = Callable[[Partitions, Integers], pa.Array]
"""The values at the chosen rows, which ascend."""


def compile_call(
    call: WindowCall, types: Sequence[pa.DataType], seeds: Seeds, variants: Variants = NO_VARIANTS
) -> WindowFunction:
    """The function that computes `call`. MillstreamError if the aggregate is not supported."""
    name = call.function
    if name in ("ROW_NUMBER", "RANK", "DENSE_RANK"):
        return lambda partitions, rows: pa.array(_rank(name, partitions)[rows])
    if name in ("LAG", "LEAD"):
        return lambda partitions, rows: _neighbour(call, partitions, rows)
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return lambda partitions, rows: _edge_value(call, partitions, rows)
    if name in ("MIN", "MAX"):
        return lambda partitions, rows: _extreme(call, partitions, rows, variants)
    if name == "COUNT" and not (call.distinct and call.arguments):
        return lambda partitions, rows: pa.array(_counts(call, partitions, rows)[2])
    if name in ("SUM", "AVG") and not call.distinct:
        return _sum(call)
    return _any_aggregate(call, types, seeds, variants)


# ---- ranks and neighbours ----


def _rank(name: str, partitions: Partitions) -> Integers:
    segments = partitions.segments
    if name == "ROW_NUMBER":
        return np.asarray(np.arange(partitions.num_rows) - segments.partition_starts + 1)
    if name == "RANK":
        return np.asarray(segments.peer_starts - segments.partition_starts + 1)
    groups = np.cumsum(segments.peer_starts == np.arange(partitions.num_rows))
    return np.asarray(groups - groups[segments.partition_starts] + 1)


def _neighbour(call: WindowCall, partitions: Partitions, rows: Integers) -> pa.Array:
    segments = partitions.segments
    reach = min(call.offset, partitions.num_rows)
    others = rows + (reach if call.function == "LEAD" else -reach)
    inside = (others >= segments.partition_starts[rows]) & (others < segments.partition_ends[rows])
    values = partitions.columns[call.arguments[0]]
    if len(call.arguments) == 1:
        return values.take(pa.array(others, mask=~inside))
    defaults = partitions.columns[call.arguments[1]]
    return pa.concat_arrays([values, defaults]).take(pa.array(np.where(inside, others, len(values) + rows)))


def _edge_value(call: WindowCall, partitions: Partitions, rows: Integers) -> pa.Array:
    assert call.frame is not None
    low, high = partitions.frame(call.frame)
    at = low[rows] if call.function == "FIRST_VALUE" else high[rows] - 1
    empty = low[rows] >= high[rows]
    return partitions.columns[call.arguments[0]].take(pa.array(at, mask=empty))


# ---- aggregates ----


def wanted_rows(call: WindowCall, partitions: Partitions) -> Mask:
    """The rows that count: no argument NULL, the filter TRUE."""
    wanted = np.ones(partitions.num_rows, np.bool_)
    if call.filter is not None:
        column = partitions.columns[call.filter].fill_null(False)
        wanted &= np.asarray(column.to_numpy(zero_copy_only=False))
    for argument in call.arguments:
        valid = validity(partitions.columns[argument])
        if valid is not None:
            wanted &= valid
    return wanted


def _counts(call: WindowCall, partitions: Partitions, rows: Integers) -> tuple[Integers, Integers, Integers]:
    """The frames of the rows, and how many wanted rows are in each."""
    assert call.frame is not None
    low, high = partitions.frame(call.frame)
    low, high = low[rows], high[rows]
    before = np.concatenate(([0], np.cumsum(wanted_rows(call, partitions))))
    return low, high, before[high] - before[low]


def _extreme(call: WindowCall, partitions: Partitions, rows: Integers, variants: Variants) -> pa.Array:
    assert call.frame is not None
    low, high = partitions.frame(call.frame)
    column = partitions.columns[call.arguments[0]]
    codes = sort_codes(column, variants.get(call.arguments[0]))
    if call.function == "MAX":
        codes = ~codes
    best = sliding_extremes(low[rows], high[rows], codes, wanted_rows(call, partitions))
    return column.take(pa.array(best, mask=best < 0))


def _sum(call: WindowCall) -> WindowFunction:
    (argument,) = call.arguments
    result = sum_accumulator(call.function == "AVG", argument, call.filter, call.type)

    def compute(partitions: Partitions, rows: Integers) -> pa.Array:
        low, high, counts = _counts(call, partitions, rows)
        column = partitions.columns[argument]
        wanted = wanted_rows(call, partitions)
        if isinstance(result, FloatSum):
            values = fixed_values(column).astype(np.float64)
            return result.finish(counts, *frame_floats(low, high, values, wanted))
        if isinstance(result, NarrowSum):
            values = np.where(wanted, fixed_values(column), 0).astype(np.int64)
            before = np.concatenate(([0], np.cumsum(values)))
            return result.finish(counts, before[high] - before[low])
        assert isinstance(result, WideSum)
        totals = prefix_wide(*wide_halves(column, call.type), wanted)
        return result.finish(counts, subtract_wide(totals, low, high))

    return compute


def wide_halves(column: pa.Array, sql_type: SqlType) -> tuple[Words, Words]:
    if sql_type.kind is Kind.DECIMAL:
        return decimal_words(column)
    low = fixed_values(column).astype(np.uint64)
    return low, np.zeros_like(low) if sql_type.is_unsigned else np.uint64(0) - (low >> np.uint64(63))


def _any_aggregate(call: WindowCall, types: Sequence[pa.DataType], seeds: Seeds, variants: Variants) -> WindowFunction:
    """Each distinct frame becomes a group of a grouped aggregate. O(all frames)."""
    assert call.frame is not None
    frame = call.frame
    arguments = tuple(a + 1 for a in call.arguments)
    filter_column = None if call.filter is None else call.filter + 1
    inner = AggregateCall(call.function, arguments, call.type, call.distinct, filter_column, user=call.user)
    all_types = (pa.int64(), *types)
    variants = {column + 1: sql_type for column, sql_type in variants.items()}
    AggregateOperator(all_types, (0,), (inner,), True, seeds, variants)  # refuses what is not supported

    def compute(partitions: Partitions, rows: Integers) -> pa.Array:
        low, high = (bound[rows] for bound in partitions.frame(frame))
        first = np.ones(len(rows), np.bool_)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        owners = np.cumsum(first) - 1
        low, sizes = low[first], (high - low)[first]
        inside = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        positions = pa.array(np.repeat(low, sizes) + inside)
        frames = np.repeat(np.arange(len(sizes)), sizes)
        columns = (pa.array(frames), *(column.take(positions) for column in partitions.columns))
        operator = AggregateOperator(all_types, (0,), (inner,), True, seeds, variants)
        result = operator.step([Delta.inserts(columns)], EvaluationContext())
        at = np.full(len(sizes), -1, np.int64)
        if result is None:
            values = pa.array([], arrow_type(call.type))
        else:
            at[fixed_values(result.columns[0])] = np.arange(result.num_rows)
            values = result.columns[1]
        column = values.take(pa.array(at[owners], mask=at[owners] < 0))
        if call.type.nullable or not column.null_count:
            return column
        return column.fill_null(pa.scalar([] if call.type.kind is Kind.ARRAY else 0, column.type))

    return compute
