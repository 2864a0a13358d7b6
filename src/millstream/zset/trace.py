"""Traces: the accumulated state of a stream, as runs of geometrically growing sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.delta import Delta
from millstream.zset.hashing import Hashes, Seeds, hash_columns
from millstream.zset.run import Run, build_run, merge_runs


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer of a probe: entry i of `delta` matches row `probe_index[i]` of the probe; ascending in the latter."""

    probe_index: npt.NDArray[np.int64]
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
        """Bytes of memory. O(runs)."""
        return sum(run.nbytes for run in self.runs)

    def to_delta(self) -> Delta:
        """The consolidated contents. O(state)."""
        if not self.runs:
            return Delta.empty(self.types)
        total = self.runs[-1]
        for run in reversed(self.runs[:-1]):
            total = merge_runs(total, run)
        return total.delta


class Trace:
    """The sum of all deltas inserted so far, indexed by key columns.

    `types` are the Arrow types of the columns, `key` the positions of the key columns.
    """

    def __init__(self, types: Sequence[pa.DataType], key: Sequence[int], seeds: Seeds) -> None:
        self.types = tuple(types)
        self.key = tuple(key)
        self.seeds = seeds
        self._runs: tuple[Run, ...] = ()

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
        """Bytes of memory. O(runs)."""
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
        runs = list(self._runs)
        while runs and runs[-1].num_rows <= max(2 * run.num_rows, 64):
            run = merge_runs(runs.pop(), run)
        if run.num_rows:
            runs.append(run)
        self._runs = tuple(runs)

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

        A NULL matches a NULL in key columns i where `null_safe[i]` (None: in all). `columns` (None: all) are the ones
        that the result carries. `key_hashes` saves hashing when the caller has `hash_columns(key_columns, num_rows,
        seeds.key)`. A row that was inserted and deleted may appear with weights that cancel.
        """
        wanted = range(len(self.types)) if columns is None else columns
        if key_hashes is None:
            key_hashes = hash_columns(key_columns, num_rows, self.seeds.key)
        indices: list[npt.NDArray[np.int64]] = []
        deltas: list[Delta] = []
        for run in self._runs:
            low = np.searchsorted(run.key_hashes, key_hashes, "left")
            counts = np.searchsorted(run.key_hashes, key_hashes, "right") - low
            probe_index = np.repeat(np.arange(num_rows), counts)
            shift = (
                np.repeat(low - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
                if num_rows
                else probe_index
            )
            position = np.arange(len(probe_index)) + shift
            equal = self._verify(key_columns, probe_index, run, position, null_safe)
            indices.append(probe_index[equal])
            deltas.append(run.delta.select(wanted).take(position[equal]))
        if not deltas:
            return Matches(np.empty(0, np.int64), Delta.empty([self.types[i] for i in wanted]))
        probe_index = np.concatenate(indices)
        order = np.argsort(probe_index, kind="stable")
        merged = Delta(
            tuple(pa.concat_arrays([d.columns[i] for d in deltas]) for i in range(len(wanted))),
            np.concatenate([d.weights for d in deltas]),
        )
        return Matches(probe_index[order], merged.take(order))

    def _verify(
        self,
        key_columns: Sequence[pa.Array],
        probe_index: npt.NDArray[np.int64],
        run: Run,
        position: npt.NDArray[np.int64],
        null_safe: Sequence[bool] | None,
    ) -> npt.NDArray[np.bool_]:
        """Which of the pairs of equal key hashes have equal keys: decided by two further hashes of the values."""
        equal = np.ones(len(position), np.bool_)
        left, right = pa.array(probe_index), pa.array(position)
        for i, column in enumerate(key_columns):
            a = column.take(left)
            b = run.delta.columns[self.key[i]].take(right)
            for seed in (0xA0761D6478BD642F, 0xE7037ED1A0B428DB):
                equal &= hash_columns([a], len(a), seed) == hash_columns([b], len(b), seed)
            if null_safe is not None and not null_safe[i]:
                equal &= a.is_valid().to_numpy(zero_copy_only=False)
        return equal
