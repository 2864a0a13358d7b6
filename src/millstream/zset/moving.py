"""Gathering: new columns out of entries of several deltas' columns.

`gather_columns` is `take` over more than one source at once. Flat types go through one kernel call for all columns,
which is what keeps steps of a few rows cheap; lists, maps and structs go through Arrow. O(bytes moved).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import (
    BITS,
    BYTES,
    KIND,
    NULLS,
    OTHER,
    POSITION_MASK,
    SOURCE_SHIFT,
    TABLE_WIDTH,
    TEXT,
    VALID,
    VIEW,
    Table,
    layout,
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
) -> tuple[tuple[Any, ...], Table]:
    """The `wanted` columns, of `types`, at `sources` (kernels.py), and their table.

    `columns[s]` are the columns of source s, arrays or views, and tables[s] their table. The result has views where
    `viewed` says so, arrays elsewhere.
    """
    count = len(sources)
    # A bitmap is needed where any source has one; most columns have none.
    nullable: list[bool] = tables[:, :, VALID].any(axis=0).tolist()  # type: ignore[assignment]  # axis=0 gives an array
    buffers: list[list[Any]] = []
    lines: list[tuple[int, ...]] = []
    has_text = False
    for o, (column, data_type) in enumerate(zip(wanted, types, strict=True)):
        kind, width = layout(data_type)
        if viewed is not None and viewed[o]:
            kind, width = VIEW, VIEW_BYTES
        valid = values = None
        data = valid_address = 0
        if kind != NULLS and kind != OTHER:
            if kind == TEXT:
                has_text = True
                size = 8 * count + 8
            else:
                size = (count + 7) >> 3 if kind == BITS else count * width
            values = pa.allocate_buffer(size)
            data = values.address
            if nullable[column]:
                valid = pa.allocate_buffer((count + 7) >> 3)
                valid_address = valid.address
        lines.append((kind, width, data, valid_address, 0, 0))
        buffers.append([valid, values])
    out = np.array(lines, np.int64).reshape(-1, TABLE_WIDTH)
    gather(tables, sources, np.array(wanted, np.int64), out)
    if has_text:
        _gather_text(tables, sources, wanted, out, buffers)
    result = []
    for o, (data_type, (kind, _, _, valid_address, _, _)) in enumerate(zip(types, out.tolist(), strict=True)):
        if kind == OTHER:
            array = _take_other([source[wanted[o]] for source in columns], sources)
            if array.null_count:
                out[o, VALID] = array.buffers()[0].address
        elif kind == NULLS:
            array = pa.nulls(count)
        else:
            if not valid_address:
                buffers[o][0] = None
            if kind == VIEW:
                valid, words = buffers[o]
                result.append(views_of(words, valid, _owners([source[wanted[o]] for source in columns])))
                continue
            array = pa.Array.from_buffers(data_type, count, buffers[o], -1 if valid_address else 0)
        result.append(array)
    return tuple(result), out


def _gather_text(
    tables: npt.NDArray[np.int64],
    sources: Positions,
    wanted: Sequence[int],
    out: Table,
    buffers: list[list[Any]],
) -> None:
    """Allocates and fills the characters of TEXT columns, now that the offsets say how many there are."""
    for o in np.flatnonzero(out[:, KIND] == TEXT).tolist():
        offsets = np.frombuffer(buffers[o][1], np.int64)
        characters = pa.allocate_buffer(int(offsets[len(sources)]))
        out[o, BYTES] = characters.address
        buffers[o].append(characters)
    gather_text(tables, sources, np.array(wanted, np.int64), out)


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
