"""Consolidation: one entry per row, none of weight zero; and sorting by value for ordered output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Hashes, Seeds, hash_columns

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by `column`; NULLs go last when ascending and first when descending unless `nulls_first` says otherwise."""

    column: int
    descending: bool = False
    nulls_first: bool | None = None


def sort_hashes(
    key_hashes: Hashes, row_hashes: Hashes, weights: Weights
) -> tuple[Positions, Hashes, Hashes, Weights]:
    """Entries by (key hash, row hash), equal pairs merged, zero weights dropped.

    Gives the position of one original entry for each that remains, its hashes and its total weight.
    """
    order = np.lexsort((row_hashes, key_hashes))
    keys = key_hashes[order]
    rows = row_hashes[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    starts = np.flatnonzero(first)
    totals = np.add.reduceat(weights[order], starts) if len(starts) else weights[:0]
    kept = starts[totals != 0]
    return order[kept], keys[kept], rows[kept], totals[totals != 0]


def consolidate(delta: Delta, seeds: Seeds) -> Delta:
    """The same change with every row at most once and no weight of zero; the order of entries is arbitrary."""
    keys = hash_columns(delta.columns, delta.num_rows, seeds.key)
    rows = hash_columns(delta.columns, delta.num_rows, seeds.row)
    order, _, _, weights = sort_hashes(keys, rows, delta.weights)
    return Delta(delta.take(order).columns, weights)


def sort_rows(delta: Delta, keys: Sequence[SortKey]) -> Delta:
    """The same entries ordered by `keys`, the first one deciding; entries with equal keys keep their order."""
    columns: list[pa.Array] = []
    orders: list[tuple[str, str]] = []
    for key in keys:
        column = delta.columns[key.column]
        nulls_first = key.descending if key.nulls_first is None else key.nulls_first
        if column.null_count:
            orders.append((str(len(columns)), "descending" if nulls_first else "ascending"))
            columns.append(pc.is_null(column))
        orders.append((str(len(columns)), "descending" if key.descending else "ascending"))
        columns.append(column)
    if not columns:
        return delta
    table = pa.Table.from_arrays(columns, [str(i) for i in range(len(columns))])
    return delta.take(pc.sort_indices(table, sort_keys=orders).to_numpy().astype(np.int64))
