"""Ordered traces: accumulated state in which the rows of a partition have an order, so that neighbours are found by
binary search.

A trace (zset/trace.py) finds all rows of a key. Here rows are sorted by partition and, in there, by a few words of
their order key; rows whose words are equal stand next to each other, in an order that means nothing. As in a trace
there are a few runs of geometrically falling sizes, nothing is changed in place, and opposite weights cancel when their
runs are merged. What a change touches is cut out of all runs as *islands* (run_kernels.py) and read in order. Large
merges happen in the thread of the keeper, and large runs may be on disk (zset/keeper.py).

Partitions are identified by two hashes, 128 bits; rows by those, their words and one more hash.

Cost: inserting is amortised O(rows log(state / rows)); finding is by kernels, see there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.kernels import order_in_groups
from millstream.operators.windows.run_kernels import compact, merge_lines
from millstream.zset.cold import ColdStore
from millstream.zset.columns import KIND, TEXT
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns
from millstream.zset.hashing import Seeds, hash_described, hash_pairs
from millstream.zset.keeper import RunHolder
from millstream.zset.moving import gather_columns
from millstream.zset.run import Entries, gather_runs, take_entries

Places = Callable[[Sequence[pa.Array]], Sequence[Words]]
"""The words that sort rows within their partition, given all columns: always equally many, comparable for ever."""


@dataclass(frozen=True)
class OrderedRun(Entries):
    """A consolidated delta by ascending `lines` (run_kernels.py)."""

    lines: Words

    @property
    def num_rows(self) -> int:
        return len(self.lines)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(columns)."""
        return self.entry_bytes + (0 if self.file is not None else self.lines.nbytes)

    @property
    def width(self) -> int:
        """Values of an entry: columns, words and weight."""
        return len(self.types) + self.lines.shape[1] + 1

    def store(self, store: ColdStore) -> OrderedRun:
        """The same run on disk. Raises StoreError. O(bytes)."""
        mapped = self.write(store, {"line": self.lines})
        words = (mapped.words[name] for name in ("weight", "line"))
        return OrderedRun(self.types, Columns(mapped.columns), *words, file=mapped.file)

    @property
    def index_line(self) -> tuple[int, int, int]:
        """What kernels see of the run."""
        return self.lines.ctypes.data, self.num_rows, self.kept_weights.ctypes.data


@dataclass(frozen=True, slots=True)
class RunIndex:
    """Several runs as kernels see them; holds them."""

    runs: tuple[OrderedRun, ...]
    index: Integers
    width: int

    def columns(self, sources: Integers, wanted: Sequence[int]) -> Columns:
        """The columns `wanted` of rows. O(bytes)."""
        types = [self.runs[0].types[i] for i in wanted]
        tables = np.array([run.table for run in self.runs])
        return gather_columns(types, sources, tables, [run.columns for run in self.runs], wanted)


class OrderedTrace(RunHolder[OrderedRun]):
    """The sum of all deltas inserted, by partition and place.

    `types` are the Arrow types of the columns, `partition` the columns of the partition (none: one for all rows).
    Without `places` the lines of rows must be given.
    """

    def __init__(
        self, types: Sequence[pa.DataType], partition: Sequence[int], places: Places | None, seeds: Seeds
    ) -> None:
        super().__init__(merge_ordered)
        self._types = tuple(types)
        self._partition = tuple(partition)
        self._places = places
        self._seeds = seeds

    def build(self, delta: Delta) -> OrderedRun:
        """The delta as a run of this trace, consolidated. O(rows) for small partitions, else O(rows log rows)."""
        assert self._places is not None
        partition = delta.columns.select(self._partition)
        hashes = hash_pairs(partition, partition.table, delta.num_rows, self._seeds)
        return self.build_at([*hashes, *self._places(delta.columns)], delta)

    def build_at(self, words: Sequence[Words], delta: Delta) -> OrderedRun:
        """The same, given the words of partitions and places."""
        count, table = delta.num_rows, delta.table
        lines = np.stack([*words, hash_described(delta.columns, table, count, self._seeds.row)], axis=1)
        # The top bits of the hashes cut them into buckets of one or two, more where partitions have many rows.
        bits = max(count.bit_length() - 1, 1)
        buckets = (lines[:, 0] >> np.uint64(64 - bits)).astype(np.int64)
        positions, lines, weights = compact(lines, order_in_groups(buckets, 1 << bits, lines), delta.weights)
        viewed = (table[:, KIND] == TEXT).tolist()
        every = range(len(self._types))
        columns = gather_columns(self._types, positions, table[None], [delta.columns], every, viewed)
        return OrderedRun(self._types, columns, weights, lines)

    def insert(self, run: OrderedRun) -> None:
        """Adds a run that `build` has made."""
        if not run.num_rows:
            return
        self.settle()
        self.set_runs((*self.runs, run))
        while self.runs and (start := _due(self.runs, self.free)) is not None:
            if not self.merge(start, len(self.runs)):
                break
        self.keeper.inserted(run)

    def index(self, *more: OrderedRun) -> RunIndex:
        """All runs, followed by others, for kernels. O(runs)."""
        self.settle()
        runs = (*self.runs, *more)
        lines = [run.index_line for run in runs]
        width = runs[0].lines.shape[1] if runs else 0
        return RunIndex(runs, np.array(lines, np.int64).reshape(-1, 3), width)

    def sweep(self, kept: Callable[[OrderedRun], Mask]) -> None:
        """Merges all runs, and keeps the entries that `kept` wants. O(state)."""
        self.forget_task()
        if not self.runs:
            return

        def swept(runs: Sequence[OrderedRun], store: ColdStore | None) -> OrderedRun:
            run = merge_ordered(runs, store)
            wanted = np.flatnonzero(kept(run))
            if len(wanted) == run.num_rows:
                return run
            columns, weights = take_entries(run, wanted)
            run = OrderedRun(run.types, columns, weights, run.lines[wanted])
            return run if store is None or not run.num_rows else run.store(store)

        run = self.keeper.make(self.runs, swept)
        self.set_runs((run,) if run.num_rows else ())

    def has_partitions(self, hashes: Words) -> Mask:
        """Whether there are entries of the partitions with these first hashes. O(runs x log state) for each."""
        found = np.zeros(len(hashes), np.bool_)
        for run in self.runs:
            first = run.lines[:, 0]
            at = np.minimum(np.searchsorted(first, hashes), len(first) - 1)
            found |= first[at] == hashes
        return found


def merge_ordered(runs: Sequence[OrderedRun], store: ColdStore | None) -> OrderedRun:
    """The run of all runs' entries, opposite weights cancelled; on disk if a `store` is given. The runs are of falling
    sizes, so the last ones are merged first. O(bytes).

    Raises StoreError if it cannot be written."""
    *others, merged = runs
    for run in reversed(others):
        sources, lines, weights = merge_lines(run.lines, run.kept_weights, merged.lines, merged.kept_weights)
        merged = OrderedRun(run.types, gather_runs((run, merged), sources, store), weights, lines)
    return merged.store(store) if store is not None and others and merged.num_rows else merged


def _due(runs: Sequence[OrderedRun], start: int) -> int | None:
    """Where the runs at the end begin, not before `start`, that are to be merged so that each is more than twice as
    large as all that follow; None if they are."""
    first, total = len(runs) - 1, runs[-1].num_rows
    while first > start and runs[first - 1].num_rows <= 2 * total:
        first -= 1
        total += runs[first].num_rows
    return first if first < len(runs) - 1 else None
