"""Fields of dates and times, rounding to units, and differences in units (sql.md §7.6).

Everything works on whole columns of days and microseconds. Units that are a fixed number of microseconds are
plain arithmetic; the others go through `civil_of_days`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.casts.intervals import UNIT_MICROS
from millstream.expressions.coercion import build_cast, coerce, is_null_literal
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import Function, Options, check_count, table
from millstream.expressions.functions.intervals import (
    DAY_US,
    Int64s,
    add_months,
    check_timestamps,
    civil_of_days,
    common_moment,
    days_of_civil,
    micros_of,
    months_between,
    overflow,
    resolve_interval_arithmetic,
    split_days,
)
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.vectors import (
    Kernel,
    Value,
    both_valid,
    broadcast,
    join,
    on_arrays,
    relabel,
    valid_of,
    values_of,
)
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, INTEGER, LONG_INTERVALS, SHORT_INTERVALS, TIMESTAMP

MOMENTS = frozenset((Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
TIMESTAMPS = frozenset((Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
_SYNONYMS = {
    "FRAC_SECOND": "NANOSECOND", "DOM": "DAY", "DAYOFMONTH": "DAY", "DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY",
    "YEARS": "YEAR", "QUARTERS": "QUARTER", "MONTHS": "MONTH", "WEEKS": "WEEK", "DAYS": "DAY",
    "HOURS": "HOUR",
    "MINUTES": "MINUTE", "SECONDS": "SECOND",
}  # fmt: skip
_FIXED = {**UNIT_MICROS, "MILLISECOND": 1000, "MICROSECOND": 1, "WEEK": 7 * DAY_US}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12, "DECADE": 120, "CENTURY": 1200, "MILLENNIUM": 12000}
_TIME_FIELDS = frozenset(("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND"))
_DATE_FIELDS = frozenset(
    ("MILLENNIUM", "CENTURY", "DECADE", "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY", "DOW", "ISODOW", "ISOYEAR")
)
UNITS = _TIME_FIELDS | _DATE_FIELDS | {"EPOCH"}


def unit_of(text: Any) -> str:
    """The canonical name of a unit. Raises TypeCheckError for other words."""
    unit = str(text).upper().removeprefix("SQL_TSI_")
    unit = _SYNONYMS.get(unit, unit)
    if unit not in UNITS:
        raise TypeCheckError(f"'{text}' is not a valid time frame")
    return unit


# ---- EXTRACT -----------------------------------------------------------------------------------------------------


def _resolve_extract(name: str, unit: str | None) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], options: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        field = unit or unit_of(options[0])
        argument = arguments[0]
        if is_null_literal(argument):
            argument = coerce(argument, TIMESTAMP)
        kind = argument.type.kind
        allowed = (
            kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
            or (kind is Kind.TIME and field in _TIME_FIELDS | {"EPOCH"})
            or (kind in SHORT_INTERVALS and field in _TIME_FIELDS | {"DAY", "EPOCH"})
            or (kind in LONG_INTERVALS and field in _MONTHS)
        )
        if not allowed:
            raise cannot_apply(name, (argument,))
        return Call(BIGINT.with_nullable(argument.type.nullable), "EXTRACT", (argument,), (field,))

    return resolve


def _implement_extract(call: Call) -> Kernel:
    field, kind = call.options[0], call.arguments[0].type.kind

    def kernel(array: pa.Array) -> pa.Array:
        if kind in LONG_INTERVALS:
            found = _field_of_months(field, values_of(array).astype(np.int64))
        elif kind in SHORT_INTERVALS:
            found = _field_of_short(field, values_of(array))
        elif kind is Kind.TIME:
            found = _field_of_time(field, values_of(array))
        else:
            days, rest = split_days(micros_of(array))
            found = extract_field(field, days, rest)
        return join(found, valid_of(array), pa.int64())

    return on_arrays(kernel)


def extract_field(field: str, days: Int64s, micros: Int64s) -> Int64s:
    """A field of moments given as days since the epoch and microseconds within the day."""
    if field == "EPOCH":
        total = days * DAY_US + micros
        return np.sign(total) * (np.abs(total) // 1_000_000)
    if field in _TIME_FIELDS:
        return _field_of_time(field, micros * 1000)
    if field == "DOW":
        return (days + 4) % 7 + 1
    if field == "ISODOW":
        return (days + 3) % 7 + 1
    if field in ("WEEK", "ISOYEAR"):
        thursday = days - (days + 3) % 7 + 3
        year = civil_of_days(thursday)[0]
        return year if field == "ISOYEAR" else (thursday - _year_start(year)) // 7 + 1
    year, month, day = civil_of_days(days)
    if field == "DAY":
        return day
    if field == "DOY":
        return days - _year_start(year) + 1
    if field in ("MONTH", "QUARTER"):
        return month if field == "MONTH" else (month + 2) // 3
    return {"YEAR": year, "DECADE": year // 10, "CENTURY": (year + 99) // 100, "MILLENNIUM": (year + 999) // 1000}[
        field
    ]


def _year_start(year: Int64s) -> Int64s:
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def _field_of_time(field: str, nanos: Int64s) -> Int64s:
    if field == "EPOCH":
        return nanos // 1_000_000_000
    if field in ("HOUR", "MINUTE", "SECOND"):
        return nanos // (UNIT_MICROS[field] * 1000) % (24 if field == "HOUR" else 60)
    within = nanos % 60_000_000_000
    return within // {"MILLISECOND": 1_000_000, "MICROSECOND": 1000, "NANOSECOND": 1}[field]


def _field_of_short(field: str, micros: Int64s) -> Int64s:
    sign, size = np.sign(micros), np.abs(micros)
    if field == "DAY":
        return sign * (size // DAY_US)
    if field == "EPOCH":
        return sign * (size // 1_000_000)
    return sign * _field_of_time(field, size * 1000)


def _field_of_months(field: str, months: Int64s) -> Int64s:
    sign, size = np.sign(months), np.abs(months)
    if field == "MONTH":
        return sign * (size % 12)
    if field == "QUARTER":
        return sign * (size % 12 // 3 + 1)
    return sign * (size // _MONTHS[field])


# ---- FLOOR, CEIL, TRUNC to a unit --------------------------------------------------------------------------------


def floor_to_unit(unit: str, days: Int64s, micros: Int64s, *, centuries_from_one: bool) -> Int64s:
    """The start of the unit that contains each moment, as microseconds; weeks start on Sunday.

    FLOOR cuts centuries and millennia at years ending in 00, the TRUNC family at those ending in 01.
    """
    if unit in _TIME_FIELDS:
        return days * DAY_US + micros // _FIXED[unit] * _FIXED[unit]
    if unit == "DAY":
        return days * DAY_US
    if unit == "WEEK":
        return (days - (days + 4) % 7) * DAY_US
    if unit == "ISOYEAR":
        unit = "YEAR"
    year, month, _ = civil_of_days(days)
    number = year * 12 + month - 1
    shift = 12 if centuries_from_one and unit in ("CENTURY", "MILLENNIUM") else 0
    number = (number - shift) // _MONTHS[unit] * _MONTHS[unit] + shift
    number = np.maximum(number, 12)  # there is no year 0
    return days_of_civil(number // 12, number % 12 + 1, np.ones_like(number)) * DAY_US


def _ceil_to_unit(unit: str, days: Int64s, micros: Int64s) -> Int64s:
    floor = floor_to_unit(unit, days, micros, centuries_from_one=False)
    exact = floor == days * DAY_US + micros
    if unit in _FIXED:
        return np.where(exact, floor, floor + _FIXED[unit])
    return np.where(exact, floor, add_months(floor // DAY_US, np.full_like(floor, _MONTHS[unit])) * DAY_US)


def resolve_rounding(name: str, argument: Expression, unit_text: Any) -> Expression:
    """FLOOR(x TO unit) and CEIL(x TO unit)."""
    unit, kind = unit_of(unit_text), argument.type.kind
    if kind not in MOMENTS:
        raise cannot_apply(name, (argument,))
    if unit in ("DOW", "DOY", "ISODOW", "EPOCH") or (kind is Kind.TIME and unit not in _TIME_FIELDS):
        raise TypeCheckError(f"Function '{name}' not supported with unit '{unit.lower()}'", "Not supported")
    return Call(argument.type, f"{name} TO", (argument,), (unit,))


def _rounding(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    return lambda arguments, options: resolve_rounding(name, arguments[0], options[0])


def _implement_rounding(call: Call) -> Kernel:
    unit, data_type = call.options[0], arrow_type(call.type)
    upwards, from_one = call.name == "CEIL TO", call.name == "TRUNC TO"

    def kernel(array: pa.Array) -> pa.Array:
        valid = valid_of(array)
        if pa.types.is_time64(array.type):
            return join(_round_time(values_of(array), unit, upwards), valid, data_type)
        if unit == "NANOSECOND":
            return array
        days, micros = split_days(micros_of(array))
        if upwards:
            rounded = _ceil_to_unit(unit, days, micros)
        else:
            rounded = floor_to_unit(unit, days, micros, centuries_from_one=from_one)
        check_timestamps(rounded, valid)
        return join(rounded // DAY_US if pa.types.is_date32(data_type) else rounded, valid, data_type)

    return on_arrays(kernel)


def _rounding_may_fail(call: Call) -> bool:
    """Only a week can begin before the first year; every unit may end after the last one."""
    return call.options[0] == "WEEK" or (call.name == "CEIL TO" and call.type.kind is not Kind.TIME)


def _round_time(nanos: Int64s, unit: str, upwards: bool) -> Int64s:
    length = 1 if unit == "NANOSECOND" else _FIXED[unit] * 1000
    raised = nanos + (length - 1 if upwards else 0)
    return raised // length * length % (DAY_US * 1000)


_TRUNC_UNITS = _DATE_FIELDS - {"DOY", "DOW", "ISODOW"}
_TRUNCATED = {
    Kind.DATE: _TRUNC_UNITS, Kind.TIME: _TIME_FIELDS, **dict.fromkeys(TIMESTAMPS, _TRUNC_UNITS | _TIME_FIELDS)
}  # fmt: skip


def _resolve_truncation(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], options: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        argument, unit = arguments[0], unit_of(options[0])
        if name == "TIMESTAMP_TRUNC" and argument.type.kind is Kind.DATE:
            argument = coerce(argument, TIMESTAMP)
        kind = argument.type.kind
        allowed = {
            "DATE_TRUNC": kind is Kind.DATE or kind in TIMESTAMPS,
            "TIMESTAMP_TRUNC": kind in TIMESTAMPS,
            "TIME_TRUNC": kind is Kind.TIME,
        }[name]
        if not allowed:
            raise cannot_apply(name, (argument,))
        if unit not in _TRUNCATED[kind]:
            raise TypeCheckError(f"Function '{name}' not supported with unit '{unit.lower()}'", "Not supported")
        return Call(argument.type, "TRUNC TO", (argument,), (unit,))

    return resolve


# ---- differences and additions -----------------------------------------------------------------------------------


def _check_amount_unit(name: str, unit: str) -> None:
    """Refuses the fields of moments in which nothing has a length."""
    if unit in ("DOY", "DOW", "ISODOW", "ISOYEAR", "EPOCH"):
        raise TypeCheckError(f"Function '{name}' not supported with unit '{unit.lower()}'", "Not supported")


def _resolve_timestampdiff(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], options: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        unit = unit_of(options[0])
        if name == "DATEDIFF" and unit in _TIME_FIELDS - {"HOUR"}:
            raise TypeCheckError(f"Use TIMESTAMPDIFF instead of DATEDIFF for {unit}", "Not supported")
        _check_amount_unit(name, unit)
        start, end = common_moment(name, *arguments)
        nullable = start.type.nullable or end.type.nullable
        result = BIGINT if unit in ("MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND") else INTEGER
        return Call(result.with_nullable(nullable), "TIMESTAMPDIFF", (start, end), (unit,))

    return resolve


def _implement_timestampdiff(call: Call) -> Kernel:
    unit, data_type = call.options[0], arrow_type(call.type)

    def kernel(start: pa.Array, end: pa.Array) -> pa.Array:
        valid = both_valid(valid_of(start), valid_of(end))
        a, b = micros_of(start), micros_of(end)
        if unit in _MONTHS:
            months = months_between(a, b)
            found = np.sign(months) * (np.abs(months) // _MONTHS[unit])
        elif unit == "NANOSECOND":
            found = (b - a) * 1000
        else:
            length = _FIXED.get(unit, DAY_US)
            found = np.sign(b - a) * (np.abs(b - a) // length)
        if valid is not None:
            found = np.where(valid, found, 0)
        return join(found, valid, data_type)

    return on_arrays(kernel)


def _resolve_timestampadd(arguments: Sequence[Expression], options: Options) -> Expression:
    """TIMESTAMPADD(unit, n, x): x + n units."""
    check_count("TIMESTAMPADD", len(arguments), 2, 2)
    unit = unit_of(options[0])
    _check_amount_unit("TIMESTAMPADD", unit)
    count, moment = arguments
    if moment.type.kind not in MOMENTS or not (count.type.is_numeric or is_null_literal(count)):
        raise cannot_apply("TIMESTAMPADD", arguments)
    if moment.type.kind is Kind.DATE and unit in _TIME_FIELDS:
        moment = coerce(moment, TIMESTAMP)
    count = build_cast(count, BIGINT)
    if unit == "NANOSECOND":  # intervals are made of microseconds
        thousand = Literal(BIGINT.with_nullable(False), 1000)
        count, unit = Call(count.type, "/", (count, thousand)), "MICROSECOND"
    kind = Kind.INTERVAL_MONTH if unit in _MONTHS else Kind.INTERVAL_DAY_SECOND
    length = _MONTHS[unit] if unit in _MONTHS else _FIXED.get(unit, DAY_US)
    interval = Call(SqlType(kind, count.type.nullable), "UNITS", (count,), (length,))
    added = resolve_interval_arithmetic("+", moment, interval)
    assert added is not None
    return added


def _implement_units(call: Call) -> Kernel:
    length, data_type = call.options[0], arrow_type(call.type)
    storage = pa.int32() if call.type.kind in LONG_INTERVALS else pa.int64()

    def kernel(count: pa.Array) -> pa.Array:
        factor = pa.scalar(length, pa.int64())
        try:
            return relabel(pc.multiply_checked(count, factor).cast(storage), data_type)
        except pa.ArrowInvalid:
            raise overflow("*", count, broadcast(factor, len(count)), storage) from None

    return on_arrays(kernel)


def _resolve_date_add(name: str, operator: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        moment, interval = arguments
        if moment.type.kind not in MOMENTS or not interval.type.is_interval:
            raise cannot_apply(name, arguments)
        sub_day = interval.type.kind in SHORT_INTERVALS and interval.type.kind is not Kind.INTERVAL_DAY
        if moment.type.kind is Kind.DATE and sub_day:
            moment = coerce(moment, TIMESTAMP)
        added = resolve_interval_arithmetic(operator, moment, interval)
        assert added is not None
        return added

    return resolve


# ---- NOW, TUMBLE -------------------------------------------------------------------------------------------------


def _resolve_now(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("NOW", len(arguments), 0, 0)
    return Call(TIMESTAMP.with_nullable(False), "NOW", ())


def _implement_now(_: Call, __: Sequence[Any], ___: Sequence[bool]) -> Callable[[Any], Value]:
    def now(frame: Any) -> Value:
        if frame.now_us is None:
            raise EvaluationError("NOW() has a value only while a pipeline runs")
        return pa.scalar(frame.now_us, pa.timestamp("us"))

    return now


def _resolve_tumble(arguments: Sequence[Expression], options: Options) -> Expression:
    check_count("TUMBLE_START", len(arguments), 1, 1)
    argument = arguments[0]
    if argument.type.kind not in TIMESTAMPS | {Kind.DATE}:
        raise cannot_apply("TUMBLE", arguments)
    size, offset = options
    return Call(argument.type, "TUMBLE_START", (argument,), (int(size), int(offset)))


def _implement_tumble(call: Call) -> Kernel:
    """ts - ((ts - offset) rem size), the remainder with the sign of the dividend."""
    size, offset = call.options
    data_type = arrow_type(call.type)

    def kernel(array: pa.Array) -> pa.Array:
        values = micros_of(array)
        start = values - np.fmod(values - offset, size)
        return join(start // DAY_US if pa.types.is_date32(data_type) else start, valid_of(array), data_type)

    return on_arrays(kernel)


_FIELD_FUNCTIONS = {
    "YEAR": "YEAR", "QUARTER": "QUARTER", "MONTH": "MONTH", "WEEK": "WEEK", "DOY": "DOY", "DAYOFYEAR": "DOY",
    "DAYOFMONTH": "DAY", "DAY": "DAY", "DOW": "DOW", "DAYOFWEEK": "DOW", "HOUR": "HOUR", "MINUTE": "MINUTE",
    "SECOND": "SECOND",
}  # fmt: skip

FUNCTIONS = table(
    Function("EXTRACT", _resolve_extract("EXTRACT", None), _implement_extract, doc="EXTRACT(unit FROM x)"),
    Function("DATE_PART", _resolve_extract("DATE_PART", None), doc="DATE_PART(unit, x)"),
    *(Function(n, _resolve_extract(n, u), doc=f"{n}(x): EXTRACT") for n, u in _FIELD_FUNCTIONS.items()),
    *(
        Function(f"{n} TO", _rounding(n), _implement_rounding, fallible=_rounding_may_fail, doc=f"{n}(x TO unit)")
        for n in ("FLOOR", "CEIL")
    ),
    Function(
        "TRUNC TO",
        _resolve_truncation("DATE_TRUNC"),
        _implement_rounding,
        fallible=_rounding_may_fail,
        doc="Start of the unit.",
    ),
    *(
        Function(n, _resolve_truncation(n), doc=f"{n}(x, unit)")
        for n in ("DATE_TRUNC", "TIMESTAMP_TRUNC", "TIME_TRUNC")
    ),
    Function(
        "TIMESTAMPDIFF", _resolve_timestampdiff("TIMESTAMPDIFF"), _implement_timestampdiff, doc="b - a in whole units."
    ),
    Function("DATEDIFF", _resolve_timestampdiff("DATEDIFF"), doc="b - a in whole units."),
    Function("TIMESTAMPADD", _resolve_timestampadd, doc="x + n units."),
    Function(
        "UNITS",
        _resolve_timestampadd,
        _implement_units,
        fallible=lambda _: True,
        doc="Internal: n units as an interval.",
    ),
    Function("DATE_ADD", _resolve_date_add("DATE_ADD", "+"), doc="x + interval"),
    Function("DATE_SUB", _resolve_date_add("DATE_SUB", "-"), doc="x - interval"),
    Function("NOW", _resolve_now, implement_lazily=_implement_now, deterministic=False, doc="Time of the step."),
    Function("TUMBLE_START", _resolve_tumble, _implement_tumble, doc="Start of the tumbling window of a timestamp."),
)

__all__ = ["FUNCTIONS", "resolve_rounding", "unit_of"]
