"""CAST: which conversion leads from one type to another, as a kernel of the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.expressions.casts.binary import binary_conversion, uuid_of_binary
from millstream.expressions.casts.conversion import Conversion, Converted, kernel_of, total
from millstream.expressions.casts.intervals import interval_of_text
from millstream.expressions.casts.numbers import number_conversion
from millstream.expressions.casts.parse_numbers import number_of_text
from millstream.expressions.casts.parse_times import time_conversion
from millstream.expressions.casts.temporal import temporal_conversion
from millstream.expressions.casts.text import text_conversion
from millstream.expressions.casts.variant import from_variant, to_variant
from millstream.expressions.nodes import Cast
from millstream.expressions.vectors import Bools, Kernel, validity_buffer
from millstream.types import Kind, SqlType, arrow_type

__all__ = ["cast_is_fallible", "cast_kernel", "find_conversion"]


def find_conversion(source: SqlType, target: SqlType) -> Conversion:
    """The conversion for a legal cast (coercion.py decides legality)."""
    if source.same_apart_from_nullability(target) and not target.is_sized:
        return total(lambda array: array)
    if source.kind is Kind.NULL:
        data_type = arrow_type(target)
        return total(lambda array: pa.nulls(len(array), data_type))
    if target.kind is Kind.VARIANT:
        return to_variant(source, find_conversion)
    if source.kind is Kind.VARIANT:
        return from_variant(target, find_conversion)
    if source.is_nested:
        return _nested_conversion(source, target)
    if target.is_string:
        return text_conversion(source, target)
    if source.is_string and (target.is_numeric or target.kind is Kind.BOOLEAN):
        return number_of_text(target)
    if target.is_binary:
        return binary_conversion(source, target)
    if source.is_string:
        return interval_of_text(target) if target.is_interval else time_conversion(target)
    if target.kind is Kind.UUID:
        return uuid_of_binary()
    numeric_target = target.is_numeric or target.kind is Kind.BOOLEAN
    if numeric_target and (source.is_numeric or source.kind is Kind.BOOLEAN):
        return number_conversion(source, target)
    return temporal_conversion(source, target)


def cast_kernel(source: SqlType, target: SqlType, *, safe: bool = False) -> Kernel:
    """The kernel of `CAST(source AS target)`; a safe one gives NULL where the plain one raises
    EvaluationError."""
    return kernel_of(find_conversion(source, target), safe=safe)


def cast_is_fallible(cast: Cast) -> bool:
    """Whether some value makes the cast fail at run time."""
    return not cast.safe and find_conversion(cast.argument.type, cast.type).explain is not None


# ---- ARRAY, MAP, ROW ---------------------------------------------------------------------------------------------


def _nested_conversion(source: SqlType, target: SqlType) -> Conversion:
    if source.kind is Kind.STRUCT:
        return _struct_conversion(source, target)
    if source.kind is Kind.ARRAY:
        assert source.component is not None
        assert target.component is not None
        return _array_conversion(find_conversion(source.component, target.component), arrow_type(target))
    assert source.key is not None
    assert source.value is not None
    assert target.key is not None
    assert target.value is not None
    keys, items = find_conversion(source.key, target.key), find_conversion(source.value, target.value)
    return _map_conversion(keys, items, arrow_type(target))


def _explain_members(
    members: list[Conversion], members_of: Callable[[Any], list[pa.Array]]
) -> Callable[[Any], str] | None:
    """The message of the first part of a value that does not convert; `members_of(value)`: its parts, one array a
    conversion."""
    if all(member.explain is None for member in members):
        return None

    def explain(value: pa.Scalar) -> str:
        for member, part in zip(members, members_of(value), strict=True):
            _, failed = member.convert(part)
            if failed is not None and failed.any():
                assert member.explain is not None
                return member.explain(part[int(np.argmax(failed))])
        raise AssertionError("no part fails")

    return explain


def _owners(failed: Bools, offsets: Any, length: int) -> Bools:
    """Which lists own a failed element."""
    rows = np.zeros(length, np.bool_)
    rows[np.searchsorted(offsets, np.flatnonzero(failed), side="right") - 1] = True
    return rows


def _list_parts(array: pa.Array) -> tuple[Any, int, int]:
    """Offsets relative to the first element, and the slice of elements that the lists cover."""
    offsets = np.asarray(array.offsets)
    start, stop = int(offsets[0]), int(offsets[-1])
    return offsets - start, start, stop


def _rebuilt_validity(array: pa.Array) -> pa.Buffer | None:
    if array.null_count == 0:
        return None
    return validity_buffer(np.asarray(array.is_valid().to_numpy(zero_copy_only=False)))


def _array_conversion(element: Conversion, data_type: pa.DataType) -> Conversion:
    def convert(array: pa.Array) -> Converted:
        if len(array) == 0:
            return pa.nulls(0, data_type), None
        offsets, start, stop = _list_parts(array)
        inner, failed = element.convert(array.values.slice(start, stop - start))
        buffers = [_rebuilt_validity(array), pa.py_buffer(np.ascontiguousarray(offsets, np.int64))]
        converted = pa.Array.from_buffers(data_type, len(array), buffers, children=[inner])
        return converted, None if failed is None else _owners(failed, offsets, len(array))

    return Conversion(convert, _explain_members([element], lambda value: [value.values]))


def _map_conversion(keys: Conversion, items: Conversion, data_type: pa.DataType) -> Conversion:
    def convert(array: pa.Array) -> Converted:
        if len(array) == 0:
            return pa.nulls(0, data_type), None
        offsets, start, stop = _list_parts(array)
        new_keys, failed_keys = keys.convert(array.keys.slice(start, stop - start))
        new_items, failed_items = items.convert(array.items.slice(start, stop - start))
        entries = pa.StructArray.from_arrays([new_keys, new_items], fields=[data_type.key_field, data_type.item_field])
        buffers = [_rebuilt_validity(array), pa.py_buffer(np.ascontiguousarray(offsets, np.int32))]
        converted = pa.Array.from_buffers(data_type, len(array), buffers, children=[entries])
        failures = [f for f in (failed_keys, failed_items) if f is not None]
        if not failures:
            return converted, None
        return converted, _owners(np.logical_or.reduce(failures), offsets, len(array))

    return Conversion(convert, _explain_members([keys, items], lambda value: list(value.values.flatten())))


def _struct_conversion(source: SqlType, target: SqlType) -> Conversion:
    members = [find_conversion(f.type, g.type) for f, g in zip(source.fields, target.fields, strict=True)]
    data_type = arrow_type(target)

    def convert(array: pa.Array) -> Converted:
        parts = [member.convert(part) for member, part in zip(members, array.flatten(), strict=True)]
        mask = array.is_null() if array.null_count else None
        fields = [data_type.field(i) for i in range(data_type.num_fields)]
        converted = pa.StructArray.from_arrays([part for part, _ in parts], fields=fields, mask=mask)
        failures = [failed for _, failed in parts if failed is not None]
        return converted, np.logical_or.reduce(failures) if failures else None

    return Conversion(convert, _explain_members(members, _fields_of))


def _fields_of(value: pa.Scalar) -> list[pa.Array]:
    return [pa.array([value[i]], value[i].type) for i in range(value.type.num_fields)]
