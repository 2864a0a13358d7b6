"""Array functions that make arrays out of arrays, search them or fold them (sql.md §7.8).

Elements are equal as in IS NOT DISTINCT FROM and ordered as everywhere, NULL first: they are compared by rank
(ranks.py). All of these work on the concatenated elements of a column (elements.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.coercion import build_cast, coerce, is_null_literal, least_restrictive
from millstream.expressions.elements import (
    Elements,
    Entries,
    chained,
    elements_of,
    entries_of,
    first_match,
    first_of_each,
    lists_of,
    maps_of,
    matches,
    present_in,
    singles,
    sorted_by,
)
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import Function, Options, check_count, table
from millstream.expressions.functions.collections import check_element, check_elements_agree, searched
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.ranks import ranks
from millstream.expressions.vectors import mask_of, on_arrays, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, BOOLEAN, INTEGER, VARCHAR, array

_LIMIT = 2**26
#: No batch of arrays grows beyond so many elements.
MAX_ELEMENTS = 2**27


def _component(name: str, arguments: Sequence[Expression], position: int = 0) -> SqlType:
    argument = arguments[position]
    if argument.type.kind is not Kind.ARRAY or argument.type.component is None:
        raise cannot_apply(name, arguments)
    return argument.type.component


Typing = Callable[[str, Sequence[Expression]], tuple[Sequence[Expression], SqlType]]
Compute = Callable[[Call], Callable[..., pa.Array]]


def _entry(
    name: str,
    typing: Typing,
    compute: Compute,
    counts: tuple[int, int | None],
    required: Sequence[int] = (0,),
    *,
    fails: bool = False,
    doc: str = "",
) -> Function:
    """A function that is NULL where one of the `required` arguments is; `compute(call)` is a kernel over arrays."""

    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), *counts)
        typed, result = typing(name, arguments)
        nullable = result.nullable or any(argument.type.nullable for i, argument in enumerate(typed) if i in required)
        return Call(result.with_nullable(nullable), name, tuple(typed))

    return Function(name, resolve, lambda call: on_arrays(compute(call)), fallible=lambda _: fails, doc=doc)


# ---- typing ------------------------------------------------------------------------------------------------------


def _united_with_element(name: str, lists: Expression, element: Expression) -> tuple[Expression, Expression, SqlType]:
    """An array and a new element in the type that holds both."""
    component = _component(name, [lists, element])
    check_element(component, element)
    common = least_restrictive([component, element.type], name)
    return coerce(lists, array(common, lists.type.nullable)), coerce(element, common), array(common, False)


def _with_element(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    _component(name, arguments)
    lists, element, result = _united_with_element(name, *arguments)
    return [lists, element], result


def _resolve_remove(arguments: Sequence[Expression], _: Options) -> Expression:
    """ARRAY_REMOVE compares in the common type, but keeps the type of the array."""
    check_count("ARRAY_REMOVE", len(arguments), 2, 2)
    _component("ARRAY_REMOVE", arguments)
    lists, element = searched(*arguments)
    return coerce(Call(lists.type, "ARRAY_REMOVE", (lists, element)), arguments[0].type)


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
    check_elements_agree(*(_component(name, arguments, position) for position in range(2)))
    typed, _ = _united(name, arguments)
    return typed, BOOLEAN.with_nullable(False)


def _inserting(name: str, arguments: Sequence[Expression]) -> tuple[Sequence[Expression], SqlType]:
    _component(name, arguments)
    position = arguments[1]
    if not (position.type.is_numeric or is_null_literal(position)):
        raise cannot_apply(name, arguments)
    lists, element, result = _united_with_element(name, arguments[0], arguments[2])
    return [lists, build_cast(position, BIGINT), element], result


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


def _element_type(call: Call, position: int = 0) -> SqlType:
    component = call.arguments[position].type.component
    assert component is not None
    return component


def _end(*, front: bool) -> Compute:
    """ARRAY_APPEND, ARRAY_PREPEND."""

    def compute(call: Call) -> Callable[..., pa.Array]:
        data_type = arrow_type(call.type)

        def kernel(lists: pa.Array, element: pa.Array) -> pa.Array:
            parts = [elements_of(lists), singles(element)]
            return lists_of(chained(parts[::-1] if front else parts), present_in(lists), data_type)

        return kernel

    return compute


def _concatenated(call: Call) -> Callable[..., pa.Array]:
    data_type = arrow_type(call.type)
    return lambda *parts: lists_of(chained([elements_of(p) for p in parts]), present_in(*parts), data_type)


def _choosing(choose: Callable[[Elements, SqlType], Any]) -> Compute:
    """Functions of one array whose result is some of its elements, by index or mask."""

    def compute(call: Call) -> Callable[..., pa.Array]:
        data_type, element = arrow_type(call.type), _element_type(call)

        def kernel(lists: pa.Array) -> pa.Array:
            elements = elements_of(lists)
            return lists_of(elements.take(choose(elements, element)), present_in(lists), data_type)

        return kernel

    return compute


def _first_occurrences(elements: Elements, sql_type: SqlType) -> Any:
    rank = ranks(elements.values, sql_type)
    order = sorted_by(elements, rank)  # stable: the first of equal ones comes first
    return np.sort(order[first_of_each(elements.owners[order], rank[order])])


def _reversed(elements: Elements, _: SqlType) -> Any:
    offsets = elements.offsets
    return (offsets[:-1] + offsets[1:])[elements.owners] - 1 - np.arange(len(elements.owners))


def _removing(call: Call) -> Callable[..., pa.Array]:
    data_type, element = arrow_type(call.type), _element_type(call)

    def kernel(lists: pa.Array, unwanted: pa.Array) -> pa.Array:
        elements = elements_of(lists)
        return lists_of(elements.take(~matches(elements, unwanted, element)), present_in(lists), data_type)

    return kernel


def _sorting_kernel(call: Call) -> Callable[..., pa.Array]:
    data_type, element = arrow_type(call.type), _element_type(call)

    def kernel(lists: pa.Array, ascending: pa.Array | None = None) -> pa.Array:
        elements = elements_of(lists)
        rank = ranks(elements.values, element)
        present = present_in(lists)
        if ascending is not None:
            rank = np.where(mask_of(ascending, len(lists))[elements.owners], rank, -rank)
            present = present_in(lists, ascending)
        return lists_of(elements.take(sorted_by(elements, rank)), present, data_type)

    return kernel


def _extreme(*, greatest: bool) -> Compute:
    def compute(call: Call) -> Callable[..., pa.Array]:
        element = _element_type(call)

        def kernel(lists: pa.Array) -> pa.Array:
            elements = elements_of(lists)
            rank = ranks(elements.values, element)
            order = sorted_by(elements, -rank if greatest else rank)
            order = order[rank[order] > 0]
            best = first_match(np.ones(len(order), np.bool_), elements.owners[order], len(lists))
            chosen = np.where(best < 0, 0, best)
            index = order[chosen] if len(order) else chosen
            return elements.values.take(pa.array(index, mask=best < 0))

        return kernel

    return compute


def _set_operation(keep: Callable[[Any, Any], Any]) -> Compute:
    """Sorted set operations: `keep(in_a, in_b)` decides for each distinct element of a row."""

    def compute(call: Call) -> Callable[..., pa.Array]:
        data_type, element = arrow_type(call.type), _element_type(call)

        def kernel(a: pa.Array, b: pa.Array) -> pa.Array:
            both, in_a, in_b, order, first = _distinct_of_both(a, b, element)
            return lists_of(both.take(order[first][keep(in_a, in_b)]), present_in(a, b), data_type)

        return kernel

    return compute


def _distinct_of_both(a: pa.Array, b: pa.Array, sql_type: SqlType) -> tuple[Elements, Any, Any, Any, Any]:
    """The elements of both lists of each row, and of each distinct one in ascending order whether a and b have it."""
    parts = [elements_of(a), elements_of(b)]
    both = chained(parts)
    source = np.concatenate([np.zeros(len(parts[0].owners), np.int64), np.ones(len(parts[1].owners), np.int64)])
    owners = np.concatenate([part.owners for part in parts])
    source = source[np.argsort(owners, kind="stable")]
    rank = ranks(both.values, sql_type)
    order = sorted_by(both, rank)
    first = first_of_each(both.owners[order], rank[order])
    group = np.cumsum(first) - 1
    groups = int(first.sum())
    in_a = np.bincount(group[source[order] == 0], minlength=groups) > 0
    in_b = np.bincount(group[source[order] == 1], minlength=groups) > 0
    return both, in_a, in_b, order, first


def _overlap(call: Call) -> Callable[..., pa.Array]:
    element = _element_type(call)

    def kernel(a: pa.Array, b: pa.Array) -> pa.Array:
        both, in_a, in_b, order, first = _distinct_of_both(a, b, element)
        common = both.owners[order[first][in_a & in_b]]
        present = present_in(a, b)
        return pa.array(np.bincount(common, minlength=len(a)) > 0, mask=None if present is None else ~present)

    return kernel


def _inserted(call: Call) -> Callable[..., pa.Array]:
    """Spark's ARRAY_INSERT: 1-based, padded with NULL; negative positions count from behind, -1 after the last."""
    data_type = arrow_type(call.type)

    def kernel(lists: pa.Array, position: pa.Array, element: pa.Array) -> pa.Array:
        present = present_in(lists, position)
        where = values_of(position) if present is None else np.where(present, values_of(position), 1)
        _check_positions(where)
        elements = elements_of(lists)
        lengths = elements.counts
        place = np.where(where > 0, where - 1, lengths + where + 1)  # 0-based, before padding
        front = np.maximum(-place, 0)  # NULLs between the new element and the others
        place = np.maximum(place, 0)
        totals = np.maximum(lengths, place) + 1 + front
        if int(totals.sum()) > MAX_ELEMENTS:
            raise EvaluationError(f"Index {int(where[np.argmax(totals)])} too large for 'array_index'")
        offsets = np.concatenate(([0], np.cumsum(totals)))
        chosen = np.full(int(offsets[-1]), -1, np.int64)  # -1: NULL
        inner = np.arange(len(elements.owners)) - elements.offsets[elements.owners]
        shifted = inner + (inner >= place[elements.owners]) + front[elements.owners]
        chosen[offsets[elements.owners] + shifted] = np.arange(len(elements.owners))
        chosen[offsets[:-1] + place] = len(elements.owners) + np.arange(len(lists))
        values = pa.concat_arrays([elements.values, element]).take(pa.array(chosen, mask=chosen < 0))
        owners = np.repeat(np.arange(len(lists)), totals)
        return lists_of(Elements(values, owners, len(lists)), present, data_type)

    return kernel


def _check_positions(where: Any) -> None:
    if (where == 0).any():
        raise EvaluationError("Index of 0 for 'array_insert'")
    large = np.abs(where) > _LIMIT
    if large.any():
        raise EvaluationError(f"Index {int(where[np.argmax(large)])} too large for 'array_index'")


def _repeated(call: Call) -> Callable[..., pa.Array]:
    data_type = arrow_type(call.type)

    def kernel(element: pa.Array, count: pa.Array) -> pa.Array:
        present = present_in(count)
        times = np.maximum(values_of(count), 0)
        if present is not None:
            times = np.where(present, times, 0)
        if int(times.sum(dtype=np.int64)) > MAX_ELEMENTS:
            raise EvaluationError(f"Count {int(times.max())} too large for 'array_repeat'")
        owners = np.repeat(np.arange(len(element)), times)
        return lists_of(Elements(element.take(pa.array(owners)), owners, len(element)), present, data_type)

    return kernel


def _only(_: Call) -> Callable[..., pa.Array]:
    def kernel(lists: pa.Array) -> pa.Array:
        elements = elements_of(lists)
        counts = elements.counts
        if (counts > 1).any():
            raise EvaluationError("'ELEMENT()' called on array that does not have exactly 1 element")
        first = np.where(counts > 0, elements.offsets[:-1], 0)
        return elements.values.take(pa.array(first, mask=counts == 0))

    return kernel


def _joined(_: Call) -> Callable[..., pa.Array]:
    text, listed = pa.large_string(), pa.large_list(pa.field("item", pa.large_string()))

    def kernel(lists: pa.Array, separator: pa.Array, null_text: pa.Array | None = None) -> pa.Array:
        elements = elements_of(lists)
        if null_text is not None and elements.values.null_count:
            shown = pc.if_else(elements.values.is_null(), null_text.take(pa.array(elements.owners)), elements.values)
            elements = Elements(shown, elements.owners, elements.num_rows)
        elements = elements.take(np.asarray(elements.values.is_valid()))
        return pc.binary_join(lists_of(elements, present_in(lists), listed), separator).cast(text)

    return kernel


def _merged(call: Call) -> Callable[..., pa.Array]:
    data_type, key = arrow_type(call.type), call.type.key
    assert key is not None

    def kernel(a: pa.Array, b: pa.Array) -> pa.Array:
        left, right = entries_of(a), entries_of(b)
        keys, items = (pa.concat_arrays(pair) for pair in ((left.keys, right.keys), (left.items, right.items)))
        entries = Entries(keys, items, np.concatenate([left.owners, right.owners]), len(a))
        return maps_of(entries, present_in(a, b), data_type, key)

    return kernel


def _not_null(elements: Elements, _: SqlType) -> Any:
    return np.asarray(elements.values.is_valid())


FUNCTIONS = table(
    _entry("ARRAY_APPEND", _with_element, _end(front=False), (2, 2), doc="The array with an element at its end."),
    _entry("ARRAY_PREPEND", _with_element, _end(front=True), (2, 2), doc="The array with an element in front."),
    Function(
        "ARRAY_REMOVE", _resolve_remove, lambda call: on_arrays(_removing(call)), doc="The array without an element."
    ),
    _entry("ARRAY_COMPACT", _same_array, _choosing(_not_null), (1, 1), doc="The array without NULLs."),
    _entry("ARRAY_DISTINCT", _same_array, _choosing(_first_occurrences), (1, 1), doc="First occurrences in order."),
    _entry("ARRAY_REVERSE", _same_array, _choosing(_reversed), (1, 1), doc="The elements in reverse order."),
    _entry("SORT_ARRAY", _sorting, _sorting_kernel, (1, 2), (0, 1), doc="The elements sorted."),
    _entry("ARRAY_MIN", _one_element, _extreme(greatest=False), (1, 1), doc="The least element."),
    _entry("ARRAY_MAX", _one_element, _extreme(greatest=True), (1, 1), doc="The greatest element."),
    _entry("ELEMENT", _one_element, _only, (1, 1), fails=True, doc="The only element."),
    _entry("ARRAY_UNION", _united, _set_operation(lambda a, b: a | b), (2, 2), (0, 1), doc="Sorted union."),
    _entry("ARRAY_EXCEPT", _united, _set_operation(lambda a, b: a & ~b), (2, 2), (0, 1), doc="Sorted difference."),
    _entry("ARRAY_INTERSECT", _united, _set_operation(lambda a, b: a & b), (2, 2), (0, 1), doc="Sorted intersection."),
    _entry("ARRAYS_OVERLAP", _overlapping, _overlap, (2, 2), (0, 1), doc="Whether there is a common element."),
    _entry("ARRAY_INSERT", _inserting, _inserted, (3, 3), (0, 1), fails=True, doc="Insertion at a position."),
    _entry("ARRAY_REPEAT", _repeating, _repeated, (2, 2), (1,), fails=True, doc="n times an element."),
    _entry("ARRAY_TO_STRING", _joining, _joined, (2, 3), (0, 1), doc="Texts of the elements, joined."),
    _entry("MAP_CONCAT", _merging, _merged, (2, 2), (0, 1), doc="Entries of both."),
    ARRAY_JOIN="ARRAY_TO_STRING",
)


def _resolve_concat(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("ARRAY_CONCAT", len(arguments), 1, None)
    typed, result = _united("ARRAY_CONCAT", arguments)
    return Call(result.with_nullable(any(a.type.nullable for a in typed)), "ARRAY_CONCAT", tuple(typed))


FUNCTIONS["ARRAY_CONCAT"] = Function(
    "ARRAY_CONCAT", _resolve_concat, lambda call: on_arrays(_concatenated(call)), doc="The elements of all arrays."
)
