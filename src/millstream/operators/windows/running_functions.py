"""Window functions whose frames begin with the partition, computed from a state that stands for all rows before.

A side of a change is a list of pieces: rows of a partition that follow a checkpoint, in order, one per occurrence. Each
function has a state, Arrow columns, at every checkpoint: what it has seen up to there. Given the states at the
beginnings of pieces it gives its values at the rows of the pieces, and its states after any of them. These are the
same, to the last bit of a float, wherever the pieces were cut.

Functions that look at a few rows only have no state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.operators.accumulators.sums import FloatSum, NarrowSum, WideSum, sum_accumulator
from millstream.operators.arrays import Integers, Words, fixed_array, fixed_values, validity
from millstream.operators.kernels import add_wide
from millstream.operators.ordering import NO_VARIANTS, Variants, sort_codes
from millstream.operators.windows.functions import Partitions, WindowFunction, wanted_rows, wide_halves
from millstream.operators.windows.kernels import prefix_wide, running_extremes, running_floats, subtract_wide
from millstream.plan.nodes import WindowCall

State = tuple[pa.Array, ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The rows of pieces in order, one per occurrence: the piece of each, and the first row of each piece."""

    partitions: Partitions
    owners: Integers
    starts: Integers

    @property
    def num_pieces(self) -> int:
        return len(self.starts)


class Running(ABC):
    """A function on some pieces, given its states at their beginnings."""

    @abstractmethod
    def values(self, rows: Integers) -> pa.Array:
        """The values at these rows, which ascend."""

    @abstractmethod
    def states(self, owners: Integers, ends: Integers) -> State:
        """The states in pieces `owners` after the rows before `ends`. O(ends)."""


class RunningFunction(ABC):
    """A window function with a state of columns of `types`."""

    types: tuple[pa.DataType, ...] = ()

    @abstractmethod
    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        """The function on `pieces`; `seeds`: its state at the beginning of each, NULL where the partition begins."""


def _integers(column: pa.Array) -> Integers:
    """A state of integers, 0 where the partition begins."""
    return fixed_values(column.fill_null(0) if column.null_count else column)


def _ends_of_frames(call: WindowCall, pieces: Pieces, rows: Integers) -> Integers:
    assert call.frame is not None
    return pieces.partitions.frame(call.frame)[1][rows]


# ---- no state ----


class NearFunction(RunningFunction):
    """A function of rows near by."""

    def __init__(self, function: WindowFunction) -> None:
        self._function = function

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        return _Near(self._function, pieces.partitions)


@dataclass(frozen=True, slots=True)
class _Near(Running):
    function: WindowFunction
    partitions: Partitions

    def values(self, rows: Integers) -> pa.Array:
        return self.function(self.partitions, rows)

    def states(self, owners: Integers, ends: Integers) -> State:
        return ()


# ---- numbers of rows ----


@dataclass(frozen=True, slots=True)
class _Totals:
    """Running totals of integers: `before[i]` is that of the rows before i, whatever their pieces."""

    seeds: Integers
    before: Integers
    starts: Integers

    def at(self, owners: Integers, ends: Integers) -> Integers:
        total: Integers = self.seeds[owners] + self.before[ends] - self.before[self.starts[owners]]
        return total


def _totals(seeds: pa.Array, amounts: npt.NDArray[Any], starts: Integers) -> _Totals:
    before = np.zeros(len(amounts) + 1, np.int64)
    np.cumsum(amounts, out=before[1:])
    return _Totals(_integers(seeds), before, starts)


class RankFunction(RunningFunction):
    """ROW_NUMBER, RANK and DENSE_RANK. State: rows so far, or groups of peers."""

    types = (pa.int64(),)

    def __init__(self, name: str) -> None:
        self._name = name

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        peers = pieces.partitions.segments.peer_starts
        rows = np.arange(len(peers))
        amounts = peers == rows if self._name == "DENSE_RANK" else np.ones(len(peers), np.int64)
        last = peers if self._name == "RANK" else rows
        return _Counted(pieces.owners, last + 1, _totals(seeds[0], amounts, pieces.starts))


class CountFunction(RunningFunction):
    """COUNT. State: rows counted."""

    types = (pa.int64(),)

    def __init__(self, call: WindowCall) -> None:
        self._call = call

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        wanted = wanted_rows(self._call, pieces.partitions)
        assert self._call.frame is not None
        ends = pieces.partitions.frame(self._call.frame)[1]
        return _Counted(pieces.owners, ends, _totals(seeds[0], wanted, pieces.starts))


@dataclass(frozen=True, slots=True)
class _Counted(Running):
    """`ends`: of each row the end of the rows that count for it."""

    owners: Integers
    ends: Integers
    totals: _Totals

    def values(self, rows: Integers) -> pa.Array:
        return pa.array(self.totals.at(self.owners[rows], self.ends[rows]))

    def states(self, owners: Integers, ends: Integers) -> State:
        return (pa.array(self.totals.at(owners, ends)),)


# ---- sums ----


class SumFunction(RunningFunction):
    """SUM and AVG. State: values counted, and their sum as accumulators have it (accumulators/sums.py)."""

    _STATES: ClassVar[dict[type, tuple[pa.DataType, ...]]] = {
        NarrowSum: (pa.int64(),),
        WideSum: (pa.uint64(),) * 3,
        # Bits of doubles, so that nothing is lost, and how often there were NaN, +Inf, -Inf.
        FloatSum: (pa.int64(),) * 6,
    }

    def __init__(self, call: WindowCall) -> None:
        self._call = call
        self._result = sum_accumulator(call.function == "AVG", call.arguments[0], call.filter, call.type)
        self.types = (pa.int64(), *self._STATES[type(self._result)])

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        wanted = wanted_rows(self._call, pieces.partitions)
        counts = _totals(seeds[0], wanted, pieces.starts)
        column = pieces.partitions.columns[self._call.arguments[0]]
        result = self._result
        if isinstance(result, NarrowSum):
            amounts = np.where(wanted, fixed_values(column), 0).astype(np.int64)
            return _Narrow(self._call, pieces, counts, result, _totals(seeds[1], amounts, pieces.starts))
        before = np.stack([_integers(seed) for seed in seeds[1:]], axis=1)
        if isinstance(result, WideSum):
            totals = prefix_wide(*wide_halves(column, self._call.type), wanted)
            return _Wide(self._call, pieces, counts, result, before.view(np.uint64), totals)
        assert isinstance(result, FloatSum)
        values = fixed_values(column).astype(np.float64)
        sums = np.ascontiguousarray(before[:, :3]).view(np.float64)
        running = running_floats(pieces.owners, values, wanted, sums, np.ascontiguousarray(before[:, 3:]))
        return _Float(self._call, pieces, counts, result, before, *running)


@dataclass(frozen=True, slots=True)
class _Narrow(Running):
    call: WindowCall
    pieces: Pieces
    counts: _Totals
    result: NarrowSum
    totals: _Totals

    def values(self, rows: Integers) -> pa.Array:
        owners, ends = self.pieces.owners[rows], _ends_of_frames(self.call, self.pieces, rows)
        return self.result.finish(self.counts.at(owners, ends), self.totals.at(owners, ends))

    def states(self, owners: Integers, ends: Integers) -> State:
        return pa.array(self.counts.at(owners, ends)), pa.array(self.totals.at(owners, ends))


@dataclass(frozen=True, slots=True)
class _Wide(Running):
    call: WindowCall
    pieces: Pieces
    counts: _Totals
    result: WideSum
    seeds: Words
    totals: Words

    def values(self, rows: Integers) -> pa.Array:
        owners, ends = self.pieces.owners[rows], _ends_of_frames(self.call, self.pieces, rows)
        return self.result.finish(self.counts.at(owners, ends), self._at(owners, ends))

    def states(self, owners: Integers, ends: Integers) -> State:
        sums = self._at(owners, ends)
        return pa.array(self.counts.at(owners, ends)), *(pa.array(np.ascontiguousarray(word)) for word in sums.T)

    def _at(self, owners: Integers, ends: Integers) -> Words:
        more = subtract_wide(self.totals, self.pieces.starts[owners], ends)
        total: Words = add_wide(np.ascontiguousarray(self.seeds[owners]), more)
        return total


@dataclass(frozen=True, slots=True)
class _Float(Running):
    call: WindowCall
    pieces: Pieces
    counts: _Totals
    result: FloatSum
    seeds: Integers
    sums: npt.NDArray[np.float64]
    specials: Integers

    def values(self, rows: Integers) -> pa.Array:
        owners, ends = self.pieces.owners[rows], _ends_of_frames(self.call, self.pieces, rows)
        state = self._at(owners, ends)
        sums = np.ascontiguousarray(state[:, :3]).view(np.float64)
        sums[:, 1] = np.where(np.isfinite(sums[:, 1]), sums[:, 1], 0.0)
        return self.result.finish(self.counts.at(owners, ends), sums, state[:, 3:])

    def states(self, owners: Integers, ends: Integers) -> State:
        state = self._at(owners, ends)
        return pa.array(self.counts.at(owners, ends)), *(pa.array(np.ascontiguousarray(word)) for word in state.T)

    def _at(self, owners: Integers, ends: Integers) -> Integers:
        state = self.seeds[owners]
        inside = np.flatnonzero(ends > self.pieces.starts[owners])
        state[inside, :3] = self.sums.view(np.int64)[ends[inside] - 1]
        state[inside, 3:] = self.specials[ends[inside] - 1]
        return state


# ---- one of the values ----


class ExtremeFunction(RunningFunction):
    """MIN and MAX. State: the value so far, NULL for none."""

    def __init__(self, call: WindowCall, types: Sequence[pa.DataType], variants: Variants = NO_VARIANTS) -> None:
        self._call = call
        self._variant = variants.get(call.arguments[0])
        self.types = (types[call.arguments[0]],)

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        values = pa.concat_arrays([pieces.partitions.columns[self._call.arguments[0]], seeds[0]])
        codes = sort_codes(values, self._variant)
        if self._call.function == "MAX":
            codes = ~codes
        wanted = wanted_rows(self._call, pieces.partitions)
        seeded = validity(seeds[0])
        if seeded is None:
            seeded = np.ones(len(seeds[0]), np.bool_)
        best = running_extremes(pieces.owners, codes, np.concatenate((wanted, seeded)))
        return _Choice(self._call, pieces, values, best)


class FirstFunction(RunningFunction):
    """FIRST_VALUE. State: the value, and that there is one."""

    def __init__(self, call: WindowCall, types: Sequence[pa.DataType]) -> None:
        self._call = call
        self.types = (types[call.arguments[0]], pa.int64())

    def start(self, pieces: Pieces, seeds: Sequence[pa.Array]) -> Running:
        values = pa.concat_arrays([pieces.partitions.columns[self._call.arguments[0]], seeds[0]])
        first = np.where(_integers(seeds[1]) != 0, len(pieces.owners) + np.arange(pieces.num_pieces), pieces.starts)
        seeded = np.where(_integers(seeds[1]) != 0, 0, -1)
        best = np.concatenate((first[pieces.owners], np.where(seeded < 0, -1, first)))
        return _Choice(self._call, pieces, values, best, True)


@dataclass(frozen=True, slots=True)
class _Choice(Running):
    """`best`: the value after each row, then the one at the beginning of each piece; -1 for none. `flagged`: the state
    says whether there is one."""

    call: WindowCall
    pieces: Pieces
    choices: pa.Array
    best: Integers
    flagged: bool = False

    def values(self, rows: Integers) -> pa.Array:
        frame = self.call.frame
        assert frame is not None
        ends = rows + 1 if frame.high is None else _ends_of_frames(self.call, self.pieces, rows)
        best = self._at(self.pieces.owners[rows], ends)
        return self.choices.take(pa.array(best, mask=best < 0))

    def states(self, owners: Integers, ends: Integers) -> State:
        best = self._at(owners, ends)
        value = self.choices.take(pa.array(best, mask=best < 0))
        return (value, fixed_array(pa.int64(), best >= 0)) if self.flagged else (value,)

    def _at(self, owners: Integers, ends: Integers) -> Integers:
        at: Integers = np.where(ends > self.pieces.starts[owners], ends - 1, len(self.pieces.owners) + owners)
        return self.best[at]
