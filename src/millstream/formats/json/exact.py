"""The exact JSON path: every event decoded by itself, every error reported.

Slow (Python objects per record) and complete: it defines what the fast path must agree with. A block is a
sequence of top-level values between whitespace; with `lines = single` it is a sequence of lines with one
value each.

One event gives all of its rows or none. In array mode one bad element discards its whole array, and every bad
element is reported; an element that is not an event at all ends the check of its array (one report).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from millstream.formats.base import TEXT_ENVELOPE_ERROR, ParsedBlock, ParseError
from millstream.formats.json.config import JsonParserConfig, UpdateFormat
from millstream.formats.json.values import MISSING, FieldLookup, describe, nullable_converter
from millstream.formats.rows import RecordError, Row, RowDecoder, build_batch, clip, record_parse_error
from millstream.formats.values.json_text import DECODER, canonical, check_depth, check_surrogates
from millstream.types import Relation
from millstream.zset.changes import Operation

_WHITESPACE = " \t\r\n"
_DEBEZIUM_OPERATIONS = ("c", "r", "u", "d")


class _EnvelopeError(Exception):
    """A value that is no event of the update format."""


class _SyntaxError(Exception):
    """Text that is not JSON."""


@dataclass(frozen=True, slots=True)
class ExactResult:
    """What a block held, and how many events it had (good or bad)."""

    block: ParsedBlock
    num_events: int


class ExactParser:
    """Parses blocks value by value. Stateless between blocks apart from what the caller passes in."""

    def __init__(self, relation: Relation, config: JsonParserConfig) -> None:
        self._relation = relation
        self._config = config
        self._lookup = FieldLookup([(column.name, column.case_sensitive) for column in relation.columns])
        convert = [nullable_converter(_nullable(column.type), config.flavor) for column in relation.columns]
        self._decoder = RowDecoder(relation, convert, MISSING)

    def parse(self, block: bytes, first_event: int) -> ExactResult:
        """All events of `block`; `first_event` is the number of the first one."""
        run = _Run(self, first_event)
        if self._config.single_lines:
            for line in block.split(b"\n"):
                run.line(line)
        else:
            run.stream(block)
        batches = (build_batch(self._relation, run.rows),) if run.rows else ()
        return ExactResult(ParsedBlock(batches, tuple(run.errors)), run.next_event - first_event)

    def is_array(self) -> bool:
        return self._config.array

    def event_rows(self, event: object) -> list[Row]:
        """The rows of an event in the order of their application. Raises _EnvelopeError or RecordError."""
        return [self._row(operation, row) for operation, row in self._changes(event)]

    def _changes(self, event: object) -> list[tuple[Operation, object]]:
        update_format = self._config.update_format
        if update_format is UpdateFormat.RAW:
            return [(Operation.INSERT, event)]
        if not isinstance(event, dict):
            raise _EnvelopeError(f"invalid {update_format.value} event: expected an object, not {describe(event)}")
        if update_format is UpdateFormat.DEBEZIUM:
            return _debezium_changes(event)
        return _insert_delete_changes(event)

    def _row(self, operation: Operation, row: object) -> Row:
        if isinstance(row, dict):
            raw = self._lookup.assign(row)
        elif isinstance(row, list):
            if len(row) > self._lookup.count:
                raise RecordError(f"the row has {len(row)} values, the table only {self._lookup.count} columns")
            raw = [*row, *[MISSING] * (self._lookup.count - len(row))]
        else:
            raise RecordError(f"expected an object or an array of column values, not {describe(row)}")
        return self._decoder.row(operation, raw)


def _nullable(sql_type: Any) -> Any:
    """The type for conversion of column values: RowDecoder reports NULL in NOT NULL columns itself, except
    VARIANT."""
    return sql_type if sql_type.kind == "VARIANT" else sql_type.with_nullable(True)


def _insert_delete_changes(event: dict[str, Any]) -> list[tuple[Operation, object]]:
    for key in event:
        if key not in ("insert", "delete", "update", "table"):
            raise _EnvelopeError(f"unknown field `{key}`, expected one of `table`, `insert`, `delete`, `update`")
    operations = (("delete", Operation.DELETE), ("insert", Operation.INSERT), ("update", Operation.UPDATE))
    return [(operation, event[key]) for key, operation in operations if event.get(key) is not None]


def _debezium_changes(event: dict[str, Any]) -> list[tuple[Operation, object]]:
    payload = event.get("payload")
    if not isinstance(payload, dict):
        raise _EnvelopeError("missing field `payload` of a debezium event")
    operation = payload.get("op")
    if operation not in _DEBEZIUM_OPERATIONS:
        raise _EnvelopeError(f"unknown debezium operation {describe(operation)}, expected one of `c`, `r`, `u`, `d`")
    changes = []
    if payload.get("before") is not None:
        changes.append((Operation.DELETE, payload["before"]))
    if payload.get("after") is not None:
        changes.append((Operation.INSERT, payload["after"]))
    return changes


class _Run:
    """The state of parsing one block."""

    def __init__(self, parser: ExactParser, first_event: int) -> None:
        self._parser = parser
        self.next_event = first_event
        self.rows: list[Row] = []
        self.errors: list[ParseError] = []

    def line(self, line: bytes) -> None:
        """One line with at most one value."""
        if not line.strip():
            return
        try:
            values = list(_top_level_values(_text(line)))
            if len(values) != 1:
                raise _SyntaxError("more than one value on the line")
        except _SyntaxError as error:
            self._syntax_error(error, line)
            return
        self._value(*values[0])

    def stream(self, block: bytes) -> None:
        """Values one after another; after a syntax error the rest is lost."""
        if not block.strip():
            return
        try:
            for value, text in _top_level_values(_text(block)):
                self._value(value, text)
        except _SyntaxError as error:
            self._syntax_error(error, block)

    def _syntax_error(self, error: _SyntaxError, block: bytes) -> None:
        self.errors.append(
            ParseError(
                description=f"failed to parse string as JSON: {error}",
                event_number=self.next_event,
                invalid_text=clip(block.decode("utf-8", "replace")),
                tag=TEXT_ENVELOPE_ERROR,
            )
        )
        self.next_event += 1

    def _value(self, value: object, text: str) -> None:
        if not self._parser.is_array():
            rows, _ = self._event(value, text)
            self.rows.extend(rows)
        elif isinstance(value, list):
            self._array(value, text)
        else:
            self._envelope_error("expected an array of events", self.next_event, text)
            self.next_event += 1

    def _array(self, events: list[object], text: str) -> None:
        rows: list[Row] = []
        num_errors = len(self.errors)
        first = self.next_event
        for event in events:
            event_rows, is_event = self._event(event, None)
            rows.extend(event_rows)
            if not is_event:
                # The array does not decode as a list of events: one report stands for all of it.
                report = self.errors.pop()
                del self.errors[num_errors:]
                self.errors.append(report)
                break
        self.next_event = first + len(events)
        if len(self.errors) == num_errors:
            self.rows.extend(rows)

    def _event(self, event: object, text: str | None) -> tuple[list[Row], bool]:
        """The rows of an event, none if it is bad, and whether it was an event at all."""
        number = self.next_event
        self.next_event += 1
        try:
            return self._parser.event_rows(event), True
        except RecordError as error:
            self.errors.append(record_parse_error("JSON", error, number, text or _shown(event)))
            return [], True
        except _EnvelopeError as error:
            self._envelope_error(str(error), number, text or _shown(event))
            return [], False

    def _envelope_error(self, message: str, number: int, text: str) -> None:
        clipped = clip(text)
        self.errors.append(
            ParseError(
                description=f"failed to parse JSON event: {message}: '{clipped}'",
                event_number=number,
                invalid_text=clipped,
                tag=TEXT_ENVELOPE_ERROR,
            )
        )


def _shown(event: object) -> str:
    try:
        return canonical(event)
    except ValueError:
        return repr(event)


def _text(block: bytes) -> str:
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _SyntaxError(f"invalid UTF-8 at byte {error.start}") from None


def _top_level_values(text: str) -> Iterator[tuple[object, str]]:
    """Each value of `text` and its own text. Raises _SyntaxError where the text stops being JSON."""
    position, end = 0, len(text)
    while True:
        while position < end and text[position] in _WHITESPACE:
            position += 1
        if position == end:
            return
        start = position
        try:
            value, position = DECODER.raw_decode(text, start)
            check_depth(text[start:position])
            if "\\u" in text[start:position]:
                check_surrogates(value)
        except RecursionError:
            raise _SyntaxError("value is nested too deeply") from None
        except ValueError as error:
            raise _SyntaxError(str(error)) from None
        yield value, text[start:position]
