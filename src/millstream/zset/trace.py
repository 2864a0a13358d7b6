"""Traces: the accumulated state of a stream.

A trace is a tuple of runs, oldest first, each more than 1.5 times as large as the next; together they sum up to all
deltas ever inserted. A new delta becomes a run at the end; while it is not much smaller than its neighbour, the two
are merged. So there are O(log state) runs, and every row is moved O(log state) times, in merges of similar sizes.
Tiny runs at the end are merged regardless, so that a stream of single rows does not pay for a long tail of them.

Nothing is ever changed in place: inserting replaces the tuple. A snapshot is the tuple, and reading it needs no lock,
whatever the writer does meanwhile. Inserting and probing themselves belong to one thread.

A probe asks every run, in a single kernel call that compares key hashes first and then the values of the key columns,
and gathers the wanted columns of what was found. A row that was inserted and deleted may show up twice, with weights
that cancel, as long as its runs have not met in a merge.

Rough edge: the largest merges happen inside an insert. They are rare (once per doubling) but take time in
proportion to the state: about 25 ns per row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import KIND, OTHER, POSITION_MASK, SOURCE_SHIFT, TABLE_WIDTH, describe
from millstream.zset.delta import Delta
from millstream.zset.equality import equal_values
from millstream.zset.hashing import Hashes, Seeds, hash_described
from millstream.zset.kernels import gather_weights, probe_runs
from millstream.zset.moving import Positions, gather_columns
from millstream.zset.run import Run, build_run, merge_runs

# Runs of up to this many rows together are merged at once: cheaper than one more run to probe.
SMALL_RUN_ROWS = 256
# A run is merged with the next one when it is at most this many times as large, as a fraction.
_MERGE_RATIO = (3, 2)


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer of a probe: entry i of `delta` matches row `probe_index[i]`, which ascends."""

    probe_index: Positions
    delta: Delta


@dataclass(frozen=True, slots=True)
class TraceSnapshot:
    """The contents of a trace at one moment; it never changes."""

    types: tuple[pa.DataType, ...]
    runs: tuple[Run, ...]

    @property
    def num_rows(self) -> int:
        """Number of entries, counting a row once for each run that mentions it. O(runs)."""
        return sum(run.num_rows for run in self.runs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(runs x columns)."""
        return sum(run.nbytes for run in self.runs)

    def to_delta(self) -> Delta:
        """The consolidated contents. O(state)."""
        if not self.runs:
            return Delta.empty(self.types)
        total = self.runs[-1]
        for run in reversed(self.runs[:-1]):
            total = merge_runs(run, total)
        return total.delta


class Trace:
    """The sum of all deltas inserted so far, indexed by key columns.

    `types` are the Arrow types of the columns, `key` the positions of the key columns (none: one group of all).
    """

    def __init__(self, types: Sequence[pa.DataType], key: Sequence[int], seeds: Seeds) -> None:
        self.types = tuple(types)
        self.key = tuple(key)
        self.seeds = seeds
        self._runs: tuple[Run, ...] = ()
        self._key_positions = np.array(self.key, np.int64)
        # What kernels see of the runs, from the first probe after an insert on.
        self._index: npt.NDArray[np.int64] | None = None
        self._tables = np.empty((0, len(self.types), TABLE_WIDTH), np.int64)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, oldest and largest first."""
        return self._runs

    @property
    def num_rows(self) -> int:
        """Number of entries, counting a row once for each run that mentions it. O(runs)."""
        return sum(run.num_rows for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(runs x columns)."""
        return sum(run.nbytes for run in self._runs)

    def snapshot(self) -> TraceSnapshot:
        """The present contents, by reference. O(1)."""
        return TraceSnapshot(self.types, self._runs)

    def insert(self, delta: Delta) -> None:
        """Adds a delta. Amortised O(|delta| log |state|)."""
        if delta.num_rows:
            self.insert_run(build_run(delta, self.key, self.seeds))

    def insert_run(self, run: Run) -> None:
        """Adds a run built with this trace's key and seeds. Amortised O(|run| log |state|)."""
        if not run.num_rows:
            return
        runs = list(self._runs)
        more, less = _MERGE_RATIO
        while runs and (
            less * runs[-1].num_rows <= more * run.num_rows or runs[-1].num_rows + run.num_rows <= SMALL_RUN_ROWS
        ):
            run = merge_runs(runs.pop(), run)
        if run.num_rows:
            runs.append(run)
        self._runs = tuple(runs)
        self._index = None

    def probe(
        self,
        key_columns: Sequence[pa.Array],
        num_rows: int,
        *,
        null_safe: Sequence[bool] | None = None,
        columns: Sequence[int] | None = None,
        key_hashes: Hashes | None = None,
    ) -> Matches:
        """The entries whose key columns equal a probe row's, for every probe row.

        `key_columns` are `num_rows` long and of the key columns' types. A NULL matches a NULL in key columns i
        where `null_safe[i]` (None: in all). `columns` (None: all) are the ones that the result carries.
        `key_hashes` saves hashing when the caller has `hash_columns(key_columns, num_rows, seeds.key)`.
        O(num_rows x runs + bytes of the result).
        """
        wanted = range(len(self.types)) if columns is None else columns
        types = [self.types[i] for i in wanted]
        if not num_rows or not self._runs:
            return Matches(np.empty(0, np.int64), Delta.empty(types))
        index = self._index
        if index is None:
            index = self._describe_runs()
        probe = describe(key_columns)
        if key_hashes is None:
            key_hashes = hash_described(key_columns, probe, num_rows, self.seeds.key)
        safe = np.ones(len(self.key), np.bool_) if null_safe is None else np.array(null_safe, np.bool_)
        matched, sources = probe_runs(index, self._tables, self._key_positions, key_hashes, probe[None], safe)
        for i in np.flatnonzero(probe[:, KIND] == OTHER).tolist():
            same = self._same_nested(i, key_columns[i], matched, sources)
            matched, sources = matched[same], sources[same]
        gathered, _ = gather_columns(types, sources, self._tables, [run.delta.columns for run in self._runs], wanted)
        return Matches(matched, Delta(gathered, gather_weights(index, sources)))

    def _describe_runs(self) -> npt.NDArray[np.int64]:
        """Brings what kernels see of the runs up to date. O(runs)."""
        self._tables = np.array([run.table for run in self._runs])
        self._index = np.array([run.index_line for run in self._runs], np.int64)
        return self._index

    def _same_nested(self, i: int, column: pa.Array, matched: Positions, sources: Positions) -> npt.NDArray[np.bool_]:
        """Which matches are equal in key column i, a list, map or struct column."""
        same = np.zeros(len(matched), np.bool_)
        owners = sources >> SOURCE_SHIFT
        for r in np.unique(owners).tolist():
            mine = np.flatnonzero(owners == r)
            values = self._runs[r].delta.columns[self.key[i]]
            same[mine] = equal_values(column, matched[mine], values, sources[mine] & POSITION_MASK)
        return same
