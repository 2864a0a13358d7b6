"""Distinct: each row of positive multiplicity, once.

State is the multiplicity of every row, by the row's hash pair: no values are kept, because a row's multiplicity can
only cross zero in a step whose delta carries the row. Cost O(|delta|); 56 bytes a row. Rows below floors are forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, Operator
from millstream.operators.floors import Floors, SlotFloors, Sweeps
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import SlotIndex, grown
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class DistinctOperator(Operator):
    """Emits a row with +1 when its multiplicity becomes positive and with -1 when it no longer is."""

    kind = "distinct"

    def __init__(self, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._sweeps = Sweeps()
        self._index = SlotIndex(seeds)
        self._counts: Integers = np.zeros(64, np.int64)
        self._live = 0

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        return None if delta is None else self.change(delta)

    def change(self, delta: Delta) -> Delta:
        """The change of the distinct rows; at most one entry per row, of weight +1 or -1."""
        rows, signs = self.crossings(delta)
        return Delta(delta.take(rows).columns, signs)

    def crossings(self, delta: Delta) -> tuple[Integers, Integers]:
        """The rows of the delta by which the distinct rows change, and the change: +1 or -1."""
        touched = self._index.touch(delta.columns, delta.num_rows)
        self._counts = grown(self._counts, self._index.capacity)
        before = self._counts[touched.slots]
        after = before + sum_weights(touched.groups, delta.weights, touched.count)
        self._counts[touched.slots] = after
        self._live += int(np.count_nonzero(after)) - int(np.count_nonzero(before))
        self._floors.note(touched.slots, delta.columns, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[after == 0])
        self._index.release(touched.slots[after == 0])
        signs = (after > 0).astype(np.int64) - (before > 0)
        changed = np.flatnonzero(signs)
        return touched.first[changed], signs[changed]

    def discard(self, floors: Floors) -> None:
        if not self._sweeps.due(self._live):
            return
        dead = self._floors.take_dead(floors)
        self._live -= len(dead)
        self._counts[dead] = 0
        self._index.release(dead)
        self._sweeps.done(self._live)

    @property
    def state_rows(self) -> int:
        return self._live

    @property
    def state_bytes(self) -> int:
        return self._index.nbytes + self._counts.nbytes
