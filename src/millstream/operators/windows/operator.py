"""The window operator: window functions over partitions, each in key order.

A step reads the partitions that the delta touches, computes the functions on their rows before and after, and emits the
rows that are new, gone, or have other values. All touched partitions are computed at once.

Functions that see a bounded number of rows have a state of their own (near_rows.py), of which only the rows near the
changed ones are looked at, as if those pieces were partitions. So have those whose frames begin with the partition
(running.py), which go on from checkpoints. What follows is for all others.

Two things narrow the work when every call has a RANGE frame. Only rows whose frame holds a changed row are computed.
And when all frames are bounded too, the state is keyed by *bucket* as well: the order key without its low bits, a
bucket being at least as wide as the frames reach to both sides together. What a changed row can affect, and all that is
needed to compute that, lies in its own bucket and the two next to it. Rows of the outer parts are there with a part of
their frame only, but those are not among the affected ones.

Cost: O(n log n) in the rows of the touched partitions (or buckets, or pieces). State: all rows, in one trace; but
partitions below floors are forgotten, and, where functions reach only so far (plan/reach.py), rows too far before the
floor of the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, Words, validity
from millstream.operators.base import Inputs, KeyedOperator, concat_deltas
from millstream.operators.floors import Floors, Sweeps, alive, places, rows_alive
from millstream.operators.ordering import NO_VARIANTS, Variants, has_word_codes, word_codes
from millstream.operators.slots import group_rows
from millstream.operators.windows.change import Side, changed_rows
from millstream.operators.windows.frames import Distances, frame_bounds
from millstream.operators.windows.functions import Partitions, TakenColumns, compile_call
from millstream.operators.windows.near_rows import near_rows
from millstream.operators.windows.ordered import Ordered, order_rows, repeat_first, segments
from millstream.operators.windows.running import running_rows
from millstream.plan.nodes import SortKey, WindowCall, WindowFrame
from millstream.plan.reach import Reach
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace

_MAX_WORD = (1 << 64) - 1
_MAX_SHIFT = 60


class WindowOperator(KeyedOperator):
    """See plan.nodes.Window."""

    kind = "window"

    def __init__(
        self,
        types: Sequence[pa.DataType],
        partition: Sequence[int],
        keys: Sequence[SortKey],
        calls: Sequence[WindowCall],
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
        floors: Sequence[int] = (),
        reach: Reach | None = None,
    ) -> None:
        self._variants = variants
        self._floors = tuple(floors)
        self._reach = reach
        self._sweeps = Sweeps()
        self._width = len(types)
        self._partition = tuple(partition)
        self._keys = tuple(keys)
        self._functions = [compile_call(call, types, seeds, variants) for call in calls]
        self._seeds = seeds
        self._frames = _range_frames(calls)
        shift = _bucket_shift(self._frames) if len(keys) == 1 and has_word_codes(types[keys[0].column]) else None
        self._shift = shift
        stored = (*types, pa.uint64()) if shift is not None else tuple(types)
        key = (*partition, self._width) if shift is not None else self._partition
        self._near = near_rows(types, self._partition, self._keys, calls, seeds)
        self._running = None
        if self._near is None:
            self._running = running_rows(types, self._partition, self._keys, calls, seeds, variants)
        self._trace = Trace(stored, key, seeds)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        if self._running is not None:
            return self._running.step(delta)
        if self._near is not None:
            near = self._near.step(delta)
            return self._change(near.rows, near.islands, near.before, near.change)
        delta = consolidate(delta, self._seeds)
        if not delta.num_rows:
            return None
        old, old_groups, groups = self._neighbourhood(delta) if self._shift is not None else self._partitions(delta)
        pool = concat_deltas([old, delta])
        nothing = (np.zeros(old.num_rows, np.int64), np.zeros(delta.num_rows, np.int64))
        before = np.concatenate((old.weights, nothing[1]))
        change = np.concatenate((nothing[0], delta.weights))
        return self._change(pool, np.concatenate((old_groups, groups)), before, change)

    def _change(self, pool: Delta, groups: Integers, before: Weights, change: Weights) -> Delta | None:
        """The change of the output, given rows of some partitions or pieces of them, and how often each row was and how
        that changes."""
        ties = range(self._width)
        ordered = order_rows(pool, groups, self._keys, (before, change), ties, self._variants)
        return self._difference(pool, ordered)

    def _partitions(self, delta: Delta) -> tuple[Delta, Integers, Integers]:
        """The rows of the touched partitions, the partition of each, and the partition of each row of the delta, which
        is added to the state."""
        touched = group_rows(delta.columns.select(self._partition), delta.num_rows, self._seeds)
        positions = pa.array(touched.first)
        keys = [delta.columns[p].take(positions) for p in self._partition]
        found = self._trace.probe(keys, touched.count)
        self._trace.insert(delta)
        return found.delta, found.probe_index, touched.groups

    def _neighbourhood(self, delta: Delta) -> tuple[Delta, Integers, Integers]:
        """The same, but only the rows of the touched buckets and those next to them."""
        assert self._shift is not None
        partition_columns = [delta.columns[p] for p in self._partition]
        partitions = group_rows(partition_columns, delta.num_rows, self._seeds)
        column = delta.columns[self._keys[0].column]
        words = word_codes(column)
        buckets = words >> np.uint64(self._shift)
        valid = validity(column)
        mask = None if valid is None else ~valid
        highest = np.uint64(_MAX_WORD >> self._shift)
        one = np.uint64(1)
        around = np.concatenate((buckets - (buckets > 0), buckets, np.minimum(buckets, highest - one) + one))
        rows = np.tile(np.arange(delta.num_rows), 3)
        masks = None if mask is None else np.tile(mask, 3)
        wanted = [c.take(pa.array(rows)) for c in partition_columns]
        wanted.append(pa.array(around, mask=masks))
        distinct = group_rows(wanted, len(rows), self._seeds).first
        positions = pa.array(distinct)
        found = self._trace.probe([c.take(positions) for c in wanted], len(distinct))
        self._trace.insert(Delta((*delta.columns, pa.array(buckets, mask=mask)), delta.weights))
        groups = partitions.groups[rows[distinct]][found.probe_index]
        return found.delta.select(range(self._width)), groups, partitions.groups

    def _difference(self, pool: Delta, ordered: Ordered) -> Delta | None:
        """The change of the output: rows of the pool with the values before and after."""
        before, change = ordered.weights
        old = np.maximum(before, 0)
        new = np.maximum(before + change, 0)
        if self._near is None:
            affected = self._affected(pool, ordered, old != new)
        else:
            affected = self._near.affected(ordered, old, new)
        sides = [self._compute(pool, ordered, counts, affected) for counts in (old, new)]
        return changed_rows(pool, affected, old, new, *sides)

    def _affected(self, pool: Delta, ordered: Ordered, changed: Mask) -> Integers:
        """The ordered rows whose values may change."""
        if self._frames is None:
            return np.arange(len(changed))
        bounds = segments(ordered.partition_first, ordered.peer_first)
        distances = self._distances(pool.columns, ordered.rows)
        seen = np.concatenate(([0], np.cumsum(changed)))
        affected = changed.copy()
        for frame in self._frames:
            low, high = frame_bounds(frame, bounds, distances)
            affected |= seen[high] > seen[low]
        return np.flatnonzero(affected)

    def _compute(self, pool: Delta, ordered: Ordered, counts: Weights, affected: Integers) -> Side:
        """The affected rows, each as often as `counts` says, and the values of all calls there."""
        rows = np.repeat(ordered.rows, counts)
        instances = TakenColumns(pool.columns, rows)
        bounds = segments(repeat_first(ordered.partition_first, counts), repeat_first(ordered.peer_first, counts))
        distances = self._distances(instances, np.arange(len(rows)))
        partitions = Partitions(instances, bounds, distances)
        marks = np.zeros(len(counts), np.bool_)
        marks[affected] = True
        chosen = np.flatnonzero(np.repeat(marks, counts))
        return Side(rows[chosen], tuple(function(partitions, chosen) for function in self._functions))

    def _distances(self, columns: Sequence[pa.Array], rows: Integers) -> Distances | None:
        """The order key of these rows for RANGE frames; None where it has no distances."""
        if len(self._keys) != 1:
            return None
        key = self._keys[0]
        column = columns[key.column]
        if not has_word_codes(column.type):
            return None
        words: Words = word_codes(column)[rows]
        valid = validity(column)
        nulls = np.zeros(len(rows), np.bool_) if valid is None else ~valid[rows]
        return Distances(~words if key.descending else words, nulls)

    def absorb(self, other: Self) -> None:
        if self._near is not None and other._near is not None:
            self._near.absorb(other._near)
        elif self._running is not None and other._running is not None:
            self._running.absorb(other._running)
        else:
            self._trace.absorb(other._trace)

    def discard(self, floors: Floors) -> None:
        """`floors`: those of some partition columns, and with a reach, last, that of the order key."""
        if not self._sweeps.due(self.state_rows):
            return
        limits = floors[: len(self._floors)]
        state = self._near or self._running or self._trace
        if any(limit is not None for limit in limits):
            state.retain(rows_alive(self._floors, limits))
        if self._reach is not None and floors[-1] is not None:
            self._discard_before(self._reach, floors[-1])
        self._sweeps.done(self.state_rows)

    def _discard_before(self, reach: Reach, floor: int) -> None:
        """Drops rows that are too far before the floor to matter. Codes of times and integers have their distances."""
        if reach.needs is not None:
            limit = max(floor - reach.needs, 0)
            self._trace.retain(lambda rows: alive(rows.columns[reach.column], limit))
            return
        if self._near is not None:
            self._near.retain(lambda rows: self._within(rows, reach, floor))
            return
        rows = self._trace.snapshot().to_delta()
        self._trace.replace(rows.filter(self._within(rows, reach, floor)))

    def _within(self, rows: Delta, reach: Reach, floor: int) -> Mask:
        """Which of all rows are not below the floor, or no more than the reach in rows before it."""
        assert reach.rows is not None
        kept = alive(rows.columns[reach.column], floor)
        old = np.flatnonzero(~kept)
        below = rows.take(old)
        before, behind = places(below, self._partition, self._keys, self._width, self._variants, self._seeds)
        distance = before if self._keys[0].descending else behind
        kept[old[distance < reach.rows]] = True
        return kept

    @property
    def state_rows(self) -> int:
        return (self._near or self._running or self._trace).num_rows

    @property
    def state_bytes(self) -> int:
        return (self._near or self._running or self._trace).nbytes


def _range_frames(calls: Sequence[WindowCall]) -> tuple[WindowFrame, ...] | None:
    """The frames of all calls if each has one and it is a RANGE."""
    frames = []
    for call in calls:
        if call.frame is None or call.frame.rows:
            return None
        frames.append(call.frame)
    return tuple(dict.fromkeys(frames))


def _bucket_shift(frames: Sequence[WindowFrame] | None) -> int | None:
    """The number of low bits of the order key that its bucket lacks; None if a frame is not bounded or so
    wide that buckets make no sense."""
    if frames is None:
        return None
    before = after = 0
    for frame in frames:
        if frame.low is None or frame.high is None:
            return None
        before = max(before, -frame.low, -frame.high)
        after = max(after, frame.high, frame.low)
    shift = (before + after).bit_length()
    return shift if shift < _MAX_SHIFT else None
