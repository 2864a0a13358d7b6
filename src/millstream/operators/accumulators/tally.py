"""Tallies: how many rows, or distinct values, each group has of all the kinds that somebody counts.

An aggregate operator counts the rows of each group, and so do COUNT calls under their filters and over their arguments.
All these numbers are columns of one matrix with a row per slot, so that a step changes them in a few calls, however
many there are. Calls that count the same share a column; COUNT(DISTINCT ...) counts what distinct_values.py finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch
from millstream.operators.accumulators.distinct_values import DistinctValues
from millstream.operators.arrays import Integers, Mask
from millstream.operators.kernels import count_rows
from millstream.operators.slots import Moved, grown

_Key = tuple[int | None, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Tallied:
    """The counts of the touched groups before and after a batch: a row per group, a column per kind."""

    before: Integers
    after: Integers
    differs: npt.NDArray[np.bool_]


class Tally:
    """Counts per group. `advance` adds a batch, once however many ask."""

    def __init__(self) -> None:
        self._plain: list[_Key] = []
        self._plain_columns: list[int] = []
        self._distinct: list[tuple[DistinctValues, int, int]] = []
        self._width = 0
        self._counts: Integers = np.zeros((64, 0), np.int64)
        self._tallied: Tallied | None = None

    def count(self, filter_column: int | None, arguments: Sequence[int]) -> int:
        """The column that counts rows whose filter is TRUE and whose arguments are not NULL. Before the first batch."""
        key = (filter_column, tuple(arguments))
        if key not in self._plain:
            self._plain.append(key)
            self._plain_columns.append(self._add_column())
        return self._plain_columns[self._plain.index(key)]

    def count_distinct(self, values: DistinctValues, number: int) -> int:
        """The column that counts the distinct values of filter `number`. Before the first batch."""
        for others, other_number, column in self._distinct:
            if others is values and other_number == number:
                return column
        column = self._add_column()
        self._distinct.append((values, number, column))
        return column

    def _add_column(self) -> int:
        self._width += 1
        self._counts = np.zeros((len(self._counts), self._width), np.int64)
        return self._width - 1

    def advance(self, batch: GroupBatch) -> Tallied:
        """Adds the batch, unless that has been done, and says what it did."""
        if id(self) not in batch.advanced or self._tallied is None:
            batch.advanced.add(id(self))
            self._tallied = self._advance(batch)
        return self._tallied

    def _advance(self, batch: GroupBatch) -> Tallied:
        more = np.zeros((batch.num_groups, self._width), np.int64)
        if self._plain:
            weights = [batch.masked_weights(*key) for key in self._plain]
            count_rows(batch.groups, np.array(weights), np.array(self._plain_columns), more)
        for values in {id(values): values for values, _, _ in self._distinct}.values():
            wanted = [(number, column) for others, number, column in self._distinct if others is values]
            numbers, columns = np.array(wanted).T
            found = values.advance(batch)
            count_rows(found.groups, found.signs[numbers], columns.copy(), more)
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
