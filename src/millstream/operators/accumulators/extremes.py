"""MIN, MAX, ARG_MIN and ARG_MAX: the best value of a group, and what to do when it goes away.

State is the present winner of each group and, as inputs can be deleted, a trace of all candidates keyed by slot. A
batch is decided by comparing its best insertion and its best deletion with the winner: only when a deletion may have
hit the new winner is the group looked up in the trace. Codes from ordering.py stand for values: always the greatest
code wins, MIN negates codes.

Winners of at most 64 bits are kept as codes in an array (`WordExtreme`), others as rows of a trace keyed by slot
(`ValueExtreme`). Append-only inputs need no candidates.

A deletion may come before its insertion. Where a look-up finds a value of negative multiplicity that would beat the
winner, the group is in *debt*: an insertion of that value only makes up for it, so such groups are looked up each time
they are touched. (Debts below the winner are found by the look-up that the winner's deletion causes.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch
from millstream.operators.arrays import Integers, Mask, Words, fixed_values
from millstream.operators.kernels import best_codes, sum_weights
from millstream.operators.ordering import NO_VARIANTS, Variants, from_word_codes, row_codes, word_codes
from millstream.operators.slots import Moved, grown
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.moving import concat_columns, take_columns
from millstream.zset.trace import Trace


class Candidates:
    """The non-NULL arguments of all rows, keyed by the group's slot (a slot is given to another group only when the
    candidates of the old one have cancelled); shared by the calls with the same arguments and filter."""

    def __init__(
        self,
        value_types: Sequence[pa.DataType],
        arguments: Sequence[int],
        nullable: Sequence[int],
        filter_column: int | None,
        seeds: Seeds,
    ) -> None:
        self.arguments = tuple(arguments)
        self.value_types = tuple(value_types)
        self._required = tuple(a for a in arguments if a not in nullable)
        self._filter = filter_column
        self._trace = Trace((pa.int64(), *value_types), (0,), seeds)
        self._seeds = seeds

    def weights(self, batch: GroupBatch) -> Weights:
        """The weights of the rows that take part."""
        return batch.masked_weights(self._filter, self._required)

    def values(self, batch: GroupBatch) -> Sequence[pa.Array]:
        """The argument columns."""
        return tuple(batch.columns[a] for a in self.arguments)

    def advance(self, batch: GroupBatch) -> None:
        """Adds the batch, once however many calls share this."""
        batch.once(self, self._advance)

    def _advance(self, batch: GroupBatch) -> None:
        weights = self.weights(batch)
        rows = np.flatnonzero(weights)
        if not len(rows):
            return
        values = self.values(batch)
        if len(rows) < len(weights):
            values = take_columns(values, rows)
        slots = pa.array(batch.slots[batch.groups[rows]])
        self._trace.insert(Delta((slots, *values), weights[rows]))

    def of_groups(self, batch: GroupBatch, groups: Integers) -> tuple[Integers, Delta]:
        """The candidates of some touched groups: position in `groups` and argument columns; weights may cancel."""
        wanted = range(1, 1 + len(self.value_types))
        found = self._trace.probe([pa.array(batch.slots[groups])], len(groups), columns=wanted)
        return found.probe_index, found.delta

    def absorb(self, other: Candidates, moved: Moved) -> None:
        """Adds the candidates of groups whose slots have moved."""
        moved.absorb(self._trace, other._trace)

    def forget(self, gone: Forgotten) -> None:
        """Drops the candidates of groups."""
        self._trace.retain(lambda rows: gone.other_slots(rows.columns[0]))

    @property
    def num_rows(self) -> int:
        """Entries of the trace."""
        return self._trace.num_rows

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._trace.nbytes


@dataclass(frozen=True, slots=True)
class Winners:
    """Per group: the row of the winner, -1 for none, and whether a value of negative multiplicity would beat it."""

    rows: Integers
    debt: Mask


def pick_winners(groups: Integers, codes: Words, weights: Weights, num_groups: int) -> Winners:
    """The row with the greatest code of positive total weight in each group.

    Entries with equal codes add up. Tries the greatest code first: it rarely is one whose weights cancel.
    """
    alive = weights != 0
    debt = np.zeros(num_groups, np.bool_)
    if weights.min(initial=0) >= 0:
        return Winners(best_codes(groups, codes, alive, num_groups)[1], debt)
    for _ in range(6):
        best, rows = best_codes(groups, codes, alive, num_groups)
        at_best = alive & (codes == best[groups])
        totals = sum_weights(groups, np.where(at_best, weights, 0), num_groups)
        cancelled = (totals <= 0) & (rows >= 0)
        if not cancelled.any():
            return Winners(rows, debt)
        debt |= totals < 0
        alive &= ~(at_best & cancelled[groups])
    order = np.lexsort((codes, groups))
    first = np.ones(len(order), np.bool_)
    first[1:] = (groups[order][1:] != groups[order][:-1]) | (codes[order][1:] != codes[order][:-1])
    starts = np.flatnonzero(first)
    totals = np.add.reduceat(weights[order], starts)
    candidates = order[starts]
    winners = np.full(num_groups, -1, np.int64)
    place = np.full(num_groups, -1, np.int64)
    present = np.flatnonzero(totals > 0)
    winners[groups[candidates[present]]] = candidates[present]
    place[groups[candidates[present]]] = present
    owing = np.flatnonzero(totals < 0)
    owners = groups[candidates[owing]]
    debt = np.zeros(num_groups, np.bool_)
    debt[owners[owing > place[owners]]] = True
    return Winners(winners, debt)


@dataclass(frozen=True, slots=True)
class _Contest:
    """Per touched group: the batch's best insertion (row, or -1), whether it beats the winner, and whether a deletion
    may have hit what would be the winner now."""

    challenger: Integers
    wins: Mask
    doubtful: Mask


def _contest(
    batch: GroupBatch, codes: Words, weights: Weights, held: Mask, winner: Words, append_only: bool
) -> _Contest:
    best, challenger = best_codes(batch.groups, codes, weights > 0, batch.num_groups)
    wins = (challenger >= 0) & (~held | (best > winner))
    doubtful: Mask = np.zeros(batch.num_groups, np.bool_)
    deletions = weights < 0
    if not append_only and deletions.any():
        worst, deleted = best_codes(batch.groups, codes, deletions, batch.num_groups)
        leader = np.where(wins, best, winner)
        doubtful = (deleted >= 0) & (~(held | wins) | (worst >= leader))
    return _Contest(challenger, wins, doubtful)


@dataclass(frozen=True, slots=True)
class WordUpdate:
    """Winners before and after as codes."""

    data_type: pa.DataType
    codes: tuple[Words, Words]
    held: tuple[Mask, Mask]

    @property
    def changed(self) -> Mask:
        differs: Mask = (self.held[0] != self.held[1]) | (self.held[1] & (self.codes[0] != self.codes[1]))
        return differs

    def output(self, before: Integers, after: Integers) -> pa.Array:
        codes = np.concatenate((self.codes[0][before], self.codes[1][after]))
        held = np.concatenate((self.held[0][before], self.held[1][after]))
        return from_word_codes(self.data_type, codes, held)


class WordExtreme(Accumulator):
    """MIN or MAX of a type that has word codes."""

    def __init__(self, candidates: Candidates, minimum: bool, append_only: bool) -> None:
        self._candidates = candidates
        self._flip = np.uint64(0xFFFFFFFFFFFFFFFF if minimum else 0)
        self._append_only = append_only
        self._codes: Words = np.zeros(64, np.uint64)
        self._held: Mask = np.zeros(64, np.bool_)
        self._debt: Mask = np.zeros(64, np.bool_)

    def update(self, batch: GroupBatch) -> WordUpdate:
        self._codes = grown(self._codes, batch.capacity)
        self._held = grown(self._held, batch.capacity)
        self._debt = grown(self._debt, batch.capacity)
        if not self._append_only:
            self._candidates.advance(batch)
        codes = word_codes(self._candidates.values(batch)[0]) ^ self._flip
        weights = self._candidates.weights(batch)
        old_codes, old_held = self._codes[batch.slots], self._held[batch.slots]
        contest = _contest(batch, codes, weights, old_held, old_codes, self._append_only)
        new_codes = np.where(contest.wins, codes[contest.challenger], old_codes) if len(codes) else old_codes.copy()
        new_held = old_held | contest.wins
        doubtful = np.flatnonzero(contest.doubtful | self._debt[batch.slots])
        if len(doubtful):
            groups, found = self._candidates.of_groups(batch, doubtful)
            found_codes = word_codes(found.columns[0]) ^ self._flip
            winners = pick_winners(groups, found_codes, found.weights, len(doubtful))
            new_held[doubtful] = winners.rows >= 0
            new_codes[doubtful] = np.where(winners.rows >= 0, found_codes[winners.rows], 0) if len(found_codes) else 0
            self._debt[batch.slots[doubtful]] = winners.debt
        self._codes[batch.slots] = new_codes
        self._held[batch.slots] = new_held
        flip = self._flip
        return WordUpdate(self._candidates.value_types[0], (old_codes ^ flip, new_codes ^ flip), (old_held, new_held))

    def vacant(self, slots: Integers) -> Mask:
        return ~(self._held[slots] | self._debt[slots])

    def clear(self, slots: Integers) -> None:
        """Nothing to do: a vacant slot holds no winner."""

    def forget(self, gone: Forgotten) -> None:
        self._held[gone.slots] = False
        self._debt[gone.slots] = False

    def absorb(self, other: Self, moved: Moved) -> None:
        self._codes = moved.into(self._codes, other._codes)
        self._held = moved.into(self._held, other._held)
        self._debt = moved.into(self._debt, other._debt)

    @property
    def nbytes(self) -> int:
        return self._codes.nbytes + self._held.nbytes + self._debt.nbytes


@dataclass(frozen=True, slots=True)
class ValueUpdate:
    """Winners before and after as positions in `pool`, -1 for none."""

    changed: Mask
    pool: pa.Array
    before: Integers
    after: Integers

    def output(self, before: Integers, after: Integers) -> pa.Array:
        positions = np.concatenate((self.before[before], self.after[after]))
        return self.pool.take(pa.array(positions, mask=positions < 0))


class ValueExtreme(Accumulator):
    """MIN, MAX, ARG_MIN or ARG_MAX of any type: winners are rows of argument values, compared left to right, of which
    column `result` is the aggregate's value."""

    def __init__(
        self,
        candidates: Candidates,
        result: int,
        minimum: bool,
        append_only: bool,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        self._variants = variants
        self._candidates = candidates
        self._result = result
        self._flip = np.uint64(0xFFFFFFFFFFFFFFFF if minimum else 0)
        self._append_only = append_only
        self._winners = Trace((pa.int64(), *candidates.value_types), (0,), seeds)
        self._held: Mask = np.zeros(64, np.bool_)
        self._debt: Mask = np.zeros(64, np.bool_)
        self._seeds = seeds

    def update(self, batch: GroupBatch) -> ValueUpdate:
        self._held = grown(self._held, batch.capacity)
        self._debt = grown(self._debt, batch.capacity)
        if not self._append_only:
            self._candidates.advance(batch)
        count = batch.num_groups
        before, holders = self._present(batch)
        weights = self._candidates.weights(batch)
        rows = np.flatnonzero(weights)
        pool = self._join_pools(holders, take_columns(self._candidates.values(batch), rows))
        start = holders.num_rows
        codes = self._codes(pool)
        winner = np.where(before >= 0, codes[np.maximum(before, 0)], 0) if len(codes) else np.zeros(count, np.uint64)
        part = GroupBatch(batch.columns, weights[rows], batch.groups[rows], batch.slots, batch.keys, batch.capacity)
        contest = _contest(part, codes[start:], weights[rows], before >= 0, winner, self._append_only)
        after = np.where(contest.wins, contest.challenger + start, before)
        doubtful = np.flatnonzero(contest.doubtful | self._debt[batch.slots])
        if len(doubtful):
            groups, found = self._candidates.of_groups(batch, doubtful)
            winners = pick_winners(groups, self._codes(found.columns), found.weights, len(doubtful))
            after[doubtful] = np.where(winners.rows >= 0, winners.rows + len(codes), -1)
            self._debt[batch.slots[doubtful]] = winners.debt
            pool = self._join_pools(Delta(pool, np.ones(len(codes), np.int64)), found.columns)
            codes = self._codes(pool)
        changed = (before >= 0) != (after >= 0)
        both = np.flatnonzero((before >= 0) & (after >= 0))
        changed[both] = codes[before[both]] != codes[after[both]]
        self._replace(batch.slots, pool, before, after, changed)
        return ValueUpdate(changed, pool[self._result], before, after)

    def _codes(self, columns: Sequence[pa.Array]) -> Words:
        return row_codes(columns, len(columns[0]), self._variants) ^ self._flip

    @staticmethod
    def _join_pools(first: Delta, second: Sequence[pa.Array]) -> Sequence[pa.Array]:
        if not first.num_rows:
            return second
        return concat_columns((first.columns, second), (first.num_rows, len(second[0])))

    def _present(self, batch: GroupBatch) -> tuple[Integers, Delta]:
        """Each touched group's position among the present winners, -1 for none, and these winners' values."""
        positions = np.full(batch.num_groups, -1, np.int64)
        holding = np.flatnonzero(self._held[batch.slots])
        if not len(holding):
            return positions, Delta.empty(self._candidates.value_types)
        found = self._winners.probe((pa.array(batch.slots[holding]),), len(holding))
        winners = found.delta
        owner = found.probe_index
        if len(owner) > len(holding):
            tagged = consolidate(Delta((pa.array(owner), *winners.columns[1:]), winners.weights), self._seeds)
            owner = fixed_values(tagged.columns[0])
            values = tagged.columns[1:]
        else:
            values = winners.columns[1:]
        positions[holding[owner]] = np.arange(len(owner))
        return positions, Delta(values, np.ones(len(owner), np.int64))

    def _replace(
        self, slots: Integers, pool: Sequence[pa.Array], before: Integers, after: Integers, changed: Mask
    ) -> None:
        gone = np.flatnonzero(changed & (before >= 0))
        new = np.flatnonzero(changed & (after >= 0))
        positions = np.concatenate((before[gone], after[new]))
        owners = pa.array(np.concatenate((slots[gone], slots[new])))
        weights = np.repeat(np.array([-1, 1]), (len(gone), len(new)))
        self._winners.insert(Delta([owners] + take_columns(pool, positions), weights))
        self._held[slots] = after >= 0

    def vacant(self, slots: Integers) -> Mask:
        return ~(self._held[slots] | self._debt[slots])

    def clear(self, slots: Integers) -> None:
        """Nothing to do: a vacant slot has no row in the trace of winners."""

    def forget(self, gone: Forgotten) -> None:
        self._held[gone.slots] = False
        self._debt[gone.slots] = False
        self._winners.retain(lambda rows: gone.other_slots(rows.columns[0]))

    def absorb(self, other: Self, moved: Moved) -> None:
        self._held = moved.into(self._held, other._held)
        self._debt = moved.into(self._debt, other._debt)
        moved.absorb(self._winners, other._winners)

    @property
    def num_rows(self) -> int:
        return self._winners.num_rows

    @property
    def nbytes(self) -> int:
        return self._winners.nbytes + self._held.nbytes + self._debt.nbytes
