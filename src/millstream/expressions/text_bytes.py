"""Single characters and numbers made of the first bytes of texts, a column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.text_kernels import bytes_of
from millstream.expressions.vectors import valid_of, validity_buffer


def _leading(column: pa.Array, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first `count` bytes of each text, a row each, 0 beyond its end; and the lengths."""
    data, offsets = bytes_of(column)
    sizes = np.diff(offsets)
    places = offsets[:-1, None] + np.arange(count)
    found = data[np.minimum(places, len(data) - 1)].astype(np.int64)
    return np.where(np.arange(count) < sizes[:, None], found, 0), sizes


def first_code_points(column: pa.Array) -> npt.NDArray[np.int32]:
    """The code point of the first character of each text, 0 of an empty one."""
    first, second, third, fourth = _leading(column, 4)[0].T
    second, third, fourth = second & 0x3F, third & 0x3F, fourth & 0x3F
    found = np.where(first < 0x80, first, (first & 0x1F) << 6 | second)
    found = np.where(first >= 0xE0, (first & 0x0F) << 12 | second << 6 | third, found)
    return np.where(first >= 0xF0, (first & 0x07) << 18 | second << 12 | third << 6 | fourth, found).astype(np.int32)


def leading_integers(column: pa.Array) -> npt.NDArray[np.int32]:
    """The first four bytes, or all of a shorter one, as a big-endian integer; four bytes have a sign."""
    leading, sizes = _leading(column, 4)
    number = leading @ np.array([1 << 24, 1 << 16, 1 << 8, 1])
    return (number >> 8 * np.maximum(4 - sizes, 0)).astype(np.uint32).view(np.int32)


def characters(codes: pa.Array) -> pa.Array:
    """The character of each code point; '' where there is none, as for 0 and surrogates."""
    code: Any = np.asarray(codes.fill_null(0)).astype(np.int64)
    code = np.where((code > 0) & (code <= 0x10FFFF) & ((code < 0xD800) | (code > 0xDFFF)), code, 0)
    tail = [0x80 | (code >> shift & 0x3F) for shift in (12, 6, 0)]
    ranges = (
        (code < 0x80, [code]), (code < 0x800, [0xC0 | code >> 6, tail[2]]),
        (code < 0x10000, [0xE0 | code >> 12, *tail[1:]]), (code >= 0x10000, [0xF0 | code >> 18, *tail]),
    )  # fmt: skip
    sizes = np.select([condition for condition, _ in ranges], [1, 2, 3, 4])
    sizes = np.where(code == 0, 0, sizes)
    rows = np.zeros((len(code), 4), np.uint8)
    for place in range(4):
        rows[:, place] = np.select([c for c, _ in ranges], [(b[place] if place < len(b) else 0) for _, b in ranges])
    flat = rows[np.arange(4) < sizes[:, None]]
    valid = valid_of(codes)
    buffers = [None if valid is None else validity_buffer(valid), np.concatenate(([0], np.cumsum(sizes))), flat]
    return pa.Array.from_buffers(pa.large_string(), len(code), [buffers[0], *map(pa.py_buffer, buffers[1:])])
