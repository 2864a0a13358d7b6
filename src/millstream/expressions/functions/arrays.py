"""Array functions that make arrays out of arrays, search them or fold them (sql.md §7.8).

Elements are equal as in IS NOT DISTINCT FROM and ordered as everywhere, NULL first. All of these go row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.coercion import build_cast, coerce, is_null_literal, least_restrictive
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import Function, Options, check_count, table
from millstream.expressions.functions.collections import comparable_element, sorted_entries
from millstream.expressions.nested import order_key
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import Kernel, on_arrays
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, BOOLEAN, INTEGER, VARCHAR, array

ROW_BY_ROW = "every function of this module"
_LIMIT = 2**31 - 1


def _component(name: str, arguments: Sequence[Expression], position: int = 0) -> SqlType:
    argument = arguments[position]
    if argument.type.kind is not Kind.ARRAY or argument.type.component is None:
        raise cannot_apply(name, arguments)
    return argument.type.component


def _rows(compute: Callable[..., Any], required: Sequence[int]) -> Callable[[Call], Kernel]:
    """A kernel over Python values that is NULL where one of the `required` arguments is."""

    def implement(call: Call) -> Kernel:
        data_type = arrow_type(call.type)

        def kernel(*columns: pa.Array) -> pa.Array:
            rows = zip(*(column.to_pylist() for column in columns), strict=True)
            found = [None if any(row[i] is None for i in required) else compute(*row) for row in rows]
            return pa.array(found, data_type)

        return on_arrays(kernel)

    return implement


Typing = Callable[[str, Sequence[Expression]], tuple[Sequence[Expression], SqlType]]


def _entry(
    name: str,
    typing: Typing,
    compute: Callable[..., Any],
    counts: tuple[int, int | None],
    required: Sequence[int] = (0,),
    *,
    fails: bool = False,
    doc: str = "",
) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), *counts)
        typed, result = typing(name, arguments)
        nullable = result.nullable or any(typed[i].type.nullable for i in required)
        return Call(result.with_nullable(nullable), name, tuple(typed))

    needed = tuple(required)
    return Function(name, resolve, lambda c: _rows(compute, needed)(c), fallible=lambda _: fails, doc=doc)


# ---- typing ------------------------------------------------------------------------------------------------------


def _with_element(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    component = _component(name, arguments)
    return [arguments[0], comparable_element(component, arguments[1])], array(component, False)


def _same_array(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    return list(arguments), array(_component(name, arguments), False)


def _one_element(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    return list(arguments), _component(name, arguments).with_nullable(True)


def _united(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    for position in range(len(arguments)):
        if not is_null_literal(arguments[position]):
            _component(name, arguments, position)
    common = least_restrictive([a.type for a in arguments], name)
    return [coerce(a, common) for a in arguments], common.with_nullable(False)


def _overlapping(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    typed, _ = _united(name, arguments)
    return typed, BOOLEAN.with_nullable(False)


def _inserting(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    component = _component(name, arguments)
    position = arguments[1]
    if not (position.type.is_numeric or is_null_literal(position)):
        raise cannot_apply(name, arguments)
    element = comparable_element(component, arguments[2])
    return [arguments[0], build_cast(position, BIGINT), element], array(component, False)


def _repeating(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    element, count = arguments
    if not (count.type.is_integer or count.type.is_string or is_null_literal(count)):
        raise cannot_apply(name, arguments)
    return [element, build_cast(count, INTEGER)], array(element.type, False)


def _joining(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    component = _component(name, arguments)
    if component.is_nested:
        raise cannot_apply(name, arguments)
    texts = [coerce(argument, VARCHAR) for argument in arguments[1:]]
    return [coerce(arguments[0], array(VARCHAR)), *texts], VARCHAR.with_nullable(False)


def _sorting(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    _component(name, arguments)
    typed = [arguments[0], *(coerce(a, BOOLEAN) for a in arguments[1:])]
    return typed, arguments[0].type.with_nullable(False)


def _merging(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    if any(a.type.kind is not Kind.MAP for a in arguments):
        raise cannot_apply(name, arguments)
    common = least_restrictive([a.type for a in arguments], name)
    return [coerce(a, common) for a in arguments], common.with_nullable(False)


# ---- values ------------------------------------------------------------------------------------------------------


def _keys(items: list[Any]) -> set[Any]:
    return {order_key(item) for item in items}


def _distinct(items: list[Any]) -> list[Any]:
    return list({order_key(item): item for item in reversed(items)}.values())[::-1]


def _first_distinct(items: list[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for item in items:
        seen.setdefault(order_key(item), item)
    return list(seen.values())


def _set(items: list[Any]) -> list[Any]:
    return sorted(_distinct(items), key=order_key)


def _remove(items: list[Any], element: Any) -> list[Any]:
    unwanted = order_key(element)
    return [item for item in items if order_key(item) != unwanted]


def _present(items: list[Any]) -> list[Any]:
    return [item for item in items if item is not None]


def insert_at(items: list[Any], position: int, element: Any) -> list[Any]:
    """Spark's ARRAY_INSERT: 1-based, padded with NULL; negative positions count from behind, -1 after the last."""
    if position == 0:
        raise EvaluationError("Index of 0 for 'array_insert'")
    if abs(position) > _LIMIT:
        raise EvaluationError(f"Index {position} too large for 'array_insert'")
    if position > 0:
        padded = items + [None] * (position - 1 - len(items))
        return padded[: position - 1] + [element] + padded[position - 1 :]
    place = len(items) + position + 1
    if place >= 0:
        return items[:place] + [element] + items[place:]
    return [element] + [None] * -place + items


def _only(items: list[Any]) -> Any:
    if len(items) > 1:
        raise EvaluationError("'ELEMENT()' called on array that does not have exactly 1 element")
    return items[0] if items else None


def _join(items: list[str | None], separator: str, null_text: str | None = None) -> str:
    shown = [null_text if item is None else item for item in items]
    return separator.join(item for item in shown if item is not None)


def _sorted(items: list[Any], ascending: bool = True) -> list[Any]:
    return sorted(items, key=order_key, reverse=not ascending)


def _extreme(pick: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    def extreme(items: list[Any]) -> Any:
        present = _present(items)
        return pick(present, key=order_key) if present else None

    return extreme


FUNCTIONS = table(
    _entry("ARRAY_APPEND", _with_element, lambda a, e: [*a, e], (2, 2), doc="The array with an element at its end."),
    _entry("ARRAY_PREPEND", _with_element, lambda a, e: [e, *a], (2, 2), doc="The array with an element in front."),
    _entry("ARRAY_REMOVE", _with_element, _remove, (2, 2), doc="The array without an element."),
    _entry("ARRAY_COMPACT", _same_array, _present, (1, 1), doc="The array without NULLs."),
    _entry("ARRAY_DISTINCT", _same_array, _first_distinct, (1, 1), doc="First occurrences in order."),
    _entry("ARRAY_REVERSE", _same_array, lambda a: a[::-1], (1, 1), doc="The elements in reverse order."),
    _entry("SORT_ARRAY", _sorting, _sorted, (1, 2), doc="The elements sorted."),
    _entry("ARRAY_MIN", _one_element, _extreme(min), (1, 1), doc="The least element."),
    _entry("ARRAY_MAX", _one_element, _extreme(max), (1, 1), doc="The greatest element."),
    _entry("ELEMENT", _one_element, _only, (1, 1), fails=True, doc="The only element."),
    _entry("ARRAY_UNION", _united, lambda a, b: _set(a + b), (2, 2), (0, 1), doc="Sorted union."),
    _entry(
        "ARRAY_EXCEPT",
        _united,
        lambda a, b: _set([x for x in a if order_key(x) not in _keys(b)]),
        (2, 2),
        (0, 1),
        doc="Sorted difference.",
    ),
    _entry(
        "ARRAY_INTERSECT",
        _united,
        lambda a, b: _set([x for x in a if order_key(x) in _keys(b)]),
        (2, 2),
        (0, 1),
        doc="Sorted intersection.",
    ),
    _entry(
        "ARRAYS_OVERLAP", _overlapping, lambda a, b: bool(_keys(a) & _keys(b)), (2, 2), (0, 1), doc="Common element?"
    ),
    _entry("ARRAY_INSERT", _inserting, insert_at, (3, 3), (0, 1), fails=True, doc="Insertion at a position."),
    _entry("ARRAY_REPEAT", _repeating, lambda e, n: [e] * max(n, 0), (2, 2), (1,), doc="n times an element."),
    _entry("ARRAY_TO_STRING", _joining, _join, (2, 3), (0, 1), doc="Texts of the elements, joined."),
    _entry("MAP_CONCAT", _merging, lambda a, b: sorted_entries([*a, *b]), (2, 2), (0, 1), doc="Entries of both."),
    ARRAY_JOIN="ARRAY_TO_STRING",
)


def _resolve_concat(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("ARRAY_CONCAT", len(arguments), 1, None)
    typed, result = _united("ARRAY_CONCAT", arguments)
    return Call(result.with_nullable(any(a.type.nullable for a in typed)), "ARRAY_CONCAT", tuple(typed))


FUNCTIONS["ARRAY_CONCAT"] = Function(
    "ARRAY_CONCAT",
    _resolve_concat,
    lambda c: _rows(lambda *parts: [item for part in parts for item in part], range(len(c.arguments)))(c),
    doc="The elements of all arrays.",
)
