"""Date and time functions and arithmetic (sql.md §5.7, §7.6, §10)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from millstream.types import Kind, SqlType
from millstream.types.sql_type import BIGINT, DATE, INTEGER, TIME, TIMESTAMP, VARCHAR, decimal
from tests.expressions.expression_cases import Typed, apply, type_error

MONTHS = SqlType(Kind.INTERVAL_MONTH)
TS = datetime(2020, 2, 29, 13, 45, 59, 123456)
T = Typed(49_559_123_456_789, TIME)  # 13:45:59.123456789


def months(n: int) -> Typed:
    return Typed(n, MONTHS)


FIELDS: list[tuple[str, Any, int]] = [
    ("MILLENNIUM", date(2000, 1, 1), 2), ("MILLENNIUM", date(2001, 1, 1), 3),
    ("CENTURY", date(2000, 12, 31), 20),
    ("DECADE", TS, 202), ("YEAR", TS, 2020), ("QUARTER", TS, 1), ("MONTH", TS, 2), ("WEEK", TS, 9),
    ("WEEK", date(2021, 1, 3), 53), ("WEEK", date(2018, 12, 31), 1), ("DAY", TS, 29), ("DOY", TS, 60),
    ("DOW", TS, 7),
    ("DOW", date(2020, 3, 1), 1), ("ISODOW", date(2020, 3, 1), 7), ("ISODOW", TS, 6), ("HOUR", TS, 13),
    ("MINUTE", TS, 45),
    ("SECOND", TS, 59), ("MILLISECOND", TS, 59123), ("MICROSECOND", TS, 59123456),
    ("NANOSECOND", TS, 59123456000),
    ("EPOCH", datetime(1969, 12, 31, 23, 59, 58, 500000), -1), ("HOUR", date(2020, 1, 1), 0),
    ("HOUR", T, 13), ("NANOSECOND", T, 59123456789), ("EPOCH", T, 49559),
    ("DAY", timedelta(days=-2, hours=-3), -2), ("HOUR", timedelta(days=2, hours=3), 3),
    ("MILLISECOND", timedelta(seconds=1.5), 1500),
    ("MONTH", months(14), 2), ("YEAR", months(-14), -1), ("SQL_TSI_YEAR", TS, 2020),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "value", "expected"), FIELDS)
def test_extract(unit: str, value: Any, expected: int) -> None:
    assert apply("EXTRACT", value, options=(unit,)) == expected


def test_field_functions_are_extract() -> None:
    assert [apply(f, TS) for f in ("YEAR", "MONTH", "DAYOFMONTH", "DOY", "DOW", "HOUR")] == [2020, 2, 29, 60, 7, 13]
    assert apply("YEAR", None) is None


ROUNDED: list[tuple[str, str, Any, Any]] = [
    ("FLOOR", "YEAR", TS, datetime(2020, 1, 1)), ("FLOOR", "MONTH", TS, datetime(2020, 2, 1)),
    ("FLOOR", "WEEK", TS, datetime(2020, 2, 23)), ("FLOOR", "HOUR", TS, datetime(2020, 2, 29, 13)),
    ("FLOOR", "MILLISECOND", TS, datetime(2020, 2, 29, 13, 45, 59, 123000)),
    ("FLOOR", "CENTURY", TS, datetime(2000, 1, 1)),
    ("FLOOR", "MILLENNIUM", TS, datetime(2000, 1, 1)),
    ("FLOOR", "DECADE", date(2019, 5, 5), date(2010, 1, 1)),
    ("FLOOR", "QUARTER", date(2019, 5, 5), date(2019, 4, 1)), ("CEIL", "CENTURY", TS, datetime(2100, 1, 1)),
    ("CEIL", "MILLENNIUM", TS, datetime(3000, 1, 1)),
    ("CEIL", "YEAR", datetime(2020, 1, 1), datetime(2020, 1, 1)),
    ("CEIL", "DAY", TS, datetime(2020, 3, 1)), ("CEIL", "WEEK", date(2020, 2, 29), date(2020, 3, 1)),
    ("FLOOR", "MINUTE", T, time(13, 45)), ("CEIL", "HOUR", T, time(14)),
    ("DATE_TRUNC", "CENTURY", date(2000, 5, 5), date(1901, 1, 1)),
    ("DATE_TRUNC", "MILLENNIUM", date(2020, 5, 5), date(2001, 1, 1)),
    ("DATE_TRUNC", "WEEK", TS, datetime(2020, 2, 23)),
    ("DATE_TRUNC", "SECOND", TS, datetime(2020, 2, 29, 13, 45, 59)),
    ("TIMESTAMP_TRUNC", "MONTH", date(2020, 2, 29), datetime(2020, 2, 1)),
    ("TIME_TRUNC", "HOUR", T, time(13)),
    ("FLOOR", "DAY", datetime(1969, 12, 31, 1), datetime(1969, 12, 31)),
    ("FLOOR", "YEAR", Typed(None, DATE), None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "unit", "value", "expected"), ROUNDED)
def test_rounding_to_a_unit(name: str, unit: str, value: Any, expected: Any) -> None:
    assert apply(name, value, options=(unit,)) == expected


DIFFERENCES: list[tuple[str, Any, Any, int]] = [
    ("MONTH", date(2020, 1, 31), date(2020, 2, 29), 0), ("MONTH", date(2020, 1, 15), date(2020, 3, 15), 2),
    ("MONTH", datetime(2020, 3, 15, 1), datetime(2020, 1, 15, 2), -1),
    ("YEAR", date(2020, 2, 29), date(2021, 2, 28), 0),
    ("QUARTER", date(2020, 1, 1), date(2020, 12, 31), 3),
    ("DAY", datetime(2020, 1, 2), datetime(2020, 1, 1, 1), 0),
    ("WEEK", date(2020, 1, 1), date(2020, 1, 15), 2), ("HOUR", datetime(2020, 1, 1), date(2020, 1, 2), 24),
    ("SECOND", datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 1), 60), ("MINUTE", T, Typed(0, TIME), -825),
    ("SECOND", datetime(1970, 1, 1), datetime(2100, 1, 1), 4102444800),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "a", "b", "expected"), DIFFERENCES)
def test_timestampdiff(unit: str, a: Any, b: Any, expected: int) -> None:
    assert apply("TIMESTAMPDIFF", a, b, options=(unit,)) == expected


def test_counts_of_units_too_large_for_an_interval_fail() -> None:
    huge = Typed(2**62, BIGINT)
    assert apply("TIMESTAMPADD", huge, date(2020, 1, 1), options=("DAY",)) == (
        f"overflow in INTERVAL multiplication {2**62} * 86400000000"
    )
    assert apply("TIMESTAMPADD", huge, date(2020, 1, 1), options=("YEAR",)) == (
        f"overflow in INTERVAL multiplication {2**62} * 12"
    )


def test_datediff_is_for_hours_and_longer() -> None:
    assert apply("DATEDIFF", date(2020, 1, 1), date(2020, 1, 3), options=("HOUR",)) == 48
    assert type_error("DATEDIFF", DATE, DATE, options=("MINUTE",)) == "Use TIMESTAMPDIFF instead of DATEDIFF for MINUTE"


ADDITIONS: list[tuple[str, Any, Any, Any]] = [
    ("MONTH", 1, date(2020, 1, 31), date(2020, 2, 29)), ("DAY", -1, date(2020, 1, 1), date(2019, 12, 31)),
    ("HOUR", 1, date(2020, 1, 1), datetime(2020, 1, 1, 1)),
    ("YEAR", 1, TS, datetime(2021, 2, 28, 13, 45, 59, 123456)),
    ("MINUTE", 30, Typed(23 * 3600 * 10**9, TIME), time(23, 30)),
    ("HOUR", 2, Typed(23 * 3600 * 10**9, TIME), time(1)),
    ("MONTH", None, date(2020, 1, 31), None), ("MONTH", -1, date(2020, 3, 31), date(2020, 2, 29)),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "count", "value", "expected"), ADDITIONS)
def test_timestampadd(unit: str, count: Any, value: Any, expected: Any) -> None:
    assert apply("TIMESTAMPADD", count, value, options=(unit,)) == expected


ARITHMETIC: list[tuple[str, Any, Any, Any]] = [
    ("+", date(2020, 1, 31), months(1), date(2020, 2, 29)),
    ("-", date(2020, 3, 31), months(1), date(2020, 2, 29)),
    ("+", date(2020, 1, 1), timedelta(hours=47), date(2020, 1, 2)),
    ("-", date(2020, 1, 1), timedelta(hours=1), date(2020, 1, 1)),
    ("+", TS, timedelta(seconds=1), datetime(2020, 2, 29, 13, 46, 0, 123456)),
    ("+", timedelta(days=1), date(2020, 1, 1), date(2020, 1, 2)),
    ("+", TS, months(12), datetime(2021, 2, 28, 13, 45, 59, 123456)),
    ("+", Typed(0, TIME), timedelta(hours=-1), time(23)),
    ("-", Typed(0, TIME), timedelta(hours=1), time(23)), ("+", Typed(0, TIME), months(3), time(0)),
    ("+", timedelta(days=1), timedelta(hours=1), timedelta(days=1, hours=1)), ("-", months(5), months(7), -2),
    ("*", timedelta(seconds=1), 3, timedelta(seconds=3)),
    ("*", 3, timedelta(seconds=1), timedelta(seconds=3)),
    ("/", timedelta(seconds=1), 3, timedelta(microseconds=333333)),
    ("*", timedelta(seconds=1), 1.5, timedelta(seconds=1.5)),
    ("*", months(7), Decimal("0.5"), 3), ("/", timedelta(seconds=1), Decimal("0.3"),
     timedelta(microseconds=3333333)),
    ("*", timedelta(days=10**8), 10**9, "overflow in INTERVAL multiplication 8640000000000000000 * 1000000000"),
    ("/", timedelta(days=1), 0, "overflow in INTERVAL division 86400000000 / 0"),
    ("+", TS, Typed(None, MONTHS), None),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "a", "b", "expected"), ARITHMETIC)
def test_arithmetic(operator: str, a: Any, b: Any, expected: Any) -> None:
    assert apply(operator, a, b) == expected


def test_results_outside_of_the_calendar_fail() -> None:
    assert "out of range" in apply("+", datetime(9999, 12, 31), timedelta(days=1))
    assert apply("-", date(1, 1, 1), months(1)) == "Cannot add interval -1 months to date 0001-01-01"


def test_differences_as_intervals() -> None:
    unit = (Kind.INTERVAL_DAY_SECOND,)
    assert apply("TIMESTAMP_DIFF_INTERVAL", TS, datetime(2020, 2, 29), options=unit) == timedelta(
        hours=13, minutes=45, seconds=59, microseconds=123456
    )
    assert apply("TIMESTAMP_DIFF_INTERVAL", date(2020, 3, 30), date(2020, 1, 31), options=(Kind.INTERVAL_MONTH,)) == 1
    assert apply("DATE_ADD", date(2020, 1, 1), timedelta(hours=1)) == datetime(2020, 1, 1, 1)
    assert apply("DATE_SUB", date(2020, 1, 1), months(1)) == date(2019, 12, 1)


def test_now_is_the_time_of_the_step() -> None:
    assert apply("NOW") == datetime(2020, 9, 13, 12, 26, 40)
    assert type_error("NOW", INTEGER).startswith("Invalid number of arguments to function 'NOW'")


@pytest.mark.parametrize(
    ("value", "offset", "expected"),
    [
        (datetime(2020, 1, 1, 10, 59), 0, datetime(2020, 1, 1, 10)),
        (datetime(1969, 12, 31, 23, 30), 0, datetime(1970, 1, 1)),
        (datetime(2020, 1, 1, 10, 59), 1800_000_000, datetime(2020, 1, 1, 10, 30)),
        (Typed(None, TIMESTAMP), 0, None),
    ],
)
def test_tumbling_windows_start_at_multiples_of_their_size(value: Any, offset: int, expected: Any) -> None:
    assert apply("TUMBLE_START", value, options=(3600_000_000, offset)) == expected


@pytest.mark.parametrize(
    ("name", "types", "unit", "fragment"),
    [
        ("FLOOR", (TIMESTAMP,), None, "Cannot apply 'FLOOR' to arguments of type"),
        ("FLOOR", (TIMESTAMP,), "DOY", "Function 'FLOOR' not supported with unit 'doy'"),
        ("CEIL", (VARCHAR,), "YEAR", "Cannot apply 'CEIL' to arguments of type"),
        ("EXTRACT", (VARCHAR,), "YEAR", "Cannot apply 'EXTRACT' to arguments of type"),
        ("EXTRACT", (TIME,), "YEAR", "Cannot apply 'EXTRACT' to arguments of type"),
        ("DATE_TRUNC", (VARCHAR,), "YEAR", "Cannot apply 'DATE_TRUNC' to arguments of type"),
        ("TIME_TRUNC", (TIMESTAMP,), "HOUR", "Cannot apply 'TIME_TRUNC' to arguments of type"),
        ("TIMESTAMP_TRUNC", (TIME,), "HOUR", "Cannot apply 'TIMESTAMP_TRUNC' to arguments of type"),
        ("TIMESTAMPADD", (INTEGER, VARCHAR), "DAY", "Cannot apply 'TIMESTAMPADD' to arguments of type"),
        ("TIMESTAMPDIFF", (decimal(5, 2), TIME), "DAY", "Cannot apply 'TIMESTAMPDIFF' to arguments of type"),
        ("TUMBLE_START", (INTEGER,), 5, "Cannot apply 'TUMBLE' to arguments of type"),
        ("EXTRACT", (DATE,), "FORTNIGHT", "'FORTNIGHT' is not a valid time frame"),
    ],
)
def test_refused_arguments(name: str, types: tuple[SqlType, ...], unit: Any, fragment: str) -> None:
    assert fragment in type_error(name, *types, options=() if unit is None else (unit,))
