"""Frames: for each row in order the range low[i] .. high[i] (exclusive) of rows that its window function sees.

Both bounds never decrease within a partition: that is what the kernels of functions rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from millstream.operators.arrays import Integers, Mask, Words
from millstream.operators.windows.ordered import Segments
from millstream.plan.nodes import WindowFrame
from millstream.zset.compiled import kernel

_MAX = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Distances:
    """The order key of rows in order, for RANGE frames with distances: words whose differences are those of the key,
    ascending in each partition, and which keys are NULL."""

    words: Words
    nulls: Mask


def frame_bounds(frame: WindowFrame, segments: Segments, distances: Distances | None) -> tuple[Integers, Integers]:
    """The frame of every row. O(rows)."""
    count = len(segments.partition_starts)
    low = _edge(frame.low, frame.rows, True, segments, distances, count)
    high = _edge(frame.high, frame.rows, False, segments, distances, count)
    return np.minimum(low, high), high


def _edge(
    distance: int | None, rows: bool, is_low: bool, segments: Segments, distances: Distances | None, count: int
) -> Integers:
    starts, ends = segments.partition_starts, segments.partition_ends
    if distance is None:
        return starts if is_low else ends
    if rows:
        reach = max(-count - 1, min(count + 1, distance))
        return np.clip(np.arange(count) + reach + (0 if is_low else 1), starts, ends)
    peers = segments.peer_starts if is_low else segments.peer_ends
    if distance == 0:
        return peers
    assert distances is not None
    magnitude = np.uint64(min(abs(distance), int(_MAX)))
    found: Integers = range_edge(starts, ends, peers, distances.words, distances.nulls, magnitude, distance < 0, is_low)
    return found


@kernel
def range_edge(
    starts: Any, ends: Any, peers: Any, words: Any, nulls: Any, magnitude: Any, backward: Any, is_low: Any
) -> Any:
    """The first row of the partition that is not below (is_low), or above, the row's key moved by `magnitude`."""
    count = len(words)
    edges = np.empty(count, np.int64)
    pointer = 0
    for i in range(count):
        if i == starts[i]:
            pointer = i
        if nulls[i]:
            edges[i] = peers[i]
            continue
        word = words[i]
        end = ends[i]
        while pointer < end and nulls[pointer] and pointer < i:
            pointer += 1
        below = backward and word < magnitude
        above = not backward and word > _MAX - magnitude
        target = word - magnitude if backward else word + magnitude
        # A target below every word is reached at once; one above every word is never reached.
        while (
            not below
            and pointer < end
            and not nulls[pointer]
            and (above or words[pointer] < target or (words[pointer] == target and not is_low))
        ):
            pointer += 1
        edges[i] = pointer
    return edges
