"""Kernels from spans of text to values, for the spellings that nearly all data uses.

Every kernel fills `status`: VALUE, NOTHING (no value there: out[r] is zero) or UNSURE, which leaves the value to the
exact converter. They are deliberately narrow: fixed-width dates, plain digits. Each agrees with its twin in `values`
on everything that it does accept. Cost: one pass over the text.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from millstream.formats.columns.spans import ABSENT, ESCAPED, FALSE, IGNORED, INTEGER, NULL, NUMBER, STRING, TRUE
from millstream.zset.compiled import READ_ONLY_BYTES, kernel, kernel_for
from millstream.zset.words import copy_text

VALUE, NOTHING, UNSURE, LONG_FLOAT = 0, 1, 2, 3
_BACKSLASH, _U = 0x5C, 0x75
# Typed: numba compiles a function again for each literal argument.
_TWO, _FOUR = np.int64(2), np.int64(4)
_POWERS = 10.0 ** np.arange(23)
_TENS = 10 ** np.arange(19, dtype=np.int64)


@numba.njit(nogil=True, cache=True, inline="always")
def _nothing(kind: Any) -> Any:
    return kind in (NULL, ABSENT, IGNORED)


@numba.njit(nogil=True, cache=True, inline="always")
def _code(buffer: Any, i: Any) -> Any:
    """The byte at i as int64."""
    return np.int64(buffer[i])


@kernel
def _digits(buffer: Any, start: Any, count: Any) -> Any:
    """The number in `count` digits, or -1."""
    value = 0
    for i in range(start, start + count):
        digit = _code(buffer, i) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], boolean, uint64, uint64, uint64[::1], uint8[::1]")
def integers(
    buffer: Any, kinds: Any, starts: Any, ends: Any, strings: Any, lowest: Any, highest: Any, out: Any, status: Any
) -> None:
    """Integers between -lowest and highest (both given as uint64 magnitudes); results as uint64 bit patterns."""
    for r in range(len(kinds)):
        kind = kinds[r]
        out[r] = 0
        if _nothing(kind):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        if kind != INTEGER and not (strings and kind == STRING):
            continue
        i, end = starts[r], ends[r]
        negative = False
        if i < end and (buffer[i] == 0x2D or buffer[i] == 0x2B):
            negative = buffer[i] == 0x2D
            i += 1
        if i == end or end - i > 19:
            continue
        value = np.uint64(0)
        good = True
        while i < end:
            digit = np.uint64(buffer[i]) - np.uint64(48)
            if digit > np.uint64(9):
                good = False
                break
            value = value * np.uint64(10) + digit
            i += 1
        if good and value <= (lowest if negative else highest):
            out[r] = np.uint64(0) - value if negative else value
            status[r] = VALUE


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], boolean, boolean[::1], uint8[::1]")
def booleans(buffer: Any, kinds: Any, starts: Any, ends: Any, strings: Any, out: Any, status: Any) -> None:
    """`true` and `false`."""
    for r in range(len(kinds)):
        kind = kinds[r]
        out[r] = False
        if _nothing(kind):
            status[r] = NOTHING
        elif kind in (TRUE, FALSE):
            out[r] = kind == TRUE
            status[r] = VALUE
        else:
            status[r] = UNSURE
            i = starts[r]
            length = ends[r] - i
            if strings and kind == STRING and length == 4:
                if buffer[i] == 0x74 and buffer[i + 1] == 0x72 and buffer[i + 2] == 0x75 and buffer[i + 3] == 0x65:
                    out[r] = True
                    status[r] = VALUE
            elif (
                strings
                and kind == STRING
                and length == 5
                and buffer[i] == 0x66
                and buffer[i + 1] == 0x61
                and buffer[i + 2] == 0x6C
                and buffer[i + 3] == 0x73
                and buffer[i + 4] == 0x65
            ):
                status[r] = VALUE


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], int64, int64, int64[:, ::1], uint8[::1]")
def decimals(
    buffer: Any, kinds: Any, starts: Any, ends: Any, precision: Any, scale: Any, out: Any, status: Any
) -> None:
    """Plain decimals of at most 18 digits, scaled to integers. out: int64[n, 2], low and high word."""
    limit = _TENS[min(precision, 18)]
    for r in range(len(kinds)):
        kind = kinds[r]
        out[r, 0] = 0
        out[r, 1] = 0
        if _nothing(kind):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        if kind != INTEGER and kind != NUMBER and kind != STRING:
            continue
        i, end = starts[r], ends[r]
        negative = False
        if i < end and (buffer[i] == 0x2D or buffer[i] == 0x2B):
            negative = buffer[i] == 0x2D
            i += 1
        value, digits, fraction, good = 0, 0, -1, True
        while i < end:
            c = _code(buffer, i)
            if c == 0x2E and fraction < 0 and digits > 0:
                fraction = 0
            elif c < 48 or c > 57 or digits >= 18:
                good = False
                break
            elif fraction >= scale:
                if c != 48:
                    good = False
                    break
                fraction += 1
            else:
                value = value * 10 + (c - 48)
                digits += 1
                if fraction >= 0:
                    fraction += 1
            i += 1
        if not good or digits == 0 or fraction == 0:
            continue
        missing = scale - min(max(fraction, 0), scale)
        if missing > 18 or digits + missing > 18:
            continue
        value *= _TENS[missing]
        if value >= limit:
            continue
        value = -value if negative else value
        out[r, 0] = value
        out[r, 1] = value >> 63
        status[r] = VALUE


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], boolean, float64[::1], uint8[::1]")
def floats(buffer: Any, kinds: Any, starts: Any, ends: Any, strings: Any, out: Any, status: Any) -> None:
    """Decimal numbers whose digits fit 53 bits and whose power of ten is exact, for which one multiplication or
    division rounds correctly (Clinger 1990, "How to read floating point numbers accurately"). LONG_FLOAT: a number
    with more digits, well formed and far from overflow."""
    for r in range(len(kinds)):
        kind = kinds[r]
        out[r] = 0.0
        if _nothing(kind):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        if kind != INTEGER and kind != NUMBER and not (strings and kind == STRING):
            continue
        i, end = starts[r], ends[r]
        if end - i > 40:
            continue
        negative = False
        if i < end and (buffer[i] == 0x2D or buffer[i] == 0x2B):
            negative = buffer[i] == 0x2D
            i += 1
        mantissa, digits, exponent, fractional, good = 0, 0, 0, False, True
        while i < end:
            c = _code(buffer, i)
            if c == 0x2E and not fractional and digits > 0:
                fractional = True
            elif 48 <= c <= 57:
                if digits < 18:
                    mantissa = mantissa * 10 + (c - 48)
                digits += 1
                exponent -= 1 if fractional else 0
            else:
                break
            i += 1
        if digits == 0 or buffer[i - 1] == 0x2E:
            continue
        if i < end:
            good = buffer[i] == 0x65 or buffer[i] == 0x45
            i += 1
            sign = 1
            if good and i < end and (buffer[i] == 0x2D or buffer[i] == 0x2B):
                sign = -1 if buffer[i] == 0x2D else 1
                i += 1
            count = end - i
            written = _digits(buffer, i, count) if good and 1 <= count <= 2 else -1
            if written < 0:
                continue
            exponent += sign * written
        if digits > 18 or mantissa > 9007199254740992 or exponent < -22 or exponent > 22:
            status[r] = LONG_FLOAT
            continue
        value = mantissa * _POWERS[exponent] if exponent >= 0 else mantissa / _POWERS[-exponent]
        out[r] = -value if negative and not (kind == INTEGER and mantissa == 0) else value
        status[r] = VALUE


@kernel
def _civil_days(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970-01-01 of a date in the proleptic Gregorian calendar, or -2**62 if there is no such date."""
    if year < 1 or month < 1 or month > 12 or day < 1 or day > 31:
        return -(1 << 62)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2 and day > (29 if leap else 28):
        return -(1 << 62)
    if day == 31 and (month == 4 or month == 6 or month == 9 or month == 11):
        return -(1 << 62)
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@kernel
def _date_at(buffer: Any, i: Any) -> Any:
    """The days of the `YYYY-MM-DD` at i, or -2**62."""
    if buffer[i + 4] != 0x2D or buffer[i + 7] != 0x2D:
        return -(1 << 62)
    return _civil_days(_digits(buffer, i, _FOUR), _digits(buffer, i + 5, _TWO), _digits(buffer, i + 8, _TWO))


@kernel
def _time_at(buffer: Any, i: Any) -> Any:
    """The seconds of the `HH:MM:SS` at i, or -1."""
    if buffer[i + 2] != 0x3A or buffer[i + 5] != 0x3A:
        return -1
    hour, minute, second = _digits(buffer, i, _TWO), _digits(buffer, i + 3, _TWO), _digits(buffer, i + 6, _TWO)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1
    return hour * 3600 + minute * 60 + second


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], int64[::1], uint8[::1]")
def dates(buffer: Any, kinds: Any, starts: Any, ends: Any, out: Any, status: Any) -> None:
    """`YYYY-MM-DD` to days."""
    for r in range(len(kinds)):
        out[r] = 0
        if _nothing(kinds[r]):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        if kinds[r] == STRING and ends[r] - starts[r] == 10:
            days = _date_at(buffer, starts[r])
            if days > -(1 << 62):
                out[r] = days
                status[r] = VALUE


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], int64[::1], uint8[::1]")
def times(buffer: Any, kinds: Any, starts: Any, ends: Any, out: Any, status: Any) -> None:
    """`HH:MM:SS[.f]` to nanoseconds."""
    for r in range(len(kinds)):
        out[r] = 0
        if _nothing(kinds[r]):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        i = starts[r]
        length = ends[r] - i
        if kinds[r] != STRING or length < 8 or length > 18 or length == 9:
            continue
        seconds = _time_at(buffer, i)
        nanos = 0
        if seconds >= 0 and length > 9:
            nanos = _digits(buffer, i + 9, length - 9) if buffer[i + 8] == 0x2E else -1
            nanos = nanos * _TENS[18 - length]
        if seconds >= 0 and nanos >= 0:
            out[r] = seconds * 1_000_000_000 + nanos
            status[r] = VALUE


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], int64[::1], uint8[::1]")
def timestamps(buffer: Any, kinds: Any, starts: Any, ends: Any, out: Any, status: Any) -> None:
    """`YYYY-MM-DD HH:MM:SS[.f][zone]` or with `T`, to microseconds; zone is Z, +HH:MM or -HH:MM."""
    for r in range(len(kinds)):
        out[r] = 0
        if _nothing(kinds[r]):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        i, end = starts[r], ends[r]
        if kinds[r] != STRING or end - i < 19 or (buffer[i + 10] != 0x20 and buffer[i + 10] != 0x54):
            continue
        days = _date_at(buffer, i)
        seconds = _time_at(buffer, i + 11)
        if days == -(1 << 62) or seconds < 0:
            continue
        i += 19
        micros = 0
        if i < end and buffer[i] == 0x2E:
            first = i + 1
            i = first
            while i < end and 48 <= buffer[i] <= 57:
                if i - first < 6:
                    micros = micros * 10 + (_code(buffer, i) - 48)
                i += 1
            if i == first:
                continue
            micros *= _TENS[max(6 - (i - first), 0)]
        if i + 1 == end and buffer[i] == 0x5A:
            i += 1
        elif i + 6 == end and (buffer[i] == 0x2B or buffer[i] == 0x2D) and buffer[i + 3] == 0x3A:
            hours, minutes = _digits(buffer, i + 1, _TWO), _digits(buffer, i + 4, _TWO)
            if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
                continue
            offset = hours * 3600 + minutes * 60
            seconds -= offset if buffer[i] == 0x2B else -offset
            i += 6
        if i == end:
            out[r] = (days * 86400 + seconds) * 1_000_000 + micros
            status[r] = VALUE


@kernel
def _hex(c: Any) -> Any:
    """The value of a hexadecimal digit, or -1."""
    if 48 <= c <= 57:
        return np.int64(c) - 48
    lower = np.int64(c) | 0x20
    return lower - 87 if 97 <= lower <= 102 else -1


@kernel_for(f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], uint8[:, ::1], uint8[::1]")
def uuids(buffer: Any, kinds: Any, starts: Any, ends: Any, out: Any, status: Any) -> None:
    """The canonical 36 characters, to 16 bytes. out: uint8[n, 16]."""
    for r in range(len(kinds)):
        for position in range(16):
            out[r, position] = 0
        if _nothing(kinds[r]):
            status[r] = NOTHING
            continue
        status[r] = UNSURE
        i = starts[r]
        if kinds[r] != STRING or ends[r] - i != 36:
            continue
        good = True
        for position in range(16):
            if position == 4 or position == 6 or position == 8 or position == 10:
                good = good and buffer[i] == 0x2D
                i += 1
            high, low = _hex(buffer[i]), _hex(buffer[i + 1])
            good = good and high >= 0 and low >= 0
            out[r, position] = (high << 4 | low) & 0xFF
            i += 2
        if good:
            status[r] = VALUE


@kernel
def _unescape_json(buffer: Any, i: Any, end: Any, out: Any, position: Any) -> Any:
    """Write the string's UTF-8 at `position`; the escapes have been checked by the scanner."""
    while i < end:
        c = _code(buffer, i)
        if c != _BACKSLASH:
            out[position] = c
            position += 1
            i += 1
            continue
        c = _code(buffer, i + 1)
        i += 2
        if c != _U:
            if c == 0x6E:
                c = 0x0A
            elif c == 0x74:
                c = 0x09
            elif c == 0x72:
                c = 0x0D
            elif c == 0x62:
                c = 0x08
            elif c == 0x66:
                c = 0x0C
            out[position] = c
            position += 1
            continue
        code = _hex(buffer[i]) << 12 | _hex(buffer[i + 1]) << 8 | _hex(buffer[i + 2]) << 4 | _hex(buffer[i + 3])
        i += 4
        if 0xD800 <= code < 0xDC00:
            low = _hex(buffer[i + 2]) << 12 | _hex(buffer[i + 3]) << 8 | _hex(buffer[i + 4]) << 4 | _hex(buffer[i + 5])
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        if code < 0x80:
            out[position] = code
            position += 1
        elif code < 0x800:
            out[position] = 0xC0 | code >> 6
            out[position + 1] = 0x80 | code & 0x3F
            position += 2
        elif code < 0x10000:
            out[position] = 0xE0 | code >> 12
            out[position + 1] = 0x80 | code >> 6 & 0x3F
            out[position + 2] = 0x80 | code & 0x3F
            position += 3
        else:
            out[position] = 0xF0 | code >> 18
            out[position + 1] = 0x80 | code >> 12 & 0x3F
            out[position + 2] = 0x80 | code >> 6 & 0x3F
            out[position + 3] = 0x80 | code & 0x3F
            position += 4
    return position


@kernel
def _unescape_csv(
    buffer: Any, i: Any, end: Any, out: Any, position: Any, quote: Any, escape: Any, double_quote: Any
) -> Any:
    """Write a quoted field's content at `position`: quoted part first, then what follows the closing quote."""
    i += 1
    while i < end:
        c = _code(buffer, i)
        if c == escape and i + 1 < end:
            i += 1
            c = _code(buffer, i)
        elif c == quote:
            if not (double_quote and i + 1 < end and buffer[i + 1] == quote):
                i += 1
                break
            i += 1
        out[position] = c
        position += 1
        i += 1
    while i < end:
        out[position] = buffer[i]
        position += 1
        i += 1
    return position


@kernel_for(
    f"{READ_ONLY_BYTES}, uint8[::1], int64[::1], int64[::1], int64, int64, boolean, int64[::1], uint8[::1], uint8[::1]"
)
def texts(
    buffer: Any,
    kinds: Any,
    starts: Any,
    ends: Any,
    quote: Any,
    escape: Any,
    double_quote: Any,
    offsets: Any,
    out: Any,
    status: Any,
) -> Any:
    """Strings one after another in `out`; returns the bytes used. quote < 0: JSON escapes, else CSV quoting. `out`
    needs room for the sum of all span lengths."""
    source, target = np.int64(buffer.ctypes.data), np.int64(out.ctypes.data)
    position = np.int64(0)  # typed: numba would compile the unescaping again for a literal
    for r in range(len(kinds)):
        kind = kinds[r]
        offsets[r] = position
        if kind == STRING:
            start, end = starts[r], ends[r]
            copy_text(target + position, source + start, end - start)
            position += end - start
            status[r] = VALUE
        elif _nothing(kind):
            status[r] = NOTHING
        elif kind == ESCAPED:
            if quote < 0:
                position = _unescape_json(buffer, starts[r], ends[r], out, position)
            else:
                position = _unescape_csv(buffer, starts[r], ends[r], out, position, quote, escape, double_quote)
            status[r] = VALUE
        else:
            status[r] = UNSURE
    offsets[len(kinds)] = position
    return position
