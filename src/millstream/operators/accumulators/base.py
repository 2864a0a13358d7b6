"""What an aggregate function is to the aggregate operator: an accumulator with one state per slot.

In a step the operator hands every accumulator the same `GroupBatch`; the accumulator changes the state of the touched
groups and answers with an `Update`: which groups' results may have changed, and result columns before and after.

Most functions are *linear*: state is a few numbers per group to which a batch adds its contribution, whatever its
sign, and a group without rows has zeros again. `LinearAccumulator` is all there is to them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask, fixed_values, validity
from millstream.operators.slots import Moved, grown
from millstream.zset.delta import Weights
from millstream.zset.hashing import Hashes

State = npt.NDArray[Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """Rows and the groups that they belong to.

    `groups[i]` is the number of row i's group among the `num_groups` touched ones, `slots[g]` the slot of group g,
    `keys` the group columns with one row per touched group, `hashes` their pairs of hashes (None where nothing asks for
    them). Slots are below `capacity`.
    """

    columns: Sequence[pa.Array]
    weights: Weights
    groups: Integers
    slots: Integers
    keys: Sequence[pa.Array]
    capacity: int
    hashes: tuple[Hashes, Hashes] | None = None
    _added: dict[int, Any] = field(default_factory=dict)
    _masked: dict[tuple[int | None, tuple[int, ...]], Weights] = field(default_factory=dict)

    @property
    def num_groups(self) -> int:
        """Number of touched groups."""
        return len(self.slots)

    def once(self, state: object, add: Callable[[GroupBatch], Result]) -> Result:
        """What `add` says when it adds this batch to a state that several calls share: called for the first of them."""
        key = id(state)
        if key not in self._added:
            self._added[key] = add(self)
        found: Result = self._added[key]
        return found

    def masked_weights(self, filter_column: int | None, arguments: Sequence[int]) -> Weights:
        """Weights, 0 for rows where the filter column is not TRUE or an argument is NULL. Remembered."""
        key = (filter_column, tuple(arguments))
        found = self._masked.get(key)
        if found is None:
            found = self._masked[key] = self._mask(filter_column, arguments)
        return found

    def _mask(self, filter_column: int | None, arguments: Sequence[int]) -> Weights:
        mask: Mask | None = None
        if filter_column is not None:
            mask = fixed_values(self.columns[filter_column])
        for argument in arguments:
            valid = validity(self.columns[argument])
            if valid is not None:
                mask = valid if mask is None else mask & valid
        return self.weights if mask is None else np.where(mask, self.weights, 0)


class Update(Protocol):
    """What a batch did to the results of the touched groups."""

    @property
    def changed(self) -> Mask:
        """Per touched group: whether its result may differ now."""

    def output(self, before: Integers, after: Integers) -> pa.Array:
        """The old results of the groups `before`, followed by the new ones of the groups `after`."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Groups that an aggregate forgets: their slots, the same as a mask of all slots, and which rows of group columns
    belong to other groups."""

    slots: Integers
    mask: Mask
    others: Callable[[Sequence[pa.Array]], Mask]

    def other_slots(self, slots: pa.Array) -> Mask:
        """Which rows belong to other groups, by their slots."""
        return ~self.mask[fixed_values(slots)]


class Accumulator(ABC):
    """State of one aggregate call."""

    @abstractmethod
    def update(self, batch: GroupBatch) -> Update:
        """Adds the batch."""

    @abstractmethod
    def vacant(self, slots: Integers) -> Mask:
        """Which of the slots hold the state of a group without rows."""

    @abstractmethod
    def clear(self, slots: Integers) -> None:
        """Makes vacant slots fit for other groups."""

    @abstractmethod
    def forget(self, gone: Forgotten) -> None:
        """Drops the state of groups that will not be asked for again."""

    def absorb(self, other: Self, moved: Moved) -> None:
        """Adds the state of other groups, kept by an equal accumulator; not for those that call Python code, of which
        there are no replicas. O(state of the other)."""
        raise NotImplementedError

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of memory."""

    @property
    def num_rows(self) -> int:
        """Entries of traces that the accumulator keeps."""
        return 0


@dataclass(frozen=True, slots=True)
class LinearUpdate:
    """States of the touched groups before and after, and how a result is made of states."""

    before: tuple[State, ...]
    after: tuple[State, ...]
    finish: Callable[..., pa.Array]

    @property
    def changed(self) -> Mask:
        differs: Mask = np.zeros(len(self.before[0]), np.bool_)
        for old, new in zip(self.before, self.after, strict=True):
            differs |= (old != new) if old.ndim == 1 else (old != new).any(axis=1)
        return differs

    def output(self, before: Integers, after: Integers) -> pa.Array:
        pairs = zip(self.before, self.after, strict=True)
        states = [np.concatenate((old.take(before, axis=0), new.take(after, axis=0))) for old, new in pairs]
        return self.finish(*states)


class LinearAccumulator(Accumulator):
    """`parts` are (dtype, width) of the state's members: a width of 1 is a number, more a row of numbers."""

    def __init__(self, parts: Sequence[tuple[Any, int]]) -> None:
        self._state: list[State] = [np.zeros(64 if width == 1 else (64, width), dtype) for dtype, width in parts]

    @abstractmethod
    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        """What the batch adds to each member of the state, per touched group."""

    @abstractmethod
    def finish(self, *state: State) -> pa.Array:
        """The result column for states. EvaluationError when a result cannot be represented."""

    def add(self, before: tuple[State, ...], more: tuple[State, ...]) -> tuple[State, ...]:
        """The sum of states."""
        return tuple(a + b for a, b in zip(before, more, strict=True))

    def update(self, batch: GroupBatch) -> LinearUpdate:
        self._state = [grown(member, batch.capacity) for member in self._state]
        # `take` asks for many rows at a time of memory that is far; an index array waits for each row of a wide member.
        before = tuple(member.take(batch.slots, axis=0) for member in self._state)
        after = self.add(before, self.contribution(batch))
        for member, new in zip(self._state, after, strict=True):
            member[batch.slots] = new
        return LinearUpdate(before, after, self.finish)

    def vacant(self, slots: Integers) -> Mask:
        empty = np.ones(len(slots), np.bool_)
        for member in self._state:
            zero = member[slots] == 0
            empty &= zero if zero.ndim == 1 else zero.all(axis=1)
        return empty

    def clear(self, slots: Integers) -> None:
        """Nothing to do: vacant slots are zeros."""

    def forget(self, gone: Forgotten) -> None:
        for member in self._state:
            member[gone.slots] = 0

    def absorb(self, other: Self, moved: Moved) -> None:
        self._state = [moved.into(mine, others) for mine, others in zip(self._state, other._state, strict=True)]

    @property
    def nbytes(self) -> int:
        return sum(member.nbytes for member in self._state)
