"""Soft deletion: a parser whose deletions arrive as insertions that are marked (connectors.md §14.5).

The mark is the connector metadata `is_delete`, which columns can only see in their DEFAULT. So a deleted row differs
from an inserted one in nothing but the defaults of the columns that its record left out. Two parsers read the same
bytes, one with each kind of defaults, and every row is taken from the one that is right for it; the second one works
only on blocks that hold a deletion.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.formats.base import ParsedBlock, Parser
from millstream.zset.changes import ChangeBatch, Operation

#: The metadata of a deleted row, as a VARIANT. Other rows have none.
DELETED_METADATA = '{"is_delete":true}'


class SoftDeleteParser(Parser):
    """`inserts` and `deletes` parse the same format into relations that differ in the columns' defaults only."""

    def __init__(self, inserts: Parser, deletes: Parser) -> None:
        self._inserts = inserts
        self._deletes = deletes

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        return self._inserts.split(buffer, end_of_input)

    def parse(self, block: bytes) -> ParsedBlock:
        parsed = self._inserts.parse(block)
        if all(batch.operations is None for batch in parsed.batches):
            return parsed
        # The two need not cut the block into the same batches: what is fast to parse depends on defaults, too.
        rows, marked = _joined(parsed.batches), _joined(self._deletes.parse(block).batches)
        return ParsedBlock((_merge(rows, marked),), parsed.errors)

    def restart(self) -> None:
        self._inserts.restart()
        self._deletes.restart()


def _joined(batches: tuple[ChangeBatch, ...]) -> ChangeBatch:
    """All rows as one batch. There are no updates: the table has no primary key."""
    if len(batches) == 1:
        return batches[0]
    columns = tuple(pa.concat_arrays(parts) for parts in zip(*(batch.columns for batch in batches), strict=True))
    operations = [
        np.full(batch.num_rows, Operation.INSERT, np.int8) if batch.operations is None else batch.operations
        for batch in batches
    ]
    return ChangeBatch(columns, sum(batch.num_rows for batch in batches), np.concatenate(operations))


def _merge(plain: ChangeBatch, marked: ChangeBatch) -> ChangeBatch:
    """All rows of `plain` inserted, its deletions with the columns of `marked`."""
    assert plain.num_rows == marked.num_rows, "defaults do not decide which records are good"
    assert plain.operations is not None
    places = np.arange(plain.num_rows) + np.where(plain.operations == Operation.DELETE, plain.num_rows, 0)
    columns = tuple(
        one if one.equals(other) else pa.concat_arrays([one, other]).take(pa.array(places))
        for one, other in zip(plain.columns, marked.columns, strict=True)
    )
    return ChangeBatch(columns, plain.num_rows)
