"""Gathering: new columns out of entries of several deltas' columns.

`gather_columns` is `take` over more than one source at once, `take_columns` that of one. Flat types go through one
kernel call for all columns, which is what keeps steps of a few rows cheap; lists, maps and structs go through Arrow.
O(bytes moved).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import (
    BYTES,
    KIND,
    NULLS,
    OTHER,
    POSITION_MASK,
    SOURCE_SHIFT,
    TEXT,
    VALID,
    VIEW,
    Table,
)
from millstream.zset.gather_kernels import gather, gather_text, lay_out, text_sizes
from millstream.zset.gathered import Columns, Gathered, piece_of
from millstream.zset.views import VIEW_BYTES, views_of

Positions = npt.NDArray[np.int64]

_NO_FLAGS = np.zeros(0, np.bool_)
# Up to so many rows are concatenated row by row: what copying whole columns costs besides does not pay.
_FEW_ROWS = 4096


def gather_columns(
    types: Sequence[pa.DataType],
    sources: Positions,
    tables: npt.NDArray[np.int64],
    columns: Sequence[Columns],
    wanted: Sequence[int],
    viewed: Sequence[bool] | None = None,
    allocate: Callable[[int], pa.Buffer] = pa.allocate_buffer,
) -> Columns:
    """The `wanted` columns, of `types`, at `sources` (kernels.py).

    `columns[s]` are the columns of source s, arrays or views, and tables[s] their table. The result has views where
    `viewed` says so, arrays elsewhere. `allocate` gives the memory, but that of nested columns.
    """
    count = len(sources)
    numbers = _numbers(tuple(wanted))
    out, size, num_views, num_texts, num_others = lay_out(
        tables, numbers, _NO_FLAGS if viewed is None else np.array(viewed, np.bool_), count
    )
    space = allocate(size)
    gather(tables, sources, numbers, out, space.address)
    made: list[Any] = [None] * len(numbers)
    characters: dict[int, pa.Buffer] = {}
    if num_texts or num_views or num_others:
        kinds = out[:, KIND].tolist()
        if num_texts:
            _gather_text(tables, sources, numbers, kinds, out, characters, allocate)
        if num_views:
            _make_views(count, columns, wanted, kinds, out, space, made)
        if num_others:
            _take_others(columns, sources, wanted, kinds, out, made)
    gathered = Gathered(types, count, out, space, characters, made)
    return Columns([(gathered, o) for o in range(len(made))], out)


@dataclass(frozen=True, slots=True)
class Sources:
    """Entries of several deltas or runs: `places[i]` is the source and the position in it (kernels.py); tables[s]
    describes the columns of source s, all of `types`, which are columns[s]."""

    types: Sequence[pa.DataType]
    places: Positions
    tables: npt.NDArray[np.int64]
    columns: Sequence[Columns]


def gather_sources(parts: Sequence[Sources]) -> Columns:
    """All columns of the entries of all parts, one part after the other. O(bytes moved)."""
    places, first = [], 0
    for part in parts:
        places.append(part.places + (first << SOURCE_SHIFT))
        first += len(part.columns)
    types = parts[0].types
    tables = np.concatenate([part.tables for part in parts])
    columns = [source for part in parts for source in part.columns]
    return gather_columns(types, np.concatenate(places), tables, columns, range(len(types)))


def take_columns(columns: Sequence[pa.Array], positions: Positions) -> Columns:
    """The columns' values at `positions`, which must exist."""
    if not (positions.flags.c_contiguous and positions.flags.writeable):
        positions = positions.copy()
    columns = Columns.of(columns)
    return gather_columns(columns.types, positions, columns.table[None], [columns], range(len(columns)))


def concat_columns(parts: Sequence[Sequence[pa.Array]], counts: Sequence[int]) -> Columns:
    """The columns of parts that have so many rows each, one part after the other. O(bytes)."""
    if sum(counts) > _FEW_ROWS:
        return Columns([pa.concat_arrays(pieces) for pieces in zip(*parts, strict=True)])
    # One call of a kernel, and no arrays, for all columns.
    columns = [Columns.of(part) for part in parts]
    types = columns[0].types
    every = zip(columns, counts, strict=True)
    return gather_sources([Sources(types, np.arange(count), c.table[None], [c]) for c, count in every])


@lru_cache(maxsize=1024)
def _numbers(wanted: tuple[int, ...]) -> Positions:
    return np.array(wanted, np.int64)


def _gather_text(
    tables: npt.NDArray[np.int64],
    sources: Positions,
    wanted: Positions,
    kinds: Sequence[int],
    out: Table,
    characters: dict[int, pa.Buffer],
    allocate: Callable[[int], pa.Buffer],
) -> None:
    """Allocates and fills the characters of TEXT columns, now that the offsets say how many there are."""
    for o, size in enumerate(text_sizes(out, len(sources)).tolist()):
        if kinds[o] == TEXT:
            characters[o] = allocate(size)
            out[o, BYTES] = characters[o].address
    gather_text(tables, sources, wanted, out)


def _make_views(
    count: int,
    columns: Sequence[Columns],
    wanted: Sequence[int],
    kinds: Sequence[int],
    out: Table,
    space: pa.Buffer,
    made: list[Any],
) -> None:
    """Makes the columns of kind VIEW, whose words are in `space`."""
    for o, kind in enumerate(kinds):
        if kind == VIEW:
            _, _, data, bitmap, _, _ = out[o].tolist()
            words = piece_of(space, data, count * VIEW_BYTES)
            valid = piece_of(space, bitmap, (count + 7) >> 3) if bitmap else None
            owners = [buffer for source in columns for buffer in source.characters(wanted[o])]
            made[o] = views_of(words, valid, owners)


def _take_others(
    columns: Sequence[Columns],
    sources: Positions,
    wanted: Sequence[int],
    kinds: Sequence[int],
    out: Table,
    made: list[Any],
) -> None:
    """Makes the nested columns, and those of nothing but NULLs."""
    for o, kind in enumerate(kinds):
        if kind == NULLS:
            made[o] = pa.nulls(len(sources))
        elif kind == OTHER:
            made[o] = _take_other([source[wanted[o]] for source in columns], sources)
            if made[o].null_count:
                out[o, VALID] = made[o].buffers()[0].address


def _take_other(arrays: Sequence[pa.Array], sources: Positions) -> pa.Array:
    """The same for one nested column."""
    if len(arrays) == 1:
        return arrays[0].take(pa.array(sources))
    owners = sources >> SOURCE_SHIFT
    positions = sources & POSITION_MASK
    sizes = np.array([len(array) for array in arrays])
    if sizes.sum() <= 2 * len(sources):
        starts = np.cumsum(sizes) - sizes
        return pa.concat_arrays(arrays).take(pa.array(positions + starts[owners]))
    # Few entries out of large sources: take first, then restore the order.
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(len(arrays) + 1))
    parts = [array.take(pa.array(positions[order[bounds[s] : bounds[s + 1]]])) for s, array in enumerate(arrays)]
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    return pa.concat_arrays(parts).take(pa.array(inverse))
