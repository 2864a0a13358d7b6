"""Functions that take a lambda: TRANSFORM, ARRAY_EXISTS and VARIANT_[DEEP_]FILTER/MAP (sql.md §7.8, §11).

A body is evaluated once for all elements of all rows: they are flattened into columns, whose values are the
parameters. A caller binds in two steps: `lambda_parameters` gives the types of the parameters once the other arguments
are known, and with those the body can be bound and `build_lambda` called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.coercion import build_cast, coerce, is_null_literal
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import Function, Options, check_count, table
from millstream.expressions.functions.variants import path_key
from millstream.expressions.nodes import Call, Expression, Lambda, children
from millstream.expressions.vectors import Value, broadcast, is_scalar, mask_of, validity_buffer
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BOOLEAN, INTEGER, VARCHAR, VARIANT, array
from millstream.types.variant import SQL_NULL, TAGS, Tagged, decode, encode, key_text, quoted

ROW_BY_ROW = ("VARIANT_FILTER, VARIANT_MAP and their deep forms take values apart and put them together",)
_TEXT = pa.large_string()
Apply = Callable[[Sequence[pa.Array], npt.NDArray[np.int64]], pa.Array]


# ---- building ----------------------------------------------------------------------------------------------------


def _element(name: str, arguments: Sequence[Expression]) -> tuple[SqlType, ...]:
    collection = arguments[0].type
    if collection.kind is not Kind.ARRAY or collection.component is None:
        raise cannot_apply(name, arguments, [f"{name}(<ARRAY>, <FUNCTION(ANY)-><ANY>>)"])
    return (collection.component,)


def _key_and_value(key: SqlType) -> Callable[[str, Sequence[Expression]], tuple[SqlType, ...]]:
    def parameters(name: str, arguments: Sequence[Expression]) -> tuple[SqlType, ...]:
        if arguments[0].type.kind is not Kind.VARIANT and not is_null_literal(arguments[0]):
            raise cannot_apply(name, arguments, [f"{name}(<VARIANT>, <FUNCTION(VARIANT, VARIANT)-><ANY>>)"])
        return (key, VARIANT)

    return parameters


_PARAMETERS: dict[str, Callable[[str, Sequence[Expression]], tuple[SqlType, ...]]] = {
    "TRANSFORM": _element,
    "ARRAY_EXISTS": _element,
    "VARIANT_FILTER": _key_and_value(VARIANT),
    "VARIANT_MAP": _key_and_value(VARIANT),
    "VARIANT_DEEP_FILTER": _key_and_value(VARCHAR),
    "VARIANT_DEEP_MAP": _key_and_value(VARCHAR),
}


def takes_lambda(name: str) -> bool:
    """Whether the last argument of function `name` is a lambda."""
    return name.upper() in _PARAMETERS


def lambda_parameters(name: str, arguments: Sequence[Expression]) -> tuple[SqlType, ...]:
    """The types of the parameters of the lambda that follows `arguments` in a call of `name`.

    Raises TypeCheckError when there are no such arguments, or the function takes no lambda.
    """
    upper = name.upper()
    if not takes_lambda(upper):
        raise TypeCheckError(f"Function '{upper}' does not take a lambda expression")
    check_count(upper, len(arguments) + 1, 2, 2)
    return _PARAMETERS[upper](upper, arguments)


def build_lambda(parameters: Sequence[SqlType], body: Expression, captures: Sequence[Expression] = ()) -> Lambda:
    """The lambda with that body over columns 0, 1, ... (nodes.py). Raises TypeCheckError if the body calls NOW()."""
    if _calls_now(body):
        raise TypeCheckError("NOW() is not supported inside a lambda expression", "Not supported")
    return Lambda(body.type, tuple(parameters), body, tuple(captures))


def _calls_now(expression: Expression) -> bool:
    if isinstance(expression, Call) and expression.name == "NOW":
        return True
    inside = (expression.body,) if isinstance(expression, Lambda) else ()
    return any(_calls_now(child) for child in (*children(expression), *inside))


def _with_body(function: Lambda, body: Expression) -> Lambda:
    return Lambda(body.type, function.parameters, body, function.captures)


def _typed(name: str, arguments: Sequence[Expression]) -> tuple[Expression, Lambda]:
    """The collection and the lambda of a call; the number of parameters is checked."""
    check_count(name, len(arguments), 2, 2)
    collection, function = arguments
    if not isinstance(function, Lambda):
        raise cannot_apply(name, arguments)
    try:
        expected = lambda_parameters(name, arguments[:1])
    except TypeCheckError:
        raise cannot_apply(name, arguments) from None
    if len(expected) != len(function.parameters):
        raise cannot_apply(name, arguments)
    return collection, function


def _condition(name: str, arguments: Sequence[Expression], function: Lambda) -> Lambda:
    if function.type.kind is not Kind.BOOLEAN and not is_null_literal(function.body):
        raise cannot_apply(name, arguments)
    return _with_body(function, coerce(function.body, BOOLEAN))


# ---- arrays ------------------------------------------------------------------------------------------------------


def _stretched(collection: Value, function: Any) -> pa.Array:
    """The collection as an array: of the rows that the lambda reads, or of one row if it is a constant for all."""
    return broadcast(collection, function.num_rows or 1) if is_scalar(collection) else collection


def _per_element(lists: pa.Array, function: Any) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    owners = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    return function([pc.list_flatten(lists)], owners), owners


def _transform(call: Call) -> Any:
    data_type = arrow_type(call.type)

    def kernel(collection: Value, function: Any) -> Value:
        lists = _stretched(collection, function)
        values, owners = _per_element(lists, function)
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum(np.bincount(owners, minlength=len(lists)), out=offsets[1:])
        bits = validity_buffer(np.asarray(lists.is_valid())) if lists.null_count else None
        made = pa.Array.from_buffers(data_type, len(lists), [bits, pa.py_buffer(offsets)], children=[values])
        return made[0] if is_scalar(collection) and function.num_rows is None else made

    return kernel


def _exists(_: Call) -> Any:
    def kernel(collection: Value, function: Any) -> Value:
        lists = _stretched(collection, function)
        values, owners = _per_element(lists, function)
        true = np.bincount(owners[mask_of(values, len(owners))], minlength=len(lists)) > 0
        unknown = np.bincount(owners[np.asarray(values.is_null())], minlength=len(lists)) > 0
        missing = np.asarray(lists.is_null()) | (unknown & ~true)
        made = pa.array(true, mask=missing)
        return made[0] if is_scalar(collection) and function.num_rows is None else made

    return kernel


def _resolve_transform(arguments: Sequence[Expression], _: Options) -> Expression:
    collection, function = _typed("TRANSFORM", arguments)
    return Call(array(function.type, collection.type.nullable), "TRANSFORM", (collection, function))


def _resolve_exists(arguments: Sequence[Expression], _: Options) -> Expression:
    collection, function = _typed("ARRAY_EXISTS", arguments)
    return Call(BOOLEAN, "ARRAY_EXISTS", (collection, _condition("ARRAY_EXISTS", arguments, function)))


# ---- VARIANT -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Item:
    """A value inside of a VARIANT: its row, its key or path as a parameter, and what became of it."""

    row: int
    key: str | None
    value: Any
    path: str = ""
    kept: bool = True
    result: Any = None
    members: list[_Item] | None = None
    names: list[Any] = field(default_factory=list)


def _is_container(value: Any) -> bool:
    return isinstance(value, list | dict) or (isinstance(value, Tagged) and isinstance(value.value, dict))


def _open(item: _Item, deep: bool) -> list[_Item]:
    """The members of a container, with their keys or paths."""
    value = item.value
    item.members = []
    if isinstance(value, list):
        item.names = list(range(1, len(value) + 1))
        shown = [(TAGS[INTEGER.kind] + str(i), f"[{i}]", member) for i, member in enumerate(value, 1)]
    else:
        entries = value.value if isinstance(value, Tagged) else value
        assert isinstance(entries, dict)
        item.names = sorted(entries)
        plain = not isinstance(value, Tagged)
        shown = [
            (quoted(key) if plain else key, path_key(key if plain else key_text(key)), entries[key])
            for key in item.names
        ]
    for key, step, member in shown:
        separator = "." if item.path and not step.startswith("[") else ""
        path = item.path + separator + step
        item.members.append(_Item(item.row, path if deep else key, member, path))
    return item.members


def _closed(item: _Item) -> Any:
    """The value of an item after its members have changed."""
    if item.members is None:
        return item.result
    kept = [(name, _closed(member)) for name, member in zip(item.names, item.members, strict=True) if member.kept]
    if isinstance(item.value, list):
        return [member for _, member in kept]
    return Tagged(item.value.tag, dict(kept)) if isinstance(item.value, Tagged) else dict(kept)


def _apply(function: Any, items: list[_Item]) -> pa.Array:
    """The body over items; a scalar that is no member of anything has no key."""
    key_type, value_type = (arrow_type(t) for t in function.node.expression.parameters)
    keys = pa.array([item.key for item in items], key_type)
    values = [None if isinstance(item.value, Tagged) and item.value.tag == SQL_NULL else encode(item.value)
              for item in items]  # fmt: skip
    return function([keys, pa.array(values, value_type)], np.array([item.row for item in items], np.int64))


def _roots(texts: pa.Array) -> list[_Item]:
    return [_Item(row, None, decode(text)) for row, text in enumerate(texts.to_pylist()) if text is not None]


def _filtered(deep: bool) -> Callable[[Call], Any]:
    def filter_items(function: Any, roots: list[_Item]) -> None:
        inner = [item for item in roots if _is_container(item.value)]
        level = [item for item in roots if not _is_container(item.value)]
        while inner or level:  # a container is opened once it is known to be kept
            level += [member for item in inner for member in _open(item, deep)]
            verdict = mask_of(_apply(function, level), len(level)) if level else ()
            for item, keep in zip(level, verdict, strict=True):
                item.kept, item.result = bool(keep), item.value
            inner = [item for item in level if deep and item.kept and _is_container(item.value)]
            level = []

    return _over_variants(filter_items)


def _mapped(deep: bool) -> Callable[[Call], Any]:
    def map_items(function: Any, roots: list[_Item]) -> None:
        leaves = [item for item in roots if not _is_container(item.value)]
        inner = [item for item in roots if _is_container(item.value)]
        while inner:
            members = [member for item in inner for member in _open(item, deep)]
            inner = [m for m in members if deep and _is_container(m.value)]
            leaves += [m for m in members if not (deep and _is_container(m.value))]
        texts = _apply(function, leaves).to_pylist() if leaves else []
        for item, text in zip(leaves, texts, strict=True):
            item.result = None if text is None or text == SQL_NULL + "null" else decode(text)

    return _over_variants(map_items)


def _over_variants(change: Callable[[Any, list[_Item]], None]) -> Callable[[Call], Any]:
    def kernel(collection: Value, function: Any) -> Value:
        texts = _stretched(collection, function)
        roots = _roots(texts)
        change(function, roots)
        found: list[str | None] = [None] * len(texts)
        for item in roots:
            if item.kept:
                found[item.row] = encode(_closed(item))
        made = pa.array(found, _TEXT)
        return made[0] if is_scalar(collection) and function.num_rows is None else made

    return lambda _: kernel


def _variant_entry(name: str, *, deep: bool, maps: bool, doc: str) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        collection, function = _typed(name, arguments)
        if maps:
            function = _with_body(function, build_cast(function.body, VARIANT))
        else:
            function = _condition(name, arguments, function)
        return Call(VARIANT, name, (coerce(collection, VARIANT), function))

    return Function(name, resolve, _mapped(deep) if maps else _filtered(deep), doc=doc)


FUNCTIONS = table(
    Function("TRANSFORM", _resolve_transform, _transform, doc="The array of the results of a lambda for each element."),
    Function("ARRAY_EXISTS", _resolve_exists, _exists, doc="Whether a lambda is TRUE for some element."),
    _variant_entry("VARIANT_FILTER", deep=False, maps=False, doc="The members for which a lambda is TRUE."),
    _variant_entry(
        "VARIANT_DEEP_FILTER", deep=True, maps=False, doc="Members at any depth for which a lambda is TRUE."
    ),
    _variant_entry("VARIANT_MAP", deep=False, maps=True, doc="Each member replaced by the result of a lambda."),
    _variant_entry("VARIANT_DEEP_MAP", deep=True, maps=True, doc="Each leaf replaced by the result of a lambda."),
)
