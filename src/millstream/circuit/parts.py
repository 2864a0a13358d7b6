"""Deltas in parts, one for each worker.

Operators that are sharded answer with parts, and what follows goes on part by part, as long as nobody asks for the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from millstream.circuit.workers import Workers
from millstream.operators.base import concat_deltas
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns
from millstream.zset.moving import concat_columns


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


def concatenated(deltas: Sequence[Delta], workers: Workers) -> Delta:
    """All entries of one or more deltas, in order; columns are dealt out to the workers. O(bytes)."""
    rows = sum(delta.num_rows for delta in deltas)
    width = len(deltas[0].columns)
    if len(deltas) == 1 or rows < workers.thread_rows or not width:
        return concat_deltas(deltas)

    def work(share: int) -> Columns:
        chosen = range(share, width, workers.count)
        return concat_columns([delta.columns.select(chosen) for delta in deltas], [delta.num_rows for delta in deltas])

    columns: list[pa.Array] = [None] * width
    for share, made in enumerate(workers.run([partial(work, s) for s in range(min(workers.count, width))], rows)):
        columns[share :: workers.count] = made
    return Delta(columns, np.concatenate([delta.weights for delta in deltas]))


def sliced(delta: Delta, count: int) -> list[Delta]:
    """At most so many parts of consecutive entries, about as long as each other. O(columns)."""
    bounds = [delta.num_rows * number // count for number in range(count + 1)]
    return [
        Delta(tuple(column.slice(start, end - start) for column in delta.columns), delta.weights[start:end])
        for start, end in pairwise(bounds)
        if end > start
    ]
