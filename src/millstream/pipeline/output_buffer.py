"""The output buffer of a connector: deltas of many steps, merged until they are worth sending (connectors.md §9.3).

Deltas are kept as they come and consolidated when the unconsolidated part has grown as large as the rest, so merging
costs amortised O(log) per row, and the number of records that counts for the size limit is a consolidated one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS


class Buffered(NamedTuple):
    """Size of a buffer: rows (after the last consolidation), merged deltas since the last flush, bytes."""

    records: int = 0
    batches: int = 0
    bytes: int = 0


class OutputBuffer:
    """Used by the output's thread only."""

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._merged: Delta | None = None
        self._tail: list[Delta] = []
        self._tail_rows = 0
        self._num_batches = 0
        self._num_records = 0
        self._num_bytes = 0
        #: When the first of them came (monotonic seconds); None when empty.
        self.since: float | None = None

    def add(self, delta: Delta, now: float) -> None:
        """Merge a delta."""
        if self.since is None:
            self.since = now
        self._tail.append(delta)
        self._tail_rows += delta.num_rows
        self._num_batches += 1
        self._num_records += delta.num_rows
        self._num_bytes += sum(column.nbytes for column in delta.columns)
        merged_rows = 0 if self._merged is None else self._merged.num_rows
        if self._tail_rows >= merged_rows or self._num_records >= self._max_records:
            self._consolidate()

    @property
    def size(self) -> Buffered:
        return Buffered(self._num_records, self._num_batches, self._num_bytes)

    @property
    def full(self) -> bool:
        return self._num_records >= self._max_records

    def take(self) -> Delta:
        """Everything, consolidated; the buffer is empty afterwards."""
        assert self.since is not None, "an empty buffer cannot be flushed"
        self._consolidate()
        assert self._merged is not None
        delta = self._merged
        self._merged, self.since = None, None
        self._num_batches = self._num_records = self._num_bytes = 0
        return delta

    def _consolidate(self) -> None:
        parts = self._tail if self._merged is None else [self._merged, *self._tail]
        if len(parts) > 1:
            self._merged = consolidate(concatenate(parts), DEFAULT_SEEDS)
        else:
            self._merged = parts[0]
        self._tail, self._tail_rows = [], 0
        self._num_records = self._merged.num_rows
        self._num_bytes = sum(column.nbytes for column in self._merged.columns)


def concatenate(deltas: list[Delta]) -> Delta:
    """One delta with the entries of all, in order."""
    columns = tuple(pa.concat_arrays([delta.columns[i] for delta in deltas]) for i in range(len(deltas[0].columns)))
    return Delta(columns, np.concatenate([delta.weights for delta in deltas]))
