"""The scanner of the fast JSON path: one pass over a block, from bytes to spans.

It validates the JSON completely (grammar, escapes, surrogate pairs, nesting) and finds the values of the table's
columns in every row of every event. What it is not made for (broken JSON, keys with escapes, a column given twice,
an unknown envelope) it declines, and the exact path takes the block. The text must be valid UTF-8.

Text and tables are reached by address (see `columns.memory`). The zero byte after the text ends every loop: it is no
part of any JSON value. The `table` is a list of words: see TABLE_FIELDS.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from millstream.formats.columns.memory import byte_at, plain_end, put_byte, put_word, word_at
from millstream.formats.columns.spans import ABSENT, ARRAY, ESCAPED, FALSE, INTEGER, NULL, NUMBER, OBJECT, STRING, TRUE
from millstream.zset.compiled import kernel, kernel_for

DONE, DECLINED = 0, 1
RAW, INSERT_DELETE, DEBEZIUM = 0, 1, 2
_MAX_NUMBER_LENGTH = 4000
_LF, _QUOTE, _BACKSLASH, _COMMA, _COLON = 0x0A, 0x22, 0x5C, 0x2C, 0x3A
_OPEN_BRACKET, _CLOSE_BRACKET, _OPEN_BRACE, _CLOSE_BRACE = 0x5B, 0x5D, 0x7B, 0x7D
#: The words of a scanner's table: addresses, except for the two counts. Names are packed bytes with offsets; kinds,
#: starts and ends are [column][row], so capacity is the distance between columns; `stack` has room for MAX_DEPTH words.
TABLE_FIELDS = (
    "exact_names", "exact_offsets", "folded_names", "folded_offsets", "num_columns",
    "kinds", "starts", "ends", "capacity", "stack", "operations", "events", "event_starts", "event_ends",
)  # fmt: skip
(
    _EXACT, _EXACT_AT, _FOLDED, _FOLDED_AT, _NUM_COLUMNS,
    _KINDS, _STARTS, _ENDS, _CAPACITY, _STACK, _OPERATIONS, _EVENTS, _EVENT_STARTS, _EVENT_ENDS,
) = range(14)  # fmt: skip
MAX_DEPTH = 100
_TRUE, _NULL, _FALSE = np.int64(0x74727565), np.int64(0x6E756C6C), np.int64(0x66616C7365)
_FOUR, _FIVE = np.int64(4), np.int64(5)
_DELETE, _INSERT, _UPDATE, _TABLE, _BEFORE, _AFTER, _OP, _PAYLOAD, _OTHER = 0, 1, 2, 3, 4, 5, 6, 7, 8


@numba.njit(nogil=True, cache=True, inline="always")
def _skip_blanks(buffer: Any, i: Any, newlines: Any) -> Any:
    """The next position that is not blank; `newlines`: line ends count as blanks."""
    while True:
        c = byte_at(buffer, i)
        if c > 0x20 or not (c == 0x20 or c == 0x09 or c == 0x0D or (c == _LF and newlines)):
            break
        i += 1
    return i


@kernel
def _hex_code(buffer: Any, i: Any) -> Any:
    """The code unit of the four hexadecimal digits at i, or -1."""
    code = 0
    for k in range(i, i + 4):
        c = byte_at(buffer, k)
        if 48 <= c <= 57:
            code = code << 4 | (c - 48)
        elif 97 <= (c | 0x20) <= 102:
            code = code << 4 | ((c | 0x20) - 87)
        else:
            return -1
    return code


@kernel
def _escape_end(buffer: Any, i: Any) -> Any:
    """Where the escape sequence whose backslash is at i ends, or -1."""
    c = byte_at(buffer, i + 1)
    if c in (_QUOTE, _BACKSLASH, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
        return i + 2
    if c != 0x75:
        return -1
    code = _hex_code(buffer, i + 2)
    if code < 0 or 0xDC00 <= code < 0xE000:
        return -1
    if code < 0xD800 or code >= 0xE000:
        return i + 6
    if byte_at(buffer, i + 6) != _BACKSLASH or byte_at(buffer, i + 7) != 0x75:
        return -1
    low = _hex_code(buffer, i + 8)
    return i + 12 if 0xDC00 <= low < 0xE000 else -1


@kernel
def _string_end(buffer: Any, i: Any) -> Any:
    """(position of the closing quote, has escapes) of the string whose text starts at i; position -1: broken."""
    escaped = False
    while True:
        i = plain_end(buffer, i)
        c = byte_at(buffer, i)
        if c == _QUOTE:
            return i, escaped
        if c != _BACKSLASH:
            break
        escaped = True
        i = _escape_end(buffer, i)
        if i < 0:
            break
    return -1, False


@kernel
def _number_end(buffer: Any, i: Any) -> Any:
    """(end, is an integer) of the number at i; end -1: broken."""
    start = i
    if byte_at(buffer, i) == 0x2D:
        i += 1
    if byte_at(buffer, i) < 48 or byte_at(buffer, i) > 57:
        return -1, False
    if byte_at(buffer, i) == 48:
        i += 1
    else:
        while 48 <= byte_at(buffer, i) <= 57:
            i += 1
    integer = True
    if byte_at(buffer, i) == 0x2E:
        integer = False
        i += 1
        first = i
        while 48 <= byte_at(buffer, i) <= 57:
            i += 1
        if i == first:
            return -1, False
    if byte_at(buffer, i) == 0x65 or byte_at(buffer, i) == 0x45:
        integer = False
        i += 1
        if byte_at(buffer, i) == 0x2D or byte_at(buffer, i) == 0x2B:
            i += 1
        first = i
        while 48 <= byte_at(buffer, i) <= 57:
            i += 1
        if i == first:
            return -1, False
    return (i, integer) if i - start <= _MAX_NUMBER_LENGTH else (-1, False)


@kernel
def _spells(buffer: Any, i: Any, word: Any, length: Any) -> Any:
    """Whether the `length` bytes at i are those of `word`, most significant first."""
    k = 0
    while k < length and byte_at(buffer, i + k) == word >> 8 * (length - 1 - k) & 0xFF:
        k += 1
    return k == length


@kernel
def _literal(buffer: Any, i: Any) -> Any:
    """(end, kind) of true, false or null at i; end -1: something else."""
    if _spells(buffer, i, _TRUE, _FOUR):
        return i + 4, TRUE
    if _spells(buffer, i, _NULL, _FOUR):
        return i + 4, NULL
    return (i + 5, FALSE) if _spells(buffer, i, _FALSE, _FIVE) else (-1, ABSENT)


@kernel
def _value(buffer: Any, i: Any, newlines: Any, stack: Any) -> Any:
    """(end, kind) of the value at i, checked in depth; end -1: broken. A string's end is after its closing quote."""
    c = byte_at(buffer, i)
    if c == _QUOTE:
        end, escaped = _string_end(buffer, i + 1)
        return (end + 1, ESCAPED if escaped else STRING) if end >= 0 else (-1, ABSENT)
    if c == 0x2D or 48 <= c <= 57:
        end, integer = _number_end(buffer, i)
        return end, INTEGER if integer else NUMBER
    if c in (_OPEN_BRACE, _OPEN_BRACKET):
        return _container_end(buffer, i, newlines, stack), OBJECT if c == _OPEN_BRACE else ARRAY
    return _literal(buffer, i)


@kernel
def _key_end(buffer: Any, i: Any, newlines: Any) -> Any:
    """The position of the value after the key at i (its quote and the colon checked), or -1."""
    if byte_at(buffer, i) != _QUOTE:
        return -1
    end, _ = _string_end(buffer, i + 1)
    if end < 0:
        return -1
    i = _skip_blanks(buffer, end + 1, newlines)
    if byte_at(buffer, i) != _COLON:
        return -1
    return _skip_blanks(buffer, i + 1, newlines)


@kernel
def _container_end(buffer: Any, i: Any, newlines: Any, stack: Any) -> Any:
    """The end of the array or object at i, or -1. `stack[d]`: the closing bracket of depth d."""
    depth = 0
    expect_value = True
    while True:
        if expect_value:
            c = byte_at(buffer, i)
            if c in (_OPEN_BRACE, _OPEN_BRACKET):
                if depth == MAX_DEPTH:
                    return -1
                put_word(stack, depth, c + 2)
                depth += 1
                i = _skip_blanks(buffer, i + 1, newlines)
                if byte_at(buffer, i) == word_at(stack, depth - 1):
                    expect_value = False
                elif c == _OPEN_BRACE:
                    i = _key_end(buffer, i, newlines)
                    if i < 0:
                        return -1
                continue
            if c == _QUOTE:
                end, _ = _string_end(buffer, i + 1)
                i = end + 1 if end >= 0 else -1
            elif c == 0x2D or 48 <= c <= 57:
                i, _ = _number_end(buffer, i)
            else:
                i, _ = _literal(buffer, i)
            if i < 0:
                return -1
            expect_value = False
        i = _skip_blanks(buffer, i, newlines)
        if byte_at(buffer, i) == word_at(stack, depth - 1):
            depth -= 1
            i += 1
            if depth == 0:
                return i
        elif byte_at(buffer, i) == _COMMA:
            i = _skip_blanks(buffer, i + 1, newlines)
            if word_at(stack, depth - 1) == _CLOSE_BRACE:
                i = _key_end(buffer, i, newlines)
                if i < 0:
                    return -1
            expect_value = True
        else:
            return -1


@kernel
def _expected_end(buffer: Any, start: Any, column: Any, table: Any) -> Any:
    """The position of the closing quote of the key whose text starts at `start`, if it is the exact name of `column`;
    else -1. Names hold no quote, backslash or control character, so the text needs no other look."""
    if column >= word_at(table, _NUM_COLUMNS):
        return -1
    names, offsets = word_at(table, _EXACT), word_at(table, _EXACT_AT)
    first = word_at(offsets, column)
    length = word_at(offsets, column + 1) - first
    k = 0
    while k < length and byte_at(buffer, start + k) == byte_at(names, first + k):
        k += 1
    return start + k if k == length and byte_at(buffer, start + k) == _QUOTE else -1


@kernel
def _find_column(buffer: Any, start: Any, end: Any, table: Any) -> Any:
    """The column of a key: -1 none, -2 undecided (letters beyond ASCII). Quoted names have no lower-case form."""
    length, count = end - start, word_at(table, _NUM_COLUMNS)
    for c in range(count):
        if _expected_end(buffer, start, c, table) == end:
            return c
    for k in range(start, end):
        if byte_at(buffer, k) >= 0x80:
            return -2
    names, offsets = word_at(table, _FOLDED), word_at(table, _FOLDED_AT)
    for c in range(count):
        first = word_at(offsets, c)
        if length > 0 and word_at(offsets, c + 1) - first == length:
            k = 0
            while k < length:
                b = byte_at(buffer, start + k)
                if (b + 32 if 65 <= b <= 90 else b) != byte_at(names, first + k):
                    break
                k += 1
            if k == length:
                return c
    return -1


@kernel
def _row(buffer: Any, i: Any, newlines: Any, table: Any, row: Any) -> Any:
    """Note the values of the row at i; returns its end or -1."""
    opening = byte_at(buffer, i)
    if opening != _OPEN_BRACE and opening != _OPEN_BRACKET:
        return -1
    stack, kinds, capacity = word_at(table, _STACK), word_at(table, _KINDS), word_at(table, _CAPACITY)
    positional, closing = opening == _OPEN_BRACKET, opening + 2
    i = _skip_blanks(buffer, i + 1, newlines)
    if byte_at(buffer, i) == closing:
        return i + 1
    column = -1
    while True:
        found = column + 1
        if positional:
            if found >= word_at(table, _NUM_COLUMNS):
                return -1
        else:
            if byte_at(buffer, i) != _QUOTE:
                return -1
            # Rows mostly have their keys in the order of the columns.
            end = _expected_end(buffer, i + 1, found, table)
            if end < 0:
                end, escaped = _string_end(buffer, i + 1)
                if end < 0 or escaped:
                    return -1
                found = _find_column(buffer, i + 1, end, table)
            i = _skip_blanks(buffer, end + 1, newlines)
            if found == -2 or byte_at(buffer, i) != _COLON:
                return -1
            i = _skip_blanks(buffer, i + 1, newlines)
        end, kind = _value(buffer, i, newlines, stack)
        if end < 0:
            return -1
        if found >= 0:
            column = found
            place = column * capacity + row
            if byte_at(kinds, place) != ABSENT:
                return -1
            inside = 1 if kind in (STRING, ESCAPED) else 0
            put_byte(kinds, place, kind)
            put_word(word_at(table, _STARTS), place, i + inside)
            put_word(word_at(table, _ENDS), place, end - inside)
        i = _skip_blanks(buffer, end, newlines)
        c = byte_at(buffer, i)
        if c == closing:
            return i + 1
        if c != _COMMA:
            return -1
        i = _skip_blanks(buffer, i + 1, newlines)


@kernel
def _envelope_key(buffer: Any, start: Any, end: Any) -> Any:
    """Which of the known envelope keys the text is."""
    length = end - start
    word = 0
    for k in range(start, min(end, start + 7)):
        word = word << 8 | byte_at(buffer, k)
    if length == 6 and word == 0x64656C657465:
        return _DELETE
    if length == 6 and word == 0x696E73657274:
        return _INSERT
    if length == 6 and word == 0x757064617465:
        return _UPDATE
    if length == 6 and word == 0x6265666F7265:
        return _BEFORE
    if length == 5 and word == 0x7461626C65:
        return _TABLE
    if length == 5 and word == 0x6166746572:
        return _AFTER
    if length == 2 and word == 0x6F70:
        return _OP
    if length == 7 and word == 0x7061796C6F6164:
        return _PAYLOAD
    return _OTHER


@kernel
def _is_operation(buffer: Any, i: Any) -> Any:
    """Whether the value at i is one of "c", "r", "u", "d"."""
    if byte_at(buffer, i) != _QUOTE or byte_at(buffer, i + 2) != _QUOTE:
        return False
    c = byte_at(buffer, i + 1)
    return c == 0x63 or c == 0x72 or c == 0x75 or c == 0x64


@kernel
def _changes(buffer: Any, i: Any, debezium: Any, newlines: Any, updates: Any, table: Any, row: Any) -> Any:
    """(end or -1, rows so far) of the object at i that names rows by what happens to them: an insert_delete event, or
    the payload of a debezium event."""
    if byte_at(buffer, i) != _OPEN_BRACE:
        return -1, row
    stack, operations = word_at(table, _STACK), word_at(table, _OPERATIONS)
    seen = 0
    i = _skip_blanks(buffer, i + 1, newlines)
    if byte_at(buffer, i) == _CLOSE_BRACE:
        return (-1, row) if debezium else (i + 1, row)
    while True:
        if byte_at(buffer, i) != _QUOTE:
            return -1, row
        end, escaped = _string_end(buffer, i + 1)
        if end < 0 or escaped:
            return -1, row
        key = _envelope_key(buffer, i + 1, end)
        i = _skip_blanks(buffer, end + 1, newlines)
        if byte_at(buffer, i) != _COLON:
            return -1, row
        i = _skip_blanks(buffer, i + 1, newlines)
        if debezium:
            is_row = key in (_BEFORE, _AFTER)
            operation = -1 if key == _BEFORE else 1
            if key == _OP and not _is_operation(buffer, i):
                return -1, row
        else:
            if key > _TABLE or (key == _UPDATE and not updates):
                return -1, row
            is_row = key != _TABLE
            operation = -1 if key == _DELETE else 1 if key == _INSERT else 2
        if key != _OTHER:
            if seen >> key & 1:
                return -1, row
            seen |= 1 << key
        if is_row and byte_at(buffer, i) != 0x6E:
            i = _row(buffer, i, newlines, table, row)
            put_byte(operations, row, operation)
            row += 1
        else:
            i, _ = _value(buffer, i, newlines, stack)
        if i < 0:
            return -1, row
        i = _skip_blanks(buffer, i, newlines)
        if byte_at(buffer, i) == _CLOSE_BRACE:
            return (-1, row) if debezium and not seen >> _OP & 1 else (i + 1, row)
        if byte_at(buffer, i) != _COMMA:
            return -1, row
        i = _skip_blanks(buffer, i + 1, newlines)
    return -1, row


@kernel
def _payload(buffer: Any, i: Any, newlines: Any, stack: Any) -> Any:
    """(start of the payload's value or -1, end of the event) of the debezium event at i; checks all the rest."""
    payload = -1
    if byte_at(buffer, i) != _OPEN_BRACE:
        return -1, -1
    i = _skip_blanks(buffer, i + 1, newlines)
    while True:
        if byte_at(buffer, i) != _QUOTE:
            return -1, -1
        end, escaped = _string_end(buffer, i + 1)
        if end < 0 or escaped:
            return -1, -1
        key = _envelope_key(buffer, i + 1, end)
        i = _key_end(buffer, i, newlines)
        if i < 0:
            return -1, -1
        if key == _PAYLOAD:
            if payload >= 0:
                return -1, -1
            payload = i
        i, _ = _value(buffer, i, newlines, stack)
        if i < 0:
            return -1, -1
        i = _skip_blanks(buffer, i, newlines)
        if byte_at(buffer, i) == _CLOSE_BRACE:
            return payload, i + 1
        if byte_at(buffer, i) != _COMMA:
            return -1, -1
        i = _skip_blanks(buffer, i + 1, newlines)
    return -1, -1


@kernel_for("int64, int64, int64, boolean, boolean, boolean, int64")
def scan(buffer: Any, length: Any, mode: Any, array: Any, single_lines: Any, updates: Any, table: Any) -> Any:
    """Scan the text of `length` bytes at address `buffer`, which a zero byte follows; returns (DONE or DECLINED, rows,
    events, end): those events that are whole and well-formed, up to the first that is not, and where they end. `table`:
    the address of a table (TABLE_FIELDS). Its kinds must be zero; its arrays need room for three rows more than there
    are brackets in the text."""
    # Typed, as all arguments: numba compiles a function again for each literal.
    zero: Any = np.int64(0)
    i, row, event = zero, zero, zero
    rows, finish = zero, zero
    newlines = not single_lines
    stack, operations = word_at(table, _STACK), word_at(table, _OPERATIONS)
    inside = False
    while True:
        if not inside:
            before = i
            i = _skip_blanks(buffer, i, True)
            if i >= length:
                return DONE, rows, event, finish
            if single_lines and before > 0:
                line_ended = False
                for k in range(before, i):
                    line_ended = line_ended or byte_at(buffer, k) == _LF
                if not line_ended:
                    return DECLINED, rows, event, finish
            if array:
                if byte_at(buffer, i) != _OPEN_BRACKET:
                    return DECLINED, rows, event, finish
                i = _skip_blanks(buffer, i + 1, newlines)
                if byte_at(buffer, i) == _CLOSE_BRACKET:
                    i += 1
                    continue
                inside = True
        first, start = row, i
        if mode == RAW:
            i = _row(buffer, i, newlines, table, row)
            put_byte(operations, row, 1)
            row += 1
        elif mode == INSERT_DELETE:
            i, row = _changes(buffer, i, mode == DEBEZIUM, newlines, updates, table, row)
        else:
            i, end = _payload(buffer, i, newlines, stack)
            if i >= 0:
                i, row = _changes(buffer, i, mode == DEBEZIUM, newlines, updates, table, row)
                i = end if i >= 0 else -1
        if i < 0:
            return DECLINED, rows, event, finish
        for r in range(first, row):
            put_word(word_at(table, _EVENTS), r, event)
        put_word(word_at(table, _EVENT_STARTS), event, start)
        put_word(word_at(table, _EVENT_ENDS), event, i)
        event += 1
        rows, finish = row, i
        if inside:
            i = _skip_blanks(buffer, i, newlines)
            c = byte_at(buffer, i)
            if c == _CLOSE_BRACKET:
                inside = False
                i += 1
            elif c == _COMMA:
                i = _skip_blanks(buffer, i + 1, newlines)
            else:
                return DECLINED, rows, event, finish
