"""Pairs of rows that a join has found, gathered once they are all known.

A step of a join finds pairs for the change of either side. Where nothing has to look at them, they stay what they are,
rows of a change and places in the other side's state, until the step is over; then the columns of all of them are
gathered together, so that no value is copied twice. Runs never change, so places stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millstream.operators.arrays import Integers
from millstream.operators.base import merge_parts
from millstream.operators.kernels import sum_weights
from millstream.zset.delta import Delta, Weights
from millstream.zset.moving import Sources, gather_sources
from millstream.zset.trace import Found


class Pairs:
    """Pairs with the rows of a change: `pairs[i]` is one of row `rows[i]` with a partner of that multiplicity."""

    def __init__(self, rows: Integers, multiplicities: Weights, pairs: Delta | None) -> None:
        self.rows = rows
        self.multiplicities = multiplicities
        self._pairs = pairs

    def counts(self, num_rows: int) -> Integers:
        """The number of partners of each of the change's rows."""
        return sum_weights(self.rows, self.multiplicities, num_rows)

    @property
    def gathered(self) -> bool:
        """Whether nothing is to be done for `pairs`."""
        return self._pairs is not None

    @property
    def pairs(self) -> Delta:
        """The pairs, left columns first."""
        assert self._pairs is not None
        return self._pairs


class Matched(Pairs):
    """Pair i is row `rows[i]` of `delta`, a change of the left side if `is_left`, and entry i of `found`."""

    def __init__(self, is_left: bool, delta: Delta, found: Found) -> None:
        super().__init__(found.probe_index, found.weights(), None)
        self._is_left = is_left
        self._delta = delta
        self._found = found

    @property
    def pairs(self) -> Delta:
        """The pairs, left columns first. O(bytes) when first asked for."""
        if self._pairs is None:
            self._pairs = gather([self])
        return self._pairs

    @property
    def weights(self) -> Weights:
        """The weight of each pair."""
        return self._delta.weights[self.rows] * self.multiplicities

    def sources(self, left: bool) -> Sources:
        """Where the columns of one side are."""
        if left is not self._is_left:
            return self._found.where
        return Sources(self._delta.types, self.rows, self._delta.table[None], [self._delta.columns])


def gather(matched: Sequence[Matched]) -> Delta:
    """All pairs, left columns first. O(bytes)."""
    left, right = (gather_sources([part.sources(side) for part in matched]) for side in (True, False))
    return Delta(left + right, np.concatenate([part.weights for part in matched]))


def merge_pairs(parts: Sequence[Pairs | Delta | None]) -> Delta | None:
    """The sum of all parts; None if they have no rows. O(bytes)."""
    late: list[Matched] = []
    made: list[Delta | None] = []
    for part in parts:
        if isinstance(part, Matched) and not part.gathered:
            if len(part.rows):
                late.append(part)
        else:
            made.append(part.pairs if isinstance(part, Pairs) else part)
    return merge_parts([gather(late) if late else None, *made])
