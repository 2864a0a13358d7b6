"""VARIANT and JSON functions (sql.md §11); those that take lambdas are in lambdas.py.

A VARIANT is text (types/variant.py). Most of these decode it, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts import find_conversion
from millstream.expressions.casts.variant import from_values
from millstream.expressions.coercion import build_cast, coerce, is_null_literal
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import (
    TEXT,
    Function,
    Options,
    Parameter,
    check_count,
    function,
    simple,
    table,
)
from millstream.expressions.json_texts import variants_of
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.rows import per_row
from millstream.expressions.vectors import Kernel, on_arrays, scatter
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, BOOLEAN, DATE, TIME, TIMESTAMP, VARCHAR, VARIANT, array, map_of
from millstream.types.variant import TAGS, Tagged, decode, encode, plain_text, type_name

ROW_BY_ROW = (
    "functions of VARIANT but TYPEOF, VARIANTNULL, TO_JSON of values without tags, and PARSE_JSON of texts without "
    "escapes, exponents, long numbers or repeated keys; the order of VARIANTs takes each distinct value once",
)
_TEXT = pa.large_string()
_VARIANT = Parameter("VARIANT", lambda a: coerce(a, VARIANT) if a.type.kind in (Kind.VARIANT, Kind.NULL) else None)


# ---- TYPEOF ------------------------------------------------------------------------------------------------------

_PLAIN_TYPES = {"t": "BOOLEAN", "f": "BOOLEAN", "n": "VARIANT", '"': "VARCHAR", "[": "ARRAY", "{": "MAP"}


def _typeof(column: pa.Array) -> pa.Array:
    """By the first character, which tells all types but those of numbers without a tag."""
    first = pc.utf8_slice_codeunits(column, 0, 1).dictionary_encode()
    names, numbers = [], []
    for character in first.dictionary.to_pylist():
        tagged = character < " "
        known = _PLAIN_TYPES.get(character)
        names.append(type_name(Tagged(character, "")) if tagged else known or "")
        numbers.append(not tagged and known is None)
    found = pa.DictionaryArray.from_arrays(first.indices, pa.array(names, _TEXT)).cast(_TEXT)
    if not any(numbers):
        return found
    rows = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(found, ""), False)))
    texts = column.take(pa.array(rows))
    simple_integer = pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$")
    signed = pc.if_else(pc.starts_with(texts, "-"), "BIGINT", "BIGINT UNSIGNED")
    other = pc.fill_null(pc.invert(simple_integer), False)
    exact = pa.array([type_name(decode(text)) for text in texts.filter(other).to_pylist()], pa.string())
    resolved = pc.replace_with_mask(signed, other, exact).cast(_TEXT)
    rest = np.setdiff1d(np.arange(len(column)), rows)
    return scatter([(rest, found.take(pa.array(rest))), (rows, resolved)], len(column), _TEXT)


# ---- JSON text ---------------------------------------------------------------------------------------------------


def _resolve_to_json(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("TO_JSON", len(arguments), 1, 1)
    return Call(VARCHAR, "TO_JSON", (build_cast(arguments[0], VARIANT),))


def _to_json(column: pa.Array) -> pa.Array:
    """JSON; NULL for values that contain maps whose keys are no text."""
    odd = pc.match_substring(column, TAGS[Kind.MAP])
    return plain_text(pc.if_else(odd, pa.scalar(None, _TEXT), column))


def _resolve_null(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("VARIANTNULL", len(arguments), 0, 0)
    return Literal(VARIANT.with_nullable(False), "null")


# ---- objects -----------------------------------------------------------------------------------------------------


def _top_level(value: Any, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """The fields of an object whose values are wanted; none of anything else."""
    return {key: value[key] for key in sorted(value) if wanted(value[key])} if isinstance(value, dict) else {}


def _is_integral(value: Any) -> bool:
    name = type_name(value)
    if name in ("DECIMAL", "REAL", "DOUBLE"):
        text = value.value if isinstance(value, Tagged) else encode(value)
        return re.fullmatch(r"-?\d+(\.0+)?", str(text)) is not None
    return "INT" in name and "INTERVAL" not in name


def _is_a(*names: str) -> Callable[[Any], bool]:
    return lambda value: type_name(value) in names


_EACH: dict[str, tuple[SqlType, Callable[[Any], bool]]] = {
    "JSON_EACH_BIGINT": (BIGINT, _is_integral),
    "JSON_EACH_STRING": (VARCHAR, _is_a("VARCHAR")),
    "JSON_EACH_BOOLEAN": (BOOLEAN, _is_a("BOOLEAN")),
    "JSON_EACH_DATE": (DATE, _is_a("DATE", "VARCHAR")),
    "JSON_EACH_TIME": (TIME, _is_a("TIME", "VARCHAR")),
    "JSON_EACH_TIMESTAMP": (TIMESTAMP, _is_a("TIMESTAMP", "VARCHAR")),
}


def _each(name: str) -> Function:
    value_type, wanted = _EACH[name]
    result = map_of(VARCHAR, value_type)
    data_type = arrow_type(result)

    def kernel(column: pa.Array) -> pa.Array:
        found = [None if text is None else _top_level(decode(text), wanted) for text in column.to_pylist()]
        items = from_values([v for row in found for v in (row or {}).values()], value_type, find_conversion)
        keys = pa.array([key for row in found for key in row or ()], _TEXT)
        owners = np.repeat(np.arange(len(found)), [len(row or ()) for row in found])
        kept = np.flatnonzero(np.asarray(items.is_valid()))  # what does not convert does not count
        counts = np.bincount(owners[kept], minlength=len(found))
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        missing = np.array([row is None for row in found] + [False])
        kept_rows = pa.array(kept)
        starts = pa.array(offsets, mask=missing)
        return pa.MapArray.from_arrays(starts, keys.take(kept_rows), items.take(kept_rows)).cast(data_type)

    doc = f"The top-level fields of an object that hold {value_type.sql()} values."
    return function(name, [_VARIANT], result, simple(on_arrays(kernel)), doc=doc)


def _object_keys(text: str) -> list[str]:
    return list(_top_level(decode(text), lambda _: True))


_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def path_key(key: str) -> str:
    """A key as a step of a path: in double quotes if it has special characters."""
    return key if _PLAIN_KEY.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _paths(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        path = f"{prefix}.{path_key(key)}" if prefix else path_key(key)
        found += [path, *_paths(item, path)]
    return found


def _merged(left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        merged = dict(left)
        for key, item in right.items():
            merged[key] = _merged(left[key], item) if key in left else item
        return merged
    return right


def _merge(left: str, right: str) -> str:
    return encode(_merged(decode(left), decode(right)))


def _resolve_typeof(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("TYPEOF", len(arguments), 1, 1)
    (value,) = arguments
    if value.type.kind is not Kind.VARIANT and not is_null_literal(value):
        raise cannot_apply("TYPEOF", arguments, ["TYPEOF(<VARIANT>)"])
    return Call(VARCHAR.with_nullable(value.type.nullable), "TYPEOF", (coerce(value, VARIANT),))


_LISTED = array(VARCHAR)
_STRINGS = arrow_type(_LISTED)
_parse: Kernel = on_arrays(variants_of)

FUNCTIONS = table(
    Function("TYPEOF", _resolve_typeof, simple(on_arrays(_typeof)), doc="The run-time type of a VARIANT."),
    Function("VARIANTNULL", _resolve_null, doc="The JSON null."),
    function(
        "PARSE_JSON", [TEXT], VARIANT, simple(_parse), nullable=True, doc="The VARIANT of JSON text; NULL if invalid."
    ),
    Function("TO_JSON", _resolve_to_json, simple(on_arrays(_to_json)), doc="JSON of a VARIANT, keys sorted."),
    *(_each(name) for name in _EACH),
    function(
        "JSON_OBJECT_KEYS",
        [_VARIANT],
        _LISTED,
        simple(per_row(_object_keys, _STRINGS)),
        doc="The sorted top-level keys of an object.",
    ),
    function(
        "JSON_KEYS",
        [_VARIANT],
        _LISTED,
        simple(per_row(lambda text: sorted(_paths(decode(text))), _STRINGS)),
        doc="The sorted paths of all keys of nested objects.",
    ),
    function(
        "VARIANT_MERGE",
        [_VARIANT, _VARIANT],
        VARIANT,
        simple(per_row(_merge, _TEXT)),
        doc="Objects merged recursively; the second wins.",
    ),
)
