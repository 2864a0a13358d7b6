"""The errors of one endpoint: a running number for every error, and the text of the latest per tag.

A source of a million bad records must cost neither memory nor log space: lists keep the most recent errors of each
tag, texts are cut, and the log gets one line per tag and interval. Not thread-safe: used under the control lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from millstream.pipeline.clock import Clock
from millstream.pipeline.limits import ERROR_LOG_INTERVAL_SECONDS, MAX_ERROR_MESSAGE_BYTES, MAX_ERRORS_PER_TAG


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One error: unix time in seconds, 1-based running number within its list, tag and text."""

    timestamp: float
    index: int
    tag: str
    message: str

    def to_json(self) -> dict[str, object]:
        return {
            "timestamp": datetime.fromtimestamp(self.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "index": self.index,
            "tag": self.tag,
            "message": self.message,
        }


class ErrorLog:
    """A counter that only grows and the latest errors per tag."""

    def __init__(
        self, what: str, clock: Clock, log: Callable[[str], None], redact: Callable[[str], str] = lambda text: text
    ) -> None:
        """`redact` takes secrets out of a text."""
        self._what = what
        self._redact = redact
        self._clock = clock
        self._log = log
        self._latest: dict[str, deque[LoggedError]] = {}
        self._logged_at: dict[str, float] = {}
        self.count = 0

    def add(self, tag: str, message: str) -> None:
        """Record one error."""
        self.add_many(tag, (message,))

    def add_many(self, tag: str, messages: Sequence[str], count: int | None = None) -> None:
        """Record `count` errors, of which `messages` are the last ones."""
        messages = [self._redact(text) for text in messages]
        total = len(messages) if count is None else count
        first = self.count + total - len(messages) + 1
        self.count += total
        now = self._clock.now()
        latest = self._latest.setdefault(tag, deque(maxlen=MAX_ERRORS_PER_TAG))
        latest.extend(LoggedError(now, first + i, tag, shorten(text)) for i, text in enumerate(messages))
        since = self._logged_at.get(tag)
        if messages and (since is None or self._clock.monotonic() - since >= ERROR_LOG_INTERVAL_SECONDS):
            self._logged_at[tag] = self._clock.monotonic()
            more = f" (and {total - 1} more)" if total > 1 else ""
            self._log(f"{self._what} [{tag}]: {shorten(messages[-1])}{more}")

    def latest(self) -> tuple[LoggedError, ...]:
        """The kept errors of all tags, oldest first."""
        return tuple(sorted((e for kept in self._latest.values() for e in kept), key=lambda e: e.index))


def shorten(text: str, limit: int = MAX_ERROR_MESSAGE_BYTES) -> str:
    """`text`, with its middle replaced by `...` if its UTF-8 form is longer than `limit` bytes."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return text
    half = (limit - 3) // 2
    return data[:half].decode(errors="ignore") + "..." + data[-half:].decode(errors="ignore")
