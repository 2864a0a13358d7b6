"""The JSON parser: splitting, then the fast path on a whole block, then the exact path if the fast one
declines.

Where values may span lines, the scanner of the fast path finds the boundary, too: as long as values are well-formed it
sees where each of them ends, and what it saw is kept for `parse`. So most bytes are looked at once.
"""

from __future__ import annotations

from millstream.formats.base import ParsedBlock, Parser
from millstream.formats.json.config import JsonParserConfig
from millstream.formats.json.exact import ExactParser
from millstream.formats.json.fast import Ahead, FastParser
from millstream.formats.json.split import ValueSplitter, split_lines
from millstream.types import Relation

#: Below this size, objects per record cost less than setting up the fast path.
SMALL_BLOCK_BYTES = 512
#: The fast path looks at a buffer again when it has grown by this factor since the splitter found no boundary.
_LEAST_GROWTH = 4


class JsonParser(Parser):
    """See `Parser`. Events are numbered from 1 since the start or the last `restart`."""

    def __init__(self, relation: Relation, config: JsonParserConfig) -> None:
        self._config = config
        self._exact = ExactParser(relation, config)
        self._fast = FastParser(relation, config)
        self._splitter = ValueSplitter()
        self._next_event = 1
        self._ahead: Ahead | None = None

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        self._ahead = None
        if end_of_input:
            self._splitter.reset()
            return len(buffer)
        if self._config.single_lines:
            return split_lines(buffer)
        # A large value that arrives in pieces is not scanned again for each of them.
        if not self._config.array and _LEAST_GROWTH * self._splitter.scanned <= len(buffer) >= SMALL_BLOCK_BYTES:
            ahead = self._fast.look_ahead(buffer)
            # It stops at what is not well-formed, which the splitter passes over.
            if ahead is not None and 2 * ahead.num_bytes >= len(buffer):
                self._splitter.reset()
                self._ahead = ahead
                return ahead.num_bytes
        return self._splitter.split(buffer)

    def parse(self, block: bytes) -> ParsedBlock:
        if len(block) < SMALL_BLOCK_BYTES:
            return self._parse_exactly(block)
        ahead, self._ahead = self._ahead, None
        fast = self._fast.parse(block, self._next_event, ahead)
        if fast is not None:
            self._next_event += fast[1]
            return fast[0]
        # Lines do not depend on one another, so the fast path may still have what lies around a broken one.
        middle = block.find(b"\n", len(block) // 2) + 1 if self._config.single_lines else 0
        if 0 < middle < len(block):
            first, second = self.parse(block[:middle]), self.parse(block[middle:])
            return ParsedBlock(first.batches + second.batches, first.errors + second.errors)
        return self._parse_exactly(block)

    def _parse_exactly(self, block: bytes) -> ParsedBlock:
        result = self._exact.parse(block, self._next_event)
        self._next_event += result.num_events
        return result.block

    def restart(self) -> None:
        self._ahead = None
        self._splitter.reset()
        self._next_event = 1
