"""The fast CSV path: a whole block scanned into spans of fields, then columns built from them.

It declines (returns None) for text that is not UTF-8 and for records of the wrong length where that is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from millstream.formats.base import ParsedBlock
from millstream.formats.columns.block import build_block
from millstream.formats.columns.convert import ColumnPlan, Syntax
from millstream.formats.columns.spans import ABSENT, MAX_SCAN_BYTES, NULL, STRING, ScannedRows, Spans, scan_bytes
from millstream.formats.csv.config import CsvParserConfig
from millstream.formats.csv.exact import StreamState, unquoted_field
from millstream.formats.csv.scan import scan
from millstream.formats.csv.values import FieldConverter, field_converter
from millstream.formats.json.flavors import DEFAULT
from millstream.formats.rows import absent_value
from millstream.formats.utf8 import is_utf8
from millstream.types import Relation, RelationColumn


class FastParser:
    """Parses blocks for one table. Stateless between blocks apart from what the caller passes in."""

    def __init__(self, relation: Relation, config: CsvParserConfig) -> None:
        self._relation = relation
        self._config = config
        quote, escape = _code(config.quote), _code(config.escape)
        syntax = Syntax(True, DEFAULT, quote, escape, config.double_quote)
        self._dialect = (ord(config.delimiter), quote, escape, config.double_quote, _code(config.comment))
        self._plans = [
            ColumnPlan(column, syntax, _exact(field_converter(column.type), config), absent_value(relation, c))
            for c, column in enumerate(relation.columns)
        ]

    def parse(self, block: bytes, state: StreamState) -> ParsedBlock | None:
        """The block's contents (`state` moves on), or None: the exact path must take it."""
        if not is_utf8(block):
            return None
        rows = self._scan(block, state)
        if rows is None:
            return None
        result = build_block(self._relation, self._plans, rows, state.next_event, "CSV")
        state.next_event += len(rows.events)
        return result

    def _scan(self, block: bytes, state: StreamState) -> ScannedRows | None:
        buffer = np.frombuffer(block, np.uint8)
        capacity = int(np.count_nonzero(buffer == 0x0A) + np.count_nonzero(buffer == 0x0D)) + 1
        shape = (len(self._plans), capacity)
        if scan_bytes(*shape) > MAX_SCAN_BYTES:
            return None
        kinds = np.zeros(shape, np.uint8)
        starts, ends = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        record_starts, record_ends = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
        arrays = (kinds, starts, ends, record_starts, record_ends)
        table = np.array([len(self._plans), capacity, *(array.ctypes.data for array in arrays)], np.int64)
        num_rows, num_fields = scan(
            int(buffer.ctypes.data),
            len(block),
            *self._dialect,
            self._config.trim_fields,
            self._config.flexible,
            -1 if state.num_fields is None else state.num_fields,
            state.header_pending,
            int(table.ctypes.data),
        )
        if num_rows < 0:
            return None
        if num_fields >= 0:
            state.header_pending = False
            state.num_fields = num_fields
        kinds, starts, ends = kinds[:, :num_rows], starts[:, :num_rows], ends[:, :num_rows]
        for c, column in enumerate(self._relation.columns):
            _settle_empty(column, kinds[c], starts[c], ends[c])
        records = np.arange(num_rows, dtype=np.int64)
        return ScannedRows(buffer, kinds, starts, ends, None, records, record_starts[:num_rows], record_ends[:num_rows])


def _settle_empty(
    column: RelationColumn,
    kinds: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> None:
    """A field that is not there is empty, unless the column has a default; an empty field is NULL, except in a NOT
    NULL string column."""
    if column.default is None:
        kinds[kinds == ABSENT] = STRING
    if column.type.nullable or not column.type.is_string:
        kinds[(kinds == STRING) & (starts == ends)] = NULL


def _exact(convert: FieldConverter, config: CsvParserConfig) -> Callable[[Spans, int], Any]:
    """The conversion of one field from its span."""

    def from_span(spans: Spans, row: int) -> Any:
        text = spans.buffer[spans.starts[row] : spans.ends[row]].tobytes().decode()
        return convert(text if spans.kinds[row] == STRING else unquoted_field(text, config))

    return from_span


def _code(character: str | None) -> int:
    return -1 if character is None else ord(character)
