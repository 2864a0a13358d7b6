"""VARIANT: JSON in and out, members, casts that give NULL instead of failing (sql.md §11)."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call, build_cast
from millstream.types import Field, SqlType
from millstream.types.sql_type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    TINYINT,
    UUID,
    VARCHAR,
    VARIANT,
    array,
    decimal,
    map_of,
    struct,
)
from tests.expressions.expression_cases import Typed, apply, cast, column, evaluate, literal

ROW = struct((Field("b", INTEGER), Field("a", array(VARCHAR))))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": 1, "a": [1.50, true, null, "é\\n"]}', '{"a":[1.5,true,null,"é\\n"],"b":1}'), ("null", "null"),
        ("{", None), ("NaN", None),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"), ('{"a":1,"a":2}', '{"a":2}'),
        (None, None),
    ],
)  # fmt: skip
def test_parse_json(text: str | None, canonical: str | None) -> None:
    assert apply("PARSE_JSON", Typed(text, VARCHAR)) == canonical


@pytest.mark.parametrize(
    ("value", "source", "text"),
    [
        (1, INTEGER, "1"), (True, BOOLEAN, "true"), ('a"b', VARCHAR, '"a\\"b"'),
        (Decimal("1.50"), decimal(5, 2), "1.5"), (1.0, DOUBLE, "1.0"),
        (math.nan, DOUBLE, "null"), (date(2020, 1, 2), DATE, '"2020-01-02"'), (None, INTEGER, "null"),
        ([1, None], array(INTEGER), "[1,null]"),
        ({"b": 1, "a": ["x", None]}, ROW, '{"a":["x",null],"b":1}'), ([("k", 1)], map_of(VARCHAR, INTEGER), '{"k":1}'),
    ],
)  # fmt: skip
def test_values_become_json(value: Any, source: SqlType, text: str) -> None:
    assert cast(value, VARIANT, source) == text
    data, _ = column([value], source)
    assert evaluate(build_call("TO_JSON", [ColumnRef(source, 0)]), [data], 1) == [text]


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("1", INTEGER, 1), ("1.9", INTEGER, 1), ("300", TINYINT, None), ('"12"', INTEGER, 12),
        ('"x"', INTEGER, None), ("true", INTEGER, None),
        ("1.25", decimal(5, 1), Decimal("1.2")), ("2", DOUBLE, 2.0), ("true", BOOLEAN, True),
        ('"a"', VARCHAR, "a"), ("1.50", VARCHAR, "1.5"),
        ('"2020-01-02"', DATE, date(2020, 1, 2)),
        ('"2020-01-02 03:04:05"', TIMESTAMP, datetime(2020, 1, 2, 3, 4, 5)), ('"x"', DATE, None),
        ('"00010203-0405-0607-0809-0a0b0c0d0e0f"', UUID, bytes(range(16))), ("null", INTEGER, None),
        ("[1]", INTEGER, None),
        ('[1,"2",null,"x"]', array(INTEGER), [1, 2, None, None]), ("1", array(INTEGER), None),
        ('{"a":["x",null],"c":0}', ROW, {"b": None, "a": ["x", None]}),
        ('{"k":1,"j":2}', map_of(VARCHAR, BIGINT), [("j", 2), ("k", 1)]),
        ('{"x":1}', map_of(INTEGER, BIGINT), None), ("[1]", array(VARIANT), ["1"]),
    ],
)  # fmt: skip
def test_casts_from_variant_never_fail(text: str, target: SqlType, value: Any) -> None:
    assert cast(text, target, VARIANT) == value
    assert build_cast(Literal(VARIANT.with_nullable(False), text), target).type.nullable


def test_members() -> None:
    data, _ = column(['{"a":[1,null]}', "[5,6]", None, "3"], VARIANT)
    value = ColumnRef(VARIANT, 0)
    assert evaluate(build_call("ITEM", [value, literal("a")]), [data], 4) == ["[1,null]", None, None, None]
    assert evaluate(build_call("ITEM", [value, literal(2)]), [data], 4) == [None, "6", None, None]
    nested = build_call("ITEM", [build_call("FIELD", [value], ("a",)), literal(2)])
    assert evaluate(nested, [data], 4) == ["null", None, None, None]
    assert evaluate(build_call("VARIANTNULL", []), [], 1) == ["null"]


def test_only_maps_with_unreadable_keys_become_null() -> None:
    target = map_of(INTEGER, INTEGER)
    data, _ = column(['{"1":1}', '{"2":2,"x":3}', "{}", None, '{"4":4}'], VARIANT)
    found = evaluate(build_cast(ColumnRef(VARIANT, 0), target), [data], 5)
    assert found == [[(1, 1)], None, [], None, [(4, 4)]]
