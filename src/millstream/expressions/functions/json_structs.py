"""The internal FIELD NAMES: objects in a VARIANT under the names that the fields of a struct have (sql.md §2.4).

`jsonstring_as_<type>` reads JSON whose keys match the fields in any case, while casts of VARIANTs match exactly. Keys
are renamed value by value, as the JSON was parsed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.function import Function, Options, table
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import Kernel, on_arrays
from millstream.types import Kind, SqlType
from millstream.types.variant import decode, encode


def _resolve(arguments: Sequence[Expression], options: Options) -> Expression:
    if len(arguments) != 1 or not options or arguments[0].type.kind is not Kind.VARIANT:
        raise TypeCheckError("FIELD NAMES is internal")
    return Call(arguments[0].type, "FIELD NAMES", tuple(arguments), options)


def _implement(call: Call) -> Kernel:
    (target,) = call.options

    def renamed(column: pa.Array) -> pa.Array:
        texts = [None if text is None else encode(_renamed(decode(text), target)) for text in column.to_pylist()]
        return pa.array(texts, column.type)

    return on_arrays(renamed)


def _renamed(value: Any, target: SqlType | None) -> Any:
    """A decoded value with the keys of objects that become structs replaced by the names of the fields."""
    if target is None:
        return value
    if isinstance(value, list) and target.kind is Kind.ARRAY:
        return [_renamed(item, target.component) for item in value]
    if not isinstance(value, dict):
        return value
    if target.kind is Kind.MAP:
        return {key: _renamed(item, target.value) for key, item in value.items()}
    if target.kind is not Kind.STRUCT:
        return value
    folded = {key.lower(): key for key in value}
    found = {}
    for field in target.fields:
        key = field.name if field.name in value else folded.get(field.name.lower())
        if key is not None:
            found[field.name] = _renamed(value[key], field.type)
    return found


FUNCTIONS = table(
    Function("FIELD NAMES", _resolve, _implement, doc="Internal: objects with their keys in the case of fields.")
)
