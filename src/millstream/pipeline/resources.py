"""What a pipeline's process may use of the machine: `resources` of its runtime configuration (api.md §7).

Memory: a thread looks at the process's resident memory several times a second and ends the pipeline, with an error that
says so, before the system runs out and kills whatever it likes. Pages of mapped files do not count: that is where state
on disk is read (zset/cold.py), and the system takes them back when it needs memory. A limit of the address space
(RLIMIT_AS) would be exact, but it counts what allocators and mapped files merely reserve, which is many times what is
used; and it would fail an allocation in the middle of anything. What is allocated between two looks is above the limit
for that long.

Processors: the threads of the process may run on so many of them only. A part of a processor counts as a whole one.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
from collections.abc import Callable

import psutil
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.processors import usable_processors

MEMORY_INTERVAL_S = 0.05
"""How often the memory is looked at."""
BYTES_PER_MB = 10**6
_PRESSURES = (("critical", 0.95), ("high", 0.9), ("moderate", 0.8))


_THIS_PROCESS = psutil.Process()


def memory_in_use() -> tuple[int, int]:
    """Bytes of resident memory of this process: all, and without pages of files where the system tells them apart."""
    memory = _THIS_PROCESS.memory_info()
    return memory.rss, int(memory.rss - getattr(memory, "shared", 0))


def unreclaimable_bytes() -> int:
    """The second of these."""
    return memory_in_use()[1]


class MemoryWatch:
    """Calls `on_exceeded` once, from a thread of its own, when the memory in use is above `limit_mb`."""

    def __init__(
        self,
        limit_mb: int,
        on_exceeded: Callable[[MillstreamError], None],
        used: Callable[[], int] = unreclaimable_bytes,
    ) -> None:
        self._limit_mb = limit_mb
        self._on_exceeded = on_exceeded
        self._used = used
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Idempotent."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            used = self._used()
            if used > self._limit_mb * BYTES_PER_MB:
                self._on_exceeded(memory_exceeded(used, self._limit_mb))
                return
            self._stopped.wait(MEMORY_INTERVAL_S)


class MemoryPressure:
    """How close the process is to `limit_mb` (None: there is no limit), and how often that has changed. Not
    thread-safe: used under the control lock; the time series looks once a second."""

    def __init__(self, limit_mb: int | None) -> None:
        self._limit_mb = limit_mb
        self._level = "low"
        #: Counts the changes of the level.
        self.epoch = 0

    def observe(self, used: int) -> str:
        """The level, now that so many bytes are in use."""
        level = "low"
        if self._limit_mb:
            share = used / (self._limit_mb * BYTES_PER_MB)
            level = next((name for name, least in _PRESSURES if share >= least), "low")
        if level != self._level:
            self._level = level
            self.epoch += 1
        return level


def memory_exceeded(used: int, limit_mb: int) -> MillstreamError:
    """Why the pipeline was ended."""
    return MillstreamError(
        "MemoryLimitExceeded",
        f"the pipeline used {math.ceil(used / BYTES_PER_MB)} MB of memory, more than its limit of {limit_mb} MB "
        "(runtime_config.resources.memory_mb_max); raise the limit, or let the pipeline keep less: LATENESS lets state "
        "be discarded, views that are not materialized keep no contents, and `max_queued_records` and "
        "`max_queued_bytes` bound the queues of connectors",
        {"used_bytes": used, "memory_mb_max": limit_mb},
        500,
    )


def limit_processors(cores: float) -> int | None:
    """Let all threads of this process, and those to come, run on at most ceil(`cores`) processors, chosen at random so
    that pipelines spread. The number of processors that may be used now; None where the system has no such limits."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    count = usable_processors(cores)
    if count == len(allowed):
        return count
    chosen = random.sample(allowed, count)
    for thread in _THIS_PROCESS.threads():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(thread.id, chosen)
    pa.set_cpu_count(count)
    return count
