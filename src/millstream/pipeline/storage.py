"""What a pipeline keeps in memory and what on disk, according to `storage`, `resources` and `max_rss_mb` of its runtime
configuration (api.md §7), and how much disk that takes.

With storage (the default), state goes to disk when it becomes larger than what is left of memory: half of what the
process may use beyond what any process needs. What it may use is `max_rss_mb` or `resources.memory_mb_max`, the memory
of the machine without them. `storage.min_storage_bytes` sends every run of at least that size to disk, however much
memory there is. `storage: null` keeps all state in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from millstream.pipeline.resources import BYTES_PER_MB
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.zset.cold import ColdStore
from millstream.zset.keeper import Keeper

RUNS_DIRECTORY = "runs"
#: What a process takes before it has any state, and what state may take of the rest; of a very small budget a share.
PROCESS_BYTES = 300 * BYTES_PER_MB
STATE_SHARE = 0.5
SMALL_BUDGET_SHARE = 0.125


def build_keeper(config: RuntimeConfig, directory: Path, log: Callable[[str], None]) -> Keeper:
    """The keeper of the pipeline's traces, with its files in `directory`. Raises OSError if that cannot be used."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="merge")
    if not config.storage:
        return Keeper(executor)
    limit = None if config.storage_mb_max is None else config.storage_mb_max * BYTES_PER_MB
    return Keeper(
        executor,
        ColdStore(directory / RUNS_DIRECTORY, limit, log),
        min_cold_bytes=config.min_storage_bytes,
        memory_bytes=state_memory_bytes(config.memory_budget_mb),
    )


def state_memory_bytes(budget_mb: int | None) -> int:
    """What state may take in memory before it goes to disk."""
    budget = psutil.virtual_memory().total if budget_mb is None else budget_mb * BYTES_PER_MB
    return max(1, int(max(STATE_SHARE * (budget - PROCESS_BYTES), SMALL_BUDGET_SHARE * budget)))


class StorageMeter:
    """Bytes on disk, and their integral over time, from as many looks as there are (statistics look every second)."""

    def __init__(self, keeper: Keeper, now: Callable[[], float] = time.monotonic) -> None:
        self._keeper = keeper
        self._now = now
        self._lock = threading.Lock()
        self._last = (now(), 0)
        self._byte_seconds = 0.0

    def read(self) -> tuple[int, int]:
        """(bytes, megabyte-seconds since the start)."""
        with self._lock:
            now = self._now()
            then, before = self._last
            current = self._keeper.stored_bytes
            self._byte_seconds += (now - then) * (before + current) / 2
            self._last = (now, current)
            return current, int(self._byte_seconds / BYTES_PER_MB)
