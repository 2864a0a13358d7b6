"""Runs: immutable deltas sorted by hash, that are their own index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.consolidate import sort_hashes
from millstream.zset.delta import Delta
from millstream.zset.hashing import Hashes, Seeds, hash_columns


@dataclass(frozen=True, slots=True)
class Run:
    """A consolidated delta in order of (key hash, row hash).

    `directory[b]` is the number of entries whose key hash has top bits below b.
    """

    delta: Delta
    key_hashes: Hashes
    row_hashes: Hashes
    directory: npt.NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        """Number of entries."""
        return len(self.key_hashes)

    @property
    def nbytes(self) -> int:
        """Bytes of memory: values, weights, hashes and directory."""
        columns = sum(column.nbytes for column in self.delta.columns)
        return int(columns + 24 * self.num_rows + self.directory.nbytes)


def build_directory(key_hashes: Hashes) -> npt.NDArray[np.int64]:
    """The radix directory of sorted hashes, about two entries a bucket."""
    bits = max(1, len(key_hashes).bit_length() - 1)
    tops = (key_hashes >> np.uint64(64 - bits)).astype(np.int64)
    return np.searchsorted(tops, np.arange((1 << bits) + 1)).astype(np.int64)


def build_run(delta: Delta, key: Sequence[int], seeds: Seeds) -> Run:
    """The run of `delta`'s entries, indexed by the columns `key`. O(rows log rows)."""
    count = delta.num_rows
    keys = hash_columns([delta.columns[i] for i in key], count, seeds.key)
    rows = hash_columns(delta.columns, count, seeds.row)
    order, keys, rows, weights = sort_hashes(keys, rows, delta.weights)
    return Run(Delta(delta.take(order).columns, weights), keys, rows, build_directory(keys))


def merge_runs(a: Run, b: Run) -> Run:
    """The run of both runs' entries, opposite weights cancelled. O(rows)."""
    keys = np.concatenate((a.key_hashes, b.key_hashes))
    rows = np.concatenate((a.row_hashes, b.row_hashes))
    weights = np.concatenate((a.delta.weights, b.delta.weights))
    columns = [pa.concat_arrays([x, y]) for x, y in zip(a.delta.columns, b.delta.columns, strict=True)]
    order, keys, rows, totals = sort_hashes(keys, rows, weights)
    merged = Delta(tuple(columns), weights).take(order)
    return Run(Delta(merged.columns, totals), keys, rows, build_directory(keys))
