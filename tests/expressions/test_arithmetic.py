"""Checked integer, exact decimal and IEEE arithmetic against plain Python (sql.md §5.1 - 5.3)."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.errors import EvaluationError
from millstream.expressions.decimals import decimal_result
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import SqlType
from millstream.types.sql_type import (
    BIGINT,
    DOUBLE,
    INTEGER,
    REAL,
    SMALLINT,
    TINYINT,
    UBIGINT,
    UINTEGER,
    USMALLINT,
    UTINYINT,
    VARCHAR,
    decimal,
)
from tests.expressions.expression_cases import Typed, apply, column, evaluate

INTEGERS = [TINYINT, SMALLINT, INTEGER, BIGINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT]
LIMITS = {t: (0, 2**b - 1) if t.is_unsigned else (-(2 ** (b - 1)), 2 ** (b - 1) - 1)
          for t, b in zip(INTEGERS, [8, 16, 32, 64] * 2, strict=True)}  # fmt: skip


def run(operator: str, a: list[Any], b: list[Any], type_a: SqlType, type_b: SqlType) -> list[Any] | str:
    call = build_call(operator, [ColumnRef(type_a, 0), ColumnRef(type_b, 1)])
    try:
        return evaluate(call, [column(a, type_a)[0], column(b, type_b)[0]], len(a))
    except EvaluationError as error:
        return error.message


def exact_integer(operator: str, x: int, y: int) -> int:
    if operator == "/":
        return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if operator == "%":
        return abs(x) % abs(y) * (-1 if x < 0 else 1)
    return {"+": x + y, "-": x - y, "*": x * y}[operator]


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.data())
def test_integers_are_exact_or_fail_naming_the_operands(data: st.DataObject) -> None:
    sql_type = data.draw(st.sampled_from(INTEGERS))
    operator = data.draw(st.sampled_from("+-*/%"))
    low, high = LIMITS[sql_type]
    number = st.one_of(st.none(), st.sampled_from([low, high, 0, 1, min(low + 1, high)]), st.integers(low, high))
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=5))
    expected: list[int | None] | str = []
    for x, y in pairs:
        if x is None or y is None:
            expected.append(None)
            continue
        if operator == "%" and y == 0:
            expected = "attempt to calculate the remainder with a divisor of zero"
            break
        value = exact_integer(operator, x, y) if y or operator not in "/%" else None
        if value is None or not low <= value <= high:
            expected = f"'{x} {operator} {y}' causes overflow for type {sql_type.sql()}"
            break
        expected.append(value)
    assert run(operator, [x for x, _ in pairs], [y for _, y in pairs], sql_type, sql_type) == expected


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        (TINYINT, INTEGER, INTEGER), (INTEGER, UTINYINT, INTEGER), (INTEGER, UINTEGER, UINTEGER),
        (UTINYINT, BIGINT, BIGINT),
        (UBIGINT, INTEGER, UBIGINT), (INTEGER, REAL, REAL), (INTEGER, DOUBLE, DOUBLE), (REAL, DOUBLE, DOUBLE),
        (REAL, REAL, REAL),
        (decimal(5, 2), REAL, DOUBLE), (decimal(5, 2), INTEGER, decimal(13, 2)), (INTEGER, VARCHAR, INTEGER),
        (VARCHAR, DOUBLE, DOUBLE),
    ],
)  # fmt: skip
def test_result_types(a: SqlType, b: SqlType, result: SqlType) -> None:
    assert build_call("+", [ColumnRef(a, 0), ColumnRef(b, 1)]).type == result


def test_result_is_nullable_only_if_an_operand_is() -> None:
    required = INTEGER.with_nullable(False)
    assert not build_call("+", [ColumnRef(required, 0), ColumnRef(required, 1)]).type.nullable
    assert build_call("+", [ColumnRef(required, 0), ColumnRef(INTEGER, 1)]).type.nullable


@pytest.mark.parametrize(
    ("operator", "a", "b", "expected"),
    [
        ("+", 2147483647, 2147483000, "'2147483647 + 2147483000' causes overflow for type INTEGER"),
        ("/", Typed(65430, USMALLINT), Typed(0, USMALLINT), "'65430 / 0' causes overflow for type SMALLINT UNSIGNED"),
        ("-", Typed(1, UTINYINT), Typed(2, UTINYINT), "'1 - 2' causes overflow for type TINYINT UNSIGNED"),
        ("+", Typed(-1, INTEGER), Typed(1, UINTEGER),
         "Error converting -1 to INTEGER UNSIGNED: out of range integral type conversion attempted"),
        ("%", Typed(-(2**31), INTEGER), -1, 0), ("+", 1, None, None), ("/", -7, 2, -3), ("+", 1, "2", 3),
    ],
)  # fmt: skip
def test_integer_examples(operator: str, a: Any, b: Any, expected: Any) -> None:
    assert apply(operator, a, b) == expected


# ---- DECIMAL -----------------------------------------------------------------------------------------------------


def decimals(sql_type: SqlType) -> st.SearchStrategy[Decimal]:
    assert sql_type.precision is not None
    assert sql_type.scale is not None
    limit = 10**sql_type.precision - 1
    unscaled = st.one_of(st.integers(-limit, limit), st.integers(-200, 200).map(lambda v: max(-limit, min(limit, v))))
    return unscaled.map(lambda v: Decimal((int(v < 0), tuple(map(int, str(abs(v)))), -sql_type.scale)))


def exact_decimal(operator: str, x: Decimal, y: Decimal, result: SqlType) -> Decimal | None:
    """The truncated exact result, None if it does not fit."""
    assert result.precision is not None
    assert result.scale is not None
    with localcontext(Context(prec=300, rounding=ROUND_DOWN)):
        if operator == "%":
            value = x - y * (x / y).to_integral_value(ROUND_DOWN)
        else:
            value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else x}[operator]
        value = value.quantize(Decimal(1).scaleb(-result.scale))
        return value if abs(value.scaleb(result.scale)) < Decimal(10) ** result.precision else None


NAMES = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division", "%": "modulo"}


@settings(max_examples=250, derandomize=True, deadline=None)
@given(st.data())
def test_decimals_are_truncated_exact_results(data: st.DataObject) -> None:
    precisions = st.one_of(st.integers(1, 38), st.sampled_from([9, 10, 18, 19, 37, 38]))
    p1, p2 = data.draw(precisions), data.draw(precisions)
    a, b = decimal(p1, data.draw(st.integers(0, p1))), decimal(p2, data.draw(st.integers(0, p2)))
    operator = data.draw(st.sampled_from("+-*/%"))
    result = decimal_result(operator, a, b)
    x, y = data.draw(decimals(a)), data.draw(decimals(b))
    found = run(operator, [x, None, x], [y, y, None], a, b)
    if operator in "/%" and y == 0:
        assert isinstance(found, str)
        assert found.startswith(f"Attempt to {'divide' if operator == '/' else 'modulo'} by zero: ")
        return
    expected = exact_decimal(operator, x, y, result)
    if expected is None:
        assert isinstance(found, str)
        assert found.startswith(f"Overflow in {NAMES[operator]} ")
        assert found.endswith(f" cannot be represented as {result.sql()}")
    else:
        assert found == [expected, None, None]


@pytest.mark.parametrize(
    ("operator", "a", "b", "result"),
    [
        ("+", decimal(10, 2), decimal(5, 3), decimal(12, 3)), ("*", decimal(10, 2), decimal(5, 3), decimal(15, 5)),
        ("/", decimal(10, 2), decimal(5, 3), decimal(19, 8)), ("%", decimal(10, 2), decimal(5, 3), decimal(5, 3)),
        ("*", decimal(38, 10), decimal(38, 10), decimal(38, 20)),
        ("/", decimal(38, 0), decimal(38, 10), decimal(38, 0)),
        ("/", decimal(38, 19), decimal(10, 2), decimal(38, 17)),
    ],
)  # fmt: skip
def test_decimal_result_types(operator: str, a: SqlType, b: SqlType, result: SqlType) -> None:
    assert decimal_result(operator, a, b) == result


def test_decimal_messages_show_the_operands() -> None:
    big = Typed(Decimal(10) ** 37, decimal(38, 0))
    assert apply("*", big, big) == (
        f"Overflow in multiplication {10**37}*{10**37} cannot be represented as DECIMAL(38, 0)"
    )
    assert apply("/", Decimal("1.50"), Decimal("0.0")) == "Attempt to divide by zero: 1.5/0"
    assert apply("%", Decimal("1.50"), Decimal("0.0")) == "Attempt to modulo by zero: 1.5%0"


# ---- REAL, DOUBLE ------------------------------------------------------------------------------------------------


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.sampled_from("+-*/%"), st.sampled_from([REAL, DOUBLE]), st.lists(st.tuples(st.floats(), st.floats()), max_size=4)
)
def test_floats_follow_ieee(operator: str, sql_type: SqlType, pairs: list[tuple[float, float]]) -> None:
    kind = np.float32 if sql_type == REAL else np.float64
    with np.errstate(all="ignore"):
        a = np.array([x for x, _ in pairs], np.float64).astype(kind)
        b = np.array([y for _, y in pairs], np.float64).astype(kind)
        functions = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod}
        expected = functions[operator](a, b)
    found = run(operator, a.tolist(), b.tolist(), sql_type, sql_type)
    assert not isinstance(found, str)
    np.testing.assert_array_equal(np.array(found, kind), expected)


def test_float_division_by_zero() -> None:
    assert apply("/", 1.0, 0.0) == math.inf
    assert math.isnan(apply("/", 0.0, 0.0))
    assert math.isnan(apply("%", 1.0, 0.0))


def test_no_rows_give_no_failure() -> None:
    empty = pa.array([], pa.int32())
    call = build_call("/", [ColumnRef(INTEGER, 0), ColumnRef(INTEGER, 1)])
    assert evaluate(call, [empty, empty], 0) == []
