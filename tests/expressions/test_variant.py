"""VARIANT: JSON in and out, members, casts that give NULL instead of failing (sql.md §11)."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call, build_cast
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
    UINTEGER,
    USMALLINT,
    UTINYINT,
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
from millstream.types.variant import TAGS, decode, encode, parse_json, plain_json, plain_text, untagged
from tests.expressions.expression_cases import Typed, apply, cast, column, evaluate, literal, type_error

ROW = struct((Field("b", INTEGER), Field("a", array(VARCHAR))))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1.0", TAGS[Kind.DECIMAL] + "1"), ("-0", "0"), ("1e400", "1E+400"), ('"\\ud800"', None), ("[" * 200, None),
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
    assert plain_json(cast(value, VARIANT, source)) == text
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
    assert evaluate(build_call("TYPEOF", [nested]), [data], 4) == ["VARIANT", None, None, None]
    assert evaluate(build_call("VARIANTNULL", []), [], 1) == ["null"]


def test_only_maps_with_unreadable_keys_become_null() -> None:
    target = map_of(INTEGER, INTEGER)
    data, _ = column(['{"1":1}', '{"2":2,"x":3}', "{}", None, '{"4":4}'], VARIANT)
    found = evaluate(build_cast(ColumnRef(VARIANT, 0), target), [data], 5)
    assert found == [[(1, 1)], None, [], None, [(4, 4)]]


#: A value, its type, what TYPEOF says of it as a VARIANT, and its JSON.
TYPED: list[tuple[Any, SqlType, str, str | None]] = [
    (None, INTEGER, "NULL", "null"), (True, BOOLEAN, "BOOLEAN", "true"), (-1, TINYINT, "TINYINT", "-1"),
    (2, SMALLINT, "SMALLINT", "2"), (-3, INTEGER, "INTEGER", "-3"), (4, BIGINT, "BIGINT", "4"),
    (-4, BIGINT, "BIGINT", "-4"), (5, UTINYINT, "TINYINT UNSIGNED", "5"), (6, USMALLINT, "SMALLINT UNSIGNED", "6"),
    (7, UINTEGER, "INTEGER UNSIGNED", "7"), (2**64 - 1, UBIGINT, "BIGINT UNSIGNED", str(2**64 - 1)),
    (1.5, REAL, "REAL", "1.5"), (1e30, DOUBLE, "DOUBLE", "1e30"), (math.nan, DOUBLE, "DOUBLE", "null"),
    (math.inf, DOUBLE, "DOUBLE", "null"), (-math.inf, REAL, "REAL", "null"),
    (Decimal("1.50"), decimal(5, 2), "DECIMAL", "1.5"), (Decimal("2.00"), decimal(5, 2), "DECIMAL", "2"),
    (Decimal(10) ** 30, decimal(38, 0), "DECIMAL", "1" + "0" * 30), ("a\nb", VARCHAR, "VARCHAR", '"a\\nb"'),
    ("ab ", char(3), "VARCHAR", '"ab "'), (date(2020, 1, 2), DATE, "DATE", '"2020-01-02"'),
    (time(1, 2, 3, 4), TIME, "TIME", '"01:02:03.000004000"'),
    (datetime(2020, 1, 2, 3), TIMESTAMP, "TIMESTAMP", '"2020-01-02 03:00:00"'),
    (datetime(2020, 1, 2, 3, tzinfo=UTC), TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE", '"2020-01-02 03:00:00 +00:00"'),
    (timedelta(hours=-25), SqlType(Kind.INTERVAL_HOUR), "SHORTINTERVAL", '"-1 01:00:00"'),
    (15, SqlType(Kind.INTERVAL_MONTH), "LONGINTERVAL", '"+1-03"'), (b"\x01\xff", VARBINARY, "BINARY", "[1,255]"),
    (bytes(range(16)), UUID, "UUID", '"00010203-0405-0607-0809-0a0b0c0d0e0f"'),
    ({"x": 1.0, "y": -2.5}, SqlType(Kind.GEOMETRY), "GEOPOINT", "[1.0,-2.5]"),
    ([1, None], array(TINYINT), "ARRAY", "[1,null]"), ([("a", 1)], map_of(VARCHAR, INTEGER), "MAP", '{"a":1}'),
    ([(1, 2), (10, 3)], map_of(INTEGER, INTEGER), "MAP", None), ([], map_of(DATE, INTEGER), "MAP", None),
    ({"b": 1, "a": ["x"]}, ROW, "MAP", '{"a":["x"],"b":1}'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "source", "name", "json"), TYPED, ids=[f"{t[1]} {t[0]!r}" for t in TYPED])
def test_variants_keep_their_type_and_value(value: Any, source: SqlType, name: str, json: str | None) -> None:
    data, _ = column([value], source)
    variant = build_cast(ColumnRef(source, 0), VARIANT)
    assert evaluate(build_call("TYPEOF", [variant]), [data], 1) == [name]
    assert evaluate(build_call("TO_JSON", [variant]), [data], 1) == [json]
    (back,) = evaluate(build_cast(variant, source), [data], 1)
    assert back == value or (math.isnan(value) and math.isnan(back))
    text = evaluate(variant, [data], 1)[0]
    assert encode(decode(text)) == text
    assert plain_text(pa.array([text, None, "1"], pa.large_string())).to_pylist()[1:] == [None, "1"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1", "BIGINT UNSIGNED"), ("-1", "BIGINT"), ("0.5", "DECIMAL"), ("1e3", "DECIMAL"), ("1" * 25, "DECIMAL"),
        ("-1" + "0" * 20, "DECIMAL"), (str(2**64 - 1), "BIGINT UNSIGNED"), ("null", "VARIANT"), ("false", "BOOLEAN"),
        ('""', "VARCHAR"), ("[]", "ARRAY"), ("{}", "MAP"),
    ],
)  # fmt: skip
def test_types_of_json_values(text: str, name: str) -> None:
    data, _ = column([text, None], VARCHAR)
    parsed = build_call("PARSE_JSON", [ColumnRef(VARCHAR, 0)])
    assert evaluate(build_call("TYPEOF", [parsed]), [data], 2) == [name, None]


def test_order_is_by_type_then_value() -> None:
    """Every pair of values that are in order compares so, whatever their types."""
    ascending = ["\x01null", "null", "false", "true", "\x02-1", "\x029", "\x0210", "\x04-5", "\x045", "-7", "\x053",
                 "2", "10", "\x0e\x1dnull", "\x0e1.5", "\x0e\x1bnull", "\x0enull", "\x0f-1.0", "\x101", "1.5", "\x1010",
                 '"a"', '"b"', '\x11"2020-01-01"', '\x11"2020-01-02"', '\x12"01:00:00"',
                 '\x13"2020-01-01 00:00:00"', '\x18"-10 00:00:00"', '\x18"+2 00:00:00"', '\x18"+10 00:00:00"',
                 '\x19"+2-00"', '\x19"+10-00"', "\x14[1]", "\x14[1,0]", "\x14[2]", "\x15[1.0,2.0]",
                 '\x16"00000000-0000-0000-0000-000000000001"', "[]", "[null]", "[1]", "[2]", "[10]", "{}", '{"a":1}',
                 '{"a":2}', '{"b":1}', '\x17"2020-01-01 00:00:00 +00:00"']  # fmt: skip
    pairs = [(a, b) for i, a in enumerate(ascending) for b in ascending[i + 1 :]]
    columns = [column([a for a, _ in pairs], VARIANT)[0], column([b for _, b in pairs], VARIANT)[0]]
    operands = [ColumnRef(VARIANT, 0), ColumnRef(VARIANT, 1)]
    assert evaluate(build_call("<", operands), columns, len(pairs)) == [True] * len(pairs)
    assert evaluate(build_call(">=", operands), columns, len(pairs)) == [False] * len(pairs)
    assert evaluate(build_call("=", operands), columns, len(pairs)) == [False] * len(pairs)


def test_equality_needs_equal_types() -> None:
    one = [build_cast(literal(1, t), VARIANT) for t in (INTEGER, TINYINT, INTEGER)]
    assert evaluate(build_call("=", one[:2]), [], 1) == [False]
    assert evaluate(build_call("=", [one[0], one[2]]), [], 1) == [True]
    assert evaluate(build_call("=", [one[0], literal(1)]), [], 1) == [True]
    assert evaluate(build_call("=", [build_cast(literal("a"), VARIANT), literal("a", char(1))]), [], 1) == [True]


def test_maps_are_indexed_by_values_of_the_type_of_their_keys() -> None:
    data, _ = column([[(1, 2), (10, None)]], map_of(INTEGER, INTEGER))
    variant = build_cast(ColumnRef(map_of(INTEGER, INTEGER), 0), VARIANT)
    members = [build_call("ITEM", [variant, literal(i, t)]) for i, t in ((1, INTEGER), (1, TINYINT), (10, INTEGER))]
    assert [evaluate(build_cast(m, INTEGER), [data], 1)[0] for m in members] == [2, None, None]
    assert evaluate(build_call("IS NULL", [members[2]]), [data], 1) == [True]


@pytest.mark.parametrize(
    ("name", "json", "expected"),
    [
        ("JSON_EACH_BIGINT", '{"b":2,"a":-1,"c":1.5,"d":"3","e":2.0,"f":1e30}', [("a", -1), ("b", 2), ("e", 2)]),
        ("JSON_EACH_STRING", '{"b":"x","a":1,"c":null}', [("b", "x")]),
        ("JSON_EACH_BOOLEAN", '{"b":true,"a":false,"c":0}', [("a", False), ("b", True)]),
        ("JSON_EACH_DATE", '{"a":"2020-01-02","b":"x","c":1}', [("a", date(2020, 1, 2))]),
        ("JSON_EACH_TIME", '{"a":"01:02:03"}', [("a", time(1, 2, 3))]),
        ("JSON_EACH_TIMESTAMP", '{"a":"2020-01-02 03:04:05"}', [("a", datetime(2020, 1, 2, 3, 4, 5))]),
        ("JSON_EACH_BIGINT", "[1]", []), ("JSON_EACH_STRING", "{}", []),
        ("JSON_OBJECT_KEYS", '{"b":{"z":1},"a":1}', ["a", "b"]), ("JSON_OBJECT_KEYS", "1", []),
        ("JSON_KEYS", '{"b":{"z":1,"y y":{"q":[{"no":1}]}},"a":1}', ["a", "b", 'b."y y"', 'b."y y".q', "b.z"]),
        ("JSON_KEYS", "[]", []),
    ],
)  # fmt: skip
def test_fields_and_keys(name: str, json: str, expected: Any) -> None:
    assert apply(name, Typed(parse_json(json), VARIANT)) == expected
    assert apply(name, Typed(None, VARIANT)) is None


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        ('{"a":1,"b":{"c":1,"d":2}}', '{"b":{"d":3,"e":4},"f":5}', '{"a":1,"b":{"c":1,"d":3,"e":4},"f":5}'),
        ('{"a":{"b":1}}', '{"a":null}', '{"a":null}'), ('{"a":1}', "[1]", "[1]"), ("1", '{"a":1}', '{"a":1}'),
        (None, "1", None),
    ],
)  # fmt: skip
def test_merge(left: str | None, right: str, merged: str | None) -> None:
    assert apply("VARIANT_MERGE", Typed(left, VARIANT), Typed(right, VARIANT)) == merged


def test_refused_arguments() -> None:
    assert "Cannot apply 'TYPEOF' to arguments of type 'TYPEOF(<INTEGER>)'" in type_error("TYPEOF", INTEGER)
    assert "Cannot apply 'VARIANT_MERGE'" in type_error("VARIANT_MERGE", VARIANT, VARCHAR)
    assert "Was expecting 1 arguments" in type_error("JSON_KEYS", VARIANT, VARIANT)


def test_what_leaves_the_engine_has_no_tags() -> None:
    inner = struct((Field("v", VARIANT), Field("n", INTEGER)))
    nested = map_of(VARIANT, array(inner))
    value = [('\x11"2020-01-01"', [{"v": "\x041", "n": 1}, None])]
    data, _ = column([value, None, []], nested)
    assert untagged(data, nested).to_pylist() == [[('"2020-01-01"', [{"v": "1", "n": 1}, None])], None, []]
    plain, _ = column(["a\x01", None], VARCHAR)
    assert untagged(plain, VARCHAR).to_pylist() == ["a\x01", None]
    maps, _ = column(['{"a":\x1a{"\\u00041":\x042}}'], VARIANT)
    assert plain_text(maps).to_pylist() == ['{"a":{"1":2}}']
