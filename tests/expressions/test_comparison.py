"""Comparisons: three values, total order of floats, conversions of operands (sql.md §4.3, §5.4, §7.1)."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import (
    TypeCheckError,
    build_call,
    check_between,
    comparison_type,
    least_restrictive,
)
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    NULL,
    REAL,
    TIMESTAMP,
    TIMESTAMP_TZ,
    UINTEGER,
    UUID,
    VARBINARY,
    VARCHAR,
    array,
    char,
    decimal,
    map_of,
    struct,
)
from tests.expressions.expression_cases import Typed, apply, column, evaluate, literal, type_error

NAN, INF = math.nan, math.inf
ROW = struct((Field("a", INTEGER), Field("b", VARCHAR)))
NUMBERS = array(INTEGER)

D = Decimal
CASES: list[tuple[Any, ...]] = [
    ("=", 1, 1, True), ("=", 1, None, None), ("<>", 1, 2, True), ("!=", 1, 1, False), ("<", 1, 2, True),
    (">=", 1, 2, False),
    ("<", False, True, True), ("=", "a", "a", True), ("<", "a", "b", True), ("<", "Z", "a", True),
    ("<", "z", "é", True),
    ("=", NAN, NAN, True), ("<>", NAN, NAN, False), ("<", INF, NAN, True), (">", NAN, INF, True),
    ("<=", NAN, NAN, True),
    ("<", NAN, 1.0, False), ("=", -0.0, 0.0, True), (">=", NAN, None, None),
    ("=", Typed(-57681.18, REAL), D("-57681.18"), True), ("=", 1, D("1.0"), True),
    ("<", D("1.01"), D("1.1"), True),
    ("=", 1, 1.0, True), ("=", "5", 5, True),
    ("=", "x", 5, "Error converting 'x' to INTEGER: invalid digit found in string"),
    ("=", "1.50", D("1.5"), True), ("=", "2020-01-01", date(2020, 1, 1), True),
    ("<", date(2020, 1, 1), datetime(2020, 1, 1, 1), True),
    ("=", b"\x0b\x16", "0b16", True), ("=", Typed(b"\x01" * 16, UUID), b"\x01" * 16, True),
    ("<", b"\x01", b"\x01\x00", True),
    ("=", "true", True, True), ("=", Typed("a", char(1)), Typed("a  ", char(3)), True),
    ("=", Typed("a", char(1)), "a ", False),
    ("=", Typed([1, None], NUMBERS), Typed([1, None], NUMBERS), True),
    ("<", Typed([1], NUMBERS), Typed([1, 2], NUMBERS), True),
    ("<", Typed([None], NUMBERS), Typed([1], NUMBERS), True),
    ("=", Typed([1], NUMBERS), Typed(None, NUMBERS), None),
    ("<=>", None, None, True), ("<=>", 1, None, False), ("<=>", NAN, NAN, True),
    ("IS DISTINCT FROM", 1, None, True),
    ("IS DISTINCT FROM", 1, 1, False),
    ("IS NOT DISTINCT FROM", Typed(None, INTEGER), Typed(None, INTEGER), True),
    ("IN", 1, 2, 1, True), ("IN", 1, 2, None, None), ("IN", 1, 1, None, True), ("IN", None, 1, None),
    ("IN", 1, 2, 3, 4, 5, False),
    ("IN", 5, 2, 3, 4, 5, True), ("IN", 1, 2, 3, 4, Typed(None, INTEGER), None),
    ("IN", "a", "b", "c", "d", "a", True),
    ("NOT IN", 1, 2, 3, True), ("NOT IN", 1, None, 3, None), ("IN", NAN, 1.0, 2.0, 3.0, NAN, True),
    ("IN", -0.0, 1.0, 2.0, 3.0, 0.0, True),
    ("IS NULL", None, True), ("IS NULL", 1, False), ("IS NOT NULL", 1, True), ("IS NOT NULL", "", True),
    ("IS TRUE", None, False), ("IS NOT TRUE", None, True), ("IS FALSE", False, True),
    ("IS NOT FALSE", None, True),
    ("IS UNKNOWN", Typed(None, BOOLEAN), True), ("IS NOT UNKNOWN", True, True), ("IS TRUE", True, True),
    ("IS FALSE", None, False),
    ("AND", True, None, None), ("AND", False, None, False), ("OR", True, None, True),
    ("OR", False, None, None), ("NOT", None, None),
    ("AND", True, True, False, False), ("NOT", True, False),
    ("COALESCE", None, 1, 1), ("COALESCE", "a", -1, "a"), ("COALESCE", Typed(None, VARCHAR), -1, "-1"),
    ("IFNULL", None, 2, 2),
    ("NULLIF", 1, 1, None), ("NULLIF", 1, 2, 1), ("NULLIF", None, 2, None), ("NULLIF", 1, None, 1),
    ("IF", True, 1, 2, 1), ("IF", None, 1, 2, 2), ("IF", False, 1, D("2.5"), D("2.5")),
    ("GREATEST", 1, 3, 2, 3), ("GREATEST", 1, None, None), ("LEAST", 1, D("0.5"), D("0.5")),
    ("GREATEST", 1.0, NAN, NAN),
    ("LEAST", "b", "a", "a"), ("GREATEST_IGNORE_NULLS", 1, None, 1), ("LEAST_IGNORE_NULLS", None, 3, 2, 2),
    ("LEAST_IGNORE_NULLS", Typed(None, INTEGER), Typed(None, INTEGER), None),
    ("GREATEST", Typed([1], NUMBERS), Typed([2], NUMBERS), [2]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1:-1]}"[:60])
def test_value(case: tuple[Any, ...]) -> None:
    name, *arguments, expected = case
    assert repr(apply(name, *arguments)) == repr(expected)


def order(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.none() | st.floats(), st.none() | st.floats()), max_size=6))
def test_floats_are_totally_ordered(pairs: list[tuple[float | None, float | None]]) -> None:
    columns = [column([p[i] for p in pairs], DOUBLE)[0] for i in (0, 1)]
    tests = {"=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
             ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}  # fmt: skip
    for operator, test in tests.items():
        call = build_call(operator, [ColumnRef(DOUBLE, 0), ColumnRef(DOUBLE, 1)])
        expected = [None if a is None or b is None else test(order(a), order(b)) for a, b in pairs]
        assert evaluate(call, columns, len(pairs)) == expected


def test_null_tests_are_never_null() -> None:
    value = ColumnRef(INTEGER, 0)
    for name in ("IS NULL", "IS NOT NULL"):
        assert not build_call(name, [value]).type.nullable
    assert not build_call("<=>", [value, value]).type.nullable
    assert build_call("=", [value, value]).type.nullable


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        (INTEGER, BIGINT, BIGINT), (INTEGER, UINTEGER, UINTEGER), (REAL, decimal(5, 2), REAL),
        (DOUBLE, INTEGER, DOUBLE),
        (VARCHAR, decimal(5, 2), decimal(38, 19)), (VARCHAR, INTEGER, INTEGER), (VARCHAR, DOUBLE, DOUBLE),
        (DATE, TIMESTAMP, TIMESTAMP),
        (char(2), char(5), char(5)), (char(2), VARCHAR, VARCHAR), (VARCHAR, VARBINARY, VARCHAR), (NULL, DATE, DATE),
        (array(INTEGER), array(BIGINT), array(BIGINT)), (UUID, VARBINARY, UUID),
        (decimal(5, 2), decimal(4, 3), decimal(6, 3)),
    ],
)  # fmt: skip
def test_comparison_types(a: SqlType, b: SqlType, common: SqlType) -> None:
    assert comparison_type(a, b) == common == comparison_type(b, a)


@pytest.mark.parametrize(
    ("types", "common"),
    [
        ([INTEGER, BIGINT], BIGINT), ([INTEGER, REAL], REAL), ([decimal(5, 2), REAL], DOUBLE),
        ([decimal(5, 2), decimal(6, 1)], decimal(7, 2)),
        ([char(1), char(3)], char(3)), ([char(1), VARCHAR], VARCHAR), ([VARCHAR, INTEGER], VARCHAR),
        ([DATE, TIMESTAMP], TIMESTAMP),
        ([NULL, INTEGER], INTEGER), ([decimal(38, 0), decimal(38, 10)], decimal(38, 10)),
        ([array(INTEGER), array(DOUBLE)], array(DOUBLE)),
    ],
)  # fmt: skip
def test_least_restrictive_types(types: list[SqlType], common: SqlType) -> None:
    assert least_restrictive(types) == common


@pytest.mark.parametrize(
    ("name", "types", "fragment"),
    [
        ("=", (map_of(VARCHAR, INTEGER), array(INTEGER)), "Cannot apply '=' to arguments of type"),
        ("<=>", (map_of(VARCHAR, INTEGER), array(INTEGER)), "Cannot apply '<=>' to arguments of type"),
        ("IS DISTINCT FROM", (ROW, INTEGER), "Cannot apply 'IS DISTINCT FROM' to arguments of type"),
        ("NULLIF", (map_of(VARCHAR, INTEGER), array(INTEGER)), "Cannot apply 'NULLIF' to arguments of type"),
        ("NULLIF", (ROW, ROW), "'NULLIF' compares ROW values for equality"),
        ("=", (ROW, ROW), "ROW values cannot be compared using '='; consider using 'IS NOT DISTINCT FROM'"),
        ("<>", (ROW, ROW), "ROW values cannot be compared using '<>'"),
        ("<", (DOUBLE, VARBINARY), "Cannot apply '<' to arguments of type '<DOUBLE> < <VARBINARY>'"),
        ("=", (BOOLEAN, DATE), "Cannot apply '=' to arguments of type '<BOOLEAN> = <DATE>'"),
        ("<", (TIMESTAMP, TIMESTAMP_TZ), "Operation < between TIMESTAMP and TIMESTAMP WITH TIME ZONE not supported"),
        ("=", (decimal(38, 0), decimal(38, 10)), "Could not derive a common type between"),
        ("IN", (INTEGER, array(INTEGER)), "Values passed to IN operator must have compatible types"),
        ("NOT IN", (INTEGER, array(INTEGER)), "Values passed to NOT IN operator must have compatible types"),
        ("IS TRUE", (INTEGER,), "Cannot apply 'IS TRUE' to arguments of type '<INTEGER> IS TRUE'"),
        ("IS NOT UNKNOWN", (INTEGER,), "Cannot apply 'IS NOT UNKNOWN' to arguments of type"),
        ("AND", (INTEGER, BOOLEAN), "Cannot apply 'AND' to arguments of type '<INTEGER> AND <BOOLEAN>'"),
        ("GREATEST", (VARCHAR, BOOLEAN), "Cannot infer return type for GREATEST; operand types: [VARCHAR, BOOLEAN]"),
        ("COALESCE", (UUID, VARBINARY), "Parameters must be of the same type"),
        ("LEAST", (map_of(VARCHAR, INTEGER), array(INTEGER)), "Parameters must be of the same type"),
    ],
)  # fmt: skip
def test_refused_operands(name: str, types: tuple[SqlType, ...], fragment: str) -> None:
    assert fragment in type_error(name, *types)


def test_between_is_named_in_full() -> None:
    operands = [ColumnRef(t, i) for i, t in enumerate((map_of(VARCHAR, INTEGER), NUMBERS, NUMBERS))]
    with pytest.raises(TypeCheckError, match="Cannot apply 'NOT BETWEEN ASYMMETRIC' to arguments of type"):
        check_between("NOT BETWEEN ASYMMETRIC", *operands)


def test_rows_compare_by_order_and_null_safely() -> None:
    rows = Typed({"a": 1, "b": "x"}, ROW)
    left, right = column([rows.value, {"a": 1, "b": None}], ROW)[0], column([rows.value, {"a": 1, "b": "x"}], ROW)[0]
    operands = [ColumnRef(ROW, 0), ColumnRef(ROW, 1)]
    assert evaluate(build_call("<=>", operands), [left, right], 2) == [True, False]
    assert evaluate(build_call("<", operands), [left, right], 2) == [False, True]


def test_constant_sets_of_characters_compare_as_the_column_does() -> None:
    data, _ = column(["a", "b ", None], VARCHAR)
    items = [Literal(char(1, False), "a"), Literal(char(2, False), "b "), Literal(char(1, False), "c"), literal("d")]
    assert evaluate(build_call("IN", [ColumnRef(VARCHAR, 0), *items]), [data], 3) == [True, True, None]


def test_mixed_interval_kinds_do_not_compare() -> None:
    assert "Cannot apply '<'" in type_error("<", SqlType(Kind.INTERVAL_DAY), SqlType(Kind.INTERVAL_MONTH))
