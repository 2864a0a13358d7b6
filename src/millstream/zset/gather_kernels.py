"""The kernels that move values: straight from the columns of several runs, without concatenating them first."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import (
    BITS,
    BYTES,
    DATA,
    KIND,
    NULLS,
    OTHER,
    POSITION_MASK,
    SOURCE_SHIFT,
    START,
    TABLE_WIDTH,
    TEXT,
    VALID,
    VIEW,
    WIDTH,
)
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import (
    ONE,
    ZERO,
    bit,
    copy_text,
    load8,
    load32,
    load64,
    prefetch,
    store8,
    store32,
    store64,
)

# So many strings are asked for before the first of them is copied.
BATCH = 32


@kernel_for("int64[:, :, ::1], int64[::1], boolean[::1], int64")
def lay_out(tables: Any, columns: Any, viewed: Any, count: Any) -> Any:
    """The table of new columns with `count` values each, one for each of `columns`, whose addresses are relative to
    those of a piece of memory; its size; and the number of columns that are views, texts, and not for kernels.

    Column o is one of views if `viewed[o]`; `viewed` may be empty. VALID is where a bitmap has space, -1 where no table
    has one, and BYTES is 0.
    """
    out = np.zeros((len(columns), TABLE_WIDTH), np.int64)
    size = 0
    views = 0
    texts = 0
    others = 0
    for o in range(len(columns)):
        c = columns[o]
        kind = tables[0, c, KIND]
        width = tables[0, c, WIDTH]
        out[o, VALID] = -1
        if len(viewed) > 0 and viewed[o]:
            kind = np.int64(VIEW)
            width = np.int64(16)
        elif kind == VIEW:
            kind = np.int64(TEXT)
            width = np.int64(0)
        out[o, KIND] = kind
        out[o, WIDTH] = width
        if kind in (NULLS, OTHER):
            others += 1
            continue
        out[o, DATA] = size
        if kind == TEXT:
            texts += 1
            size += 8 * count + 8
        elif kind == BITS:
            size += (count + 7) >> 3
        else:
            views += kind == VIEW
            size += count * width
        size = (size + 15) & -16
        for r in range(len(tables)):
            if tables[r, c, VALID] != 0:
                out[o, VALID] = size
                size = (size + ((count + 7) >> 3) + 15) & -16
                break
    return out, size, views, texts, others


@kernel_for("int64[:, :, ::1], int64[::1], int64[::1], int64[:, ::1], int64")
def gather(tables: Any, sources: Any, columns: Any, out: Any, base: Any) -> None:
    """Copies values of several tables' columns; all but the characters of TEXT, whose offsets it computes.

    `sources[i]` = s * SECOND_SOURCE + p tells that output i is entry p of tables[s]. `out` is what `lay_out` says,
    and `base` the address of the memory, which is added to those in `out`. VALID becomes 0 where no NULL was met.
    """
    for o in range(len(columns)):
        c = columns[o]
        kind = out[o, KIND]
        if kind in (NULLS, OTHER):
            out[o, VALID] = 0
            continue
        out[o, DATA] += base
        if out[o, VALID] < 0 or gather_valid(tables, sources, c, out[o, VALID] + base) == 0:
            out[o, VALID] = 0
        else:
            out[o, VALID] += base
        if kind == TEXT:
            gather_offsets(tables, sources, c, out[o, DATA])
        elif kind == BITS:
            gather_bits(tables, sources, c, out[o, DATA])
        elif kind == VIEW:
            gather_views(tables, sources, c, out[o, DATA])
        else:
            gather_values(tables, sources, c, out[o, WIDTH], out[o, DATA])


@kernel_for("int64[:, ::1], int64")
def text_sizes(out: Any, count: Any) -> Any:
    """The number of bytes of each column of `count` values whose kind is TEXT, from its offsets."""
    sizes = np.zeros(len(out), np.int64)
    for o in range(len(out)):
        if out[o, KIND] == TEXT:
            sizes[o] = np.int64(load64(out[o, DATA], count * 8))
    return sizes


@kernel
def gather_values(tables: Any, sources: Any, c: Any, width: Any, target: Any) -> None:
    """Values of fixed width."""
    starts = tables[:, c, DATA] + tables[:, c, START] * width
    count = len(sources)
    if len(tables) == 1 and width == 8:
        start = starts[0]
        for i in range(count):
            store64(target, i * 8, load64(start, sources[i] * 8))
    elif width == 8:
        for i in range(count):
            source = sources[i]
            store64(target, i * 8, load64(starts[source >> SOURCE_SHIFT], (source & POSITION_MASK) * 8))
    elif width == 4:
        for i in range(count):
            source = sources[i]
            store32(target, i * 4, load32(starts[source >> SOURCE_SHIFT], (source & POSITION_MASK) * 4))
    elif width == 16:
        for i in range(count):
            source = sources[i]
            start = starts[source >> SOURCE_SHIFT] + (source & POSITION_MASK) * 16
            store64(target, i * 16, load64(start, 0))
            store64(target, i * 16 + 8, load64(start, 8))
    else:
        for i in range(count):
            source = sources[i]
            start = starts[source >> SOURCE_SHIFT] + (source & POSITION_MASK) * width
            for b in range(width):
                store8(target, i * width + b, load8(start, b))


@kernel
def gather_bits(tables: Any, sources: Any, c: Any, target: Any) -> None:
    """Values of a BOOLEAN column."""
    byte = ZERO
    for i in range(len(sources)):
        r = sources[i] >> SOURCE_SHIFT
        value = bit(tables[r, c, DATA], (sources[i] & POSITION_MASK) + tables[r, c, START])
        byte |= value << np.uint64(i & 7)
        if i & 7 == 7:
            store8(target, i >> 3, byte)
            byte = ZERO
    if len(sources) & 7:
        store8(target, len(sources) >> 3, byte)


@kernel
def gather_valid(tables: Any, sources: Any, c: Any, target: Any) -> Any:
    """The validity bitmap; returns the number of NULLs."""
    byte = ZERO
    nulls = 0
    for i in range(len(sources)):
        r = sources[i] >> SOURCE_SHIFT
        valid = ONE
        if tables[r, c, VALID] != 0:
            valid = bit(tables[r, c, VALID], (sources[i] & POSITION_MASK) + tables[r, c, START])
        nulls += valid == ZERO
        byte |= valid << np.uint64(i & 7)
        if i & 7 == 7:
            store8(target, i >> 3, byte)
            byte = ZERO
    if len(sources) & 7:
        store8(target, len(sources) >> 3, byte)
    return nulls


@kernel
def text_places(tables: Any, c: Any) -> Any:
    """Of a column of kind TEXT or VIEW, for each table: where places of strings begin, the bytes of a place, what the
    first word of a place is relative to, and 1 where the second word is the end of the string, not its length."""
    count = len(tables)
    starts = np.empty(count, np.int64)
    widths = np.empty(count, np.int64)
    bases = np.empty(count, np.int64)
    ends = np.empty(count, np.uint64)
    for r in range(count):
        text = tables[r, c, KIND] == TEXT
        widths[r] = 8 if text else 16
        starts[r] = tables[r, c, DATA] + tables[r, c, START] * widths[r]
        bases[r] = tables[r, c, BYTES]
        ends[r] = ONE if text else ZERO
    return starts, widths, bases, ends


@kernel
def gather_views(tables: Any, sources: Any, c: Any, target: Any) -> None:
    """Address and length of strings."""
    starts, widths, bases, ends = text_places(tables, c)
    for i in range(len(sources)):
        r = sources[i] >> SOURCE_SHIFT
        start = starts[r] + (sources[i] & POSITION_MASK) * widths[r]
        begin = load64(start, 0)
        store64(target, i * 16, np.uint64(bases[r]) + begin)
        store64(target, i * 16 + 8, load64(start, 8) - begin * ends[r])


@kernel
def gather_offsets(tables: Any, sources: Any, c: Any, target: Any) -> None:
    """The offsets of a TEXT column: one more than values, from 0 to the number of bytes."""
    total = ZERO
    store64(target, 0, total)
    starts, widths, _, ends = text_places(tables, c)
    for i in range(len(sources)):
        r = sources[i] >> SOURCE_SHIFT
        start = starts[r] + (sources[i] & POSITION_MASK) * widths[r]
        total += load64(start, 8) - load64(start, 0) * ends[r]
        store64(target, i * 8 + 8, total)


@kernel_for("int64[:, :, ::1], int64[::1], int64[::1], int64[:, ::1]")
def gather_text(tables: Any, sources: Any, columns: Any, out: Any) -> None:
    """The characters of TEXT columns, to BYTES in `out`; their offsets are those that `gather` computed."""
    count = len(sources)
    begins = np.empty(BATCH, np.int64)
    for o in range(len(columns)):
        c = columns[o]
        if out[o, KIND] != TEXT:
            continue
        starts, widths, bases, _ = text_places(tables, c)
        for low in range(0, count, BATCH):
            # Where the strings of a batch are is found out first, so that they come near at the same time.
            size = min(BATCH, count - low)
            for k in range(size):
                source = sources[low + k]
                r = source >> SOURCE_SHIFT
                begins[k] = bases[r] + np.int64(load64(starts[r], (source & POSITION_MASK) * widths[r]))
                prefetch(begins[k], np.int64(0))
                prefetch(begins[k], np.int64(64))
            for k in range(size):
                offset = np.int64(load64(out[o, DATA], (low + k) * 8))
                length = np.int64(load64(out[o, DATA], (low + k) * 8 + 8)) - offset
                copy_text(out[o, BYTES] + offset, begins[k], length)
