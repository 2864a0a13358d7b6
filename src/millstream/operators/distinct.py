"""Distinct: each row of positive multiplicity, once.

State is the multiplicity of every row (row_counts.py). Cost O(|delta|). Rows below floors are forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, KeyedOperator
from millstream.operators.floors import Floors
from millstream.operators.kernels import sum_weights
from millstream.operators.row_counts import RowCounts
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class DistinctOperator(KeyedOperator):
    """Emits a row with +1 when its multiplicity becomes positive and with -1 when it no longer is."""

    kind = "distinct"

    def __init__(self, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._counts = RowCounts(1, seeds, floors)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        return None if delta is None else self.change(delta)

    def change(self, delta: Delta) -> Delta:
        """The change of the distinct rows; at most one entry per row, of weight +1 or -1."""
        rows, signs = self.crossings(delta)
        return Delta(delta.take(rows).columns, signs)

    def crossings(self, delta: Delta) -> tuple[Integers, Integers]:
        """The rows of the delta by which the distinct rows change, and the change: +1 or -1."""
        touched, before = self._counts.touch(delta)
        after = before + sum_weights(touched.groups, delta.weights, touched.count)
        self._counts.store(delta, touched, before, after)
        signs = (after > 0).astype(np.int64) - (before > 0)
        changed = np.flatnonzero(signs)
        return touched.first[changed], signs[changed]

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
