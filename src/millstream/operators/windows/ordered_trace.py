"""Ordered traces: accumulated state in which the rows of a partition have an order, so that neighbours are found by
binary search.

A trace (zset/trace.py) finds all rows of a key. Here rows are sorted by partition and, in there, by a few words of
their order key; rows whose words are equal stand next to each other, in an order that means nothing. As in a trace
there are a few runs of geometrically falling sizes, nothing is changed in place, and opposite weights cancel when their
runs are merged. What a change touches is cut out of all runs as *islands* (run_kernels.py) and read in order.

Partitions are identified by two hashes, 128 bits; rows by those, their words and one more hash.

Cost: inserting is amortised O(rows log(state / rows)); finding is by kernels, see there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.kernels import order_in_groups
from millstream.operators.windows.run_kernels import compact, merge_lines
from millstream.zset.columns import KIND, TEXT, Table, describe
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds, hash_described, hash_pairs
from millstream.zset.moving import gather_columns
from millstream.zset.views import Views

Places = Callable[[Sequence[pa.Array]], Sequence[Words]]
"""The words that sort rows within their partition, given all columns: always equally many, comparable for ever."""


@dataclass(frozen=True, slots=True)
class OrderedRun:
    """A consolidated delta by ascending `lines` (run_kernels.py). `columns` are arrays, or views for texts."""

    types: tuple[pa.DataType, ...]
    columns: tuple[pa.Array | Views, ...]
    table: Table
    lines: Words
    weights: Weights

    @property
    def num_rows(self) -> int:
        """Number of entries."""
        return len(self.weights)

    @property
    def delta(self) -> Delta:
        """The entries as a delta. O(bytes)."""
        everything, order = range(len(self.types)), np.arange(self.num_rows)
        columns = gather_columns(self.types, order, self.table[None], [self.columns], everything)[0]
        return Delta(columns, self.weights)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(columns)."""
        return int(sum(c.nbytes for c in self.columns) + self.lines.nbytes + self.weights.nbytes)

    @property
    def index_line(self) -> tuple[int, int, int]:
        """What kernels see of the run."""
        return self.lines.ctypes.data, self.num_rows, self.weights.ctypes.data


@dataclass(frozen=True, slots=True)
class RunIndex:
    """Several runs as kernels see them; holds them."""

    runs: tuple[OrderedRun, ...]
    index: Integers
    width: int

    def columns(self, sources: Integers, wanted: Sequence[int]) -> tuple[pa.Array, ...]:
        """The columns `wanted` of rows. O(bytes)."""
        types = [self.runs[0].types[i] for i in wanted]
        tables = np.array([run.table for run in self.runs])
        return gather_columns(types, sources, tables, [run.columns for run in self.runs], wanted)[0]


class OrderedTrace:
    """The sum of all deltas inserted, by partition and place.

    `types` are the Arrow types of the columns, `partition` the columns of the partition (none: one for all rows).
    Without `places` the lines of rows must be given.
    """

    def __init__(
        self, types: Sequence[pa.DataType], partition: Sequence[int], places: Places | None, seeds: Seeds
    ) -> None:
        self._types = tuple(types)
        self._partition = tuple(partition)
        self._places = places
        self._seeds = seeds
        self._runs: tuple[OrderedRun, ...] = ()

    @property
    def num_rows(self) -> int:
        """Number of entries, counting a row once for each run that mentions it. O(runs)."""
        return sum(run.num_rows for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(runs x columns)."""
        return sum(run.nbytes for run in self._runs)

    def build(self, delta: Delta) -> OrderedRun:
        """The delta as a run of this trace, consolidated. O(rows) for small partitions, else O(rows log rows)."""
        assert self._places is not None
        table = describe(delta.columns)
        partition = [delta.columns[p] for p in self._partition]
        hashes = hash_pairs(partition, table[list(self._partition)], delta.num_rows, self._seeds)
        return self.build_at([*hashes, *self._places(delta.columns)], delta, table)

    def build_at(self, words: Sequence[Words], delta: Delta, table: Table) -> OrderedRun:
        """The same, given the words of partitions and places, and the table of the columns."""
        count = delta.num_rows
        lines = np.stack([*words, hash_described(delta.columns, table, count, self._seeds.row)], axis=1)
        # The top bits of the hashes cut them into buckets of one or two, more where partitions have many rows.
        bits = max(count.bit_length() - 1, 1)
        buckets = (lines[:, 0] >> np.uint64(64 - bits)).astype(np.int64)
        positions, lines, weights = compact(lines, order_in_groups(buckets, 1 << bits, lines), delta.weights)
        columns, table = self._gather(positions, table[None], [delta.columns])
        return OrderedRun(self._types, columns, table, lines, weights)

    def insert(self, run: OrderedRun) -> None:
        """Adds a run that `build` has made."""
        runs = [*self._runs, run]
        while len(runs) > 1 and runs[-2].num_rows <= 2 * runs[-1].num_rows:
            last = runs.pop()
            runs[-1] = self._merged(runs[-1], last)
        self._runs = tuple(r for r in runs if r.num_rows)

    def index(self, *more: OrderedRun) -> RunIndex:
        """All runs, followed by others, for kernels. O(runs)."""
        runs = (*self._runs, *more)
        lines = [run.index_line for run in runs]
        width = runs[0].lines.shape[1] if runs else 0
        return RunIndex(runs, np.array(lines, np.int64).reshape(-1, 3), width)

    def sweep(self, kept: Callable[[OrderedRun], Mask]) -> None:
        """Merges all runs, and keeps the entries that `kept` wants. O(state)."""
        if not self._runs:
            return
        runs = list(self._runs)
        while len(runs) > 1:
            last = runs.pop()
            runs[-1] = self._merged(runs[-1], last)
        (run,) = runs
        wanted = np.flatnonzero(kept(run))
        if len(wanted) < run.num_rows:
            columns = gather_columns(self._types, wanted, run.table[None], [run.columns], range(len(self._types)))[0]
            run = OrderedRun(self._types, columns, describe(columns), run.lines[wanted], run.weights[wanted])
        self._runs = (run,) if run.num_rows else ()

    def has_partitions(self, hashes: Words) -> Mask:
        """Whether there are entries of the partitions with these first hashes. O(runs x log state) for each."""
        found = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            first = run.lines[:, 0]
            at = np.minimum(np.searchsorted(first, hashes), len(first) - 1)
            found |= first[at] == hashes
        return found

    def _merged(self, first: OrderedRun, second: OrderedRun) -> OrderedRun:
        sources, lines, weights = merge_lines(first.lines, first.weights, second.lines, second.weights)
        tables = np.stack([first.table, second.table])
        columns, table = self._gather(sources, tables, [first.columns, second.columns])
        return OrderedRun(self._types, columns, table, lines, weights)

    def _gather(
        self, sources: Integers, tables: npt.NDArray[np.int64], columns: Sequence[Sequence[Any]]
    ) -> tuple[tuple[Any, ...], Table]:
        """All columns; texts stay where they are."""
        viewed = [isinstance(column, Views) for column in columns[0]]
        if not any(viewed):
            viewed = (tables[0, :, KIND] == TEXT).tolist()
        return gather_columns(self._types, sources, tables, columns, range(len(self._types)), viewed)
