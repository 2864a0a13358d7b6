"""Recursive: the least fixed point of mutually recursive definitions, maintained under insertions and deletions.

Problem. X = distinct(F(I, X)) with F a circuit of ordinary incremental operators. Insertions may be propagated until
nothing changes. Deletions may not: two rows that derive each other would keep each other alive.

Rule for monotone F (after DBSP, Budiu et al., VLDB 2023, section 5: nested streams; iterations are levels as in
differential dataflow, McSherry et al., CIDR 2013). The outcome of naive iteration X0 = {}, Xn+1 = distinct(F(I, Xn)) is
kept in one relation: each row with its *level*, the iteration that finds it first. F carries levels along
(plan/recursion.py): what it derives has the greatest level of the rows that it is derived from. So the level of a row
is one more than the smallest level of its derivations, a MIN aggregate, and that MIN tells of every change. Changes of
levels are applied to X and fed to F in ascending order of level. A change at level n causes changes at higher
levels only, hence all derivations of level n are settled when rows of level n + 1 are decided, and a row never lives
on derivations that came from itself: those have higher levels than it.

Cost: what changes in the iterations. An edge that is on no shortest derivation costs one look at its row. A
row that stays but is found at another level costs as much as a deletion and an insertion. State: one entry for each
row, one for each derivation with its level, and that of F.

Other F (with aggregates, EXCEPT or outer joins over members) are unrolled: `Unrolled` keeps an instance of F for every
iteration, which sees what that iteration sees, and adds instances until two iterations agree. The result is what naive
iteration gives, whatever F does; state is that of all iterations together.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.aggregate import AggregateOperator
from millstream.operators.arrays import fixed_array, fixed_values
from millstream.operators.base import Inputs, Operator, concat_deltas
from millstream.operators.distinct import DistinctOperator
from millstream.plan.nodes import AggregateCall
from millstream.types.sql_type import BIGINT
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace

Types = Sequence[pa.DataType]
Changes = Sequence[Delta | None]
# Far beyond any useful recursion; one that does not end is stopped here.
MAX_ITERATIONS = 1_000_000
MAX_UNROLLED = 10_000


class Body(Protocol):
    """The definitions as one circuit: changes of external relations and of members in, changes of the bodies out."""

    def step(self, externals: Changes, members: Changes, context: EvaluationContext) -> list[Delta | None]:
        """The changes of all bodies."""

    @property
    def state_rows(self) -> int:
        """Entries kept."""

    @property
    def state_bytes(self) -> int:
        """Bytes of memory."""


def _not_converging(iterations: int) -> EvaluationError:
    return EvaluationError(f"Recursive view has no fixed point after {iterations} iterations")


class RecursiveOperator(Operator):
    """Base of both: `changes[m]` is the change of member m in the last step; the operator itself answers with the
    first member's, MemberOperator with another's."""

    kind = "recursive"

    def __init__(self) -> None:
        self.changes: list[Delta | None] = []

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        self.changes = self.fixed_point(inputs, context)
        return self.changes[0]

    @abstractmethod
    def fixed_point(self, externals: Changes, context: EvaluationContext) -> list[Delta | None]:
        """The changes of all members."""


class MemberOperator(Operator):
    """Another member of a recursion. It has the inputs of the recursive operator, and its place is after it."""

    kind = "recursive member"

    def __init__(self, recursive: RecursiveOperator, member: int) -> None:
        self._recursive = recursive
        self._member = member
        self.initial = recursive.initial

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        return self._recursive.changes[self._member]


class LevelledOperator(RecursiveOperator):
    """Monotone definitions. Members and bodies have their level, BIGINT, as last column."""

    def __init__(self, body: Body, member_types: Sequence[Types], seeds: Seeds) -> None:
        super().__init__()
        self._body = body
        self._seeds = seeds
        # Per member the lowest level of each row's derivations.
        self._lowest = [_lowest_level(types, seeds) for types in member_types]
        # Per member the changes that are still to be applied, by level.
        self._pending: list[dict[int, list[Delta]]] = [{} for _ in member_types]

    def fixed_point(self, externals: Changes, context: EvaluationContext) -> list[Delta | None]:
        count = len(self._lowest)
        applied: list[list[Delta]] = [[] for _ in range(count)]
        self._absorb(self._body.step(externals, [None] * count, context), context)
        iterations = 0
        while any(self._pending):
            level = min(min(pending) for pending in self._pending if pending)
            changes = [self._take(pending, level) for pending in self._pending]
            for change, total in zip(changes, applied, strict=True):
                if change is not None:
                    total.append(change.select(range(len(change.columns) - 1)))
            if any(change is not None for change in changes):
                self._absorb(self._body.step([None] * len(externals), changes, context), context)
            iterations += 1
            if iterations > MAX_ITERATIONS:
                raise _not_converging(iterations - 1)
        return [consolidate(concat_deltas(total), self._seeds) if total else None for total in applied]

    def _take(self, pending: dict[int, list[Delta]], level: int) -> Delta | None:
        parts = pending.pop(level, None)
        if parts is None:
            return None
        change = consolidate(concat_deltas(parts), self._seeds)
        return change if change.num_rows else None

    def _absorb(self, derivations: Changes, context: EvaluationContext) -> None:
        """Notes by which rows and levels members must change because of changed derivations."""
        for lowest, pending, delta in zip(self._lowest, self._pending, derivations, strict=True):
            change = None if delta is None else lowest.step([delta], context)
            if change is None or not change.num_rows:
                continue
            levels = fixed_values(change.columns[-1]) + 1
            column = fixed_array(pa.int64(), levels)
            change = Delta((*change.columns[:-1], column), change.weights)
            present = np.unique(levels).tolist()
            for level in present:
                part = change if len(present) == 1 else change.filter(levels == level)
                pending.setdefault(level, []).append(part)

    @property
    def state_rows(self) -> int:
        return self._body.state_rows + sum(lowest.state_rows for lowest in self._lowest)

    @property
    def state_bytes(self) -> int:
        return self._body.state_bytes + sum(lowest.state_bytes for lowest in self._lowest)


def _lowest_level(types: Types, seeds: Seeds) -> AggregateOperator:
    call = AggregateCall("MIN", (len(types),), BIGINT.with_nullable(False))
    return AggregateOperator((*types, pa.int64()), range(len(types)), [call], False, seeds)


class _Iteration:
    """One iteration: an instance of the definitions and the distinct rows of each member."""

    def __init__(self, body: Body, members: int, seeds: Seeds) -> None:
        self.body = body
        self.distinct = [DistinctOperator(seeds) for _ in range(members)]

    def step(self, externals: Changes, members: Changes, context: EvaluationContext) -> list[Delta | None]:
        changes = self.body.step(externals, members, context)
        return [None if c is None else d.change(c) for c, d in zip(changes, self.distinct, strict=True)]


class UnrolledOperator(RecursiveOperator):
    """Definitions of any kind: one instance an iteration."""

    initial = True

    def __init__(
        self,
        make_body: Callable[[], Body],
        external_types: Sequence[Types],
        member_types: Sequence[Types],
        seeds: Seeds,
    ) -> None:
        super().__init__()
        self._make_body = make_body
        self._seeds = seeds
        self._externals = [Trace(types, range(len(types)), seeds) for types in external_types]
        # What the last iteration gives, and by how much the one before it differs.
        self._last = [Trace(types, range(len(types)), seeds) for types in member_types]
        self._gaps = [Delta.empty(types) for types in member_types]
        self._iterations: list[_Iteration] = []

    def fixed_point(self, externals: Changes, context: EvaluationContext) -> list[Delta | None]:
        for trace, delta in zip(self._externals, externals, strict=True):
            if delta is not None:
                trace.insert(delta)
        totals: list[list[Delta]] = [[] for _ in self._last]
        changes: list[Delta | None] = [None] * len(self._last)
        for iteration in self._iterations:
            before = changes
            changes = iteration.step(externals, before, context)
            if iteration is self._iterations[-1]:
                self._note(changes, before, totals)
        while not self._iterations or any(gap.num_rows for gap in self._gaps):
            if len(self._iterations) >= MAX_UNROLLED:
                raise _not_converging(len(self._iterations))
            self._extend(totals, context)
        return [consolidate(concat_deltas(total), self._seeds) if total else None for total in totals]

    def _note(self, last: Changes, before: Changes, totals: list[list[Delta]]) -> None:
        """Adds the changes of the last two iterations."""
        for m, (mine, other) in enumerate(zip(last, before, strict=True)):
            parts = [self._gaps[m]]
            if mine is not None:
                self._last[m].insert(mine)
                totals[m].append(mine)
                parts.append(mine)
            if other is not None:
                parts.append(other.negate())
            self._gaps[m] = consolidate(concat_deltas(parts), self._seeds)

    def _extend(self, totals: list[list[Delta]], context: EvaluationContext) -> None:
        """One more iteration, over what the last one gives."""
        iteration = _Iteration(self._make_body(), len(self._last), self._seeds)
        self._iterations.append(iteration)
        present = [trace.snapshot().to_delta() for trace in self._last]
        externals = [trace.snapshot().to_delta() for trace in self._externals]
        results = iteration.step(externals, present, context)
        for m, (old, new) in enumerate(zip(present, results, strict=True)):
            parts = [old.negate()] if new is None else [old.negate(), new]
            gap = consolidate(concat_deltas(parts), self._seeds)
            self._gaps[m] = gap
            self._last[m].insert(gap)
            totals[m].append(gap)

    @property
    def state_rows(self) -> int:
        rows = sum(trace.num_rows for trace in (*self._externals, *self._last))
        return rows + sum(i.body.state_rows + sum(d.state_rows for d in i.distinct) for i in self._iterations)

    @property
    def state_bytes(self) -> int:
        size = sum(trace.nbytes for trace in (*self._externals, *self._last))
        return size + sum(i.body.state_bytes + sum(d.state_bytes for d in i.distinct) for i in self._iterations)
