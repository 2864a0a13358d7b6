"""Aggregate: GROUP BY with any number of aggregate calls.

Each group has a slot; counts of its rows and one state per call live in arrays indexed by slot (accumulators/).
A step touches the groups of the delta, updates their states, retracts the old output row of those that changed and
inserts the new one. Group columns are taken from the delta, so they are not kept. A group appears with its first row
and vanishes when its row count returns to zero; without group columns there is one group, always, from the first step.

DISTINCT calls see only the rows by which the set of a group's argument values changes (distinct_values.py keeps
their multiplicities); the accumulator behind is the same. WITHIN DISTINCT is another such stage
(accumulators/repeated.py). Cost O(|delta|), plus what MIN/MAX look up (extremes.py).

`floors` are positions among the group columns: groups below their floors are forgotten, and their output rows stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch, Update
from millstream.operators.accumulators.distinct_values import DistinctValues
from millstream.operators.accumulators.registry import COUNTS, AccumulatorFactory, handles_distinct
from millstream.operators.accumulators.repeated import NewValues, OnePerKey, Stage
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, KeyedOperator
from millstream.operators.floors import Floors, SlotFloors, Sweeps, all_alive
from millstream.operators.ordering import NO_VARIANTS, Variants
from millstream.operators.slots import Moved, SlotIndex, Touched
from millstream.plan.nodes import AggregateCall
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns, describe
from millstream.zset.hashing import Hashes, Seeds, hash_pairs
from millstream.zset.moving import take_columns


class _Call:
    """One aggregate call: its accumulator, behind the stages that take repeated values out."""

    def __init__(self, call: AggregateCall, factory: AccumulatorFactory, floors: Sequence[int], seeds: Seeds) -> None:
        self.accumulator: Accumulator
        self.stages: list[Stage] = []
        self._values: DistinctValues | None = None
        self._number = 0
        if call.function in COUNTS and not call.within:
            self.accumulator = factory.make_count(call)
            return
        distinct = bool(call.distinct and call.arguments and not handles_distinct(call.function))
        if distinct and not call.within:
            self.accumulator, self._values, self._number = factory.make_distinct(call)
            return
        self.accumulator = factory.make(call)
        if call.within:
            self.stages.append(OnePerKey(call, seeds, floors))
        if distinct:
            self.stages.append(NewValues(call.filter, call.arguments, call.arguments, seeds, floors))

    def absorb(self, other: _Call, moved: Moved) -> None:
        self.accumulator.absorb(other.accumulator, moved)
        for stage, its in zip(self.stages, other.stages, strict=True):
            stage.absorb(its)

    def update(self, batch: GroupBatch) -> Update:
        if self._values is not None:
            batch = self._values.new_values(batch, self._number)
        for stage in self.stages:
            batch = stage.pass_on(batch)
        return self.accumulator.update(batch)


class AggregateOperator(KeyedOperator):
    """Output: the group columns, then one column per call."""

    kind = "aggregate"

    def __init__(
        self,
        types: Sequence[pa.DataType],
        group: Sequence[int],
        calls: Sequence[AggregateCall],
        append_only: bool,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
        floors: Sequence[int] = (),
    ) -> None:
        self._floors = SlotFloors(floors)
        self._sweeps = Sweeps()
        self.initial = not group
        self._group = tuple(group)
        self._empty = Delta.empty(types)
        self._index = SlotIndex(seeds)
        self._live = 0
        self._emitted = False
        self._factory = AccumulatorFactory(types, group, append_only, seeds, variants, floors)
        self._tally = self._factory.tallies[0]
        self._rows = self._tally.count(None, ())
        self._calls = [_Call(call, self._factory, floors, seeds) for call in calls]
        self._seeds = seeds

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        delta = inputs[0]
        if delta is None:
            delta = self._empty
        if not delta.num_rows and (self._group or self._emitted):
            return None
        columns = delta.select(self._group)
        touched, hashes = self._touch(columns)
        keys = take_columns(columns.columns, touched.first)
        batch = GroupBatch(
            delta.columns, delta.weights, touched.groups, touched.slots, keys, self._index.capacity, hashes
        )
        tallied = self._tally.advance(batch)
        before, after = tallied.before[:, self._rows], tallied.after[:, self._rows]
        updates = [call.update(batch) for call in self._calls]
        result = self._emit(keys, before, after, updates)
        if self._group:
            self._live += int(np.count_nonzero(after)) - int(np.count_nonzero(before))
            self._floors.note(touched.slots, keys, np.arange(touched.count), self._index.capacity)
            self._release(touched.slots[after == 0])
        return result

    def _touch(self, columns: Delta) -> tuple[Touched, tuple[Hashes, Hashes] | None]:
        """The groups of a delta of the group columns and, for DISTINCT calls, their pairs of hashes."""
        wanted = bool(self._factory.distinct_values)
        if not self._group:
            one = np.zeros(1, np.int64)
            constant = hash_pairs((), describe(()), 1, self._seeds) if wanted else None
            return Touched(np.zeros(columns.num_rows, np.int64), one, one), constant
        hashes = hash_pairs(columns.columns, columns.table, columns.num_rows, self._seeds)
        touched = self._index.touch_hashed(hashes)
        return touched, (hashes[0][touched.first], hashes[1][touched.first]) if wanted else None

    def _emit(
        self,
        keys: Columns,
        before: Integers,
        after: Integers,
        updates: Sequence[Update],
    ) -> Delta:
        """The change of the groups' output rows."""
        existed, exists = before != 0, after != 0
        if not self._group:
            existed, exists = np.array([self._emitted]), np.array([True])
            self._emitted = True
        changed = existed != exists
        for update in updates:
            changed |= update.changed
        old = np.flatnonzero(existed & changed)
        new = np.flatnonzero(exists & changed)
        columns = take_columns(keys, np.concatenate((old, new))) + [update.output(old, new) for update in updates]
        return Delta(columns, np.repeat(np.array([-1, 1]), (len(old), len(new))))

    def _release(self, slots: Integers) -> None:
        """Frees the slots of groups without rows. One whose state is not that of an empty group (rows of negative
        multiplicity offset others) keeps its slot."""
        if not len(slots):
            return
        for tally in self._factory.tallies:
            slots = slots[tally.vacant(slots)]
        for call in self._calls:
            slots = slots[call.accumulator.vacant(slots)]
        for call in self._calls:
            call.accumulator.clear(slots)
        self._floors.forget(slots)
        self._index.release(slots)

    def absorb(self, other: Self) -> None:
        moved = self._index.absorb(other._index)
        self._live += other._live
        self._floors.absorb(other._floors, moved)
        for tally, its_tally in zip(self._factory.tallies, other._factory.tallies, strict=True):
            tally.absorb(its_tally, moved)
        for key, candidates in self._factory.candidates.items():
            candidates.absorb(other._factory.candidates[key], moved)
        for arguments, values in self._factory.distinct_values.items():
            values.absorb(other._factory.distinct_values[arguments])
        for call, its in zip(self._calls, other._calls, strict=True):
            call.absorb(its, moved)

    def discard(self, floors: Floors) -> None:
        if not self._sweeps.due(self.state_rows):
            return
        dead = self._floors.take_dead(floors)
        if len(dead):
            mask = np.zeros(self._index.capacity, np.bool_)
            mask[dead] = True
            gone = Forgotten(dead, mask, lambda keys: all_alive(keys, self._floors.columns, floors))
            for candidates in self._factory.candidates.values():
                candidates.forget(gone)
            for values in self._factory.distinct_values.values():
                values.discard(floors)
            for call in self._calls:
                call.accumulator.forget(gone)
                for stage in call.stages:
                    stage.discard(floors)
            self._live -= self._tally.live(dead, self._rows)
            for tally in self._factory.tallies:
                tally.forget(dead)
            self._index.release(dead)
        self._sweeps.done(self.state_rows)

    @property
    def state_rows(self) -> int:
        rows = self._live + sum(c.num_rows for c in self._factory.candidates.values())
        rows += sum(values.num_rows for values in self._factory.distinct_values.values())
        for call in self._calls:
            rows += call.accumulator.num_rows + sum(stage.num_rows for stage in call.stages)
        return rows

    @property
    def state_bytes(self) -> int:
        total = self._index.nbytes + sum(tally.nbytes for tally in self._factory.tallies)
        total += sum(c.nbytes for c in self._factory.candidates.values())
        total += sum(values.nbytes for values in self._factory.distinct_values.values())
        for call in self._calls:
            total += call.accumulator.nbytes + sum(stage.nbytes for stage in call.stages)
        return total
