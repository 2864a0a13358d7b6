"""CAST to and from VARIANT (sql.md §11). How a VARIANT is held as text is said in types/variant.py.

A cast from VARIANT never fails: what does not convert is NULL. Both directions work column by column: nested types
split into the columns of their members and recurse, and scalars go through the casts between text and the scalar type.
Scalars become VARIANTs without loops, VARIANTs are decoded row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, kernel_of, total
from millstream.expressions.casts.intervals import parse_interval
from millstream.expressions.ranks import ranks
from millstream.expressions.vectors import relabel, scatter, validity_buffer
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import FLOATS, INTEGERS, LONG_INTERVALS, STRINGS, VARCHAR
from millstream.types.variant import (
    INFINITY,
    MAP_TAG,
    MINUS_INFINITY,
    SQL_NULL,
    TAGS,
    Tagged,
    decimal_variant,
    decode,
    encode,
    number_text,
    quoted,
)

ROW_BY_ROW = (
    "casts from VARIANT of collections, tagged values and text with escapes",
    "casts of collections, binaries and text with special characters to VARIANT",
)
Find = Callable[[SqlType, SqlType], Conversion]
_TEXT = pa.large_string()
_EMPTY = pa.scalar("", _TEXT)
_NULL_TEXT = SQL_NULL + "null"
_ESCAPED = '["\\\\\\x00-\\x1f\\x7f]'
_WIDE = Context(prec=100)
WIDEST_SHORT, WIDEST_LONG = SqlType(Kind.INTERVAL_DAY_SECOND), SqlType(Kind.INTERVAL_YEAR_MONTH)
_KIND_OF_TAG = {tag: kind for kind, tag in TAGS.items()}


# ---- to VARIANT --------------------------------------------------------------------------------------------------


def to_variant(source: SqlType, find: Find) -> Conversion:
    """CAST(x AS VARIANT); a NULL becomes the VARIANT that holds SQL's NULL."""
    return total(lambda array: _texts(array, source, find))


def _texts(array: pa.Array, source: SqlType, find: Find) -> pa.Array:
    """The VARIANT texts of a column."""
    if source.kind is Kind.NULL or len(array) == 0:
        return pa.array([_NULL_TEXT] * len(array), _TEXT)
    if source.is_nested:
        return pa.array(_nested_texts(array, source, find), _TEXT)
    return pc.fill_null(_scalar_texts(array, source, find), _NULL_TEXT)


def _scalar_texts(array: pa.Array, source: SqlType, find: Find) -> pa.Array:
    kind = source.kind
    if kind is Kind.VARIANT:
        return array
    if kind is Kind.BOOLEAN:
        return array.cast(_TEXT)
    if source.is_string:
        return json_strings(array)
    if source.is_binary or kind is Kind.GEOMETRY:
        members = [None if v is None else list(v.values() if isinstance(v, dict) else v) for v in array.to_pylist()]
        texts = [None if m is None else TAGS[kind] + json.dumps(m, separators=(",", ":")) for m in members]
        return pa.array(texts, _TEXT)
    if source.is_float:
        return _float_texts(array, source, find)
    if kind is Kind.DECIMAL:
        return _decimal_texts(array, source, find)
    if source.is_interval:  # all qualifiers of a family are one run-time type
        widest = WIDEST_LONG if kind in LONG_INTERVALS else WIDEST_SHORT
        text = find(widest, VARCHAR).convert(array)[0]
    else:
        text = find(source, VARCHAR).convert(array)[0]
    if kind is Kind.UBIGINT:
        return text
    if kind is Kind.BIGINT:
        return pc.if_else(pc.less(array, 0), text, _joined(TAGS[kind], text))
    return _joined(TAGS[kind], text) if source.is_integer else _joined(TAGS[kind] + '"', text, '"')


def _joined(before: str, text: pa.Array, after: str = "") -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(before, _TEXT), text, pa.scalar(after, _TEXT), _EMPTY)


def json_strings(array: pa.Array) -> pa.Array:
    """Texts as JSON strings."""
    plain = _joined('"', array, '"')
    special = pc.fill_null(pc.match_substring_regex(array, _ESCAPED), False)
    if not pc.any(special).as_py():
        return plain
    escaped = pa.array([quoted(text) for text in array.filter(special).to_pylist()], _TEXT)
    return pc.replace_with_mask(plain, special, escaped)


def _float_texts(array: pa.Array, source: SqlType, find: Find) -> pa.Array:
    tag = TAGS[source.kind]
    array = pc.add(array, pa.scalar(0.0, array.type))  # -0.0 and 0.0 are one value
    text = _joined(tag, find(source, VARCHAR).convert(array)[0])
    if pc.all(pc.is_finite(array)).as_py():
        return text
    text = pc.if_else(pc.is_nan(array), pa.scalar(tag + "null", _TEXT), text)
    for value, shown in ((np.inf, INFINITY), (-np.inf, MINUS_INFINITY)):
        text = pc.if_else(pc.equal(array, pa.scalar(value, array.type)), pa.scalar(tag + shown, _TEXT), text)
    return text


def _decimal_texts(array: pa.Array, source: SqlType, find: Find) -> pa.Array:
    text = find(source, VARCHAR).convert(array)[0]
    whole = pc.invert(pc.match_substring(text, "."))
    if (source.precision or 38) - (source.scale or 0) <= 18:
        return pc.if_else(whole, _joined(TAGS[Kind.DECIMAL], text), text)
    return pa.array([None if t is None else decimal_variant(t) for t in text.to_pylist()], _TEXT)


def _nested_texts(array: pa.Array, source: SqlType, find: Find) -> list[str]:
    valid = array.is_valid().to_pylist()
    if source.kind is Kind.STRUCT:
        parts = zip(array.flatten(), source.fields, strict=True)
        members = [_texts(part, f.type, find).to_pylist() for part, f in parts]
        names = [f.name for f in source.fields]
        order = sorted(range(len(names)), key=names.__getitem__)
        return [
            "{" + ",".join([f"{quoted(names[i])}:{members[i][row]}" for i in order]) + "}" if present else _NULL_TEXT
            for row, present in enumerate(valid)
        ]
    offsets = np.asarray(array.offsets).tolist()
    start, stop = offsets[0], offsets[-1]
    if source.kind is Kind.ARRAY:
        assert source.component is not None
        items = _texts(array.values.slice(start, stop - start), source.component, find).to_pylist()
        opening, closing = "[", "]"
    else:
        assert source.key is not None
        assert source.value is not None
        keys = array.keys.slice(start, stop - start)
        opening, closing = ("" if source.key.is_string else MAP_TAG) + "{", "}"
        names = (keys if source.key.is_string else _texts(keys, source.key, find)).to_pylist()
        values = _texts(array.items.slice(start, stop - start), source.value, find).to_pylist()
        items = [f"{quoted(name)}:{value}" for name, value in zip(names, values, strict=True)]
        if not source.key.is_string:  # by the order of the texts of keys, as `encode` does
            rank = np.lexsort((np.argsort(np.argsort(names)), np.repeat(np.arange(len(valid)), np.diff(offsets))))
            items = [items[i] for i in rank.tolist()]
    return [
        opening + ",".join(items[offsets[row] - start : offsets[row + 1] - start]) + closing if present else _NULL_TEXT
        for row, present in enumerate(valid)
    ]


# ---- from VARIANT ------------------------------------------------------------------------------------------------


def from_variant(target: SqlType, find: Find) -> Conversion:
    """CAST(v AS target); NULL where the value does not convert."""

    def decoded(array: pa.Array) -> pa.Array:
        return from_values([_value(text) for text in array.to_pylist()], target, find)

    pattern = _PLAIN.get(target.kind)
    if pattern is None:
        return total(decoded)
    convert = kernel_of(find(VARCHAR, target.with_nullable(True)), safe=True)

    def plain_first(array: pa.Array) -> pa.Array:
        """Values of the usual spelling are converted as a column, others one by one."""
        plain = pc.fill_null(pc.match_substring_regex(array, pattern), False)
        texts = pc.if_else(plain, array, pa.scalar(None, array.type))
        if pattern == _PLAIN_STRING:
            texts = pc.utf8_slice_codeunits(texts, 1, -1)
        found = texts if target.is_string and (target.precision or -1) < 0 else convert(texts)
        rest = pc.and_(array.is_valid(), pc.invert(plain))
        if not pc.any(rest, min_count=0).as_py():
            return found
        rows = np.flatnonzero(np.asarray(rest))
        pieces = [
            (np.flatnonzero(~np.asarray(rest)), found.filter(pc.invert(rest))),
            (rows, decoded(array.filter(rest))),
        ]
        return scatter(pieces, len(array), found.type)

    return total(plain_first)


_PLAIN_STRING = r'^"[^"\\]*"$'
_PLAIN: dict[Kind, str] = {
    **dict.fromkeys(STRINGS, _PLAIN_STRING),
    **dict.fromkeys((Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ, Kind.UUID), _PLAIN_STRING),
    **dict.fromkeys(INTEGERS, "^-?[0-9]{1,18}$"),
    **dict.fromkeys((*FLOATS, Kind.DECIMAL), "^-?[0-9]{1,18}$"),
    Kind.DOUBLE: r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    Kind.BOOLEAN: "^(true|false)$",
}
"""The texts that a cast to the text's type reads as the value: the usual spelling for each target."""


def _value(text: str | None) -> Any:
    return None if text is None else decode(text)


def from_values(values: Sequence[Any], target: SqlType, find: Find) -> pa.Array:
    """A column of decoded VARIANTs, cast."""
    kind = target.kind
    if kind is Kind.VARIANT:
        return pa.array([encode(v) for v in values], _TEXT)
    if kind is Kind.ARRAY:
        return _arrays(values, target, find)
    if kind is Kind.MAP:
        return _maps(values, target, find)
    if kind is Kind.STRUCT:
        return _structs(values, target, find)
    if target.is_interval:
        return _intervals(values, target)
    if kind is Kind.GEOMETRY:
        points = [json.loads(str(v.value)) if _has_tag(v, kind) else None for v in values]
        return pa.array([None if p is None else {"x": p[0], "y": p[1]} for p in points], arrow_type(target))
    nullable = target.with_nullable(True)
    if target.is_binary:
        column = pa.array([_bytes(v) for v in values], pa.large_binary())
        return kernel_of(find(SqlType(Kind.VARBINARY, precision=-1), nullable), safe=True)(column)
    texts = pa.array([_scalar_text(v, target) for v in values], _TEXT)
    if target.is_string and (target.precision or -1) < 0:
        return texts
    return kernel_of(find(VARCHAR, nullable), safe=True)(texts)


def _has_tag(value: Any, kind: Kind) -> bool:
    return isinstance(value, Tagged) and value.tag == TAGS[kind]


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    return bytes(json.loads(str(value.value))) if _has_tag(value, Kind.BINARY) else None


def _intervals(values: Sequence[Any], target: SqlType) -> pa.Array:
    widest = WIDEST_LONG if target.kind in LONG_INTERVALS else WIDEST_SHORT
    amounts = []
    for value in values:
        text = value if isinstance(value, str) else None
        kind = target.kind
        if _has_tag(value, target.kind):
            text, kind = str(value.value).strip('"'), widest.kind
        amounts.append(None if text is None else parse_interval(text, kind))
    return relabel(pa.array(amounts, pa.int32() if target.kind in LONG_INTERVALS else pa.int64()), arrow_type(target))


_TIMES = frozenset((Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))


def _scalar_text(value: Any, target: SqlType) -> str | None:
    """The text from which a scalar of the target type is read; None for what is no such scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("TRUE" if value else "FALSE") if target.is_string or target.kind is Kind.BOOLEAN else None
    if isinstance(value, int | Decimal):
        return _number_text(value, target)
    if isinstance(value, Tagged) and isinstance(value.value, str):
        return _tagged_text(value.tag, value.value, target)
    return None


def _number_text(value: int | Decimal, target: SqlType) -> str | None:
    if target.is_integer:
        return str(int(value))
    if target.kind is Kind.DECIMAL and isinstance(value, Decimal) and abs(value.adjusted()) < 60:
        return str(value.quantize(Decimal(1).scaleb(-(target.scale or 0)), ROUND_DOWN, _WIDE))
    return number_text(Decimal(value)) if target.is_string or target.is_numeric else None


def _tagged_text(tag: str, text: str, target: SqlType) -> str | None:
    kind = _KIND_OF_TAG[tag]
    if kind in FLOATS and text.endswith("null"):
        name = {INFINITY: "inf", MINUS_INFINITY: "-inf"}.get(text, "NaN")
        return name if target.is_string or target.is_float else None
    if kind in INTEGERS or kind is Kind.DECIMAL or kind in FLOATS:
        if kind in FLOATS and target.is_string:
            return text
        return _number_text(Decimal(text), target)
    if kind is Kind.NULL or kind is Kind.GEOMETRY:
        return None
    if kind is Kind.BINARY or kind is Kind.VARBINARY:
        return bytes(json.loads(text)).hex() if target.is_string else None
    if target.is_string:
        return text.strip('"')
    if kind in _TIMES and target.kind is Kind.DATE:
        return text[1:11]
    if target.kind is kind or (kind is Kind.DATE and target.kind is Kind.TIMESTAMP):
        return text.strip('"')
    return None


def _lists(rows: Sequence[Any], children: list[pa.Array], data_type: pa.DataType) -> pa.Array:
    lengths = [0 if row is None else len(row) for row in rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    wide = np.int64 if pa.types.is_large_list(data_type) else np.int32
    present = np.array([row is not None for row in rows], np.bool_)
    buffers = [None if present.all() else validity_buffer(present), pa.py_buffer(offsets.astype(wide))]
    return pa.Array.from_buffers(data_type, len(rows), buffers, children=children)


def _arrays(values: Sequence[Any], target: SqlType, find: Find) -> pa.Array:
    assert target.component is not None
    rows = [v if isinstance(v, list) else None for v in values]
    items = [item for row in rows if row is not None for item in row]
    return _lists(rows, [from_values(items, target.component, find)], arrow_type(target))


def entries_of(value: Any) -> list[tuple[Any, Any]] | None:
    """The (key, value) pairs of a decoded map; None of anything else."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, Tagged) and isinstance(value.value, dict):
        return [(decode(key), item) for key, item in value.value.items()]
    return None


def _maps(values: Sequence[Any], target: SqlType, find: Find) -> pa.Array:
    assert target.key is not None
    assert target.value is not None
    rows = [entries_of(v) for v in values]
    entries = [entry for row in rows if row is not None for entry in row]
    keys = from_values([k for k, _ in entries], target.key, find)
    items = from_values([v for _, v in entries], target.value, find)
    lengths = [len(row or ()) for row in rows]
    if keys.null_count:  # a key that does not convert makes the map of that row NULL
        owners = np.repeat(np.arange(len(rows)), lengths)
        bad = set(owners[np.asarray(keys.is_null())].tolist())
        rows = [None if number in bad else row for number, row in enumerate(rows)]
        kept = pa.array(np.flatnonzero(~np.isin(owners, list(bad))))
        keys, items = keys.take(kept), items.take(kept)
        lengths = [len(row or ()) for row in rows]
    owners = np.repeat(np.arange(len(rows)), lengths)
    order = pa.array(np.lexsort((ranks(keys, target.key), owners)))
    data_type = arrow_type(target)
    fields = [data_type.key_field, data_type.item_field]
    return _lists(rows, [pa.StructArray.from_arrays([keys.take(order), items.take(order)], fields=fields)], data_type)


def _structs(values: Sequence[Any], target: SqlType, find: Find) -> pa.Array:
    data_type = arrow_type(target)
    parts = [
        from_values([v.get(f.name) if isinstance(v, dict) else None for v in values], f.type, find)
        for f in target.fields
    ]
    fields = [data_type.field(i) for i in range(data_type.num_fields)]
    absent = pa.array([not isinstance(v, dict) for v in values], pa.bool_())
    return pa.StructArray.from_arrays(parts, fields=fields, mask=absent)


def member(text: str, index: Any) -> str | None:
    """v[i] and v['k'], i and k VARIANT texts: the text of the member; None where there is none, or SQL's NULL."""
    value = decode(text)
    found = None
    if isinstance(value, list):
        wanted = integer_of(decode(index))
        if wanted is not None and 1 <= wanted <= len(value):
            found = encode(value[wanted - 1])
    elif isinstance(value, dict):
        key = decode(index)
        if isinstance(key, str) and key in value:
            found = encode(value[key])
    elif isinstance(value, Tagged) and isinstance(value.value, dict) and index in value.value:
        found = encode(value.value[index])
    return None if found == _NULL_TEXT else found


def integer_of(value: Any) -> int | None:
    """The value of a decoded VARIANT of an integer type."""
    if isinstance(value, Tagged) and _KIND_OF_TAG[value.tag] in INTEGERS:
        return int(str(value.value))
    return value if isinstance(value, int) and not isinstance(value, bool) else None
