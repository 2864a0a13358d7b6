"""Shards: the rows of deltas dealt out by a hash of some columns.

Rows with equal values in those columns are of the same shard, in every delta and always. The hash has a seed of its
own: within a shard, key hashes (hashing.py) are as uniform as before, so that directories and group tables stay
balanced. NULL is a value like others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from millstream.zset.columns import SOURCE_SHIFT
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds, hash_described
from millstream.zset.moving import gather_columns
from millstream.zset.shard_kernels import deal

_OTHER_SEED = 0xA4093822299F31D0


@dataclass(frozen=True, slots=True)
class Dealt:
    """A delta, and which of its rows are of which shard: those at `positions[bounds[s] : bounds[s + 1]]` of shard s."""

    delta: Delta
    positions: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]

    def count(self, shard: int) -> int:
        """The number of rows of a shard."""
        return int(self.bounds[shard + 1] - self.bounds[shard])

    def of(self, shard: int) -> npt.NDArray[np.int64]:
        """The positions of the rows of a shard, ascending."""
        return self.positions[self.bounds[shard] : self.bounds[shard + 1]]


def deal_out(delta: Delta, columns: Sequence[int], shards: int, seeds: Seeds) -> Dealt:
    """Deals the rows of `delta` out to so many shards by the values of `columns`. O(bytes of those columns)."""
    chosen = delta.columns.select(columns)
    hashes = hash_described(chosen, chosen.table, delta.num_rows, seeds.key ^ _OTHER_SEED)
    return Dealt(delta, *deal(hashes, shards))


def gather_shard(sources: Sequence[Dealt], shard: int) -> Delta | None:
    """The rows of one shard of deltas with the same column types; None if there are none. O(bytes of these rows); those
    of a delta all of whose rows are of this shard are not moved."""
    present = [source for source in sources if source.count(shard)]
    if not present:
        return None
    first = present[0].delta
    taken = [source.of(shard) for source in present]
    if len(present) == 1:
        return first if len(taken[0]) == first.num_rows else first.take(taken[0])
    places = np.concatenate([rows | (number << SOURCE_SHIFT) for number, rows in enumerate(taken)])
    tables = np.array([source.delta.table for source in present])
    types = first.types
    moved = [source.delta.columns for source in present]
    columns = gather_columns(types, places, tables, moved, range(len(types)))
    weights = np.concatenate([source.delta.weights[rows] for source, rows in zip(present, taken, strict=True)])
    return Delta(columns, weights)
