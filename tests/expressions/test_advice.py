"""Warnings about suspicious expressions (sql.md §15.2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from millstream.expressions.advice import Advice, advise, advise_cast
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.types import SqlType
from millstream.types.sql_type import BOOLEAN, DATE, DOUBLE, INTEGER, TIME, TINYINT, UUID, VARCHAR, decimal
from tests.expressions.expression_cases import literal

COLUMN = ColumnRef(INTEGER, 0)


@pytest.mark.parametrize(
    ("name", "arguments", "error_type"),
    [
        ("/", [COLUMN, 0], "Division by zero"), ("%", [1, 0], "Division by zero"),
        ("MOD", [COLUMN, Decimal("0.0")], "Division by zero"),
        ("/", [COLUMN, 1], None), ("/", [1.0, 0], None), ("/", [COLUMN, COLUMN], None), ("DIV_NULL", [1, 0], None),
        ("FLOOR", [COLUMN], "Noop"), ("FLOOR", [1.5], None), ("ROUND", [COLUMN, 2], "Useless operation"),
        ("RLIKE", ["abc", "("], "Suspicious argument"), ("RLIKE", ["abc", "b"], None), ("RLIKE", ["abc", COLUMN], None),
        ("REGEXP_REPLACE", ["abc", "["], "Suspicious argument"),
        ("FORMAT_DATE", ["abc", COLUMN], "Suspicious argument"), ("PARSE_DATE", ["%Y", "2020"], None),
        ("CONVERT_TIMEZONE", ["UTC", "Nowhere", COLUMN], "Suspicious argument"),
        ("CONVERT_TIMEZONE", ["UTC", "+01:00", COLUMN], None),
        ("MAP", ["a", 1, "b", 2, "a", 3], "Duplicate MAP key"), ("MAP", ["a", 1, COLUMN, 2], None),
        ("UPPER", ["a"], None),
    ],
)  # fmt: skip
def test_calls(name: str, arguments: list[Any], error_type: str | None) -> None:
    bound: list[Expression] = [a if isinstance(a, Expression) else literal(a) for a in arguments]
    assert [advice.error_type for advice in advise(name, bound)] == ([] if error_type is None else [error_type])


def test_swapped_arguments_are_noticed() -> None:
    (advice,) = advise("PARSE_DATE", [literal("2020-01-01"), literal("%Y-%m-%d")])
    assert advice.message.endswith("Are the two arguments swapped?")


@pytest.mark.parametrize(
    ("value", "target", "advice"),
    [
        ("x", DATE, Advice("Suspicious argument", "String 'x' cannot be interpreted as a DATE")),
        ("x", BOOLEAN, Advice("Suspicious argument", "String 'x' cannot be interpreted as a BOOLEAN")),
        ("x", TIME, Advice("Not a TIME", "String 'x' cannot be interpreted as a TIME")),
        ("x", UUID, Advice("Not a UUID", "String 'x' cannot be interpreted as a UUID")),
        ("x", DOUBLE, Advice("Not a number", "String 'x' cannot be interpreted as a DOUBLE")),
        ("x", decimal(5, 2), Advice("Invalid DECIMAL", "String 'x' cannot be interpreted as a DECIMAL(5, 2)")),
        (300, TINYINT, Advice("Out of bounds", "Error converting 300 to TINYINT: out of range integral type conversion "
                                               "attempted")),
        ("2020-01-01", DATE, None), (5, TINYINT, None), (None, DATE, None), (5, VARCHAR, None),
    ],
)  # fmt: skip
def test_casts(value: Any, target: SqlType, advice: Advice | None) -> None:
    source = literal(value, VARCHAR) if value is None else literal(value)
    assert advise_cast(source, target) == (() if advice is None else (advice,))
    assert advise_cast(COLUMN, target) == ()
