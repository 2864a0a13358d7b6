"""Except and intersect, distinct or ALL: the output multiplicity of a row is a function of its two input ones.

    EXCEPT ALL     max(0, l - r)          EXCEPT     1 if l > 0 and r <= 0 else 0
    INTERSECT ALL  min(l, r)              INTERSECT  1 if l > 0 and r > 0 else 0

where negative multiplicities count as 0. State is both multiplicities of every row, by the row's hash pair; values are
not kept (see distinct.py). Cost O(|delta|).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, Operator, concat_deltas
from millstream.operators.floors import Floors, SlotFloors, Sweeps
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import SlotIndex, grown
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds

Multiplicity = Callable[[Integers, Integers], Integers]


def _except_all(left: Integers, right: Integers) -> Integers:
    return np.maximum(left - right, 0)


def _except(left: Integers, right: Integers) -> Integers:
    return ((left > 0) & (right == 0)).astype(np.int64)


def _intersect_all(left: Integers, right: Integers) -> Integers:
    return np.minimum(left, right)


def _intersect(left: Integers, right: Integers) -> Integers:
    return ((left > 0) & (right > 0)).astype(np.int64)


_MULTIPLICITIES: dict[tuple[str, bool], Multiplicity] = {
    ("except", True): _except_all,
    ("except", False): _except,
    ("intersect", True): _intersect_all,
    ("intersect", False): _intersect,
}


class SetOperator(Operator):
    """`left <operation> [ALL] right`, where `operation` is "except" or "intersect"."""

    kind = "set operation"

    def __init__(self, operation: str, keep_all: bool, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        self._sweeps = Sweeps()
        self._multiplicity = _MULTIPLICITIES[operation, keep_all]
        self._index = SlotIndex(seeds)
        self._counts: Integers = np.zeros((64, 2), np.int64)
        self._live = 0

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        left, right = inputs
        parts = [part for part in (left, right) if part is not None]
        if not parts:
            return None
        delta = concat_deltas(parts)
        touched = self._index.touch(delta.columns, delta.num_rows)
        self._counts = grown(self._counts, self._index.capacity)
        before = self._counts[touched.slots]
        after = before.copy()
        start = 0
        for side, part in enumerate((left, right)):
            if part is not None:
                groups = touched.groups[start : start + part.num_rows]
                after[:, side] += sum_weights(groups, part.weights, touched.count)
                start += part.num_rows
        self._counts[touched.slots] = after
        gone = ~after.any(axis=1)
        self._live += int(np.count_nonzero(~gone)) - int(np.count_nonzero(before.any(axis=1)))
        self._floors.note(touched.slots, delta.columns, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[gone])
        self._index.release(touched.slots[gone])
        change = self._result(after) - self._result(before)
        changed = np.flatnonzero(change)
        return Delta(delta.take(touched.first[changed]).columns, change[changed])

    def _result(self, counts: Integers) -> Integers:
        positive = np.maximum(counts, 0)
        return self._multiplicity(positive[:, 0], positive[:, 1])

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
