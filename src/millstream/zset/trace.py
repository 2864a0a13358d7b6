"""Traces: the accumulated state of a stream.

A trace is a tuple of runs, oldest first, that together sum up to all deltas ever inserted. A new delta becomes a run at
the end. How soon runs are merged depends on who pays for not doing it:

* *Probes* ask every run, so they want few. Each is charged for the runs beyond the first that it asks; once the charges
  have reached what merging costs, runs are merged until each is more than 1.5 times as large as the next, which leaves
  O(log state) of them and moves every row O(log state) times.
* A trace that is not probed (a view's contents, the streamed side of a join) is merged when eight runs of similar size
  have come together: O(log8 state) moves a row.
* Deltas with many deletions are merged like under probes, since that is what gives memory back. So are tiny runs, so
  that a stream of single rows does not leave a long tail of them.

Nothing is ever changed in place: inserting replaces the tuple. A snapshot is the tuple, and reading it needs no lock,
whatever the writer does meanwhile. Inserting and probing themselves belong to one thread. Where there is a thread for
them, large merges happen there, and runs may be on disk (keeper.py).

A probe asks every run, in a single kernel call that compares key hashes first and then the values of the key columns,
and gathers the wanted columns of what was found. A row that was inserted and deleted may show up twice, with weights
that cancel, as long as its runs have not met in a merge.

Rough edge: without such a thread the largest merges happen inside an insert or a probe. They are rare but take time in
proportion to the state: 10 to 25 ns per row and column. A delta or a probe of a few rows does not set them off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.cold import ColdStore
from millstream.zset.columns import KIND, OTHER, POSITION_MASK, SOURCE_SHIFT, TABLE_WIDTH
from millstream.zset.delta import Delta, Weights
from millstream.zset.equality import equal_values
from millstream.zset.gathered import Columns, describe
from millstream.zset.hashing import Hashes, Seeds, hash_described, is_flat
from millstream.zset.keeper import RunHolder
from millstream.zset.moving import Positions, Sources, gather_columns
from millstream.zset.probe_kernels import ROW_HASHES, WEIGHTS, find_rows, gather_words, probe_runs
from millstream.zset.run import Run, build_identified, build_run, filter_run, merge_runs

# Runs of up to this many rows together are merged at once: cheaper than one more run to probe.
SMALL_RUN_ROWS = 256
# Under probes a run is merged with the next one when it is at most this many times as large, as a fraction.
_MERGE_RATIO = (3, 2)
# Without probes, so many runs are merged when none of them is more than _SIMILAR times as large as the last one.
_FAN_OUT = 8
_SIMILAR = 2
# A delta with at least this share of deletions, as a fraction, is merged at once.
_DELETIONS = (1, 4)
_NO_INDEX = np.empty((0, 5), np.int64)


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer of a probe: entry i of `delta` matches row `probe_index[i]`, which ascends."""

    probe_index: Positions
    delta: Delta


@dataclass(frozen=True, slots=True)
class Found:
    """The places of entries: entry i matches row `probe_index[i]`, which ascends, and comes from `sources[i]`
    (kernels.py) of `runs`. Values are gathered when they are asked for."""

    types: tuple[pa.DataType, ...]
    probe_index: Positions
    sources: Positions
    runs: tuple[Run, ...]
    tables: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    # Where the columns are among those of the runs; None: they are the same.
    places: Sequence[int] | None = None

    def columns(self, wanted: Sequence[int]) -> Columns:
        """Those columns of the entries. O(bytes)."""
        types = [self.types[i] for i in wanted]
        if not self.runs:
            return Columns([pa.nulls(0, data_type) for data_type in types])
        if self.places is not None:
            wanted = [self.places[i] for i in wanted]
        return gather_columns(types, self.sources, self.tables, [run.columns for run in self.runs], wanted)

    @property
    def where(self) -> Sources:
        """Where the entries' columns are, to be gathered together with others."""
        columns, tables = [run.columns for run in self.runs], self.tables
        if self.places is not None:
            columns = [each.select(self.places) for each in columns]
            tables = np.take(tables, self.places, axis=1)
        return Sources(self.types, self.sources, tables, columns)

    def weights(self) -> Weights:
        """The weights of the entries."""
        weights: Weights = gather_words(self.index, WEIGHTS, self.sources)
        return weights

    def row_hashes(self) -> Hashes:
        """The row hashes of the entries."""
        hashes: Hashes = gather_words(self.index, ROW_HASHES, self.sources).view(np.uint64)
        return hashes

    def only(self, chosen: Positions) -> Found:
        """The entries at these positions, which ascend."""
        return replace(self, probe_index=self.probe_index[chosen], sources=self.sources[chosen])

    def select(self, columns: Sequence[int]) -> Found:
        """The entries with only those columns, in that order."""
        return replace(self, types=tuple(self.types[i] for i in columns), places=columns)


Described = tuple[tuple[Run, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Runs, and what kernels see of them: their columns, and where their hashes, weights and directories are."""


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
        return merge_runs(*self.runs).delta


class Trace(RunHolder[Run]):
    """The sum of all deltas inserted so far, indexed by key columns.

    `types` are the Arrow types of the columns, `key` the positions of the key columns (none: one group of all).
    """

    def __init__(self, types: Sequence[pa.DataType], key: Sequence[int], seeds: Seeds) -> None:
        super().__init__(_merge)
        self.types = tuple(types)
        self.key = tuple(key)
        self.seeds = seeds
        # Runs asked beyond the first, times rows, by probes since the last merge that this paid for.
        self._charges = 0
        self._key_positions = np.array(self.key, np.int64)
        # What kernels see of the runs, from the first probe after an insert on.
        self._index: npt.NDArray[np.int64] | None = None
        self._tables = np.empty((0, len(self.types), TABLE_WIDTH), np.int64)

    def snapshot(self) -> TraceSnapshot:
        """The present contents, by reference. O(1)."""
        return TraceSnapshot(self.types, self.runs)

    def insert(self, delta: Delta) -> Delta:
        """Adds a delta; gives it back consolidated, in any order. Amortised O(|delta| log |state|)."""
        if not delta.num_rows:
            return delta
        run = build_run(delta, self.key, self.seeds)
        self.insert_run(run)
        return delta if run.num_rows == delta.num_rows else run.delta

    def insert_identified(self, delta: Delta) -> tuple[Delta, Hashes, Hashes]:
        """The same; gives the key hashes and row hashes of the consolidated delta, too."""
        if not delta.num_rows:
            return delta, np.empty(0, np.uint64), np.empty(0, np.uint64)
        run, keys, rows = build_identified(delta, self.key, self.seeds)
        self.insert_run(run)
        if run.num_rows == delta.num_rows:
            return delta, keys, rows
        return run.delta, run.key_hashes, run.row_hashes

    def insert_run(self, run: Run) -> None:
        """Adds a run built with this trace's key and seeds. Amortised O(|run| log |state|)."""
        if not run.num_rows:
            return
        self.settle()
        self.set_runs((*self.runs, run))
        free = self.free
        sizes = [r.num_rows for r in self.runs[free:]]
        count, rows = _geometric_groups(sizes)[-1]
        less, more = _DELETIONS
        if count > 1 and (rows <= SMALL_RUN_ROWS or more * run.num_deletions >= less * run.num_rows):
            self.merge(len(self.runs) - count, len(self.runs))
            free = self.free
        while (start := _similar_suffix([r.num_rows for r in self.runs[free:]])) is not None:
            if not self.merge(free + start, len(self.runs)):
                break
        self.keeper.inserted(run)

    def retain(self, kept: Callable[[Delta], npt.NDArray[np.bool_]]) -> None:
        """Drops the entries of which `kept`, asked once a run, says no: the same for all entries of a row. O(state)."""
        self.forget_task()
        runs = [filter_run(run, kept(run.delta)) for run in self.runs]
        self.set_runs(tuple(run for run in runs if run.num_rows))

    def replace(self, contents: Delta) -> None:
        """Makes `contents` the sum of all deltas. O(bytes)."""
        run = build_run(contents, self.key, self.seeds)
        self.forget_task()
        self.set_runs((run,) if run.num_rows else ())

    def changed(self) -> None:
        """What kernels see of the runs is out of date."""
        self._index = None

    def _charge(self, num_rows: int) -> None:
        """Charges a probe of `num_rows`, and merges what has been paid for, small runs first."""
        if len(self.runs) == 1:
            return
        self._charges += num_rows * (len(self.runs) - 1)
        end = len(self.runs)
        for count, rows in reversed(_geometric_groups([run.num_rows for run in self.runs[self.free :]])):
            if count > 1:
                if rows > self._charges:
                    return
                self._charges -= rows
                if not self.merge(end - count, end):
                    return
            end -= count

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

        `columns` (None: all) are the ones that the result carries; the rest is as for `find`.
        O(num_rows x runs + bytes of the result).
        """
        found = self.find(key_columns, num_rows, null_safe=null_safe, key_hashes=key_hashes)
        wanted = range(len(self.types)) if columns is None else columns
        return Matches(found.probe_index, Delta(found.columns(wanted), found.weights()))

    def find(
        self,
        key_columns: Sequence[pa.Array],
        num_rows: int,
        *,
        null_safe: Sequence[bool] | None = None,
        key_hashes: Hashes | None = None,
        earlier: Described | None = None,
    ) -> Found:
        """Where the entries are whose key columns equal a probe row's, for every probe row.

        `key_columns` are `num_rows` long and of the key columns' types. A NULL matches a NULL in key columns i
        where `null_safe[i]` (None: in all). `key_hashes` saves hashing when the caller has
        `hash_columns(key_columns, num_rows, seeds.key)`. `earlier`: asked is what the trace was when it was described
        so. O(num_rows x runs + matches).
        """
        if num_rows and self.runs:
            self.settle()
            # A probe of what was before pays for the merges of those to come.
            self._charge(num_rows)
        runs, tables, index = self.described() if earlier is None else earlier
        if not num_rows or not runs:
            nothing = np.empty(0, np.int64)
            return Found(self.types, nothing, nothing, (), tables, _NO_INDEX)
        probe = describe(key_columns)
        if key_hashes is None:
            key_hashes = hash_described(key_columns, probe, num_rows, self.seeds.key)
        safe = np.ones(len(self.key), np.bool_) if null_safe is None else np.array(null_safe, np.bool_)
        matched, sources = probe_runs(index, tables, self._key_positions, key_hashes, probe[None], safe)
        if not is_flat(probe):
            for i in np.flatnonzero(probe[:, KIND] == OTHER).tolist():
                same = self._same_nested(runs, i, key_columns[i], matched, sources)
                matched, sources = matched[same], sources[same]
        return Found(self.types, matched, sources, runs, tables, index)

    def described(self) -> Described:
        """The present contents, which never change. O(runs) after a change."""
        index = self._index
        if index is None and self.runs:
            index = self._describe_runs()
        return self.runs, self._tables, _NO_INDEX if index is None else index

    def rows(self, key_hashes: Hashes, row_hashes: Hashes) -> Found:
        """Where the rows with these hashes are, one place for each, which must exist. O(rows x runs)."""
        index = self._index
        if index is None:
            index = self._describe_runs()
        sources = find_rows(index, key_hashes, row_hashes)
        assert sources.min(initial=0) >= 0, "a row is asked for that is not in the trace"
        return Found(self.types, np.arange(len(sources)), sources, self.runs, self._tables, index)

    def _describe_runs(self) -> npt.NDArray[np.int64]:
        """Brings what kernels see of the runs up to date. O(runs)."""
        self._tables = np.array([run.table for run in self.runs])
        self._index = np.array([run.index_line for run in self.runs], np.int64)
        return self._index

    def _same_nested(
        self, runs: Sequence[Run], i: int, column: pa.Array, matched: Positions, sources: Positions
    ) -> npt.NDArray[np.bool_]:
        """Which matches are equal in key column i, a list, map or struct column."""
        same = np.zeros(len(matched), np.bool_)
        owners = sources >> SOURCE_SHIFT
        for r in np.unique(owners).tolist():
            mine = np.flatnonzero(owners == r)
            values = runs[r].columns[self.key[i]]
            same[mine] = equal_values(column, matched[mine], values, sources[mine] & POSITION_MASK)
        return same


def _merge(runs: Sequence[Run], store: ColdStore | None) -> Run:
    """The runs as one, whose directory is made here if they have been probed."""
    merged = merge_runs(*runs, store=store)
    if any("directory" in run.__dict__ for run in runs) and merged.num_rows:
        _ = merged.directory
    return merged


def _geometric_groups(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(number of runs, rows) of neighbours to merge, so that each merged run is more than 1.5 times as large as the
    next, up to rows that cancel."""
    more, less = _MERGE_RATIO
    groups: list[tuple[int, int]] = []
    for size in sizes:
        count, rows = 1, size
        while groups and (less * groups[-1][1] <= more * rows or groups[-1][1] + rows <= SMALL_RUN_ROWS):
            previous = groups.pop()
            count += previous[0]
            rows += previous[1]
        groups.append((count, rows))
    return groups


def _similar_suffix(sizes: Sequence[int]) -> int | None:
    """Where the runs at the end begin that are similar in size to the last one; None if they are too few to merge."""
    start = len(sizes)
    while start and sizes[start - 1] <= _SIMILAR * sizes[-1]:
        start -= 1
    return start if len(sizes) - start >= _FAN_OUT else None
