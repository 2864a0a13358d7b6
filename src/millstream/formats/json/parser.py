"""The JSON parser: splitting, then the fast path on a whole block, then the exact path if the fast one
declines."""

from __future__ import annotations

from millstream.formats.base import ParsedBlock, Parser
from millstream.formats.json.config import JsonParserConfig
from millstream.formats.json.exact import ExactParser
from millstream.formats.json.fast import FastParser
from millstream.formats.json.split import ValueSplitter, split_lines
from millstream.types import Relation


class JsonParser(Parser):
    """See `Parser`. Events are numbered from 1 since the start or the last `restart`."""

    def __init__(self, relation: Relation, config: JsonParserConfig) -> None:
        self._config = config
        self._exact = ExactParser(relation, config)
        self._fast = FastParser(relation, config)
        self._splitter = ValueSplitter()
        self._next_event = 1

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        if end_of_input:
            self._splitter.reset()
            return len(buffer)
        if self._config.single_lines:
            return split_lines(buffer)
        return self._splitter.split(buffer)

    def parse(self, block: bytes) -> ParsedBlock:
        if not block:
            return ParsedBlock(())
        fast = self._fast.parse(block, self._next_event)
        if fast is not None:
            self._next_event += fast[1]
            return fast[0]
        result = self._exact.parse(block, self._next_event)
        self._next_event += result.num_events
        return result.block

    def restart(self) -> None:
        self._splitter.reset()
        self._next_event = 1
