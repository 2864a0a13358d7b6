"""One byte stream on its way to change batches: splitting at record boundaries, parsing, keeping what is incomplete.

Transports deliver arbitrary chunks. Whole records are parsed at once; the rest waits here. A record (or a JSON array)
that spans very many chunks would make splitting quadratic, as each try looks at all bytes again. So beyond
EAGER_SPLIT_BYTES without a boundary, the next try waits until the buffer has grown by an eighth (linear in total),
or until the reader is idle (`flush`). Not thread-safe; one per stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from millstream.formats.base import ParsedBlock, Parser
from millstream.pipeline.limits import EAGER_SPLIT_BYTES
from millstream.zset.changes import ChangeBatch

_GROWTH_DIVISOR = 8


@dataclass(frozen=True, slots=True)
class ParsedChunk:
    """What a chunk of bytes completed: records and errors, and how many bytes they took."""

    block: ParsedBlock
    num_bytes: int


_NOTHING = ParsedChunk(ParsedBlock(()), 0)


class InputStream:
    """The parser of one stream and the bytes that do not yet form a whole record."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._pieces: list[bytes] = []
        self._size = 0
        self._next_try = 0

    @property
    def pending_bytes(self) -> int:
        return self._size

    def feed(self, data: bytes, end: bool = False) -> ParsedChunk:
        """Take `data`; parse all records that are now whole. `end`: nothing follows; the parser starts afresh."""
        if data:
            self._pieces.append(data)
            self._size += len(data)
        if not end:
            return self._advance() if self._size >= self._next_try else _NOTHING
        chunk = self._parse_leading(self._join(), end=True)
        taken = ParsedChunk(chunk.block, self._size)
        self._pieces, self._size, self._next_try = [], 0, 0
        self._parser.restart()
        return taken

    def flush(self) -> ParsedChunk:
        """Parse what is whole, now that no more bytes are at hand."""
        return self._advance() if self._size and self._next_try else _NOTHING

    def _advance(self) -> ParsedChunk:
        buffer = self._join()
        chunk = self._parse_leading(buffer, end=False)
        rest = buffer[chunk.num_bytes :] if chunk.num_bytes else buffer
        self._pieces, self._size = ([rest] if rest else []), len(rest)
        self._next_try = self._size + self._size // _GROWTH_DIVISOR if self._size > EAGER_SPLIT_BYTES else 0
        return chunk

    def _parse_leading(self, buffer: bytes, end: bool) -> ParsedChunk:
        length = self._parser.split(buffer, end)
        if not length:
            return _NOTHING
        return ParsedChunk(self._parser.parse(buffer[:length] if length < len(buffer) else buffer), length)

    def _join(self) -> bytes:
        if len(self._pieces) == 1:
            return self._pieces[0]
        return b"".join(self._pieces)


def attribute_bytes(batches: tuple[ChangeBatch, ...], num_bytes: int) -> list[tuple[ChangeBatch, int]]:
    """Each batch with its share of `num_bytes` by rows; the last one takes what rounding leaves."""
    total = sum(batch.num_rows for batch in batches)
    shared: list[tuple[ChangeBatch, int]] = []
    left = num_bytes
    for batch in batches:
        share = num_bytes * batch.num_rows // total if total else 0
        shared.append((batch, share))
        left -= share
    if shared:
        batch, share = shared[-1]
        shared[-1] = (batch, share + left)
    return shared
