"""ARRAY, MAP and ROW basics (sql.md §7.8, §7.9)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import Field, SqlType, arrow_type
from millstream.types.sql_type import BOOLEAN, DOUBLE, INTEGER, UUID, VARBINARY, VARCHAR, array, map_of, struct
from tests.expressions.expression_cases import Typed, apply, column, evaluate, literal, type_error

NUMBERS, MAP = array(INTEGER), map_of(VARCHAR, INTEGER)
ROW = struct((Field("a", INTEGER.with_nullable(False)), Field("b", VARCHAR)))
LISTS = pa.array([[9], [1, None, 3], None, [], [4]], arrow_type(NUMBERS)).slice(1)
MAPS = pa.array([[("z", 9)], [("a", 1), ("b", None)], None, []], arrow_type(MAP)).slice(1)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("ARRAY", 1, None, 3), [1, None, 3]), (("ARRAY",), []), (("ARRAY", 1, "a"), ["1", "a"]),
        (("ITEM", [5, 6], 1), 5), (("ITEM", [5, 6], 3), None), (("ITEM", [5, 6], 0), None),
        (("ITEM", [5, 6], -1), None),
        (("ITEM", [5, 6], None), None), (("ITEM", Typed(None, NUMBERS), 1), None),
        (("CARDINALITY", [5, 6]), 2), (("ARRAY_LENGTH", Typed(None, NUMBERS)), None),
        (("ARRAY_SIZE", Typed([], NUMBERS)), 0),
        (("ARRAY_CONTAINS", [5, 6], 6), True), (("ARRAY_CONTAINS", [5, 6], 7), False),
        (("ARRAY_CONTAINS", [5, None], Typed(None, INTEGER)), True),
        (("ARRAY_POSITION", [5, 6], 6), 2), (("ARRAY_POSITION", [5, 6], 7), 0),
        (("ARRAY_POSITION", Typed(None, NUMBERS), 7), None),
    ],
)  # fmt: skip
def test_arrays(case: tuple[Any, ...], expected: Any) -> None:
    name, *arguments = case
    assert apply(name, *arguments) == expected


def test_access_respects_slices_and_nulls() -> None:
    lists = ColumnRef(NUMBERS, 0)
    index, _ = column([3, 1, 1, None])
    assert evaluate(build_call("ITEM", [lists, literal(1)]), [LISTS], 4) == [1, None, None, 4]
    assert evaluate(build_call("ITEM", [lists, ColumnRef(INTEGER, 1)]), [LISTS, index], 4) == [3, None, None, None]
    assert evaluate(build_call("ITEM", [lists, literal(0)], ("SAFE_OFFSET",)), [LISTS], 4) == [1, None, None, 4]
    assert evaluate(build_call("CARDINALITY", [lists]), [LISTS], 4) == [3, None, 0, 1]


def test_maps() -> None:
    maps = ColumnRef(MAP, 0)
    assert evaluate(build_call("ITEM", [maps, literal("a")]), [MAPS], 3) == [1, None, None]
    assert evaluate(build_call("ITEM", [maps, literal("b")]), [MAPS], 3) == [None, None, None]
    assert evaluate(build_call("MAP_CONTAINS_KEY", [maps, literal("b")]), [MAPS], 3) == [True, None, False]
    assert evaluate(build_call("MAP_KEYS", [maps]), [MAPS], 3) == [["a", "b"], None, []]
    assert evaluate(build_call("MAP_VALUES", [maps]), [MAPS], 3) == [[1, None], None, []]
    assert evaluate(build_call("CARDINALITY", [maps]), [MAPS], 3) == [2, None, 0]


def test_map_construction_sorts_keys_and_keeps_the_last_of_equal_ones() -> None:
    entries = build_call(
        "MAP", [literal("b"), literal(1), literal("a"), literal(2), literal("b"), literal(3)], ("ENTRIES",)
    )
    assert evaluate(entries, [], 1) == [[("a", 2), ("b", 3)]]
    assert not entries.type.nullable
    keys, values = build_call("ARRAY", [literal("k")]), build_call("ARRAY", [literal(1)])
    assert evaluate(build_call("MAP", [keys, values]), [], 2) == [[("k", 1)]] * 2


def test_rows() -> None:
    data = pa.array([{"a": 0, "b": "z"}, {"a": 1, "b": "x"}, None], arrow_type(ROW)).slice(1)
    field = build_call("FIELD", [ColumnRef(ROW, 0)], ("a",))
    assert field.type == INTEGER
    assert evaluate(field, [data], 2) == [1, None]
    assert evaluate(build_call("ITEM", [ColumnRef(ROW, 0), literal(2)]), [data], 2) == ["x", None]
    row = build_call("ROW", [literal(1), literal("a")])
    assert evaluate(row, [], 2) == [{"EXPR$0": 1, "EXPR$1": "a"}] * 2
    required = build_call("FIELD", [ColumnRef(ROW.with_nullable(False), 0)], ("a",))
    assert not required.type.nullable


def test_nested_columns_build_arrays_row_by_row() -> None:
    a, b = column([1, 2, None])[0], column([4.5, None, 6.0])[0]
    call = build_call("ARRAY", [ColumnRef(INTEGER, 0), ColumnRef(DOUBLE, 1)])
    assert evaluate(call, [a, b], 3) == [[1.0, 4.5], [2.0, None], [None, 6.0]]


@pytest.mark.parametrize(
    ("name", "types", "fragment"),
    [
        ("ITEM", (VARBINARY, INTEGER), "Cannot apply indexing to arguments of type"),
        ("CARDINALITY", (VARCHAR,), "Cannot apply 'CARDINALITY' to arguments of type 'CARDINALITY(<VARCHAR>)'"),
        ("ARRAY_LENGTH", (VARCHAR,), "Cannot apply 'ARRAY_LENGTH' to arguments of type 'ARRAY_LENGTH(<VARCHAR>)'"),
        ("ARRAY_CONTAINS", (array(VARCHAR), INTEGER), "VARCHAR is not comparable to INTEGER"),
        ("ARRAY_POSITION", (VARCHAR, INTEGER), "Cannot apply 'ARRAY_POSITION' to arguments of type"),
        ("ARRAY", (array(INTEGER), UUID), "Parameters must be of the same type"),
        ("MAP_KEYS", (UUID,), "Cannot apply 'MAP_KEYS' to arguments of type"),
        ("MAP_CONTAINS_KEY", (VARBINARY, INTEGER), "Cannot apply 'MAP_CONTAINS_KEY' to arguments of type"),
        ("CARDINALITY", (BOOLEAN, BOOLEAN),
         "Invalid number of arguments to function 'CARDINALITY'. Was expecting 1 arguments"),
    ],
)  # fmt: skip
def test_refused_arguments(name: str, types: tuple[SqlType, ...], fragment: str) -> None:
    assert fragment in type_error(name, *types)
