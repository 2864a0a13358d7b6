"""Time indexes: rows in the order of one value, taken out from below.

State that waits for something monotone (the clock, a waterline) to pass a value of each row. What a move of it
concerns is found without looking at the rest.

A time index is a few parts, each sorted by the code of the value (ordering.py), of geometrically falling sizes: a new
delta is a new part, and neighbours are merged, in which rows that cancel vanish. Taking out what is below a limit cuts
the front of every part: O(parts x log n + rows taken). A part is copied when more than half of it has been taken, so
memory follows the rows that are there. Amortised O(log n) a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers, Words
from millstream.operators.base import concat_deltas
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds

_MAX_CODE = (1 << 64) - 1


@dataclass(slots=True)
class _Part:
    """Rows by ascending code; those before `start` are gone."""

    codes: Words
    delta: Delta
    start: int = 0

    @property
    def num_rows(self) -> int:
        return len(self.codes) - self.start


class TimeIndex:
    """Rows by code. Rows with equal codes have no order."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds
        self._parts: list[_Part] = []

    @property
    def num_rows(self) -> int:
        """Entries; some may cancel."""
        return sum(part.num_rows for part in self._parts)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(parts x columns)."""
        return sum(16 * len(p.codes) + sum(column.nbytes for column in p.delta.columns) for p in self._parts)

    def insert(self, codes: Words, delta: Delta) -> None:
        """Adds rows. Amortised O(rows log rows log state)."""
        if not delta.num_rows:
            return
        self._parts.append(_sorted(codes, delta))
        while len(self._parts) > 1 and self._parts[-2].num_rows <= 2 * self._parts[-1].num_rows:
            last, before = self._parts.pop(), self._parts.pop()
            merged = self._merge(before, last)
            if merged.num_rows:
                self._parts.append(merged)

    def take_below(self, limit: int) -> Delta | None:
        """Removes the rows with codes below `limit` and gives them, consolidated; None if there are none."""
        taken: list[Delta] = []
        for part in self._parts:
            # A code of Python's unlimited integers: beyond the greatest one, everything is below.
            end = len(part.codes)
            if limit <= _MAX_CODE:
                end = part.start + int(np.searchsorted(part.codes[part.start :], np.uint64(limit)))
            if end > part.start:
                taken.append(_slice(part.delta, part.start, end))
                part.start = end
                if 2 * end > len(part.codes):
                    part.codes, part.delta, part.start = part.codes[end:].copy(), _copy(part.delta, end), 0
        if not taken:
            return None
        self._parts = [part for part in self._parts if part.num_rows]
        rows = consolidate(concat_deltas(taken), self._seeds)
        return rows if rows.num_rows else None

    def _merge(self, first: _Part, second: _Part) -> _Part:
        tagged = [
            Delta((pa.array(part.codes[part.start :]), *rows.columns), rows.weights)
            for part in (first, second)
            for rows in (_slice(part.delta, part.start, len(part.codes)),)
        ]
        rows = consolidate(concat_deltas(tagged), self._seeds)
        codes = rows.columns[0].to_numpy(zero_copy_only=False).astype(np.uint64)
        return _sorted(codes, Delta(rows.columns[1:], rows.weights))


def _sorted(codes: Words, delta: Delta) -> _Part:
    order: Integers = np.argsort(codes, kind="stable")
    return _Part(codes[order], delta.take(order))


def _slice(delta: Delta, start: int, end: int) -> Delta:
    return Delta(tuple(column.slice(start, end - start) for column in delta.columns), delta.weights[start:end])


def _copy(delta: Delta, start: int) -> Delta:
    return delta.take(np.arange(start, delta.num_rows))
