"""Distributions of durations in buckets of fixed bounds, for metrics (api.md §13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BOUNDS_S = tuple(1e-6 * 4**power for power in range(15))
"""Upper bounds of the buckets: 1 microsecond to about 4.5 minutes; a last bucket has what is longer."""
_BOUNDS = np.array(BOUNDS_S)


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """Counts by bucket (the last is for everything above the bounds), and the sum in seconds."""

    counts: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        return sum(self.counts)


class Histogram:
    """Counts durations. Not thread-safe: used under the control lock."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(BOUNDS_S) + 1, np.int64)
        self._sum = 0.0

    def add(self, seconds: Sequence[float] | npt.NDArray[np.float64]) -> None:
        """Count some durations. Costs O(len(seconds))."""
        values = np.asarray(seconds, np.float64)
        self._counts += np.bincount(np.searchsorted(_BOUNDS, values), minlength=len(self._counts))
        self._sum += float(values.sum())

    def snapshot(self) -> HistogramSnapshot:
        """What has been counted so far."""
        return HistogramSnapshot(tuple(self._counts.tolist()), self._sum)
