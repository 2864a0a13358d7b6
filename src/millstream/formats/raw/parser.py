"""The raw parser: a stream, or each of its lines, is a value.

Lines end with a newline, or with carriage return and newline; empty ones are skipped. Lines are cut with numpy on
whole blocks. Only when a block for a text column is not UTF-8, lines are looked at one by one to find the bad ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.formats.base import ParsedBlock, ParseError, Parser
from millstream.formats.raw.config import RawParserConfig
from millstream.formats.rows import absent_value, clip
from millstream.formats.utf8 import is_utf8
from millstream.types import Relation, arrow_type
from millstream.zset.changes import ChangeBatch

_NEWLINE, _RETURN = ord("\n"), ord("\r")
#: How many bytes of a bad value an error shows.
MAX_INVALID_BYTES = 256


class RawParser(Parser):
    """See `Parser`. Records are numbered from 1 since the start or the last `restart`."""

    def __init__(self, relation: Relation, config: RawParserConfig) -> None:
        self._relation = relation
        self._config = config
        self._name = relation.columns[config.column].name
        self._types = [arrow_type(column.type) for column in relation.columns]
        self._is_text = relation.columns[config.column].type.is_string
        self._others = [
            None if position == config.column else pa.scalar(absent_value(relation, position)[1], value_type)
            for position, value_type in enumerate(self._types)
        ]
        self._next_number = 1

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        if end_of_input:
            return len(buffer)
        return buffer.rfind(b"\n") + 1 if self._config.lines else 0

    def parse(self, block: bytes) -> ParsedBlock:
        if not block:
            return ParsedBlock(())
        offsets, data = _lines(block) if self._config.lines else _whole(block)
        first, self._next_number = self._next_number, self._next_number + len(offsets) - 1
        errors: list[ParseError] = []
        if self._is_text and not is_utf8(block):
            offsets, data, errors = self._without_bad_text(offsets, data, first)
        count = len(offsets) - 1
        if not count:
            return ParsedBlock((), tuple(errors))
        column_type = self._types[self._config.column]
        values = pa.Array.from_buffers(column_type, count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
        columns = tuple(values if other is None else pa.repeat(other, count) for other in self._others)
        return ParsedBlock((ChangeBatch(columns, count),), tuple(errors))

    def restart(self) -> None:
        self._next_number = 1

    def _without_bad_text(
        self, offsets: npt.NDArray[np.int64], data: bytes, first: int
    ) -> tuple[npt.NDArray[np.int64], bytes, list[ParseError]]:
        """The values that are UTF-8, and errors for the others."""
        good: list[bytes] = []
        errors: list[ParseError] = []
        for position, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            value = data[start:end]
            if is_utf8(value):
                good.append(value)
            else:
                errors.append(self._not_text(value, first + position))
        lengths = np.fromiter((len(value) for value in good), np.int64, len(good))
        return _offsets(lengths), b"".join(good), errors

    def _not_text(self, value: bytes, number: int) -> ParseError:
        return ParseError(
            description=f"failed to parse raw record: field '{self._name}': the bytes are not valid UTF-8",
            event_number=number,
            field=self._name,
            invalid_bytes=list(value[:MAX_INVALID_BYTES]),
            invalid_text=clip(value[:MAX_INVALID_BYTES].decode(errors="replace")),
            suggestion="use a VARBINARY column for data that is not text",
        )


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))


def _whole(block: bytes) -> tuple[npt.NDArray[np.int64], bytes]:
    """The block as one value."""
    return np.array([0, len(block)], np.int64), block


def _lines(block: bytes) -> tuple[npt.NDArray[np.int64], bytes]:
    """The lines of the block without their ends, empty ones left out: offsets into the bytes that remain."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    if block[-1] != _NEWLINE:
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    keep = data != _NEWLINE
    with_return = (ends > starts) & (data[np.maximum(ends - 1, 0)] == _RETURN)
    keep[ends[with_return] - 1] = False
    lengths = ends - starts - with_return
    return _offsets(lengths[lengths > 0]), data[keep].tobytes()
