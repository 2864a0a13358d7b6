"""Literals: the typed constant that each spelling denotes (sql.md §1, §4.6)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from millstream.expressions.nodes import Literal
from millstream.plan.program import Span
from millstream.sql.messages import SqlError, invalid
from millstream.sql.syntax import Constant, IntervalLiteral
from millstream.types import Kind, SqlType
from millstream.types.sql_type import DATE, LONG_INTERVALS, TIME, TIMESTAMP, TIMESTAMP_TZ, UUID, char, decimal

_NOT_NULL = {kind: SqlType(kind, nullable=False) for kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.BIGINT, Kind.REAL,
                                                              Kind.DOUBLE)}  # fmt: skip
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_UUID = re.compile(r"\{?((?:[0-9A-Fa-f]{4}-?){7}[0-9A-Fa-f]{4})\}?")
_EPOCH = date(1970, 1, 1)
_US = {"DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000}
_MONTHS = {"YEAR": 12, "MONTH": 1}
_SCALED = {"WEEK": ("DAY", 7), "QUARTER": ("MONTH", 3)}


def bind_constant(constant: Constant) -> Literal:
    """The literal of a constant. Raises SqlError for malformed text."""
    kind, text, span = constant.kind, constant.text, constant.span
    if kind == "NUMBER":
        return number(text, span)
    if kind == "STRING":
        return Literal(char(len(text), nullable=False), text)
    if kind == "BINARY":
        value = bytes.fromhex(text)
        return Literal(SqlType(Kind.BINARY, nullable=False, precision=len(value)), value)
    if kind == "BOOLEAN":
        return Literal(_NOT_NULL[Kind.BOOLEAN], text == "TRUE")
    if kind == "NULL":
        return Literal(SqlType(Kind.NULL), None)
    if kind == "UNKNOWN":
        return Literal(SqlType(Kind.BOOLEAN), None)
    if kind in ("REAL", "DOUBLE", "DECIMAL"):
        return _prefixed_number(kind, text, span)
    if kind == "UUID":
        match = _UUID.fullmatch(text)
        if match is None:
            raise _illegal(kind, text, span, "UUID")
        return Literal(UUID.with_nullable(False), bytes.fromhex(match[1].replace("-", "")))
    return _time_literal(kind, text, span)


def number(text: str, span: Span) -> Literal:
    """INTEGER, BIGINT or DECIMAL by size; DECIMAL with a point; DOUBLE with an exponent."""
    if "e" in text or "E" in text:
        return Literal(_NOT_NULL[Kind.DOUBLE], float(text))
    digits = text.lstrip("-")
    if "." not in digits:
        value = int(text)
        if -(2**31) <= value < 2**31:
            return Literal(_NOT_NULL[Kind.INTEGER], value)
        if -(2**63) <= value < 2**63:
            return Literal(_NOT_NULL[Kind.BIGINT], value)
        precision, scale = len(digits.lstrip("0")), 0
    else:
        whole, fraction = digits.split(".")
        scale = len(fraction)
        precision = max(len(whole.lstrip("0")) + scale, 1)
    if precision > 38:
        raise invalid(f"Numeric literal '{text}' out of range", span)
    return Literal(decimal(precision, scale, nullable=False), Decimal(text))


def _prefixed_number(kind: str, text: str, span: Span) -> Literal:
    try:
        if kind == "DECIMAL":
            if _DECIMAL.fullmatch(text) is None:
                raise _illegal(kind, text, span, "number")
            return number(text if "." in text else text + ".", span)
        return Literal(_NOT_NULL[Kind(kind)], float(text))
    except ValueError:
        raise _illegal(kind, text, span, "number") from None


def _illegal(kind: str, text: str, span: Span, form: str) -> SqlError:
    return invalid(f"Illegal {kind} literal '{text}': not in format '{form}'", span)


def _time_literal(kind: str, text: str, span: Span) -> Literal:
    shapes = {"DATE": "yyyy-MM-dd", "TIME": "HH:mm:ss", "TIMESTAMP": "yyyy-MM-dd HH:mm:ss"}
    try:
        if kind == "DATE":
            return Literal(DATE.with_nullable(False), _date(text))
        if kind == "TIME":
            return Literal(TIME.with_nullable(False), _time_ns(text))
        if kind == "TIMESTAMP":
            return Literal(TIMESTAMP.with_nullable(False), _timestamp_us(text))
        day_and_time, _, zone = text.rpartition(" ")
        micros = _timestamp_us(day_and_time) - _zone_offset_us(day_and_time, zone)
        return Literal(TIMESTAMP_TZ.with_nullable(False), micros)
    except (ValueError, KeyError):
        name = kind.replace("_TZ", " WITH TIME ZONE")
        form = shapes.get(kind, "yyyy-MM-dd HH:mm:ss zone")
        raise _illegal(name, text, span, form) from None


def _date(text: str) -> date:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return date(int(match[1]), int(match[2]), int(match[3]))


def _time_ns(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    fraction = int((match[4] or "").ljust(9, "0"))
    return ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction


def _timestamp_us(text: str) -> int:
    day, _, time = text.partition(" ")
    days = (_date(day) - _EPOCH).days
    if " " in text and not time:
        raise ValueError(text)
    return days * _US["DAY"] + (_time_ns(time) // 1000 if time else 0)


def _zone_offset_us(local: str, zone: str) -> int:
    """How far the zone is ahead of UTC at a local time."""
    fixed = re.fullmatch(r"([+-])(\d{2}):(\d{2})", zone)
    at = datetime.fromisoformat(local)
    info: tzinfo
    if fixed is not None:
        minutes = int(fixed[2]) * 60 + int(fixed[3])
        info = timezone(timedelta(minutes=-minutes if fixed[1] == "-" else minutes))
    else:
        info = ZoneInfo(zone)
    offset = at.replace(tzinfo=info).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


# ---- intervals ----


def interval_kind(unit: str, to_unit: str | None) -> Kind:
    """The type of `unit [TO to_unit]`; weeks are days and quarters months."""
    unit = _SCALED.get(unit, (unit, 1))[0]
    if to_unit is None or to_unit == unit:
        return Kind(f"INTERVAL_{unit}")
    try:
        return Kind(f"INTERVAL_{unit}_{to_unit}")
    except ValueError:
        raise SqlError(f"Illegal interval qualifier {unit} TO {to_unit}") from None


def unit_length(unit: str) -> int:
    """One unit, in microseconds or months."""
    base, factor = _SCALED.get(unit, (unit, 1))
    return factor * (_MONTHS[base] if base in _MONTHS else _US[base])


def interval_literal(node: IntervalLiteral) -> Literal:
    """The literal of a quoted interval."""
    assert isinstance(node.value, Constant)
    text = node.value.text
    kind = interval_kind(node.unit, node.to_unit)
    qualifier = node.unit + (f" TO {node.to_unit}" if node.to_unit else "")
    try:
        value = _interval_value(text.strip(), node.unit, node.to_unit, kind)
    except ValueError:
        raise invalid(f"Illegal interval literal format '{text}' for INTERVAL {qualifier}", node.span) from None
    leading = re.search(r"\d+", text)
    if leading is not None and len(leading[0].lstrip("0")) > node.digits:
        message = f"Interval field value {int(leading[0]):,} exceeds precision of {node.unit}({node.digits}) field"
        raise invalid(message, node.span)
    return interval_of(SqlType(kind, nullable=False), node.sign * value, node.span)


def interval_of(sql_type: SqlType, amount: int, span: Span) -> Literal:
    """The interval of so many microseconds or months. Raises SqlError when there is none that long."""
    limit = 2**31 if sql_type.kind in LONG_INTERVALS else 2**63
    if not -limit <= amount < limit:
        raise invalid(f"{sql_type.sql()} literal is out of range", span)
    return Literal(sql_type, amount)


def _interval_value(text: str, unit: str, to_unit: str | None, kind: Kind) -> int:
    sign = 1
    if text[:1] in "+-" and text:
        sign = -1 if text[0] == "-" else 1
        text = text[1:]
    if to_unit is None or to_unit == unit:
        if unit == "SECOND":
            return sign * _seconds_us(text)
        if unit in ("DAY", "HOUR", "MINUTE", "WEEK") and "." in text:
            return sign * int(Decimal(text) * unit_length(unit))
        if not text.isdigit():
            raise ValueError(text)
        return sign * int(text) * unit_length(unit)
    if kind in LONG_INTERVALS:
        match = re.fullmatch(r"(\d+)-(\d+)", text)
        if match is None or int(match[2]) >= _MONTHS["YEAR"]:
            raise ValueError(text)
        return sign * (int(match[1]) * 12 + int(match[2]))
    return sign * _compound_us(text, unit, to_unit)


def _compound_us(text: str, unit: str, to_unit: str) -> int:
    units = ["DAY", "HOUR", "MINUTE", "SECOND"]
    wanted = units[units.index(unit) : units.index(to_unit) + 1]
    parts = re.split(r"[ :]", text)
    if len(parts) != len(wanted) or (unit == "DAY") != (" " in text):
        raise ValueError(text)
    total = 0
    for name, part in zip(wanted, parts, strict=True):
        if name == "SECOND":
            amount = _seconds_us(part)
        elif part.isdigit():
            amount = int(part) * _US[name]
        else:
            raise ValueError(text)
        if name != unit and amount >= _US[units[units.index(name) - 1]]:
            raise ValueError(text)
        total += amount
    return total


def _seconds_us(text: str) -> int:
    match = re.fullmatch(r"(\d+)(?:\.(\d{1,9}))?", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")[:6])
