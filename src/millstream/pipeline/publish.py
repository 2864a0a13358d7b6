"""The Arrow representation that users see (sql.md §14.1), made from the one used inside.

Text is utf8 instead of large_string, UUIDs are their canonical text; everything else passes through unchanged.
"""

from __future__ import annotations

import uuid

import pyarrow as pa
import pyarrow.compute as pc

UUID_TYPE = pa.binary(16)


def publish_type(data_type: pa.DataType) -> pa.DataType:
    """The published counterpart of an internal Arrow type."""
    if data_type.equals(pa.large_string()) or data_type.equals(UUID_TYPE):
        return pa.string()
    if pa.types.is_large_list(data_type):
        return pa.large_list(pa.field("item", publish_type(data_type.value_type)))
    if pa.types.is_map(data_type):
        return pa.map_(publish_type(data_type.key_type), publish_type(data_type.item_type))
    if pa.types.is_struct(data_type):
        return pa.struct([pa.field(f.name, publish_type(f.type)) for f in data_type])
    return data_type


def publish_array(array: pa.Array) -> pa.Array:
    """`array` in its published type; O(rows) only for text, UUIDs and what contains them."""
    target = publish_type(array.type)
    if target.equals(array.type):
        return array
    if array.type.equals(UUID_TYPE):
        return _uuid_text(array)
    if pa.types.is_large_list(array.type):
        values = publish_array(array.values)
        return pa.LargeListArray.from_arrays(array.offsets, values, type=target, mask=_mask(array))
    if pa.types.is_map(array.type):
        keys, items = publish_array(array.keys), publish_array(array.items)
        return pa.MapArray.from_arrays(_masked_offsets(array), keys, items)
    if pa.types.is_struct(array.type):
        members = [publish_array(m) for m in array.flatten()]
        return pa.StructArray.from_arrays(members, fields=list(target), mask=_mask(array))
    return array.cast(target)


def publish_table(table: pa.Table) -> pa.Table:
    """Every column in its published type."""
    arrays = [
        pa.chunked_array([publish_array(chunk) for chunk in column.chunks], publish_type(column.type))
        for column in table.columns
    ]
    fields = [pa.field(f.name, publish_type(f.type)) for f in table.schema]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _mask(array: pa.Array) -> pa.Array | None:
    return pc.is_null(array) if array.null_count else None


def _masked_offsets(array: pa.MapArray) -> pa.Array:
    """The offsets of a map array, null where the map is null: how Arrow wants to be told."""
    if not array.null_count:
        return array.offsets
    nulls = pa.concat_arrays([pc.is_null(array), pa.array([False])])
    return pc.if_else(nulls, pa.scalar(None, array.offsets.type), array.offsets)


def _uuid_text(array: pa.Array) -> pa.Array:
    return pa.array([None if b is None else str(uuid.UUID(bytes=b)) for b in array.to_pylist()], pa.string())
