"""Rows that an aggregate call takes once: DISTINCT and WITHIN DISTINCT.

A stage stands between the batch of a step and an accumulator. It passes on the rows by which a set changes, with +1
where a member is new and -1 where the last row that stands for it is gone. DISTINCT keeps the set of a group's argument
values, WITHIN DISTINCT that of its keys together with the arguments, and the number of different arguments of each key,
which must not exceed one at the end of a step. State is multiplicities by hash (distinct.py). Cost O(|delta|).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.operators.accumulators.base import GroupBatch
from millstream.operators.arrays import Integers
from millstream.operators.distinct import DistinctOperator
from millstream.operators.floors import Floors, SlotFloors
from millstream.operators.kernels import sum_weights
from millstream.operators.slots import SlotIndex, grown
from millstream.plan.nodes import AggregateCall
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class Stage(ABC):
    """What stands between the batch of a step and an accumulator."""

    @abstractmethod
    def pass_on(self, batch: GroupBatch) -> GroupBatch:
        """The part of the batch that the accumulator sees."""

    @abstractmethod
    def absorb(self, other: Self) -> None:
        """Adds the state of other groups, kept by an equal stage."""

    @abstractmethod
    def discard(self, floors: Floors) -> None:
        """Forgets what belongs to groups below their floors."""

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Values or keys that are kept."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of memory."""


class NewValues(Stage):
    """Passes on the rows by which the distinct values of `columns` in a group change. Rows whose filter is not TRUE or
    that are NULL in one of `required` have none."""

    def __init__(
        self,
        filter_column: int | None,
        required: Sequence[int],
        columns: Sequence[int],
        seeds: Seeds,
        floors: Sequence[int] = (),
    ) -> None:
        self._filter = filter_column
        self._required = tuple(required)
        self._columns = tuple(columns)
        self._distinct = DistinctOperator(seeds, floors)

    def pass_on(self, batch: GroupBatch) -> GroupBatch:
        weights = batch.masked_weights(self._filter, self._required)
        rows = np.flatnonzero(weights)
        chosen, signs = self._distinct.crossings(Delta(group_columns(batch, rows, self._columns), weights[rows]))
        rows = rows[chosen]
        positions = pa.array(rows)
        columns = tuple(column.take(positions) for column in batch.columns)
        return GroupBatch(columns, signs, batch.groups[rows], batch.slots, batch.keys, batch.capacity)

    def absorb(self, other: Self) -> None:
        self._distinct.absorb(other._distinct)

    def discard(self, floors: Floors) -> None:
        self._distinct.discard(floors)

    @property
    def num_rows(self) -> int:
        """Distinct values."""
        return self._distinct.state_rows

    @property
    def nbytes(self) -> int:
        return self._distinct.state_bytes


class OnePerKey(Stage):
    """Passes on one row for each key of WITHIN DISTINCT. Raises EvaluationError if rows of a key differ in an argument
    or sort key of the call."""

    def __init__(self, call: AggregateCall, seeds: Seeds, floors: Sequence[int] = ()) -> None:
        self._floors = SlotFloors(floors)
        keeps_nulls = call.function == "ARRAY_AGG"
        values = (*call.within, *call.arguments, *(key.column for key in call.order))
        self._values = NewValues(call.filter, () if keeps_nulls else call.arguments, values, seeds, floors)
        self._within = call.within
        self._function = call.function
        self._index = SlotIndex(seeds)
        self._counts: Integers = np.zeros(64, np.int64)

    def pass_on(self, batch: GroupBatch) -> GroupBatch:
        part = self._values.pass_on(batch)
        rows = np.arange(len(part.groups))
        columns = group_columns(part, rows, self._within)
        touched = self._index.touch(columns, len(rows))
        self._counts = grown(self._counts, self._index.capacity)
        counts = self._counts[touched.slots] + sum_weights(touched.groups, part.weights, touched.count)
        if (counts > 1).any():
            message = f"{self._function} WITHIN DISTINCT: more than one distinct value in agg UNIQUE_KEY"
            raise EvaluationError(message)
        self._counts[touched.slots] = counts
        self._floors.note(touched.slots, columns, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[counts == 0])
        self._index.release(touched.slots[counts == 0])
        return part

    def absorb(self, other: Self) -> None:
        self._values.absorb(other._values)
        moved = self._index.absorb(other._index)
        self._counts = moved.into(self._counts, other._counts)
        self._floors.absorb(other._floors, moved)

    def discard(self, floors: Floors) -> None:
        self._values.discard(floors)
        dead = self._floors.take_dead(floors)
        self._counts[dead] = 0
        self._index.release(dead)

    @property
    def num_rows(self) -> int:
        """Keys with their arguments."""
        return self._values.num_rows

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + self._index.nbytes + self._counts.nbytes


def group_columns(batch: GroupBatch, rows: Integers, columns: Sequence[int]) -> tuple[pa.Array, ...]:
    """The group columns and `columns` of the given rows of a batch."""
    groups, positions = pa.array(batch.groups[rows]), pa.array(rows)
    keys = tuple(key.take(groups) for key in batch.keys)
    return keys + tuple(batch.columns[c].take(positions) for c in columns)
