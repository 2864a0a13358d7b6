"""Discarding state that no later change can touch.

The circuit tells operators *floors*: codes (ordering.py) below which certain columns of their inputs never change again
(plan/waterlines.py). What lies below is dead; but finding it takes a look at all state. So an operator sweeps when its
state has grown to twice what the last sweep left: the cost is in proportion to what came since, and there is never more
than twice the live state and a constant.

A NULL is never below a floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask, Words, validity
from millstream.operators.ordering import Variants, word_codes
from millstream.operators.slots import Moved, group_rows, grown
from millstream.operators.windows.ordered import order_rows
from millstream.plan.nodes import SortKey
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds

Floors = Sequence[int | None]
"""One floor per column that an operator was told about; None: none yet."""

SMALLEST_SWEEP = 256


class Sweeps:
    """When to sweep."""

    def __init__(self) -> None:
        self._next = SMALLEST_SWEEP

    def due(self, size: int) -> bool:
        """Whether a state of so many entries is worth a sweep."""
        return size >= self._next

    def done(self, size: int) -> None:
        """A sweep has left so many entries."""
        self._next = max(SMALLEST_SWEEP, 2 * size)


def alive(column: pa.Array, floor: int | None) -> Mask:
    """Which values are not below the floor."""
    if floor is None:
        return np.ones(len(column), np.bool_)
    return alive_codes(word_codes(column), validity(column), floor)


def alive_codes(codes: Words, valid: Mask | None, floor: int) -> Mask:
    """The same for codes, NULL where not `valid`."""
    mask: Mask = codes >= np.uint64(floor)
    return mask if valid is None else mask | ~valid


def all_alive(columns: Sequence[pa.Array], chosen: Sequence[int], floors: Floors) -> Mask:
    """Which rows have no value below a floor in the columns `chosen`, one floor each."""
    mask: Mask | None = None
    for column, floor in zip(chosen, floors, strict=True):
        if floor is not None:
            one = alive(columns[column], floor)
            mask = one if mask is None else mask & one
    return np.ones(len(columns[0]), np.bool_) if mask is None else mask


def rows_alive(chosen: Sequence[int], floors: Floors) -> Callable[[Delta], Mask]:
    """`all_alive` of deltas, as Trace.retain asks."""
    return lambda rows: all_alive(rows.columns, chosen, floors)


def least(a: int | None, b: int | None) -> int | None:
    """The smaller floor; None if one is missing."""
    return None if a is None or b is None else min(a, b)


class SlotFloors:
    """The codes of some key columns by slot, for state that does not keep its keys (slots.py)."""

    def __init__(self, columns: Sequence[int]) -> None:
        self.columns = tuple(columns)
        self._codes: Words = np.zeros((64, len(self.columns)), np.uint64)
        # 0 where a slot is not in use, 1 where the value is NULL, 2 otherwise.
        self._kinds = np.zeros((64, len(self.columns)), np.int8)

    def note(self, slots: Integers, columns: Sequence[pa.Array], rows: Integers, capacity: int) -> None:
        """The keys of `slots` are those of `rows` of `columns`."""
        if not self.columns:
            return
        self._codes = grown(self._codes, capacity)
        self._kinds = grown(self._kinds, capacity)
        positions = pa.array(rows)
        for place, column in enumerate(self.columns):
            values = columns[column].take(positions)
            valid = validity(values)
            self._codes[slots, place] = word_codes(values)
            self._kinds[slots, place] = 2 if valid is None else np.where(valid, 2, 1)

    def forget(self, slots: Integers) -> None:
        """The slots are free."""
        if self.columns and len(slots):
            self._kinds[slots] = 0

    def absorb(self, other: SlotFloors, moved: Moved) -> None:
        """Adds those of slots that have moved."""
        if self.columns:
            self._codes = moved.into(self._codes, other._codes)
            self._kinds = moved.into(self._kinds, other._kinds)

    def take_dead(self, floors: Floors) -> Integers:
        """Frees the slots that have a key below a floor, and gives them. O(slots)."""
        dead = np.zeros(len(self._kinds), np.bool_)
        for place, floor in enumerate(floors):
            if floor is not None:
                dead |= (self._kinds[:, place] == 2) & (self._codes[:, place] < np.uint64(floor))
        slots = np.flatnonzero(dead)
        self.forget(slots)
        return slots


def places(
    delta: Delta, partition: Sequence[int], keys: Sequence[SortKey], width: int, variants: Variants, seeds: Seeds
) -> tuple[Integers, Integers]:
    """For each row of a consolidated delta, how many rows of its partition are before it, and how many behind it, in
    the order of `keys` and then of the first `width` columns."""
    groups = group_rows(delta.columns.select(partition), delta.num_rows, seeds).groups
    ordered = order_rows(delta, groups, keys, (delta.weights,), range(width), variants)
    counts = np.maximum(ordered.weights[0], 0)
    ends = np.cumsum(counts)
    starts = np.flatnonzero(ordered.partition_first)
    lengths = np.diff(np.append(starts, len(counts)))
    first = np.repeat((ends - counts)[starts], lengths)
    last = np.repeat(ends[starts + lengths - 1], lengths)
    before, behind = np.zeros(delta.num_rows, np.int64), np.zeros(delta.num_rows, np.int64)
    before[ordered.rows] = ends - counts - first
    behind[ordered.rows] = last - ends
    return before, behind
