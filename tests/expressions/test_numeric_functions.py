"""Numeric functions: values, NULLs, boundaries and refusals (sql.md §7.2)."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import (
    BOOLEAN,
    DATE,
    INTEGER,
    REAL,
    TIMESTAMP,
    TINYINT,
    UUID,
    VARBINARY,
    VARCHAR,
    decimal,
    struct,
)
from tests.expressions.expression_cases import Typed, apply, column, evaluate, literal, type_error

INF, NAN = math.inf, math.nan

D = Decimal
CASES: list[tuple[Any, ...]] = [
    ("ABS", -5, 5), ("ABS", D("-1.5"), D("1.5")), ("ABS", -0.5, 0.5), ("ABS", None, None),
    ("ABS", Typed(-128, TINYINT), "'ABS(-128)' causes overflow for type TINYINT"), ("ABS", "-2", D("2")),
    ("SIGN", -5, -1), ("SIGN", D("2.50"), D("1.00")), ("SIGN", NAN, NAN), ("SIGN", -0.0, -0.0),
    ("SIGN", None, None),
    ("SIGN", Typed(D("-0.5"), decimal(2, 2)),
     "Cannot represent 1 as DECIMAL(2, 2): precision of DECIMAL type too small to represent value"),
    ("SIGN", Typed(D("0.00"), decimal(2, 2)), D("0.00")), ("SIGN", Typed(D("-7.5"), decimal(38, 1)), D("-1.0")),

    ("FLOOR", D("-1.5"), D("-2")), ("FLOOR", 1.5, 1.0), ("FLOOR", 7, 7), ("FLOOR", None, None),
    ("FLOOR", "2.7", D("2")),
    ("CEIL", Typed(D("99.9"), decimal(3, 1)), D("100")), ("CEIL", -1.5, -1.0), ("CEILING", D("1.1"), D("2")),
    ("CEIL", 3, 3),
    ("ROUND", D("2.5"), D("3")), ("ROUND", D("-2.5"), D("-3")), ("ROUND", 2.5, 3.0),
    ("ROUND", -2.5, -3.0), ("ROUND", 1234.567, -2, 1200.0), ("ROUND", 1.256, 2, 1.26), ("ROUND", 15, 15),
    ("ROUND", 15, -1, 15),
    ("ROUND", Typed(D("99.9"), decimal(3, 1)),
     "Cannot represent 100 as DECIMAL(3, 1): precision of DECIMAL type too small to represent value"),
    ("TRUNCATE", D("2.99"), D("2")), ("TRUNC", -2.99, -2.0), ("TRUNCATE", 1234.567, -2, 1200.0),
    ("TRUNCATE", None, None),
    ("BROUND", 2.5, 0, 2.0), ("BROUND", 3.5, 0, 4.0), ("BROUND", 25.0, -1, 20.0),
    ("MOD", 7, -3, 1), ("MOD", -7, 3, -1),
    ("MOD", 7, 0, "attempt to calculate the remainder with a divisor of zero"),
    ("DIV_NULL", 7, 2, 3), ("DIV_NULL", 7, 0, None), ("DIV_NULL", -(2**31), -1, None),
    ("DIV_NULL", 1.0, 0.0, None),
    ("DIV_NULL", D("1.0"), D("0.0"), None), ("DIV_NULL", None, 1, None),
    ("FINITE_OR_NULL", INF, None), ("FINITE_OR_NULL", NAN, None), ("FINITE_OR_NULL", 1.5, 1.5),
    ("IS_INF", INF, True), ("IS_INF", 1.0, False), ("IS_INF", None, None),
    ("IS_NAN", NAN, True), ("IS_NAN", 1.0, False), ("IS_NAN", None, None),
    ("SQRT", 2.0, math.sqrt(2)), ("SQRT", -1.0, NAN), ("SQRT", 4, 2.0), ("SQRT", "9", 3.0),
    ("CBRT", 27.0, 3.0), ("CBRT", -8, -2.0), ("CBRT", None, None),
    ("EXP", 1, math.e), ("EXP", 0, 1.0), ("EXP", 1000, INF),
    ("LN", 1, 0.0), ("LN", 0, -INF), ("LN", -1, "Unable to calculate ln for -1.0"), ("LN", None, None),
    ("LOG10", 1000, 3.0), ("LOG10", 0, -INF), ("LOG10", -2, "Unable to calculate log10 for -2.0"),
    ("LOG", 8, 2, 3.0), ("LOG", math.e, 1.0), ("LOG", -1, 2, "Unable to calculate log(-1.0, 2.0)"),
    ("LOG", 5, 0, -0.0),
    ("POWER", 2, 10, 1024.0), ("POWER", NAN, 0, 1.0), ("POWER", 2.0, -1, 0.5), ("POWER", None, 1, None),
    ("ASIN", 2.0, NAN), ("ACOS", 1.0, 0.0), ("ASIN", 0, 0.0), ("ATAN2", 1, 1, math.pi / 4),
    ("ATAN2", 0, -1, math.pi),
    ("ACOSH", 0.5, "input (0.5) out of range [1, Infinity]"), ("ACOSH", 1, 0.0),
    ("ATANH", 2, "input (2.0) out of range [-1, 1]"),
    ("ATANH", 1, INF), ("SINH", 0, 0.0), ("COSH", 0, 1.0), ("TANH", 0, 0.0), ("ASINH", 0, 0.0),
    ("SIN", 1, math.sin(1)),
    ("COS", 1, math.cos(1)), ("TAN", 1, math.tan(1)), ("SEC", 0, 1.0), ("CSC", 0, INF), ("COT", 0, INF),
    ("SECH", 0, 1.0),
    ("CSCH", 0, INF), ("COTH", 0, INF), ("DEGREES", math.pi, 180.0), ("RADIANS", 180, math.pi),
    ("ATAN", None, None),
    ("PI", math.pi), ("SEQUENCE", 1, 3, [1, 2, 3]), ("SEQUENCE", 3, 1, []), ("SEQUENCE", 1, None, None),
    ("SEQUENCE", -1, 0, [-1, 0]),
    ("BLACKBOX", 5, 5), ("NEG", 5, -5), ("NEG", D("1.5"), D("-1.5")), ("NEG", "1.50", "-1.5"),
    ("NEG", None, None),
    ("NEG", Typed(-128, TINYINT), "'- -128' causes overflow for type TINYINT"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1:-1]}"[:60])
def test_value(case: tuple[Any, ...]) -> None:
    name, *arguments, expected = case
    found = apply(name, *arguments)
    assert repr(found) == repr(expected) or (found == expected and not isinstance(expected, float))


def test_rounding_a_decimal_to_a_constant_number_of_digits() -> None:
    data, sql_type = column([D("2.345"), D("-2.345"), D("1550.000"), None])
    value = ColumnRef(sql_type, 0)
    rounded = {digits: evaluate(build_call("ROUND", [value, literal(digits)]), [data], 4) for digits in (2, 0, -2)}
    assert rounded[2] == [D("2.350"), D("-2.350"), D("1550.000"), None]
    assert rounded[0] == [D("2"), D("-2"), D("1550"), None]
    assert rounded[-2] == [D("0"), D("0"), D("1600"), None]
    truncated = evaluate(build_call("TRUNCATE", [value, literal(1)]), [data], 4)
    assert truncated == [D("2.3"), D("-2.3"), D("1550"), None]
    even = evaluate(build_call("BROUND", [value, literal(2)]), [data], 4)
    assert even == [D("2.34"), D("-2.34"), D("1550"), None]


@pytest.mark.parametrize(
    "name",
    [
        "ABS",
        "SQRT",
        "SIN",
        "COS",
        "TAN",
        "SINH",
        "TANH",
        "SEC",
        "SECH",
        "CSCH",
        "CBRT",
        "DEGREES",
        "RADIANS",
        "LN",
        "LOG",
        "SIGN",
        "ROUND",
        "TRUNCATE",
        "ASIN",
    ],
)
def test_booleans_are_no_numbers(name: str) -> None:
    assert f"Cannot apply '{name}' to arguments of type '{name}(<BOOLEAN>)'" in type_error(name, BOOLEAN)


@pytest.mark.parametrize(
    ("name", "types"),
    [
        *((n, (VARBINARY,)) for n in ["ACOS", "ATANH", "COT", "COTH", "CSC", "EXP", "LOG10", "CEIL"]),
        *((n, (TIMESTAMP,)) for n in ["ACOSH", "ATAN", "COS", "COSH", "FLOOR"]),
        ("ASINH", (UUID,)), ("POWER", (TIMESTAMP, INTEGER)), ("ATAN2", (VARBINARY, INTEGER)),
        ("MOD", (BOOLEAN, INTEGER)),
        ("SEQUENCE", (BOOLEAN, INTEGER)), ("BROUND", (VARCHAR, INTEGER)),
    ],
)  # fmt: skip
def test_refused_arguments(name: str, types: tuple[SqlType, ...]) -> None:
    assert f"Cannot apply '{name}' to arguments of type '{name}(<" in type_error(name, *types)


def test_digits_of_decimal_rounding_must_be_constant() -> None:
    assert "expects a constant integer second argument" in type_error("ROUND", decimal(5, 2), INTEGER)


@pytest.mark.parametrize(
    ("operator", "types", "shown"),
    [
        ("+", (DATE, INTEGER), "<DATE> + <INTEGER>"),
        ("-", (INTEGER, SqlType(Kind.INTERVAL_SECOND)), "<INTEGER> - <INTERVAL SECOND>"),
        ("-", (TIMESTAMP, SqlType(Kind.TIMESTAMP_TZ)), "<TIMESTAMP(0)> - <TIMESTAMP WITH TIME ZONE(0)>"),
        ("*", (BOOLEAN, REAL), "<BOOLEAN> * <REAL>"),
        ("/", (struct((Field("a", INTEGER),)), REAL), "<ROW(INTEGER a)> / <REAL>"),
    ],
)
def test_operators_refuse_in_their_own_syntax(operator: str, types: tuple[SqlType, ...], shown: str) -> None:
    assert f"Cannot apply '{operator}' to arguments of type '{shown}'" in type_error(operator, *types)


def test_unary_minus_is_not_for_unsigned_numbers() -> None:
    message = type_error("NEG", SqlType(Kind.UINTEGER))
    assert "Cannot apply '-' to arguments of type '-<INTEGER UNSIGNED>'" in message
    assert "Unary minus cannot be applied to unsigned values" in message
