"""Match counts of outer joins: how many partners a row has, per key or per row.

`KeyCounts` counts one side's rows per join key and tells which keys gain their first or lose their last row.
`RowMatches` counts the partners of each row of one side and tells which rows do. Both know keys and rows by hash only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers
from millstream.operators.floors import Floors, SlotFloors
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import SlotIndex, grown
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds


@dataclass(frozen=True, slots=True)
class Crossing:
    """Keys whose count became positive (sign +1) or stopped being so (-1), by a row of the delta that has the key."""

    rows: Integers
    signs: Integers


class KeyCounts:
    """The number of rows of each key; keys below floors (of the key columns `floors`) may be forgotten."""

    def __init__(self, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._index = SlotIndex(seeds)
        self._counts: Integers = np.zeros(64, np.int64)

    def counts(self, keys: Sequence[pa.Array], num_rows: int) -> Integers:
        """The count of each row's key."""
        slots = self._index.find(keys, num_rows)
        return np.where(slots >= 0, self._counts[np.maximum(slots, 0)], 0)

    def add(self, keys: Sequence[pa.Array], weights: Weights) -> Crossing:
        """Adds rows; gives the keys whose count crossed zero."""
        touched = self._index.touch(keys, len(weights))
        self._counts = grown(self._counts, self._index.capacity)
        before = self._counts[touched.slots]
        after = before + sum_weights(touched.groups, weights, touched.count)
        self._counts[touched.slots] = after
        self._floors.note(touched.slots, keys, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[after == 0])
        self._index.release(touched.slots[after == 0])
        signs = (after > 0).astype(np.int64) - (before > 0)
        crossing = np.flatnonzero(signs)
        return Crossing(touched.first[crossing], signs[crossing])

    def absorb(self, other: KeyCounts) -> None:
        """Adds the counts of other keys. O(keys)."""
        moved = self._index.absorb(other._index)
        self._counts = moved.into(self._counts, other._counts)
        self._floors.absorb(other._floors, moved)

    def discard(self, floors: Floors) -> None:
        """Forgets keys below the floors. O(keys)."""
        dead = self._floors.take_dead(floors)
        self._counts[dead] = 0
        self._index.release(dead)

    @property
    def num_keys(self) -> int:
        """Keys that have rows."""
        return self._index.num_keys

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._index.nbytes + self._counts.nbytes


class RowMatches:
    """The multiplicity and the number of partners of each row of a side; rows below floors (of columns `floors`) may be
    forgotten."""

    def __init__(self, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._index = SlotIndex(seeds)
        self._weights: Integers = np.zeros(64, np.int64)
        self._matches: Integers = np.zeros(64, np.int64)

    def set_counts(self, delta: Delta, counts: Integers) -> None:
        """Adds rows, each with the number of partners that it has now. Rows of multiplicity zero are forgotten."""
        touched = self._index.touch(delta.columns, delta.num_rows)
        self._weights = grown(self._weights, self._index.capacity)
        self._matches = grown(self._matches, self._index.capacity)
        after = self._weights[touched.slots] + sum_weights(touched.groups, delta.weights, touched.count)
        self._weights[touched.slots] = after
        self._matches[touched.slots] = counts[touched.first]
        gone = touched.slots[after == 0]
        self._matches[gone] = 0
        self._floors.note(touched.slots, delta.columns, touched.first, self._index.capacity)
        self._floors.forget(gone)
        self._index.release(gone)

    def absorb(self, other: RowMatches) -> None:
        """Adds what is known of other rows. O(rows)."""
        moved = self._index.absorb(other._index)
        self._weights = moved.into(self._weights, other._weights)
        self._matches = moved.into(self._matches, other._matches)
        self._floors.absorb(other._floors, moved)

    def discard(self, floors: Floors) -> None:
        """Forgets rows below the floors. O(rows)."""
        dead = self._floors.take_dead(floors)
        self._weights[dead] = 0
        self._matches[dead] = 0
        self._index.release(dead)

    def add_matches(self, pairs: Delta, unmatched: bool) -> Delta:
        """Adds new pairs: the columns of this side's rows, weights multiplied with the partners'.

        Gives the change of this side's unmatched rows (or, not `unmatched`, of its matched ones). A row may be spread
        over several entries of the trace whose weights add up to its multiplicity, so that multiplicity divides the
        sum of a row's pairs.
        """
        slots = self._index.find(pairs.columns, pairs.num_rows)
        known = np.flatnonzero(slots >= 0)
        if len(known) < pairs.num_rows:
            # Entries of rows that were deleted: their weights cancel.
            pairs, slots = pairs.take(known), slots[known]
        unique, first, groups = np.unique(slots, return_index=True, return_inverse=True)
        multiplicity = self._weights[unique]
        before = self._matches[unique]
        after = before + sum_weights(groups, pairs.weights, len(unique)) // multiplicity
        self._matches[unique] = after
        signs = (after > 0).astype(np.int64) - (before > 0)
        flipped = np.flatnonzero(signs)
        weights = multiplicity[flipped] * (-signs[flipped] if unmatched else signs[flipped])
        return Delta(pairs.take(first[flipped]).columns, weights)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._index.nbytes + self._weights.nbytes + self._matches.nbytes
