"""Dates and times read from texts in a chrono format, a column at a time.

A format becomes a list of steps (`Reading`), which a kernel takes for every row: bytes to be found, numbers and names
to be read into fields. It reads greedily and does not go back; a row that it cannot read so may still match, or match
no format at all: that is for formats.py, which has the whole truth as a regular expression. Formats with rare letters
have no steps. What fields make together is computed for all rows at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.functions.intervals import days_in_month, days_of_civil
from millstream.expressions.text_kernels import bytes_of
from millstream.types import Kind
from millstream.zset.compiled import READ_ONLY_BYTES, kernel, kernel_for

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_DAY_S, _SECOND_NS = 86_400, 1_000_000_000
_FIRST_DAY, _LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
#: A field that a row does not have.
_ABSENT = -(1 << 63)
_BYTE, _BLANKS, _NUMBER, _YEAR, _EPOCH, _NAME, _FRACTION, _DOT_FRACTION, _OFFSET = range(9)
#: Letter: field, most digits; blanks may come first.
_NUMBERS = {
    "C": ("century", 2), "y": ("short_year", 2), "m": ("month", 2), "d": ("day", 2), "e": ("day", 2),
    "j": ("day_of_year", 3), "H": ("hour", 2), "k": ("hour", 2), "I": ("hour12", 2), "l": ("hour12", 2),
    "M": ("minute", 2), "S": ("second", 2), "f": ("nanos", 9),
}  # fmt: skip
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = (*_MONTHS, *_DAYS, "am", "pm")
#: Letter: field, the first name and how many there are, and the number of the first.
_NAMED = {
    **dict.fromkeys("bhB", ("month", 0, 12, 1)),
    **dict.fromkeys("aA", ("weekday", 12, 7, 1)),
    **dict.fromkeys("pP", ("half", 19, 2, 0)),
}
_SHORT_NAME = 3
_NAME_BYTES = np.array([list(name.encode().ljust(9, b"\0")) for name in _NAMES], np.uint8)
_NAME_LENGTHS = np.array([len(name) for name in _NAMES])
_LOWER = 0x20


@dataclass(frozen=True, slots=True)
class Reading:
    """A format as steps (operation, two numbers, number of the field), and the fields that they fill."""

    steps: Integers
    fields: tuple[str, ...]


@lru_cache(maxsize=256)
def reading(tokens: tuple[tuple[str, str, str], ...]) -> Reading | None:
    """The steps of a format's tokens (padding, letter, literal); None if there are none for a letter."""
    steps: list[tuple[int, int, int, int]] = []
    fields: list[str] = []

    def field(name: str) -> int:
        if name not in fields:
            fields.append(name)
        return fields.index(name)

    for _, letter, literal in tokens:
        if literal:
            for part in re.split(r"(\s+)", literal):
                if part.isspace():
                    steps.append((_BLANKS, 0, 0, 0))
                else:
                    steps += [(_BYTE, byte, 0, 0) for byte in part.encode()]
        elif letter in _NUMBERS:
            name, most = _NUMBERS[letter]
            steps += [(_BLANKS, 0, 0, 0), (_NUMBER, 1, most, field(name))]
        elif letter in ("Y", "s"):
            operation, name = (_YEAR, "year") if letter == "Y" else (_EPOCH, "epoch")
            steps += [(_BLANKS, 0, 0, 0), (operation, 0, 0, field(name))]
        elif letter in _NAMED:
            name, first, count, number = _NAMED[letter]
            steps.append((_NAME, first | count << 8, number, field(name)))
        elif letter in ("z", ":z", "::z", ":::z"):
            steps += [(_BLANKS, 0, 0, 0), (_OFFSET, 0, 0, 0)]
        elif letter == ".f":
            steps.append((_DOT_FRACTION, 1, 9, field("nanos")))
        elif letter.endswith("f"):
            steps += [(_BYTE, ord("."), 0, 0)] * letter.startswith(".")
            digits = int(letter.strip(".f"))
            steps.append((_FRACTION, digits, digits, field("nanos")))
        else:
            return None
    return Reading(np.array(steps, np.int64).reshape(-1, 4), tuple(fields))


def parsed(tokens: Sequence[tuple[str, str, str]], texts: pa.Array, kind: Kind) -> tuple[Integers, Mask, Mask] | None:
    """The stored values of the texts of a large_string column, whether there is one, and which rows were not read, so
    that nothing is known about them. None where the format needs the row-by-row way, or does not say enough."""
    how = reading(tuple(tokens))
    if how is None or not (_tells_day(how.fields) if kind is not Kind.TIME else _tells_time(how.fields)):
        return None
    if kind is Kind.TIMESTAMP and not _tells_time(how.fields):
        return None
    data, offsets = bytes_of(texts)
    rows = len(texts)
    found = np.full((len(how.fields), rows), _ABSENT, np.int64)
    read = np.zeros(rows, np.bool_)
    _read_rows(data, np.ascontiguousarray(offsets), how.steps, _NAME_BYTES, _NAME_LENGTHS, found, read)
    if not read.all():
        found = np.where(read, found, 1)
    fields = dict(zip(how.fields, found, strict=True))
    # Also one that is not there: %.f may find nothing.
    if "nanos" in fields:
        fields["nanos"] = np.where(fields["nanos"] == _ABSENT, 0, fields["nanos"])
    valid = np.ones(rows, np.bool_)
    values: Integers = np.zeros(rows, np.int64)
    if kind is not Kind.TIME:
        values, valid = _day_of(fields, rows)
    if kind is not Kind.DATE:
        nanos, possible = _nanos_of(fields)
        valid &= possible
        values = nanos if kind is Kind.TIME else values * (_DAY_S * 1_000_000) + nanos // 1000
    return values, valid & read, ~read


def _tells_day(fields: Sequence[str]) -> bool:
    has_year = "year" in fields or "short_year" in fields
    return "epoch" in fields or (has_year and ("day_of_year" in fields or ("month" in fields and "day" in fields)))


def _tells_time(fields: Sequence[str]) -> bool:
    has_hour = "hour" in fields or ("hour12" in fields and "half" in fields)
    return "epoch" in fields or (has_hour and "minute" in fields)


def date_of(year: Integers, month: Integers, day: Integers) -> tuple[Integers, Mask]:
    """Days since 1970-01-01, and whether there is such a date, in the years 1 to 9999."""
    valid = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12)
    year, month = np.where(valid, year, 1970), np.where(valid, month, 1)
    valid &= (day >= 1) & (day <= days_in_month(year, month))
    return days_of_civil(year, month, np.where(valid, day, 1)), valid


def _day_of(fields: dict[str, Integers], rows: int) -> tuple[Integers, Mask]:
    if "epoch" in fields:
        days = fields["epoch"] // _DAY_S
        return days, (days >= _FIRST_DAY) & (days <= _LAST_DAY)
    year = fields.get("year")
    if year is None:
        short = fields["short_year"]
        century = fields.get("century")
        year = short + np.where(short < 70, 2000, 1900) if century is None else century * 100 + short
    if "month" in fields and "day" in fields:
        days, valid = date_of(year, fields["month"], fields["day"])
    else:
        one = np.ones(rows, np.int64)
        first_day, valid = date_of(year, one, one)
        nth = fields["day_of_year"]
        last_day, _ = date_of(year, 12 * one, 31 * one)
        valid &= (nth >= 1) & (nth <= last_day - first_day + 1)
        days = first_day + nth - 1
    if "weekday" in fields:
        valid &= (days + 3) % 7 + 1 == fields["weekday"]
    return days, valid


def _nanos_of(fields: dict[str, Integers]) -> tuple[Integers, Mask]:
    more = fields.get("nanos", np.int64(0))
    if "epoch" in fields:
        nanos = fields["epoch"] % _DAY_S * _SECOND_NS + more
        return nanos, np.ones(len(nanos), np.bool_)
    hour = fields.get("hour")
    valid: Mask = np.ones(len(fields["minute"]), np.bool_)
    if "hour12" in fields and "half" in fields and hour is None:
        valid &= (fields["hour12"] >= 1) & (fields["hour12"] <= 12)
        hour = fields["hour12"] % 12 + 12 * fields["half"]
    assert hour is not None
    minute, second = fields["minute"], fields.get("second", np.zeros_like(hour))
    valid &= (hour <= 23) & (minute <= 59) & (second <= 59)
    return ((hour * 60 + minute) * 60 + second) * _SECOND_NS + more, valid


# ---- the kernel --------------------------------------------------------------------------------------------------


@kernel
def _is_digit(data: Any, at: Any, end: Any) -> Any:
    return at < end and data[at] >= ord("0") and data[at] <= ord("9")


@kernel
def _number(data: Any, at: Any, end: Any, least: Any, most: Any) -> Any:
    """The number of at most `most` digits at `at`, and the position after it; -1 for that where it has less than
    `least`."""
    value = np.int64(0)
    count = 0
    while count < most and _is_digit(data, at + count, end):
        value = value * 10 + (np.int64(data[at + count]) - ord("0"))
        count += 1
    return value, at + count if count >= least else np.int64(-1)


@kernel
def _signed(data: Any, at: Any, end: Any) -> Any:
    """-1 or 1 for a sign at `at`, 0 for none."""
    if at < end and data[at] == ord("-"):
        return -1
    return 1 if at < end and data[at] == ord("+") else 0


@kernel
def _lower(byte: Any) -> Any:
    return byte | _LOWER if byte >= ord("A") and byte <= ord("Z") else byte


@kernel
def _starts_with(data: Any, at: Any, end: Any, name: Any, length: Any) -> Any:
    """Whether the lower-case `name` is at `at`, in letters of any case."""
    i = 0
    while i < length and at + i < end and _lower(data[at + i]) == name[i]:
        i += 1
    return i == length


@kernel
def _named(data: Any, at: Any, end: Any, first: Any, count: Any, names: Any, lengths: Any) -> Any:
    """Which of some names is at `at`, whole or, if that is not so, its first letters; and the position after it, -1 for
    none."""
    for k in range(count):
        length = lengths[first + k]
        if _starts_with(data, at, end, names[first + k], length):
            return k, at + length
        if _starts_with(data, at, end, names[first + k], min(length, _SHORT_NAME)):
            return k, at + min(length, _SHORT_NAME)
    return np.int64(0), np.int64(-1)


@kernel
def _after_offset(data: Any, at: Any, end: Any) -> Any:
    """The position after an offset from UTC, as +01:00 or -0130; -1 for none."""
    if _signed(data, at, end) == 0 or not _is_digit(data, at + 1, end) or not _is_digit(data, at + 2, end):
        return np.int64(-1)
    at += 3
    if at < end and data[at] == ord(":"):
        at += 1
    if not _is_digit(data, at, end) or data[at] > ord("5") or not _is_digit(data, at + 1, end):
        return np.int64(-1)
    return at + 2


@kernel
def _after_blanks(data: Any, at: Any, end: Any) -> Any:
    while at < end and (data[at] == ord(" ") or (data[at] >= 9 and data[at] <= 13)):
        at += 1
    return at


@kernel_for(f"{READ_ONLY_BYTES}, int64[::1], int64[:, ::1], uint8[:, ::1], int64[::1], int64[:, ::1], boolean[::1]")
def _read_rows(data: Any, offsets: Any, steps: Any, names: Any, lengths: Any, fields: Any, read: Any) -> None:
    """Reads every row; `read` says which ones were read to their ends, no field having two values. O(bytes)."""
    for row in range(len(read)):
        at, end = offsets[row], offsets[row + 1]
        for s in range(len(steps)):
            operation, a, b, field = steps[s, 0], steps[s, 1], steps[s, 2], steps[s, 3]
            value = np.int64(_ABSENT)
            if operation == _BLANKS:
                at = _after_blanks(data, at, end)
            elif operation == _BYTE:
                at = at + 1 if at < end and (data[at] == a or _lower(data[at]) == _lower(np.uint8(a))) else np.int64(-1)
            elif operation == _NUMBER:
                value, at = _number(data, at, end, a, b)
            elif operation in (_FRACTION, _DOT_FRACTION):
                begin = at
                if operation == _DOT_FRACTION:
                    if not (at < end and data[at] == ord(".") and _is_digit(data, at + 1, end)):
                        continue
                    begin = at + 1
                value, at = _number(data, begin, end, a, b)
                for _ in range(9 - (at - begin) if at >= 0 else 0):
                    value *= 10
            elif operation == _NAME:
                k, at = _named(data, at, end, a & 0xFF, a >> 8, names, lengths)
                value = k + b
            elif operation == _OFFSET:
                at = _after_offset(data, at, end)
            else:
                sign = _signed(data, at, end)
                if operation == _EPOCH and sign > 0:
                    break
                most = 18 if operation == _EPOCH else 9 if sign != 0 else 4
                value, at = _number(data, at + 1 if sign != 0 else at, end, np.int64(1), most)
                value = -value if sign < 0 else value
                if operation == _EPOCH and _is_digit(data, at, end):
                    break
            if at < 0:
                break
            if value != _ABSENT:
                if fields[field, row] != _ABSENT and fields[field, row] != value:
                    break
                fields[field, row] = value
        else:
            read[row] = at == end


def warm_up() -> None:
    """Calls the kernel once on a tiny input."""
    parsed((("", "Y", ""), ("", "", "-"), ("", "j", "")), pa.array(["2020-1"], pa.large_string()), Kind.DATE)
