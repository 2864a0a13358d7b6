"""Tallies: how many rows, or distinct values, each group has of all the kinds that somebody counts.

An aggregate operator counts the rows of each group, and so do COUNT calls under their filters and over their arguments.
All these numbers are columns of one matrix with a row per slot, so that a step changes them in a few calls, however
many there are. Calls that count the same share a column; COUNT(DISTINCT ...) counts what distinct_values.py finds.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch
from millstream.operators.accumulators.distinct_values import DistinctValues
from millstream.operators.arrays import Integers, Mask
from millstream.operators.kernels import count_rows
from millstream.operators.slots import Moved, grown

_Key = tuple[int | None, tuple[int, ...]]
_Counted = TypeVar("_Counted", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Tallied:
    """The counts of the touched groups before and after a batch: a row per group, a column per kind."""

    before: Integers
    after: Integers
    differs: npt.NDArray[np.bool_]


class Tally:
    """Counts per group."""

    def __init__(self) -> None:
        # The columns of counts of rows, and of the distinct values of each filter.
        self._plain: dict[_Key, int] = {}
        self._distinct: dict[DistinctValues, dict[int, int]] = {}
        self._counts: Integers = np.zeros((64, 0), np.int64)

    def count(self, filter_column: int | None, arguments: Sequence[int]) -> int:
        """The column that counts rows whose filter is TRUE and whose arguments are not NULL. Before the first batch."""
        return self._column(self._plain, (filter_column, tuple(arguments)))

    def count_distinct(self, values: DistinctValues, number: int) -> int:
        """The column that counts the distinct values of filter `number`. Before the first batch."""
        return self._column(self._distinct.setdefault(values, {}), number)

    def _column(self, columns: dict[_Counted, int], counted: _Counted) -> int:
        width = self._counts.shape[1]
        if counted not in columns:
            columns[counted] = width
            self._counts = np.zeros((64, width + 1), np.int64)
        return columns[counted]

    def advance(self, batch: GroupBatch) -> Tallied:
        """Adds the batch, once however many calls share this, and says what it did."""
        return batch.once(self, self._advance)

    def _advance(self, batch: GroupBatch) -> Tallied:
        more = np.zeros((batch.num_groups, self._counts.shape[1]), np.int64)
        if self._plain:
            weights = np.array([batch.masked_weights(*key) for key in self._plain])
            count_rows(batch.groups, weights, np.array(list(self._plain.values())), more)
        for values, columns in self._distinct.items():
            found = values.advance(batch)
            count_rows(found.groups, found.signs[list(columns)], np.array(list(columns.values())), more)
        self._counts = grown(self._counts, batch.capacity)
        before: Integers = self._counts[batch.slots]
        after: Integers = before + more
        self._counts[batch.slots] = after
        return Tallied(before, after, more != 0)

    def live(self, slots: Integers, column: int) -> int:
        """How many of the slots have a count in that column."""
        return int(np.count_nonzero(self._counts[slots, column]))

    def vacant(self, slots: Integers) -> Mask:
        """Which slots count nothing."""
        empty: Mask = (self._counts[slots] == 0).all(axis=1)
        return empty

    def forget(self, slots: Integers) -> None:
        """Makes the slots count nothing."""
        self._counts[slots] = 0

    def absorb(self, other: Tally, moved: Moved) -> None:
        """Adds the counts of other groups."""
        self._counts = moved.into(self._counts, other._counts)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._counts.nbytes


@dataclass(frozen=True, slots=True)
class CountUpdate:
    """The counts in one column of a tally."""

    tallied: Tallied
    column: int

    @property
    def changed(self) -> Mask:
        return self.tallied.differs[:, self.column]

    def counts(self, before: Integers, after: Integers) -> Integers:
        """The old counts of the groups `before`, followed by the new ones of the groups `after`."""
        old, new = self.tallied.before[:, self.column], self.tallied.after[:, self.column]
        return np.concatenate((old[before], new[after]))

    def output(self, before: Integers, after: Integers) -> pa.Array:
        return pa.array(self.counts(before, after))


class CountAccumulator(Accumulator):
    """COUNT(*), COUNT(...), COUNT(DISTINCT ...): a column of a tally, whose owner looks after its slots."""

    def __init__(self, tally: Tally, column: int) -> None:
        self._tally = tally
        self._column = column

    def update(self, batch: GroupBatch) -> CountUpdate:
        return CountUpdate(self._tally.advance(batch), self._column)

    def vacant(self, slots: Integers) -> Mask:
        return np.ones(len(slots), np.bool_)

    def clear(self, slots: Integers) -> None:
        """Nothing to do: vacant slots are zeros."""

    def forget(self, gone: Forgotten) -> None:
        """Nothing to do: the tally forgets."""

    def absorb(self, other: Self, moved: Moved) -> None:
        """Nothing to do: the tally absorbs."""

    @property
    def nbytes(self) -> int:
        return 0
