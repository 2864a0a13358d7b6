"""Top-k: the rows offset .. offset + limit of each partition, in key order.

Ties are broken by all columns, ascending, NULL smallest, so the result is a function of the contents.

State. All rows, in a trace keyed by partition; and for each partition its *head*: all of its rows up to some boundary
row, at least offset + limit of them if there are that many, in a second trace. A change beyond the boundary cannot
change the result. Any other change is applied to the head alone; only when deletions leave too short a head is the
partition read again. Heads are cut to `keep` rows when they have more than twice as many, which leaves slack: a head
is read again at most every keep - k deletions. A head that holds the whole partition has no boundary. (The boundary
is the head's greatest row; a partition is wholly in its head when both have the same number of rows.)

Cost: sorting the delta together with the heads of the touched partitions. Without limit heads are whole partitions
and there is no other trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, Words, validity
from millstream.operators.base import Inputs, Operator, concat_deltas, merge_parts
from millstream.operators.kernels import sum_weights
from millstream.operators.ordering import sort_codes
from millstream.operators.slots import SlotIndex, grown
from millstream.plan.nodes import SortKey
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Distinct rows of some partitions in order: partition by partition, each in key order.

    `rows[i]` is the position of row i in the delta it came from, `partitions[i]` its partition, `weights` its
    multiplicity per source.
    """

    rows: Integers
    partitions: Integers
    weights: tuple[Weights, ...]


class TopKOperator(Operator):
    """See plan.nodes.TopK."""

    kind = "top-k"

    def __init__(
        self,
        types: Sequence[pa.DataType],
        partition: Sequence[int],
        keys: Sequence[SortKey],
        limit: int | None,
        offset: int,
        seeds: Seeds,
    ) -> None:
        self._partition = tuple(partition)
        self._keys = tuple(keys)
        self._start = offset
        self._end = None if limit is None else offset + limit
        self._keep = 0 if self._end is None else 2 * self._end + 16
        self._seeds = seeds
        self._all = None if self._end is None else Trace(types, partition, seeds)
        self._heads = Trace(types, partition, seeds)
        self._index = SlotIndex(seeds)
        self._sizes: Integers = np.zeros(64, np.int64)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        delta = consolidate(delta, self._seeds)
        if not delta.num_rows:
            return None
        if self._all is not None:
            self._all.insert(delta)
        touched = self._index.touch([delta.columns[p] for p in self._partition], delta.num_rows)
        self._sizes = grown(self._sizes, self._index.capacity)
        sizes = self._sizes[touched.slots]
        self._sizes[touched.slots] = sizes + sum_weights(touched.groups, delta.weights, touched.count)
        positions = pa.array(touched.first)
        partitions = [delta.columns[p].take(positions) for p in self._partition]
        heads = self._heads.probe(partitions, touched.count)
        result = self._update(delta, touched.groups, heads.delta, heads.probe_index, sizes, partitions)
        gone = touched.slots[self._sizes[touched.slots] == 0]
        self._index.release(gone)
        return result

    def _update(
        self,
        delta: Delta,
        groups: Integers,
        heads: Delta,
        head_groups: Integers,
        sizes: Integers,
        partitions: Sequence[pa.Array],
    ) -> Delta | None:
        """The change of the result; the heads of the touched partitions are brought up to date."""
        count = len(sizes)
        pool = concat_deltas([heads, delta])
        nothing_old = np.zeros(heads.num_rows, np.int64)
        nothing_new = np.zeros(delta.num_rows, np.int64)
        ordered = self._order(
            pool,
            np.concatenate((head_groups, groups)),
            (np.concatenate((heads.weights, nothing_new)), np.concatenate((nothing_old, delta.weights))),
        )
        old, change = ordered.weights
        held = sum_weights(ordered.partitions, old, count)
        complete = held == sizes
        inside = complete[ordered.partitions] | self._up_to_boundary(ordered, old, count)
        new = old + np.where(inside, change, 0)
        # A size that the rows left outside the boundary belong to is larger than the head.
        after = sum_weights(ordered.partitions, np.maximum(new, 0), count)
        short = np.zeros(count, np.bool_)
        if self._end is not None:
            whole = complete | (sum_weights(ordered.partitions, new, count) == self._new_sizes(sizes, ordered, count))
            short = (after < self._end) & ~whole
        new = self._cut(ordered, new, after)
        fixed = short[ordered.partitions]
        emitted = self._chosen(ordered.partitions, np.where(fixed, 0, new)) - self._chosen(ordered.partitions, old)
        moved = np.where(fixed, 0, new) - old
        parts = [self._entries(pool, ordered.rows, emitted)]
        head_parts = [self._entries(pool, ordered.rows, moved)]
        if short.any():
            more, more_heads = self._read_again(np.flatnonzero(short), partitions)
            parts.append(more)
            head_parts.append(more_heads)
        change_of_heads = merge_parts(head_parts)
        if change_of_heads is not None:
            self._heads.insert(change_of_heads)
        return merge_parts(parts)

    @staticmethod
    def _new_sizes(sizes: Integers, ordered: _Ordered, count: int) -> Integers:
        return np.asarray(sizes + sum_weights(ordered.partitions, ordered.weights[1], count))

    @staticmethod
    def _up_to_boundary(ordered: _Ordered, old: Weights, count: int) -> Mask:
        """Which rows are not greater than the greatest old row of their partition."""
        boundary = np.full(count, -1, np.int64)
        present = np.flatnonzero(old)
        boundary[ordered.partitions[present]] = present
        return np.arange(len(old)) <= boundary[ordered.partitions]

    def _cut(self, ordered: _Ordered, weights: Weights, sizes: Integers) -> Weights:
        """Heads of more than 2 * keep rows cut to the rows among the first `keep`."""
        if self._end is None or not (sizes > 2 * self._keep).any():
            return weights
        starts = _starts(ordered.partitions, np.maximum(weights, 0))
        cut = (sizes > 2 * self._keep)[ordered.partitions] & (starts >= self._keep)
        return np.where(cut, 0, weights)

    def _read_again(self, wanted: Integers, partitions: Sequence[pa.Array]) -> tuple[Delta, Delta]:
        """The result and the heads of whole partitions, from the trace of all rows."""
        assert self._all is not None
        assert self._end is not None
        positions = pa.array(wanted)
        found = self._all.probe([column.take(positions) for column in partitions], len(wanted))
        ordered = self._order(found.delta, found.probe_index, (found.delta.weights,))
        weights = ordered.weights[0]
        starts = _starts(ordered.partitions, np.maximum(weights, 0))
        heads = np.where(starts < self._keep, weights, 0)
        chosen = self._chosen(ordered.partitions, heads)
        return (
            self._entries(found.delta, ordered.rows, chosen),
            self._entries(found.delta, ordered.rows, heads),
        )

    def _chosen(self, partitions: Integers, weights: Weights) -> Weights:
        """How often each ordered row is in its partition's result."""
        positive = np.maximum(weights, 0)
        starts = _starts(partitions, positive)
        ends = starts + positive
        if self._end is not None:
            ends = np.minimum(ends, self._end)
        return np.maximum(ends - np.maximum(starts, self._start), 0)

    @staticmethod
    def _entries(pool: Delta, rows: Integers, weights: Weights) -> Delta:
        kept = np.flatnonzero(weights)
        return Delta(pool.take(rows[kept]).columns, weights[kept])

    def _order(self, pool: Delta, partitions: Integers, weights: tuple[Weights, ...]) -> _Ordered:
        """Rows sorted by partition, keys and all columns, equal ones merged, those without any weight left out."""
        keys: list[Words] = [partitions.astype(np.uint64)]
        codes: dict[int, Words] = {}
        for key in self._keys:
            column = pool.columns[key.column]
            codes[key.column] = sort_codes(column)
            valid = validity(column)
            if valid is not None:
                keys.append((valid if key.nulls_first else ~valid).astype(np.uint64))
            keys.append(~codes[key.column] if key.descending else codes[key.column])
        first_tie = len(keys)
        for c, column in enumerate(pool.columns):
            keys.append(codes[c] if c in codes else sort_codes(column))
        order = np.lexsort(tuple(reversed(keys)))
        first = np.zeros(len(order), np.bool_)
        first[:1] = True
        for tie in (keys[0], *keys[first_tie:]):
            ordered = tie[order]
            first[1:] |= ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(first)
        totals = tuple(np.add.reduceat(w[order], starts) if len(starts) else w[:0] for w in weights)
        rows = order[starts]
        kept = np.flatnonzero(np.any(np.stack(totals), axis=0))
        return _Ordered(rows[kept], partitions[rows[kept]], tuple(total[kept] for total in totals))

    @property
    def state_rows(self) -> int:
        return self._heads.num_rows + (0 if self._all is None else self._all.num_rows)

    @property
    def state_bytes(self) -> int:
        traces = self._heads.nbytes + (0 if self._all is None else self._all.nbytes)
        return traces + self._index.nbytes + self._sizes.nbytes


def _starts(partitions: Integers, counts: Integers) -> Integers:
    """For each ordered row, the number of rows before it in its partition."""
    before = np.cumsum(counts) - counts
    if not len(before):
        return before
    change = np.ones(len(before), np.bool_)
    change[1:] = partitions[1:] != partitions[:-1]
    starts = np.flatnonzero(change)
    offsets = np.repeat(before[starts], np.diff(np.append(starts, len(before))))
    return np.asarray(before - offsets)
