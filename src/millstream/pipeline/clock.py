"""Time, as something that is passed in.

Everything in a running pipeline that looks at the time or waits for it does so through a `Clock`, so that tests move
time by hand: `ManualClock.advance` wakes exactly those waits whose time has come.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time, and waiting on a condition with a time-out."""

    def now(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds since some fixed instant; never goes back."""

    def wait(self, condition: threading.Condition, timeout: float | None = None) -> bool:
        """`condition.wait(timeout)` on this clock; the caller holds the condition. False: the time has passed.
        May also wake for no reason, as conditions do."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, condition: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is not None:
            timeout = min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        return condition.wait(timeout)


class ManualClock:
    """A clock that stands still until `advance` is called.

    A waiting thread first reads the time, works out how long to wait, then waits. An `advance` in between would be
    missed, so `wait` returns at once if time has moved since the thread's first look after its last wait.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self._waiting: dict[threading.Condition, int] = {}
        self._looked = threading.local()

    def now(self) -> float:
        with self._lock:
            self._look()
            return self._now

    def monotonic(self) -> float:
        with self._lock:
            self._look()
            return self._elapsed

    def _look(self) -> None:
        if getattr(self._looked, "at", None) is None:
            self._looked.at = self._elapsed

    def wait(self, condition: threading.Condition, timeout: float | None = None) -> bool:
        with self._lock:
            deadline = None if timeout is None else self._elapsed + timeout
            looked_at, self._looked.at = getattr(self._looked, "at", None), None
            if timeout is not None and timeout <= 0:
                return False
            if looked_at is not None and looked_at != self._elapsed:
                return True
            # Registered before the condition is released: an `advance` from now on finds it.
            self._waiting[condition] = self._waiting.get(condition, 0) + 1
        try:
            condition.wait()
        finally:
            with self._lock:
                self._waiting[condition] -= 1
                if not self._waiting[condition]:
                    del self._waiting[condition]
                expired = deadline is not None and self._elapsed >= deadline
        return not expired

    def advance(self, seconds: float) -> None:
        """Move time forward and wake everything that waits on this clock. The caller holds no pipeline lock."""
        with self._lock:
            self._now += seconds
            self._elapsed += seconds
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()
