"""Arrow columns as tables of buffer addresses: what kernels see of them.

A kernel must read columns of any type, several at once, out of several runs, without being compiled for every
combination of types. So it is given no arrays: it is given a *table*, an int64 matrix with one line per column

    KIND  how values are laid out: one of the constants below
    WIDTH bytes of a value, for FIXED
    DATA  address of the values (of the 64-bit offsets, for TEXT)
    VALID address of the validity bitmap, 0 when no value is NULL
    START position of the first value, for sliced arrays
    BYTES address of the characters, for TEXT

Texts in runs are views (views.py): DATA has address and length of each.

Whoever passes a table to a kernel must hold the arrays behind it until the kernel returns.

Lists, maps and structs have no line of their own form: they are OTHER, and each user (hashing, equality, gather) has
its own recursion over their children for them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Table = npt.NDArray[np.int64]

NULLS, BITS, FIXED, FLOAT32, FLOAT64, TEXT, OTHER, VIEW = range(8)
KIND, WIDTH, DATA, VALID, START, BYTES = range(6)
TABLE_WIDTH = 6

# A source is the number of a table in its high bits and a position in the low ones.
SOURCE_SHIFT = 40
SECOND_SOURCE = 1 << SOURCE_SHIFT
POSITION_MASK = SECOND_SOURCE - 1

_LAYOUTS: dict[int, tuple[int, int]] = {
    pa.null().id: (NULLS, 0),
    pa.bool_().id: (BITS, 0),
    pa.float32().id: (FLOAT32, 4),
    pa.float64().id: (FLOAT64, 8),
    pa.large_string().id: (TEXT, 0),
    pa.large_binary().id: (TEXT, 0),
    pa.binary(1).id: (FIXED, -1),
    pa.large_list(pa.null()).id: (OTHER, 0),
    pa.map_(pa.int8(), pa.null()).id: (OTHER, 0),
    pa.struct([]).id: (OTHER, 0),
}
for _type in (
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
    pa.decimal128(1), pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("us"), pa.duration("us"),
):  # fmt: skip
    _LAYOUTS[_type.id] = (FIXED, _type.bit_width // 8)


def layout(data_type: pa.DataType) -> tuple[int, int]:
    """The KIND and WIDTH of columns of `data_type`. TypeError for a type that deltas do not hold."""
    try:
        kind, width = _LAYOUTS[data_type.id]
    except KeyError:
        raise TypeError(f"deltas do not hold columns of Arrow type {data_type}") from None
    return (kind, data_type.byte_width) if width < 0 else (kind, width)


def describe_array(column: pa.Array) -> tuple[int, int, int, int, int, int]:
    """The line of a column. Its values are not touched, except to count NULLs not counted before."""
    kind, width = layout(column.type)
    buffers = column.buffers()
    valid = 0
    if buffers[0] is not None and column.null_count:
        valid = buffers[0].address
    data = 0
    characters = 0
    if kind not in (NULLS, OTHER):
        data = 0 if buffers[1] is None else buffers[1].address
        if kind == TEXT and buffers[2] is not None:
            characters = buffers[2].address
    return (kind, width, data, valid, column.offset, characters)
