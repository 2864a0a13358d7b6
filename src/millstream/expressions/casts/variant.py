"""VARIANT: values as canonical JSON text, and casts to and from every other type (sql.md §11).

A VARIANT column holds compact JSON with sorted object keys; the VARIANT null is the text `null`. JSON knows one kind of
number, so the width of an integer is not remembered. A cast from VARIANT never fails: what does not convert is NULL.

Both directions work column by column: nested types split into the columns of their members and recurse, and scalars go
through the casts between text and the scalar type. Only JSON itself is read and written row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, kernel_of, total
from millstream.expressions.decimals import decimal_text
from millstream.expressions.vectors import validity_buffer
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import VARCHAR

ROW_BY_ROW = ("casts to and from VARIANT", "PARSE_JSON", "access to members of a VARIANT")
Find = Callable[[SqlType, SqlType], Conversion]
_TEXT = pa.large_string()
_WIDE = Context(prec=400, Emax=10**6, Emin=-(10**6))


def _refused(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refused)
quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


def decode(text: str) -> Any:
    """The value of JSON text; numbers with a fraction or exponent are Decimal. Raises ValueError."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON value is nested too deeply") from None


def encode(value: Any) -> str:
    """Compact JSON with sorted object keys."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Decimal):
        return decimal_text(value) if abs(value.adjusted()) < 60 else str(_WIDE.normalize(value))
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ",".join([f"{quoted(key)}:{encode(value[key])}" for key in sorted(value)]) + "}"
    return str(value)


def canonical(text: str) -> str | None:
    """The canonical form of JSON text; None if it is none."""
    try:
        return encode(decode(text))
    except ValueError:
        return None


# ---- to VARIANT --------------------------------------------------------------------------------------------------


def to_variant(source: SqlType, find: Find) -> Conversion:
    """CAST(x AS VARIANT); a NULL becomes the text `null`."""
    return total(lambda array: pa.array(_texts(array, source, find), _TEXT))


def _texts(array: pa.Array, source: SqlType, find: Find) -> list[str]:
    """The JSON texts of a column."""
    if len(array) == 0:
        return []
    kind = source.kind
    if kind is Kind.NULL:
        return ["null"] * len(array)
    if source.is_nested:
        return _nested_texts(array, source, find)
    if source.is_binary:
        return ["null" if v is None else encode(list(v)) for v in array.to_pylist()]
    if kind is Kind.BOOLEAN or kind is Kind.VARIANT or source.is_string:
        shown = encode if kind is not Kind.VARIANT else str
        return ["null" if v is None else shown(v) for v in array.to_pylist()]
    if source.is_float:
        array = pc.if_else(pc.is_finite(array), array, pa.scalar(None, array.type))
    text = find(source, VARCHAR).convert(array)[0].to_pylist()
    return ["null" if t is None else t if source.is_numeric else quoted(t) for t in text]


def _nested_texts(array: pa.Array, source: SqlType, find: Find) -> list[str]:
    valid = array.is_valid().to_pylist()
    if source.kind is Kind.STRUCT:
        members = [_texts(part, f.type, find) for part, f in zip(array.flatten(), source.fields, strict=True)]
        names = [f.name for f in source.fields]
        order = sorted(range(len(names)), key=names.__getitem__)
        return [
            "{" + ",".join([f"{quoted(names[i])}:{members[i][row]}" for i in order]) + "}" if present else "null"
            for row, present in enumerate(valid)
        ]
    offsets = np.asarray(array.offsets).tolist()
    start, stop = offsets[0], offsets[-1]
    if source.kind is Kind.ARRAY:
        assert source.component is not None
        items = _texts(array.values.slice(start, stop - start), source.component, find)
        opening, closing = "[", "]"
    else:
        assert source.key is not None
        assert source.value is not None
        keys = array.keys.slice(start, stop - start)
        names = (keys if source.key.is_string else find(source.key, VARCHAR).convert(keys)[0]).to_pylist()
        values = _texts(array.items.slice(start, stop - start), source.value, find)
        items = [f"{quoted(name)}:{value}" for name, value in zip(names, values, strict=True)]
        opening, closing = "{", "}"
    return [
        opening + ",".join(items[offsets[row] - start : offsets[row + 1] - start]) + closing if present else "null"
        for row, present in enumerate(valid)
    ]


# ---- from VARIANT ------------------------------------------------------------------------------------------------


def from_variant(target: SqlType, find: Find) -> Conversion:
    """CAST(v AS target); NULL where the value does not convert."""
    return total(lambda array: _from_values([_value(text) for text in array.to_pylist()], target, find))


def _value(text: str | None) -> Any:
    return None if text is None else decode(text)


def _from_values(values: list[Any], target: SqlType, find: Find) -> pa.Array:
    if target.kind is Kind.VARIANT:
        return pa.array([encode(v) for v in values], _TEXT)
    if target.kind is Kind.ARRAY:
        return _arrays(values, target, find)
    if target.kind is Kind.MAP:
        return _maps(values, target, find)
    if target.kind is Kind.STRUCT:
        return _structs(values, target, find)
    texts = pa.array([_scalar_text(v, target) for v in values], _TEXT)
    if target.is_string and (target.precision or -1) < 0:
        return texts
    nullable = target.with_nullable(True)
    return kernel_of(find(VARCHAR, nullable), safe=True)(texts)


def _scalar_text(value: Any, target: SqlType) -> str | None:
    """The text from which a scalar of the target type is read; None for what is no such scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("TRUE" if value else "FALSE") if target.is_string or target.kind is Kind.BOOLEAN else None
    if isinstance(value, int | Decimal):
        if target.is_integer:
            return str(int(value))
        return encode(value) if target.is_string or target.is_numeric else None
    return None


def _lists(rows: Sequence[list[Any] | None], children: list[pa.Array], data_type: pa.DataType) -> pa.Array:
    lengths = [0 if row is None else len(row) for row in rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    wide = np.int64 if pa.types.is_large_list(data_type) else np.int32
    present = np.array([row is not None for row in rows], np.bool_)
    buffers = [None if present.all() else validity_buffer(present), pa.py_buffer(offsets.astype(wide))]
    return pa.Array.from_buffers(data_type, len(rows), buffers, children=children)


def _arrays(values: list[Any], target: SqlType, find: Find) -> pa.Array:
    assert target.component is not None
    rows = [v if isinstance(v, list) else None for v in values]
    items = [item for row in rows if row is not None for item in row]
    return _lists(rows, [_from_values(items, target.component, find)], arrow_type(target))


def _maps(values: list[Any], target: SqlType, find: Find) -> pa.Array:
    assert target.key is not None
    assert target.value is not None
    rows = [sorted(v.items()) if isinstance(v, dict) else None for v in values]
    entries = [entry for row in rows if row is not None for entry in row]
    keys = _from_values([k for k, _ in entries], target.key, find)
    if keys.null_count:  # a key that does not convert makes the map of that row NULL
        ends = np.cumsum([len(row or ()) for row in rows])
        bad = set(np.searchsorted(ends, np.flatnonzero(keys.is_null()), side="right").tolist())
        rows = [None if number in bad else row for number, row in enumerate(rows)]
        return _maps([None if row is None else dict(row) for row in rows], target, find)
    data_type = arrow_type(target)
    items = _from_values([v for _, v in entries], target.value, find)
    pairs = pa.StructArray.from_arrays([keys, items], fields=[data_type.key_field, data_type.item_field])
    return _lists(rows, [pairs], data_type)


def _structs(values: list[Any], target: SqlType, find: Find) -> pa.Array:
    data_type = arrow_type(target)
    parts = [
        _from_values([v.get(f.name) if isinstance(v, dict) else None for v in values], f.type, find)
        for f in target.fields
    ]
    fields = [data_type.field(i) for i in range(data_type.num_fields)]
    absent = pa.array([not isinstance(v, dict) for v in values], pa.bool_())
    return pa.StructArray.from_arrays(parts, fields=fields, mask=absent)


def member(value: Any, index: Any) -> str | None:
    """v[i] and v['k']: the JSON text of the member; None where there is none."""
    if isinstance(value, list) and isinstance(index, int):
        return encode(value[index - 1]) if 1 <= index <= len(value) else None
    if isinstance(value, dict) and isinstance(index, str):
        return encode(value[index]) if index in value else None
    return None
