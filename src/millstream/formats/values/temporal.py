"""Dates, times and timestamps: text to integers since midnight or 1970, and back.

Input is as lenient as the dialect promises (leading zeros optional, blanks around, `T` or blank between date
and time, any offset); output is exact. Fractions beyond a timestamp's microseconds are cut.
"""

from __future__ import annotations

import re
from datetime import date

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DATE = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d+))?", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[Tt]|[ ]+)(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d+))?"
    r"[ ]*([Zz]|UTC|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_BLANKS = " \t\r\n"
MICROS_PER_SECOND = 1_000_000
MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND
NANOS_PER_DAY = 86_400_000_000_000
#: Instants of years 1 to 9999, the dialect's range.
MIN_DAYS = 1 - _EPOCH_ORDINAL
MAX_DAYS = date.max.toordinal() - _EPOCH_ORDINAL


def _days(year: str, month: str, day: str, text: str) -> int:
    try:
        return date(int(year), int(month), int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        raise ValueError(f"invalid date in '{text}'") from None


def _seconds(hour: str, minute: str, second: str, text: str) -> int:
    h, m, s = int(hour), int(minute), int(second)
    if h > 23 or m > 59 or s > 59:
        raise ValueError(f"invalid time of day in '{text}'")
    return h * 3600 + m * 60 + s


def parse_date(text: str) -> int:
    """Days since 1970-01-01 of `YYYY-MM-DD`."""
    match = _DATE.fullmatch(text.strip(_BLANKS))
    if match is None:
        raise ValueError(f"invalid date '{text}': expected YYYY-MM-DD")
    return _days(match[1], match[2], match[3], text)


def parse_time(text: str) -> int:
    """Nanoseconds since midnight of `HH:MM:SS[.f]`, at most nine fractional digits."""
    match = _TIME.fullmatch(text.strip(_BLANKS))
    if match is None or len(match[4] or "") > 9:
        raise ValueError(f"invalid time '{text}': expected HH:MM:SS[.fffffffff]")
    fraction = int((match[4] or "").ljust(9, "0"))
    return _seconds(match[1], match[2], match[3], text) * 1_000_000_000 + fraction


def parse_timestamp(text: str) -> int:
    """Microseconds since 1970 of `YYYY-MM-DD HH:MM:SS[.f]` or RFC 3339; an offset is converted to UTC."""
    match = _TIMESTAMP.fullmatch(text.strip(_BLANKS))
    if match is None:
        raise ValueError(f"invalid timestamp '{text}': expected YYYY-MM-DD HH:MM:SS[.ffffff] or RFC 3339")
    days = _days(match[1], match[2], match[3], text)
    micros = int((match[7] or "")[:6].ljust(6, "0"))
    seconds = days * 86_400 + _seconds(match[4], match[5], match[6], text)
    zone = match[8]
    if zone is not None and zone[0] in "+-":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 23 or minutes > 59:
            raise ValueError(f"invalid zone offset in '{text}'")
        offset = hours * 3600 + minutes * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds * MICROS_PER_SECOND + micros


def timestamp_from_millis(value: int) -> int:
    """Microseconds of an epoch in milliseconds; years 1 to 9999 only."""
    micros = value * 1000
    if not MIN_DAYS * MICROS_PER_DAY <= micros < (MAX_DAYS + 1) * MICROS_PER_DAY:
        raise ValueError(f"timestamp {value} ms is out of range")
    return micros


def time_from_units(value: int, nanos_per_unit: int) -> int:
    """Nanoseconds since midnight of a count of units; within one day only."""
    nanos = value * nanos_per_unit
    if not 0 <= nanos < NANOS_PER_DAY:
        raise ValueError(f"time of day {value} is out of range")
    return nanos


def date_from_days(value: int) -> int:
    """The day number itself, checked to lie in years 1 to 9999."""
    if not MIN_DAYS <= value <= MAX_DAYS:
        raise ValueError(f"date {value} is out of range")
    return value


def _fraction(nanos: int) -> str:
    """A fraction of a second with 0, 3, 6 or 9 digits, whichever suffice."""
    if nanos == 0:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03d}"
    if nanos % 1_000 == 0:
        return f".{nanos // 1_000:06d}"
    return f".{nanos:09d}"


def format_date(days: int) -> str:
    """`YYYY-MM-DD`."""
    return date.fromordinal(days + _EPOCH_ORDINAL).isoformat()


def format_time(nanos: int) -> str:
    """`HH:MM:SS[.f]`."""
    seconds, fraction = divmod(nanos, 1_000_000_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{_fraction(fraction)}"


def format_timestamp(micros: int, separator: str = " ", suffix: str = "") -> str:
    """`YYYY-MM-DD HH:MM:SS[.f]` with the given separator and zone suffix."""
    days, rest = divmod(micros, MICROS_PER_DAY)
    return f"{format_date(days)}{separator}{format_time(rest * 1000)}{suffix}"
