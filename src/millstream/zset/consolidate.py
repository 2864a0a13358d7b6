"""Consolidation: one entry per row, none of weight zero; and sorting by value for ordered output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.zset.columns import KIND, OTHER, TEXT
from millstream.zset.delta import Delta
from millstream.zset.hash_kernels import hash_table
from millstream.zset.hashing import Seeds, hash_pairs
from millstream.zset.kernels import find_repeated, sort_entries
from millstream.zset.moving import gather_columns


class SortOrder(Protocol):
    """What `sort_rows` needs to know of an ORDER BY key; plan nodes have their own class of this shape."""

    @property
    def column(self) -> int: ...
    @property
    def descending(self) -> bool: ...
    @property
    def nulls_first(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by `column`."""

    column: int
    descending: bool = False
    nulls_first: bool = False


def consolidate(delta: Delta, seeds: Seeds) -> Delta:
    """The same change with every row at most once and no weight of zero; the order of entries is arbitrary.

    Rows are the same when both hashes of all columns are. O(bytes). A delta that is consolidated already
    is returned as it is; texts are looked at only of rows that numbers and times alone do not tell apart.
    """
    count = delta.num_rows
    if count == 0 or (count == 1 and delta.weights[0]):
        return delta
    suspects = _suspects(delta, seeds)
    if suspects is not None and not len(suspects):
        return delta
    part = delta if suspects is None else delta.take(suspects)
    keys, rows = hash_pairs(part.columns, part.table, part.num_rows, seeds)
    order, _, _, weights, _ = sort_entries(keys, rows, part.weights)
    if len(order) == part.num_rows:
        return delta
    # In the order of the delta: memory is read from start to end.
    totals = delta.weights.copy()
    totals[slice(None) if suspects is None else suspects] = 0
    totals[order if suspects is None else suspects[order]] = weights
    left = totals.nonzero()[0]
    types = delta.types
    columns = gather_columns(types, left, delta.table[None], [delta.columns], range(len(types)))
    return Delta(columns, totals[left])


def _suspects(delta: Delta, seeds: Seeds) -> npt.NDArray[np.int64] | None:
    """Ascending positions, those of all rows that may be in the delta twice or have a weight of zero; None where it
    does not pay to find out."""
    if not delta.weights.all():
        return None
    kinds = delta.table[:, KIND]
    plain = delta.table[(kinds != TEXT) & (kinds != OTHER)]
    if not len(plain):
        return None
    repeated: npt.NDArray[np.int64] = find_repeated(hash_table(plain, delta.num_rows, np.uint64(seeds.key)))
    return repeated if 2 * len(repeated) < delta.num_rows else None


def sort_rows(delta: Delta, keys: Sequence[SortOrder]) -> Delta:
    """The same entries ordered by `keys`, the first one deciding; entries with equal keys keep their order.

    O(rows log rows). Columns of keys are of types that Arrow can sort: not lists, maps or structs.
    """
    columns: list[pa.Array] = []
    orders: list[tuple[str, str]] = []
    for key in keys:
        column = delta.columns[key.column]
        if column.null_count and column.null_count < len(column):
            orders.append((str(len(columns)), "descending" if key.nulls_first else "ascending"))
            columns.append(pc.is_null(column))
        if column.null_count < len(column):
            orders.append((str(len(columns)), "descending" if key.descending else "ascending"))
            columns.append(column)
    if not columns:
        return delta
    table = pa.Table.from_arrays(columns, [name for name, _ in orders])
    return delta.take(pc.sort_indices(table, sort_keys=orders).to_numpy().astype(np.int64))
