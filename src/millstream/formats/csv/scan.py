"""The scanner of the fast CSV path: one pass over a block, from bytes to spans of fields.

It reads every dialect. It declines only a record with the wrong number of fields where that matters
(`flexible = false`). Text and tables are reached by address, as in `json.scan`, but here the length bounds every loop:
a zero byte is data. The dialect's characters are codes, -1 for a feature that is off.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.formats.columns.memory import byte_at, put_byte, put_word, word_at
from millstream.formats.columns.spans import ESCAPED, OPAQUE, STRING
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import ONES, first_mark, load64, zeros

_LF, _CR = 0x0A, 0x0D
_LINE_FEEDS, _RETURNS, _NONE = ONES * np.uint64(_LF), ONES * np.uint64(_CR), np.uint64(0)
#: The words of a scanner's table: two counts, then addresses. kinds, starts and ends are [column][row].
TABLE_FIELDS = ("num_columns", "capacity", "kinds", "starts", "ends", "record_starts", "record_ends")
_NUM_COLUMNS, _CAPACITY, _KINDS, _STARTS, _ENDS, _RECORD_STARTS, _RECORD_ENDS = range(7)


@kernel
def _is_blank(c: Any) -> Any:
    return c == 0x20 or 0x09 <= c <= 0x0D


@kernel
def _closing_quote(buffer: Any, i: Any, length: Any, quote: Any, escape: Any, double_quote: Any) -> Any:
    """(position of the quote that closes the part whose text starts at i, or the length; whether it has escapes)."""
    escaped = False
    while i < length:
        c = byte_at(buffer, i)
        if c == escape and i + 1 < length:
            escaped = True
            i += 2
        elif c != quote:
            i += 1
        elif double_quote and i + 1 < length and byte_at(buffer, i + 1) == quote:
            escaped = True
            i += 2
        else:
            return i, escaped
    return length, escaped


@kernel
def _field_end(buffer: Any, i: Any, length: Any, delimiter: Any) -> Any:
    """Where the unquoted text at i ends."""
    delimiters = ONES * np.uint64(delimiter)
    while i + 8 <= length:
        word = load64(buffer, i)
        marks = zeros(word ^ delimiters) | zeros(word ^ _LINE_FEEDS) | zeros(word ^ _RETURNS)
        if marks != _NONE:
            return i + first_mark(marks)
        i += 8
    while i < length:
        c = byte_at(buffer, i)
        if c in (delimiter, _LF, _CR):
            break
        i += 1
    return i


@kernel
def _field(
    buffer: Any, i: Any, length: Any, delimiter: Any, quote: Any, escape: Any, double_quote: Any, trim: Any
) -> Any:
    """(kind, start, end) of the field at i and the position after it."""
    kind, start = STRING, i
    if i < length and byte_at(buffer, i) == quote:
        close, escaped = _closing_quote(buffer, i + 1, length, quote, escape, double_quote)
        after = min(close + 1, length)
        end = _field_end(buffer, after, length, delimiter)
        next_position = end
        if escaped or end > after:
            kind = ESCAPED
        else:
            start, end = i + 1, close
    else:
        end = _field_end(buffer, i, length, delimiter)
        next_position = end
    if trim:
        if kind == ESCAPED:
            return OPAQUE, start, end, next_position
        while start < end and _is_blank(byte_at(buffer, start)):
            start += 1
        while start < end and _is_blank(byte_at(buffer, end - 1)):
            end -= 1
    return kind, start, end, next_position


@kernel_for("int64, int64, int64, int64, int64, boolean, int64, boolean, boolean, int64, boolean, int64")
def scan(
    buffer: Any,
    length: Any,
    delimiter: Any,
    quote: Any,
    escape: Any,
    double_quote: Any,
    comment: Any,
    trim: Any,
    flexible: Any,
    num_fields: Any,
    header: Any,
    table: Any,
) -> Any:
    """Scan the text of `length` bytes at address `buffer`; returns (rows or -1: declined, num_fields).

    `num_fields`: of the stream's first record, -1 before it. `header`: the first record is none. `table`: the address
    of a table (TABLE_FIELDS), whose kinds must be zero and whose arrays need room for a row per line end, and one.
    """
    i, row = np.int64(0), np.int64(0)  # typed: numba compiles a function again for each literal argument
    num_columns, capacity = word_at(table, _NUM_COLUMNS), word_at(table, _CAPACITY)
    while i < length:
        c = byte_at(buffer, i)
        if c in (_LF, _CR):
            i += 1
            continue
        if c == comment:
            while i < length and byte_at(buffer, i) != _LF:
                i += 1
            continue
        record_start, column = i, 0
        while True:
            kind, start, end, i = _field(buffer, i, length, delimiter, quote, escape, double_quote, trim)
            if column < num_columns and not header:
                place = column * capacity + row
                put_byte(word_at(table, _KINDS), place, kind)
                put_word(word_at(table, _STARTS), place, start)
                put_word(word_at(table, _ENDS), place, end)
            column += 1
            if i >= length or byte_at(buffer, i) != delimiter:
                break
            i += 1
        if num_fields < 0:
            num_fields = column
        if header:
            header = False
            continue
        if not flexible and column != num_fields:
            return -1, num_fields
        put_word(word_at(table, _RECORD_STARTS), row, record_start)
        put_word(word_at(table, _RECORD_ENDS), row, i)
        row += 1
    return row, num_fields
