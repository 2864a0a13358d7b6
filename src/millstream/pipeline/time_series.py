"""One sample a second of what the web console plots: records, memory, storage (api.md §13)."""

from __future__ import annotations

import datetime
import threading
from collections import deque
from typing import Any

from millstream.pipeline.controller import Controller
from millstream.pipeline.limits import TIME_SERIES_SAMPLES

INTERVAL_S = 1.0


class TimeSeries:
    """Keeps the last `TIME_SERIES_SAMPLES` samples; a daemon thread takes them."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._samples: deque[dict[str, Any]] = deque(maxlen=TIME_SERIES_SAMPLES)
        self._changed = threading.Condition()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin sampling."""
        threading.Thread(target=self._run, name="time-series", daemon=True).start()

    def stop(self) -> None:
        """End sampling; waiters return."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            metrics = self._controller.stats(False)["global_metrics"]
            sample = {
                "t": timestamp(),
                "r": metrics["total_processed_records"],
                "m": metrics["rss_bytes"],
                "s": metrics["storage_bytes"],
            }
            with self._changed:
                self._samples.append(sample)
                self._changed.notify_all()
            if self._stopped.wait(INTERVAL_S):
                return

    def to_json(self) -> dict[str, Any]:
        """The body of `GET /time_series`."""
        with self._changed:
            return {"now": timestamp(), "samples": list(self._samples)}

    def after(self, last: str | None, timeout: float) -> list[dict[str, Any]]:
        """Samples later than time `last` (None: all), waiting up to `timeout` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped.is_set() or self._newer(last), timeout)
            return self._newer(last)

    def _newer(self, last: str | None) -> list[dict[str, Any]]:
        return [s for s in self._samples if last is None or s["t"] > last]

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()


def timestamp() -> str:
    """Now, RFC 3339 with microseconds and Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
