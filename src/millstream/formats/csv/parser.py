"""The CSV parser: splitting, then the fast path on a whole block, then the exact path if the fast one
declines."""

from __future__ import annotations

from millstream.formats.base import ParsedBlock, Parser
from millstream.formats.csv.config import CsvParserConfig
from millstream.formats.csv.exact import ExactParser, StreamState
from millstream.formats.csv.fast import FastParser
from millstream.formats.csv.split import RecordSplitter
from millstream.types import Relation

#: Below this size, reading character by character costs less than setting up the fast path.
SMALL_BLOCK_BYTES = 256


class CsvParser(Parser):
    """See `Parser`. Records are numbered from 1, headers not counted, since the start or the last
    `restart`."""

    def __init__(self, relation: Relation, config: CsvParserConfig) -> None:
        self._config = config
        self._exact = ExactParser(relation, config)
        self._fast = FastParser(relation, config)
        self._splitter = RecordSplitter(config)
        self._state = StreamState(1, config.headers)

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        if end_of_input:
            self._splitter.reset()
            return len(buffer)
        return self._splitter.split(buffer)

    def parse(self, block: bytes) -> ParsedBlock:
        fast = self._fast.parse(block, self._state) if len(block) >= SMALL_BLOCK_BYTES else None
        return self._exact.parse(block, self._state) if fast is None else fast

    def restart(self) -> None:
        self._splitter.reset()
        self._state = StreamState(1, self._config.headers)
