"""Short ways to write typed expressions and their values in the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext, compile_projection, may_fail
from millstream.expressions.nodes import ColumnRef, Expression, Literal
from millstream.expressions.registry import TypeCheckError, build_call, build_cast
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    NULL,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    array,
    decimal,
)

CONTEXT = EvaluationContext(now_us=1_600_000_000_000_000)


def guess(values: Sequence[Any]) -> SqlType:
    """The SQL type that a test means by Python values."""
    value = next((v for v in values if v is not None), None)
    if isinstance(value, list):
        return array(guess(value))
    if isinstance(value, Decimal):
        exponent = max(-int(v.as_tuple().exponent) for v in values if v is not None)
        return decimal(18, exponent)
    kinds: dict[type, SqlType] = {
        bool: BOOLEAN, int: INTEGER, float: DOUBLE, str: VARCHAR, bytes: VARBINARY, date: DATE, datetime: TIMESTAMP,
        timedelta: SqlType(Kind.INTERVAL_DAY_SECOND), type(None): NULL,
    }  # fmt: skip
    return kinds[type(value)]


def column(values: Sequence[Any], sql_type: SqlType | None = None) -> tuple[pa.Array, SqlType]:
    """A column of test values; every column is a slice with an offset, so kernels must respect offsets."""
    sql_type = sql_type or guess(values)
    padded = [None, *values]
    return pa.array(padded, arrow_type(sql_type)).slice(1), sql_type


def evaluate(expression: Expression, columns: Sequence[pa.Array], num_rows: int) -> list[Any]:
    """The values of an expression over columns; checks its Arrow type."""
    (result,) = compile_projection([expression])(columns, num_rows, CONTEXT)
    assert result.type == arrow_type(expression.type)
    assert len(result) == num_rows
    return result.to_pylist()


def literal(value: Any, sql_type: SqlType | None = None) -> Literal:
    """A literal; text literals are VARCHAR here."""
    sql_type = sql_type or guess([value])
    if isinstance(value, Decimal):
        return Literal(decimal(max(len(value.as_tuple().digits), 1), -int(value.as_tuple().exponent), False), value)
    return Literal(sql_type.with_nullable(value is None), value)


class Typed:
    """An argument whose SQL type is not the one `guess` finds."""

    def __init__(self, value: Any, sql_type: SqlType) -> None:
        self.value = value
        self.type = sql_type

    def __repr__(self) -> str:  # in the names of tests, which must be the same in every process
        return f"{self.value!r}:{self.type}"


def apply(name: str, *arguments: Any, options: tuple[Any, ...] = ()) -> Any:
    """`name` over a row of column values, followed by a row of NULLs; over constants it must be the same.

    No rows must give no values, and no failure.
    """
    typed = [a if isinstance(a, Typed) else Typed(a, guess([a])) for a in arguments]
    columns = [column([a.value, None], a.type)[0] for a in typed]
    references = [ColumnRef(a.type, i) for i, a in enumerate(typed)]
    constants = [
        Literal(a.type.with_nullable(a.value is None), _storable(c[0])) for a, c in zip(typed, columns, strict=True)
    ]
    outcomes = []
    for operands in (references, constants):
        call = build_call(name, operands, options)
        assert evaluate(call, [c.slice(0, 0) for c in columns], 0) == []
        try:
            outcomes.append(evaluate(call, columns, 2)[0])
        except EvaluationError as error:
            assert may_fail(call), f"{name} fails, but lazy operators are told that it cannot"
            outcomes.append(error.message)
    assert repr(outcomes[0]) == repr(outcomes[1]), f"columns give {outcomes[0]!r}, constants {outcomes[1]!r}"
    return outcomes[0]


def _storable(scalar: pa.Scalar) -> Any:
    if pa.types.is_time(scalar.type):  # nanoseconds do not fit Python's time
        return scalar.value
    value = scalar.as_py()
    return tuple(value) if isinstance(value, list) else value


def type_error(name: str, *types: SqlType, options: tuple[Any, ...] = ()) -> str:
    """The message with which `name` refuses arguments of these types."""
    with pytest.raises(TypeCheckError) as caught:
        build_call(name, [ColumnRef(t, i) for i, t in enumerate(types)], options)
    return caught.value.message


def cast(value: Any, target: SqlType, source: SqlType | None = None, *, safe: bool = False) -> Any:
    """CAST of one value, or the message of its failure."""
    data, sql_type = column([value], source)
    expression = build_cast(ColumnRef(sql_type, 0), target, safe)
    try:
        return evaluate(expression, [data], 1)[0]
    except EvaluationError as error:
        assert may_fail(expression)
        return error.message
