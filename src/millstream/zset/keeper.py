"""Who keeps the runs of traces in order: large merges happen in a thread of their own, and large runs go to disk.

A trace (or any other `RunHolder`) has a tuple of immutable runs. A *task* makes one run of some neighbours among them:
their merge, or a single run moved to disk. The holder goes on with the runs it has; when the task is done it puts the
result in their place, at its next insert or probe. So results do not depend on when tasks end, and readers of snapshots
notice nothing. A holder has one task at a time. When it collects too many runs meanwhile, it waits.

State goes to disk in two ways: every run of at least `min_cold_bytes`, if that is given; and, when the runs in memory
exceed `memory_bytes` together, the largest ones. Where writing cannot keep up, the next step waits for it. What a cold
run is merged into is cold, too. Directories of runs, group tables and slots stay in memory.

Traces take the keeper that is in use where they are made (`keeping`); without one, they merge at once and in memory.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from millstream.zset.cold import ColdStore, RunFile, StoreError

#: Merges of at least so many values (rows times columns and hashes) are left to a task: about 10 ms.
TASK_VALUES = 1 << 19
#: A holder whose task is not done waits for it when it has so many runs.
MAX_RUNS = 32
#: Smaller runs always stay in memory.
MIN_COLD_BYTES = 1 << 16
#: When memory is short, runs below this size are not what helps.
_LARGE_BYTES = 1 << 20
#: State in memory may exceed its bound by this factor while it is being written to disk.
_MOST_EXCESS = 1.25
#: How often the size of the state is looked at: when this part of what it may take in memory has come.
_PARTS = 32
#: What a row is taken to have where looking would cost more than it is worth.
_SMALL_RUN_ROWS, _ROW_BYTES = 256, 256


class KeptRun(Protocol):
    """What the keeper must know of a run."""

    @property
    def num_rows(self) -> int:
        """Number of entries."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""

    @property
    def width(self) -> int:
        """Values of an entry: columns, hashes and weight."""

    @property
    def file(self) -> RunFile | None:
        """Where it is on disk."""

    def store(self, store: ColdStore) -> Self:
        """The same run on disk. Raises StoreError."""


R = TypeVar("R", bound=KeptRun)
Merge = Callable[[Sequence[R], ColdStore | None], R]


@dataclass(frozen=True, slots=True)
class Task(Generic[R]):
    """Something that becomes of `sources`, neighbours among the runs of a holder."""

    sources: tuple[R, ...]
    result: Future[R]
    #: Bytes of memory that are free when it is done.
    relief: int = 0


class RunHolder(Generic[R]):
    """Runs, oldest first, and at most one task on them. `merge(runs, store)` is how they are merged: on disk if a store
    is given. For one thread at a time, but for `runs`, which anybody may read."""

    def __init__(self, merge: Merge[R]) -> None:
        self.runs: tuple[R, ...] = ()
        self.task: Task[R] | None = None
        self.keeper = keeper_in_use()
        self._merge_runs = merge
        self.keeper.add(self)

    @property
    def num_rows(self) -> int:
        """Number of entries, counting a row once for each run that mentions it. O(runs)."""
        return sum(run.num_rows for run in self.runs)

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(runs x columns)."""
        return sum(run.nbytes for run in self.runs)

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk. O(runs)."""
        return sum(run.file.nbytes for run in self.runs if run.file is not None)

    def changed(self) -> None:
        """Called when `runs` has been replaced, for those who keep more than the runs."""

    def adopted(self, made: R) -> R:
        """What a task has made, as it is to take the place of its sources."""
        return made

    def set_runs(self, runs: tuple[R, ...]) -> None:
        """Replaces the runs; a task whose sources are no longer among them loses its effect."""
        self.runs = runs
        self.changed()

    def forget_task(self) -> None:
        """The runs are about to be replaced by others: the task is in vain."""
        if self.task is not None:
            self.task.result.cancel()
            self.task = None

    def settle(self) -> None:
        """Puts the result of the task in the place of its sources if it is there; waits for it if there are too many
        runs."""
        if self.task is not None and (self.task.result.done() or len(self.runs) >= MAX_RUNS):
            self._adopt(self.task)

    def wait(self) -> None:
        """The same; waits for it."""
        if self.task is not None:
            self._adopt(self.task)

    def absorb(self, other: RunHolder[R]) -> None:
        """Adds the runs of a holder with the same types, keys and seeds, which must not be used afterwards. O(runs),
        but waits for tasks."""
        self.wait()
        other.wait()
        self.set_runs(tuple(sorted((*self.runs, *other.runs), key=lambda run: run.num_rows, reverse=True)))

    @property
    def free(self) -> int:
        """The runs from here on are not those that a task is about, or before them."""
        if self.task is None:
            return 0
        last = self.task.sources[-1]
        return 1 + next(i for i, run in enumerate(self.runs) if run is last)

    def merge(self, start: int, end: int) -> bool:
        """Merges the runs start .. end - 1, none of which a task is about, now; or has a task begin if there is none.
        Whether they are merged now."""
        runs = self.runs[start:end]
        if not self.keeper.defers(runs):
            merged = self._merge_runs(runs, None)
            self.set_runs(self.runs[:start] + ((merged,) if merged.num_rows else ()) + self.runs[end:])
            return True
        if self.task is None:
            self.task = self.keeper.merge(runs, self._merge_runs)
        return False

    def _adopt(self, task: Task[R]) -> None:
        self.task = None
        made = self.adopted(task.result.result())
        start = next(i for i, run in enumerate(self.runs) if run is task.sources[0])
        self.set_runs(self.runs[:start] + ((made,) if made.num_rows else ()) + self.runs[start + len(task.sources) :])


class Keeper:
    """`executor` runs tasks (None: there are none, everything happens at once); `store` takes what goes to disk (None:
    nothing does), according to `min_cold_bytes` and `memory_bytes` (see the module)."""

    def __init__(
        self,
        executor: Executor | None = None,
        store: ColdStore | None = None,
        *,
        min_cold_bytes: int | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.store = store
        self._executor = executor
        self._min_cold_bytes = None if min_cold_bytes is None else max(min_cold_bytes, MIN_COLD_BYTES, 1)
        self._memory_bytes = memory_bytes
        self._holders: weakref.WeakSet[RunHolder[Any]] = weakref.WeakSet()
        self._unseen_bytes = 0
        bounds = [bound for bound in (self._min_cold_bytes, memory_bytes and memory_bytes // _PARTS) if bound]
        self._look_bytes = min(bounds, default=0) if executor is not None and store is not None else 0

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk."""
        return 0 if self.store is None else self.store.nbytes

    def add(self, holder: RunHolder[R]) -> None:
        """Called by new holders, before they have runs."""
        if self._executor is not None:
            self._holders.add(holder)

    def defers(self, runs: Sequence[KeptRun]) -> bool:
        """Whether the merge of these runs is left to a task."""
        if self._executor is None:
            return False
        rows = sum(run.num_rows for run in runs)
        return rows * runs[0].width >= TASK_VALUES or any(run.file is not None for run in runs)

    def merge(self, runs: tuple[R, ...], merge: Merge[R]) -> Task[R]:
        """A task that merges the runs."""
        assert self._executor is not None
        size = sum(run.nbytes for run in runs)
        cold = self._goes_to_disk(runs, size)
        return Task(runs, self._executor.submit(self.make, runs, merge), size if cold else 0)

    def make(self, runs: Sequence[R], make: Merge[R]) -> R:
        """What `make` makes of the runs, on disk if that is where it belongs and can be written."""
        if self.store is not None and self.store.available and self._goes_to_disk(runs, sum(r.nbytes for r in runs)):
            with contextlib.suppress(StoreError):
                return make(runs, self.store)
        return make(runs, None)

    def _goes_to_disk(self, runs: Sequence[KeptRun], size: int) -> bool:
        if self.store is None:
            return False
        bound = self._min_cold_bytes
        return any(run.file is not None for run in runs) or (bound is not None and size >= bound)

    def inserted(self, run: KeptRun) -> None:
        """A holder has got a new run. Several threads may say so at once: a run may be missed in the count."""
        if self._look_bytes:
            small = run.num_rows <= _SMALL_RUN_ROWS
            self._unseen_bytes += run.num_rows * _ROW_BYTES if small else run.nbytes

    def end_step(self) -> None:
        """Called when no thread uses a holder; now and then, runs go to disk."""
        if self._look_bytes and self._unseen_bytes >= self._look_bytes:
            self._unseen_bytes = 0
            self.balance()

    def balance(self) -> None:
        """Has runs written to disk that belong there, and waits where memory is too short to go on. O(all runs)."""
        if self.store is None or not self.store.available:
            return
        holders = list(self._holders)
        for holder in holders:
            holder.settle()
        idle = [(run.nbytes, h, run) for h in holders if h.task is None for run in h.runs if run.file is None]
        idle.sort(key=lambda entry: entry[0], reverse=True)
        excess = -float("inf")
        if self._memory_bytes is not None:
            in_memory = sum(run.nbytes for holder in holders for run in holder.runs)
            excess = in_memory - self._memory_bytes - sum(h.task.relief for h in holders if h.task is not None)
        for size, holder, run in idle:
            wanted = self._min_cold_bytes is not None and size >= self._min_cold_bytes
            if not wanted and (excess <= 0 or size < _LARGE_BYTES):
                break
            if holder.task is None:
                holder.task = self._move(run, size, self.store)
                excess -= size
        self._hold_back(holders)

    def _move(self, run: R, size: int, store: ColdStore) -> Task[R]:
        """A task that writes the run to disk."""
        assert self._executor is not None

        def work() -> R:
            try:
                return run.store(store)
            except StoreError:
                return run

        return Task((run,), self._executor.submit(work), size)

    def _hold_back(self, holders: Sequence[RunHolder[Any]]) -> None:
        """Waits for tasks that free memory while there is far too little of it."""
        if self._memory_bytes is None:
            return
        in_memory = sum(run.nbytes for holder in holders for run in holder.runs)
        for holder in holders:
            if in_memory <= _MOST_EXCESS * self._memory_bytes:
                return
            if holder.task is not None and holder.task.relief:
                in_memory -= holder.task.relief
                holder.wait()

    def close(self) -> None:
        """Ends the thread and removes the files; traces must not be used afterwards, but snapshots may."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        if self.store is not None:
            self.store.close()


_in_use: ContextVar[Keeper] = ContextVar("keeper")
_NO_KEEPER = Keeper()


def keeper_in_use() -> Keeper:
    """The keeper of the holders that are made."""
    return _in_use.get(_NO_KEEPER)


@contextlib.contextmanager
def keeping(keeper: Keeper) -> Iterator[None]:
    """Traces made in here have this keeper."""
    token = _in_use.set(keeper)
    try:
        yield
    finally:
        _in_use.reset(token)
