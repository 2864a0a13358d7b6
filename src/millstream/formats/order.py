"""The order of records in an output: deletes first, then inserts, each in row order (sql.md §4.3).

Row order compares columns left to right; NULL is smallest, NaN greatest. Nested and VARIANT columns are
ranked through Python objects, which is slow; everything else is Arrow's sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import MillstreamError
from millstream.types import Kind, SqlType
from millstream.types.variant import decode
from millstream.types.variant import order_key as variant_order
from millstream.zset.delta import Delta

#: A row of a greater weight is not spelt out as so many records.
MAX_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class OrderedRecords:
    """Which delta row each record comes from (`rows`), and its weight: deletes, then inserts."""

    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]


def encode_error(message: str) -> MillstreamError:
    """A delta that a format cannot express."""
    return MillstreamError("EncodeError", message, {"error": message}, 500)


def ordered_records(delta: Delta, types: Sequence[SqlType], expand: bool) -> OrderedRecords:
    """The records of `delta` in output order; `expand`: a weight of n becomes n records of weight 1."""
    weights = delta.weights
    if len(weights) and int(np.abs(weights).max()) > MAX_WEIGHT:
        raise encode_error(f"unable to output record with very large weight {int(weights[np.abs(weights).argmax()])}")
    order = _row_order(delta, types)
    order = np.concatenate((order[weights[order] < 0], order[weights[order] > 0]))
    signed = weights[order]
    if expand and (np.abs(signed) != 1).any():
        repeats = np.abs(signed)
        return OrderedRecords(np.repeat(order, repeats), np.repeat(np.sign(signed), repeats))
    return OrderedRecords(order, signed)


def _row_order(delta: Delta, types: Sequence[SqlType]) -> npt.NDArray[np.int64]:
    if delta.num_rows < 2 or not delta.columns:
        return np.arange(delta.num_rows, dtype=np.int64)
    keys: list[pa.Array] = []
    orders: list[tuple[str, str]] = []

    def add(key: pa.Array, direction: str) -> None:
        orders.append((str(len(keys)), direction))
        keys.append(key)

    for column, sql_type in zip(delta.columns, types, strict=True):
        if column.null_count == len(column):
            continue
        if column.null_count:
            add(pc.is_null(column), "descending")
        if sql_type.is_float:
            nan = pc.is_nan(column)
            if pc.any(nan).as_py():
                add(nan, "ascending")
                column = pc.if_else(nan, pa.scalar(0.0, column.type), column)
            column = pc.add(column, pa.scalar(0.0, column.type))
        elif sql_type.is_nested or sql_type.kind in (Kind.VARIANT, Kind.GEOMETRY):
            column = _ranks(column, sql_type)
        add(column, "ascending")
    if not keys:
        return np.arange(delta.num_rows, dtype=np.int64)
    table = pa.Table.from_arrays(keys, [name for name, _ in orders])
    return np.asarray(pc.sort_indices(table, sort_keys=orders), np.int64)


def _ranks(column: pa.Array, sql_type: SqlType) -> pa.Array:
    """Integers that order like the values of a nested or VARIANT column."""
    values = column.to_pylist()
    keys: list[Any] = [None if value is None else _comparable(value, sql_type) for value in values]
    ordered = sorted((i for i, key in enumerate(keys) if key is not None), key=keys.__getitem__)
    ranks = np.zeros(len(values), np.int64)
    for previous, position in pairwise(ordered):
        ranks[position] = ranks[previous] + (keys[previous] != keys[position])
    return pa.array(ranks)


def _comparable(value: Any, sql_type: SqlType) -> Any:
    """A value as nested tuples in which NULL sorts first: (0,) for NULL, (1, value) else."""
    if value is None:
        return (0,)
    kind = sql_type.kind
    if kind is Kind.VARIANT:
        return (1, variant_order(decode(value)))
    if kind is Kind.ARRAY:
        assert sql_type.component is not None
        return (1, tuple(_comparable(item, sql_type.component) for item in value))
    if kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return (1, tuple((_comparable(k, sql_type.key), _comparable(v, sql_type.value)) for k, v in value))
    if kind is Kind.STRUCT:
        return (1, tuple(_comparable(value[field.name], field.type) for field in sql_type.fields))
    if kind is Kind.GEOMETRY:
        return (1, (value["x"], value["y"]))
    if sql_type.is_float and value != value:
        return (2,)
    return (1, value)
