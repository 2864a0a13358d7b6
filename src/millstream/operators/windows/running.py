"""The state of windows with functions whose frames begin with the partition: running sums, ranks, first values.

A change affects the rows from its place on. Those before it are not looked at again: they are summed up in
*checkpoints*. Every hundred rows or so, after all rows of a place, there is one with the states of all functions there
(running_functions.py). So a step begins at the last checkpoint before a change, and reads rows up to the next one
behind it. Are the states there the same as before the step, then no later row has another value, and that was all; if
not, it reads on, sixteen times as far, and in the end to the end of the partition. An append to a partition of any size
reads the few rows behind its last checkpoint; one in the middle of a running sum reads all later rows, whose values do
change.

Such a stretch is a *piece*. Pieces are read in order and treated as if they were partitions, but for the states that
they begin with. Then the checkpoints inside are made anew; those with the same states at the same places stay as they
are. State: an ordered trace of all rows, and one of the checkpoints. Partitions of few rows have none.

Functions that see a bounded number of rows may take part: pieces begin so many rows earlier and end so many later; and
if they see rows further down, pieces end with their partitions.

Cost: O(rows of pieces x runs). As in near_rows.py, the first order key must have words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.arrays import Integers, Mask
from millstream.operators.base import concat_deltas, merge_parts
from millstream.operators.kernels import sum_weights
from millstream.operators.ordering import NO_VARIANTS, Variants
from millstream.operators.windows.change import Side, changed_rows
from millstream.operators.windows.checkpoint_kernels import (
    NONE,
    choose_places,
    copy_lines,
    extend_pieces,
    find_pieces,
    first_of_places,
    inner_checkpoints,
    piece_bounds,
)
from millstream.operators.windows.functions import Partitions, TakenColumns
from millstream.operators.windows.ordered import Ordered, order_rows, repeat_first, segments
from millstream.operators.windows.ordered_trace import OrderedTrace, RunIndex
from millstream.operators.windows.places import leading_keys, place_words
from millstream.operators.windows.run_kernels import MATRIX, read_islands
from millstream.operators.windows.running_calls import RunningCalls, running_calls
from millstream.operators.windows.running_functions import Pieces, Running, State
from millstream.plan.nodes import SortKey, WindowCall
from millstream.zset.delta import Delta, Weights
from millstream.zset.equality import equal_values
from millstream.zset.hashing import Seeds

# Rows from one checkpoint to the next, about: what is read for nothing, against the memory of checkpoints.
_SPACING = 64
# If the states have not become equal, so many times as far is read.
_FURTHER = 16


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where pieces begin and end: a changed entry of each, the sources of the checkpoints before and after it."""

    entries: Integers
    before: Integers
    after: Integers

    def only(self, chosen: Integers) -> _Cut:
        return _Cut(self.entries[chosen], self.before[chosen], self.after[chosen])


@dataclass(frozen=True, slots=True)
class _View:
    """One side of pieces: the rows of the pool, and the functions."""

    rows: Integers
    pieces: Pieces
    functions: tuple[Running, ...]

    def states(self, owners: Integers, ends: Integers) -> State:
        return tuple(column for function in self.functions for column in function.states(owners, ends))

    def ends(self) -> Integers:
        """Where each piece ends."""
        return np.append(self.pieces.starts[1:], len(self.rows))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Pieces that were read: their rows, in the order of their lines with sources, and in their true order with the
    number of each row before the step and after it."""

    cut: _Cut
    pool: Delta
    sources: Integers
    islands: Integers
    ordered: Ordered
    old: Weights
    new: Weights
    before: _View
    after: _View

    def open_ones(self) -> Mask:
        """The pieces at whose ends the states are not what they were."""
        differ = np.zeros(len(self.cut.entries), np.bool_)
        ending = np.flatnonzero(self.cut.after != NONE)
        if len(ending):
            numbers = np.arange(len(ending))
            sides = [view.states(ending, view.ends()[ending]) for view in (self.before, self.after)]
            for old, new in zip(*sides, strict=True):
                differ[ending] |= ~equal_values(old, numbers, new, numbers)
        return differ


class RunningRows:
    """All rows, by partition and order, with checkpoints."""

    def __init__(
        self,
        types: Sequence[pa.DataType],
        partition: Sequence[int],
        keys: Sequence[SortKey],
        calls: RunningCalls,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        self._columns = range(len(types))
        self._keys = tuple(keys)
        self._calls = calls
        self._variants = variants
        leading = leading_keys(types, keys)
        self._trace = OrderedTrace(types, partition, lambda columns: place_words(columns, leading), seeds)
        self._state_types = tuple(t for function in calls.functions for t in function.types)
        self._checkpoints = OrderedTrace(self._state_types, (), None, seeds)

    def step(self, delta: Delta) -> Delta | None:
        """Adds a delta, and gives the change of the output."""
        run = self._trace.build(delta)
        if not run.num_rows:
            return None
        rows = self._trace.index(run)
        marks = self._checkpoints.index()
        stretches = self._stretches(rows, marks)
        self._trace.insert(run)
        for stretch, chosen in stretches:
            self._renew(rows, marks, stretch, chosen)
        return merge_parts([self._change(stretch, chosen) for stretch, chosen in stretches])

    def _stretches(self, rows: RunIndex, marks: RunIndex) -> list[tuple[Stretch, Mask]]:
        """What the step changes, in a few stretches, each with the pieces of it that count."""
        width = rows.width
        entries, before, after, ends = find_pieces(
            rows.index, marks.index, np.int64(self._calls.reach), self._calls.to_end, width
        )
        cut = _Cut(entries, before, after)
        # Each piece is at home in a stretch once its end is found.
        homes = np.full(len(entries), -1, np.int64)
        numbers = np.zeros(len(entries), np.int64)
        stretches: list[Stretch] = []
        steps = _FURTHER
        while True:
            wanted = np.flatnonzero(homes < 0)
            stretch = self.read(rows, marks, cut.only(wanted))
            still_open = np.zeros(len(homes), np.bool_)
            still_open[wanted] = stretch.open_ones()
            done = wanted[~still_open[wanted]]
            homes[done] = len(stretches)
            numbers[wanted] = np.arange(len(wanted))
            stretches.append(stretch)
            if not still_open.any():
                break
            kept, changed = extend_pieces(
                rows.index[-1, MATRIX],
                marks.index,
                cut.entries,
                cut.before,
                cut.after,
                ends,
                still_open,
                np.int64(steps),
                width,
            )
            cut, ends, numbers = cut.only(kept), ends[kept], numbers[kept]
            homes = np.where(changed, -1, homes[kept])
            steps *= _FURTHER
        result = []
        for home, stretch in enumerate(stretches):
            chosen = np.zeros(len(stretch.cut.entries), np.bool_)
            chosen[numbers[homes == home]] = True
            if chosen.any():
                result.append((stretch, chosen))
        return result

    def read(self, rows: RunIndex, marks: RunIndex, cut: _Cut) -> Stretch:
        """The pieces as they were and as they are."""
        delta = rows.index[-1, MATRIX]
        starts, ends = piece_bounds(rows.index, delta, marks.index, cut.entries, cut.before, cut.after, rows.width)
        sources, islands, _, before, change = read_islands(rows.index, starts, ends, rows.width)
        pool = Delta(rows.columns(sources, self._columns), before)
        ordered = order_rows(pool, islands, self._keys, (before, change), self._columns, self._variants)
        old = np.maximum(ordered.weights[0], 0)
        new = np.maximum(ordered.weights[0] + ordered.weights[1], 0)
        seeds = self._states_at(marks, cut.before)
        views = [self._view(pool, islands, ordered, counts, seeds) for counts in (old, new)]
        return Stretch(cut, pool, sources, islands, ordered, old, new, *views)

    def _states_at(self, marks: RunIndex, sources: Integers) -> State:
        """The states of checkpoints; NULL where there is none."""
        present = sources != NONE
        if not present.any():
            return tuple(pa.nulls(len(sources), data_type) for data_type in self._state_types)
        columns = marks.columns(sources[present], range(len(self._state_types)))
        positions = pa.array(np.cumsum(present) - 1, mask=~present)
        return tuple(column.take(positions) for column in columns)

    def _view(self, pool: Delta, islands: Integers, ordered: Ordered, counts: Weights, seeds: State) -> _View:
        rows = np.repeat(ordered.rows, counts)
        bounds = segments(repeat_first(ordered.partition_first, counts), repeat_first(ordered.peer_first, counts))
        partitions = Partitions(TakenColumns(pool.columns, rows), bounds, None)
        owners = islands[rows]
        pieces = Pieces(partitions, owners, np.searchsorted(owners, np.arange(len(seeds[0]))))
        functions = []
        at = 0
        for function in self._calls.functions:
            functions.append(function.start(pieces, seeds[at : at + len(function.types)]))
            at += len(function.types)
        return _View(rows, pieces, tuple(functions))

    def _change(self, stretch: Stretch, chosen: Mask) -> Delta | None:
        """The change of the output in the pieces chosen."""
        marks = chosen[stretch.islands[stretch.ordered.rows]]
        sides = []
        for view, counts in ((stretch.before, stretch.old), (stretch.after, stretch.new)):
            rows = np.flatnonzero(np.repeat(marks, counts))
            sides.append(Side(view.rows[rows], tuple(function.values(rows) for function in view.functions)))
        return changed_rows(stretch.pool, np.flatnonzero(marks), stretch.old, stretch.new, *sides)

    def _renew(self, rows: RunIndex, marks: RunIndex, stretch: Stretch, chosen: Mask) -> None:
        """Makes the checkpoints inside the pieces chosen anew."""
        if not marks.runs and (stretch.after.ends() - stretch.after.pieces.starts).max(initial=0) < _SPACING:
            return
        first = first_of_places(rows.index, stretch.sources, rows.width)
        place_rows = np.flatnonzero(first)
        places, islands = stretch.sources[place_rows], stretch.islands[place_rows]
        cut = stretch.cut
        delta = rows.index[-1, MATRIX]
        gone, owners, numbers = inner_checkpoints(
            rows.index, places, islands, delta, marks.index, cut.entries, cut.before, cut.after, rows.width
        )
        marked = np.zeros(len(places), np.bool_)
        marked[numbers[numbers != NONE]] = True
        counts = sum_weights((np.cumsum(first) - 1)[stretch.ordered.rows], stretch.new, len(places))
        ends = np.cumsum(counts)
        # Where a piece ends with a checkpoint, that one stays.
        last = np.append(islands[1:] != islands[:-1], True) & (cut.after != NONE)[islands]
        allowed = (counts > 0) & ~last & chosen[islands]
        found = choose_places(islands, ends, stretch.after.pieces.starts, allowed, marked, np.int64(_SPACING))
        gone = gone[chosen[owners]]
        if not len(found) and not len(gone):
            return
        lines = np.concatenate(
            (copy_lines(marks.index, gone, rows.width), copy_lines(rows.index, places[found], rows.width))
        )
        new = Delta(stretch.after.states(islands[found], ends[found]), np.ones(len(found), np.int64))
        parts = [new]
        if len(gone):
            old = marks.columns(gone, range(len(self._state_types)))
            parts.insert(0, Delta(old, np.full(len(gone), -1, np.int64)))
        change = concat_deltas(parts)
        words = [np.ascontiguousarray(word) for word in lines.T[:-1]]
        made = self._checkpoints.build_at(words, change)
        if made.num_rows:
            self._checkpoints.insert(made)

    def absorb(self, other: RunningRows) -> None:
        """Adds the rows of other partitions, and their checkpoints."""
        self._trace.absorb(other._trace)
        self._checkpoints.absorb(other._checkpoints)

    def retain(self, kept: Callable[[Delta], npt.NDArray[np.bool_]]) -> None:
        """Drops the partitions of whose rows `kept`, asked once for all of them, says no. O(state)."""
        self._trace.sweep(lambda run: kept(run.delta))
        self._checkpoints.sweep(lambda run: self._trace.has_partitions(np.ascontiguousarray(run.lines[:, 0])))

    @property
    def num_rows(self) -> int:
        """Entries of rows, as in traces."""
        return self._trace.num_rows

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._trace.nbytes + self._checkpoints.nbytes


def running_rows(
    types: Sequence[pa.DataType],
    partition: Sequence[int],
    keys: Sequence[SortKey],
    calls: Sequence[WindowCall],
    seeds: Seeds,
    variants: Variants = NO_VARIANTS,
) -> RunningRows | None:
    """The state for these calls; None if some see rows without bound on the other side, or keys have no words."""
    found = running_calls(calls, types, seeds, variants)
    if found is None or not leading_keys(types, keys):
        return None
    return RunningRows(types, partition, keys, found, seeds, variants)
