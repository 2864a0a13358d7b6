"""Runs: immutable deltas sorted by hash, that are their own index.

A run's entries are in order of (key hash, row hash), each row once, no weight zero. Key hashes are uniform, so the
sorted array *is* a hash table: the directory tells for every value of the hashes' top bits where its entries begin, one
or two entries on average, and a look-up is one read of the directory and a short scan. Where one key has many rows the
scan becomes a binary search.

Building costs O(rows): hash, scatter into buckets, gather the columns once. Merging runs costs O(rows), however many
they are: walking their hashes writes down where each entry comes from, opposite weights cancelling on the way; then the
columns are gathered straight from all runs. Characters of texts stay where they are (views.py), except in runs that go
to disk (cold.py): those have arrays, in the mapped file.

Most runs are of insertions alone: where every weight is 1, no weights are kept.

Rows are identified by their pair of hashes, 128 bits. Rows with the same key differ in the row hash only: a key with a
million rows mistakes two of them for each other with probability 3e-8.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.cold import ColdStore, Mapped, RunFile
from millstream.zset.columns import KIND, TEXT, Table
from millstream.zset.delta import Delta, Weights
from millstream.zset.gathered import Columns
from millstream.zset.hashing import Hashes, Seeds, hash_described
from millstream.zset.kernels import build_directory, merge_entries, merge_many, sort_entries
from millstream.zset.moving import gather_columns

#: The weights of a run all of whose entries have weight 1.
NO_WEIGHTS: Weights = np.empty(0, np.int64)


@dataclass(frozen=True)
class Entries(ABC):
    """Columns and weights of a run. `columns` are arrays or, for texts that are no keys, views (views.py). All of
    it is in `file` if there is one. `kept_weights` are none if there are entries and all their weights are 1."""

    types: tuple[pa.DataType, ...]
    columns: Columns
    kept_weights: Weights
    file: RunFile | None = field(default=None, kw_only=True)

    @property
    def table(self) -> Table:
        """What kernels see of the columns."""
        return self.columns.table

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Number of entries."""

    @property
    def weights(self) -> Weights:
        """The weight of every entry. O(rows) where they are not kept."""
        return self.kept_weights if len(self.kept_weights) else np.ones(self.num_rows, np.int64)

    @property
    def num_deletions(self) -> int:
        """Number of entries with a negative weight. O(rows) where weights are kept."""
        return int(np.count_nonzero(self.kept_weights < 0))

    @property
    def delta(self) -> Delta:
        """The entries as a delta. O(bytes of texts)."""
        return self._delta(pa.allocate_buffer)

    def _delta(self, allocate: Callable[[int], pa.Buffer]) -> Delta:
        viewed = [i for i, view in enumerate(self.columns.viewed) if view]
        if not viewed:
            return Delta(self.columns, self.weights)
        types = [self.types[i] for i in viewed]
        order = np.arange(self.num_rows)
        texts = gather_columns(types, order, self.table[None], [self.columns], viewed, allocate=allocate)
        numbers = iter(range(len(self.columns), len(self.columns) + len(viewed)))
        wanted = [next(numbers) if i in viewed else i for i in range(len(self.columns))]
        return Delta((self.columns + texts).select(wanted), self.weights)

    @property
    def entry_bytes(self) -> int:
        """Bytes of memory of columns and weights, none if they are on disk. O(columns)."""
        if self.file is not None:
            return 0
        return self.columns.nbytes + self.kept_weights.nbytes

    def write(self, store: ColdStore, words: Mapping[str, npt.NDArray[Any]]) -> Mapped:
        """Columns, kept weights and other words of the entries on disk. Raises StoreError. O(bytes)."""
        weights = {"weight": self.kept_weights} if len(self.kept_weights) else {}
        mapped = store.write(self._delta(store.allocate).columns, {**weights, **words})
        mapped.words.setdefault("weight", NO_WEIGHTS)
        return mapped


@dataclass(frozen=True)
class Run(Entries):
    """A consolidated delta in order of (key hash, row hash)."""

    key_hashes: Hashes
    row_hashes: Hashes

    @property
    def num_rows(self) -> int:
        return len(self.key_hashes)

    @cached_property
    def directory(self) -> npt.NDArray[np.uint32]:
        """directory[b] is the number of entries whose key hash has top bits below b; it has one entry more than there
        are values of those bits. O(rows) when first asked for: runs that are never probed need none."""
        return build_directory(self.key_hashes)

    @property
    def nbytes(self) -> int:
        """Bytes of memory: values, weights and hashes unless they are on disk, and directory. O(columns)."""
        directory = self.directory.nbytes if "directory" in self.__dict__ else 0
        hashes = 0 if self.file is not None else 16 * self.num_rows
        return int(self.entry_bytes + hashes + directory)

    @property
    def width(self) -> int:
        """Values of an entry: columns, hashes and weight."""
        return len(self.types) + 3

    def store(self, store: ColdStore) -> Run:
        """The same run on disk. Raises StoreError. O(bytes)."""
        mapped = self.write(store, {"key_hash": self.key_hashes, "row_hash": self.row_hashes})
        words = (mapped.words[name] for name in ("weight", "key_hash", "row_hash"))
        run = Run(self.types, Columns(mapped.columns), *words, file=mapped.file)
        if "directory" in self.__dict__:
            run.__dict__["directory"] = self.directory
        return run

    @cached_property
    def index_line(self) -> tuple[int, int, int, int, int]:
        """What `probe_runs` wants to know: where key hashes and directory are, the directory's bits, where weights and
        row hashes are."""
        bits = len(self.directory).bit_length() - 1
        hashes = (_address(self.key_hashes), _address(self.row_hashes))
        return (hashes[0], _address(self.directory), bits, _address(self.kept_weights), hashes[1])


def build_run(delta: Delta, key: Sequence[int], seeds: Seeds) -> Run:
    """The run of `delta`'s entries, indexed by the columns `key`. O(bytes)."""
    return build_identified(delta, key, seeds)[0]


def build_identified(delta: Delta, key: Sequence[int], seeds: Seeds) -> tuple[Run, Hashes, Hashes]:
    """The same, with the key hash and the row hash of every entry of `delta`, in its order."""
    count = delta.num_rows
    table = delta.table
    chosen = delta.columns.select(key)
    keys = hash_described(chosen, chosen.table, count, seeds.key)
    rows = hash_described(delta.columns, table, count, seeds.row)
    order, sorted_keys, sorted_rows, weights, plain = sort_entries(keys, rows, delta.weights)
    types = tuple(delta.types)
    viewed = [kind == TEXT and i not in key for i, kind in enumerate(table[:, KIND].tolist())]
    columns = gather_columns(types, order, table[None], [delta.columns], range(len(types)), viewed)
    return Run(types, columns, NO_WEIGHTS if plain else weights, sorted_keys, sorted_rows), keys, rows


def merge_runs(*runs: Run, store: ColdStore | None = None) -> Run:
    """The run of all runs' entries, opposite weights cancelled; on disk if a `store` is given. O(bytes).

    Raises StoreError if it cannot be written."""
    if len(runs) == 1:
        return runs[0]
    if len(runs) == 2:
        a, b = runs
        sources, keys, rows, weights, plain = merge_entries(
            a.key_hashes, a.row_hashes, a.kept_weights, b.key_hashes, b.row_hashes, b.kept_weights
        )
    else:
        parts = [(_address(r.key_hashes), _address(r.row_hashes), _address(r.kept_weights), r.num_rows) for r in runs]
        sources, keys, rows, weights, plain = merge_many(np.array(parts, np.int64))
    columns = gather_runs(runs, sources, store)
    merged = Run(runs[0].types, columns, NO_WEIGHTS if plain else weights, keys, rows)
    return merged if store is None or not merged.num_rows else merged.store(store)


def gather_runs(runs: Sequence[Entries], sources: npt.NDArray[np.int64], store: ColdStore | None) -> Columns:
    """All columns at `sources` (kernels.py); for a run that goes to disk if a `store` is given.

    Raises StoreError if there is no space. O(bytes)."""
    types = runs[0].types
    # A view of what is on disk would keep the whole file.
    every = [run.columns for run in runs]
    viewed = [store is None and all(parts) for parts in zip(*(c.viewed for c in every), strict=True)]
    tables = np.array([run.table for run in runs])
    allocate = pa.allocate_buffer if store is None else store.allocate
    return gather_columns(types, sources, tables, every, range(len(types)), viewed, allocate)


def filter_run(run: Run, kept: npt.NDArray[np.bool_]) -> Run:
    """The run of the entries where `kept` is true. O(bytes), nothing if that is all of them."""
    if kept.all():
        return run
    positions = np.flatnonzero(kept)
    columns, weights = take_entries(run, positions)
    if not len(run.kept_weights):
        weights = NO_WEIGHTS
    return Run(run.types, columns, weights, run.key_hashes[positions], run.row_hashes[positions])


def take_entries(run: Entries, positions: npt.NDArray[np.int64]) -> tuple[Columns, Weights]:
    """Columns and weights of some entries, in memory. O(bytes)."""
    # Through a delta, so that texts of the entries that go are not kept alive by views.
    delta = run.delta.take(positions)
    order, every = np.arange(delta.num_rows), range(len(run.types))
    columns = gather_columns(run.types, order, delta.table[None], [delta.columns], every, run.columns.viewed)
    return columns, delta.weights


def _address(values: npt.NDArray[Any]) -> int:
    # A buffer's address costs less to find out than an array's. It fails for what is not contiguous.
    address: int = pa.py_buffer(values).address if len(values) else 0
    return address
