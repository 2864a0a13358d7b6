"""NOW(): the clock of a program, as the input endpoint `now` (connectors.md §11.15).

Time for the program moves in ticks: wall time floored to the resolution, one record per tick, only while the pipeline
runs. With `now_http_driven` it moves only when told to (`advance`). Between ticks NOW() stands still; without a
resolution there is no endpoint, and every step sees the current time. All methods run under the control lock.
"""

from __future__ import annotations

from collections import deque

from millstream.pipeline.control import Control
from millstream.pipeline.input_endpoint import InputEndpoint
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.zset.changes import ChangeBatch

CLOCK_ENDPOINT = "now"

_TICK = ChangeBatch((), 1)


class ProgramClock:
    """What NOW() returns, and when it changes. `endpoint` None: no ticks, the time is read at every step."""

    def __init__(self, control: Control, config: RuntimeConfig, endpoint: InputEndpoint | None) -> None:
        self.endpoint = endpoint
        self.http_driven = config.now_http_driven and endpoint is not None
        self._control = control
        self._resolution_us = config.clock_resolution_us or 1
        self._offset_us = config.clock_timezone_offset_us
        wall_us = self._wall_us()
        self._shift_us = 0 if config.now_start_us is None else config.now_start_us - wall_us
        #: The time of the last tick (queued or not), on the grid.
        self._last_us = self._floor(wall_us + self._shift_us)
        self._queued: deque[int] = deque()
        self._value_us = self._last_us

    @property
    def value_us(self) -> int:
        """NOW() of the step that is about to run, in microseconds since the epoch."""
        if self.endpoint is None:
            return self._wall_us() + self._shift_us + self._offset_us
        return self._value_us + self._offset_us

    def seconds_to_tick(self) -> float | None:
        """How long until the next tick is due (0: now); None: not before something changes."""
        endpoint = self.endpoint
        if endpoint is None or self.http_driven or endpoint.paused or not self._control.running:
            return None
        if endpoint.buffered_records:
            return None
        now_us = self._wall_us() + self._shift_us
        return max(0.0, (self._last_us + self._resolution_us - now_us) / 1e6)

    def tick(self) -> None:
        """Queue the current time if it is due."""
        left = self.seconds_to_tick()
        if left is not None and left <= 0:
            self._queue(self._floor(self._wall_us() + self._shift_us))

    def advance(self, delta_ms: int | None) -> int:
        """Move an HTTP-driven clock by `delta_ms`, rounded up to the resolution (None: one tick); the new time, or
        with 0 the present one, in milliseconds since the epoch."""
        if delta_ms != 0:
            step_us = self._resolution_us if delta_ms is None else -(-delta_ms * 1000 // self._resolution_us)
            if delta_ms is not None:
                step_us *= self._resolution_us
            self._queue(self._last_us + step_us)
        return self._last_us // 1000

    def consumed(self, ticks: int) -> None:
        """So many ticks were taken for the next step: NOW() is the last of them."""
        for _ in range(ticks):
            self._value_us = self._queued.popleft()

    def follow_wall_time(self) -> None:
        """Without an engine thread nobody ticks: take the time at the step itself."""
        if not self.http_driven:
            self._last_us = max(self._last_us, self._floor(self._wall_us() + self._shift_us))
            self._value_us = self._last_us

    def _queue(self, time_us: int) -> None:
        assert self.endpoint is not None
        self._last_us = time_us
        self._queued.append(time_us)
        self.endpoint.enqueue([(_TICK, 0)])
        self._control.request_step()

    def _floor(self, time_us: int) -> int:
        return time_us // self._resolution_us * self._resolution_us

    def _wall_us(self) -> int:
        return int(self._control.clock.now() * 1e6)
