"""Pairs of rows that a join has found, gathered once they are all known.

A step of a join finds pairs for the change of either side. Where nothing has to look at them, they stay what they are,
rows of a change and places in the other side's state, until the step is over; then the columns of all of them are
gathered together, so that no value is copied twice. Runs never change, so places stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from millstream.operators.arrays import Integers
from millstream.operators.base import merge_parts
from millstream.operators.kernels import sum_weights
from millstream.zset.delta import Delta, Weights
from millstream.zset.moving import Sources, gather_sources
from millstream.zset.trace import Found


class Matched:
    """Pair i is row `rows[i]` of `delta`, a change of the left side if `is_left`, and entry i of `found`, whose
    multiplicity is `multiplicities[i]`."""

    def __init__(self, is_left: bool, delta: Delta, found: Found) -> None:
        self.rows: Integers = found.probe_index
        self.multiplicities: Weights = found.weights()
        self._is_left = is_left
        self._delta = delta
        self._found = found

    def counts(self, num_rows: int) -> Integers:
        """The number of partners of each of the delta's rows."""
        return sum_weights(self.rows, self.multiplicities, num_rows)

    @cached_property
    def pairs(self) -> Delta:
        """The pairs, left columns first. O(bytes)."""
        mine = self._delta.take(self.rows)
        theirs = self._found.columns(range(len(self._found.types)))
        columns = mine.columns + theirs if self._is_left else theirs + mine.columns
        return Delta(columns, self.weights)

    @property
    def weights(self) -> Weights:
        """The weight of each pair."""
        return self._delta.weights[self.rows] * self.multiplicities

    def sources(self, left: bool) -> Sources:
        """Where the columns of one side are."""
        if left is not self._is_left:
            return self._found.where
        return Sources(self._delta.types, self.rows, self._delta.table[None], [self._delta.columns])


def gathered(parts: Sequence[Matched | Delta | None]) -> Delta | None:
    """The sum of all parts; None if they have no rows. O(bytes)."""
    matched = [part for part in parts if isinstance(part, Matched) and len(part.rows)]
    others = [part for part in parts if not isinstance(part, Matched)]
    if len(matched) < 2:
        return merge_parts([*(part.pairs for part in matched), *others])
    left, right = (gather_sources([part.sources(side) for part in matched]) for side in (True, False))
    return merge_parts([Delta(left + right, np.concatenate([part.weights for part in matched])), *others])
