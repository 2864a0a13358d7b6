"""Final rows: what `emit_final` lets out of a view (sql.md §12.5).

Rows of the view wait, in the order of one column, until the view's waterline has passed them: then no later change has
that value of the column, so what has added up is final. It is let out once, and is never taken back. Rows whose value
is NULL are never final.
"""

from __future__ import annotations

import numpy as np

from millstream.operators.arrays import validity
from millstream.operators.ordering import word_codes
from millstream.operators.time_index import TimeIndex
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class FinalRows:
    """The rows of one view that wait for the waterline of `column`."""

    def __init__(self, column: int, seeds: Seeds) -> None:
        self._column = column
        self._waiting = TimeIndex(seeds)

    def advance(self, delta: Delta | None, floor: int | None) -> Delta | None:
        """Adds the view's change in a step; gives the rows below the waterline after it, consolidated. Amortised
        O(log n) a row."""
        if delta is not None and delta.num_rows:
            values = delta.columns[self._column]
            valid = validity(values)
            codes = word_codes(values)
            if valid is not None:
                rows = np.flatnonzero(valid)
                codes, delta = codes[rows], delta.take(rows)
            self._waiting.insert(codes, delta)
        return None if floor is None else self._waiting.take_below(floor)

    @property
    def state_rows(self) -> int:
        """Rows that wait."""
        return self._waiting.num_rows

    @property
    def state_bytes(self) -> int:
        """Bytes of memory."""
        return self._waiting.nbytes
