"""The fast JSON path: a whole block scanned into spans, then columns built from them.

It handles whatever `scan` accepts, bad values included. It declines (returns None) for blocks that are not well-formed
throughout and for array mode with a bad value in it, where whole arrays are at stake: the exact path decides those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from millstream.formats.base import ParsedBlock
from millstream.formats.columns.block import build_block
from millstream.formats.columns.convert import ColumnPlan, Syntax
from millstream.formats.columns.spans import ESCAPED, MAX_SCAN_BYTES, STRING, ScannedRows, Spans, scan_bytes
from millstream.formats.json import scan as scanner
from millstream.formats.json.config import JsonParserConfig, UpdateFormat
from millstream.formats.json.names import name_tables
from millstream.formats.json.values import nullable_converter
from millstream.formats.rows import absent_value
from millstream.formats.utf8 import is_utf8
from millstream.formats.values.json_text import canonical_text, decode
from millstream.types import Kind, Relation, SqlType

_MODES = {
    UpdateFormat.RAW: scanner.RAW,
    UpdateFormat.INSERT_DELETE: scanner.INSERT_DELETE,
    UpdateFormat.DEBEZIUM: scanner.DEBEZIUM,
}


@dataclass(frozen=True, slots=True)
class Ahead:
    """The events in the first `num_bytes` of a buffer, scanned."""

    buffer: bytes
    num_bytes: int
    rows: ScannedRows


class FastParser:
    """Parses blocks for one table. Stateless."""

    def __init__(self, relation: Relation, config: JsonParserConfig) -> None:
        self._relation = relation
        self._config = config
        self._names = name_tables(relation.columns)
        syntax = Syntax(strings=False, flavor=config.flavor)
        self._plans = [
            ColumnPlan(column, syntax, _exact(column.type, config), absent_value(relation, c))
            for c, column in enumerate(relation.columns)
        ]

    def parse(self, block: bytes, first_event: int, ahead: Ahead | None = None) -> tuple[ParsedBlock, int] | None:
        """The block's contents and its number of events, or None: the exact path must take it. `ahead` saves scanning
        if it is of this block."""
        if not is_utf8(block):
            return None
        if ahead is not None and len(block) == ahead.num_bytes and ahead.buffer.startswith(block):
            rows = ahead.rows
        else:
            status, _, scanned = self._scan(block)
            if status != scanner.DONE or scanned is None:
                return None
            rows = scanned
        result = build_block(self._relation, self._plans, rows, first_event, "JSON")
        if result.errors and self._config.array:
            return None
        return result, len(rows.event_starts)

    def look_ahead(self, buffer: bytes) -> Ahead | None:
        """The events at the beginning of a buffer that are whole and well-formed, scanned; None if there are none.
        Nothing is said about what follows them."""
        _, num_bytes, rows = self._scan(buffer)
        return None if rows is None or not num_bytes else Ahead(buffer, num_bytes, rows)

    def _scan(self, block: bytes) -> tuple[int, int, ScannedRows | None]:
        """What the scanner answers, where the last whole event ends, and the rows up to there; no rows if they would
        take too much memory."""
        buffer = np.frombuffer(block, np.uint8)
        # Every event, and every row, begins with a bracket of its own.
        capacity = int(np.count_nonzero(buffer == 0x7B) + np.count_nonzero(buffer == 0x5B)) + 4
        shape = (len(self._plans), capacity)
        if scan_bytes(*shape) > MAX_SCAN_BYTES:
            return scanner.DECLINED, 0, None
        kinds = np.zeros(shape, np.uint8)
        starts, ends = np.empty(shape, np.int64), np.empty(shape, np.int64)
        operations = np.empty(capacity, np.int8)
        events, event_starts, event_ends = (np.empty(capacity, np.int64) for _ in range(3))
        stack = np.empty(scanner.MAX_DEPTH, np.int64)
        arrays = (kinds, starts, ends, operations, events, event_starts, event_ends)
        places = [_address(array) for array in arrays]
        names = [_address(array) for array in self._names]
        table = np.array([*names, len(self._plans), *places[:3], capacity, _address(stack), *places[3:]], np.int64)
        status, num_rows, num_events, num_bytes = scanner.scan(
            _address(buffer),
            len(block),
            _MODES[self._config.update_format],
            self._config.array,
            self._config.single_lines,
            bool(self._relation.primary_key),
            _address(table),
        )
        all_inserts = bool((operations[:num_rows] == 1).all())
        rows = ScannedRows(
            buffer,
            kinds[:, :num_rows],
            starts[:, :num_rows],
            ends[:, :num_rows],
            None if all_inserts else operations[:num_rows],
            events[:num_rows],
            event_starts[:num_events],
            event_ends[:num_events],
        )
        return status, num_bytes, rows if all_inserts else _in_order_of_application(rows)


def _exact(sql_type: SqlType, config: JsonParserConfig) -> Callable[[Spans, int], Any]:
    """The conversion of one span from its JSON text."""
    from_text: Callable[[str], Any]
    if sql_type.kind is Kind.VARIANT and not config.flavor.variant_as_string:
        from_text = canonical_text
    else:
        nullable = sql_type if sql_type.kind is Kind.VARIANT else sql_type.with_nullable(True)
        convert = nullable_converter(nullable, config.flavor)

        def from_text(text: str) -> Any:
            return convert(decode(text))

    def from_span(spans: Spans, row: int) -> Any:
        quotes = 1 if spans.kinds[row] in (STRING, ESCAPED) else 0
        return from_text(spans.buffer[spans.starts[row] - quotes : spans.ends[row] + quotes].tobytes().decode())

    return from_span


def _in_order_of_application(rows: ScannedRows) -> ScannedRows:
    """Within an event: delete, insert, update, however the event lists them."""
    assert rows.operations is not None
    same_event = rows.events[1:] == rows.events[:-1]
    if not (same_event & (rows.operations[1:] < rows.operations[:-1])).any():
        return rows
    order = np.lexsort((rows.operations, rows.events))
    return ScannedRows(
        rows.buffer,
        np.ascontiguousarray(rows.kinds[:, order]),
        np.ascontiguousarray(rows.starts[:, order]),
        np.ascontiguousarray(rows.ends[:, order]),
        rows.operations[order],
        rows.events[order],
        rows.event_starts,
        rows.event_ends,
    )


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)
