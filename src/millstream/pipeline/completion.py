"""How far the input of one endpoint has come: when it arrived, was processed, and was delivered everywhere.

Steps consume queue entries; outputs deliver steps, later and in order. So what a step consumed waits here until the
step is complete: the times of arrival, for the distribution of latencies, and the last position of the source among
the entries, which then is the completed frontier (connectors.md §5.1). Not thread-safe: used under the control lock.
Cost: O(1) per queue entry. While an output is stuck, the latest of too many steps become one, complete with the last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from millstream.pipeline.clock import Clock
from millstream.pipeline.histogram import Histogram
from millstream.pipeline.limits import MAX_ARRIVALS_PER_STEP, MAX_PENDING_STEPS


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the source as its transport describes it, all before it having arrived at `queued_at` (monotonic
    seconds)."""

    metadata: Mapping[str, Any]
    queued_at: float


@dataclass(frozen=True, slots=True)
class Frontier:
    """All of the source up to `metadata` is in every output; unix seconds."""

    metadata: Mapping[str, Any]
    ingested_at: float
    processed_at: float
    completed_at: float

    def to_json(self) -> dict[str, Any]:
        times = {"ingested_at": self.ingested_at, "processed_at": self.processed_at, "completed_at": self.completed_at}
        return {"metadata": dict(self.metadata), **{name: _rfc3339(value) for name, value in times.items()}}


@dataclass(frozen=True, slots=True)
class _StepInput:
    step: int
    queued_at: Sequence[float]
    position: Position | None
    processed_at: float


class Completion:
    """`latency` has the seconds from queueing to completion; `frontier` is the last completed position."""

    def __init__(self, clock: Clock) -> None:
        self.latency = Histogram()
        self.frontier: Frontier | None = None
        self._clock = clock
        #: Consumed, by no step that has been published.
        self._queued_at: list[float] = []
        self._position: Position | None = None
        self._steps: deque[_StepInput] = deque()

    def consume(self, queued_at: Sequence[float], position: Position | None) -> None:
        """The next step, or the open transaction, has taken entries with these times of arrival."""
        self._queued_at.extend(queued_at[: MAX_ARRIVALS_PER_STEP - len(self._queued_at)])
        if position is not None:
            self._position = position

    def assign(self, step: int) -> None:
        """All that was consumed belongs to `step`, which has been processed now."""
        if self._queued_at:
            if len(self._steps) == MAX_PENDING_STEPS:
                latest = self._steps.pop()
                self._queued_at, self._position = list(latest.queued_at), self._position or latest.position
            self._steps.append(_StepInput(step, self._queued_at, self._position, self._clock.monotonic()))
            self._queued_at, self._position = [], None

    def complete(self, step: int) -> None:
        """Every output has delivered all steps up to `step`."""
        while self._steps and self._steps[0].step <= step:
            done = self._steps.popleft()
            now = self._clock.monotonic()
            self.latency.add(now - np.asarray(done.queued_at))
            if done.position is not None:
                unix = self._clock.now() - now
                times = (unix + done.position.queued_at, unix + done.processed_at, unix + now)
                self.frontier = Frontier(done.position.metadata, *times)


def _rfc3339(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
