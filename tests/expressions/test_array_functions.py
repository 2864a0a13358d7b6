"""Functions that make arrays of arrays, search or fold them (sql.md §7.8)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import Field, SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR, array, map_of, struct
from tests.expressions.expression_cases import Typed, apply, column, evaluate, type_error

NUMBERS, NO_ARRAY = array(INTEGER), Typed(None, array(INTEGER))
EMPTY, NO_INT = Typed([], array(INTEGER)), Typed(None, INTEGER)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("ARRAY_APPEND", [1], 2), [1, 2]), (("ARRAY_APPEND", [1], None), [1, None]),
        (("ARRAY_APPEND", NO_ARRAY, 1), None),
        (("ARRAY_PREPEND", [1], 2), [2, 1]), (("ARRAY_PREPEND", EMPTY, 2), [2]), (("ARRAY_PREPEND", NO_ARRAY, 1), None),
        (("ARRAY_CONCAT", [1], [2, None], [3]), [1, 2, None, 3]), (("ARRAY_CONCAT", [1], NO_ARRAY), None),
        (("ARRAY_CONCAT", [1]), [1]),
        (("ARRAY_COMPACT", [1, None, 2]), [1, 2]), (("ARRAY_COMPACT", EMPTY), []), (("ARRAY_COMPACT", NO_ARRAY), None),
        (("ARRAY_REMOVE", [1, 2, 1], 1), [2]), (("ARRAY_REMOVE", [1, None], NO_INT), [1]),
        (("ARRAY_REMOVE", [1], 5), [1]),
        (("ARRAY_DISTINCT", [3, 1, 3, None, 1, None]), [3, 1, None]), (("ARRAY_DISTINCT", EMPTY), []),
        (("ARRAY_DISTINCT", [math.nan, math.nan]), [math.nan]),
        (("ARRAY_EXCEPT", [3, 1, None, 1], [3]), [None, 1]), (("ARRAY_EXCEPT", [1], [1]), []),
        (("ARRAY_EXCEPT", [1], NO_ARRAY), None),
        (("ARRAY_UNION", [3, 1], [None, 3]), [None, 1, 3]), (("ARRAY_UNION", EMPTY, EMPTY), []),
        (("ARRAY_UNION", NO_ARRAY, [1]), None),
        (("ARRAY_INTERSECT", [3, 1, None], [None, 3]), [None, 3]), (("ARRAY_INTERSECT", [1], [2]), []),
        (("ARRAY_INTERSECT", NO_ARRAY, [1]), None),
        (("ARRAYS_OVERLAP", [1, None], [2, None]), True),
        (("ARRAYS_OVERLAP", [1], [2]), False), (("ARRAYS_OVERLAP", [1], NO_ARRAY), None),
        (("ARRAY_INSERT", [1, 2], 2, 9), [1, 9, 2]), (("ARRAY_INSERT", [1], 4, 9), [1, None, None, 9]),
        (("ARRAY_INSERT", [1, 2], -1, 9), [1, 2, 9]),
        (("ARRAY_INSERT", [1, 2], -2, 9), [1, 9, 2]), (("ARRAY_INSERT", [1], -3, 9), [9, None, 1]),
        (("ARRAY_INSERT", [1], 0, 9), "Index of 0 for 'array_insert'"),
        (("ARRAY_INSERT", [1], Typed(2**31, BIGINT), 9), "Index 2147483648 too large for 'array_index'"),
        (("ARRAY_MIN", [3, None, 1]), 1), (("ARRAY_MIN", EMPTY), None), (("ARRAY_MAX", [1.0, math.nan]), math.nan),
        (("ARRAY_MAX", ["a", "b"]), "b"),
        (("ARRAY_REPEAT", 1, 2), [1, 1]), (("ARRAY_REPEAT", 1, -1), []),
        (("ARRAY_REPEAT", NO_INT, 2), [None, None]), (("ARRAY_REPEAT", 1, NO_INT), None),
        (("ARRAY_REVERSE", [1, 2]), [2, 1]), (("ARRAY_REVERSE", EMPTY), []), (("ARRAY_REVERSE", NO_ARRAY), None),
        (("ARRAY_TO_STRING", [1, None, 2], ","), "1,2"), (("ARRAY_JOIN", [1, None], "-", "*"), "1-*"),
        (("ARRAY_JOIN", ["a"], None), None),
        (("SORT_ARRAY", [2, None, 1]), [None, 1, 2]), (("SORT_ARRAY", [2, None, 1], False), [2, 1, None]),
        (("SORT_ARRAY", NO_ARRAY), None),
        (("ELEMENT", [5]), 5), (("ELEMENT", EMPTY), None),
        (("ELEMENT", [1, 2]), "'ELEMENT()' called on array that does not have exactly 1 element"),
    ],
)  # fmt: skip
def test_value(case: tuple[Any, ...], expected: Any) -> None:
    name, *arguments = case
    assert repr(apply(name, *arguments)) == repr(expected)


def test_rows_are_elements_like_others() -> None:
    rows = array(struct((Field("a", INTEGER),)))
    data, _ = column([[{"a": 2}, {"a": 1}, {"a": 2}]], rows)
    value = ColumnRef(rows, 0)
    assert evaluate(build_call("ARRAY_DISTINCT", [value]), [data], 1) == [[{"a": 2}, {"a": 1}]]
    assert evaluate(build_call("ARRAY_MIN", [value]), [data], 1) == [{"a": 1}]


def test_maps_merge_with_the_second_winning() -> None:
    maps = map_of(VARCHAR, INTEGER)
    columns = [column(v, maps)[0] for v in ([[("a", 1), ("c", 2)], None], [[("b", 3), ("a", 4)], []])]
    call = build_call("MAP_CONCAT", [ColumnRef(maps, 0), ColumnRef(maps, 1)])
    assert evaluate(call, columns, 2) == [[("a", 4), ("b", 3), ("c", 2)], None]


@pytest.mark.parametrize(
    "name",
    [
        "ARRAY_COMPACT",
        "ARRAY_DISTINCT",
        "ARRAY_MAX",
        "ARRAY_MIN",
        "ARRAY_REVERSE",
        "ELEMENT",
        "SORT_ARRAY",
        "ARRAY_CONCAT",
    ],
)
def test_strings_are_no_arrays(name: str) -> None:
    assert f"Cannot apply '{name}' to arguments of type '{name}(<VARCHAR>)'" in type_error(name, VARCHAR)


@pytest.mark.parametrize(
    ("name", "types", "fragment"),
    [
        ("ARRAY_APPEND", (array(VARCHAR), INTEGER), "VARCHAR is not comparable to INTEGER"),
        ("ARRAY_INSERT", (array(VARCHAR), INTEGER, INTEGER), "VARCHAR is not comparable to INTEGER"),
        ("ARRAY_CONTAINS", (array(VARCHAR), INTEGER), "VARCHAR is not comparable to INTEGER"),
        ("ARRAY_EXCEPT", (array(VARCHAR), VARCHAR), "Cannot apply 'ARRAY_EXCEPT' to arguments of type"),
        (
            "ARRAY_JOIN",
            (array(struct((Field("a", INTEGER),))), VARCHAR),
            "Cannot apply 'ARRAY_JOIN' to arguments of type",
        ),
        ("ARRAY_REPEAT", (VARCHAR, BOOLEAN), "'ARRAY_REPEAT(<VARCHAR>, <BOOLEAN>)'"),
        ("ARRAYS_OVERLAP", (array(DOUBLE), VARCHAR), "Cannot apply 'ARRAYS_OVERLAP' to arguments of type"),
    ],
)
def test_refused_arguments(name: str, types: tuple[SqlType, ...], fragment: str) -> None:
    assert fragment in type_error(name, *types)
