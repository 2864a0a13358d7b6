"""ARRAY, MAP and ROW values: construction, access to members, sizes (sql.md §7.8, §7.9; the basics)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.variant import integer_of, member
from millstream.expressions.coercion import build_cast, coerce, comparison_type, is_null_literal, least_restrictive
from millstream.expressions.elements import (
    Elements,
    Entries,
    elements_of,
    entries_of,
    first_match,
    maps_of,
    matches,
    present_in,
)
from millstream.expressions.errors import TypeCheckError, cannot_apply, type_text
from millstream.expressions.function import MAP, Function, Options, check_count, function, simple, table
from millstream.expressions.json_members import members_of_index, members_of_key
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.rows import by_distinct
from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar, join, on_arrays, valid_of, values_of
from millstream.types import Field, Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, BOOLEAN, INTEGER, NULL, VARCHAR, VARIANT, array, map_of, struct
from millstream.types.variant import MAP_TAG, SQL_NULL, decode

ROW_BY_ROW = ("v[k] of a VARIANT that holds a map whose keys are no text",)
_SQL_NULL = pa.scalar(SQL_NULL + "null", pa.large_string())


# ---- construction ------------------------------------------------------------------------------------------------


def _resolve_array(arguments: Sequence[Expression], _: Options) -> Expression:
    element = least_restrictive([a.type for a in arguments], "ARRAY")
    typed = tuple(coerce(a, element) for a in arguments)
    return Call(array(element, nullable=False), "ARRAY", typed)


def _implement_array(call: Call) -> Kernel:
    """Interleaves the item columns: row 0 of each, row 1 of each ..."""
    data_type, width = arrow_type(call.type), len(call.arguments)

    def kernel(*items: Value) -> Value:
        length = next((len(v) for v in items if not is_scalar(v)), None)
        rows = length or 1
        if width == 0:
            return pa.scalar([], data_type)
        stacked = pa.concat_arrays([broadcast(v, rows) for v in items])
        order = (np.arange(rows)[:, None] + np.arange(width)[None, :] * rows).ravel()
        offsets = np.arange(rows + 1, dtype=np.int64) * width
        children = [stacked.take(pa.array(order))]
        made = pa.Array.from_buffers(data_type, rows, [None, pa.py_buffer(offsets)], children=children)
        return made[0] if length is None else made

    return kernel


def _resolve_row(arguments: Sequence[Expression], _: Options) -> Expression:
    fields = tuple(Field(f"EXPR${i}", a.type) for i, a in enumerate(arguments))
    return Call(struct(fields, nullable=False), "ROW", tuple(arguments))


def _implement_row(call: Call) -> Kernel:
    data_type = arrow_type(call.type)
    fields = [data_type.field(i) for i in range(data_type.num_fields)]
    return on_arrays(lambda *parts: pa.StructArray.from_arrays(list(parts), fields=fields))


def _resolve_map(arguments: Sequence[Expression], options: Options) -> Expression:
    """MAP[k, v, ...] with the option ENTRIES, the map of an array of rows (k, v) with ROWS, else MAP(keys, values)."""
    if options == ("ROWS",):
        (rows,) = arguments
        assert rows.type.component is not None
        key, value = (field.type for field in rows.type.component.fields)
        return Call(map_of(key, value, rows.type.nullable), "MAP", tuple(arguments), options)
    if options == ("ENTRIES",):
        if not arguments:
            raise TypeCheckError("MAP requires at least one key and value")
        keys = least_restrictive([a.type for a in arguments[0::2]], "MAP")
        values = least_restrictive([a.type for a in arguments[1::2]], "MAP")
        _check_key(keys, arguments)
        pairs = zip(arguments[0::2], arguments[1::2], strict=True)
        typed = tuple(e for k, v in pairs for e in (coerce(k, keys), coerce(v, values)))
        return Call(map_of(keys, values, nullable=False), "MAP", typed, options)
    check_count("MAP", len(arguments), 2, 2)
    key_array, value_array = arguments
    if key_array.type.component is None or value_array.type.component is None:
        raise cannot_apply("MAP", arguments)
    _check_key(key_array.type.component, arguments)
    nullable = key_array.type.nullable or value_array.type.nullable
    return Call(map_of(key_array.type.component, value_array.type.component, nullable), "MAP", tuple(arguments))


def _check_key(key: SqlType, arguments: Sequence[Expression]) -> None:
    if arguments and key.kind in (Kind.NULL, Kind.MAP):
        raise TypeCheckError(f"MAP key type cannot be {key.kind.value}", "Not supported")


def _implement_map(call: Call) -> Kernel:
    data_type, key = arrow_type(call.type), call.type.key
    assert key is not None

    def of_entries(*items: pa.Array) -> pa.Array:
        rows = len(items[0]) if items else 1
        owners = np.tile(np.arange(rows), len(items) // 2)
        if not items:
            return maps_of(Entries(pa.nulls(0), pa.nulls(0), owners, rows), None, data_type, NULL)
        keys, values = pa.concat_arrays(items[0::2]), pa.concat_arrays(items[1::2])
        return maps_of(Entries(keys, values, owners, rows), None, data_type, key)

    def of_rows(rows: pa.Array) -> pa.Array:
        elements = elements_of(rows)
        keys, values = elements.values.flatten()
        return maps_of(Entries(keys, values, elements.owners, len(rows)), present_in(rows), data_type, key)

    def of_arrays(keys: pa.Array, values: pa.Array) -> pa.Array:
        present = present_in(keys, values)
        left, right = elements_of(keys), elements_of(values)
        shorter = np.minimum(left.counts, right.counts)
        left, right = (part.take(_position_in_row(part) < shorter[part.owners]) for part in (left, right))
        return maps_of(Entries(left.values, right.values, left.owners, len(keys)), present, data_type, key)

    return on_arrays({("ENTRIES",): of_entries, ("ROWS",): of_rows}.get(call.options, of_arrays))


def _position_in_row(elements: Elements) -> Any:
    return np.arange(len(elements.owners)) - elements.offsets[elements.owners]


# ---- access ------------------------------------------------------------------------------------------------------


def _resolve_item(arguments: Sequence[Expression], options: Options) -> Expression:
    """a[i] and m[k]; an integer literal also takes the i-th field of a ROW."""
    check_count("ITEM", len(arguments), 2, 2)
    collection, index = arguments
    sql_type = collection.type
    if sql_type.kind is Kind.ARRAY and sql_type.component is not None:
        if not (index.type.is_integer or is_null_literal(index)):
            raise cannot_apply("ITEM", arguments)
        position = build_cast(index, BIGINT)
        if isinstance(collection, Call) and collection.name == "SPLIT":
            comma = Literal(VARCHAR.with_nullable(False), ",")
            separator = collection.arguments[1] if len(collection.arguments) > 1 else comma
            return Call(VARCHAR, "SPLIT ITEM", (collection.arguments[0], separator, position), options)
        return Call(sql_type.component.with_nullable(True), "ITEM", (collection, position), options)
    if sql_type.kind is Kind.MAP and sql_type.key is not None and sql_type.value is not None:
        return Call(sql_type.value.with_nullable(True), "ITEM", _keyed(collection, index))
    if sql_type.kind is Kind.VARIANT and (index.type.is_integer or index.type.is_string or is_null_literal(index)):
        return Call(VARIANT, "ITEM", (collection, build_cast(index, VARIANT)))
    if sql_type.kind is Kind.STRUCT and isinstance(index, Literal):
        if isinstance(index.value, int) and 1 <= index.value <= len(sql_type.fields):
            return _field(collection, index.value - 1)
        if index.type.is_integer:
            text = (
                f"ROW type does not have a field with index {index.value}; legal range is 1 to {len(sql_type.fields)}"
            )
            raise TypeCheckError(text)
        names = [field.name for field in sql_type.fields]
        if index.value in names:
            return _field(collection, names.index(str(index.value)))
    raise TypeCheckError(f"Cannot apply indexing to arguments of type '{type_text(sql_type)}[{type_text(index.type)}]'")


def _implement_item(call: Call) -> Kernel:
    data_type = arrow_type(call.type)
    if call.arguments[0].type.kind is Kind.MAP:
        return on_arrays(partial(_lookup, call.arguments[0].type.key))
    if call.type == VARIANT and call.arguments[0].type.kind is Kind.VARIANT:
        return by_distinct(_members, data_type)
    base = 0 if "SAFE_OFFSET" in call.options else 1
    return on_arrays(lambda lists, index: element_at(lists, values_of(index) - base, valid_of(index)))


def _members(column: pa.Array, index: str) -> pa.Array:
    """v[index] for the VARIANT text of an index. Maps whose keys are no text have their own way."""
    wanted = decode(index)
    position = integer_of(wanted)
    if isinstance(wanted, str):
        found = members_of_key(column, index)
    elif position is not None:
        found = members_of_index(column, position)
    else:
        found = pa.nulls(len(column), column.type)
    is_sql_null = pc.equal(found, _SQL_NULL)
    if pc.any(is_sql_null, min_count=0).as_py():
        found = pc.if_else(is_sql_null, pa.scalar(None, column.type), found)
    tagged = pc.fill_null(pc.starts_with(column, MAP_TAG), False)
    if not pc.any(tagged, min_count=0).as_py():
        return found
    looked_up = pa.array([member(text, index) for text in column.filter(tagged).to_pylist()], column.type)
    return pc.replace_with_mask(found, tagged, looked_up)


def element_at(lists: pa.Array, position: Any, valid: Any) -> pa.Array:
    """Element `position` (0-based) of each list; NULL outside of it."""
    offsets = np.asarray(lists.offsets)
    lengths = np.diff(offsets)
    inside = (position >= 0) & (position < lengths)
    mask = valid_of(lists)
    for present in (valid, mask):
        if present is not None:
            inside &= present
    where = np.where(inside, offsets[:-1] + position, 0)
    return lists.values.take(pa.array(where, mask=~inside))


def _key_matches(key_type: SqlType | None, maps: pa.Array, keys: pa.Array) -> tuple[Entries, Any]:
    """The entries of maps, and the index of the one that has the key of its row; -1 where none has."""
    assert key_type is not None
    entries = entries_of(maps)
    found = matches(Elements(entries.keys, entries.owners, len(maps)), keys, key_type)
    return entries, first_match(found, entries.owners, len(maps))


def _lookup(key_type: SqlType | None, maps: pa.Array, keys: pa.Array) -> pa.Array:
    entries, where = _key_matches(key_type, maps, keys)
    return entries.items.take(pa.array(where, mask=where < 0))


def _field(value: Expression, position: int) -> Expression:
    member = value.type.fields[position]
    return Call(member.type.with_nullable(member.type.nullable or value.type.nullable), "FIELD", (value,), (position,))


def _resolve_field(arguments: Sequence[Expression], options: Options) -> Expression:
    """row.name; the option is the name, which the call replaces by the position."""
    check_count("FIELD", len(arguments), 1, 1)
    if arguments[0].type.kind is Kind.VARIANT:
        return _resolve_item([arguments[0], Literal(VARCHAR.with_nullable(False), options[0])], ())
    names = [field.name for field in arguments[0].type.fields]
    if options[0] not in names:
        raise TypeCheckError(f"Column '{options[0]}' not found in any table")
    return _field(arguments[0], names.index(options[0]))


def _implement_field(call: Call) -> Kernel:
    position = call.options[0]

    def kernel(rows: pa.Array) -> pa.Array:
        return rows.flatten()[position]

    return on_arrays(kernel)


# ---- sizes, membership -------------------------------------------------------------------------------------------


def _resolve_cardinality(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("CARDINALITY", len(arguments), 1, 1)
    if arguments[0].type.kind not in (Kind.ARRAY, Kind.MAP):
        raise cannot_apply(
            "CARDINALITY", arguments, ["CARDINALITY(<MULTISET>)", "CARDINALITY(<ARRAY>)", "CARDINALITY(<MAP>)"]
        )
    return Call(INTEGER.with_nullable(arguments[0].type.nullable), "CARDINALITY", tuple(arguments))


def _cardinality(value: pa.Array) -> pa.Array:
    return join(np.diff(np.asarray(value.offsets)).astype(np.int32), valid_of(value), pa.int32())


def check_element(component: SqlType, element: Expression) -> None:
    """Raises TypeCheckError when an element argument is of another family than the elements of the array."""
    if not _same_family(component, element.type):
        raise TypeCheckError(f"{component.kind.value} is not comparable to {element.type.kind.value}")


def _same_family(a: SqlType, b: SqlType) -> bool:
    if a.kind is b.kind or Kind.NULL in (a.kind, b.kind):
        return True
    return any(family(a) and family(b) for family in _FAMILIES)


_FAMILIES = (
    lambda t: t.is_numeric, lambda t: t.is_string, lambda t: t.is_binary, lambda t: t.is_interval,
    lambda t: t.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ),
)  # fmt: skip


def check_elements_agree(a: SqlType, b: SqlType) -> None:
    """Raises TypeCheckError when the elements of two arrays are of different families."""
    if not _same_family(a, b):
        raise TypeCheckError("Parameters must be of the same type")


def searched(collection: Expression, element: Expression) -> tuple[Expression, Expression]:
    """An array and what is looked for in it, both in the type in which they are compared: 2.5 is not in ARRAY[2]."""
    component = collection.type.component
    assert component is not None
    check_element(component, element)
    common = component if is_null_literal(element) else comparison_type(component, element.type)
    common = common.with_nullable(component.nullable)
    return coerce(collection, array(common, collection.type.nullable)), coerce(element, common)


def _keyed(collection: Expression, key: Expression) -> tuple[Expression, Expression]:
    """A map and a key, in the type in which keys are compared."""
    sql_type = collection.type
    assert sql_type.key is not None
    assert sql_type.value is not None
    common = comparison_type(sql_type.key, key.type).with_nullable(sql_type.key.nullable)
    return coerce(collection, map_of(common, sql_type.value, sql_type.nullable)), coerce(key, common)


def _resolve_membership(name: str, result: SqlType) -> Any:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        collection, element = arguments
        if collection.type.kind is not Kind.ARRAY or collection.type.component is None:
            raise cannot_apply(name, arguments)
        return Call(result.with_nullable(collection.type.nullable), name, searched(collection, element))

    return resolve


def _positions(call: Call, lists: pa.Array, wanted: pa.Array) -> tuple[Any, pa.Array]:
    """The 1-based position of the wanted element in each list, 0 if there is none; and which lists are NULL."""
    component = call.arguments[0].type.component
    assert component is not None
    elements = elements_of(lists)
    first = first_match(matches(elements, wanted, component), elements.owners, len(lists))
    return np.where(first < 0, 0, first - elements.offsets[:-1] + 1), lists.is_null()


def _implement_position(call: Call) -> Kernel:
    def kernel(lists: pa.Array, wanted: pa.Array) -> pa.Array:
        positions, missing = _positions(call, lists, wanted)
        return pa.array(positions, pa.int64(), mask=np.asarray(missing))

    return on_arrays(kernel)


def _implement_contains(call: Call) -> Kernel:
    def kernel(lists: pa.Array, wanted: pa.Array) -> pa.Array:
        positions, missing = _positions(call, lists, wanted)
        return pa.array(positions > 0, mask=np.asarray(missing))

    return on_arrays(kernel)


def _resolve_contains_key(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("MAP_CONTAINS_KEY", len(arguments), 2, 2)
    collection, key = arguments
    if collection.type.kind is not Kind.MAP or collection.type.key is None:
        raise cannot_apply("MAP_CONTAINS_KEY", arguments)
    nullable = collection.type.nullable or key.type.nullable
    return Call(BOOLEAN.with_nullable(nullable), "MAP_CONTAINS_KEY", _keyed(collection, key))


def _implement_contains_key(call: Call) -> Kernel:
    def kernel(maps: pa.Array, keys: pa.Array) -> pa.Array:
        _, where = _key_matches(call.arguments[0].type.key, maps, keys)
        present = present_in(maps, keys)
        return pa.array(where >= 0, mask=None if present is None else ~present)

    return on_arrays(kernel)


def _parts(of_keys: bool, call: Call) -> Kernel:
    """MAP_KEYS and MAP_VALUES share the offsets of the map."""
    data_type = arrow_type(call.type)

    def kernel(maps: pa.Array) -> pa.Array:
        offsets = np.asarray(maps.offsets).astype(np.int64)
        mask = valid_of(maps)
        bits = None if mask is None else pa.array(mask).buffers()[1]
        children = [maps.keys if of_keys else maps.items]
        return pa.Array.from_buffers(data_type, len(maps), [bits, pa.py_buffer(offsets)], children=children)

    return on_arrays(kernel)


def _component(arguments: Sequence[Expression], of_keys: bool) -> SqlType:
    member = arguments[0].type.key if of_keys else arguments[0].type.value
    assert member is not None
    return array(member)


FUNCTIONS = table(
    Function("ARRAY", _resolve_array, _implement_array, doc="ARRAY[a, ...]"),
    Function("ROW", _resolve_row, _implement_row, doc="ROW(a, ...)"),
    Function("MAP", _resolve_map, _implement_map, doc="MAP[k, v, ...] (option ENTRIES) or MAP(keys, values)."),
    Function("ITEM", _resolve_item, _implement_item, doc="a[i], m[k]; NULL where there is no such member."),
    Function("FIELD", _resolve_field, _implement_field, doc="row.name"),
    Function("CARDINALITY", _resolve_cardinality, simple(on_arrays(_cardinality)), doc="Number of members."),
    Function(
        "ARRAY_CONTAINS",
        _resolve_membership("ARRAY_CONTAINS", BOOLEAN),
        _implement_contains,
        doc="Membership.",
    ),
    Function(
        "ARRAY_POSITION",
        _resolve_membership("ARRAY_POSITION", BIGINT),
        _implement_position,
        doc="First position of an element, or 0.",
    ),
    Function("MAP_CONTAINS_KEY", _resolve_contains_key, _implement_contains_key, doc="Whether a key is there."),
    function("MAP_KEYS", [MAP], lambda a: _component(a, True), lambda c: _parts(True, c), doc="Keys in order."),
    function("MAP_VALUES", [MAP], lambda a: _component(a, False), lambda c: _parts(False, c), doc="Values by key."),
    ARRAY_LENGTH="CARDINALITY",
    ARRAY_SIZE="CARDINALITY",
)
