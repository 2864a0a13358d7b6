"""Dates, times, timestamps and UUIDs out of text (sql.md §6.2).

A regular expression decides whether the text has the strict form; the fields are then read by Arrow's parsers
where those are exact, and checked against the calendar.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, Converted, failed_between
from millstream.expressions.vectors import relabel
from millstream.types import Kind, SqlType

ROW_BY_ROW = ("CAST(string AS TIMESTAMP WITH TIME ZONE, UUID)", "casts of columns with an invalid date or time")
_DATE = r"\d{4}-\d{2}-\d{2}"
_REAL_YEAR = r"(000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})-\d{2}-\d{2}"  # Arrow reads year 0, too
_TIME = r"\d{2}:\d{2}:\d{2}(\.\d{1,9})?"
_UUID = re.compile(r"[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}")
_EPOCH = datetime(1970, 1, 1)


def parse_date(text: str) -> int | None:
    """Days since 1970-01-01 of `YYYY-MM-DD`; None if it is no date."""
    if not re.fullmatch(_DATE, text, re.ASCII):
        return None
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        return None


def parse_time(text: str) -> int | None:
    """Nanoseconds since midnight of `HH:MM:SS[.f]`; None if it is no time."""
    if not re.fullmatch(_TIME, text, re.ASCII):
        return None
    hour, minute, second = int(text[0:2]), int(text[3:5]), int(text[6:8])
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = int(text[9:].ljust(9, "0")) if len(text) > 9 else 0
    return ((hour * 60 + minute) * 60 + second) * 10**9 + fraction


def parse_timestamp(text: str) -> int | None:
    """Microseconds since the epoch of `YYYY-MM-DD[ HH:MM:SS[.f]]` (`T` also separates); None if it is
    none."""
    days = parse_date(text[:10])
    if days is None or len(text) == 10:
        return None if days is None else days * 86_400_000_000
    time = parse_time(text[11:]) if text[10] in " T" else None
    return None if time is None else days * 86_400_000_000 + time // 1000


def parse_timestamp_tz(text: str) -> int | None:
    """Microseconds of `date time zone`: a zone name or an offset, without which the text is taken as UTC."""
    parts = text.split(" ")
    if len(parts) == 2 and parts[1].endswith("Z"):
        parts = [parts[0], parts[1][:-1], "UTC"]
    if len(parts) not in (2, 3):
        return None
    wall = parse_timestamp(f"{parts[0]} {parts[1]}")
    if wall is None or len(parts) == 2:
        return wall
    offset = zone_of(parts[2])
    if offset is None:
        return None
    local = (_EPOCH + timedelta(microseconds=wall)).replace(tzinfo=offset)
    return (local.astimezone(UTC) - _EPOCH.replace(tzinfo=UTC)) // timedelta(microseconds=1)


def zone_of(name: str) -> timezone | ZoneInfo | None:
    """The time zone of an IANA name or `+HH:MM`; None if there is none."""
    offset = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)) if minutes < 1440 else None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def parse_uuid(text: str) -> bytes | None:
    """The 16 bytes of 32 hexadecimal digits, hyphens between groups of four and braces around allowed."""
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    return bytes.fromhex(inner.replace("-", "")) if _UUID.fullmatch(inner) else None


def _by_rows(array: pa.Array, parse: Any, storage: pa.DataType, data_type: pa.DataType) -> Converted:
    parsed = pa.array([None if text is None else parse(text) for text in array.to_pylist()], storage)
    return relabel(parsed, data_type), failed_between(array, parsed)


def _dates(array: pa.Array) -> Converted:
    if pc.all(pc.match_substring_regex(array, f"^{_REAL_YEAR}$"), min_count=0).as_py():
        try:
            return array.cast(pa.date32()), None
        except pa.ArrowInvalid:
            pass
    return _by_rows(array, parse_date, pa.int32(), pa.date32())


def _times(array: pa.Array) -> Converted:
    strict = r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?$"
    if pc.all(pc.match_substring_regex(array, strict), min_count=0).as_py():
        hours, minutes, seconds = (pc.utf8_slice_codeunits(array, i, i + 2).cast(pa.int64()) for i in (0, 3, 6))
        fraction = pc.utf8_rpad(pc.utf8_slice_codeunits(array, 9, 18), 9, "0").cast(pa.int64())
        whole = pc.add(pc.multiply(pc.add(pc.multiply(hours, 60), minutes), 60), seconds)
        return relabel(pc.add(pc.multiply(whole, 10**9), fraction), pa.time64("ns")), None
    return _by_rows(array, parse_time, pa.int64(), pa.time64("ns"))


def _timestamps(array: pa.Array) -> Converted:
    if pc.all(
        pc.match_substring_regex(array, rf"^{_REAL_YEAR}([ T]\d{{2}}:\d{{2}}:\d{{2}}(\.\d{{1,6}})?)?$"), min_count=0
    ).as_py():
        try:
            return array.cast(pa.timestamp("us")), None
        except pa.ArrowInvalid:
            pass
    return _by_rows(array, parse_timestamp, pa.int64(), pa.timestamp("us"))


def _date_reason(text: str) -> str:
    if not re.fullmatch(_DATE, text, re.ASCII):
        short = len(text) < 10 and re.fullmatch(r"[\d-]*", text)
        trailing = re.match(_DATE, text, re.ASCII)
        return (
            "premature end of input" if short else "trailing input" if trailing else "input contains invalid characters"
        )
    return "input is out of range"


def time_conversion(target: SqlType) -> Conversion:
    """CAST(string AS DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE or UUID)."""
    if target.kind is Kind.DATE:
        return Conversion(_dates, lambda v: f"Error converting {v.as_py()} to DATE: {_date_reason(v.as_py())}")
    if target.kind is Kind.TIME:
        return Conversion(_times, lambda v: f"Error converting {v.as_py()} to TIME: {_time_reason(v.as_py())}")
    if target.kind is Kind.TIMESTAMP:
        return Conversion(_timestamps, lambda v: f"Failed to parse '{v.as_py()}' as a TIMESTAMP")
    if target.kind is Kind.UUID:
        return Conversion(
            lambda a: _uuids(a),
            lambda v: f"Invalid UUID string '{v.as_py()}'",
        )
    return Conversion(
        lambda a: _by_rows(a, parse_timestamp_tz, pa.int64(), pa.timestamp("us", "UTC")),
        lambda v: f"Failed to parse '{v.as_py()}' as a TIMESTAMP WITH TIME ZONE",
    )


def _uuids(array: pa.Array) -> Converted:
    parsed = pa.array([None if text is None else parse_uuid(text) for text in array.to_pylist()], pa.binary(16))
    return parsed, failed_between(array, parsed)


def _time_reason(text: str) -> str:
    if re.fullmatch(_TIME, text, re.ASCII):
        return "input is out of range"
    return "premature end of input" if re.fullmatch(r"[\d:]{0,7}", text) else "input contains invalid characters"
