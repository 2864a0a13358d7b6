"""Members of VARIANT columns found in their texts, without decoding them.

VARIANT texts are compact JSON with one spelling for each key (types/variant.py), so the member of key k follows the
bytes of `"k":` at the top level of an object, and its end is the next comma or bracket of that level. Tags are single
bytes that are part of the values. Cost: one pass over the bytes up to the member.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.vectors import validity_buffer
from millstream.zset.compiled import READ_ONLY_BYTES, kernel, kernel_for

_QUOTE, _BACKSLASH, _COMMA = ord('"'), ord("\\"), ord(",")
_OPEN_LIST, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP = ord("["), ord("]"), ord("{"), ord("}")


@kernel
def _after_string(data: Any, at: Any, end: Any) -> Any:
    """The position after the string that starts at `at`."""
    at += 1
    while at < end and data[at] != _QUOTE:
        at += 2 if data[at] == _BACKSLASH else 1
    return min(at + 1, end)


@kernel
def _after_value(data: Any, at: Any, end: Any) -> Any:
    """The position of the comma or bracket that ends the value at `at`."""
    depth = 0
    while at < end:
        byte = data[at]
        if byte == _QUOTE:
            at = _after_string(data, at, end)
            continue
        if byte in (_OPEN_LIST, _OPEN_MAP):
            depth += 1
        elif byte in (_CLOSE_LIST, _CLOSE_MAP):
            if depth == 0:
                return at
            depth -= 1
        elif byte == _COMMA and depth == 0:
            return at
        at += 1
    return end


@kernel_for(f"uint8[::1], int64[::1], boolean[::1], {READ_ONLY_BYTES}, int64[::1], int64[::1]")
def _find_key(data: Any, offsets: Any, valid: Any, key: Any, starts: Any, ends: Any) -> None:
    """Where the member of `key` (with quotes and colon) is in each object; an empty span where there is none."""
    width = len(key)
    for row in range(len(starts)):
        at, end = offsets[row], offsets[row + 1]
        starts[row] = ends[row] = 0
        if not valid[row] or at == end or data[at] != _OPEN_MAP:
            continue
        at += 1
        while at < end and data[at] == _QUOTE:
            found = at + width <= end
            i = 0
            while found and i < width:
                found = data[at + i] == key[i]
                i += 1
            value = at + width if found else _after_string(data, at, end) + 1
            at = _after_value(data, value, end)
            if found:
                starts[row], ends[row] = value, at
                break
            at += 1


@kernel_for("uint8[::1], int64[::1], boolean[::1], int64, int64[::1], int64[::1]")
def _find_index(data: Any, offsets: Any, valid: Any, index: Any, starts: Any, ends: Any) -> None:
    """Where element `index` (from 1) is in each array."""
    for row in range(len(starts)):
        at, end = offsets[row], offsets[row + 1]
        starts[row] = ends[row] = 0
        if not valid[row] or at + 1 >= end or data[at] != _OPEN_LIST or data[at + 1] == _CLOSE_LIST:
            continue
        at += 1
        position = 1
        while at < end:
            stop = _after_value(data, at, end)
            if position == index:
                starts[row], ends[row] = at, stop
                break
            position += 1
            at = stop + 1


@kernel_for("uint8[::1], int64[::1], int64[::1], uint8[::1]")
def _copy(data: Any, starts: Any, offsets: Any, out: Any) -> None:
    for row in range(len(starts)):
        for i in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + i] = data[starts[row] + i]


def _parts(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    flat = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return flat, offsets, np.asarray(column.is_valid().to_numpy(zero_copy_only=False))


def _sliced(column: pa.Array, find: Any, wanted: Any) -> pa.Array:
    if len(column) == 0 or column.null_count == len(column):
        return pa.nulls(len(column), column.type)
    data, offsets, valid = _parts(column)
    starts, ends = np.empty(len(column), np.int64), np.empty(len(column), np.int64)
    find(data, offsets, valid, wanted, starts, ends)
    placed = np.concatenate(([0], np.cumsum(ends - starts)))
    out = np.empty(int(placed[-1]), np.uint8)
    _copy(data, starts, placed, out)
    buffers = [validity_buffer(ends > starts), pa.py_buffer(placed), pa.py_buffer(out)]
    return pa.Array.from_buffers(column.type, len(column), buffers)


def members_of_key(column: pa.Array, key: str) -> pa.Array:
    """The member of a key, given as JSON with its quotes, of each object; NULL of anything else."""
    return _sliced(column, _find_key, np.frombuffer(f"{key}:".encode(), np.uint8))


def members_of_index(column: pa.Array, index: int) -> pa.Array:
    """Element `index`, from 1, of each array; NULL of anything else."""
    return _sliced(column, _find_index, index)


def warm_up() -> None:
    """Calls every kernel once on a tiny input."""
    column = pa.array(['{"a":[1,"b"],"c":2}', "[1,2]"], pa.large_string())
    members_of_key(column, '"c"')
    members_of_index(column, 2)
