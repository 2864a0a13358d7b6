"""Identifiers and timestamps as the API spells them: UUID v7, and RFC 3339 in UTC with microseconds."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from datetime import UTC, datetime

_lock = threading.Lock()
_last_stamp = 0


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562 §5.7). Within this process every call is greater than the one before.

    The 12 bits after the millisecond carry its fraction, so that identifiers made within one millisecond keep their
    order; the remaining 62 bits are random.
    """
    global _last_stamp
    stamp = time.time_ns() // 1_000_000 << 12 | (time.time_ns() % 1_000_000) * 4096 // 1_000_000
    with _lock:
        _last_stamp = stamp = max(stamp, _last_stamp + 1)
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)


def timestamp(moment: datetime | None = None) -> str:
    """`2026-01-31T12:00:00.000000Z`; now if no moment is given."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
