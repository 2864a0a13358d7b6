"""Group tables: dense slot numbers for 128-bit keys, for state that is one accumulator per group.

A trace keeps every row; a sum per group needs one number. Such state lives in plain arrays, and a group table says
which element of them belongs to which group. Groups are identified by a pair of independent 64-bit hashes.

It is an open-addressing hash table with linear probing, at most two thirds full. A cell is two words: the first hash,
and the upper half of the second one with slot + 1 in its lower half, so an empty cell has 0 there. Almost every
look-up is decided in one cache line; the pairs, which are held per slot too, confirm it. Growing reads cells from first
to last and writes them to two places that ascend as well. Releasing moves the following cells back, so there are no
tombstones. It is mutable and belongs to one thread.
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
# A cell's second word holds a slot in its lower half, so there are fewer slots than this.
_MAX_CAPACITY = 1 << 31
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)
# How many cells ahead of the present one memory is asked for.
_AHEAD = 16


class GroupTable:
    """A mutable map from hash pairs to slots 0 .. size - 1."""

    def __init__(self) -> None:
        self._cells = np.zeros((_SMALLEST_CELLS, 2), np.uint64)
        self._pairs = np.empty((_capacity(_SMALLEST_CELLS), 2), np.uint64)
        # Released slots, a stack: the first _counts[1] elements. _counts[0] is the size.
        self._free = np.empty(_capacity(_SMALLEST_CELLS), np.int64)
        self._counts = np.zeros(2, np.int64)

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
        return self._cells.nbytes + self._pairs.nbytes + self._free.nbytes

    def slots(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair; a pair not seen before gets the slot released last, or a new one.

        Amortised O(pairs).
        """
        count = len(h1)
        if self.num_groups + count > len(self._pairs):
            self._grow(min(self.num_groups + count, _ROOM))
        if self.num_groups + count <= len(self._pairs):
            return insert_slots(self._cells, self._pairs, self._free, self._counts, h1, h2)
        # Most of the pairs may be known already: they come in parts, and the table grows when it must.
        slots = np.empty(count, np.int64)
        start = 0
        while start < count:
            room = len(self._pairs) - self.num_groups
            if room < min(count - start, len(self._pairs) // _LEAST_ROOM):
                self._grow(len(self._pairs) + 1)
                continue
            end = min(count, start + room)
            part = insert_slots(self._cells, self._pairs, self._free, self._counts, h1[start:end], h2[start:end])
            slots[start:end] = part
            start = end
        return slots

    def find(self, h1: Hashes, h2: Hashes) -> Slots:
        """The slot of every pair, -1 for those not in the table. O(pairs)."""
        return find_slots(self._cells, self._pairs, h1, h2)

    def in_use(self) -> tuple[Slots, Hashes, Hashes]:
        """All pairs in the table, and their slots. O(cells)."""
        seconds = self._cells[:, 1]
        slots = (seconds[seconds != ZERO] & _LOW).astype(np.int64) - 1
        first, second = self._pairs[slots].T.copy()
        return slots, first, second

    def release(self, slots: Slots) -> None:
        """Forgets the pairs of these slots, distinct and in use, and frees the slots for others. O(slots)."""
        release_slots(self._cells, self._pairs, self._free, self._counts, slots)

    def _grow(self, needed: int) -> None:
        size_of_cells = len(self._cells)
        if needed <= _capacity(size_of_cells):
            return
        while _capacity(size_of_cells) < needed:
            size_of_cells *= 2
        capacity = _capacity(size_of_cells)
        assert capacity <= _MAX_CAPACITY, "more groups than a table holds"
        size, released = self._counts.tolist()
        pairs = np.empty((capacity, 2), np.uint64)
        pairs[:size] = self._pairs[:size]
        free = np.empty(capacity, np.int64)
        free[:released] = self._free[:released]
        cells = np.zeros((size_of_cells, 2), np.uint64)
        move_cells(self._cells, cells)
        self._cells, self._pairs, self._free = cells, pairs, free


def _capacity(num_cells: int) -> int:
    """The number of groups for so many cells."""
    return 2 * num_cells // 3


@kernel
def locate(cells: Any, pairs: Any, a: Any, b: Any) -> Any:
    """The cell that holds the pair (a, b), or the empty one where it would go."""
    mask = len(cells) - 1
    cell = np.int64(a & np.uint64(mask))
    while cells[cell, 1] != ZERO:
        second = cells[cell, 1]
        if cells[cell, 0] == a and (second ^ b) & _HIGH == ZERO and pairs[np.int64(second & _LOW) - 1, 1] == b:
            break
        cell = (cell + 1) & mask
    return cell


@kernel
def ask_for(cells: Any, hashes: Any, i: Any) -> None:
    """Starts to bring the cell of a later pair near."""
    if i + _AHEAD < len(hashes):
        cell = np.int64(hashes[i + _AHEAD] & np.uint64(len(cells) - 1))
        prefetch(np.int64(cells.ctypes.data), cell * 16)


@kernel_for("uint64[:, ::1], uint64[:, ::1], int64[::1], int64[::1], uint64[::1], uint64[::1]")
def insert_slots(cells: Any, pairs: Any, free: Any, counts: Any, h1: Any, h2: Any) -> Any:
    """Slots of pairs, assigned where missing; there must be space for all pairs."""
    slots = np.empty(len(h1), np.int64)
    for i in range(len(h1)):
        ask_for(cells, h1, i)
        cell = locate(cells, pairs, h1[i], h2[i])
        if cells[cell, 1] == ZERO:
            if counts[1] > 0:
                counts[1] -= 1
                slot = free[counts[1]]
            else:
                slot = counts[0]
                counts[0] += 1
            pairs[slot, 0] = h1[i]
            pairs[slot, 1] = h2[i]
            cells[cell, 0] = h1[i]
            cells[cell, 1] = (h2[i] & _HIGH) | np.uint64(slot + 1)
        slots[i] = np.int64(cells[cell, 1] & _LOW) - 1
    return slots


@kernel_for("uint64[:, ::1], uint64[:, ::1], uint64[::1], uint64[::1]")
def find_slots(cells: Any, pairs: Any, h1: Any, h2: Any) -> Any:
    """Slots of pairs, -1 where missing."""
    slots = np.empty(len(h1), np.int64)
    for i in range(len(h1)):
        ask_for(cells, h1, i)
        slots[i] = np.int64(cells[locate(cells, pairs, h1[i], h2[i]), 1] & _LOW) - 1
    return slots


@kernel_for("uint64[:, ::1], uint64[:, ::1], int64[::1], int64[::1], int64[::1]")
def release_slots(cells: Any, pairs: Any, free: Any, counts: Any, slots: Any) -> None:
    """Empties the slots' cells; deletion of Knuth, The Art of Computer Programming 3, 6.4, algorithm R."""
    mask = len(cells) - 1
    for i in range(len(slots)):
        hole = locate(cells, pairs, pairs[slots[i], 0], pairs[slots[i], 1])
        free[counts[1]] = slots[i]
        counts[1] += 1
        cell = hole
        while True:
            cell = (cell + 1) & mask
            if cells[cell, 1] == ZERO:
                break
            home = np.int64(cells[cell, 0] & np.uint64(mask))
            # The entry may move back to the hole unless its home lies cyclically in (hole, cell].
            if ((cell - home) & mask) >= ((cell - hole) & mask):
                cells[hole, 0] = cells[cell, 0]
                cells[hole, 1] = cells[cell, 1]
                hole = cell
        cells[hole, 1] = ZERO


@kernel_for("uint64[:, ::1], uint64[:, ::1]")
def move_cells(old: Any, new: Any) -> None:
    """Enters all slots of a smaller table's cells into a larger one's, which are empty."""
    mask = len(new) - 1
    for i in range(len(old)):
        if old[i, 1] != ZERO:
            cell = np.int64(old[i, 0] & np.uint64(mask))
            while new[cell, 1] != ZERO:
                cell = (cell + 1) & mask
            new[cell, 0] = old[i, 0]
            new[cell, 1] = old[i, 1]
