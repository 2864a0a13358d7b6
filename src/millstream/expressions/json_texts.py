"""JSON texts as VARIANT texts, many at a time.

A VARIANT text (types/variant.py) is JSON without blanks, with sorted keys and one spelling of each number. A kernel
copies what it reads into that form in one pass; the members of an object whose keys are not in order are put in order
where it ends. It leaves alone what needs more than copying: escapes, exponents, long numbers, equal keys, deep nesting;
and whatever is no JSON. For those there is `parse_json`, which has the last word.

Cost: O(bytes), and for objects with unsorted keys O(members^2), of at most 256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.text_kernels import bytes_of
from millstream.expressions.vectors import valid_of, validity_buffer
from millstream.types.sql_type import Kind
from millstream.types.variant import TAGS, parse_json
from millstream.zset.compiled import READ_ONLY_BYTES, kernel, kernel_for
from millstream.zset.words import copy

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_TEXT = pa.large_string()
_QUOTE, _BACKSLASH, _COMMA, _COLON, _MINUS, _DOT, _ZERO, _NINE = (ord(c) for c in '"\\,:-.09')
_OPEN_LIST, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP = (ord(c) for c in "[]{}")
_SMALL_E, _LARGE_E = ord("e"), ord("E")
_LITERALS = np.array([list(text.ljust(5).encode()) for text in ("true", "null", "false")], np.uint8)
_LITERAL_LENGTHS = (4, 4, 5)
#: In front of a DECIMAL that is spelt like an integer.
_DECIMAL_TAG = ord(TAGS[Kind.DECIMAL])
#: Integers of more digits may not fit in 64 bits; fractions of more may need an exponent.
_MOST_DIGITS, _MOST_FRACTION = 17, 30
_MAX_DEPTH, _MOST_MEMBERS, _MOST_OPEN_MEMBERS = 64, 256, 4096
#: What is expected next.
_VALUE, _KEY, _END = range(3)
#: Columns of the open members: where the key begins and ends, and where the member ends.
_KEY_START, _KEY_END, _MEMBER_END = range(3)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Text i is data[offsets[i] : offsets[i + 1]] where `done`, empty elsewhere."""

    offsets: Int64s
    data: npt.NDArray[np.uint8]
    done: Bools

    def column(self, valid: Bools) -> pa.Array:
        """The texts as a column, NULL where they are not `valid`."""
        buffers = [validity_buffer(valid), pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(_TEXT, len(valid), buffers)


def rewrite(data: npt.NDArray[np.uint8], starts: Int64s, ends: Int64s, wanted: Bools) -> Rewritten:
    """The VARIANT texts of those JSON texts data[starts[i] : ends[i]] that are `wanted` and simple enough. `data` is
    UTF-8. O(bytes)."""
    lengths = np.where(wanted, ends - starts, 0)
    offsets = np.zeros(len(starts) + 1, np.int64)
    out = np.empty(int(lengths.sum()), np.uint8)
    done = np.zeros(len(starts), np.bool_)
    scratch = np.empty(int(lengths.max(initial=0)), np.uint8)
    source = data.view()
    source.flags.writeable = False
    _rewrite(source, starts, ends, wanted, _LITERALS, offsets, out, scratch, done)
    return Rewritten(offsets, out[: int(offsets[-1])], done)


def variants_of(texts: pa.Array) -> pa.Array:
    """The VARIANTs of a large_string column of JSON texts; NULL where a text is no JSON."""
    data, offsets = bytes_of(texts)
    present = valid_of(texts)
    wanted = np.ones(len(texts), np.bool_) if present is None else present
    made = rewrite(data, np.ascontiguousarray(offsets[:-1]), np.ascontiguousarray(offsets[1:]), wanted)
    column = made.column(made.done)
    rest = wanted & ~made.done
    if not rest.any():
        return column
    mask = pa.array(rest)
    parsed = [parse_json(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(column, mask, pa.array(parsed, _TEXT))


# ---- the kernel --------------------------------------------------------------------------------------------------


@kernel
def _after_blanks(data: Any, at: Any, end: Any) -> Any:
    while at < end and (data[at] == 32 or data[at] == 9 or data[at] == 10 or data[at] == 13):
        at += 1
    return at


@kernel
def _string(data: Any, at: Any, end: Any, out: Any, o: Any) -> Any:
    """Copies the string that begins at `at`: the positions after it in both; -1 for the first if it has escapes."""
    out[o] = _QUOTE
    at += 1
    o += 1
    while at < end:
        byte = data[at]
        if byte < 32 or byte == _BACKSLASH:
            break
        out[o] = byte
        at += 1
        o += 1
        if byte == _QUOTE:
            return at, o
    return np.int64(-1), o


@kernel
def _after_digits(data: Any, at: Any, end: Any) -> Any:
    while at < end and data[at] >= _ZERO and data[at] <= _NINE:
        at += 1
    return at


@kernel
def _number(data: Any, at: Any, end: Any, out: Any, o: Any) -> Any:
    """The same for a number, in its one spelling; -1 if it is long or has an exponent."""
    begin = at
    negative = data[at] == _MINUS
    digits = at + 1 if negative else at
    point = _after_digits(data, digits, end)
    count = point - digits
    if count == 0 or count > _MOST_DIGITS or (count > 1 and data[digits] == _ZERO):
        return np.int64(-1), o
    at = point
    if at < end and data[at] == _DOT:
        at = _after_digits(data, point + 1, end)
        if at == point + 1 or at - point > _MOST_FRACTION:
            return np.int64(-1), o
    if at < end and (data[at] == _SMALL_E or data[at] == _LARGE_E):
        return np.int64(-1), o
    last = at
    while last > point + 1 and data[last - 1] == _ZERO:
        last -= 1
    if last == point + 1:
        last = point
    if last == point:
        if negative and data[digits] == _ZERO:
            return np.int64(-1), o
        if at > point:
            out[o] = _DECIMAL_TAG
            o += 1
    for i in range(begin, last):
        out[o] = data[i]
        o += 1
    return at, o


@kernel
def _literal(data: Any, at: Any, end: Any, literals: Any, out: Any, o: Any) -> Any:
    """The same for true, false and null; -1 for anything else."""
    for k in range(len(_LITERAL_LENGTHS)):
        length = _LITERAL_LENGTHS[k]
        same = at + length <= end
        i = 0
        while same and i < length:
            same = data[at + i] == literals[k, i]
            i += 1
        if same:
            for i in range(length):
                out[o + i] = literals[k, i]
            return at + length, o + length
    return np.int64(-1), o


@kernel
def _compare_keys(out: Any, members: Any, a: Any, b: Any) -> Any:
    """Negative, 0 or positive as the key of member a is below that of b, equal or above."""
    i, j = members[a, _KEY_START], members[b, _KEY_START]
    end_i, end_j = members[a, _KEY_END], members[b, _KEY_END]
    while i < end_i and j < end_j:
        if out[i] != out[j]:
            return -1 if out[i] < out[j] else 1
        i += 1
        j += 1
    return (end_i - i) - (end_j - j)


@kernel
def _sort_members(out: Any, body: Any, end: Any, members: Any, base: Any, top: Any, order: Any, scratch: Any) -> Any:
    """Puts the members base .. top - 1 of an object, which are out[body:end], in order of their keys; False if two keys
    are equal."""
    count = top - base
    ordered = True
    for i in range(1, count):
        compared = _compare_keys(out, members, base + i - 1, base + i)
        if compared == 0:
            return False
        ordered = ordered and compared < 0
    if ordered:
        return True
    for i in range(count):
        j = i
        while j > 0:
            compared = _compare_keys(out, members, order[j - 1], base + i)
            if compared == 0:
                return False
            if compared < 0:
                break
            order[j] = order[j - 1]
            j -= 1
        order[j] = base + i
    copy(np.int64(scratch.ctypes.data), np.int64(out.ctypes.data) + body, end - body)
    o = body
    for i in range(count):
        if i > 0:
            out[o] = _COMMA
            o += 1
        begin = members[order[i], _KEY_START] - 1
        length = members[order[i], _MEMBER_END] - begin
        copy(np.int64(out.ctypes.data) + o, np.int64(scratch.ctypes.data) + begin - body, length)
        o += length
    return True


@kernel_for(
    f"{READ_ONLY_BYTES}, int64[::1], int64[::1], boolean[::1], uint8[:, ::1], int64[::1], uint8[::1], uint8[::1], "
    "boolean[::1]"
)
def _rewrite(
    data: Any, starts: Any, ends: Any, wanted: Any, literals: Any, offsets: Any, out: Any, scratch: Any, done: Any
) -> None:
    """See `rewrite`. `offsets` and `out` are filled; the space for each text is as long as the text."""
    kinds, bases, bodies = (
        np.empty(_MAX_DEPTH, np.int64),
        np.empty(_MAX_DEPTH, np.int64),
        np.empty(_MAX_DEPTH, np.int64),
    )
    members = np.empty((_MOST_OPEN_MEMBERS, 3), np.int64)
    order = np.empty(_MOST_MEMBERS, np.int64)
    finished = np.int64(0)
    for row in range(len(starts)):
        at, end, o = starts[row], ends[row], finished
        depth = top = np.int64(0)
        state = _VALUE
        while wanted[row]:
            at = _after_blanks(data, at, end)
            if state == _END and depth == 0:
                done[row] = at == end
                break
            if at >= end:
                break
            byte = data[at]
            if state == _END:
                is_list = kinds[depth - 1] == _OPEN_LIST
                if not is_list:
                    members[top - 1, _MEMBER_END] = o
                if byte == _COMMA:
                    state = _VALUE if is_list else _KEY
                elif byte == (_CLOSE_LIST if is_list else _CLOSE_MAP):
                    depth -= 1
                    if not is_list:
                        if not _sort_members(out, bodies[depth], o, members, bases[depth], top, order, scratch):
                            break
                        top = bases[depth]
                else:
                    break
                out[o] = byte
                at += 1
                o += 1
            elif state == _KEY:
                if byte != _QUOTE or top == len(members) or top - bases[depth - 1] == len(order):
                    break
                members[top, _KEY_START] = o + 1
                at, o = _string(data, at, end, out, o)
                if at < 0:
                    break
                members[top, _KEY_END] = o - 1
                top += 1
                at = _after_blanks(data, at, end)
                if at >= end or data[at] != _COLON:
                    break
                out[o] = _COLON
                at += 1
                o += 1
                state = _VALUE
            elif byte in (_OPEN_LIST, _OPEN_MAP):
                if depth == len(kinds):
                    break
                out[o] = byte
                o += 1
                at = _after_blanks(data, at + 1, end)
                if at < end and data[at] == (_CLOSE_LIST if byte == _OPEN_LIST else _CLOSE_MAP):
                    out[o] = data[at]
                    o += 1
                    at += 1
                    state = _END
                else:
                    kinds[depth], bases[depth], bodies[depth] = byte, top, o
                    depth += 1
                    state = _VALUE if byte == _OPEN_LIST else _KEY
            else:
                if byte == _QUOTE:
                    at, o = _string(data, at, end, out, o)
                elif byte == _MINUS or (byte >= _ZERO and byte <= _NINE):
                    at, o = _number(data, at, end, out, o)
                else:
                    at, o = _literal(data, at, end, literals, out, o)
                if at < 0:
                    break
                state = _END
        if done[row]:
            finished = o
        offsets[row + 1] = finished


def warm_up() -> None:
    """Calls the kernel once on a tiny input."""
    variants_of(pa.array(['{"b": [1, 2.5], "a": null}'], _TEXT))
