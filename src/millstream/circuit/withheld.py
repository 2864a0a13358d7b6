"""Withheld records: WATERMARK of a table's column (sql.md §12.5).

A record with value c waits until a record with a value of at least c + w has been received, w being the watermark; then
it is as if it had just arrived. Records that are let out in the same step come in the order in which they arrived. One
without value (NULL) does not wait.

The records wait in the order of their values (operators/time_index.py): a step costs what comes and what is let out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.expressions.nodes import Expression
from millstream.operators.arrays import fixed_values, validity
from millstream.operators.base import concat_deltas
from millstream.operators.lateness import Waterline
from millstream.operators.ordering import word_codes
from millstream.operators.time_index import TimeIndex
from millstream.types import SqlType
from millstream.zset.changes import ChangeBatch, Operation
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class Withheld:
    """The records of one table that wait for its `column`. `patched`: some may be updates that lack columns."""

    def __init__(
        self, column: int, sql_type: SqlType, watermark: Expression, width: int, patched: bool, seeds: Seeds
    ) -> None:
        self._column = column
        self._width = width
        self._patched = patched
        self._reached = Waterline(column, sql_type, watermark)
        self._waiting = TimeIndex(seeds)
        self._arrived = 0

    def pass_on(self, batches: Sequence[ChangeBatch]) -> list[ChangeBatch]:
        """Takes the records of a step in, and gives those that need not wait any longer."""
        if not batches:
            return []
        came = concat_deltas([self._tagged(batch) for batch in batches])
        values = came.columns[self._column]
        self._reached.see(values)
        value = self._reached.value
        limit = 0 if value is None else int(word_codes(pa.array([value], value.type))[0]) + 1
        codes, valid = word_codes(values), validity(values)
        waits = np.zeros(len(codes), np.bool_) if limit >= 1 << 64 else codes >= np.uint64(limit)
        if valid is not None:
            waits &= valid
        released = self._waiting.take_below(limit)
        parts = [came.filter(~waits), *(() if released is None else (released,))]
        rows = np.flatnonzero(waits)
        self._waiting.insert(codes[rows], came.take(rows))
        out = concat_deltas(parts)
        return [self._batch(out)] if out.num_rows else []

    def _tagged(self, batch: ChangeBatch) -> Delta:
        """Records as rows: their columns, which of them are given, what each does, and its number."""
        count = batch.num_rows
        operations = np.ones(count, np.int8) if batch.operations is None else batch.operations
        numbers = np.arange(self._arrived, self._arrived + count)
        self._arrived += count
        given: list[pa.Array] = []
        if self._patched:
            masks = batch.present or (None,) * self._width
            given = [pa.array(np.ones(count, np.bool_) if mask is None else mask) for mask in masks]
        return Delta.inserts((*batch.columns, *given, pa.array(operations), pa.array(numbers)), count)

    def _batch(self, rows: Delta) -> ChangeBatch:
        """The records again, in the order in which they arrived."""
        ordered = rows.take(np.argsort(fixed_values(rows.columns[-1]), kind="stable"))
        operations = fixed_values(ordered.columns[-2]).astype(np.int8)
        given = ordered.columns[self._width : -2]
        present = None
        if self._patched and (operations == Operation.UPDATE).any():
            present = tuple(np.asarray(mask.to_numpy(zero_copy_only=False)) for mask in given)
        return ChangeBatch(tuple(ordered.columns[: self._width]), ordered.num_rows, operations, present)

    @property
    def state_rows(self) -> int:
        """Records that wait."""
        return self._waiting.num_rows

    @property
    def state_bytes(self) -> int:
        """Bytes of memory."""
        return self._waiting.nbytes
