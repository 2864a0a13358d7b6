"""From column types and settings to generators of whole columns.

The dispatch over SQL types, and what is common to all: `values` lists, NULLs, and nested types, whose elements are
generated as one long column and then cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.datagen import scalars
from millstream.connectors.datagen.integers import integers, require_numeric_strategy
from millstream.connectors.datagen.random import Lanes, mix, salt
from millstream.connectors.datagen.scalars import Generator
from millstream.connectors.datagen.settings import NUMERIC_STRATEGIES, FieldSettings
from millstream.connectors.datagen.text import LengthMaker, text_column
from millstream.connectors.datagen.values import constants
from millstream.types import Kind, Relation, SqlType, arrow_type
from millstream.types.sql_type import BINARIES, FLOATS, INTEGERS, INTERVALS, STRINGS

_DEFAULT_COUNTS = (0, 5)
_NULL = salt("null")
_PLAIN = {
    **dict.fromkeys(INTEGERS, scalars.integer_column),
    **dict.fromkeys(FLOATS, scalars.float_column),
    **dict.fromkeys(STRINGS, text_column),
    Kind.DECIMAL: scalars.decimal_column,
    Kind.BOOLEAN: scalars.boolean_column,
    Kind.DATE: scalars.date_column,
    Kind.TIME: scalars.time_column,
    Kind.TIMESTAMP: scalars.timestamp_column,
    Kind.TIMESTAMP_TZ: scalars.timestamp_column,
    Kind.UUID: scalars.uuid_column,
}
#: Types of which upstream configurations only ever got NULLs.
_ALWAYS_NULL = INTERVALS | {Kind.NULL, Kind.VARIANT, Kind.GEOMETRY}


def row_generators(relation: Relation, fields: Mapping[str, FieldSettings], path: str) -> tuple[Generator, ...]:
    """One generator per column of the relation. Raises OptionError, also for a field that is no column."""
    names = [(column.name, column.case_sensitive) for column in relation.columns]
    by_column = _match_fields(names, fields, f"table '{relation.name}' has no such column; its columns are")
    return tuple(
        column_generator(column.type, by_column.get(i, FieldSettings(f"{path}.{column.name}")), f"column {column.name}")
        for i, column in enumerate(relation.columns)
    )


def _match_fields(
    names: list[tuple[str, bool]], fields: Mapping[str, FieldSettings], complaint: str
) -> dict[int, FieldSettings]:
    """Settings by position; unquoted SQL names match in any case."""
    matched: dict[int, FieldSettings] = {}
    for name, settings in fields.items():
        position = next(
            (i for i, (own, exact) in enumerate(names) if own == name or (not exact and own == name.lower())), None
        )
        if position is None:
            raise settings.error(f"unknown field `{name}`: {complaint} {', '.join(f'`{own}`' for own, _ in names)}")
        if position in matched:
            raise settings.error(f"field `{name}` is configured twice")
        matched[position] = settings
    return matched


def column_generator(sql_type: SqlType, settings: FieldSettings, place: str) -> Generator:
    """A generator of one column, NULLs included. `place` makes its random draws its own."""
    if settings.null_percentage and not sql_type.nullable:
        raise settings.error(f"`null_percentage` is {settings.null_percentage}, but {sql_type} holds no NULL")
    _reject_foreign_members(sql_type, settings)
    generate = _without_nulls(sql_type, settings, place)
    own, percentage = np.uint64(salt(place)), settings.null_percentage

    def generate_column(lanes: Lanes) -> pa.Array:
        lanes = Lanes(lanes.index, _derived(lanes, own))
        column = generate(lanes)
        return column if not percentage else _nullify(column, lanes, percentage)

    return generate_column


def _derived(lanes: Lanes, place: np.uint64) -> Any:
    return lambda: mix(lanes.keys ^ place)


def _nullify(column: pa.Array, lanes: Lanes, percentage: int) -> pa.Array:
    null = (lanes.draw(_NULL) >> np.uint64(32)) * np.uint64(100) >> np.uint64(32) < np.uint64(percentage)
    if not null.any():
        return column
    return column.take(pa.array(np.arange(len(column)), mask=null))


def _reject_foreign_members(sql_type: SqlType, settings: FieldSettings) -> None:
    """`fields`, `key` and `value` belong to some types only."""
    kind, name = sql_type.kind, sql_type.sql()
    if settings.fields and kind is not Kind.STRUCT:
        raise settings.error(f"`fields` describes the members of a ROW, but the type is {name}")
    if settings.key is not None and kind is not Kind.MAP:
        raise settings.error(f"`key` describes the keys of a MAP, but the type is {name}")
    if settings.value is not None and kind not in BINARIES | {Kind.MAP, Kind.ARRAY}:
        raise settings.error(f"`value` describes the elements of an ARRAY or MAP, but the type is {name}")


def _without_nulls(sql_type: SqlType, settings: FieldSettings, place: str) -> Generator:
    kind = sql_type.kind
    if settings.values is not None:
        return _picks(sql_type, settings)
    if kind in _PLAIN:
        return _PLAIN[kind](sql_type, settings)
    if kind in _ALWAYS_NULL:
        if not sql_type.nullable:
            raise settings.error(f"no values can be generated for {sql_type}; make the column nullable")
        null_type = arrow_type(sql_type)
        return lambda lanes: pa.nulls(len(lanes), null_type)
    require_numeric_strategy(settings, sql_type.sql())
    if kind is Kind.STRUCT:
        return _struct(sql_type, settings, place)
    if kind is Kind.MAP:
        return _map(sql_type, settings, place)
    return _array(sql_type, settings, place)


def _picks(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """`values`: in turn, evenly, or by Zipf rank."""
    if settings.strategy not in NUMERIC_STRATEGIES:
        require_numeric_strategy(settings, f"{sql_type.sql()} with `values`")
    table = constants(sql_type, settings)
    positions = FieldSettings(settings.path, settings.strategy, exponent=settings.exponent)
    make = integers(positions, (0, len(table) - 1), None, (0, len(table)), "a position")
    return lambda lanes: table.take(pa.array(make(lanes)))


def _struct(sql_type: SqlType, settings: FieldSettings, place: str) -> Generator:
    names = [(member.name, member.case_sensitive) for member in sql_type.fields]
    settings_of = _match_fields(names, settings.fields, "the row type has no such member; its members are")
    members = [
        column_generator(
            member.type, settings_of.get(i, FieldSettings(f"{settings.path}.fields.{member.name}")), f"{place}.{i}"
        )
        for i, member in enumerate(sql_type.fields)
    ]
    fields = list(arrow_type(sql_type))
    return lambda lanes: pa.StructArray.from_arrays([member(lanes) for member in members], fields=fields)


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))


def _array(sql_type: SqlType, settings: FieldSettings, place: str) -> Generator:
    """ARRAY, and BINARY as an array of bytes."""
    is_binary = sql_type.kind in BINARIES
    component = SqlType(Kind.UTINYINT, nullable=False) if is_binary else sql_type.component
    assert component is not None
    lengths = LengthMaker(settings, _DEFAULT_COUNTS, "a number of elements")
    items = column_generator(component, settings.value or FieldSettings(f"{settings.path}.value"), f"{place}[]")
    own_type = arrow_type(sql_type)

    def generate(lanes: Lanes) -> pa.Array:
        counts = lengths(lanes)
        elements = items(lanes.elements(counts))
        if is_binary:
            buffers = [None, pa.py_buffer(_offsets(counts)), elements.buffers()[1]]
            return pa.Array.from_buffers(own_type, len(lanes), buffers)
        return pa.LargeListArray.from_arrays(pa.array(_offsets(counts)), elements, type=own_type)

    return generate


def _map(sql_type: SqlType, settings: FieldSettings, place: str) -> Generator:
    """MAP: distinct keys, so a map may get fewer entries than its drawn number."""
    assert sql_type.key is not None
    assert sql_type.value is not None
    lengths = LengthMaker(settings, _DEFAULT_COUNTS, "a number of entries")
    keys = column_generator(sql_type.key, settings.key or FieldSettings(f"{settings.path}.key"), f"{place}[k]")
    values = column_generator(sql_type.value, settings.value or FieldSettings(f"{settings.path}.value"), f"{place}[v]")
    own_type = arrow_type(sql_type)

    def generate(lanes: Lanes) -> pa.Array:
        counts = lengths(lanes)
        entries = lanes.elements(counts)
        key_column, value_column = keys(entries), values(entries)
        rows = np.repeat(np.arange(len(lanes)), counts)
        kept = _first_of_each_key(rows, key_column)
        if len(kept) < len(rows):
            positions = pa.array(kept)
            key_column, value_column = key_column.take(positions), value_column.take(positions)
            counts = np.bincount(rows[kept], minlength=len(lanes))
        offsets = pa.array(_offsets(counts).astype(np.int32))
        return pa.MapArray.from_arrays(offsets, key_column, value_column, type=own_type)

    return generate


def _first_of_each_key(rows: npt.NDArray[np.int64], keys: pa.Array) -> npt.NDArray[np.int64]:
    """Positions of the entries whose key did not occur before in their map, ascending."""
    if not len(keys) or pa.types.is_nested(keys.type):
        # Arrow cannot hash nested keys; they stay as drawn.
        return np.arange(len(keys))
    codes = pc.dictionary_encode(keys)
    numbers = rows * np.int64(len(codes.dictionary)) + codes.indices.to_numpy()
    return np.sort(np.unique(numbers, return_index=True)[1])
