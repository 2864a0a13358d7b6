"""Rows that users hand over as Arrow tables (embedded push, ad-hoc INSERT) as change batches of a table.

Columns are matched by name, case-insensitively unless declared in quotes, and cast to the declared type; missing ones
take their default or NULL.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import MillstreamError
from millstream.expressions.evaluate import evaluate_constant
from millstream.expressions.json_texts import variants_of
from millstream.plan.program import Table, TableColumn
from millstream.types import Kind, arrow_type
from millstream.zset.changes import ChangeBatch


def changes_from_table(
    table: Table, rows: pa.Table, operations: npt.NDArray[np.int8] | None = None, *, deletes_by_key: bool = False
) -> ChangeBatch:
    """`rows` as changes of `table`; `operations` gives an `Operation` per row (None: all inserted).

    With `deletes_by_key` only the key columns need values. Raises MillstreamError `InvalidInput` for unknown columns,
    values that do not fit their type, and missing or NULL values of NOT NULL columns.
    """
    by_name = _match_columns(table, rows.schema.names)
    columns = []
    for index, column in enumerate(table.columns):
        required = not deletes_by_key or index in table.primary_key
        if index in by_name:
            array = _convert(table, column, rows.column(by_name[index]))
        else:
            array = _fill(table, column, rows.num_rows, required)
        if required and not column.type.nullable and array.null_count:
            raise invalid(f"column '{column.name}' of table '{table.name}' is NOT NULL, but a row has NULL there")
        columns.append(array)
    return ChangeBatch(tuple(columns), rows.num_rows, operations)


def _match_columns(table: Table, names: Sequence[str]) -> dict[int, int]:
    matched: dict[int, int] = {}
    for position, name in enumerate(names):
        for index, column in enumerate(table.columns):
            if name == column.name or (not column.case_sensitive and name.lower() == column.name.lower()):
                matched[index] = position
                break
        else:
            known = ", ".join(c.name for c in table.columns)
            raise invalid(f"table '{table.name}' has no column '{name}'; its columns are {known}")
    return matched


def _convert(table: Table, column: TableColumn, values: pa.ChunkedArray) -> pa.Array:
    target = arrow_type(column.type)
    array = values.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], values.type)
    if column.type.kind is Kind.VARIANT:
        return _variants(table, column, array)
    if array.type.equals(target):
        return array
    try:
        if column.type.kind is Kind.UUID and not pa.types.is_fixed_size_binary(array.type):
            texts = array.cast(pa.string()).to_pylist()
            return pa.array([None if t is None else uuid.UUID(t).bytes for t in texts], target)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_timestamp(array.type) and column.type.kind is Kind.TIMESTAMP:
            return array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(target)
        if pa.types.is_integer(array.type) and pa.types.is_decimal(target):
            # Arrow wants room for any integer first; the second cast checks that these fit.
            array = array.cast(pa.decimal128(38, target.scale))
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as failure:
        raise invalid(f"column '{column.name}' of table '{table.name}' has type {column.type}: {failure}") from None


def _variants(table: Table, column: TableColumn, array: pa.Array) -> pa.Array:
    """JSON texts as VARIANTs."""
    target = arrow_type(column.type)
    try:
        texts = (array.dictionary_decode() if pa.types.is_dictionary(array.type) else array).cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as failure:
        raise invalid(f"column '{column.name}' of table '{table.name}' has type VARIANT: {failure}") from None
    found = variants_of(texts)
    if found.null_count > texts.null_count:
        text = texts.filter(pc.and_(texts.is_valid(), found.is_null()))[0].as_py()
        raise invalid(f"column '{column.name}' of table '{table.name}' has type VARIANT: no JSON: {text[:100]!r}")
    return found


def _fill(table: Table, column: TableColumn, count: int, required: bool) -> pa.Array:
    if column.default is not None:
        return pa.repeat(evaluate_constant(column.default), count)
    if required and not column.type.nullable and count:
        raise invalid(f"column '{column.name}' of table '{table.name}' is NOT NULL and has no DEFAULT; give it a value")
    return pa.nulls(count, arrow_type(column.type))


def invalid(message: str) -> MillstreamError:
    """400 `InvalidInput`."""
    return MillstreamError("InvalidInput", message, {"error": message}, 400)
