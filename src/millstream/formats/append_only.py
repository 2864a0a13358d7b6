"""Append-only tables: a parser that reports deletions instead of letting them through.

Operators keep less state for tables that promise never to delete, so a deletion must not reach them. It is a bad record
like any other: counted, reported, skipped.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.formats.base import ParsedBlock, ParseError, Parser
from millstream.zset.changes import ChangeBatch, Operation


class AppendOnlyParser(Parser):
    """What `parser` yields, without deletions from `table`."""

    def __init__(self, parser: Parser, table: str) -> None:
        self._parser = parser
        self._table = table

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        return self._parser.split(buffer, end_of_input)

    def parse(self, block: bytes) -> ParsedBlock:
        parsed = self._parser.parse(block)
        if all(batch.operations is None for batch in parsed.batches):
            return parsed
        kept = tuple(_insertions(batch) for batch in parsed.batches)
        refused = parsed.num_records - sum(batch.num_rows for batch in kept)
        text = f"table '{self._table}' is append-only: records cannot be deleted from it"
        return ParsedBlock(
            tuple(batch for batch in kept if batch.num_rows), parsed.errors + (ParseError(text),) * refused
        )

    def restart(self) -> None:
        self._parser.restart()


def _insertions(batch: ChangeBatch) -> ChangeBatch:
    """The rows that are inserted. There are no updates: the table has no primary key."""
    if batch.operations is None:
        return batch
    rows = np.flatnonzero(batch.operations == Operation.INSERT)
    places = pa.array(rows)
    return ChangeBatch(tuple(column.take(places) for column in batch.columns), len(rows))
