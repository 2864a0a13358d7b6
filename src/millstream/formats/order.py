"""The order of records in an output: deletes first, then inserts, each in row order (sql.md §4.3).

Row order compares columns left to right; NULL is smallest, NaN greatest. Nested and VARIANT columns are ranked first
(expressions/ranks.py); the rest is Arrow's sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import MillstreamError
from millstream.expressions.ranks import ranks
from millstream.types import Kind, SqlType
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
            column = pa.array(ranks(column, sql_type))
        add(column, "ascending")
    if not keys:
        return np.arange(delta.num_rows, dtype=np.int64)
    table = pa.Table.from_arrays(keys, [name for name, _ in orders])
    return np.asarray(pc.sort_indices(table, sort_keys=orders), np.int64)
