"""Parts of texts, found and moved as bytes.

A column of large_string or large_binary is its offsets and its bytes; kernels see those. UTF-8 is self-synchronising,
so searching needs no decoding, and code points are counted by their first bytes. A part of a text is a start and a
length, and `gathered` makes a column of parts. Values under NULLs are looked at like others and must not fail. Kernels
have plain Python twins in tests/expressions/test_text_kernels.py.

Cost: one pass over the bytes up to what is looked for, and one over those that are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.rows import all_ascii
from millstream.expressions.vectors import both_valid, valid_of, validity_buffer
from millstream.zset.compiled import READ_ONLY_BYTES, kernel, kernel_for
from millstream.zset.words import copy, find_byte

Int64s = npt.NDArray[np.int64]
#: A count of characters that no text has.
ALL = 2**62


# ---- columns and parts -------------------------------------------------------------------------------------------


def bytes_of(column: pa.Array) -> tuple[Any, Any]:
    """The bytes and the offsets of a column, as arrays that cannot be written."""
    offsets = np.frombuffer(column.buffers()[1], np.int64, column.offset + len(column) + 1)[column.offset :]
    data = column.buffers()[2]
    flat = np.zeros(1, np.uint8) if data is None or data.size == 0 else np.frombuffer(data, np.uint8)
    flat.flags.writeable = False
    return flat, offsets


def _bits_of(*columns: pa.Array) -> pa.Buffer | None:
    """The validity of a strict function's result."""
    nullable = [column for column in columns if column.null_count]
    if len(nullable) == 1 and nullable[0].offset == 0:
        return nullable[0].buffers()[0]
    valid = both_valid(*(valid_of(column) for column in nullable))
    return None if valid is None else validity_buffer(valid)


def gathered(column: pa.Array, starts: Int64s, lengths: Int64s, *others: pa.Array) -> pa.Array:
    """The parts of a column's bytes, NULL where the column or one of the `others` is."""
    data, _ = bytes_of(column)
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    _gather(data, starts, offsets, out)
    buffers = [_bits_of(column, *others), pa.py_buffer(offsets), pa.py_buffer(out)]
    return pa.Array.from_buffers(column.type, len(starts), buffers)


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], int64[::1], uint8[::1]")
def _gather(data: Any, starts: Any, offsets: Any, out: Any) -> None:
    source, target = data.ctypes.data, out.ctypes.data
    for row in range(len(starts)):
        copy(target + offsets[row], source + starts[row], offsets[row + 1] - offsets[row])


# ---- SPLIT_PART --------------------------------------------------------------------------------------------------


@kernel
def _matches(data: Any, at: Any, needle: Any, low: Any, high: Any) -> Any:
    """Whether needle[low:high] stands at `at`."""
    for i in range(high - low):  # noqa: SIM110 - all() of a generator is no kernel
        if data[at + i] != needle[low + i]:
            return False
    return True


@kernel
def _count_parts(data: Any, at: Any, end: Any, separator: Any) -> Any:
    width = len(separator)
    count = 1
    while at + width <= end:
        if data[at] == separator[0] and _matches(data, at, separator, np.int64(0), width):
            count += 1
            at += width
        else:
            at += 1
    return count


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], {READ_ONLY_BYTES}, int64[::1], int64[::1], int64[::1]")
def _find_parts(data: Any, offsets: Any, separator: Any, numbers: Any, starts: Any, lengths: Any) -> None:
    """Where part numbers[row] of each text is; length -1 where there is none. The separator is not empty."""
    width, first = len(separator), separator[0]
    base = data.ctypes.data
    for row in range(len(starts)):
        at, end, number = offsets[row], offsets[row + 1], numbers[row]
        if number < 0:
            number += _count_parts(data, at, end, separator) + 1
        starts[row], lengths[row] = at, -1
        if number <= 0:
            continue
        count = 1
        last = end - width
        while at <= last:
            at = find_byte(base, at, last + 1, first)
            if at <= last and (width == 1 or _matches(data, at, separator, np.int64(0), width)):
                if count == number:
                    break
                count += 1
                at += width
                starts[row] = at
            else:
                at += 1
        if count == number:
            lengths[row] = (at if at <= last else end) - starts[row]


def parts(column: pa.Array, separator: str, numbers: pa.Array) -> tuple[Int64s, Int64s]:
    """Starts and lengths of the parts between separators, numbered from 1 or from -1 backwards; length -1: no part."""
    data, offsets = bytes_of(column)
    wanted = np.asarray(numbers.fill_null(0)).astype(np.int64)
    if not separator:
        return offsets[:-1].copy(), np.where(np.abs(wanted) == 1, np.diff(offsets), -1)
    starts, lengths = np.empty(len(column), np.int64), np.empty(len(column), np.int64)
    _find_parts(data, offsets, np.frombuffer(separator.encode(), np.uint8), wanted, starts, lengths)
    return starts, lengths


# ---- substrings --------------------------------------------------------------------------------------------------


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], int64[::1], int64[::1], int64[::1], int64[::1]")
def _find_windows(data: Any, offsets: Any, firsts: Any, counts: Any, starts: Any, lengths: Any) -> None:
    """Where counts[row] code points from firsts[row] on are in each text; negative ones count from the end."""
    for row in range(len(starts)):
        low, end, first = offsets[row], offsets[row + 1], firsts[row]
        if first < 0:
            at = end
            while at > low and first < 0:
                at -= 1
                if data[at] & 0xC0 != 0x80:
                    first += 1
        else:
            at = low
            while at < end and (first > 0 or data[at] & 0xC0 == 0x80):
                if data[at] & 0xC0 != 0x80:
                    first -= 1
                at += 1
        starts[row] = at
        count = counts[row]
        if count >= end - at:
            lengths[row] = end - at
            continue
        while at < end and (count > 0 or data[at] & 0xC0 == 0x80):
            if data[at] & 0xC0 != 0x80:
                count -= 1
            at += 1
        lengths[row] = at - starts[row]


def windows(column: pa.Array, firsts: Int64s, counts: Int64s, *others: pa.Array) -> pa.Array:
    """counts[row] characters (bytes of binaries) from 0-based firsts[row] on, a negative one counting from the end."""
    data, offsets = bytes_of(column)
    counts = np.maximum(counts, 0)
    if pa.types.is_large_binary(column.type) or all_ascii(column):
        sizes = np.diff(offsets)
        first = np.where(firsts < 0, np.maximum(sizes + firsts, 0), np.minimum(firsts, sizes))
        return gathered(column, offsets[:-1] + first, np.minimum(counts, sizes - first), *others)
    starts, lengths = np.empty(len(column), np.int64), np.empty(len(column), np.int64)
    _find_windows(data, offsets, firsts.astype(np.int64), counts.astype(np.int64), starts, lengths)
    return gathered(column, starts, lengths, *others)


# ---- searching ---------------------------------------------------------------------------------------------------


@kernel
def _find(data: Any, at: Any, end: Any, needle: Any, low: Any, high: Any) -> Any:
    """The first place of needle[low:high] in data[at:end], -1 if there is none."""
    width = high - low
    if width == 0:
        return at
    first = needle[low]
    last = end - width
    while at <= last:
        at = find_byte(data.ctypes.data, at, last + 1, first)
        if at <= last and (width == 1 or _matches(data, at, needle, low, high)):
            return at
        at += 1
    return -1


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], {READ_ONLY_BYTES}, int64[::1], int64, boolean, int64[::1]")
def _positions(data: Any, offsets: Any, needles: Any, needle_offsets: Any, step: Any, points: Any, found: Any) -> None:
    """The 1-based position of each needle, in code points if `points`; 0 if there is none."""
    for row in range(len(found)):
        begin = offsets[row]
        k = row * step
        at = _find(data, begin, offsets[row + 1], needles, needle_offsets[k], needle_offsets[k + 1])
        position = 0 if at < 0 else at - begin + 1
        if points and at > 0:
            for i in range(begin, at):
                if data[i] & 0xC0 == 0x80:
                    position -= 1
        found[row] = position


def positions(column: pa.Array, needles: pa.Array) -> Int64s:
    """The 1-based positions of needles (one for all rows, or one a row), 0 where there is none."""
    data, offsets = bytes_of(column)
    needle_data, needle_offsets = bytes_of(needles)
    step = 0 if len(needles) == 1 else 1
    found = np.empty(len(column), np.int64)
    points = pa.types.is_large_string(column.type)
    _positions(data, offsets, needle_data, needle_offsets, step, points, found)
    return found


# ---- REPLACE -----------------------------------------------------------------------------------------------------


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], {READ_ONLY_BYTES}, int64[::1], int64, int64[::1], int64, int64[::1]")
def _measure_replaced(
    data: Any, offsets: Any, needles: Any, needle_offsets: Any, step: Any, sizes: Any, size_step: Any, lengths: Any
) -> None:
    """How long each text is after the replacement of its needle by a text of so many bytes."""
    for row in range(len(lengths)):
        begin, end, k = offsets[row], offsets[row + 1], row * step
        low, high, size = needle_offsets[k], needle_offsets[k + 1], sizes[row * size_step]
        length = end - begin
        if low == high:
            length += size
            for i in range(begin, end):
                if data[i] & 0xC0 != 0x80:
                    length += size
        else:
            at = _find(data, begin, end, needles, low, high)
            while at >= 0:
                length += size - (high - low)
                at = _find(data, at + high - low, end, needles, low, high)
        lengths[row] = length


@kernel_for(
    f"{READ_ONLY_BYTES}, int64[::1], {READ_ONLY_BYTES}, int64[::1], int64, {READ_ONLY_BYTES}, int64[::1], int64, "
    "int64[::1], uint8[::1]"
)
def _write_replaced(
    data: Any, offsets: Any, needles: Any, needle_offsets: Any, step: Any, texts: Any, text_offsets: Any,
    text_step: Any, placed: Any, out: Any
) -> None:  # fmt: skip
    source, new, target = data.ctypes.data, texts.ctypes.data, out.ctypes.data
    for row in range(len(placed) - 1):
        begin, end, k, j = offsets[row], offsets[row + 1], row * step, row * text_step
        low, high = needle_offsets[k], needle_offsets[k + 1]
        text, size = text_offsets[j], text_offsets[j + 1] - text_offsets[j]
        to = placed[row]
        if low == high:
            for i in range(begin, end):
                if data[i] & 0xC0 != 0x80:
                    copy(target + to, new + text, size)
                    to += size
                out[to] = data[i]
                to += 1
            copy(target + to, new + text, size)
            continue
        while True:
            at = _find(data, begin, end, needles, low, high)
            kept = (end if at < 0 else at) - begin
            copy(target + to, source + begin, kept)
            to += kept
            if at < 0:
                break
            copy(target + to, new + text, size)
            to += size
            begin = at + high - low


def replaced(column: pa.Array, needles: pa.Array, texts: pa.Array) -> pa.Array:
    """Every occurrence of a needle replaced by a text; those are one for all rows, or one a row. An empty needle stands
    before every code point and at the end."""
    data, offsets = bytes_of(column)
    needle_data, needle_offsets = bytes_of(needles)
    text_data, text_offsets = bytes_of(texts)
    step, text_step = (0 if len(one) == 1 else 1 for one in (needles, texts))
    lengths = np.empty(len(column), np.int64)
    sizes = np.diff(text_offsets)
    _measure_replaced(data, offsets, needle_data, needle_offsets, step, sizes, text_step, lengths)
    placed = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=placed[1:])
    out = np.empty(int(placed[-1]), np.uint8)
    _write_replaced(data, offsets, needle_data, needle_offsets, step, text_data, text_offsets, text_step, placed, out)
    bits = _bits_of(*(c for c in (column, needles, texts) if len(c) == len(column)))
    return pa.Array.from_buffers(column.type, len(column), [bits, pa.py_buffer(placed), pa.py_buffer(out)])


# ---- INITCAP -----------------------------------------------------------------------------------------------------


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], boolean, uint8[::1]")
def _capitalize(data: Any, offsets: Any, blanks_only: Any, out: Any) -> None:
    base = offsets[0]
    for row in range(len(offsets) - 1):
        inside = False
        for at in range(offsets[row], offsets[row + 1]):
            byte = data[at]
            upper, lower = 65 <= byte <= 90, 97 <= byte <= 122
            if inside and upper:
                out[at - base] = byte + 32
            elif not inside and lower:
                out[at - base] = byte - 32
            else:
                out[at - base] = byte
            inside = byte != 32 if blanks_only else upper or lower or 48 <= byte <= 57


def capitalized(column: pa.Array, blanks_only: bool) -> pa.Array:
    """ASCII texts with the first letter of each word in upper case and the others in lower case.

    Words are of letters and digits, or of anything but blanks.
    """
    data, offsets = bytes_of(column)
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    _capitalize(data, offsets, blanks_only, out)
    buffers = [_bits_of(column), pa.py_buffer(offsets - offsets[0]), pa.py_buffer(out)]
    return pa.Array.from_buffers(column.type, len(column), buffers)


# ---- LIKE --------------------------------------------------------------------------------------------------------

#: Codes of a pattern beyond those of bytes: any one character, and any number of them.
ANY_ONE, ANY_MANY = 256, 257


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], int16[::1], boolean[::1]")
def _match_likes(data: Any, offsets: Any, codes: Any, found: Any) -> None:
    """Which texts a pattern matches: greedily, going back to behind the last ANY_MANY that was passed."""
    count = len(codes)
    for row in range(len(found)):
        at, end = offsets[row], offsets[row + 1]
        p, many, mark, matched = 0, -1, at, True
        while at < end:
            code = codes[p] if p < count else -1
            if code == data[at]:
                at += 1
                p += 1
            elif code == ANY_ONE:
                at += 1
                while at < end and data[at] & 0xC0 == 0x80:
                    at += 1
                p += 1
            elif code == ANY_MANY:
                many, mark = p, at
                p += 1
                if p == count:
                    break
                at = _next_start(data, at, end, codes[p])
                mark = at
            elif many >= 0:
                p = many + 1
                at = _next_start(data, mark + 1, end, codes[p])
                mark = at
            else:
                matched = False
                break
        while p < count and codes[p] == ANY_MANY:
            p += 1
        found[row] = matched and p == count


@kernel
def _next_start(data: Any, at: Any, end: Any, code: Any) -> Any:
    """The first place from `at` on where a byte, or any character, stands."""
    if code < 256:
        return find_byte(data.ctypes.data, at, end, code)
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def likes(column: pa.Array, codes: npt.NDArray[np.int16]) -> pa.Array:
    """Which texts are matched by a pattern of bytes, ANY_ONE and ANY_MANY."""
    data, offsets = bytes_of(column)
    found = np.empty(len(column), np.bool_)
    _match_likes(data, offsets, codes, found)
    values = pa.array(found)
    bits = _bits_of(column)
    return pa.Array.from_buffers(pa.bool_(), len(column), [bits, values.buffers()[1]])


def warm_up() -> None:
    """Calls every kernel once on a tiny input."""
    column = pa.array(["a/é/c", "x"], pa.large_string())
    numbers = pa.array([-1, 2], pa.int32())
    gathered(column, *parts(column.slice(0, 1), "/", numbers.slice(0, 1)))
    windows(column, np.array([1, -1]), np.array([1, 1]))
    positions(column, pa.array(["é"], pa.large_string()))
    replaced(column, pa.array(["/"], pa.large_string()), pa.array(["--"], pa.large_string()))
    likes(column, np.array([ANY_MANY, ord("/"), ANY_ONE], np.int16))
    capitalized(column, False)
