"""Rows of some partitions in order, and where their partitions and peers begin and end.

Rows are sorted by partition and order keys first. Only rows that tie are looked at further: they are ordered by all
columns, and equal rows are merged, their weights added. So columns that are no keys cost nothing where keys differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.kernels import order_in_groups
from millstream.operators.ordering import NO_VARIANTS, Variants, key_words, sort_codes
from millstream.plan.nodes import SortKey
from millstream.zset.delta import Delta, Weights


@dataclass(frozen=True, slots=True)
class Ordered:
    """Distinct rows in order. `rows[i]`: a position in the pool; `weights`: multiplicities, one array per source;
    `partition_first` and `peer_first`: whether a partition or a group of peers begins at i."""

    rows: Integers
    weights: tuple[Weights, ...]
    partition_first: Mask
    peer_first: Mask


@dataclass(frozen=True, slots=True)
class Segments:
    """For each of n rows in order, where its partition and its peers start and end (exclusive)."""

    partition_starts: Integers
    partition_ends: Integers
    peer_starts: Integers
    peer_ends: Integers


def order_rows(
    pool: Delta,
    partitions: Integers,
    keys: Sequence[SortKey],
    weights: Sequence[Weights],
    ties: Sequence[int],
    variants: Variants = NO_VARIANTS,
) -> Ordered:
    """The rows of `pool` by partition, keys and the columns `ties`; rows equal in all are one. O(n log n)."""
    leading = [partitions.astype(np.uint64)]
    words = leading + key_words(pool.columns, keys, variants)
    count = int(partitions.max(initial=-1)) + 1
    order = order_in_groups(partitions, count, np.stack(words[1:] or leading, axis=1))
    partition_first = _changes(leading, order)
    peer_first = partition_first | _changes(words[1:], order)
    distinct = peer_first.copy()
    tied = _tied(peer_first)
    if len(tied):
        # Only these rows need the other columns; they are put in order within their places.
        rows = order[tied]
        peers = np.cumsum(peer_first)[tied].astype(np.uint64)
        few = pool.take(rows)
        codes = [peers, *(sort_codes(few.columns[c], variants.get(c)) for c in ties)]
        inner = np.lexsort(tuple(reversed(codes)))
        order[tied] = rows[inner]
        distinct[tied] = _changes(codes, inner)
    starts = np.flatnonzero(distinct)
    totals = tuple(np.add.reduceat(w[order], starts) if len(starts) else w[:0] for w in weights)
    return Ordered(order[starts], totals, partition_first[starts], peer_first[starts])


def _changes(words: Sequence[Words], order: Integers) -> Mask:
    """Where a row differs from the one before it."""
    first = np.zeros(len(order), np.bool_)
    first[:1] = True
    for word in words:
        ordered = word[order]
        first[1:] |= ordered[1:] != ordered[:-1]
    return first


def _tied(first: Mask) -> Integers:
    """Positions of rows whose group has more than one row."""
    last = np.append(first[1:], True)
    return np.flatnonzero(~(first & last))


def segments(partition_first: Mask, peer_first: Mask) -> Segments:
    """The bounds of partitions and peers of rows in order."""
    return Segments(*_bounds(partition_first), *_bounds(peer_first))


def _bounds(first: Mask) -> tuple[Integers, Integers]:
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, len(first)))
    return np.repeat(starts, lengths), np.repeat(starts + lengths, lengths)


def repeat_first(first: Mask, counts: Integers) -> Mask:
    """The same marks when row i occurs counts[i] times, possibly 0 times: a mark moves to the next row that is left of
    its group."""
    groups = np.repeat(np.cumsum(first), counts)
    marks = np.ones(len(groups), np.bool_)
    marks[1:] = groups[1:] != groups[:-1]
    return marks
