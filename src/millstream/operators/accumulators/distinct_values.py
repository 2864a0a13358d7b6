"""The values of DISTINCT calls: which of a group's values appear and disappear.

An aggregate over distinct values is an ordinary accumulator that sees +1 when a value first occurs in a group and -1
when its last occurrence goes. `DistinctValues` keeps how often each value occurs in each group, by hash: the pair of
hashes of the group, extended by the values. Calls over the same arguments share it, whatever their filters: the value
is looked up once, and there is one multiplicity for each filter.

Cost O(|batch|); 64 bytes and 8 for each filter per group and value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.accumulators.base import GroupBatch
from millstream.operators.arrays import Integers
from millstream.operators.floors import Floors, SlotFloors
from millstream.operators.kernels import count_values
from millstream.operators.slots import SlotIndex, grown
from millstream.zset.hashing import Seeds, extend_pairs
from millstream.zset.moving import take_columns


@dataclass(frozen=True, slots=True)
class Crossings:
    """The values that a batch touches: a row of each, its group, and for each filter (a line each) whether it appears
    (1), disappears (-1) or neither."""

    rows: Integers
    groups: Integers
    signs: Integers


class DistinctValues:
    """The multiplicities of the values of `arguments` in each group, for each of the filters asked for."""

    def __init__(self, arguments: Sequence[int], seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._arguments = tuple(arguments)
        self._seeds = seeds
        self._filters: list[int | None] = []
        self._index = SlotIndex(seeds)
        self._counts: Integers = np.zeros((64, 0), np.int64)
        self._live = 0

    def add_filter(self, filter_column: int | None) -> int:
        """The number of a filter (None: all rows), for `new_values`. Before the first batch."""
        if filter_column not in self._filters:
            self._filters.append(filter_column)
            self._counts = np.zeros((64, len(self._filters)), np.int64)
        return self._filters.index(filter_column)

    def new_values(self, batch: GroupBatch, number: int) -> GroupBatch:
        """The argument values that appear (+1) in a group's rows of filter `number` or disappear (-1)."""
        found = self.advance(batch)
        signs = found.signs[number]
        changed = signs.nonzero()[0]
        rows = found.rows[changed]
        values = take_columns([batch.columns[a] for a in self._arguments], rows)
        return GroupBatch(values, signs[changed], found.groups[changed], batch.slots, (), batch.capacity)

    def advance(self, batch: GroupBatch) -> Crossings:
        """Adds the batch, once however many calls share this; which values appear and disappear."""
        return batch.once(self, self._advance)

    def _advance(self, batch: GroupBatch) -> Crossings:
        weights = np.array([batch.masked_weights(column, self._arguments) for column in self._filters])
        rows = np.flatnonzero(weights.any(axis=0))
        values: Sequence[pa.Array] = [batch.columns[a] for a in self._arguments]
        groups = batch.groups
        if len(rows) < len(groups):
            values = take_columns(values, rows)
            groups = groups[rows]
            weights = weights[:, rows]
        assert batch.hashes is not None
        touched = self._index.touch_hashed(extend_pairs(batch.hashes, groups, values, self._seeds))
        self._counts = grown(self._counts, self._index.capacity)
        signs, gained, gone = count_values(self._counts, touched.slots, touched.groups, np.ascontiguousarray(weights))
        self._live += gained
        groups = groups[touched.first]
        self._floors.note(touched.slots, batch.keys, groups, self._index.capacity)
        if len(gone):
            self._floors.forget(touched.slots[gone])
            self._index.release(touched.slots[gone])
        return Crossings(rows[touched.first], groups, signs)

    def absorb(self, other: DistinctValues) -> None:
        """Adds the values of other groups. O(values)."""
        moved = self._index.absorb(other._index)
        self._counts = moved.into(self._counts, other._counts)
        self._floors.absorb(other._floors, moved)
        self._live += other._live

    def discard(self, floors: Floors) -> None:
        """Forgets the values of groups below their floors. O(values)."""
        dead = self._floors.take_dead(floors)
        self._live -= len(dead)
        self._counts[dead] = 0
        self._index.release(dead)

    @property
    def num_rows(self) -> int:
        """Number of values with a multiplicity."""
        return self._live

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._index.nbytes + self._counts.nbytes
