"""VARIANT values as text: compact JSON in which a control character before a value names its run-time type.

A VARIANT remembers the SQL type that it was made from (sql.md §11), JSON does not. Values whose type is the one that
JSON text would be read as are plain JSON: `null` (the VARIANT null), `true`, `-1` (BIGINT), `1` (BIGINT UNSIGNED),
`1.5` (DECIMAL, also integers beyond 64 bits), `"a"` (VARCHAR), arrays, and objects for maps with text keys. Any other
value has one character below U+0020 in front of it: a *tag*. JSON text has no such characters, not even inside of
strings, so `plain_text` makes JSON of a VARIANT by leaving them out, and ingested JSON needs no change at all. Object
keys are sorted and numbers have one spelling; so two VARIANTs are equal if and only if their texts are.

Decoded, a value is None, bool, int, Decimal, str, list or dict for what has no tag, else a `Tagged`.

NaN shows as `null`, and so do infinities, which have a second control character before it.

Imports nothing of the package but the other modules of this one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from millstream.types.sql_type import LONG_INTERVALS, SHORT_INTERVALS, Kind, SqlType

SQL_NULL = "\x01"
MAP_TAG = "\x1a"
INFINITY, MINUS_INFINITY = "\x1bnull", "\x1dnull"
TAGS: dict[Kind, str] = {
    Kind.NULL: SQL_NULL, Kind.TINYINT: "\x02", Kind.SMALLINT: "\x03", Kind.INTEGER: "\x04", Kind.BIGINT: "\x05",
    Kind.UTINYINT: "\x06", Kind.USMALLINT: "\x07", Kind.UINTEGER: "\x08", Kind.REAL: "\x0e", Kind.DOUBLE: "\x0f",
    Kind.DECIMAL: "\x10", Kind.DATE: "\x11", Kind.TIME: "\x12", Kind.TIMESTAMP: "\x13", Kind.BINARY: "\x14",
    Kind.VARBINARY: "\x14", Kind.GEOMETRY: "\x15", Kind.UUID: "\x16", Kind.TIMESTAMP_TZ: "\x17",
    **dict.fromkeys(SHORT_INTERVALS, "\x18"), **dict.fromkeys(LONG_INTERVALS, "\x19"), Kind.MAP: MAP_TAG,
}  # fmt: skip
"""The tag of each type that has one. BIGINT has one only where the value is not negative, DECIMAL only where it is an
integer of 64 bits, MAP only where its keys are no text."""

TYPE_NAMES: dict[str, str] = {
    SQL_NULL: "NULL", "\x02": "TINYINT", "\x03": "SMALLINT", "\x04": "INTEGER", "\x05": "BIGINT",
    "\x06": "TINYINT UNSIGNED", "\x07": "SMALLINT UNSIGNED", "\x08": "INTEGER UNSIGNED", "\x0e": "REAL",
    "\x0f": "DOUBLE", "\x10": "DECIMAL", "\x11": "DATE", "\x12": "TIME", "\x13": "TIMESTAMP", "\x14": "BINARY",
    "\x15": "GEOPOINT", "\x16": "UUID", "\x17": "TIMESTAMP WITH TIME ZONE", "\x18": "SHORTINTERVAL",
    "\x19": "LONGINTERVAL", MAP_TAG: "MAP",
}  # fmt: skip
"""What TYPEOF answers for tagged values."""

_RANKS = {
    name: rank
    for rank, name in enumerate(
        ["NULL", "VARIANT", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT UNSIGNED",
         "SMALLINT UNSIGNED", "INTEGER UNSIGNED", "BIGINT UNSIGNED", "REAL", "DOUBLE", "DECIMAL", "VARCHAR", "DATE",
         "TIME", "TIMESTAMP", "SHORTINTERVAL", "LONGINTERVAL", "BINARY", "GEOPOINT", "UUID", "ARRAY", "MAP",
         "TIMESTAMP WITH TIME ZONE"]
    )
}  # fmt: skip
"""The order of values of different types (sql.md §4.3)."""

_TEXT = pa.large_string()
_TAG_CLASS = "[\x01-\x1f]"
_TAG = re.compile(_TAG_CLASS)
_TAGGED_SCALAR = re.compile(r'([\x01-\x19])("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,\]}:]+)')
_TAGGED_MAP = re.compile(MAP_TAG + r"\{(\}?)")
#: The key of the objects that stand for tagged values while JSON is read. Half a surrogate pair: no text has it.
_MARK = "\udc01"
#: What orjson would not keep exactly: fractions, exponents, integers near or beyond 64 bits, negative zero. Matches in
#: strings are harmless.
_DELICATE = re.compile(r"[0-9][.eE]|[0-9]{18}|-0")
_WIDE = Context(prec=100_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
#: Beyond so many digits plain notation is not worth its length.
_MAX_PLAIN_EXPONENT = 60
#: Arrays and objects within one another.
MAX_DEPTH = 128


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with the tag of its run-time type: the text that follows the tag, or, of a MAP, a dict whose keys are
    VARIANT texts."""

    tag: str
    value: str | dict[str, Any]


quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode
"""A text as a JSON string."""


# ---- text to values ----------------------------------------------------------------------------------------------


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON value")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"number {text} is out of range") from None


def _unmarked(pairs: list[tuple[str, Any]]) -> Any:
    if pairs and pairs[0][0][:1] == _MARK:
        tag = pairs[0][0][1:]
        return Tagged(tag, dict(pairs[1:]) if tag == MAP_TAG else pairs[0][1])
    return dict(pairs)


_JSON = json.JSONDecoder(parse_float=_number, parse_constant=_refused)
_MARKED = json.JSONDecoder(parse_float=_number, parse_constant=_refused, object_pairs_hook=_unmarked)


def decode(text: str) -> Any:
    """The value of the text of a VARIANT. Raises ValueError for what is no such text."""
    if has_tags(text):
        text = _TAGGED_SCALAR.sub(lambda m: f'{{"{_MARK}\\u{ord(m[1]):04x}":{quoted(m[2])}}}', text)
        text = _TAGGED_MAP.sub(f'{{"{_MARK}\\\\u001a":0' + r"\1", text)
        return _MARKED.decode(re.sub(f'("{_MARK}' + r'\\u001a":0)(?!\})', r"\1,", text))
    if not _DELICATE.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # the exact decoder has the last word
    try:
        return _JSON.decode(text)
    except RecursionError:
        raise ValueError("JSON value is nested too deeply") from None


def has_tags(text: str) -> bool:
    """Whether the text of a VARIANT is not JSON."""
    return _TAG.search(text) is not None


# ---- values to text ----------------------------------------------------------------------------------------------


def encode(value: Any) -> str:
    """The text of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return decimal_variant(number_text(value))
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ",".join([f"{quoted(key)}:{encode(value[key])}" for key in sorted(value)]) + "}"
    assert isinstance(value, Tagged), value
    return value.tag + (value.value if isinstance(value.value, str) else encode(value.value))


def number_text(value: Decimal) -> str:
    """A decimal as JSON: plain notation without trailing zeros, `d.dE+n` only for extreme exponents. Raises ValueError
    for an infinity."""
    if not value.is_finite():
        raise ValueError("number is out of range")
    if not value:
        return "0"
    if abs(value.adjusted()) > _MAX_PLAIN_EXPONENT:
        return str(_WIDE.normalize(value))
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimal_variant(text: str) -> str:
    """The VARIANT text of a DECIMAL spelt `text`: tagged where the spelling would be read as an integer."""
    if "." in text or "E" in text or not -(2**63) <= int(text) < 2**64:
        return text
    return TAGS[Kind.DECIMAL] + text


def parse_json(text: str) -> str | None:
    """The VARIANT text of any JSON text; None if it is none. Cost: a microsecond for small values."""
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(text):
        return None
    if not _DELICATE.search(text):
        try:
            return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    try:
        encoded = encode(_JSON.decode(text))
        encoded.encode()
    except (ValueError, RecursionError):  # half a surrogate pair is a ValueError, too
        return None
    return encoded


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _too_deep(text: str) -> bool:
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token[0] in ("]", "}"):
            depth -= 1
    return False


def key_text(key: str) -> str:
    """The name by which JSON shows the key of a map: `key` is a VARIANT text."""
    shown = plain_json(key)
    return str(_JSON.decode(shown)) if shown.startswith('"') else shown


def plain_json(text: str) -> str:
    """The JSON that a VARIANT text shows."""
    if MAP_TAG not in text:
        return _TAG.sub("", text)
    return _TAG.sub("", encode(_without_maps(decode(text))))


def _without_maps(value: Any) -> Any:
    """A decoded value whose tagged maps are objects."""
    if isinstance(value, Tagged) and isinstance(value.value, dict):
        return {key_text(key): _without_maps(item) for key, item in value.value.items()}
    if isinstance(value, list):
        return [_without_maps(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_maps(item) for key, item in value.items()}
    return value


# ---- columns -----------------------------------------------------------------------------------------------------


def plain_text(column: pa.Array) -> pa.Array:
    """A VARIANT column as JSON texts. Without copying, and one pass over the bytes, if it has no tags."""
    if not _any_tag(column):
        return column
    if pc.any(pc.match_substring(column, MAP_TAG)).as_py():
        return pa.array([None if text is None else plain_json(text) for text in column.to_pylist()], column.type)
    return pc.replace_substring_regex(column, pattern=_TAG_CLASS, replacement="")


def _any_tag(column: pa.Array) -> bool:
    data = column.buffers()[2]
    if len(column) == 0 or data is None:
        return False
    width = np.int64 if pa.types.is_large_string(column.type) else np.int32
    offsets = np.frombuffer(column.buffers()[1], width)[column.offset : column.offset + len(column) + 1]
    return bool((np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] < 0x20).any())


def has_variant(sql_type: SqlType | None) -> bool:
    """Whether values of the type are or contain VARIANTs."""
    if sql_type is None:
        return False
    parts = (sql_type.component, sql_type.key, sql_type.value, *(f.type for f in sql_type.fields))
    return sql_type.kind is Kind.VARIANT or any(has_variant(part) for part in parts)


def untagged(column: pa.Array | pa.ChunkedArray, sql_type: SqlType) -> pa.Array | pa.ChunkedArray:
    """A column of any type whose VARIANTs show JSON: what leaves the engine as Arrow data."""
    if not has_variant(sql_type) or len(column) == 0:
        return column
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([untagged(chunk, sql_type) for chunk in column.chunks], column.type)
    if sql_type.kind is Kind.VARIANT:
        return plain_text(column)
    mask = pc.is_null(column) if column.null_count else None
    if sql_type.kind is Kind.STRUCT:
        members = [untagged(part, f.type) for part, f in zip(column.flatten(), sql_type.fields, strict=True)]
        return pa.StructArray.from_arrays(members, fields=list(column.type), mask=mask)
    if sql_type.kind is Kind.ARRAY:
        assert sql_type.component is not None
        values = untagged(column.values, sql_type.component)
        return pa.LargeListArray.from_arrays(column.offsets, values, type=column.type, mask=mask)
    assert sql_type.key is not None
    assert sql_type.value is not None
    offsets = column.offsets
    if mask is not None:
        nulls = pa.concat_arrays([mask, pa.array([False])])
        offsets = pc.if_else(nulls, pa.scalar(None, offsets.type), offsets)
    return pa.MapArray.from_arrays(offsets, untagged(column.keys, sql_type.key), untagged(column.items, sql_type.value))


# ---- types and order ---------------------------------------------------------------------------------------------


def type_name(value: Any) -> str:
    """What TYPEOF answers for a decoded value."""
    if value is None:
        return "VARIANT"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return "BIGINT" if value < 0 else "BIGINT UNSIGNED"
        return "DECIMAL"
    if isinstance(value, Decimal):
        return "DECIMAL"
    if isinstance(value, str):
        return "VARCHAR"
    if isinstance(value, Tagged):
        return TYPE_NAMES[value.tag]
    return "ARRAY" if isinstance(value, list) else "MAP"


def order_key(value: Any) -> tuple[Any, ...]:
    """A key whose Python order is the order of VARIANTs (sql.md §4.3)."""
    name = type_name(value)
    rank = _RANKS[name]
    if isinstance(value, Tagged):
        if isinstance(value.value, dict):
            entries = [(order_key(decode(key)), order_key(item)) for key, item in value.value.items()]
            return (rank, tuple(sorted(entries)))
        return (rank, *_scalar_order(name, value.value))
    if isinstance(value, list):
        return (rank, tuple(order_key(item) for item in value))
    if isinstance(value, dict):
        text = _RANKS["VARCHAR"]
        return (rank, tuple(((text, key), order_key(value[key])) for key in sorted(value)))
    return (rank,) if value is None else (rank, value)


def _scalar_order(name: str, text: str) -> tuple[Any, ...]:
    if name == "NULL":
        return ()
    if name in ("REAL", "DOUBLE"):
        value = {"null": math.nan, INFINITY: math.inf, MINUS_INFINITY: -math.inf}.get(text)
        value = float(text) if value is None else value
        return (1, 0.0) if math.isnan(value) else (0, value + 0.0)
    if name in ("SHORTINTERVAL", "LONGINTERVAL"):
        return (_interval_length(text.strip('"')),)
    return (text,) if text.startswith('"') else (_JSON.decode(text),)


def _interval_length(text: str) -> int:
    """An order-preserving number for the text of an interval: DAY TO SECOND or YEAR TO MONTH."""
    sign = -1 if text.startswith("-") else 1
    months = re.fullmatch(r"[+-](\d+)-(\d+)", text)
    if months is not None:
        return sign * (int(months[1]) * 12 + int(months[2]))
    parts = re.fullmatch(r"[+-](\d+) (\d+):(\d+):(\d+)(?:\.(\d{6}))?", text)
    assert parts is not None, text
    seconds = ((int(parts[1]) * 24 + int(parts[2])) * 60 + int(parts[3])) * 60 + int(parts[4])
    return sign * (seconds * 1_000_000 + int(parts[5] or 0))
