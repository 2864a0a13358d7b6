"""Group tables: dense slot numbers for 128-bit keys, for state that is one accumulator per group.

A trace keeps every row; a sum per group needs one number. Such state lives in plain arrays, and a group table says
which element of them belongs to which group. Groups are identified by a pair of independent 64-bit hashes.

It is an open-addressing hash table with linear probing, at most two thirds full. A cell is one word: the upper half of
the first hash, and slot + 1 below it, so an empty cell is 0. The lowest of these bits of the hash say where the cell
is: growing reads cells from first to last and writes them to two places that ascend as well, and pairs may come in the
order of their hashes, as they do out of runs, without crowding a part of a table that has yet to grow. The pairs
themselves are held per slot, and decide. Both are asked for some look-ups ahead of their turn. Releasing moves the
following cells back, so there are no tombstones. It is mutable and belongs to one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.hashing import Hashes
from millstream.zset.words import ZERO, prefetch

Slots = npt.NDArray[np.int64]

_SMALLEST_CELLS = 128
# Up to so many groups there is room for a whole batch, however few groups it has; from then on a table only grows when
# it is full but for a part of 1/8.
_ROOM = 1 << 16
_LEAST_ROOM = 8
# A cell holds a slot in its lower half, so there are fewer slots than this.
_MAX_CAPACITY = 1 << 31
_LOW, _S32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_HIGH = np.uint64(0xFFFFFFFF00000000)
# How many look-ups ahead of the present one cells are asked for, and then pairs.
_CELLS_AHEAD, _PAIRS_AHEAD = 16, 8


class GroupTable:
    """A mutable map from hash pairs to slots 0 .. size - 1."""

    def __init__(self) -> None:
        self._cells = np.zeros(_SMALLEST_CELLS, np.uint64)
        self._pairs = np.empty((_capacity(_SMALLEST_CELLS), 2), np.uint64)
        # The size; how many slots are released; the slot released last, whose pair begins with the one before, etc.
        self._counts = np.zeros(3, np.int64)

    @property
    def size(self) -> int:
        """All slots ever given out are below this."""
        return int(self._counts[0])

    @property
    def num_groups(self) -> int:
        """Number of pairs in the table: slots given out and not released."""
        return int(self._counts[0] - self._counts[1])

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._cells.nbytes + self._pairs.nbytes

    def slots(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair; a pair not seen before gets the slot released last, or a new one.

        Amortised O(pairs).
        """
        count = len(h1)
        if self.num_groups + count > self._limit:
            self._grow(min(self.num_groups + count, _ROOM))
        if self.num_groups + count <= self._limit:
            return insert_slots(self._cells, self._pairs, self._counts, h1, h2)
        # Most of the pairs may be known already: they come in parts, and the table grows when it must.
        slots = np.empty(count, np.int64)
        start = 0
        while start < count:
            room = self._limit - self.num_groups
            if room < min(count - start, self._limit // _LEAST_ROOM):
                self._grow(self._limit + 1)
                continue
            end = min(count, start + room)
            slots[start:end] = insert_slots(self._cells, self._pairs, self._counts, h1[start:end], h2[start:end])
            start = end
        return slots

    def find(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair, -1 for those not in the table. O(pairs)."""
        return find_slots(self._cells, self._pairs, h1, h2)

    def in_use(self) -> tuple[Slots, Hashes, Hashes]:
        """All pairs in the table, and their slots. O(cells)."""
        slots = (self._cells[self._cells != ZERO] & _LOW).astype(np.int64) - 1
        first, second = self._pairs[slots].T.copy()
        return slots, first, second

    def release(self, slots: Slots) -> None:
        """Forgets the pairs of these slots, distinct and in use, and frees the slots for others. O(slots)."""
        release_slots(self._cells, self._pairs, self._counts, slots)

    @property
    def _limit(self) -> int:
        """How many groups there is space for."""
        return min(_capacity(len(self._cells)), len(self._pairs))

    def _grow(self, needed: int) -> None:
        size_of_cells = len(self._cells)
        while _capacity(size_of_cells) < needed:
            size_of_cells *= 2
        assert needed <= _MAX_CAPACITY, "more groups than a table holds"
        if size_of_cells > len(self._cells):
            cells = np.zeros(size_of_cells, np.uint64)
            move_cells(self._cells, cells)
            self._cells = cells
        if needed > len(self._pairs):
            pairs = np.empty((max(needed, grown_capacity(len(self._pairs))), 2), np.uint64)
            pairs[: self.size] = self._pairs[: self.size]
            self._pairs = pairs


def grown_capacity(capacity: int) -> int:
    """The next size of an array that has an element per slot: a compromise of copying and of space in vain."""
    return capacity + capacity // 2


def _capacity(num_cells: int) -> int:
    """The number of groups for so many cells."""
    return 2 * num_cells // 3


@kernel
def home_of(cells: Any, word: Any) -> Any:
    """Where the group of a first hash, or of a cell, is looked for first."""
    return np.int64(word >> _S32) & (len(cells) - 1)


@kernel
def locate(cells: Any, pairs: Any, a: Any, b: Any) -> Any:
    """The cell that holds the pair (a, b), or the empty one where it would go."""
    mask = len(cells) - 1
    cell = home_of(cells, a)
    while cells[cell] != ZERO:
        if (cells[cell] ^ a) & _HIGH == ZERO:
            slot = np.int64(cells[cell] & _LOW) - 1
            if pairs[slot, 0] == a and pairs[slot, 1] == b:
                break
        cell = (cell + 1) & mask
    return cell


@kernel
def ask_for(cells: Any, pairs: Any, hashes: Any, i: Any) -> None:
    """Starts to bring near what later look-ups will read."""
    if i + _CELLS_AHEAD < len(hashes):
        prefetch(np.int64(cells.ctypes.data), home_of(cells, hashes[i + _CELLS_AHEAD]) * 8)
    if i + _PAIRS_AHEAD < len(hashes):
        slot = np.int64(cells[home_of(cells, hashes[i + _PAIRS_AHEAD])] & _LOW) - 1
        prefetch(np.int64(pairs.ctypes.data), slot * 16)


@kernel_for("uint64[::1], uint64[:, ::1], int64[::1], uint64[::1], uint64[::1]")
def insert_slots(cells: Any, pairs: Any, counts: Any, h1: Any, h2: Any) -> Any:
    """Slots of pairs, assigned where missing; there must be space for all pairs."""
    slots = np.empty(len(h1), np.int64)
    for i in range(len(h1)):
        ask_for(cells, pairs, h1, i)
        cell = locate(cells, pairs, h1[i], h2[i])
        if cells[cell] == ZERO:
            if counts[1] > 0:
                counts[1] -= 1
                slot = counts[2]
                counts[2] = np.int64(pairs[slot, 0])
            else:
                slot = counts[0]
                counts[0] += 1
            pairs[slot, 0] = h1[i]
            pairs[slot, 1] = h2[i]
            cells[cell] = (h1[i] & _HIGH) | np.uint64(slot + 1)
        slots[i] = np.int64(cells[cell] & _LOW) - 1
    return slots


@kernel_for("uint64[::1], uint64[:, ::1], uint64[::1], uint64[::1]")
def find_slots(cells: Any, pairs: Any, h1: Any, h2: Any) -> Any:
    """Slots of pairs, -1 where missing."""
    slots = np.empty(len(h1), np.int64)
    for i in range(len(h1)):
        ask_for(cells, pairs, h1, i)
        slots[i] = np.int64(cells[locate(cells, pairs, h1[i], h2[i])] & _LOW) - 1
    return slots


@kernel_for("uint64[::1], uint64[:, ::1], int64[::1], int64[::1]")
def release_slots(cells: Any, pairs: Any, counts: Any, slots: Any) -> None:
    """Empties the slots' cells; deletion of Knuth, The Art of Computer Programming 3, 6.4, algorithm R."""
    mask = len(cells) - 1
    for i in range(len(slots)):
        slot = slots[i]
        hole = locate(cells, pairs, pairs[slot, 0], pairs[slot, 1])
        pairs[slot, 0] = np.uint64(counts[2])
        counts[2] = slot
        counts[1] += 1
        cell = hole
        while True:
            cell = (cell + 1) & mask
            if cells[cell] == ZERO:
                break
            home = home_of(cells, cells[cell])
            # The entry may move back to the hole unless its home lies cyclically in (hole, cell].
            if ((cell - home) & mask) >= ((cell - hole) & mask):
                cells[hole] = cells[cell]
                hole = cell
        cells[hole] = ZERO


@kernel_for("uint64[::1], uint64[::1]")
def move_cells(old: Any, new: Any) -> None:
    """Enters all cells of a smaller table into a larger one's, which are empty."""
    mask = len(new) - 1
    for i in range(len(old)):
        if old[i] != ZERO:
            cell = home_of(new, old[i])
            while new[cell] != ZERO:
                cell = (cell + 1) & mask
            new[cell] = old[i]
