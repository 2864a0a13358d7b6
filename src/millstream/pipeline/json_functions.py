"""The JSON functions of ad-hoc queries: what stands at a path of a JSON text (sql.md §17).

Each function takes a column of JSON texts, as VARIANTs are published, and one of paths: JSON arrays of keys and indexes
(from 0), which json_calls.py makes of the arguments that a caller writes. A key finds members of objects, an index
elements of arrays; anything else, text that is not JSON, and NULLs find nothing. What is found is kept as written, so
numbers lose no digits.

| function | what is found is | result |
|---|---|---|
| json_get, json_get_json | anything | its JSON text |
| json_get_str, json_get_int, json_get_float, json_get_bool | of that type (integers are floats, too) | the value |
| json_get_array | an array | the JSON texts of its elements |
| json_as_text | not null | a string without quotes, JSON text of anything else |
| json_contains | anything | TRUE, else FALSE |
| json_length | an array or object | number of elements or members |
| json_object_keys, json_keys | an object | its keys |

Where nothing of the kind is found the result is NULL. Cost: each different pair of text and path is read once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

_TEXT = pa.string()
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder()
_INT64 = range(-(2**63), 2**63)

#: Makes one step of a path of a value and the name of its Arrow type.
PATH_PART = "json_path_part"

Read = Callable[[bytes], Any]


def _text(raw: bytes) -> Any:
    return raw.decode()


def _string(raw: bytes) -> Any:
    return _VALUE.decode(raw) if raw[:1] == b'"' else None


def _integer(raw: bytes) -> Any:
    value = _VALUE.decode(raw)
    return value if type(value) is int and value in _INT64 else None


def _float(raw: bytes) -> Any:
    value = _VALUE.decode(raw)
    return float(value) if type(value) in (int, float) else None


def _boolean(raw: bytes) -> Any:
    return {b"true": True, b"false": False}.get(raw)


def _array(raw: bytes) -> Any:
    return [bytes(element).decode() for element in _ELEMENTS.decode(raw)] if raw[:1] == b"[" else None


def _shown(raw: bytes) -> Any:
    return _string(raw) if raw[:1] == b'"' else None if raw == b"null" else raw.decode()


def _length(raw: bytes) -> Any:
    return len(_MEMBERS.decode(raw) if raw[:1] == b"{" else _ELEMENTS.decode(raw)) if raw[:1] in b"{[" else None


def _keys(raw: bytes) -> Any:
    return list(_MEMBERS.decode(raw)) if raw[:1] == b"{" else None


_FUNCTIONS: dict[str, tuple[Read, pa.DataType]] = {
    "json_get": (_text, _TEXT),
    "json_get_json": (_text, _TEXT),
    "json_get_str": (_string, _TEXT),
    "json_get_int": (_integer, pa.int64()),
    "json_get_float": (_float, pa.float64()),
    "json_get_bool": (_boolean, pa.bool_()),
    "json_get_array": (_array, pa.list_(_TEXT)),
    "json_as_text": (_shown, _TEXT),
    "json_contains": (lambda raw: True, pa.bool_()),
    "json_length": (_length, pa.uint64()),
    "json_object_keys": (_keys, pa.list_(_TEXT)),
    "json_keys": (_keys, pa.list_(_TEXT)),
}
NAMES = frozenset(_FUNCTIONS)
"""The functions, in lower case."""


def register_json_functions(context: Any, udf: Callable[..., Any]) -> None:
    """Makes the functions known to a DataFusion session; `udf` is DataFusion's constructor of functions."""
    for name, (read, result) in _FUNCTIONS.items():
        kernel = _kernel(read, result)
        if name == "json_contains":
            kernel = _or_false(kernel)
        context.register_udf(udf(kernel, [_TEXT, _TEXT], result, "immutable", name))
    context.register_udf(udf(path_parts, [_TEXT, _TEXT], _TEXT, "immutable", PATH_PART))


def path_parts(values: pa.Array, types: pa.Array) -> pa.Array:
    """Steps of paths: integers are indexes, texts of other types are keys."""
    distinct = values.dictionary_encode()
    quoted = pa.array([msgspec.json.encode(value).decode() for value in distinct.dictionary.to_pylist()], _TEXT)
    steps: pa.Array = pc.if_else(pc.match_substring_regex(types, "^U?Int"), values, quoted.take(distinct.indices))
    return steps


def _kernel(read: Read, result: pa.DataType) -> Callable[[pa.Array, pa.Array], pa.Array]:
    def kernel(texts: pa.Array, paths: pa.Array) -> pa.Array:
        text, path = texts.dictionary_encode(), paths.dictionary_encode()
        count = max(len(path.dictionary), 1)
        pairs = pc.add(pc.multiply(text.indices.cast(pa.int64()), count), path.indices).dictionary_encode()
        codes = pairs.dictionary.drop_null().to_pylist()
        read_texts = text.dictionary.to_pylist()
        steps = [_VALUE.decode(p.encode()) for p in path.dictionary.to_pylist()]
        found = [_found(read, read_texts[code // count], steps[code % count]) for code in codes]
        return pa.array(found, result).take(pairs.indices)

    return kernel


def _or_false(kernel: Callable[[pa.Array, pa.Array], pa.Array]) -> Callable[[pa.Array, pa.Array], pa.Array]:
    return lambda texts, paths: pc.fill_null(kernel(texts, paths), False)


def _found(read: Read, text: str, path: list[Any]) -> Any:
    """What `read` makes of the value at the path, None where there is none."""
    raw = text.strip().encode()
    try:
        if not path:
            _VALUE.decode(raw)  # what is no JSON has no values
        for step in path:
            if isinstance(step, str) and raw[:1] == b"{":
                member = _MEMBERS.decode(raw).get(step)
            elif type(step) is int and step >= 0 and raw[:1] == b"[":
                elements = _ELEMENTS.decode(raw)
                member = elements[step] if step < len(elements) else None
            else:
                member = None
            if member is None:
                return None
            raw = bytes(member).strip()
        return read(raw)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply; msgspec's errors are ValueErrors
        return None
