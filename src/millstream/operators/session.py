"""Session: every row with the first and the last time of its session.

A session is the rows of one key of which each is less than a gap from the next. A step looks at the sessions that the
delta touches: from each changed row as far to both sides as there are rows less than a gap apart. Those rows are read
in order, cut into sessions as they were and as they are, and what differs is emitted.

Where the result carries columns of the key only, rows of one session are equal: the operator emits one entry for each
session, weighted by its rows, and a session that grows costs the rows that came and a read of those it had.

State: all rows, in an ordered trace by key and time. Sessions that ended a gap before the floor of the time, and keys
below floors, are forgotten. Cost: O(rows of the touched sessions x runs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.base import Inputs, KeyedOperator
from millstream.operators.floors import Floors, Sweeps, all_alive
from millstream.operators.kernels import sum_weights
from millstream.operators.ordering import from_word_codes, word_codes
from millstream.operators.windows.ordered_trace import OrderedRun, OrderedTrace, RunIndex
from millstream.operators.windows.run_kernels import PLACE, read_islands, session_bounds, touched_sessions
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.moving import gather_columns

_MAX_WORD = (1 << 64) - 1


class SessionOperator(KeyedOperator):
    """See plan.nodes.Session. `floored`: columns of `partition` that have floors; `ends`: whether the time has one."""

    kind = "session"

    def __init__(
        self,
        types: Sequence[pa.DataType],
        partition: Sequence[int],
        time_column: int,
        gap: int,
        kept: Sequence[int],
        seeds: Seeds,
        floored: Sequence[int] = (),
        ends: bool = False,
    ) -> None:
        self._time_type = types[time_column]
        self._gap = min(gap, _MAX_WORD)
        self._kept = tuple(kept)
        self._of_sessions = set(kept) <= set(partition)
        self._floored = tuple(floored)
        self._ends = ends
        self._sweeps = Sweeps()
        self._trace = OrderedTrace(types, partition, lambda columns: [word_codes(columns[time_column])], seeds)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None or not delta.num_rows:
            return None
        run = self._trace.build(delta)
        if not run.num_rows:
            return None
        runs = self._trace.index(run)
        gap = np.uint64(self._gap)
        starts, ends = touched_sessions(runs.index, runs.width, gap)
        sources, islands, places, before, change = read_islands(runs.index, starts, ends, runs.width)
        self._trace.insert(run)
        old, new = np.maximum(before, 0), np.maximum(before + change, 0)
        was_first, was_last, was_leader = session_bounds(islands, places, old, gap)
        is_first, is_last, is_leader = session_bounds(islands, places, new, gap)
        if self._of_sessions:
            old, new = _totals(was_leader, old), _totals(is_leader, new)
        same = (old > 0) & (new > 0) & (was_first == is_first) & (was_last == is_last)
        gone = np.flatnonzero((old > 0) & ~same)
        come = np.flatnonzero((new > 0) & ~same)
        more = np.flatnonzero(same & (old != new))
        rows = np.concatenate((gone, come, more))
        if not len(rows):
            return None
        first = np.concatenate((was_first[gone], is_first[come], is_first[more]))
        last = np.concatenate((was_last[gone], is_last[come], is_last[more]))
        weights = np.concatenate((-old[gone], new[come], (new - old)[more]))
        return Delta((*self._columns(runs, sources[rows]), self._times(first), self._times(last)), weights)

    def _columns(self, runs: RunIndex, sources: Integers) -> Sequence[pa.Array]:
        return runs.columns(sources, self._kept) if self._kept else ()

    def _times(self, codes: Words) -> pa.Array:
        return from_word_codes(self._time_type, codes)

    def absorb(self, other: Self) -> None:
        self._trace.absorb(other._trace)

    def discard(self, floors: Floors) -> None:
        """`floors`: those of some key columns, and, if so made, last, that of the time."""
        if not self._sweeps.due(self.state_rows):
            return
        if any(floor is not None for floor in floors):
            self._trace.sweep(lambda run: self._alive(run, floors))
        self._sweeps.done(self.state_rows)

    def _alive(self, run: OrderedRun, floors: Floors) -> Mask:
        limits = floors[: len(self._floored)]
        mask = np.ones(run.num_rows, np.bool_)
        if any(limit is not None for limit in limits):
            keys = gather_columns(
                [run.types[c] for c in self._floored],
                np.arange(run.num_rows),
                run.table[None],
                [run.columns],
                self._floored,
            )
            mask &= all_alive(keys, range(len(keys)), limits)
        if self._ends and floors[-1] is not None and floors[-1] >= self._gap:
            # Entries count whatever their weights, as in finding islands.
            everything = np.ones(run.num_rows, np.int64)
            places = np.ascontiguousarray(run.lines[:, PLACE])
            _, last, _ = session_bounds(_partitions(run), places, everything, np.uint64(self._gap))
            mask &= last > np.uint64(floors[-1] - self._gap)
        return mask

    @property
    def state_rows(self) -> int:
        return self._trace.num_rows

    @property
    def state_bytes(self) -> int:
        return self._trace.nbytes


def _totals(leaders: Integers, weights: Weights) -> Weights:
    """The weight of each session at its first row, 0 elsewhere."""
    present = np.flatnonzero(leaders >= 0)
    totals: Weights = sum_weights(leaders[present], weights[present], len(weights))
    return totals


def _partitions(run: OrderedRun) -> Integers:
    """The number of each entry's partition."""
    changes = np.any(run.lines[1:, :PLACE] != run.lines[:-1, :PLACE], axis=1)
    return np.concatenate(([0], np.cumsum(changes)))
