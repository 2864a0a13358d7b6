"""MAKE_*, FORMAT_*, PARSE_*, CONVERT_TIMEZONE and period predicates (sql.md §7.6, §7.7)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from millstream.expressions.nodes import Call, Expression
from millstream.expressions.registry import TypeCheckError, build_call
from millstream.types import Field, SqlType
from millstream.types.sql_type import BOOLEAN, INTEGER, TIME, VARCHAR, struct
from tests.expressions.expression_cases import Typed, apply, evaluate, literal, type_error

TS = datetime(2020, 3, 5, 14, 7, 9, 123456)

CASES: list[tuple[Any, ...]] = [
    ("FORMAT_DATE", "%Y-%m-%d", date(2020, 3, 5), "2020-03-05"),
    ("FORMAT_DATE", "%d %b %y, %A %j %%", date(2020, 3, 5), "05 Mar 20, Thursday 065 %"),
    ("FORMAT_DATE", "%-m/%e/%C", date(2020, 3, 5), "3/ 5/20"), ("FORMAT_DATE", "%F", None, None),
    ("FORMAT_DATE", "%G-W%V-%u", "2021-01-03", "2020-W53-7"),
    ("FORMAT_TIME", "%H:%M:%S%.3f", Typed(50_829_123_456_789, TIME), "14:07:09.123"),
    ("FORMAT_TIME", "%I %p %f", Typed(50_829_123_456_789, TIME), "02 PM 123456789"),
    ("FORMAT_TIME", "%T%.f", Typed(0, TIME), "00:00:00"),
    ("FORMAT_TIMESTAMP", "%F %T%.f", TS, "2020-03-05 14:07:09.123456"),
    ("FORMAT_TIMESTAMP", "%s", TS, "1583417229"), ("FORMAT_TIMESTAMP", "%Q", TS, "Invalid format: '%Q'"),
    ("FORMAT_DATE", "%Y %", date(2020, 1, 1), "Invalid format: '%Y %'"),
    ("PARSE_DATE", "%Y-%m-%d", "2020-03-05", date(2020, 3, 5)),
    ("PARSE_DATE", "%d %B %Y", "5 march 2020", date(2020, 3, 5)), ("PARSE_DATE", "%Y-%m-%d", "2020-13-05", None),
    ("PARSE_DATE", "%Y-%m-%d", "2020-03-05x", None),
    ("PARSE_DATE", "%Y-%m", "2020-03", "Invalid format in PARSE_DATE: '%Y-%m' does not determine a DATE"),
    ("PARSE_DATE", "%F", True, None), ("PARSE_DATE", "%y%j", "20065", date(2020, 3, 5)),
    ("PARSE_DATE", "%F", None, None),
    ("PARSE_DATE", "%a %F", "Thu 2020-03-05", date(2020, 3, 5)), ("PARSE_DATE", "%a %F", "Fri 2020-03-05", None),
    ("PARSE_TIME", "%H:%M:%S%.f", "14:07:09.5", time(14, 7, 9, 500000)),
    ("PARSE_TIME", "%I:%M %p", "02:07 PM", time(14, 7)), ("PARSE_TIME", "%H:%M", "25:00", None),
    ("PARSE_TIME", "%I:%M", "02:07", "Invalid format in PARSE_TIME: '%I:%M' does not determine a TIME"),
    ("PARSE_TIMESTAMP", "%F %T", "2020-03-05 14:07:09", datetime(2020, 3, 5, 14, 7, 9)),
    ("PARSE_TIMESTAMP", "%s", "1583417229", datetime(2020, 3, 5, 14, 7, 9)),
    ("PARSE_TIMESTAMP", "%F %T", "no", None), ("MAKE_DATE", 2020, 2, 29, date(2020, 2, 29)),
    ("MAKE_DATE", 2021, 2, 29, None), ("MAKE_DATE", None, 2, 2, None),
    ("MAKE_TIME", 14, 7, Decimal("9.5"), time(14, 7, 9, 500000)),
    ("MAKE_TIME", 14, 7, 9.25, time(14, 7, 9, 250000)), ("MAKE_TIME", 24, 0, 0, None),
    ("MAKE_TIMESTAMP", 2020, 3, 5, 14, 7, Decimal("9.123456"), TS),
    ("MAKE_TIMESTAMP", 2020, 3, 50, 14, 7, 9, None), ("MAKE_TIMESTAMP", 2020, 3, 5, 14, 70, 9, None),
    ("CONVERT_TIMEZONE", "UTC", "Europe/Paris", datetime(2020, 7, 1), datetime(2020, 7, 1, 2)),
    ("CONVERT_TIMEZONE", "+02:00", "UTC", TS, TS - timedelta(hours=2)),
    ("CONVERT_TIMEZONE", "Nowhere", "UTC", TS, None),
    ("CONVERT_TIMEZONE", "Europe/Paris", "UTC", datetime(2020, 3, 29, 2, 30), None),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1:-1]}"[:60])
def test_value(case: tuple[Any, ...]) -> None:
    name, *arguments, expected = case
    assert apply(name, *arguments) == expected


@pytest.mark.parametrize(
    ("name", "types"),
    [("FORMAT_DATE", (VARCHAR, TIME)), ("PARSE_DATE", (VARCHAR, struct((Field("a", INTEGER),)))),
     ("MAKE_DATE", (BOOLEAN, INTEGER, INTEGER))],
)  # fmt: skip
def test_refused_arguments(name: str, types: tuple[SqlType, ...]) -> None:
    assert f"Cannot apply '{name}' to arguments of type '{name}(<" in type_error(name, *types)


def period(start: Any, end: Any) -> Expression:
    return build_call("ROW", [literal(start), literal(end)])


JANUARY, MARCH = (date(2020, 1, 1), date(2020, 2, 1)), (date(2020, 3, 1), date(2020, 4, 1))


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("OVERLAPS", JANUARY, MARCH, False), ("OVERLAPS", JANUARY, (date(2020, 2, 1), date(2020, 2, 2)), True),
        ("OVERLAPS", JANUARY, (date(2020, 2, 2), timedelta(days=-1)), True),
        ("CONTAINS", JANUARY, date(2020, 1, 5), True),
        ("CONTAINS", JANUARY, (date(2020, 1, 5), date(2020, 3, 5)), False), ("EQUALS", JANUARY, JANUARY[::-1], True),
        ("PRECEDES", JANUARY, MARCH, True), ("SUCCEEDS", JANUARY, MARCH, False),
        ("IMMEDIATELY PRECEDES", JANUARY, MARCH, False),
        ("IMMEDIATELY PRECEDES", JANUARY, (date(2020, 2, 1), date(2020, 2, 9)), True),
        ("IMMEDIATELY SUCCEEDS", MARCH, JANUARY, False),
    ],
)  # fmt: skip
def test_periods(name: str, a: Any, b: Any, expected: bool) -> None:
    second = period(*b) if isinstance(b, tuple) else literal(b)
    call = build_call(name, [period(*a), second])
    assert isinstance(call, Call)
    assert evaluate(call, [], 1) == [expected]


def test_periods_are_of_one_type() -> None:
    with pytest.raises(TypeCheckError, match="Cannot apply 'CONTAINS' to arguments of type"):
        build_call("CONTAINS", [period(*JANUARY), period(datetime(2020, 1, 1), datetime(2020, 1, 2))])
    with pytest.raises(TypeCheckError, match="Cannot apply 'OVERLAPS' to arguments of type"):
        build_call("OVERLAPS", [period(*JANUARY), literal(date(2020, 1, 1))])
