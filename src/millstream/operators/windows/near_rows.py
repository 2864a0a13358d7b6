"""The state of windows whose functions see a bounded number of rows: LAG, LEAD, and aggregates over bounded ROWS.

A row that comes or goes affects rows that are at most so many rows away, and to compute those takes rows that are at
most as many rows further away. So a step cuts *islands* out of an ordered trace, the changed rows with the rows near
them, and treats these as if they were partitions. Frames of rows at the edges of an island are not all there; but those
rows are not among the affected ones.

Places are the words of leading order keys; rows with equal words are in an island together, and are put in their order
there. Where the first key has no words (texts, say) there is no such state.

Cost: O(rows of islands x runs), whatever the size of partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask
from millstream.operators.windows.ordered import Ordered
from millstream.operators.windows.ordered_trace import OrderedTrace
from millstream.operators.windows.places import ALL_ROWS, leading_keys, place_words
from millstream.operators.windows.run_kernels import read_islands, touched_rows
from millstream.plan.nodes import SortKey, WindowCall
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows near changed ones: the island of each, its weight before the step and how it changes."""

    rows: Delta
    islands: Integers
    before: Weights
    change: Weights


class NearRows:
    """All rows, by partition and order. `back` and `ahead`: how many rows before and after it a function sees."""

    def __init__(
        self,
        types: Sequence[pa.DataType],
        partition: Sequence[int],
        keys: Sequence[SortKey],
        back: int,
        ahead: int,
        seeds: Seeds,
    ) -> None:
        self._columns = range(len(types))
        self._back = min(back, ALL_ROWS)
        self._ahead = min(ahead, ALL_ROWS)
        leading = leading_keys(types, keys)
        self._trace = OrderedTrace(types, partition, lambda columns: place_words(columns, leading), seeds)

    def step(self, delta: Delta) -> Pool:
        """Adds a delta, and gives what it touches."""
        run = self._trace.build(delta)
        runs = self._trace.index(run)
        starts, ends = touched_rows(runs.index, runs.width, np.int64(self._back + self._ahead))
        sources, islands, _, before, change = read_islands(runs.index, starts, ends, runs.width)
        self._trace.insert(run)
        return Pool(Delta(runs.columns(sources, self._columns), before), islands, before, change)

    def affected(self, ordered: Ordered, old: Weights, new: Weights) -> Integers:
        """The rows that see a changed row, before the step or after it. O(rows)."""
        changed = old != new
        affected = changed.copy()
        starts = np.flatnonzero(ordered.partition_first)
        lengths = np.diff(np.append(starts, len(old)))
        for counts in (old, new):
            ends = np.cumsum(counts)
            begins = ends - counts
            low = np.maximum(begins - self._back, np.repeat(begins[starts], lengths))
            high = np.minimum(ends + self._ahead, np.repeat(ends[starts + lengths - 1], lengths))
            seen = np.concatenate(([0], np.cumsum(np.repeat(changed, counts))))
            affected |= seen[high] > seen[low]
        return np.flatnonzero(affected)

    def absorb(self, other: NearRows) -> None:
        """Adds the rows of other partitions."""
        self._trace.absorb(other._trace)

    def retain(self, kept: Callable[[Delta], Mask]) -> None:
        """Drops the rows that `kept`, asked once for all of them, does not want. O(state)."""
        self._trace.sweep(lambda run: kept(run.delta))

    @property
    def num_rows(self) -> int:
        """Entries, as in traces."""
        return self._trace.num_rows

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._trace.nbytes


def near_rows(
    types: Sequence[pa.DataType],
    partition: Sequence[int],
    keys: Sequence[SortKey],
    calls: Sequence[WindowCall],
    seeds: Seeds,
) -> NearRows | None:
    """The state for these calls; None if one sees rows without bound, or by their values, or keys have no words."""
    back = ahead = 0
    for call in calls:
        if call.function == "LAG":
            back = max(back, call.offset)
        elif call.function == "LEAD":
            ahead = max(ahead, call.offset)
        else:
            frame = call.frame
            if frame is None or not frame.rows or frame.low is None or frame.high is None:
                return None
            back = max(back, -frame.low, -frame.high)
            ahead = max(ahead, frame.low, frame.high)
    if not leading_keys(types, keys):
        return None
    return NearRows(types, partition, keys, back, ahead, seeds)
