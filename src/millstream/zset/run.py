"""Runs: immutable deltas sorted by hash, that are their own index.

A run's entries are in order of (key hash, row hash), each row once, no weight zero. Key hashes are uniform, so the
sorted array *is* a hash table: the directory tells for every value of the hashes' top bits where its entries begin, one
or two entries on average, and a look-up is one read of the directory and a short scan. Where one key has many rows the
scan becomes a binary search.

Building costs O(rows): hash, scatter into buckets, gather the columns once. Merging runs costs O(rows), however many
they are: walking their hashes writes down where each entry comes from, opposite weights cancelling on the way; then the
columns are gathered straight from all runs.

Rows are identified by their pair of hashes, 128 bits. Rows with the same key differ in the row hash only: a key with a
million rows mistakes two of them for each other with probability 3e-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import Table, describe
from millstream.zset.delta import Delta
from millstream.zset.hashing import Hashes, Seeds, hash_described
from millstream.zset.kernels import build_directory, merge_entries, merge_many, sort_entries
from millstream.zset.moving import Positions, gather_columns


@dataclass(frozen=True)
class Run:
    """A consolidated delta in order of (key hash, row hash). `table` describes the columns to kernels (columns.py)."""

    delta: Delta
    key_hashes: Hashes
    row_hashes: Hashes
    table: Table

    @property
    def num_rows(self) -> int:
        """Number of entries."""
        return len(self.key_hashes)

    @cached_property
    def directory(self) -> npt.NDArray[np.uint32]:
        """directory[b] is the number of entries whose key hash has top bits below b; it has one entry more than there
        are values of those bits. O(rows) when first asked for: runs that are never probed need none."""
        return build_directory(self.key_hashes)

    @property
    def nbytes(self) -> int:
        """Bytes of memory: values, weights, hashes and directory. O(columns)."""
        columns = sum(column.nbytes for column in self.delta.columns)
        directory = self.directory.nbytes if "directory" in self.__dict__ else 0
        return int(columns + 24 * self.num_rows + directory)

    @cached_property
    def index_line(self) -> tuple[int, int, int, int]:
        """What `probe_runs` wants to know: where hashes and directory are, the directory's bits, the weights."""
        bits = len(self.directory).bit_length() - 1
        weights = self.delta.weights
        return (self.key_hashes.ctypes.data, self.directory.ctypes.data, bits, weights.ctypes.data)


def build_run(delta: Delta, key: Sequence[int], seeds: Seeds) -> Run:
    """The run of `delta`'s entries, indexed by the columns `key`. O(bytes)."""
    count = delta.num_rows
    table = describe(delta.columns)
    keys = hash_described([delta.columns[i] for i in key], table[list(key)], count, seeds.key)
    rows = hash_described(delta.columns, table, count, seeds.row)
    order, keys, rows, weights = sort_entries(keys, rows, delta.weights)
    return _gather_run([column.type for column in delta.columns], order, [delta], [table], keys, rows, weights)


def merge_runs(*runs: Run) -> Run:
    """The run of all runs' entries, opposite weights cancelled. O(bytes)."""
    if len(runs) == 1:
        return runs[0]
    if len(runs) == 2:
        a, b = runs
        sources, keys, rows, weights = merge_entries(
            a.key_hashes, a.row_hashes, a.delta.weights, b.key_hashes, b.row_hashes, b.delta.weights
        )
    else:
        parts = [(_address(r.key_hashes), _address(r.row_hashes), _address(r.delta.weights), r.num_rows) for r in runs]
        sources, keys, rows, weights = merge_many(np.array(parts, np.int64))
    types = [column.type for column in runs[0].delta.columns]
    return _gather_run(types, sources, [r.delta for r in runs], [r.table for r in runs], keys, rows, weights)


def _address(values: npt.NDArray[Any]) -> int:
    assert values.flags.c_contiguous
    return values.ctypes.data


def _gather_run(
    types: Sequence[pa.DataType],
    sources: Positions,
    deltas: Sequence[Delta],
    tables: Sequence[Table],
    keys: Hashes,
    rows: Hashes,
    weights: npt.NDArray[np.int64],
) -> Run:
    """The run of the entries at `sources`, whose hashes and weights are given."""
    columns, table = gather_columns(
        types, sources, np.array(tables), [delta.columns for delta in deltas], range(len(types))
    )
    return Run(Delta(columns, weights), keys, rows, table)
