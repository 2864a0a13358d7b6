"""The values of DISTINCT calls: which of a group's values appear and disappear.

An aggregate over distinct values is an ordinary accumulator that sees +1 when a value first occurs in a group and -1
when its last occurrence goes. `DistinctValues` keeps how often each value occurs in each group, by hash: the pair of
hashes of the group, extended by the values. Calls over the same arguments share it, whatever their filters: the value
is looked up once, and there is one multiplicity for each filter.

Cost O(|batch|); 64 bytes and 8 for each filter per group and value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.operators.accumulators.base import GroupBatch
from millstream.operators.arrays import Integers
from millstream.operators.floors import Floors, SlotFloors
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import SlotIndex, grown
from millstream.zset.hashing import Seeds, extend_pairs


class DistinctValues:
    """The multiplicities of the values of `arguments` in each group, for each of the filters asked for."""

    def __init__(self, arguments: Sequence[int], seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._arguments = tuple(arguments)
        self._seeds = seeds
        self._filters: list[int | None] = []
        self._index = SlotIndex(seeds)
        self._counts: list[Integers] = []
        self._live = 0
        self._crossings: list[tuple[Integers, Integers]] = []

    def add_filter(self, filter_column: int | None) -> int:
        """The number of a filter (None: all rows), for `new_values`. Before the first batch."""
        if filter_column not in self._filters:
            self._filters.append(filter_column)
            self._counts.append(np.zeros(64, np.int64))
        return self._filters.index(filter_column)

    def new_values(self, batch: GroupBatch, number: int) -> GroupBatch:
        """The argument values that appear (+1) in a group's rows of filter `number` or disappear (-1)."""
        if id(self) not in batch.advanced:
            batch.advanced.add(id(self))
            self._crossings = self._advance(batch)
        rows, signs = self._crossings[number]
        positions = pa.array(rows)
        values = tuple(batch.columns[a].take(positions) for a in self._arguments)
        return GroupBatch(values, signs, batch.groups[rows], batch.slots, (), batch.capacity)

    def _advance(self, batch: GroupBatch) -> list[tuple[Integers, Integers]]:
        """Adds the batch; per filter a row of each value that appears or disappears, and which of the two it does."""
        weights = [batch.masked_weights(column, self._arguments) for column in self._filters]
        counted = weights[0] != 0
        for other in weights[1:]:
            counted |= other != 0
        rows = counted.nonzero()[0]
        values = [batch.columns[a] for a in self._arguments]
        groups = batch.groups
        if len(rows) < len(groups):
            positions = pa.array(rows)
            values = [column.take(positions) for column in values]
            groups = groups[rows]
            weights = [w[rows] for w in weights]
        assert batch.hashes is not None
        touched = self._index.touch_hashed(extend_pairs(batch.hashes, groups, values, self._seeds))
        crossings = []
        existed = exists = np.zeros(touched.count, np.bool_)
        for number, filtered in enumerate(weights):
            counts = self._counts[number] = grown(self._counts[number], self._index.capacity)
            before = counts[touched.slots]
            after = before + sum_weights(touched.groups, filtered, touched.count)
            counts[touched.slots] = after
            existed, exists = existed | (before != 0), exists | (after != 0)
            signs = (after > 0).astype(np.int64) - (before > 0)
            changed = signs.nonzero()[0]
            crossings.append((rows[touched.first[changed]], signs[changed]))
        self._live += int(np.count_nonzero(exists)) - int(np.count_nonzero(existed))
        self._floors.note(touched.slots, batch.keys, groups[touched.first], self._index.capacity)
        self._floors.forget(touched.slots[~exists])
        self._index.release(touched.slots[~exists])
        return crossings

    def discard(self, floors: Floors) -> None:
        """Forgets the values of groups below their floors. O(values)."""
        dead = self._floors.take_dead(floors)
        self._live -= len(dead)
        for counts in self._counts:
            counts[dead] = 0
        self._index.release(dead)

    @property
    def num_rows(self) -> int:
        """Number of values with a multiplicity."""
        return self._live

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._index.nbytes + sum(counts.nbytes for counts in self._counts)
