"""As-of join: each row of the left with the latest row of the right, by key and time, that is not later.

State: a trace of each side, keyed by the join key; rows that can match nothing (NULL in the time, or in a key that is
not null-safe) are not kept. A step is two: first the right changes, then the left.

* Right: all rows of the touched keys are read, left ones are matched with the right ones before and after, and those
  whose match is another row now are emitted again. O(rows of the touched keys).
* Left: the rows of the delta are matched with the right rows of their keys. O(|delta| + right rows of those keys).

Rows on the left whose time is below that of all changes of the right to come are forgotten, they keep their matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, validity
from millstream.operators.base import Inputs, KeyedOperator, concat_deltas, merge_parts
from millstream.operators.floors import Floors, Sweeps, alive, least, places
from millstream.operators.ordering import NO_VARIANTS, Variants, sort_codes
from millstream.operators.slots import group_rows
from millstream.operators.windows.ordered import order_rows
from millstream.plan.nodes import SortKey
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Right rows of some keys in order of key, time and all columns: `rows` are positions in `pool`."""

    pool: Delta
    rows: Integers
    groups: Integers
    weights: tuple[Weights, ...]


class AsofJoinOperator(KeyedOperator):
    """See plan.nodes.AsofJoin."""

    kind = "asof join"

    def __init__(
        self,
        left_types: Sequence[pa.DataType],
        right_types: Sequence[pa.DataType],
        left_keys: Sequence[int],
        right_keys: Sequence[int],
        null_safe: Sequence[bool],
        left_time: int,
        right_time: int,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        self._variants = variants
        self._right_types = tuple(right_types)
        self._left_keys = tuple(left_keys)
        self._right_keys = tuple(right_keys)
        self._null_safe = tuple(null_safe)
        self._left_time = left_time
        self._right_time = right_time
        self._seeds = seeds
        self._sweeps = Sweeps()
        self._left = Trace(left_types, left_keys, seeds)
        self._right = Trace(right_types, right_keys, seeds)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        left, right = inputs
        parts: list[Delta | None] = []
        if right is not None:
            right = right.filter(self._matchable(right, self._right_keys, self._right_time))
            if right.num_rows:
                parts.append(self._change_right(right))
        if left is not None and left.num_rows:
            matchable = self._matchable(left, self._left_keys, self._left_time)
            lonely = left.filter(~matchable)
            parts.append(self._joined(lonely, None, np.full(lonely.num_rows, -1, np.int64)))
            left = left.filter(matchable)
            if left.num_rows:
                parts.append(self._change_left(left))
        return merge_parts(parts)

    def _matchable(self, delta: Delta, keys: Sequence[int], time: int) -> Mask:
        mask = np.ones(delta.num_rows, np.bool_)
        strict = [key for key, null_safe in zip(keys, self._null_safe, strict=True) if not null_safe]
        for column in (*strict, time):
            valid = validity(delta.columns[column])
            if valid is not None:
                mask &= valid
        return mask

    def _change_right(self, delta: Delta) -> Delta | None:
        touched = group_rows(delta.columns.select(self._right_keys), delta.num_rows, self._seeds)
        positions = pa.array(touched.first)
        keys = [delta.columns[k].take(positions) for k in self._right_keys]
        old = self._right.probe(keys, touched.count)
        self._right.insert(delta)
        rows = self._left.probe(keys, touched.count)
        if not rows.delta.num_rows:
            return None
        before = np.concatenate((old.delta.weights, np.zeros(delta.num_rows, np.int64)))
        after = np.concatenate((old.delta.weights, delta.weights))
        groups = np.concatenate((old.probe_index, touched.groups))
        candidates = self._candidates(concat_deltas([old.delta, delta]), groups, (before, after))
        matches = [self._match(rows.delta, rows.probe_index, candidates, source) for source in (0, 1)]
        changed = np.flatnonzero(matches[0] != matches[1])
        moved = rows.delta.take(changed)
        return concat_deltas(
            [
                self._joined(moved.negate(), candidates, matches[0][changed]),
                self._joined(moved, candidates, matches[1][changed]),
            ]
        )

    def _change_left(self, delta: Delta) -> Delta:
        touched = group_rows(delta.columns.select(self._left_keys), delta.num_rows, self._seeds)
        positions = pa.array(touched.first)
        found = self._right.probe([delta.columns[k].take(positions) for k in self._left_keys], touched.count)
        self._left.insert(delta)
        candidates = self._candidates(found.delta, found.probe_index, (found.delta.weights,))
        return self._joined(delta, candidates, self._match(delta, touched.groups, candidates, 0))

    def _candidates(self, pool: Delta, groups: Integers, weights: tuple[Weights, ...]) -> _Candidates:
        ordered = order_rows(
            pool, groups, (SortKey(self._right_time, False, True),), weights, range(len(pool.columns)), self._variants
        )
        return _Candidates(pool, ordered.rows, groups[ordered.rows], ordered.weights)

    def _match(self, left: Delta, groups: Integers, candidates: _Candidates, source: int) -> Integers:
        """For each left row the candidate that it is matched with, -1 for none."""
        present = np.flatnonzero(candidates.weights[source] > 0)
        times = candidates.pool.columns[self._right_time].take(pa.array(candidates.rows[present]))
        codes = sort_codes(
            pa.concat_arrays([times, left.columns[self._left_time]]), self._variants.get(self._right_time)
        )
        all_groups = np.concatenate((candidates.groups[present], groups))
        is_left = np.repeat([False, True], (len(present), left.num_rows))
        # The sort is stable and candidates are in order already; at equal times they come before left rows.
        order = np.lexsort((is_left, codes, all_groups))
        latest = np.maximum.accumulate(np.where(is_left[order], -1, np.arange(len(order))))
        at = np.flatnonzero(is_left[order])
        found = latest[at]
        chosen = order[np.maximum(found, 0)]
        same = (found >= 0) & (all_groups[chosen] == all_groups[order[at]])
        result = np.full(left.num_rows, -1, np.int64)
        result[order[at][same] - len(present)] = present[chosen[same]]
        return result

    def _joined(self, left: Delta, candidates: _Candidates | None, matches: Integers) -> Delta:
        """Left rows with the candidates that they are matched with."""
        if candidates is None or not len(candidates.rows):
            right = tuple(pa.nulls(left.num_rows, t) for t in self._right_types)
        else:
            positions = pa.array(candidates.rows[np.maximum(matches, 0)], mask=matches < 0)
            right = tuple(column.take(positions) for column in candidates.pool.columns)
        return Delta(left.columns + right, left.weights)

    def absorb(self, other: Self) -> None:
        self._left.absorb(other._left)
        self._right.absorb(other._right)

    def discard(self, floors: Floors) -> None:
        """`floors`: those of the left and of the right time. Of the right side, the last row of each key before both
        stays: it may be the match of rows to come."""
        if not self._sweeps.due(self.state_rows):
            return
        left, right = floors
        self._left.retain(lambda rows: alive(rows.columns[self._left_time], right))
        floor = least(left, right)
        if floor is not None:
            rows = self._right.snapshot().to_delta()
            kept = alive(rows.columns[self._right_time], floor)
            old = np.flatnonzero(~kept)
            below = rows.take(old)
            keys = (SortKey(self._right_time, False, True),)
            _, behind = places(below, self._right_keys, keys, len(below.columns), self._variants, self._seeds)
            kept[old[behind < 1]] = True
            self._right.replace(rows.filter(kept))
        self._sweeps.done(self.state_rows)

    @property
    def state_rows(self) -> int:
        return self._left.num_rows + self._right.num_rows

    @property
    def state_bytes(self) -> int:
        return self._left.nbytes + self._right.nbytes
