"""The exact CSV path: a character-by-character record reader and one conversion per field.

Slow and complete: it defines what the fast path must agree with. Lines end with CR, LF or both; empty lines
are skipped; a quote opens a quoted part only at the start of a field; what follows a closing quote is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from millstream.formats.base import ParsedBlock, ParseError
from millstream.formats.csv.config import CsvParserConfig
from millstream.formats.csv.values import field_converter
from millstream.formats.json.values import MISSING
from millstream.formats.rows import RecordError, Row, RowDecoder, build_batch, record_parse_error
from millstream.types import Relation
from millstream.zset.changes import Operation

_BLANKS = " \t\r\n\v\f"


@dataclass(slots=True)
class StreamState:
    """What the parser remembers of a stream: the number of the next record (a header has none), whether the
    header is still to come, and the number of fields that every record must have (`flexible = false`)."""

    next_event: int
    header_pending: bool
    num_fields: int | None = None


class ExactParser:
    """Parses blocks record by record."""

    def __init__(self, relation: Relation, config: CsvParserConfig) -> None:
        self._relation = relation
        self._config = config
        self._num_columns = len(relation.columns)
        convert = [field_converter(column.type) for column in relation.columns]
        self._decoder = RowDecoder(relation, convert, MISSING)
        self._empty_is_missing = [column.default is None for column in relation.columns]

    def parse(self, block: bytes, state: StreamState) -> ParsedBlock:
        """All records of `block`; `state` moves on."""
        rows: list[Row] = []
        errors: list[ParseError] = []
        for fields, text in read_records(block.decode("utf-8", "surrogateescape"), self._config):
            if state.num_fields is None:
                state.num_fields = len(fields)
            if state.header_pending:
                state.header_pending = False
                continue
            number = state.next_event
            state.next_event += 1
            try:
                rows.append(self._row(fields, text, state))
            except RecordError as error:
                shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                errors.append(record_parse_error("CSV", error, number, shown))
        return ParsedBlock((build_batch(self._relation, rows),) if rows else (), tuple(errors))

    def _row(self, fields: list[str], text: str, state: StreamState) -> Row:
        if not self._config.flexible and len(fields) != state.num_fields:
            raise RecordError(f"the record has {len(fields)} fields, the first one had {state.num_fields}")
        if any("\udc80" <= character <= "\udcff" for character in text):
            raise RecordError("invalid UTF-8")
        raw: list[object] = list(fields[: self._num_columns])
        raw.extend("" if empty else MISSING for empty in self._empty_is_missing[len(raw) :])
        return self._decoder.row(Operation.INSERT, raw)


def read_records(text: str, config: CsvParserConfig) -> Iterator[tuple[list[str], str]]:
    """The records of `text`: unquoted fields and the record's own text."""
    position, end = 0, len(text)
    while position < end:
        if text[position] in "\r\n":
            position += 1
        elif text[position] == config.comment:
            line_end = text.find("\n", position)
            position = end if line_end < 0 else line_end + 1
        else:
            start = position
            fields: list[str] = []
            more = True
            while more:
                field, position, more = _read_field(text, position, config)
                fields.append(field.strip(_BLANKS) if config.trim_fields else field)
            yield fields, text[start:position]


def _read_field(text: str, position: int, config: CsvParserConfig) -> tuple[str, int, bool]:
    """The field at `position`, where it ends (after its delimiter), and whether another one follows."""
    end = len(text)
    characters: list[str] = []
    if position < end and text[position] == config.quote:
        position = _read_quoted(text, position + 1, config, characters)
    while position < end:
        character = text[position]
        if character == config.delimiter:
            return "".join(characters), position + 1, True
        if character in "\r\n":
            break
        characters.append(character)
        position += 1
    return "".join(characters), position, False


def unquoted_field(text: str, config: CsvParserConfig) -> str:
    """The content of one field."""
    field, _, _ = _read_field(text, 0, config)
    return field.strip(_BLANKS) if config.trim_fields else field


def _read_quoted(text: str, position: int, config: CsvParserConfig, characters: list[str]) -> int:
    """Collect the characters of a quoted part; returns the position after the closing quote."""
    end = len(text)
    while position < end:
        character = text[position]
        if character == config.escape and position + 1 < end:
            characters.append(text[position + 1])
            position += 2
        elif character != config.quote:
            characters.append(character)
            position += 1
        elif config.double_quote and text[position + 1 : position + 2] == character:
            characters.append(character)
            position += 2
        else:
            return position + 1
    return position
