"""CAST: values, rounding, layouts and exact messages (sql.md §6)."""

from __future__ import annotations

import math
import struct as packing
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import TypeCheckError, build_cast, coerce
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    REAL,
    TIME,
    TIMESTAMP,
    TIMESTAMP_TZ,
    TINYINT,
    UBIGINT,
    UTINYINT,
    UUID,
    VARBINARY,
    VARCHAR,
    array,
    char,
    decimal,
    map_of,
    struct,
)
from tests.expressions.expression_cases import cast, column, evaluate

DAY_SECOND, SECOND, MONTH = (SqlType(k) for k in (Kind.INTERVAL_DAY_SECOND, Kind.INTERVAL_SECOND, Kind.INTERVAL_MONTH))
REQUIRED = VARCHAR.with_nullable(False)


def binary(n: int) -> SqlType:
    return SqlType(Kind.BINARY, precision=n)


def varchar(n: int) -> SqlType:
    return SqlType(Kind.VARCHAR, precision=n)


D = Decimal
CASES: list[tuple[Any, SqlType, Any] | tuple[Any, SqlType, Any, SqlType]] = [
    # text to numbers
    (" tRue ", BOOLEAN, True), ("false", BOOLEAN, False),
    ("yes", BOOLEAN, "Cannot convert string 'yes' to BOOLEAN"), (None, BOOLEAN, None, VARCHAR),
    (" +12 ", INTEGER, 12), ("-0", INTEGER, 0),
    ("x", INTEGER, "Error converting 'x' to INTEGER: invalid digit found in string"),
    ("0x10", INTEGER, "Error converting '0x10' to INTEGER: invalid digit found in string"),
    ("1.5", INTEGER, "Error converting '1.5' to INTEGER: invalid digit found in string"),
    ("2147483648", INTEGER, "Error converting '2147483648' to INTEGER: number too large to fit in target type"),
    ("-129", TINYINT, "Error converting '-129' to TINYINT: number too small to fit in target type"),
    ("", INTEGER, "Error converting '' to INTEGER: cannot parse integer from empty string"),
    ("-1", UTINYINT, "Error converting '-1' to TINYINT UNSIGNED: invalid digit found in string"),
    ("18446744073709551615", UBIGINT, 2**64 - 1),
    ("1.255", decimal(10, 2), D("1.26")), ("1.245", decimal(10, 2), D("1.24")),
    ("1e2", decimal(10, 2), D("100.00")), (".5", decimal(3, 1), D("0.5")),
    ("hello ", decimal(38, 19), "Cannot parse hello  into a DECIMAL(38, 19)"),
    ("inf", decimal(5, 2), "Cannot parse inf into a DECIMAL(5, 2)"),
    ("1000", decimal(3, 0), "Cannot parse 1000 into a DECIMAL(3, 0)"),
    (" 1", decimal(3, 0), "Cannot parse  1 into a DECIMAL(3, 0)"),
    (" 1 ", decimal(3, 0, False), D(1), REQUIRED),
    ("x", decimal(3, 0, False), "While converting 'x' to DECIMAL: parse error", REQUIRED),
    (" 1.5 ", DOUBLE, 1.5), ("-Infinity", DOUBLE, -math.inf), ("1e999", DOUBLE, math.inf),
    ("1e", DOUBLE, "Parse error during conversion of '1e' to DOUBLE: invalid float literal"),
    ("1.1", REAL, float(np.float32(1.1))),
    # text to times
    ("2020-02-29", DATE, date(2020, 2, 29)),
    ("2021-02-29", DATE, "Error converting 2021-02-29 to DATE: input is out of range"),
    ("0000-01-01", DATE, "Error converting 0000-01-01 to DATE: input is out of range"),
    ("0001-01-01", DATE, date(1, 1, 1)),
    ("0000-01-01 00:00:00", TIMESTAMP, "Failed to parse '0000-01-01 00:00:00' as a TIMESTAMP"),
    ("2020-2-29", DATE, "Error converting 2020-2-29 to DATE: premature end of input"),
    (" 2020-02-29", DATE, "Error converting  2020-02-29 to DATE: input contains invalid characters"),
    ("10:11:12.5", TIME, time(10, 11, 12, 500000)),
    ("24:00:00", TIME, "Error converting 24:00:00 to TIME: input is out of range"),
    ("2020-10-01 00:00:00", TIME, "Error converting 2020-10-01 00:00:00 to TIME: input contains invalid characters"),
    ("2020-01-01 10:11:12.123", TIMESTAMP, datetime(2020, 1, 1, 10, 11, 12, 123000)),
    ("2020-01-01", TIMESTAMP, datetime(2020, 1, 1)),
    ("x", TIMESTAMP, "Failed to parse 'x' as a TIMESTAMP"),
    ("2020-01-01 25:00:00", TIMESTAMP, "Failed to parse '2020-01-01 25:00:00' as a TIMESTAMP"),
    ("2020-07-01 10:00:00 Europe/Paris", TIMESTAMP_TZ, datetime(2020, 7, 1, 8, tzinfo=UTC)),
    ("2020-01-01 10:00:00 +02:00", TIMESTAMP_TZ, datetime(2020, 1, 1, 8, tzinfo=UTC)),
    ("2020-01-01 10:00:00 Nowhere", TIMESTAMP_TZ,
     "Failed to parse '2020-01-01 10:00:00 Nowhere' as a TIMESTAMP WITH TIME ZONE"),
    ("{00010203-0405-0607-0809-0a0b0c0d0e0f}", UUID, bytes(range(16))),
    ("000102030405060708090A0B0C0D0E0F", UUID, bytes(range(16))),
    ("hello ", UUID, "Invalid UUID string 'hello '"), ("abc", VARBINARY, b"abc"),
    ("é", binary(4), b"\xc3\xa9\0\0"), ("abcdef", binary(2), b"ab"),
    ("10 10:30:40.999", DAY_SECOND, timedelta(days=10, hours=10, minutes=30, seconds=40.999)),
    ("-5", MONTH, -5),
    ("x", MONTH, "Cannot convert string 'x' to INTERVAL MONTH"),
    ("1 25:00:00", DAY_SECOND, "Cannot convert string '1 25:00:00' to INTERVAL DAY TO SECOND"),
    # numbers to numbers
    (True, INTEGER, 1), (0, BOOLEAN, False), (0.5, BOOLEAN, True), (D("0.00"), BOOLEAN, False), (True, decimal(3, 1),
     D("1.0")),
    (False, DOUBLE, 0.0),
    (256, UTINYINT, "Error converting 256 to TINYINT UNSIGNED: out of range integral type conversion attempted"),
    (-1, TINYINT, -1),
    (2**64 - 1, BIGINT, f"Error converting {2**64 - 1} to BIGINT: out of range integral type conversion attempted",
     UBIGINT),
    (1000, decimal(5, 2), "Error converting 1000 to DECIMAL(5, 2): Value out of range"),
    (99, decimal(4, 2), D("99.00")),
    (-57681.18, decimal(6, 2), "Error converting -57681.18 to DECIMAL(6, 2): Value out of range"),
    (1.999, decimal(3, 2), D("1.99")),
    (1e20, decimal(38, 2), D("100000000000000000000.00")),
    (math.nan, decimal(5, 2), "Error converting NaN to DECIMAL(5, 2): Value out of range"),
    (D("-1.99"), decimal(3, 1), D("-1.9")),
    (D("100.5"), decimal(3, 2),
     "Cannot represent 100.5 as DECIMAL(3, 2): precision of DECIMAL type too small to represent value"),
    (D("-1.99"), INTEGER, -1),
    (D("300.5"), TINYINT, "Error converting 300.5 to TINYINT: out of range integral type conversion attempted"),
    (1.9, INTEGER, 1), (-1.9, INTEGER, -1), (math.nan, INTEGER, "Cannot convert NaN to INTEGER"),
    (3e9, INTEGER, "Cannot convert 3000000000.0 to INTEGER"),
    (D("16777217.0000000001"), REAL, 16777218.0), (1e300, REAL, math.inf), (D("0.1"), DOUBLE, 0.1), (2**53 + 1,
     DOUBLE, float(2**53), BIGINT),
    (D("1e-19"), DOUBLE, 1e-19, decimal(38, 19)),
    # to text
    (True, VARCHAR, "TRUE"), (-12, VARCHAR, "-12"), (D("10.00"), VARCHAR, "10"),
    (D("-1111.520"), VARCHAR, "-1111.52"), (D("0E-10"), VARCHAR, "0", decimal(20, 12)),
    (12.0, VARCHAR, "12.0"), (1e16, VARCHAR, "1e16"), (1e15, VARCHAR, "1000000000000000.0"),
    (1e-5, VARCHAR, "0.00001"), (4.78731782390219e-17, VARCHAR, "4.78731782390219e-17"),
    (math.nan, VARCHAR, "NaN"), (-math.inf, VARCHAR, "-inf"), (-0.0, VARCHAR, "-0.0"),
    (-57681.18, VARCHAR, "-57681.18", REAL), (1e13, VARCHAR, "1e13", REAL),
    (1e12, VARCHAR, "1000000000000.0", REAL),
    ("abcdef", varchar(3), "abc"), ("ab", char(4), "ab  "), ("éééé", char(2), "éé"),
    ("ab  ", VARCHAR, "ab", char(4)), ("ab  ", VARCHAR, "ab  "),
    (date(2020, 1, 2), VARCHAR, "2020-01-02"), (time(14, 23, 44), VARCHAR, "14:23:44", TIME),
    (time(14, 23, 44, 456000), VARCHAR, "14:23:44.456000000", TIME),
    (datetime(2020, 1, 1), VARCHAR, "2020-01-01 00:00:00"),
    (datetime(2020, 1, 1, 0, 0, 0, 5), VARCHAR, "2020-01-01 00:00:00.000005"),
    (datetime(2020, 1, 1, tzinfo=UTC), VARCHAR, "2020-01-01 00:00:00 +00:00", TIMESTAMP_TZ),
    (b"\x0b\xff", VARCHAR, "0bff"),
    (bytes(range(16)), VARCHAR, "00010203-0405-0607-0809-0a0b0c0d0e0f", UUID),
    (timedelta(seconds=10.6), VARCHAR, "+10.600000", SECOND),
    (timedelta(days=3683), VARCHAR, "+3683 00:00:00"), (-timedelta(days=1, hours=2), VARCHAR, "-1 02:00:00"),
    (14, VARCHAR, "+14", MONTH),
    (247, VARCHAR, "+20-07", SqlType(Kind.INTERVAL_YEAR_MONTH)),
    (timedelta(hours=34, minutes=17, seconds=36.789), VARCHAR, "+34:17:36.789000", SqlType(Kind.INTERVAL_HOUR_SECOND)),
    # times and numbers
    (-12, TIMESTAMP, datetime(1970, 1, 1)), (D("-1111.52"), TIMESTAMP, datetime(1969, 12, 31, 23, 59, 59)),
    (1592749500123.0, TIMESTAMP, datetime(2020, 6, 21, 14, 25)),
    (datetime(2020, 6, 21, 14, 25, 0, 123456), BIGINT, 1592749500123),
    (datetime(2020, 6, 21, 14, 25, 0, 123456), decimal(38, 0), D(1592749500123)),
    (datetime(2020, 6, 21, 14, 25, 0, 123456), decimal(20, 3), D("1592749500123.456")),
    (datetime(2020, 6, 21, 14, 25), DATE, date(2020, 6, 21)),
    (datetime(1969, 12, 31, 23), DATE, date(1969, 12, 31)), (datetime(1969, 12, 31, 23), TIME, time(23)),
    (time(1), TIMESTAMP, datetime(1970, 1, 1, 1), TIME),
    (date(2020, 1, 1), TIMESTAMP, datetime(2020, 1, 1)),
    (datetime(2020, 1, 1), TIMESTAMP_TZ, datetime(2020, 1, 1, tzinfo=UTC)),
    (timedelta(seconds=10.6), INTEGER, 10, SECOND), (5, SECOND, timedelta(seconds=5)),
    (D("1.5"), SECOND, timedelta(seconds=1.5)), (7, MONTH, 7),
    (2**62, TIMESTAMP, f"Timestamp out of range: {2**62} milliseconds", BIGINT),
    (2**62, SECOND, f"Cannot convert {2**62} to INTERVAL SECOND", BIGINT),
    (1e300, TIMESTAMP, "Cannot convert 1e300 to BIGINT"),
    (2**31, MONTH, f"Cannot convert {2**31} to INTERVAL MONTH", BIGINT),
    # binary
    (-12, binary(1), b"\xf4"), (258, binary(6), b"\0\0\0\0\x01\x02"), (b"abc", binary(2), b"ab"),
    (b"abc", binary(4), b"abc\0"),
    (b"abc", UUID, "Need exactly 16 bytes in BINARY value to create an UUID"),
    (bytes(range(16)), binary(2), b"\0\x01", UUID),
    # nested
    ([1, None], array(VARCHAR), ["1", None]),
    ([1, 300], array(TINYINT), "Error converting 300 to TINYINT: out of range integral type conversion attempted"),
    ([("a", 1)], map_of(VARCHAR, DOUBLE), [("a", 1.0)], map_of(VARCHAR, INTEGER)),
    ({"a": 1, "b": "2"}, struct((Field("x", VARCHAR), Field("y", INTEGER))), {"x": "1", "y": 2},
     struct((Field("a", INTEGER), Field("b", VARCHAR)))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]!r}-{c[1]}"[:60])
def test_value(case: tuple[Any, ...]) -> None:
    value, target, expected, *source = case
    found = cast(value, target, *source)
    assert repr(found) == repr(expected) or (found == expected and not isinstance(expected, float))


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if isinstance(c[2], str) and c[1].kind is not Kind.VARCHAR and c[1].kind is not Kind.CHAR],
    ids=repr,
)
def test_a_safe_cast_gives_null_instead_of_failing(case: tuple[Any, ...]) -> None:
    value, target, _, *source = case
    assert cast(value, target, *source, safe=True) is None


def test_only_failing_elements_become_null() -> None:
    data, _ = column(["1", "x", None, "3"])
    assert evaluate(build_cast(ColumnRef(VARCHAR, 0), INTEGER, True), [data], 4) == [1, None, None, 3]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_text_of_doubles_reads_back(values: list[float]) -> None:
    data, _ = column(values, DOUBLE)
    texts = evaluate(build_cast(ColumnRef(DOUBLE, 0), VARCHAR), [data], len(values))
    for value, text in zip(values, texts, strict=True):
        assert packing.pack("d", float(text)) == packing.pack("d", value)
        assert ("e" in text) == (value != 0 and not 1e-5 <= abs(value) < 1e16)
        assert "e+" not in text
        assert text.count(".") == 1 or "e" in text
    assert evaluate(build_cast(build_cast(ColumnRef(DOUBLE, 0), VARCHAR), DOUBLE), [data], len(values)) == values


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), st.integers(0, 6))
def test_text_becomes_decimals_rounded_half_even(value: D, scale: int) -> None:
    expected = value.quantize(D(1).scaleb(-scale), ROUND_HALF_EVEN)
    assert cast(str(value), decimal(20, scale)) == expected


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(-(2**60), 2**60))
def test_text_of_timestamps_and_intervals_reads_back(micros: int) -> None:
    moment = micros % 253_402_300_800_000_000
    stamps = pa.array([moment], pa.timestamp("us"))
    there_and_back = build_cast(build_cast(ColumnRef(TIMESTAMP, 0), VARCHAR), TIMESTAMP)
    assert evaluate(there_and_back, [stamps], 1) == stamps.to_pylist()
    span = pa.array([micros], pa.duration("us"))
    interval = build_cast(build_cast(ColumnRef(DAY_SECOND, 0), VARCHAR), DAY_SECOND)
    assert evaluate(interval, [span], 1) == span.to_pylist()


def test_implicit_conversion_keeps_the_blanks_of_char() -> None:
    data, _ = column(["a  "], char(3))
    assert evaluate(coerce(ColumnRef(char(3), 0), VARCHAR), [data], 1) == ["a  "]
    assert coerce(Literal(char(2, False), "a "), VARCHAR) == Literal(VARCHAR.with_nullable(False), "a ")
    assert evaluate(build_cast(ColumnRef(char(3), 0), VARCHAR), [data], 1) == ["a"]


def test_nullability_follows_the_argument() -> None:
    required = ColumnRef(INTEGER.with_nullable(False), 0)
    assert not build_cast(required, VARCHAR).type.nullable
    assert build_cast(required, VARCHAR, safe=True).type.nullable
    assert build_cast(ColumnRef(INTEGER, 0), VARCHAR.with_nullable(False)).type.nullable


@pytest.mark.parametrize(
    ("source", "target", "safe", "fragment"),
    [
        (BOOLEAN, DATE, False, "Cast function cannot convert value of type BOOLEAN to type DATE"),
        (VARBINARY.with_nullable(False), INTEGER, False,
         "Cast function cannot convert value of type VARBINARY NOT NULL to type INTEGER"),
        (DOUBLE, SECOND, False, "Cast function cannot convert value of type"),
        (DAY_SECOND, INTEGER, False, "Cast function cannot convert value of type"),
        (MONTH, SECOND, False, "Cast function cannot convert value of type"),
        (VARCHAR, array(VARCHAR), False, "Cast cannot be used to convert VARCHAR to VARCHAR ARRAY"),
        (INTEGER, struct((Field("a", INTEGER),)), True, "Cast function cannot convert value of type"),
        (map_of(VARCHAR, INTEGER), struct((Field("a", INTEGER),)), False, "Cast function cannot convert value of type"),
        (map_of(VARCHAR, INTEGER), map_of(VARCHAR, array(INTEGER)), False,
         "Cast function cannot convert value of type"),
        (struct((Field("a", INTEGER), Field("b", VARCHAR))), struct((Field("a", INTEGER), Field("b", DOUBLE))), True,
         "SAFE_CAST cannot be used to convert ROW(INT, VARCHAR) to ROW(INT, DOUBLE)"),
    ],
)  # fmt: skip
def test_illegal_casts(source: SqlType, target: SqlType, safe: bool, fragment: str) -> None:
    with pytest.raises(TypeCheckError) as caught:
        build_cast(ColumnRef(source, 0), target, safe)
    assert fragment.lower() in caught.value.message.lower()
