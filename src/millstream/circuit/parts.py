"""Deltas in parts, one for each worker.

Operators that are sharded answer with parts, and what follows goes on part by part, as long as nobody asks for the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from millstream.operators.base import concat_deltas
from millstream.zset.delta import Delta


class Parts:
    """The sum of deltas, one a worker, None for one without rows; at least one has rows. `placed`: every row is in the
    part of the worker that has its shard, by the columns of the node's distribution (distribution.py)."""

    __slots__ = ("_whole", "num_rows", "parts", "placed")

    def __init__(self, parts: Sequence[Delta | None], placed: bool) -> None:
        self.parts = tuple(parts)
        self.placed = placed
        self.num_rows = sum(part.num_rows for part in parts if part is not None)
        self._whole: Delta | None = None

    @property
    def present(self) -> list[Delta]:
        """The parts that have rows."""
        return [part for part in self.parts if part is not None]

    @property
    def whole(self) -> Delta:
        """All entries as one delta. O(bytes), once."""
        if self._whole is None:
            self._whole = concat_deltas(self.present)
        return self._whole


Change = Delta | Parts
"""What moves along the edges of a circuit."""


def in_parts(results: Sequence[Delta | None], placed: bool) -> Parts | None:
    """The parts that workers have made; None if there are no rows."""
    parts = [part if part is not None and part.num_rows else None for part in results]
    return Parts(parts, placed) if any(part is not None for part in parts) else None


def whole(change: Change | None) -> Delta | None:
    """The change as one delta."""
    return change.whole if isinstance(change, Parts) else change


def sliced(delta: Delta, count: int) -> list[Delta]:
    """At most so many parts of consecutive entries, about as long as each other. O(columns)."""
    bounds = [delta.num_rows * number // count for number in range(count + 1)]
    return [
        Delta(tuple(column.slice(start, end - start) for column in delta.columns), delta.weights[start:end])
        for start, end in pairwise(bounds)
        if end > start
    ]
