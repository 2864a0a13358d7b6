"""Except and intersect, distinct or ALL: the output multiplicity of a row is a function of its two input ones.

    EXCEPT ALL     max(0, l - r)          EXCEPT     1 if l > 0 and r <= 0 else 0
    INTERSECT ALL  min(l, r)              INTERSECT  1 if l > 0 and r > 0 else 0

where negative multiplicities count as 0. State is both multiplicities of every row (row_counts.py). Cost O(|delta|).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, KeyedOperator, concat_deltas
from millstream.operators.floors import Floors
from millstream.operators.kernels import sum_weights
from millstream.operators.row_counts import RowCounts
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


class SetOperator(KeyedOperator):
    """`left <operation> [ALL] right`, where `operation` is "except" or "intersect"."""

    kind = "set operation"

    def __init__(self, operation: str, keep_all: bool, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._multiplicity = _MULTIPLICITIES[operation, keep_all]
        self._counts = RowCounts(2, seeds, floors)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        left, right = inputs
        parts = [part for part in (left, right) if part is not None]
        if not parts:
            return None
        delta = concat_deltas(parts)
        touched, before = self._counts.touch(delta)
        after = before.copy()
        start = 0
        for side, part in enumerate((left, right)):
            if part is not None:
                groups = touched.groups[start : start + part.num_rows]
                after[:, side] += sum_weights(groups, part.weights, touched.count)
                start += part.num_rows
        self._counts.store(delta, touched, before, after)
        change = self._result(after) - self._result(before)
        changed = np.flatnonzero(change)
        return Delta(delta.take(touched.first[changed]).columns, change[changed])

    def _result(self, counts: Integers) -> Integers:
        positive = np.maximum(counts, 0)
        return self._multiplicity(positive[:, 0], positive[:, 1])

    def absorb(self, other: Self) -> None:
        self._counts.absorb(other._counts)

    def discard(self, floors: Floors) -> None:
        self._counts.discard(floors)

    @property
    def state_rows(self) -> int:
        return self._counts.num_rows

    @property
    def state_bytes(self) -> int:
        return self._counts.nbytes
