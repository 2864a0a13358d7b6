"""Processing latencies of one endpoint: a ring of the latest samples, for the 99th percentile."""

from __future__ import annotations

import numpy as np

from millstream.pipeline.histogram import Histogram
from millstream.pipeline.limits import LATENCY_REFRESH_SECONDS, LATENCY_SAMPLES, LATENCY_WINDOW_SECONDS


class LatencySamples:
    """Seconds from queueing to the end of the step; `histogram` has all of them. Not thread-safe: used under the
    control lock."""

    def __init__(self) -> None:
        # Grows to LATENCY_SAMPLES with use: most endpoints never see so many.
        self._size = 64
        self.histogram = Histogram()
        self._seconds = np.zeros(self._size)
        self._taken_at = np.zeros(self._size)
        self._count = 0
        self._p99: int | None = None
        self._p99_at = 0.0

    def add(self, queued_at: list[float], now: float) -> None:
        """One sample per queue entry that has just been processed."""
        self.histogram.add(now - np.asarray(queued_at))
        recent = queued_at[-LATENCY_SAMPLES:]
        self._reserve(self._count + len(recent))
        positions = (self._count + np.arange(len(recent))) % self._size
        self._seconds[positions] = now - np.asarray(recent)
        self._taken_at[positions] = now
        self._count += len(recent)

    def p99_micros(self, now: float) -> int | None:
        """The 99th percentile, in microseconds, of the samples inside the window; None without any. At most
        LATENCY_REFRESH_SECONDS old: statistics may be read often."""
        if self._p99 is None or now - self._p99_at >= LATENCY_REFRESH_SECONDS:
            used = min(self._count, self._size)
            recent = self._seconds[:used][self._taken_at[:used] >= now - LATENCY_WINDOW_SECONDS]
            rank = len(recent) * 99 // 100
            self._p99 = int(np.partition(recent, rank)[rank] * 1e6) if len(recent) else None
            self._p99_at = now
        return self._p99

    def _reserve(self, count: int) -> None:
        if count <= self._size or self._size == LATENCY_SAMPLES:
            return
        size = self._size
        while size < count:
            size *= 2
        self._size = min(size, LATENCY_SAMPLES)
        self._seconds = np.resize(self._seconds, self._size)
        self._taken_at = np.resize(self._taken_at, self._size)
