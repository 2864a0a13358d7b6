"""Workers: the threads that compute a step together.

A step is computed by the thread that asked for it, and where there is enough to do by others beside it: kernels and
Arrow release the interpreter lock, the code between them does not. So it takes many rows for two threads to be faster
than one: benchmarks/workers.py measures it.

The threads are shared by all circuits of the process, and a thread that waits for others does their part if they have
not begun it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from millstream.processors import usable_processors

Result = TypeVar("Result")

SPLIT_ROWS = 20_000
"""A change of so many rows makes an operator split its state among the workers,"""
LARGEST_SHARE = 0.8
"""unless more of its rows than this would be one worker's."""
THREAD_ROWS = 10_000
"""A change of so many rows is worth more than one thread."""
REMEMBERED_ROWS = 100_000
"""So many rows an operator remembers in order to be able to split later."""
UNITED_ROWS = 10_000
"""Moving so many rows of state costs about as much as a small change to a split operator costs more than to a whole."""
LEAST_SMALL_CHANGES = 10
"""No fewer small changes make an operator whole again."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many workers, and from how many rows on they work; the sizes are for tests to change."""

    count: int = 1
    split_rows: int = SPLIT_ROWS
    thread_rows: int = THREAD_ROWS
    remembered_rows: int = REMEMBERED_ROWS
    largest_share: float = LARGEST_SHARE
    united_rows: int = UNITED_ROWS
    small_changes: int = LEAST_SMALL_CHANGES

    def run(self, tasks: Sequence[Callable[[], Result]], rows: int) -> list[Result]:
        """The results of tasks that deal with so many rows in all, in order. Raises the error of the first task that
        failed, after all have ended."""
        if len(tasks) < 2 or rows < self.thread_rows:
            return [task() for task in tasks]
        pool = _threads(self.count - 1)
        # Traces that are made in a task belong to the keeper of this step (zset/keeper.py).
        others = [pool.submit(copy_context().run, task) for task in tasks[1:]]
        try:
            results = [tasks[0]()]
            for task, other in zip(tasks[1:], others, strict=True):
                results.append(task() if other.cancel() else other.result())
            return results
        finally:
            for other in others:
                if not other.cancelled():
                    other.exception()  # waits


SINGLE = Workers()
"""One worker: everything in the thread that asked for the step."""


@lru_cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="worker")


def effective_workers(wanted: int | None, cores: float | None = None) -> int:
    """The number of workers of a circuit for which `wanted` are configured: no more than processors. None leaves the
    choice to measurement: one, because a circuit that large steps have split takes up to twice as long for the first
    small ones that follow (benchmarks/workers.py)."""
    return 1 if wanted is None else max(1, min(wanted, usable_processors(cores)))
