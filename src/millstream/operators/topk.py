"""Top-k: the rows offset .. offset + limit of each partition, in key order.

Ties are broken by all columns, ascending, NULL smallest, so the result is a function of the contents.

State. All rows, in a trace keyed by partition; and for each partition its *head*: all of its rows up to some boundary
row, at least offset + limit of them if there are that many, in a second trace. A change beyond the boundary cannot
change the result. Any other change is applied to the head alone; only when deletions leave too short a head is the
partition read again. Heads are cut to `keep` rows when they have more than twice as many, which leaves slack: a head
is read again at most every keep - k deletions. A partition is *partial* when its head may lack rows; its boundary is
the head's greatest row. Other heads are whole partitions.

Cost: sorting the heads of the touched partitions together with those rows of the delta that are not beyond the
boundary by the first key. Without limit heads are whole partitions and there is no other trace. Append-only inputs
need none either: their heads never get shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.base import Inputs, Operator, concat_deltas, merge_parts
from millstream.operators.kernels import best_codes, sum_weights
from millstream.operators.ordering import NO_VARIANTS, Variants, key_words, sort_codes
from millstream.operators.slots import SlotIndex, Touched, grown
from millstream.plan.nodes import SortKey
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Matches, Trace


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
        append_only: bool,
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        self._variants = variants
        self._partition = tuple(partition)
        self._keys = tuple(keys)
        self._start = offset
        self._end = None if limit is None else offset + limit
        self._keep = 0 if self._end is None else 2 * self._end + 16
        self._seeds = seeds
        self._all = None if self._end is None or append_only else Trace(types, partition, seeds)
        self._heads = Trace(types, partition, seeds)
        self._index = SlotIndex(seeds)
        self._sizes: Integers = np.zeros(64, np.int64)
        self._partial: Mask = np.zeros(64, np.bool_)
        deciding = {*partition, *(key.column for key in keys)}
        self._ties = [c for c in range(len(types)) if c not in deciding]

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        delta = consolidate(delta, self._seeds) if self._all is None else self._all.insert(delta)
        if not delta.num_rows:
            return None
        touched = self._index.touch([delta.columns[p] for p in self._partition], delta.num_rows)
        self._sizes = grown(self._sizes, self._index.capacity)
        self._partial = grown(self._partial, self._index.capacity)
        self._sizes[touched.slots] += sum_weights(touched.groups, delta.weights, touched.count)
        positions = pa.array(touched.first)
        partitions = [delta.columns[p].take(positions) for p in self._partition]
        heads = self._heads.probe(partitions, touched.count)
        result = self._update(delta, touched, heads, partitions)
        gone = (self._sizes[touched.slots] == 0) & ~self._partial[touched.slots]
        self._index.release(touched.slots[gone])
        return result

    def _update(self, delta: Delta, touched: Touched, heads: Matches, partitions: Sequence[pa.Array]) -> Delta | None:
        """The change of the result; the heads of the touched partitions are brought up to date."""
        partial = self._partial[touched.slots]
        delta, groups = self._within_boundaries(delta, touched.groups, heads, partial)
        nothing_old = np.zeros(heads.delta.num_rows, np.int64)
        nothing_new = np.zeros(delta.num_rows, np.int64)
        pool = concat_deltas([heads.delta, delta])
        ordered = self._order(
            pool,
            np.concatenate((heads.probe_index, groups)),
            (np.concatenate((heads.delta.weights, nothing_new)), np.concatenate((nothing_old, delta.weights))),
        )
        old, change = ordered.weights
        inside = ~partial[ordered.partitions] | _up_to_boundary(ordered, old, touched.count)
        new = old + np.where(inside, change, 0)
        sizes = sum_weights(ordered.partitions, np.maximum(new, 0), touched.count)
        short = np.zeros(touched.count, np.bool_)
        if self._end is not None:
            short = partial & (sizes < self._end)
            new = self._cut(ordered, new, sizes, touched.slots)
        new = np.where(short[ordered.partitions], 0, new)
        emitted = self._chosen(ordered.partitions, new) - self._chosen(ordered.partitions, old)
        parts = [_entries(pool, ordered.rows, emitted)]
        head_parts = [_entries(pool, ordered.rows, new - old)]
        if short.any():
            more, more_heads = self._read_again(np.flatnonzero(short), touched.slots, partitions)
            parts.append(more)
            head_parts.append(more_heads)
        change_of_heads = merge_parts(head_parts)
        if change_of_heads is not None:
            self._heads.insert(change_of_heads)
        return merge_parts(parts)

    def _within_boundaries(
        self, delta: Delta, groups: Integers, heads: Matches, partial: Mask
    ) -> tuple[Delta, Integers]:
        """The delta without most of the rows that are beyond the boundary of their partition: judged by one key."""
        if not partial.any() or not self._keys:
            return delta, groups
        key = self._keys[0]
        column = pa.concat_arrays([heads.delta.columns[key.column], delta.columns[key.column]])
        if column.null_count:
            return delta, groups
        codes = sort_codes(column, self._variants.get(key.column))
        if key.descending:
            codes = ~codes
        split = heads.delta.num_rows
        everything = np.ones(split, np.bool_)
        boundary, _ = best_codes(heads.probe_index, codes[:split], everything, len(partial))
        kept = np.flatnonzero(~partial[groups] | (codes[split:] <= boundary[groups]))
        return (delta, groups) if len(kept) == delta.num_rows else (delta.take(kept), groups[kept])

    def _cut(self, ordered: _Ordered, weights: Weights, sizes: Integers, slots: Integers) -> Weights:
        """Heads of more than 2 * keep rows cut to the rows among the first `keep`; they are partial from now on."""
        large = sizes > 2 * self._keep
        if not large.any():
            return weights
        starts = _starts(ordered.partitions, np.maximum(weights, 0))
        self._partial[slots[large]] = True
        return np.where(large[ordered.partitions] & (starts >= self._keep), 0, weights)

    def _read_again(self, wanted: Integers, slots: Integers, partitions: Sequence[pa.Array]) -> tuple[Delta, Delta]:
        """The result and the heads of whole partitions, from the trace of all rows."""
        assert self._all is not None
        positions = pa.array(wanted)
        found = self._all.probe([column.take(positions) for column in partitions], len(wanted))
        ordered = self._order(found.delta, found.probe_index, (found.delta.weights,))
        weights = ordered.weights[0]
        kept = _starts(ordered.partitions, np.maximum(weights, 0)) < self._keep
        heads = np.where(kept, weights, 0)
        partial = np.zeros(len(wanted), np.bool_)
        partial[ordered.partitions[~kept]] = True
        self._partial[slots[wanted]] = partial
        chosen = self._chosen(ordered.partitions, heads)
        return _entries(found.delta, ordered.rows, chosen), _entries(found.delta, ordered.rows, heads)

    def _chosen(self, partitions: Integers, weights: Weights) -> Weights:
        """How often each ordered row is in its partition's result."""
        positive = np.maximum(weights, 0)
        starts = _starts(partitions, positive)
        ends = starts + positive
        if self._end is not None:
            ends = np.minimum(ends, self._end)
        return np.maximum(ends - np.maximum(starts, self._start), 0)

    def _order(self, pool: Delta, partitions: Integers, weights: tuple[Weights, ...]) -> _Ordered:
        """Rows sorted by partition, keys and all columns, equal ones merged, those without any weight left out."""
        keys: list[Words] = [partitions.astype(np.uint64)]
        keys += key_words(pool.columns, self._keys, self._variants)
        order = np.lexsort(tuple(reversed(keys)))
        first = _differences(keys, order)
        if not first.all():
            tied = ~first
            tied[:-1] |= tied[1:]
            places = np.flatnonzero(tied)
            rows = order[places]
            positions = pa.array(rows)
            ties = [np.cumsum(first)[places].astype(np.uint64)]
            ties += [sort_codes(pool.columns[c].take(positions), self._variants.get(c)) for c in self._ties]
            settled = np.lexsort(tuple(reversed(ties)))
            order[places] = rows[settled]
            first[places] = _differences(ties, settled)
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
        return traces + self._index.nbytes + self._sizes.nbytes + self._partial.nbytes


def _entries(pool: Delta, rows: Integers, weights: Weights) -> Delta:
    kept = np.flatnonzero(weights)
    return Delta(pool.take(rows[kept]).columns, weights[kept])


def _differences(keys: Sequence[Words], order: Integers) -> Mask:
    """Which ordered rows differ from the one before, in any of the keys."""
    first = np.zeros(len(order), np.bool_)
    first[:1] = True
    for key in keys:
        ordered = key[order]
        first[1:] |= ordered[1:] != ordered[:-1]
    return first


def _up_to_boundary(ordered: _Ordered, old: Weights, count: int) -> Mask:
    """Which rows are not greater than the greatest old row of their partition."""
    boundary = np.full(count, -1, np.int64)
    present = np.flatnonzero(old)
    boundary[ordered.partitions[present]] = present
    return np.arange(len(old)) <= boundary[ordered.partitions]


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
