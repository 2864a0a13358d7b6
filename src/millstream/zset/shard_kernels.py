"""The kernel that deals rows out to shards."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.compiled import kernel_for

_HALF = np.uint64(32)


@kernel_for("uint64[::1], int64")
def deal(hashes: Any, shards: Any) -> Any:
    """Positions of rows in order of their shard, each shard's in their own order, and the `shards + 1` bounds between
    them. Shard s has the hashes whose upper half lies in the s-th of as many equal ranges. O(rows)."""
    count = len(hashes)
    wide = np.uint64(shards)
    ends = np.zeros(shards + 1, np.int64)
    for i in range(count):
        ends[np.int64(((hashes[i] >> _HALF) * wide) >> _HALF) + 1] += 1
    for after in range(1, shards + 1):
        ends[after] += ends[after - 1]
    bounds = ends.copy()
    positions = np.empty(count, np.int64)
    for i in range(count):
        s = np.int64(((hashes[i] >> _HALF) * wide) >> _HALF)
        positions[ends[s]] = i
        ends[s] += 1
    return positions, bounds
