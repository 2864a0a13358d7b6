"""What an operator is.

An operator turns the changes of its inputs into the change of its output. It is asked once a step, with one delta per
input (None: that input did not change), and answers with the change of its query's result. The sum of all answers is
the query evaluated on the sum of all inputs: that is the law every operator is tested against.

* Deltas need not be consolidated. An operator may emit rows whose weights cancel; only what leaves the circuit is
  consolidated.
* An operator is not called in a step in which no input changed, unless it is `initial` and the step is the first one
  (constants, global aggregates) or it is `volatile` (it depends on the time).
* State is private to the operator and partitioned by a key, except where its file says otherwise.
* Rows that cancel inside one step have not existed: an expression that fails on such a row must not fail the step.
  `settled` gives operators that evaluate expressions this behaviour at no cost when nothing fails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import numpy as np

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds
from millstream.zset.moving import concat_columns

Inputs = Sequence[Delta | None]
Result = TypeVar("Result")


class Operator(ABC):
    """Base of all operators."""

    kind: str
    initial: bool = False
    volatile: bool = False
    #: Has one input, maps each row on its own and keeps nothing: may be given parts of a delta in several threads.
    linear: bool = False

    @abstractmethod
    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        """The change of the output caused by the changes of the inputs; None or an empty delta for none."""

    def discard(self, floors: Sequence[int | None]) -> None:  # noqa: B027 - most operators have nothing to forget
        """Forgets state that no later change can touch, now that no later change is below these floors (floors.py): one
        for each column that the operator was told about when it was made. Amortised O(rows that came)."""

    @property
    def state_rows(self) -> int:
        """Entries kept between steps. Cheap."""
        return 0

    @property
    def state_bytes(self) -> int:
        """Bytes of memory kept between steps. Cheap."""
        return 0


class KeyedOperator(Operator):
    """One whose state is by key, so that there may be replicas, each with keys of its own (circuit/sharded.py)."""

    @abstractmethod
    def absorb(self, other: Self) -> None:
        """Adds the state of an equal operator that has seen rows of other keys, and must not be used afterwards.
        O(state of the other)."""


def settled(delta: Delta, seeds: Seeds, evaluate: Callable[[Delta], Result]) -> Result:
    """`evaluate(delta)`; if that fails, `evaluate` of the consolidated delta, without rows that cancel."""
    try:
        return evaluate(delta)
    except EvaluationError:
        return evaluate(consolidate(delta, seeds))


def concat_deltas(deltas: Sequence[Delta]) -> Delta:
    """All entries of one or more deltas with the same column types, in order."""
    if len(deltas) == 1:
        return deltas[0]
    columns = concat_columns([d.columns for d in deltas], [d.num_rows for d in deltas])
    return Delta(columns, np.concatenate([d.weights for d in deltas]))


def merge_parts(parts: Sequence[Delta | None]) -> Delta | None:
    """The sum of those parts that have rows; None if none has."""
    present = [part for part in parts if part is not None and part.num_rows]
    return concat_deltas(present) if present else None
