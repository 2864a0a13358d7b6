"""Rows under construction on the exact paths: storage values column by column, then one change batch.

Also the rules of connectors.md §13.0 that every record format shares: defaults, NOT NULL, which columns an
operation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.formats.base import ParseError
from millstream.types import Kind, Relation, arrow_type
from millstream.zset.changes import ChangeBatch, Operation

#: Texts of rejected records are kept whole up to this length, then cut.
MAX_INVALID_TEXT = 4096


class RecordError(Exception):
    """A record that cannot be taken: why, and the column at fault if there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True, slots=True)
class Row:
    """A decoded row: an operation, storage values by column, and, for UPDATE, which columns the record
    gave."""

    operation: Operation
    values: Sequence[Any]
    present: Sequence[bool] | None = None


def missing_error(name: str) -> RecordError:
    """The record has no value for a column that needs one."""
    return RecordError(f"missing field '{name}': the column is NOT NULL and has no default", name)


def null_error(name: str) -> RecordError:
    """The record has an explicit null in a NOT NULL column."""
    return RecordError(f"field '{name}': null value in a NOT NULL column", name)


def value_error(name: str, reason: object) -> RecordError:
    """The record's value for a column cannot be converted."""
    return RecordError(f"field '{name}': {reason}", name)


def clip(text: str) -> str:
    """`text` cut to what an error report keeps."""
    return text if len(text) <= MAX_INVALID_TEXT else text[:MAX_INVALID_TEXT] + "..."


def record_parse_error(kind: str, error: RecordError, event_number: int, text: str) -> ParseError:
    """The report of a rejected record. `kind` names the record in the text: `JSON` or `CSV`."""
    clipped = clip(text)
    return ParseError(
        description=f"failed to parse {kind} record: {error.message}: '{clipped}'",
        event_number=event_number,
        field=error.field,
        invalid_text=clipped,
    )


class RowDecoder:
    """Fills in what a record leaves out, by the rules of the relation.

    `convert[c]` turns a raw value that is not missing into a storage value (None for NULL) or raises
    ValueError.
    """

    def __init__(self, relation: Relation, convert: Sequence[Callable[[Any], Any]], missing: object) -> None:
        self._names = [column.name for column in relation.columns]
        self._nullable = [column.type.nullable for column in relation.columns]
        self._convert = list(convert)
        self._missing = missing
        self._absent = [absent_value(relation, c) for c in range(len(relation.columns))]
        self._all = range(len(relation.columns))
        self._key = relation.primary_key

    def row(self, operation: Operation, raw: Sequence[Any]) -> Row:
        """The row that `operation` applies; raises RecordError for the first bad column."""
        if operation is Operation.UPDATE:
            return self._patch(raw)
        values: list[Any] = [None] * len(self._names)
        columns = self._key if operation is Operation.DELETE and self._key else self._all
        for c in sorted(columns):
            values[c] = self._absent_value(c) if raw[c] is self._missing else self._value(c, raw[c])
        return Row(operation, values)

    def _patch(self, raw: Sequence[Any]) -> Row:
        if not self._key:
            raise RecordError("update operation is not supported on this stream")
        present = [value is not self._missing for value in raw]
        values: list[Any] = [None] * len(self._names)
        for c in self._all:
            if present[c]:
                values[c] = self._value(c, raw[c])
            elif c in self._key:
                raise missing_error(self._names[c])
        return Row(Operation.UPDATE, values, present)

    def _absent_value(self, c: int) -> Any:
        has_value, value = self._absent[c]
        if not has_value:
            raise missing_error(self._names[c])
        return value

    def _value(self, c: int, raw: Any) -> Any:
        try:
            value = self._convert[c](raw)
        except ValueError as error:
            raise value_error(self._names[c], error) from None
        if value is None and not self._nullable[c]:
            raise null_error(self._names[c])
        return value


def absent_value(relation: Relation, column: int) -> tuple[bool, Any]:
    """Whether a record may leave the column out, and the storage value that it gets then."""
    declared = relation.columns[column]
    if declared.default is not None:
        return True, storage_value(declared.default)
    if declared.type.nullable:
        return True, None
    if declared.type.kind is Kind.VARIANT:
        return True, "null"
    return False, None


def storage_value(scalar: pa.Scalar) -> Any:
    """An Arrow scalar as `pa.array` takes it back without loss (integers for dates and times)."""
    if not scalar.is_valid:
        return None
    if pa.types.is_temporal(scalar.type):
        return scalar.value
    return scalar.as_py()


def build_batch(relation: Relation, rows: Sequence[Row]) -> ChangeBatch:
    """The rows as one batch, in order."""
    types = [arrow_type(column.type) for column in relation.columns]
    columns = tuple(pa.array([row.values[c] for row in rows], column_type) for c, column_type in enumerate(types))
    operations = np.fromiter((row.operation for row in rows), np.int8, len(rows))
    if (operations == Operation.INSERT).all():
        return ChangeBatch(columns, len(rows))
    present = None
    if (operations == Operation.UPDATE).any():
        present = tuple(
            np.fromiter((row.present is None or row.present[c] for row in rows), np.bool_, len(rows))
            for c in range(len(types))
        )
    return ChangeBatch(columns, len(rows), operations, present)
