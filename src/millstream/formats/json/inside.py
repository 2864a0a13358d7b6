"""Spans inside of spans: the elements of arrays, the entries of maps and the fields of rows.

The scanner has checked the whole text, so that kernels here only look for where things begin and end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from millstream.formats.columns.memory import byte_at
from millstream.formats.columns.spans import ABSENT, ESCAPED, NULL, STRING, Positions, Spans
from millstream.formats.json.names import name_tables
from millstream.formats.json.scan import MAX_DEPTH, _row, _skip_blanks, _string_end, _value
from millstream.types import SqlType
from millstream.zset.compiled import kernel_for

Mask = npt.NDArray[np.bool_]

_COMMA = 0x2C


class Items(NamedTuple):
    """Those of span i are `values`, and of objects `keys`, offsets[i] to offsets[i + 1] - 1."""

    offsets: Positions
    keys: Spans
    values: Spans


def items_of(spans: Spans, wanted: Mask, are_objects: bool) -> Items:
    """The elements of arrays, or the entries of objects: of those spans that are `wanted` and all of that kind.
    O(bytes)."""
    count = len(spans.kinds)
    # Each but the first one of a span follows a comma.
    room = int(np.count_nonzero(spans.buffer == _COMMA)) + count
    kinds, starts, ends = np.empty(room, np.uint8), np.empty(room, np.int64), np.empty(room, np.int64)
    key_room = room if are_objects else 0
    key_kinds = np.empty(key_room, np.uint8)
    key_starts, key_ends = np.empty(key_room, np.int64), np.empty(key_room, np.int64)
    offsets = np.empty(count + 1, np.int64)
    stack = np.empty(MAX_DEPTH, np.int64)
    keys = (key_kinds, key_starts, key_ends)
    address, space = _address(spans.buffer), _address(stack)
    _items(address, spans.starts, wanted, are_objects, True, space, offsets, kinds, starts, ends, *keys)
    used = int(offsets[-1])
    key_used = used if are_objects else 0
    return Items(
        offsets,
        Spans(spans.buffer, key_kinds[:key_used], key_starts[:key_used], key_ends[:key_used]),
        Spans(spans.buffer, kinds[:used], starts[:used], ends[:used]),
    )


def fields_of(sql_type: SqlType, spans: Spans, wanted: Mask) -> tuple[list[Spans], Mask]:
    """For each field of a ROW type its value in those spans that are `wanted`, objects or arrays; and in which of them
    fields could be told apart. A field that is not there counts as null. O(bytes)."""
    names = _names(sql_type)
    shape = (len(sql_type.fields), len(spans.kinds))
    kinds, starts, ends = np.full(shape, ABSENT, np.uint8), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    stack = np.empty(MAX_DEPTH, np.int64)
    places = [_address(array) for array in (kinds, starts, ends)]
    table = np.array(
        [*(_address(part) for part in names), shape[0], *places, shape[1], _address(stack), 0, 0, 0, 0], np.int64
    )
    done = np.zeros(shape[1], np.bool_)
    _fields(_address(spans.buffer), spans.starts, wanted, True, _address(table), done)
    kinds[:, ~done] = NULL
    kinds[kinds == ABSENT] = NULL
    return [Spans(spans.buffer, kinds[f], starts[f], ends[f]) for f in range(shape[0])], done


@lru_cache(maxsize=256)
def _names(sql_type: SqlType) -> tuple[npt.NDArray[np.generic], ...]:
    return name_tables(sql_type.fields)


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)


@kernel_for(
    "int64, int64[::1], boolean[::1], boolean, boolean, int64, int64[::1], uint8[::1], int64[::1], int64[::1], "
    "uint8[::1], int64[::1], int64[::1]"
)
def _items(
    buffer: Any,
    spans: Any,
    wanted: Any,
    are_objects: Any,
    newlines: Any,
    stack: Any,
    offsets: Any,
    kinds: Any,
    starts: Any,
    ends: Any,
    key_kinds: Any,
    key_starts: Any,
    key_ends: Any,
) -> None:
    """See `items_of`: `spans` are where the spans begin. `newlines` is true, and an argument because numba compiles the
    functions of the scanner again for a literal."""
    count = np.int64(0)
    for row in range(len(spans)):
        offsets[row] = count
        if not wanted[row]:
            continue
        closing = byte_at(buffer, spans[row]) + 2
        i = _skip_blanks(buffer, spans[row] + 1, newlines)
        while byte_at(buffer, i) != closing:
            if are_objects:
                end, escaped = _string_end(buffer, i + 1)
                key_kinds[count] = ESCAPED if escaped else STRING
                key_starts[count] = i + 1
                key_ends[count] = end
                i = _skip_blanks(buffer, end + 1, newlines)
                i = _skip_blanks(buffer, i + 1, newlines)
            end, kind = _value(buffer, i, newlines, stack)
            inside = 1 if kind in (STRING, ESCAPED) else 0
            kinds[count] = kind
            starts[count] = i + inside
            ends[count] = end - inside
            count += 1
            i = _skip_blanks(buffer, end, newlines)
            if byte_at(buffer, i) == _COMMA:
                i = _skip_blanks(buffer, i + 1, newlines)
    offsets[len(spans)] = count


@kernel_for("int64, int64[::1], boolean[::1], boolean, int64, boolean[::1]")
def _fields(buffer: Any, spans: Any, wanted: Any, newlines: Any, table: Any, done: Any) -> None:
    """See `fields_of`: `table` is that of the scanner."""
    for row in range(len(spans)):
        if wanted[row]:
            done[row] = _row(buffer, spans[row], newlines, table, row) >= 0
