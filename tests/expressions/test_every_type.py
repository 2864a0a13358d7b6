"""What every type can do: be a constant, be chosen by CASE and COALESCE, be compared, be NULL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call, build_case, least_restrictive
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    REAL,
    SMALLINT,
    TIME,
    TIMESTAMP,
    TIMESTAMP_TZ,
    TINYINT,
    UBIGINT,
    UUID,
    VARBINARY,
    VARCHAR,
    VARIANT,
    array,
    char,
    decimal,
    map_of,
    struct,
)
from tests.expressions.expression_cases import column, evaluate, literal

ROW = struct((Field("a", INTEGER), Field("b", array(VARCHAR))))
DAY, MONTH = SqlType(Kind.INTERVAL_DAY), SqlType(Kind.INTERVAL_MONTH)

#: A type, two values of it (the first one less), and the first as a literal holds it.
TYPES: list[tuple[SqlType, Any, Any, Any]] = [
    (BOOLEAN, False, True, False), (TINYINT, -1, 1, -1), (SMALLINT, 1, 2, 1), (INTEGER, 1, 2, 1), (BIGINT, 1, 2, 1),
    (UBIGINT, 1, 2**64 - 1, 1), (REAL, 0.5, 1.5, 0.5), (DOUBLE, 0.5, 1.5, 0.5),
    (decimal(5, 2), Decimal("1.25"), Decimal("2.50"), Decimal("1.25")), (decimal(38, 10), Decimal("1.25"),
     Decimal("2.50"), Decimal("1.25")),
    (char(2), "ab", "cd", "ab"), (VARCHAR, "a", "b", "a"), (VARBINARY, b"a", b"b", b"a"), (DATE, date(2020, 1, 1),
     date(2020, 1, 2), date(2020, 1, 1)),
    (TIME, time(1), time(2), 3600 * 10**9), (TIMESTAMP, datetime(1970, 1, 1, 1), datetime(1970, 1, 2), 3600 * 10**6),
    (TIMESTAMP_TZ, datetime(1970, 1, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC), 3600 * 10**6),
    (DAY, timedelta(days=1), timedelta(days=2), 86400 * 10**6), (MONTH, 1, 2, 1), (UUID, b"a" * 16, b"b" * 16,
     b"a" * 16),
    (VARIANT, "1", "2", "1"), (array(INTEGER), [1, None], [1, 2], (1, None)), (map_of(VARCHAR, INTEGER), [("a", 1)],
     [("a", 2)], (("a", 1),)),
    (ROW, {"a": 1, "b": ["x", None]}, {"a": 2, "b": None}, (1, ("x", None))),
]  # fmt: skip
CASES = pytest.mark.parametrize(("sql_type", "low", "high", "stored"), TYPES, ids=[str(t[0]) for t in TYPES])


@CASES
def test_constants(sql_type: SqlType, low: Any, high: Any, stored: Any) -> None:
    assert evaluate(Literal(sql_type, stored), [], 2) == [low, low]
    assert evaluate(Literal(sql_type, None), [], 2) == [None, None]
    assert evaluate(ColumnRef(sql_type, 0), [column([low, None, high], sql_type)[0]], 3) == [low, None, high]


@CASES
def test_choice(sql_type: SqlType, low: Any, high: Any, stored: Any) -> None:
    values, other = column([low, None, high, low], sql_type)[0], column([high, high, None, None], sql_type)[0]
    divisor, _ = column([0, 1, 2, 0])
    columns = [values, other, divisor]
    value, constant = ColumnRef(sql_type, 0), Literal(sql_type, stored)
    zero = build_call("=", [ColumnRef(INTEGER, 2), literal(0)])
    chosen = build_case([(zero, constant)], value)
    assert evaluate(chosen, columns, 4) == [low, None, high, low]
    fallible = build_call("/", [literal(2), ColumnRef(INTEGER, 2)])
    guarded = build_case([(zero, constant), (build_call("=", [fallible, literal(2)]), ColumnRef(sql_type, 1))], value)
    assert evaluate(guarded, columns, 4) == [low, high, high, low]
    assert evaluate(build_call("COALESCE", [value, ColumnRef(sql_type, 1)]), columns, 4) == [low, high, high, low]
    assert evaluate(build_call("IS NULL", [value]), columns, 4) == [False, True, False, False]
    assert evaluate(chosen, [c.slice(0, 0) for c in columns], 0) == []


@CASES
def test_comparison(sql_type: SqlType, low: Any, high: Any, stored: Any) -> None:
    columns = [column([low, high, low, None], sql_type)[0], column([low, low, None, None], sql_type)[0]]
    operands = [ColumnRef(sql_type, 0), ColumnRef(sql_type, 1)]
    assert evaluate(build_call("<=>", operands), columns, 4) == [True, False, False, True]
    assert evaluate(build_call(">", operands), columns, 4) == [False, True, None, None]
    assert evaluate(build_call("<", [Literal(sql_type, stored), operands[0]]), columns, 4) == [False, True, False, None]
    assert evaluate(build_call("GREATEST", operands), columns, 4) == [low, high, None, None]
    if sql_type.kind is not Kind.STRUCT:
        assert evaluate(build_call("=", operands), columns, 4) == [True, False, None, None]
        assert evaluate(build_call("IN", [operands[0], operands[1]]), columns, 4) == [True, False, None, None]
        constants = [Literal(sql_type, stored)] * 4
        assert evaluate(build_call("IN", [operands[0], *constants]), columns, 4) == [True, False, True, None]
        assert evaluate(build_call("NULLIF", operands), columns, 4) == [None, high, low, None]
    assert least_restrictive([sql_type, sql_type.with_nullable(False)]) == sql_type
