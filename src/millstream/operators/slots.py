"""Slots: where the state of a group lives.

State that is a few numbers per group is kept in arrays indexed by slot. `SlotIndex` gives every distinct key a slot,
remembered by the 128-bit hash of the key columns (key values themselves are not kept: every delta that touches a group
carries them). `Touched` says which groups a delta touches. Freed slots are used again, so arrays stay dense.
`group_rows` groups the rows of one delta, of which nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.arrays import Integers, fixed_values
from millstream.operators.kernels import group_pairs
from millstream.zset.delta import Delta
from millstream.zset.gathered import describe
from millstream.zset.group_table import GroupTable, grown_capacity
from millstream.zset.hashing import Hashes, Seeds, hash_pairs
from millstream.zset.trace import Trace

Numbers = TypeVar("Numbers", bound=npt.NDArray[Any])


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of a delta: `groups[i]` is the group of row i, `first[g]` the first row of group g."""

    groups: Integers
    first: Integers

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Touched(Grouped):
    """The same, and `slots[g]` is the slot of group g."""

    slots: Integers


@dataclass(frozen=True, slots=True)
class Moved:
    """Where slots of one index are in another one, which has taken its keys: what was slot `old[i]` is slot `new[i]`.
    All new slots are below `capacity`."""

    old: Integers
    new: Integers
    capacity: int

    def into(self, mine: Numbers, others: Numbers) -> Numbers:
        """What an array has by the new slots, together with what another has by the old ones. O(slots)."""
        mine = grown(mine, self.capacity)
        mine[self.new] = others[self.old]
        return mine

    def absorb(self, trace: Trace, other: Trace) -> None:
        """Adds the rows of another trace, whose first column has slots. O(rows)."""
        rows = other.snapshot().to_delta()
        if rows.num_rows:
            places: Integers = np.full(self.old.max() + 1, -1, np.int64)
            places[self.old] = self.new
            slots = places[fixed_values(rows.columns[0])]
            assert slots.min() >= 0, "a trace has rows of a slot that is not in use"
            trace.insert(Delta((pa.array(slots), *rows.columns[1:]), rows.weights))


class SlotIndex:
    """Slots by key. `capacity`: all slots are below it; it grows by half."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds
        self._table = GroupTable()
        self.capacity = 64

    @property
    def num_keys(self) -> int:
        """Keys that have a slot."""
        return self._table.num_groups

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._table.nbytes

    def touch(self, columns: Sequence[pa.Array], num_rows: int) -> Touched:
        """The groups of `num_rows` rows by their key columns; unknown keys get slots. O(rows)."""
        return self.touch_hashed(hash_pairs(columns, describe(columns), num_rows, self._seeds))

    def touch_hashed(self, hashes: tuple[Hashes, Hashes]) -> Touched:
        """The same for rows whose keys have these pairs of hashes."""
        h1, h2 = hashes
        groups, first = group_pairs(h1, h2)
        # A group is looked up once, however many rows it has.
        slots = self._table.slots(h1, h2) if len(first) == len(h1) else self._table.slots(h1[first], h2[first])
        self._make_room()
        return Touched(groups, first, slots)

    def absorb(self, other: SlotIndex) -> Moved:
        """Gives slots to all keys of another index, none of which is in this one. O(slots)."""
        old, *hashes = other._table.in_use()
        new = self._table.slots(*hashes)
        self._make_room()
        return Moved(old, new, self.capacity)

    def _make_room(self) -> None:
        if self._table.size > self.capacity:
            self.capacity = max(self._table.size, grown_capacity(self.capacity))

    def find(self, columns: Sequence[pa.Array], num_rows: int) -> Integers:
        """The slot of every row's key, -1 for unknown keys. O(rows)."""
        return self._table.find(*hash_pairs(columns, describe(columns), num_rows, self._seeds))

    def release(self, slots: Integers) -> None:
        """Forgets the keys of these distinct slots. The caller has reset its arrays there."""
        if len(slots):
            self._table.release(slots)


def group_rows(columns: Sequence[pa.Array], num_rows: int, seeds: Seeds) -> Grouped:
    """The groups of `num_rows` rows by the values of `columns`. O(rows)."""
    return Grouped(*group_pairs(*hash_pairs(columns, describe(columns), num_rows, seeds)))


def grown(array: Numbers, capacity: int) -> Numbers:
    """`array` with zeros appended to its first dimension up to `capacity`."""
    if len(array) >= capacity:
        return array
    larger = np.zeros((capacity, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger  # type: ignore[return-value]  # zeros() has the dtype and rank of `array`
