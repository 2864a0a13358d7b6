"""MAKE_*, FORMAT_*, PARSE_* and CONVERT_TIMEZONE (sql.md §7.6).

Formats are those of Rust's chrono. A format is compiled once: into a list of parts for writing, which
format_columns.py writes column by column if it can, and into a regular expression for reading. What parse_columns.py
can read of a column is read there; that is nearly all, and the regular expression is for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.casts.parse_times import zone_of
from millstream.expressions.coercion import coerce, is_null_literal
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import INT, TEXT, Function, Options, Parameter, any_nullable, check_count, table
from millstream.expressions.functions.format_columns import formatted
from millstream.expressions.functions.parse_columns import Integers, Mask, date_of, parsed
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.rows import of_distinct, per_row
from millstream.expressions.vectors import (
    Kernel,
    Value,
    both_valid,
    is_scalar,
    join,
    on_arrays,
    relabel,
    valid_of,
    values_of,
)
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import DATE, TIME, TIMESTAMP, VARCHAR

ROW_BY_ROW = (
    "FORMAT_* with a format that is no constant or has rare letters (%U %W %G %g %V %z %Z)",
    "PARSE_* of texts that do not match, or with a format that is no constant or has rare letters (%U %W %G %g %V %u "
    "%w %#z %Z): each distinct text once",
    "CONVERT_TIMEZONE with zones that are no constants",
)  # fmt: skip
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_NS, _MINUTE_NS = 86_400_000_000_000, 60_000_000_000
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_COMPOSED = {"D": "%m/%d/%y", "F": "%Y-%m-%d", "v": "%e-%b-%Y", "R": "%H:%M", "T": "%H:%M:%S", "X": "%H:%M:%S",
             "x": "%m/%d/%y", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y",
             "+": "%Y-%m-%dT%H:%M:%S%.f%:z"}  # fmt: skip
_TOKEN = re.compile(r"%([-_0]?)(\.[369]?f|[369]f|:{0,3}z|#z|.)|([^%]+)", re.DOTALL)


def _tokens(text: str) -> list[tuple[str, str, str]]:
    """(padding, letter, literal) of each part of a format, composed letters expanded."""
    found: list[tuple[str, str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError("incomplete conversion")
        padding, letter, literal = match[1] or "", match[2] or "", match[3] or ""
        if letter in _COMPOSED:
            found.extend(_tokens(_COMPOSED[letter]))
        elif letter in ("%", "t", "n"):
            found.append(("", "", {"%": "%", "t": "\t", "n": "\n"}[letter]))
        else:
            found.append((padding, letter, literal))
        position = match.end()
    return found


# ---- writing -----------------------------------------------------------------------------------------------------

_NUMBERS: dict[str, tuple[Callable[[date, int], int], int, str]] = {
    "Y": (lambda d, n: d.year, 4, "0"), "C": (lambda d, n: d.year // 100, 2, "0"),
    "y": (lambda d, n: d.year % 100, 2, "0"),
    "m": (lambda d, n: d.month, 2, "0"), "d": (lambda d, n: d.day, 2, "0"), "e": (lambda d, n: d.day, 2, " "),
    "w": (lambda d, n: d.isoweekday() % 7, 1, "0"), "u": (lambda d, n: d.isoweekday(), 1, "0"),
    "U": (lambda d, n: int(d.strftime("%U")), 2, "0"), "W": (lambda d, n: int(d.strftime("%W")), 2, "0"),
    "G": (lambda d, n: d.isocalendar()[0], 4, "0"), "g": (lambda d, n: d.isocalendar()[0] % 100, 2, "0"),
    "V": (lambda d, n: d.isocalendar()[1], 2, "0"), "j": (lambda d, n: d.timetuple().tm_yday, 3, "0"),
    "H": (lambda d, n: n // 3_600_000_000_000, 2, "0"), "k": (lambda d, n: n // 3_600_000_000_000, 2, " "),
    "I": (lambda d, n: (n // 3_600_000_000_000 + 11) % 12 + 1, 2, "0"),
    "l": (lambda d, n: (n // 3_600_000_000_000 + 11) % 12 + 1, 2, " "),
    "M": (lambda d, n: n // 60_000_000_000 % 60, 2, "0"), "S": (lambda d, n: n // 1_000_000_000 % 60, 2, "0"),
    "f": (lambda d, n: n % 1_000_000_000, 9, "0"),
    "s": (lambda d, n: (d.toordinal() - _EPOCH_DAY) * 86_400 + n // 1_000_000_000, 1, "0"),
}  # fmt: skip
_WORDS: dict[str, Callable[[date, int], str]] = {
    "b": lambda d, n: _MONTHS[d.month - 1][:3], "h": lambda d, n: _MONTHS[d.month - 1][:3],
    "B": lambda d, n: _MONTHS[d.month - 1], "a": lambda d, n: _DAYS[d.weekday()][:3], "A": lambda d,
    n: _DAYS[d.weekday()],
    "p": lambda d, n: "AM" if n < _DAY_NS // 2 else "PM", "P": lambda d, n: "am" if n < _DAY_NS // 2 else "pm",
    "z": lambda d, n: "+0000", ":z": lambda d, n: "+00:00", "::z": lambda d, n: "+00:00:00", ":::z": lambda d, n: "+00",
    "#z": lambda d, n: "+00", "Z": lambda d, n: "UTC",
}  # fmt: skip


def _fraction(letter: str, nanos: int) -> str:
    """`%.f` (0, 3, 6 or 9 digits), `%.3f`, `%3f` ..."""
    digits = f"{nanos % 1_000_000_000:09d}"
    dot, length = "." * letter.startswith("."), letter.strip(".f")
    if length:
        return dot + digits[: int(length)]
    if digits == "000000000":
        return ""
    return dot + (digits[:3] if digits.endswith("000000") else digits[:6] if digits.endswith("000") else digits)


def format_moment(text: str, days: int, nanos: int) -> str:
    """A moment, days since 1970-01-01 and nanoseconds of the day, in a chrono format."""
    day = date.fromordinal(days + _EPOCH_DAY)
    parts = []
    for padding, letter, literal in _compiled_tokens(text):
        if literal:
            parts.append(literal)
        elif letter in _NUMBERS:
            compute, width, fill = _NUMBERS[letter]
            fill = {"": fill, "0": "0", "_": " ", "-": ""}[padding]
            parts.append(str(compute(day, nanos)).rjust(width, fill) if fill else str(compute(day, nanos)))
        elif letter.endswith("f"):
            parts.append(_fraction(letter, nanos))
        elif letter in _WORDS:
            parts.append(_WORDS[letter](day, nanos))
        else:
            raise EvaluationError(f"Invalid format: '{text}'")
    return "".join(parts)


@lru_cache(maxsize=256)
def _compiled_tokens(text: str) -> list[tuple[str, str, str]]:
    try:
        return _tokens(text)
    except ValueError:
        raise EvaluationError(f"Invalid format: '{text}'") from None


# ---- reading -----------------------------------------------------------------------------------------------------

_NAMES = {"b": _MONTHS, "h": _MONTHS, "B": _MONTHS, "a": _DAYS, "A": _DAYS}
_READ: dict[str, tuple[str, str]] = {
    "Y": ("year", r"[+-]\d{1,9}|\d{1,4}"), "C": ("century", r"\d{1,2}"), "y": ("short_year", r"\d{1,2}"),
    "m": ("month", r"\d{1,2}"),
    "d": ("day", r"\d{1,2}"), "e": ("day", r"\d{1,2}"), "j": ("day_of_year", r"\d{1,3}"), "H": ("hour", r"\d{1,2}"),
    "k": ("hour", r"\d{1,2}"), "I": ("hour12", r"\d{1,2}"), "l": ("hour12", r"\d{1,2}"), "M": ("minute", r"\d{1,2}"),
    "S": ("second", r"\d{1,2}"), "f": ("nanos", r"\d{1,9}"), "s": ("epoch", r"-?\d+"), "G": ("iso_year", r"\d{1,4}"),
    "V": ("iso_week", r"\d{1,2}"), "u": ("weekday", r"[1-7]"), "w": ("sunday_weekday", r"[0-6]"),
    "U": ("sunday_week", r"\d{1,2}"), "W": ("monday_week", r"\d{1,2}"), "g": ("short_iso_year", r"\d{1,2}"),
}  # fmt: skip


#: Offsets are read over: the wall-clock time counts.
_OFFSETS = {
    **dict.fromkeys(("z", ":z", "::z", ":::z"), r"\s*[+-]\d\d:?[0-5]\d"),
    "#z": r"\s*(?:Z|[+-]\d\d(?::?[0-5]\d)?)", "Z": r"\S+",
}  # fmt: skip


@lru_cache(maxsize=256)
def _reader(text: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The regular expression of a format, and what its groups are."""
    pattern, fields = "", []
    for _, letter, literal in _compiled_tokens(text):
        if literal:
            pattern += "".join(r"\s*" if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", literal))
            continue
        if letter in _READ:
            field, digits = _READ[letter]
            pattern += rf"\s*({digits})"
        elif letter in _NAMES:
            field = "month_name" if _NAMES[letter] is _MONTHS else "weekday_name"
            pattern += "(" + "|".join(f"{name}|{name[:3]}" for name in _NAMES[letter]) + ")"
        elif letter in ("p", "P"):
            field = "half"
            pattern += "(am|pm)"
        elif letter in _OFFSETS:
            pattern += _OFFSETS[letter]
            continue
        elif letter.endswith("f"):
            field, count = "fraction", letter.strip(".f")
            body = rf"(\d{{{count}}})" if count else r"(\d{1,9})"
            pattern += (rf"(?:\.{body})?" if letter == ".f" else rf"\.{body}") if letter.startswith(".") else body
        else:
            raise EvaluationError(f"Invalid format: '{text}'")
        fields.append(field)
    return re.compile(pattern, re.IGNORECASE | re.ASCII), tuple(fields)


def _read(text: str, value: str) -> dict[str, Any] | None:
    """The fields that a text has according to a format; None when it does not match or contradicts itself."""
    pattern, fields = _reader(text)
    match = pattern.fullmatch(value)
    if match is None:
        return None
    found: dict[str, Any] = {}
    for field, group in zip(fields, match.groups(), strict=True):
        if group is None:
            continue
        if field == "month_name":
            field, number = "month", [m[:3].lower() for m in _MONTHS].index(group[:3].lower()) + 1
        elif field == "weekday_name":
            field, number = "weekday", [d[:3].lower() for d in _DAYS].index(group[:3].lower()) + 1
        elif field == "half":
            number = int(group.lower() == "pm")
        elif field == "fraction":
            field, number = "nanos", int(group.ljust(9, "0"))
        else:
            number = int(group)
        if found.setdefault(field, number) != number:
            return None
    return found


class _UndeterminedError(Exception):
    """The format does not say enough to make a value of it."""


def _day_of(found: dict[str, Any]) -> date:
    """The date of parsed fields. Raises ValueError for impossible ones."""
    if "short_year" in found and "year" not in found:
        short = found["short_year"]
        found["year"] = found["century"] * 100 + short if "century" in found else short + (2000 if short < 70 else 1900)
    if "sunday_weekday" in found:
        found["weekday"] = found["sunday_weekday"] or 7
    if "epoch" in found:
        return (datetime(1970, 1, 1) + timedelta(seconds=found["epoch"])).date()
    if {"year", "month", "day"} <= found.keys():
        day = date(found["year"], found["month"], found["day"])
    elif {"year", "day_of_year"} <= found.keys():
        day = date(found["year"], 1, 1) + timedelta(days=found["day_of_year"] - 1)
        if day.year != found["year"]:
            raise ValueError("day of year")
    elif {"iso_year", "iso_week", "weekday"} <= found.keys():
        day = date.fromisocalendar(found["iso_year"], found["iso_week"], found["weekday"])
    else:
        raise _UndeterminedError
    if "weekday" in found and day.isoweekday() != found["weekday"]:
        raise ValueError("weekday")
    return day


def _nanos_of(found: dict[str, Any]) -> int:
    """The time of day of parsed fields. Raises ValueError for impossible ones."""
    if "epoch" in found:
        return int(found["epoch"] % 86_400 * 1_000_000_000 + found.get("nanos", 0))
    if "hour12" in found and "half" in found and "hour" not in found:
        if not 1 <= found["hour12"] <= 12:
            raise ValueError("hour")
        found["hour"] = found["hour12"] % 12 + 12 * found["half"]
    if not {"hour", "minute"} <= found.keys():
        raise _UndeterminedError
    hour, minute, second = found["hour"], found["minute"], found.get("second", 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("time")
    return int(((hour * 60 + minute) * 60 + second) * 1_000_000_000 + found.get("nanos", 0))


def parse_moment(name: str, kind: Kind, text: str, value: str) -> int | None:
    """The storage value of a DATE, TIME or TIMESTAMP text; None where it does not match the format."""
    found = _read(text, value)
    if found is None:
        return None
    try:
        if kind is Kind.TIME:
            return _nanos_of(found)
        days = _day_of(found).toordinal() - _EPOCH_DAY
        return days if kind is Kind.DATE else days * 86_400_000_000 + _nanos_of(found) // 1000
    except _UndeterminedError:
        raise EvaluationError(f"Invalid format in {name}: '{text}' does not determine a {kind.value}") from None
    except (ValueError, OverflowError):
        return None


# ---- functions ---------------------------------------------------------------------------------------------------


def _storage_kernel(compute: Callable[..., int | None], data_type: pa.DataType) -> Kernel:
    """`per_row` for results that are given as the integers that Arrow stores."""
    storage = pa.int32() if data_type == pa.date32() else pa.int64()
    rows = per_row(compute, storage)
    return lambda *values: relabel(rows(*values), data_type)


def _integers(column: pa.Array) -> pa.Array:
    """Date/time columns as the integers that Arrow stores."""
    return relabel(column, pa.int32() if column.type == pa.date32() else pa.int64())


def _formatting(name: str, kinds: dict[Kind, SqlType]) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        text, value = TEXT.convert(arguments[0]), arguments[1]
        target = kinds.get(value.type.kind)
        if text is None or target is None:
            raise cannot_apply(name, arguments)
        typed = (text, coerce(value, target))
        return Call(VARCHAR.with_nullable(any_nullable(typed)), name, typed)

    def implement(call: Call) -> Kernel:
        kind = call.arguments[1].type.kind

        def write(text: str, value: int) -> str:
            if kind is Kind.DATE:
                return format_moment(text, value, 0)
            if kind is Kind.TIME:
                return format_moment(text, 0, value)
            return format_moment(text, value // 86_400_000_000, value % 86_400_000_000 * 1000)

        rows = per_row(write, pa.large_string())
        stretched = on_arrays(lambda texts, values: rows(texts, _integers(values)))

        def kernel(texts: Value, values: Value) -> Value:
            if is_scalar(texts) and not is_scalar(values) and texts.is_valid:
                found = _format_column(texts.as_py(), values, kind)
                if found is not None:
                    return found
            return stretched(texts, values)

        return kernel

    return Function(name, resolve, implement, fallible=lambda _: True, doc=f"{name}(format, x)")


def _format_column(text: str, values: pa.Array, kind: Kind) -> pa.Array | None:
    """A whole column in a format, if the format has no rare letters."""
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.large_string())
    present = pc.fill_null(_integers(values), 0)
    stored = np.asarray(present).astype(np.int64)
    zeros = np.zeros(len(stored), np.int64)
    if kind is Kind.DATE:
        days, nanos = stored, zeros
    elif kind is Kind.TIME:
        days, nanos = zeros, stored
    else:
        days, nanos = stored // 86_400_000_000, stored % 86_400_000_000 * 1000
    found = formatted(_compiled_tokens(text), days, nanos)
    if found is None or values.null_count == 0:
        return found
    return pc.if_else(values.is_valid(), found, pa.scalar(None, found.type))


def _parsing(name: str, target: SqlType) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        typed = [TEXT.convert(argument) for argument in arguments]
        texts = tuple(t for t in typed if t is not None)
        if len(texts) != 2:
            raise cannot_apply(name, arguments)
        return Call(target.with_nullable(True), name, texts)

    def implement(_: Call) -> Kernel:
        def read(text: str, value: str) -> int | None:
            return parse_moment(name, target.kind, text, value)

        data_type = arrow_type(target)
        rows = of_distinct(_storage_kernel(read, data_type))

        def kernel(text: Value, values: Value) -> Value:
            if not is_scalar(text) or not text.is_valid or is_scalar(values) or values.null_count == len(values):
                return rows(text, values)
            found = parsed(_compiled_tokens(text.as_py()), values, target.kind)
            if found is None:
                return rows(text, values)
            stored, valid, unread = found
            present = valid_of(values)
            if present is not None:
                valid, unread = valid & present, unread & present
            column = join(stored, valid, data_type)
            if not unread.any():
                return column
            return pc.replace_with_mask(column, pa.array(unread), rows(text, values.filter(pa.array(unread))))

        return kernel

    return Function(name, resolve, implement, fallible=lambda _: True, doc=f"{name}(format, text)")


def _seconds(argument: Expression) -> Expression | None:
    return argument if argument.type.is_numeric else INT.convert(argument) if is_null_literal(argument) else None


SECONDS = Parameter("NUMERIC", _seconds)


def _make_date(year: pa.Array, month: pa.Array, day: pa.Array) -> tuple[Integers, Mask]:
    return date_of(*(values_of(part).astype(np.int64) for part in (year, month, day)))


def _make_time(hour: pa.Array, minute: pa.Array, second: pa.Array) -> tuple[Integers, Mask]:
    hours, minutes = (values_of(part).astype(np.int64) for part in (hour, minute))
    seconds = nanos_of_minute(second)
    valid = (hours >= 0) & (hours < 24) & (minutes >= 0) & (minutes < 60) & (seconds >= 0)
    return (hours * 60 + minutes) * _MINUTE_NS + seconds, valid


def nanos_of_minute(seconds: pa.Array) -> Integers:
    """Nanoseconds of seconds of any numeric type; -1 for those that are not from 0 to below 60, arbitrary for NULLs."""
    if pa.types.is_decimal(seconds.type):
        zero = pa.scalar(Decimal(0), seconds.type)
        inside = pc.greater_equal(seconds, zero)
        if seconds.type.precision - seconds.type.scale >= 2:
            inside = pc.and_(inside, pc.less(seconds, pa.scalar(Decimal(60), seconds.type)))
        inside = pc.fill_null(inside, False)
        cut = pc.round(pc.if_else(inside, seconds, zero), 9, round_mode="towards_zero").cast(pa.decimal128(38, 9))
        words = np.frombuffer(cut.buffers()[1], np.int64).reshape(-1, 2)[cut.offset : cut.offset + len(cut), 0]
        return np.where(np.asarray(inside), words, -1)
    values = values_of(seconds)
    inside = (values >= 0) & (values < 60)
    nanos = np.rint(np.where(inside, values, 0).astype(np.float64) * 1_000_000_000)
    return np.where(inside, np.minimum(nanos, _MINUTE_NS - 1).astype(np.int64), -1)


def _make_timestamp(*parts: pa.Array) -> tuple[Integers, Mask]:
    days, dates = _make_date(*parts[:3])
    nanos, times = _make_time(*parts[3:])
    return days * (_DAY_NS // 1000) + nanos // 1000, dates & times


def _making(name: str, count: int, target: SqlType, compute: Callable[..., tuple[Integers, Mask]]) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), count, count)
        parameters = [INT] * count if target.kind is Kind.DATE else [INT] * (count - 1) + [SECONDS]
        typed = [p.convert(a) for p, a in zip(parameters, arguments, strict=True)]
        fitting = tuple(t for t in typed if t is not None)
        if len(fitting) != count:
            raise cannot_apply(name, arguments)
        return Call(target.with_nullable(True), name, fitting)

    def make(*parts: pa.Array) -> pa.Array:
        values, valid = compute(*parts)
        return join(values, both_valid(valid, *(valid_of(part) for part in parts)), arrow_type(target))

    return Function(name, resolve, lambda _: on_arrays(make), doc=f"{name}(...) or NULL")


def _convert_zone(source: str, target: str, micros: int) -> int | None:
    """Wall-clock time of one zone as that of another; None for unknown zones and skipped local times."""
    zone_from, zone_to = zone_of(source), zone_of(target)
    if zone_from is None or zone_to is None:
        return None
    try:
        local = datetime(1970, 1, 1) + timedelta(microseconds=micros)
        instant = local.replace(tzinfo=zone_from).astimezone(UTC)
        if instant.astimezone(zone_from).replace(tzinfo=None) != local:
            return None
        return (instant.astimezone(zone_to).replace(tzinfo=None) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    except OverflowError:
        return None


def _resolve_convert(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("CONVERT_TIMEZONE", len(arguments), 3, 3)
    zones = [TEXT.convert(a) for a in arguments[:2]]
    if None in zones or arguments[2].type.kind not in (Kind.TIMESTAMP, Kind.DATE, Kind.NULL):
        raise cannot_apply("CONVERT_TIMEZONE", arguments)
    typed = (*(z for z in zones if z is not None), coerce(arguments[2], TIMESTAMP))
    return Call(TIMESTAMP, "CONVERT_TIMEZONE", typed)


def _zone_name(name: str) -> str | None:
    """What Arrow calls a zone."""
    zone = zone_of(name)
    return None if zone is None else zone.key if isinstance(zone, ZoneInfo) else str(zone).removeprefix("UTC") or "UTC"


def _convert_column(values: pa.Array, source: str, target: str) -> pa.Array | None:
    """A whole column of wall-clock times; None if Arrow has no such zones. Local times that a zone skips are NULL."""
    names = _zone_name(source), _zone_name(target)
    if None in names:
        return pa.nulls(len(values), values.type)
    try:
        instants = pc.assume_timezone(values, names[0], ambiguous="earliest", nonexistent="earliest")
        exists = pc.equal(pc.local_timestamp(instants), values)
        moved = pc.local_timestamp(relabel(instants, pa.timestamp("us", names[1])))
    except pa.ArrowInvalid:
        return None
    return pc.if_else(exists, moved, pa.scalar(None, values.type))


def _implement_convert(_: Call) -> Kernel:
    rows = _storage_kernel(_convert_zone, pa.timestamp("us"))
    stretched = on_arrays(lambda source, target, values: rows(source, target, _integers(values)))

    def kernel(source: Value, target: Value, values: Value) -> Value:
        if is_scalar(source) and is_scalar(target) and source.is_valid and target.is_valid and not is_scalar(values):
            found = _convert_column(values, source.as_py(), target.as_py())
            if found is not None:
                return found
        return stretched(source, target, values)

    return kernel


_TEXTS = {Kind.CHAR, Kind.VARCHAR, Kind.NULL}

FUNCTIONS = table(
    _formatting("FORMAT_DATE", {Kind.DATE: DATE, Kind.TIMESTAMP: TIMESTAMP, **dict.fromkeys(_TEXTS, DATE)}),
    _formatting("FORMAT_TIME", {Kind.TIME: TIME, Kind.TIMESTAMP: TIMESTAMP, **dict.fromkeys(_TEXTS, TIME)}),
    _formatting("FORMAT_TIMESTAMP", dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMP_TZ, Kind.DATE, *_TEXTS), TIMESTAMP)),
    _parsing("PARSE_DATE", DATE),
    _parsing("PARSE_TIME", TIME),
    _parsing("PARSE_TIMESTAMP", TIMESTAMP),
    _making("MAKE_DATE", 3, DATE, _make_date),
    _making("MAKE_TIME", 3, TIME, _make_time),
    _making("MAKE_TIMESTAMP", 6, TIMESTAMP, _make_timestamp),
    Function("CONVERT_TIMEZONE", _resolve_convert, _implement_convert, doc="Wall-clock time in another zone."),
)
