"""Join: pairs of rows with equal keys, and for outer joins the rows without a partner.

Problem. With L and R the inputs, the output is bilinear in them, apart from rows without partner: those depend on
whether a row's number of matches is zero.

Rule. A step in which both sides change is two steps in which one side changes: first the right, then the left. With
only side X changing by dX, and Y the other side as it is:

* pairs: dX x Y, by probing the trace of Y with the rows of dX;
* unmatched rows of X, if X is padded: those rows of dX that have no match in Y;
* unmatched rows of Y, if Y is padded: rows of Y whose match count leaves or reaches zero because of dX.

Where the residual may fail there are up to four: deletions from the right and from the left, then insertions. So no
pair is looked at that exists neither before nor after the step.

State. A trace of each side that is ever probed, keyed by the join key, of its own or an index that it shares with other
joins (index.py); rows that can match nothing (a NULL in a key that is not null-safe) are not kept. Match counts:
without residual a row's count is the number of rows of its key on the other side, so one count per key (`_KeyCounts`)
is enough; with residual each row has its own (`_RowMatches`).
SEMI and ANTI are the matched and the unmatched rows of the left side; without residual they need no right trace.

Counts are sums of weights; a row is unmatched while its count is not positive. Cost: O(|dX| + matches) and, where a
count crosses zero, O(rows of that key).

`floors` are numbers of keys. Rows whose key is below what the other side's changes can still have are forgotten, and
counts of keys that neither side's changes can have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext, compile_predicate, may_fail
from millstream.expressions.nodes import Expression, columns_used
from millstream.operators.arrays import Integers, Mask, fixed_values
from millstream.operators.base import Inputs, KeyedOperator
from millstream.operators.floors import Floors, Sweeps, least, rows_alive
from millstream.operators.index import Index, IndexReader, without_nulls
from millstream.operators.match_counts import KeyCounts, RowMatches
from millstream.operators.matched import Matched, Pairs, merge_pairs
from millstream.plan.nodes import JoinKind
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns
from millstream.zset.hashing import Hashes, Seeds
from millstream.zset.moving import take_columns
from millstream.zset.trace import Found, Trace

Residual = Callable[[Sequence[pa.Array], int, EvaluationContext], Mask]


class _Side:
    """One input of a join: its trace and what is counted about it.

    `padded`: its unmatched (or, for SEMI, matched) rows are emitted. `per_key` counts its rows per key, for the other
    side's sake; `matches` counts the partners of each of its rows, for its own.
    """

    def __init__(
        self, types: Sequence[pa.DataType], keys: Sequence[int], padded: bool, is_left: bool, seeds: Seeds
    ) -> None:
        self.types = tuple(types)
        self.keys = tuple(keys)
        self.padded = padded
        self.is_left = is_left
        self.trace: Trace | IndexReader | None = Trace(types, keys, seeds)
        self.per_key: KeyCounts | None = None
        self.matches: RowMatches | None = None

    def key_columns(self, delta: Delta) -> Columns:
        return delta.columns.select(self.keys)

    def key_hashes(self, num_rows: int) -> Hashes | None:
        """Those of the rows of this step's change, if they are known."""
        return self.trace.key_hashes(num_rows) if isinstance(self.trace, IndexReader) else None

    def absorb(self, other: _Side) -> None:
        """Adds the state of the same side of an equal join."""
        if self.trace is not None:
            # There are no shared indexes where there are replicas.
            assert isinstance(self.trace, Trace)
            assert isinstance(other.trace, Trace)
            self.trace.absorb(other.trace)
        if self.per_key is not None and other.per_key is not None:
            self.per_key.absorb(other.per_key)
        if self.matches is not None and other.matches is not None:
            self.matches.absorb(other.matches)

    def nulls(self, count: int) -> tuple[pa.Array, ...]:
        return tuple(pa.nulls(count, t) for t in self.types)


_Part = Pairs | Delta | None


def _by_sign(delta: Delta) -> tuple[Delta, Delta]:
    """The deletions and the insertions of a delta."""
    return delta.filter(delta.weights < 0), delta.filter(delta.weights > 0)


class JoinOperator(KeyedOperator):
    """`kind` joins of left and right on pairwise equal key columns; see plan.nodes.Join for the details."""

    kind = "join"

    def __init__(
        self,
        kind: JoinKind,
        left_types: Sequence[pa.DataType],
        right_types: Sequence[pa.DataType],
        left_keys: Sequence[int],
        right_keys: Sequence[int],
        null_safe: Sequence[bool],
        residual: Expression | None,
        seeds: Seeds,
        floors: Sequence[int] = (),
    ) -> None:
        self.floors = tuple(floors)
        self._sweeps = Sweeps()
        self._one_sided = kind in (JoinKind.SEMI, JoinKind.ANTI)
        self._emits_matched = kind is JoinKind.SEMI
        self.null_safe = tuple(null_safe)
        self._seeds = seeds
        self._residual: Residual | None = None if residual is None else compile_predicate(residual)
        self._residual_columns = () if residual is None else tuple(sorted(columns_used(residual)))
        self._fallible = residual is not None and may_fail(residual)
        left_padded = self._one_sided or kind in (JoinKind.LEFT, JoinKind.FULL)
        right_padded = kind in (JoinKind.RIGHT, JoinKind.FULL)
        self._left = _Side(left_types, left_keys, left_padded, True, seeds)
        self._right = _Side(right_types, right_keys, right_padded, False, seeds)
        for side, other in ((self._left, self._right), (self._right, self._left)):
            if side.padded and residual is None:
                other.per_key = KeyCounts(seeds, self.floors)
            elif side.padded:
                side.matches = RowMatches(seeds, [side.keys[k] for k in self.floors])
        if self._one_sided and residual is None:
            self._right.trace = None

    @property
    def sides_to_share(self) -> list[tuple[bool, tuple[pa.DataType, ...], tuple[int, ...]]]:
        """For each side whose trace may be shared whether it is the left one, its types and its key columns."""
        sides = [] if self._fallible else [self._left, self._right]
        return [(side.is_left, side.types, side.keys) for side in sides if side.trace is not None]

    def share(self, is_left: bool, reader: IndexReader) -> None:
        """Reads an index instead of keeping a trace of that side: before the first step."""
        side = self._left if is_left else self._right
        side.trace = reader

    @property
    def indexes(self) -> list[Index]:
        """What it reads of the state of others."""
        return [side.trace.index for side in (self._left, self._right) if isinstance(side.trace, IndexReader)]

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        left, right = inputs
        rounds = [(left, right)]
        if self._fallible and left is not None and right is not None:
            left, right = (consolidate(delta, self._seeds) for delta in (left, right))
            rounds = list(zip(_by_sign(left), _by_sign(right), strict=True))
        parts: list[_Part] = []
        for left, right in rounds:
            if right is not None and right.num_rows:
                parts += self._change(self._right, self._left, right, context)
            if left is not None and left.num_rows:
                parts += self._change(self._left, self._right, left, context)
        return merge_pairs(parts)

    def _change(self, side: _Side, other: _Side, delta: Delta, context: EvaluationContext) -> list[_Part]:
        """The output change for a change of `side` alone; adds it to the state."""
        parts: list[_Part] = []
        unmatchable, delta = self._split_nulls(side, delta)
        if unmatchable is not None and side.padded and not self._emits_matched:
            parts.append(self._pad(side, unmatchable))
        if delta.num_rows:
            if self._residual is None:
                parts += self._change_by_key(side, other, delta)
            else:
                parts += self._change_by_row(side, other, delta, context)
            if side.trace is not None:
                side.trace.insert(delta)
        return parts

    def _split_nulls(self, side: _Side, delta: Delta) -> tuple[Delta | None, Delta]:
        """The rows that can match nothing because of a NULL in their key (None: there are none), and the others."""
        kept = without_nulls(side.key_columns(delta), self.null_safe)
        return (None, delta) if kept is None else (delta.filter(~kept), delta.filter(kept))

    def _pad(self, side: _Side, rows: Delta) -> Delta:
        """Rows of one side as output rows, the other side's columns NULL."""
        if self._one_sided:
            return rows
        if side.is_left:
            return Delta(rows.columns + self._right.nulls(rows.num_rows), rows.weights)
        return Delta(self._left.nulls(rows.num_rows) + rows.columns, rows.weights)

    def _unmatched(self, side: _Side, rows: Delta, counts: Integers) -> Delta:
        """Those of `rows` that are emitted without partner (for SEMI: with one), given their match counts."""
        chosen = (counts > 0) if self._emits_matched else (counts <= 0)
        return self._pad(side, rows.filter(chosen))

    def _change_by_key(self, side: _Side, other: _Side, delta: Delta) -> list[_Part]:
        """The change when the key alone decides what matches."""
        parts: list[_Part] = []
        if not self._one_sided:
            found = Matched(side.is_left, delta, self._find(side, other, delta))
            parts.append(found)
            if side.padded:
                parts.append(self._unmatched(side, delta, found.counts(delta.num_rows)))
        elif side.padded:
            assert other.per_key is not None
            counts = other.per_key.counts(side.key_columns(delta), delta.num_rows)
            parts.append(self._unmatched(side, delta, counts))
        if side.per_key is not None:
            crossing = side.per_key.add(side.key_columns(delta), delta.weights)
            if len(crossing.rows):
                assert other.trace is not None
                keys = side.key_columns(delta.take(crossing.rows))
                partners = other.trace.probe(keys, len(crossing.rows), null_safe=self.null_safe)
                # A key that gains its first row (+1) takes the other side's padded rows away.
                sign = crossing.signs if self._emits_matched else -crossing.signs
                rows = Delta(partners.delta.columns, partners.delta.weights * sign[partners.probe_index])
                parts.append(self._pad(other, rows))
        return parts

    def _change_by_row(self, side: _Side, other: _Side, delta: Delta, context: EvaluationContext) -> list[_Part]:
        """The change when the residual decides too, so that every row has a match count of its own."""
        found: Pairs
        try:
            wanted = self._wanted(side, delta, self._find(side, other, delta), context)
            found = Matched(side.is_left, delta, wanted)
        except EvaluationError:
            delta = consolidate(delta, self._seeds)
            unfiltered = Matched(side.is_left, delta, self._find(side, other, delta))
            found = self._filtered(self._settled(unfiltered, delta), context)
        parts: list[_Part] = [] if self._one_sided else [found]
        if side.matches is not None:
            counts = found.counts(delta.num_rows)
            side.matches.set_counts(delta, counts)
            parts.append(self._unmatched(side, delta, counts))
        if other.matches is not None and len(found.rows):
            pairs, split = found.pairs, len(self._left.types)
            columns = pairs.columns[:split] if other.is_left else pairs.columns[split:]
            flipped = other.matches.add_matches(Delta(columns, pairs.weights), not self._emits_matched)
            parts.append(self._pad(other, flipped))
        return parts

    def _filtered(self, found: Pairs, context: EvaluationContext) -> Pairs:
        """Those pairs for which the residual is TRUE."""
        assert self._residual is not None
        chosen = np.flatnonzero(self._residual(found.pairs.columns, found.pairs.num_rows, context))
        if len(chosen) == found.pairs.num_rows:
            return found
        return Pairs(found.rows[chosen], found.multiplicities[chosen], found.pairs.take(chosen))

    def _settled(self, found: Pairs, delta: Delta) -> Pairs:
        """The pairs without those of rows that were deleted, whose entries in the trace still have to cancel."""
        tagged = consolidate(Delta((pa.array(found.rows), *found.pairs.columns), found.multiplicities), self._seeds)
        rows = fixed_values(tagged.columns[0])
        return Pairs(rows, tagged.weights, Delta(tagged.columns[1:], delta.weights[rows] * tagged.weights))

    def _find(self, side: _Side, other: _Side, delta: Delta) -> Found:
        """Where the other side's rows are that have the keys of `delta`."""
        assert other.trace is not None
        hashes = side.key_hashes(delta.num_rows)
        return other.trace.find(side.key_columns(delta), delta.num_rows, null_safe=self.null_safe, key_hashes=hashes)

    def _wanted(self, side: _Side, delta: Delta, found: Found, context: EvaluationContext) -> Found:
        """Those matches for which the residual is TRUE: only the columns that it reads are fetched."""
        assert self._residual is not None
        width = len(self._left.types)
        columns: list[pa.Array | None] = [None] * (width + len(self._right.types))
        for is_left in (True, False):
            wanted = [c for c in self._residual_columns if (c < width) is is_left]
            at = wanted if is_left else [c - width for c in wanted]
            if side.is_left is is_left:
                values = take_columns(delta.columns.select(at), found.probe_index)
            else:
                values = found.columns(at)
            for c, column in zip(wanted, values, strict=True):
                columns[c] = column
        count = len(found.probe_index)
        chosen = self._residual(columns, count, context).nonzero()[0]
        return found if len(chosen) == count else found.only(chosen)

    def absorb(self, other: Self) -> None:
        self._left.absorb(other._left)
        self._right.absorb(other._right)

    def discard(self, floors: Floors) -> None:
        """`floors`: for each key that has some, that of the left side and that of the right one."""
        if not self._sweeps.due(self._sweep_size()):
            return
        lefts, rights = floors[0::2], floors[1::2]
        both = [least(left, right) for left, right in zip(lefts, rights, strict=True)]
        # A trace is only probed by changes of the other side.
        for side, others in ((self._left, rights), (self._right, lefts)):
            keys = [side.keys[k] for k in self.floors]
            if side.trace is not None:
                side.trace.retain(rows_alive(keys, others))
            for counts in (side.per_key, side.matches):
                if counts is not None:
                    counts.discard(both)
        self._sweeps.done(self._sweep_size())

    def _sweep_size(self) -> int:
        counted = sum(s.per_key.num_keys for s in (self._left, self._right) if s.per_key is not None)
        return self.state_rows + counted

    @property
    def state_rows(self) -> int:
        return sum(side.trace.num_rows for side in (self._left, self._right) if side.trace is not None)

    @property
    def state_bytes(self) -> int:
        total = 0
        for side in (self._left, self._right):
            for part in (side.trace, side.per_key, side.matches):
                total += 0 if part is None else part.nbytes
        return total
