"""Aggregates whose code is the program's own (udf/aggregates.py).

LINEAR ones keep the number of rows of each group and the sums of what rows contribute; the sums are those of SUM
(sums.py), exact for integers and decimals. Others are recomputed for each touched group from the trace of its rows
(recomputed.py), which are given to them in ascending order, so that results do not depend on the order of arrival.

The result of a group without rows that count is NULL, and no code is called for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch, LinearAccumulator, LinearUpdate
from millstream.operators.accumulators.recomputed import Recomputed
from millstream.operators.accumulators.sums import sum_accumulator
from millstream.operators.accumulators.tally import CountUpdate, Tally
from millstream.operators.arrays import Integers, Mask
from millstream.operators.ordering import row_codes
from millstream.plan.nodes import AggregateCall
from millstream.types import SqlType, arrow_type
from millstream.udf.aggregates import GroupedCode, LinearCode
from millstream.zset.delta import Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace


def external_accumulator(
    call: AggregateCall, types: Sequence[pa.DataType], group: Sequence[int], seeds: Seeds
) -> Accumulator:
    """The accumulator of a user-defined aggregate, which ignores DISTINCT."""
    assert call.user is not None
    if isinstance(call.user.code, LinearCode):
        return ExternalLinear(call, call.user.code)
    if isinstance(call.user.code, GroupedCode):
        return ExternalRecomputed(call, call.user.code, types, group, seeds)
    raise MillstreamError("UnsupportedAggregate", f"The code of aggregate '{call.user}' is not loaded")


def _with_nulls(found: pa.Array, present: Integers, count: int) -> pa.Array:
    """A column of `count` values: those `found` at the places `present`, NULL elsewhere."""
    at = np.full(count, -1, np.int64)
    at[present] = np.arange(len(present))
    return found.take(pa.array(at, mask=at < 0))


# ---- LINEAR ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExternalUpdate:
    """Numbers of rows and sums of the touched groups, and how results are made of them."""

    counts: CountUpdate
    sums: tuple[LinearUpdate, ...]
    finish: Callable[[Integers, Sequence[pa.Array]], pa.Array]

    @property
    def changed(self) -> Mask:
        differs = self.counts.changed
        for update in self.sums:
            differs = differs | update.changed
        return differs

    def output(self, before: Integers, after: Integers) -> pa.Array:
        counts = self.counts.counts(before, after)
        return self.finish(counts, [update.output(before, after) for update in self.sums])


class ExternalLinear(Accumulator):
    """See the module. The types of the sums are those of the first rows."""

    def __init__(self, call: AggregateCall, code: LinearCode) -> None:
        self._code = code
        self._arguments = call.arguments
        self._filter = call.filter
        self._returns = call.type
        self._tally = Tally()
        self._counted = self._tally.count(call.filter, call.arguments)
        self._types: tuple[SqlType, ...] | None = None
        self._sums: list[LinearAccumulator] = []

    def update(self, batch: GroupBatch) -> ExternalUpdate:
        counts = CountUpdate(self._tally.advance(batch), self._counted)
        weights = batch.masked_weights(self._filter, self._arguments)
        rows = np.flatnonzero(weights)
        if len(rows):
            positions = pa.array(rows)
            values = [batch.columns[a].take(positions) for a in self._arguments]
            parts, self._types = self._code.contributions(values, len(rows), self._types)
            if not self._sums:
                self._sums = [sum_accumulator(False, i, None, t) for i, t in enumerate(self._types)]
        else:
            parts = [pa.nulls(0, arrow_type(t)) for t in self._types or ()]
        derived = GroupBatch(tuple(parts), weights[rows], batch.groups[rows], batch.slots, batch.keys, batch.capacity)
        return ExternalUpdate(counts, tuple(each.update(derived) for each in self._sums), self._finish)

    def _finish(self, counts: Integers, sums: Sequence[pa.Array]) -> pa.Array:
        present = np.flatnonzero(counts > 0)
        if not len(present):
            return pa.nulls(len(counts), arrow_type(self._returns))
        assert self._types is not None
        rows = pa.array(present)
        # A sum is NULL where all contributions were
        totals = [total.take(rows).fill_null(pa.scalar(0).cast(total.type)) for total in sums]
        found = self._code.results(totals, self._types, len(present), self._returns)
        return _with_nulls(found, present, len(counts))

    def vacant(self, slots: Integers) -> Mask:
        empty = self._tally.vacant(slots)
        for each in self._sums:
            empty = empty & each.vacant(slots)
        return empty

    def clear(self, slots: Integers) -> None:
        """Nothing to do: vacant slots are zeros."""

    def forget(self, gone: Forgotten) -> None:
        self._tally.forget(gone.slots)
        for each in self._sums:
            each.forget(gone)

    @property
    def nbytes(self) -> int:
        return self._tally.nbytes + sum(each.nbytes for each in self._sums)


# ---- others ------------------------------------------------------------------------------------------------------


class ExternalRecomputed(Recomputed):
    """See the module. Cost O(rows of the touched groups), and the calls."""

    def __init__(
        self,
        call: AggregateCall,
        code: GroupedCode,
        types: Sequence[pa.DataType],
        group: Sequence[int],
        seeds: Seeds,
    ) -> None:
        self._filter = call.filter
        self._required = call.arguments
        self._columns = call.arguments
        self._distinct = False
        self._code = code
        self._returns = call.type
        self._compute = self._results_of
        key_types = [types[g] for g in group]
        self._width = len(key_types)
        self._trace = Trace(key_types + [types[c] for c in self._columns], range(self._width), seeds)
        self._seeds = seeds

    def _results_of(self, groups: Integers, columns: Sequence[pa.Array], weights: Weights, count: int) -> pa.Array:
        if not len(groups):
            return pa.nulls(count, arrow_type(self._returns))
        order = np.lexsort((row_codes(columns, len(groups)), groups))
        repeats = weights[order]
        positions = pa.array(np.repeat(order, repeats))
        ends = np.cumsum(repeats)
        first = np.flatnonzero(np.diff(groups[order], prepend=-1))
        offsets = np.concatenate(([0], ends))[np.append(first, len(order))]
        found = self._code.results([column.take(positions) for column in columns], offsets)
        return _with_nulls(found, groups[order][first], count)
