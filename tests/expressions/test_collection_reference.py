"""Functions of arrays and maps on random columns, compared with plain Python, row by row."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from millstream.errors import EvaluationError
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import Field, SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, VARCHAR, VARIANT, array, map_of, struct
from millstream.types.variant import decode
from millstream.types.variant import order_key as variant_order
from tests.expressions.expression_cases import column, evaluate

PAIR = struct((Field("a", INTEGER), Field("b", VARCHAR)))
VARIANTS = ["null", "\x041", "\x021", "1", "1.5", '"a"', "[1,null]", '{"a":1}', "\x01null", "10", "9"]


def value_of(sql_type: SqlType, rng: random.Random) -> Any:
    """A random value, of few, so that there are equal ones."""
    if rng.random() < 0.15:
        return None
    if sql_type == INTEGER:
        return rng.randint(-2, 3)
    if sql_type == DOUBLE:
        return rng.choice([0.0, -1.5, 2.0, math.nan, math.inf])
    if sql_type == VARCHAR:
        return rng.choice(["", "a", "b", "ab", "é"])
    if sql_type == VARIANT:
        return rng.choice(VARIANTS)
    if sql_type == PAIR:
        return {"a": value_of(INTEGER, rng), "b": value_of(VARCHAR, rng)}
    return list_of(sql_type.component, rng)


def list_of(element: SqlType | None, rng: random.Random) -> list[Any]:
    assert element is not None
    return [value_of(element, rng) for _ in range(rng.choice([0, 1, 2, 3, 5]))]


def key(value: Any, sql_type: SqlType) -> Any:
    """The place of a value in the order of its type."""
    if value is None:
        return (0,)
    if sql_type == DOUBLE:
        return (1, 1, 0.0) if math.isnan(value) else (1, 0, value)
    if sql_type == VARIANT:
        return (1, variant_order(decode(value)))
    if sql_type == PAIR:
        return (1, key(value["a"], INTEGER), key(value["b"], VARCHAR))
    if sql_type.component is not None:
        return (1, tuple(key(v, sql_type.component) for v in value))
    return (1, value)


Key = Callable[[Any], Any]


def distinct(items: list[Any], k: Key) -> list[Any]:
    found: dict[Any, Any] = {}
    for item in items:
        found.setdefault(k(item), item)
    return list(found.values())


def extreme(items: list[Any], k: Key, pick: Callable[..., Any]) -> Any:
    present = [item for item in items if item is not None]
    return pick(present, key=k) if present else None


def keys(items: list[Any], k: Key) -> set[Any]:
    return {k(item) for item in items}


ONE: dict[str, Callable[[list[Any], Key], Any]] = {
    "ARRAY_COMPACT": lambda a, k: [x for x in a if x is not None], "ARRAY_DISTINCT": distinct,
    "ARRAY_REVERSE": lambda a, k: a[::-1], "SORT_ARRAY": lambda a, k: sorted(a, key=k),
    "ARRAY_MIN": lambda a, k: extreme(a, k, min), "ARRAY_MAX": lambda a, k: extreme(a, k, max),
    "CARDINALITY": lambda a, k: len(a),
}  # fmt: skip
TWO: dict[str, Callable[[list[Any], list[Any], Key], Any]] = {
    "ARRAY_CONCAT": lambda a, b, k: a + b,
    "ARRAY_UNION": lambda a, b, k: sorted(distinct(a + b, k), key=k),
    "ARRAY_INTERSECT": lambda a, b, k: sorted(distinct([x for x in a if k(x) in keys(b, k)], k), key=k),
    "ARRAY_EXCEPT": lambda a, b, k: sorted(distinct([x for x in a if k(x) not in keys(b, k)], k), key=k),
    "ARRAYS_OVERLAP": lambda a, b, k: bool(keys(a, k) & keys(b, k)),
}
WITH_ELEMENT: dict[str, Callable[[list[Any], Any, Key], Any]] = {
    "ARRAY_APPEND": lambda a, e, k: [*a, e], "ARRAY_PREPEND": lambda a, e, k: [e, *a],
    "ARRAY_REMOVE": lambda a, e, k: [x for x in a if k(x) != k(e)],
    "ARRAY_CONTAINS": lambda a, e, k: any(k(x) == k(e) for x in a),
    "ARRAY_POSITION": lambda a, e, k: next((i for i, x in enumerate(a, 1) if k(x) == k(e)), 0),
}  # fmt: skip
ELEMENTS = [INTEGER, DOUBLE, VARCHAR, VARIANT, PAIR, array(INTEGER), array(array(VARCHAR))]
ROWS = 60


def check(name: str, columns: list[tuple[SqlType, list[Any]]], expected: list[Any]) -> None:
    arrays = [column(values, sql_type)[0] for sql_type, values in columns]
    call = build_call(name, [ColumnRef(sql_type, i) for i, (sql_type, _) in enumerate(columns)])
    assert repr(evaluate(call, arrays, ROWS)) == repr(expected)


@pytest.mark.parametrize("element", ELEMENTS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_array_functions(element: SqlType, seed: int) -> None:
    rng = random.Random(seed)
    k: Key = lambda value: key(value, element)  # noqa: E731
    listed = array(element)
    a, b = ([None if rng.random() < 0.1 else list_of(element, rng) for _ in range(ROWS)] for _ in range(2))
    wanted = [value_of(element, rng) for _ in range(ROWS)]
    for name, one in ONE.items():
        check(name, [(listed, a)], [None if x is None else one(x, k) for x in a])
    for name, two in TWO.items():
        both = zip(a, b, strict=True)
        check(name, [(listed, a), (listed, b)], [None if x is None or y is None else two(x, y, k) for x, y in both])
    for name, search in WITH_ELEMENT.items():
        rows = zip(a, wanted, strict=True)
        check(name, [(listed, a), (element, wanted)], [None if x is None else search(x, e, k) for x, e in rows])
    ascending = [rng.choice([True, False, None]) for _ in range(ROWS)]
    check(
        "SORT_ARRAY",
        [(listed, a), (BOOLEAN, ascending)],
        [
            None if x is None or up is None else sorted(x, key=k, reverse=not up)
            for x, up in zip(a, ascending, strict=True)
        ],
    )


def spark_insert(items: list[Any], position: int, element: Any) -> list[Any]:
    if position > 0:
        padded = items + [None] * (position - 1 - len(items))
        return padded[: position - 1] + [element] + padded[position - 1 :]
    place = len(items) + position + 1
    return items[:place] + [element] + items[place:] if place >= 0 else [element] + [None] * -place + items


@pytest.mark.parametrize("seed", range(4))
def test_insertion_and_repetition(seed: int) -> None:
    rng = random.Random(seed)
    listed = array(VARCHAR)
    a = [None if rng.random() < 0.1 else list_of(VARCHAR, rng) for _ in range(ROWS)]
    where = [rng.choice([None, -7, -3, -2, -1, 1, 2, 3, 8]) for _ in range(ROWS)]
    what = [value_of(VARCHAR, rng) for _ in range(ROWS)]
    rows = list(zip(a, where, what, strict=True))
    check("ARRAY_INSERT", [(listed, a), (BIGINT, where), (VARCHAR, what)],
          [None if x is None or p is None else spark_insert(x, p, e) for x, p, e in rows])  # fmt: skip
    check("ARRAY_REPEAT", [(VARCHAR, what), (INTEGER, where)],
          [None if p is None else [e] * max(p, 0) for _, p, e in rows])  # fmt: skip
    separators = [rng.choice(["-", "", None]) for _ in range(ROWS)]
    check("ARRAY_TO_STRING", [(listed, a), (VARCHAR, separators)],
          [None if x is None or s is None else s.join(v for v in x if v is not None)
           for x, s in zip(a, separators, strict=True)])  # fmt: skip


def test_an_insertion_that_would_not_fit_memory_is_refused() -> None:
    listed, _ = column([[1]] * 3, array(INTEGER))
    where, _ = column([2**31 - 1] * 3, BIGINT)
    call = build_call("ARRAY_INSERT", [ColumnRef(array(INTEGER), 0), ColumnRef(BIGINT, 1), ColumnRef(BIGINT, 1)])
    with pytest.raises(EvaluationError, match="Index 2147483647 too large for 'array_index'"):
        evaluate(call, [listed, where], 3)


@pytest.mark.parametrize("key_type", [INTEGER, VARCHAR, array(INTEGER)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_map_functions(key_type: SqlType, seed: int) -> None:
    rng = random.Random(seed)
    mapped = map_of(key_type, VARCHAR)
    k: Key = lambda value: key(value, key_type)  # noqa: E731

    def merged(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        found = {k(name): (name, item) for name, item in pairs}
        return [found[place] for place in sorted(found)]

    def entries() -> list[tuple[Any, Any]]:
        names = [v for v in (value_of(key_type, rng) for _ in range(4)) if v is not None]
        return merged([(name, value_of(VARCHAR, rng)) for name in names])

    a, b = ([None if rng.random() < 0.1 else entries() for _ in range(ROWS)] for _ in range(2))
    wanted = [value_of(key_type, rng) for _ in range(ROWS)]
    both = list(zip(a, b, strict=True))
    check(
        "MAP_CONCAT", [(mapped, a), (mapped, b)], [None if x is None or y is None else merged(x + y) for x, y in both]
    )
    check("MAP_KEYS", [(mapped, a)], [None if x is None else [name for name, _ in x] for x in a])
    check("MAP_VALUES", [(mapped, a)], [None if x is None else [item for _, item in x] for x in a])
    rows = list(zip(a, wanted, strict=True))
    present = [[] if x is None or w is None else [i for n, i in x if k(n) == k(w)] for x, w in rows]
    check("ITEM", [(mapped, a), (key_type, wanted)], [found[0] if found else None for found in present])
    check("MAP_CONTAINS_KEY", [(mapped, a), (key_type, wanted)],
          [None if x is None or w is None else any(k(n) == k(w) for n, _ in x) for x, w in rows])  # fmt: skip
    lists = [[v for v in list_of(key_type, rng) if v is not None] for _ in range(ROWS)]
    items = [list_of(VARCHAR, rng) for _ in range(ROWS)]
    check("MAP", [(array(key_type), lists), (array(VARCHAR), items)],
          [merged(list(zip(n, i, strict=False))) for n, i in zip(lists, items, strict=True)])  # fmt: skip
