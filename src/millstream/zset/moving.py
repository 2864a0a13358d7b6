"""Gathering: new columns out of entries of several deltas' columns.

`gather_columns` is `take` over more than one source at once, `take_columns` that of one. Flat types go through one
kernel call for all columns, which is what keeps steps of a few rows cheap; lists, maps and structs go through Arrow.
O(bytes moved).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import (
    BITS,
    BYTES,
    NULLS,
    OTHER,
    POSITION_MASK,
    SOURCE_SHIFT,
    TABLE_WIDTH,
    TEXT,
    VALID,
    VIEW,
    Table,
    describe,
)
from millstream.zset.gather_kernels import gather, gather_text
from millstream.zset.views import VIEW_BYTES, Views, characters_of, views_of

Positions = npt.NDArray[np.int64]


def gather_columns(
    types: Sequence[pa.DataType],
    sources: Positions,
    tables: npt.NDArray[np.int64],
    columns: Sequence[Sequence[pa.Array]],
    wanted: Sequence[int],
    viewed: Sequence[bool] | None = None,
    allocate: Callable[[int], pa.Buffer] = pa.allocate_buffer,
) -> tuple[tuple[Any, ...], Table]:
    """The `wanted` columns, of `types`, at `sources` (kernels.py), and their table.

    `columns[s]` are the columns of source s, arrays or views, and tables[s] their table. The result has views where
    `viewed` says so, arrays elsewhere. `allocate` gives the memory, but that of nested columns. Every call has
    a fixed cost, and there are many in a step: hence plain lists.
    """
    count = len(sources)
    described = tables[0].tolist()
    # A bitmap is needed where any source has one; most columns have none.
    if len(tables) == 1:
        nullable = [line[VALID] for line in described]
    else:
        nullable = np.any(tables[:, :, VALID], axis=0).tolist()
    kinds: list[int] = []
    buffers: list[list[Any]] = []
    lines: list[tuple[int, ...]] = []
    for o, column in enumerate(wanted):
        kind, width = described[column][:2]
        if viewed is not None and viewed[o]:
            kind, width = VIEW, VIEW_BYTES
        elif kind == VIEW:
            kind, width = TEXT, 0
        valid = values = None
        data = valid_address = 0
        if kind != NULLS and kind != OTHER:
            if kind == TEXT:
                size = 8 * count + 8
            else:
                size = (count + 7) >> 3 if kind == BITS else count * width
            values = allocate(size)
            data = values.address
            if nullable[column]:
                valid = allocate((count + 7) >> 3)
                valid_address = valid.address
        kinds.append(kind)
        lines.append((kind, width, data, valid_address, 0, 0))
        buffers.append([valid, values])
    out = np.array(lines, np.int64).reshape(-1, TABLE_WIDTH)
    numbers = _numbers(tuple(wanted))
    gather(tables, sources, numbers, out)
    if TEXT in kinds:
        _gather_text(tables, sources, numbers, kinds, out, buffers, allocate)
    result: list[Any] = []
    for o, (data_type, kind, parts) in enumerate(zip(types, kinds, buffers, strict=True)):
        if kind == OTHER:
            array = _take_other([source[wanted[o]] for source in columns], sources)
            if array.null_count:
                out[o, VALID] = array.buffers()[0].address
        elif kind == NULLS:
            array = pa.nulls(count)
        else:
            if parts[0] is not None and not out[o, VALID]:
                parts[0] = None
            if kind == VIEW:
                array = views_of(parts[1], parts[0], _owners([source[wanted[o]] for source in columns]))
            else:
                array = pa.Array.from_buffers(data_type, count, parts, 0 if parts[0] is None else -1)
        result.append(array)
    return tuple(result), out


def take_columns(
    columns: Sequence[pa.Array], positions: Positions, table: Table | None = None
) -> tuple[tuple[pa.Array, ...], Table]:
    """The columns' values at `positions`, which must exist, and their table. `table` is that of `columns`."""
    if not (positions.flags.c_contiguous and positions.flags.writeable):
        positions = positions.copy()
    described = describe(columns) if table is None else table
    types = [column.type for column in columns]
    return gather_columns(types, positions, described[None], [columns], range(len(types)))


@lru_cache(maxsize=1024)
def _numbers(wanted: tuple[int, ...]) -> Positions:
    return np.array(wanted, np.int64)


def _gather_text(
    tables: npt.NDArray[np.int64],
    sources: Positions,
    wanted: Positions,
    kinds: Sequence[int],
    out: Table,
    buffers: list[list[Any]],
    allocate: Callable[[int], pa.Buffer],
) -> None:
    """Allocates and fills the characters of TEXT columns, now that the offsets say how many there are."""
    for o, kind in enumerate(kinds):
        if kind == TEXT:
            offsets = np.frombuffer(buffers[o][1], np.int64)
            characters = allocate(int(offsets[len(sources)]))
            out[o, BYTES] = characters.address
            buffers[o].append(characters)
    gather_text(tables, sources, wanted, out)


def _owners(columns: Sequence[pa.Array | Views]) -> Iterator[pa.Buffer]:
    """The buffers with the characters of text columns."""
    for column in columns:
        yield from column.owners if isinstance(column, Views) else characters_of(column)


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
