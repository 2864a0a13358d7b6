"""List and map columns taken apart into elements and put together again, without loops over rows.

A column of n lists is the concatenation of its elements and, for each, the row that owns it: `Elements`. Functions of
arrays are then functions of these two columns: they choose elements by index (`take`), in an order in which owners
ascend. Lists that are NULL own nothing; whether a row is NULL is said apart from its elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.ranks import Ranks, ranks
from millstream.expressions.vectors import Bools, valid_of, validity_buffer
from millstream.types import SqlType

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Elements:
    """`owners[i]` is the row of `values[i]`; owners ascend. `num_rows`: of the column."""

    values: pa.Array
    owners: Indices
    num_rows: int

    def take(self, indices: Indices | Bools) -> Elements:
        """The elements at `indices`, or where a mask is true; their owners must ascend."""
        positions = np.flatnonzero(indices) if indices.dtype == np.bool_ else indices
        return Elements(self.values.take(pa.array(positions)), self.owners[positions], self.num_rows)

    @property
    def counts(self) -> Indices:
        """The number of elements of each row."""
        return np.bincount(self.owners, minlength=self.num_rows)

    @property
    def offsets(self) -> Indices:
        """Where the elements of each row start; one more than rows."""
        return np.concatenate(([0], np.cumsum(self.counts)))


def elements_of(lists: pa.Array) -> Elements:
    """The elements of a list column."""
    owners = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    return Elements(pc.list_flatten(lists), owners, len(lists))


def singles(values: pa.Array) -> Elements:
    """Each row with one element."""
    return Elements(values, np.arange(len(values)), len(values))


def chained(parts: Sequence[Elements]) -> Elements:
    """Per row the elements of all parts, one part after the other."""
    owners = np.concatenate([part.owners for part in parts])
    order = np.argsort(owners, kind="stable")
    values = pa.concat_arrays([part.values for part in parts])
    return Elements(values.take(pa.array(order)), owners[order], parts[0].num_rows)


def present_in(*columns: pa.Array) -> Bools | None:
    """The rows in which no column is NULL; None when those are all."""
    present: Bools | None = None
    for column in columns:
        valid = valid_of(column)
        if valid is not None:
            present = valid if present is None else present & valid
    return present


def lists_of(elements: Elements, present: Bools | None, data_type: pa.DataType) -> pa.Array:
    """The list column of elements; rows that are not `present` are NULL."""
    if present is not None:
        elements = elements.take(present[elements.owners])
    bits = None if present is None else validity_buffer(present)
    values = elements.values
    if values.type != data_type.value_type:
        values = values.cast(data_type.value_type)
    buffers = [bits, pa.py_buffer(elements.offsets.astype(np.int64))]
    return pa.Array.from_buffers(data_type, elements.num_rows, buffers, children=[values])


def sorted_by(elements: Elements, keys: Ranks) -> Indices:
    """The order of elements by owner, then key."""
    return np.lexsort((keys, elements.owners))


def first_of_each(owners: Indices, keys: Ranks) -> Bools:
    """Which elements differ in owner or key from the one before: the first of each run of equal ones."""
    first = np.ones(len(owners), np.bool_)
    first[1:] = (owners[1:] != owners[:-1]) | (keys[1:] != keys[:-1])
    return first


# ---- maps --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entries:
    """Keys and values of map entries, and the rows that own them."""

    keys: pa.Array
    items: pa.Array
    owners: Indices
    num_rows: int


def entries_of(maps: pa.Array) -> Entries:
    """The entries of a map column."""
    offsets = np.asarray(maps.offsets).astype(np.int64)
    start, stop = int(offsets[0]), int(offsets[-1])
    owners = np.repeat(np.arange(len(maps)), np.diff(offsets))
    keys, items = maps.keys.slice(start, stop - start), maps.items.slice(start, stop - start)
    valid = valid_of(maps)
    if valid is not None and not valid[owners].all():
        kept = np.flatnonzero(valid[owners])
        keys, items, owners = keys.take(pa.array(kept)), items.take(pa.array(kept)), owners[kept]
    return Entries(keys, items, owners, len(maps))


def maps_of(entries: Entries, present: Bools | None, data_type: pa.DataType, key_type: SqlType) -> pa.Array:
    """The map column of entries in any order: sorted by key, the last of equal keys kept, no entry with a NULL key."""
    rank = ranks(entries.keys, key_type)
    usable = rank > 0 if present is None else (rank > 0) & present[entries.owners]
    order = np.lexsort((np.arange(len(rank)), rank, entries.owners))
    order = order[usable[order]]
    owners, keys = entries.owners[order], rank[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (owners[1:] != owners[:-1]) | (keys[1:] != keys[:-1])
    kept = pa.array(order[last])
    counts = np.bincount(owners[last], minlength=entries.num_rows)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    fields = [data_type.key_field, data_type.item_field]
    children = [_typed(entries.keys.take(kept), fields[0].type), _typed(entries.items.take(kept), fields[1].type)]
    pairs = pa.StructArray.from_arrays(children, fields=fields)
    bits = None if present is None else validity_buffer(present)
    return pa.Array.from_buffers(data_type, entries.num_rows, [bits, pa.py_buffer(offsets)], children=[pairs])


def _typed(array: pa.Array, data_type: pa.DataType) -> pa.Array:
    return array if array.type == data_type else array.cast(data_type)


def matches(elements: Elements, wanted: pa.Array, sql_type: SqlType) -> Bools:
    """Which elements are the `wanted` value of their row; NULL is NULL."""
    together = ranks(pa.concat_arrays([_typed(elements.values, wanted.type), wanted]), sql_type)
    return np.asarray(together[: len(elements.owners)] == together[len(elements.owners) :][elements.owners])


def first_match(found: Bools, owners: Indices, num_rows: int) -> Indices:
    """The index of the first match of each row, -1 where there is none."""
    hits = np.flatnonzero(found)
    first: Any = np.full(num_rows, -1, np.int64)
    rows, where = np.unique(owners[hits], return_index=True)
    first[rows] = hits[where]
    return np.asarray(first)
