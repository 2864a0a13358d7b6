"""Row counts: multiplicities of rows by the row's hash pair, for operators that emit where a multiplicity changes sign.

No values are kept, because a row's multiplicity can only change in a step whose delta carries the row. 56 bytes a row
and count. Rows whose counts are all zero are let go at once, rows below floors by and by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millstream.operators.arrays import Integers, Mask
from millstream.operators.floors import Floors, SlotFloors, Sweeps
from millstream.operators.slots import SlotIndex, Touched, grown
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class RowCounts:
    """For every row its multiplicities in `width` inputs. `floors` are positions of columns that have some."""

    def __init__(self, width: int, seeds: Seeds, floors: Sequence[int]) -> None:
        self._floors = SlotFloors(floors)
        self._sweeps = Sweeps()
        self._index = SlotIndex(seeds)
        # numpy scatters into one dimension three times as fast as into two.
        self._counts: Integers = np.zeros(64 if width == 1 else (64, width), np.int64)
        self._live = 0

    def touch(self, delta: Delta) -> tuple[Touched, Integers]:
        """The different rows of the delta, and their counts before it, of shape (rows,) or, for several
        inputs, (rows, width). O(|delta|)."""
        touched = self._index.touch(delta.columns, delta.num_rows)
        self._counts = grown(self._counts, self._index.capacity)
        return touched, self._counts[touched.slots]

    def store(self, delta: Delta, touched: Touched, before: Integers, after: Integers) -> None:
        """Sets the counts of those rows to `after`. O(rows)."""
        self._counts[touched.slots] = after
        gone = ~_any(after)
        self._live += int(np.count_nonzero(~gone)) - int(np.count_nonzero(_any(before)))
        self._floors.note(touched.slots, delta.columns, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[gone])
        self._index.release(touched.slots[gone])

    def absorb(self, other: RowCounts) -> None:
        """Adds the counts of other rows. O(rows)."""
        moved = self._index.absorb(other._index)
        self._counts = moved.into(self._counts, other._counts)
        self._floors.absorb(other._floors, moved)
        self._live += other._live

    def discard(self, floors: Floors) -> None:
        """Forgets the rows below these floors. Amortised O(rows that came)."""
        if not self._sweeps.due(self._live):
            return
        dead = self._floors.take_dead(floors)
        self._live -= len(dead)
        self._counts[dead] = 0
        self._index.release(dead)
        self._sweeps.done(self._live)

    @property
    def num_rows(self) -> int:
        """Rows with a count other than zero."""
        return self._live

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._index.nbytes + self._counts.nbytes


def _any(counts: Integers) -> Mask:
    """Which rows have a count other than zero."""
    nonzero: Mask = counts != 0 if counts.ndim == 1 else np.any(counts, axis=1)
    return nonzero
