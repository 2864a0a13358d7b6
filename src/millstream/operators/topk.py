"""Top-k: the rows offset .. offset + limit of each partition, in key order.

Ties are broken by all columns, ascending, NULL smallest, so the result is a function of the contents.

State. All rows, in a trace keyed by partition; and for each partition its *head*: all of its rows up to some boundary
row, at least offset + limit of them if there are that many, in a second trace. A change beyond the boundary cannot
change the result. Any other change is applied to the head alone; only when deletions leave too short a head is the
partition read again. Heads are cut to `keep` rows when they have more than twice as many, which leaves slack: a head
is read again at most every keep - k deletions. A partition is *partial* when its head may lack rows; its boundary is
the head's greatest row. Other heads are whole partitions.

Heads hold partition and keys, and the hash that finds the row among all rows: other columns are fetched for rows that
enter or leave the result (or change their number in it), and where keys tie. Without limit heads are whole partitions
and there is no other trace. Append-only inputs need none either: their heads never get shorter. Then heads hold whole
rows.

Cost: sorting the heads of the touched partitions together with those rows of the delta that are not beyond the
boundary by the first key.

Partitions below floors are forgotten, and, where the first order key has a floor, rows that cannot come into the result
any more, from both traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, Mask, Words, fixed_values, validity
from millstream.operators.base import Inputs, KeyedOperator, merge_parts
from millstream.operators.floors import Floors, SlotFloors, Sweeps, alive, places, rows_alive
from millstream.operators.kernels import best_codes, order_in_groups, sum_weights
from millstream.operators.ordering import NO_VARIANTS, Variants, key_words, sort_codes
from millstream.operators.slots import SlotIndex, Touched, group_rows, grown
from millstream.plan.nodes import SortKey
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.gathered import Columns, describe
from millstream.zset.hashing import Hashes, Seeds, hash_columns, hash_described
from millstream.zset.moving import concat_columns, take_columns
from millstream.zset.trace import Found, Trace


@dataclass(frozen=True, slots=True)
class _Pool:
    """Rows of some partitions: those `found` in a trace, followed by the rows `rows` of a delta.

    `keys` are the columns of the order keys, `hashes` the row hashes, `partitions` the numbers of the partitions,
    `key_hashes` the hash of each partition. `whole` is a trace in which the rows found have all their columns, None if
    they have them where they were found.
    """

    keys: Columns
    hashes: Hashes
    partitions: Integers
    found: Found
    whole: Trace | None
    key_hashes: Hashes
    delta: Delta
    rows: Integers

    def found_first(self, rows: Integers) -> Integers:
        """The order in which `columns` wants `rows`: those found in the trace before those of the delta."""
        of_delta = rows >= len(self.found.sources)
        return np.concatenate(((~of_delta).nonzero()[0], of_delta.nonzero()[0]))

    def columns(self, chosen: Integers, wanted: Sequence[int]) -> Columns:
        """The columns `wanted` of the rows `chosen`, among which those found in the trace come first."""
        split = len(self.found.sources)
        count = int(np.count_nonzero(chosen < split))
        mine = chosen[:count]
        others = self.delta.select(wanted).take(self.rows[chosen[count:] - split]).columns
        if not count:
            return others
        if self.whole is None:
            found = self.found.only(mine)
        else:
            found = self.whole.rows(self.key_hashes[self.partitions[mine]], self.hashes[mine])
        columns = found.columns(wanted)
        if count == len(chosen):
            return columns
        return concat_columns((columns, others), (count, len(chosen) - count))


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Distinct rows of some partitions in order: partition by partition, each in key order.

    `rows[i]` is the position of row i in the pool it came from, `partitions[i]` its partition, `begins[i]` the first
    row of that, `weights` its multiplicity per source.
    """

    rows: Integers
    partitions: Integers
    begins: Integers
    weights: tuple[Weights, ...]


class TopKOperator(KeyedOperator):
    """See plan.nodes.TopK. `numbered`: one more column has each row's number in its partition's result, from 1; a row
    that is there several times has as many."""

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
        floors: Sequence[int] = (),
        ordered: bool = False,
        numbered: bool = False,
    ) -> None:
        self._numbered = numbered
        self._variants = variants
        self._key_variants = {i: variants[key.column] for i, key in enumerate(keys) if key.column in variants}
        self._width = len(types)
        self._floors = SlotFloors(floors)
        self._ordered = ordered
        self._sweeps = Sweeps()
        self._partition = tuple(partition)
        self._keys = tuple(keys)
        # The same over the columns of the keys alone.
        self._order_keys = tuple(replace(key, column=position) for position, key in enumerate(keys))
        self._start = offset
        self._end = None if limit is None else offset + limit
        self._keep = 0 if self._end is None else 2 * self._end + 16
        self._seeds = seeds
        self._all = None if self._end is None or append_only else Trace(types, partition, seeds)
        # The columns of heads, apart from the hash of the row.
        self._narrow = tuple(dict.fromkeys((*partition, *(key.column for key in keys))))
        if self._all is None:
            self._heads = Trace(types, partition, seeds)
        else:
            places = [self._narrow.index(p) for p in partition]
            self._heads = Trace((*(types[c] for c in self._narrow), pa.uint64()), places, seeds)
        self._index = SlotIndex(seeds)
        self._sizes: Integers = np.zeros(64, np.int64)
        self._partial: Mask = np.zeros(64, np.bool_)
        self._ties = [c for c in range(len(types)) if c not in self._narrow]

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        if self._all is None:
            delta = consolidate(delta, self._seeds)
            hashes = hash_columns(delta.columns, delta.num_rows, self._seeds.row)
            key_hashes = hash_columns([delta.columns[p] for p in self._partition], delta.num_rows, self._seeds.key)
        else:
            delta, key_hashes, hashes = self._all.insert_identified(delta)
        if not delta.num_rows:
            return None
        columns = delta.columns.select(self._partition)
        second = hash_described(columns, describe(columns), delta.num_rows, self._seeds.row)
        touched = self._index.touch_hashed((key_hashes, second))
        self._sizes = grown(self._sizes, self._index.capacity)
        self._partial = grown(self._partial, self._index.capacity)
        self._sizes[touched.slots] += sum_weights(touched.groups, delta.weights, touched.count)
        partitions = take_columns(columns, touched.first)
        result = self._update(delta, hashes, touched, key_hashes[touched.first], partitions)
        gone = (self._sizes[touched.slots] == 0) & ~self._partial[touched.slots]
        self._floors.note(touched.slots, delta.columns, touched.first, self._index.capacity)
        self._floors.forget(touched.slots[gone])
        self._index.release(touched.slots[gone])
        return result

    def _update(
        self, delta: Delta, hashes: Hashes, touched: Touched, key_hashes: Hashes, partitions: Sequence[pa.Array]
    ) -> Delta | None:
        """The change of the result; the heads of the touched partitions are brought up to date."""
        partial = self._partial[touched.slots]
        heads = self._heads.find(partitions, touched.count, key_hashes=key_hashes)
        pool = self._pool(delta, hashes, touched.groups, heads, key_hashes, partial)
        old_weights = heads.weights()
        nothing = (np.zeros(len(old_weights), np.int64), np.zeros(len(pool.rows), np.int64))
        weights = (
            np.concatenate((old_weights, nothing[1])),
            np.concatenate((nothing[0], delta.weights[pool.rows])),
        )
        ordered = self._order(pool, touched.count, weights)
        old, change = ordered.weights
        inside = ~partial[ordered.partitions] | _up_to_boundary(ordered, old, touched.count)
        new = old + np.where(inside, change, 0)
        sizes = sum_weights(ordered.partitions, np.maximum(new, 0), touched.count)
        short = np.zeros(touched.count, np.bool_)
        if self._end is not None:
            short = partial & (sizes < self._end)
            new = self._cut(ordered, new, sizes, touched.slots)
        new = np.where(short[ordered.partitions], 0, new)
        parts = [self._change(pool, ordered, old, new)]
        head_parts = [self._head_entries(pool, ordered, new - old, partitions)]
        if short.any():
            more, more_heads = self._read_again(np.flatnonzero(short), touched.slots, key_hashes, partitions)
            parts.append(more)
            head_parts.append(more_heads)
        change_of_heads = merge_parts(head_parts)
        if change_of_heads is not None:
            self._heads.insert(change_of_heads)
        return merge_parts(parts)

    def _pool(
        self, delta: Delta, hashes: Hashes, groups: Integers, heads: Found, key_hashes: Hashes, partial: Mask
    ) -> _Pool:
        """The heads of the touched partitions and those rows of the delta that may be in them."""
        places = [self._narrow.index(key.column) if self._all is not None else key.column for key in self._keys]
        old_keys = heads.columns(places)
        old_hashes = heads.row_hashes()
        if self._all is not None:
            old_hashes = fixed_values(heads.columns((len(self._narrow),))[0])
        new_keys = delta.columns.select([key.column for key in self._keys])
        rows = self._within_boundaries(old_keys, new_keys, groups, heads.probe_index, partial)
        if len(rows) < delta.num_rows:
            new_keys = take_columns(new_keys, rows)
            hashes, groups = hashes[rows], groups[rows]
        return _Pool(
            concat_columns((old_keys, new_keys), (len(old_hashes), len(hashes))),
            np.concatenate((old_hashes, hashes)),
            np.concatenate((heads.probe_index, groups)),
            heads,
            self._all,
            key_hashes,
            delta,
            rows,
        )

    def _within_boundaries(
        self,
        old_keys: Sequence[pa.Array],
        new_keys: Sequence[pa.Array],
        groups: Integers,
        old_groups: Integers,
        partial: Mask,
    ) -> Integers:
        """The rows of the delta but for most that are beyond the boundary of their partition: judged by one key."""
        everything = np.arange(len(groups))
        if not partial.any() or not self._keys:
            return everything
        column = pa.concat_arrays([old_keys[0], new_keys[0]])
        if column.null_count:
            return everything
        codes = sort_codes(column, self._key_variants.get(0))
        if self._keys[0].descending:
            codes = ~codes
        split = len(old_groups)
        boundary, _ = best_codes(old_groups, codes[:split], np.ones(split, np.bool_), len(partial))
        return (~partial[groups] | (codes[split:] <= boundary[groups])).nonzero()[0]

    def _cut(self, ordered: _Ordered, weights: Weights, sizes: Integers, slots: Integers) -> Weights:
        """Heads of more than 2 * keep rows cut to the rows among the first `keep`; they are partial from now on."""
        large = sizes > 2 * self._keep
        if not large.any():
            return weights
        starts = _starts(ordered.begins, np.maximum(weights, 0))
        self._partial[slots[large]] = True
        return np.where(large[ordered.partitions] & (starts >= self._keep), 0, weights)

    def _read_again(
        self, wanted: Integers, slots: Integers, key_hashes: Hashes, partitions: Sequence[pa.Array]
    ) -> tuple[Delta, Delta]:
        """The result and the heads of whole partitions, from the trace of all rows."""
        assert self._all is not None
        chosen = take_columns(partitions, wanted)
        found = self._all.find(chosen, len(wanted), key_hashes=key_hashes[wanted])
        keys = found.columns([key.column for key in self._keys])
        nothing = Delta.empty(self._all.types)
        none = np.empty(0, np.int64)
        pool = _Pool(keys, found.row_hashes(), found.probe_index, found, None, key_hashes[wanted], nothing, none)
        ordered = self._order(pool, len(wanted), (found.weights(),))
        weights = ordered.weights[0]
        kept = _starts(ordered.begins, np.maximum(weights, 0)) < self._keep
        heads = np.where(kept, weights, 0)
        partial = np.zeros(len(wanted), np.bool_)
        partial[ordered.partitions[~kept]] = True
        self._partial[slots[wanted]] = partial
        result = self._change(pool, ordered, np.zeros_like(heads), heads)
        return result, self._head_entries(pool, ordered, heads, chosen)

    def _change(self, pool: _Pool, ordered: _Ordered, old: Weights, new: Weights) -> Delta:
        """The change of the result when the weights of ordered rows become `new`."""
        places, counts = self._chosen(ordered.begins, old)
        new_places, new_counts = self._chosen(ordered.begins, new)
        if not self._numbered:
            return self._entries(pool, ordered.rows, new_counts - counts)
        moved = ((counts != new_counts) | ((counts > 0) & (places != new_places))).nonzero()[0]
        counts = np.concatenate((counts[moved], new_counts[moved]))
        copies = np.repeat(np.arange(len(counts)), counts)
        before = np.cumsum(counts) - counts
        numbers = np.concatenate((places[moved], new_places[moved]))[copies] + np.arange(len(copies)) - before[copies]
        rows = np.concatenate((ordered.rows[moved], ordered.rows[moved]))[copies]
        order = pool.found_first(rows)
        columns = pool.columns(rows[order], range(self._width))
        weights = np.where(copies < len(moved), -1, 1)
        return Delta((*columns, pa.array(numbers[order] + 1)), weights[order])

    def _chosen(self, begins: Integers, weights: Weights) -> tuple[Integers, Weights]:
        """For each ordered row, how many rows of its partition's result are before it, and how often it is there."""
        positive = np.maximum(weights, 0)
        starts = _starts(begins, positive)
        ends = starts + positive
        if self._end is not None:
            ends = np.minimum(ends, self._end)
        starts = np.maximum(starts, self._start)
        return starts - self._start, np.maximum(ends - starts, 0)

    def _order(self, pool: _Pool, count: int, weights: tuple[Weights, ...]) -> _Ordered:
        """Rows sorted by partition, keys and all columns, equal ones merged, those without any weight left out."""
        words = [*key_words(pool.keys, self._order_keys, self._key_variants), pool.hashes]
        order = order_in_groups(pool.partitions, count, np.stack(words, axis=1))
        peer_first = _differences([pool.partitions.view(np.uint64), *words[:-1]], order)
        first = peer_first | _differences(words[-1:], order)
        starts = first.nonzero()[0]
        totals = [np.add.reduceat(w[order], starts) if len(starts) else w[:0] for w in weights]
        # Of equal rows the last one stands for all: it is of the delta, if one is.
        rows = order[np.append(starts[1:], len(order)) - 1] if len(starts) else order
        kept = np.any(np.stack(totals), axis=0).nonzero()[0]
        rows, totals = rows[kept], [total[kept] for total in totals]
        peers = np.cumsum(peer_first)[starts[kept]]
        self._settle_ties(pool, peers, rows, totals)
        partitions = pool.partitions[rows]
        return _Ordered(rows, partitions, _begins(partitions), tuple(totals))

    def _settle_ties(self, pool: _Pool, peers: Integers, rows: Integers, totals: Sequence[Weights]) -> None:
        """Puts rows that are equal in all keys, so of equal `peers`, in the order of the other columns."""
        same = peers[1:] == peers[:-1]
        if not self._ties or not same.any():
            return
        tied = np.zeros(len(rows), np.bool_)
        tied[1:] |= same
        tied[:-1] |= same
        places = tied.nonzero()[0]
        sources = places[pool.found_first(rows[places])]
        columns = pool.columns(rows[sources], self._ties)
        codes = [sort_codes(column, self._variants.get(c)) for c, column in zip(self._ties, columns, strict=True)]
        settled = sources[np.lexsort((*reversed(codes), peers[sources]))]
        for values in (rows, *totals):
            values[places] = values[settled]

    def _entries(self, pool: _Pool, rows: Integers, weights: Weights) -> Delta:
        """Whole rows of the pool with those weights that are not zero."""
        kept = weights.nonzero()[0]
        kept = kept[pool.found_first(rows[kept])]
        return Delta(pool.columns(rows[kept], range(self._width)), weights[kept])

    def _head_entries(self, pool: _Pool, ordered: _Ordered, weights: Weights, partitions: Sequence[pa.Array]) -> Delta:
        """The same as heads hold rows."""
        if self._all is None:
            return self._entries(pool, ordered.rows, weights)
        kept = weights.nonzero()[0]
        rows = ordered.rows[kept]
        values = take_columns(partitions, ordered.partitions[kept]) + take_columns(pool.keys, rows)
        numbers = [*self._partition, *(key.column for key in self._keys)]
        narrow = values.select([numbers.index(column) for column in self._narrow])
        return Delta(narrow + [pa.array(pool.hashes[rows])], weights[kept])

    def absorb(self, other: Self) -> None:
        if self._all is not None and other._all is not None:
            self._all.absorb(other._all)
        self._heads.absorb(other._heads)
        moved = self._index.absorb(other._index)
        self._sizes = moved.into(self._sizes, other._sizes)
        self._partial = moved.into(self._partial, other._partial)
        self._floors.absorb(other._floors, moved)

    def discard(self, floors: Floors) -> None:
        """`floors`: those of some partition columns, and if `ordered`, last, that of the first order key."""
        if not self._sweeps.due(self.state_rows):
            return
        columns = self._floors.columns
        limits = floors[: len(columns)]
        dead = self._floors.take_dead(limits)
        if len(dead):
            if self._all is None:
                self._heads.retain(rows_alive(columns, limits))
            else:
                self._all.retain(rows_alive(columns, limits))
                self._heads.retain(rows_alive([self._narrow.index(column) for column in columns], limits))
            self._sizes[dead] = 0
            self._partial[dead] = False
            self._index.release(dead)
        if self._ordered and self._all is not None and floors[-1] is not None:
            rows = self._reachable(self._all.snapshot().to_delta(), floors[-1])
            self._all.replace(rows)
            # No row of the result is among those that go: heads stay long enough.
            hashes = hash_columns(rows.columns, rows.num_rows, self._seeds.row)
            self._heads.retain(lambda heads: np.isin(fixed_values(heads.columns[-1]), hashes))
        self._sweeps.done(self.state_rows)

    def _reachable(self, rows: Delta, floor: int) -> Delta:
        """The rows that may be among the first ones some day. Those below the floor do not change any more: of them
        only the first count; and if these fill the result, rows that follow never come in."""
        assert self._end is not None
        key = self._keys[0]
        column = rows.columns[key.column]
        kept = alive(column, floor)
        old = np.flatnonzero(~kept)
        below = rows.take(old)
        before, _ = places(below, self._partition, self._keys, len(rows.columns), self._variants, self._seeds)
        kept[old[(before < self._end) & (below.weights > 0)]] = True
        if not key.descending:
            groups = group_rows(rows.columns.select(self._partition), rows.num_rows, self._seeds).groups
            settled = sum_weights(groups[old], np.maximum(below.weights, 0), int(groups.max(initial=-1)) + 1)
            later = alive(column, floor)
            valid = validity(column)
            if valid is not None:
                later &= valid
            kept &= ~(later & (settled[groups] >= self._end))
        return rows.filter(kept)

    @property
    def state_rows(self) -> int:
        return self._heads.num_rows + (0 if self._all is None else self._all.num_rows)

    @property
    def state_bytes(self) -> int:
        traces = self._heads.nbytes + (0 if self._all is None else self._all.nbytes)
        return traces + self._index.nbytes + self._sizes.nbytes + self._partial.nbytes


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


def _begins(partitions: Integers) -> Integers:
    """For each ordered row, where its partition begins."""
    places = np.arange(len(partitions))
    places[1:][partitions[1:] == partitions[:-1]] = 0
    return np.maximum.accumulate(places)


def _starts(begins: Integers, counts: Integers) -> Integers:
    """For each ordered row, the number of rows before it in its partition."""
    before = np.cumsum(counts) - counts
    return np.asarray(before - before[begins])
