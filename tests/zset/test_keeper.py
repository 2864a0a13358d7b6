"""Merges in another thread and runs on disk: whenever tasks end, traces hold and find the same."""

from __future__ import annotations

import errno
import gc
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from millstream.zset import cold, keeper, trace
from millstream.zset.cold import ColdStore, StoreError
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from millstream.zset.keeper import Keeper, keeping
from millstream.zset.run import build_run, merge_runs
from millstream.zset.trace import Trace
from tests.zset.strategies import ALL_TYPES, arrays, contents, deltas, rows_of

T = TypeVar("T")
MIXED = (pa.int64(), pa.large_string(), pa.float64(), pa.bool_())
NESTED = (pa.map_(pa.large_string(), pa.float64()), pa.large_list(pa.field("item", pa.int32())), pa.int8())
KEYED_TYPES = [(MIXED, (0,)), (MIXED, (1, 2)), (NESTED, (0, 2)), ((pa.int8(), pa.null()), ())]


class LateFuture(Future[T]):
    """Is done when chance wants it, or when somebody waits for it."""

    def __init__(self, work: Callable[[], T], chance: Callable[[], bool]) -> None:
        super().__init__()
        self._work = work
        self._chance = chance

    def done(self) -> bool:
        if not super().done() and self._chance():
            self._finish()
        return super().done()

    def result(self, timeout: float | None = None) -> T:
        self._finish()
        return super().result(timeout)

    def _finish(self) -> None:
        if not super().done():
            self.set_result(self._work())


class LateExecutor(Executor):
    """Runs tasks in the caller's thread at random moments, `late` being the chance that one is not done yet."""

    def __init__(self, seed: int, late: float) -> None:
        self._random = random.Random(seed)
        self._late = late

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return LateFuture(lambda: fn(*args, **kwargs), lambda: self._random.random() >= self._late)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every merge is a task, and every run may go to disk."""
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    monkeypatch.setattr(keeper, "MIN_COLD_BYTES", 0)
    monkeypatch.setattr(keeper, "_LARGE_BYTES", 0)
    monkeypatch.setattr(cold, "_SCRATCH_BYTES", 1)
    monkeypatch.setattr(trace, "SMALL_RUN_ROWS", 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ColdStore]:
    made = ColdStore(tmp_path / "runs")
    yield made
    made.close()


def ints(first: int, count: int) -> Delta:
    return Delta.inserts(
        [pa.array(range(first, first + count)), pa.array([f"text {i}" for i in range(count)], pa.large_string())]
    )


def ints_trace(kept: Keeper) -> Trace:
    with keeping(kept):
        return Trace((pa.int64(), pa.large_string()), (0,), DEFAULT_SEEDS)


@pytest.mark.parametrize("data_type", ALL_TYPES, ids=str)
@settings(max_examples=5, derandomize=True, deadline=None)
@given(data=st.data())
def test_runs_of_every_type_are_the_same_on_disk(
    data_type: pa.DataType, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    types = (data_type, pa.int8(), pa.large_string())
    store = ColdStore(tmp_path_factory.mktemp("cold") / "runs")
    a, b = (build_run(data.draw(deltas(types)), (0,), DEFAULT_SEEDS) for _ in range(2))
    on_disk = [run.store(store) for run in (a, b)]
    for memory, stored in zip((a, b), on_disk, strict=True):
        assert stored.file is not None
        assert rows_of(stored.delta) == rows_of(memory.delta)
        assert stored.row_hashes.tolist() == memory.row_hashes.tolist()
        for column in stored.delta.columns:
            column.validate(full=True)
    expected = rows_of(merge_runs(a, b).delta)
    for runs, target in ((on_disk, store), ((a, on_disk[1]), store), ((on_disk[0], b), None)):
        merged = merge_runs(*runs, store=target)
        assert rows_of(merged.delta) == expected
        assert (merged.file is not None) == (target is not None and bool(expected))
    store.close()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("types, key", KEYED_TYPES)
@pytest.mark.parametrize("late", [0.0, 0.6, 0.97])
def test_contents_and_probes_do_not_depend_on_when_tasks_end(
    types: tuple[pa.DataType, ...], key: tuple[int, ...], late: float, tmp_path: Path
) -> None:
    @settings(max_examples=8, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(data=st.data(), seed=st.integers(0, 1000), disk=st.sampled_from([None, "all", "short of memory"]))
    def law(data: st.DataObject, seed: int, disk: str | None) -> None:
        store = None if disk is None else ColdStore(tmp_path / "runs")
        bound = {"all": {"min_cold_bytes": 0}, "short of memory": {"memory_bytes": 400}}.get(disk or "", {})
        kept = Keeper(LateExecutor(seed, late), store, **bound)
        plain = Trace(types, key, DEFAULT_SEEDS)
        with keeping(kept):
            kept_trace = Trace(types, key, DEFAULT_SEEDS)
        snapshots = []
        for _ in range(data.draw(st.integers(1, 12))):
            delta = data.draw(deltas(types))
            for each in (plain, kept_trace):
                each.insert(delta)
            kept.balance()
            probes = [data.draw(arrays(types[i], 4)) for i in key]
            expected, found = (each.probe(probes, 4) for each in (plain, kept_trace))
            for row in range(4):
                of_row = [each.delta.take(np.flatnonzero(each.probe_index == row)) for each in (expected, found)]
                assert contents(of_row[0]) == contents(of_row[1])
            snapshots.append((kept_trace.snapshot(), contents(plain.snapshot().to_delta())))
            assert len(kept_trace.runs) <= keeper.MAX_RUNS + 2
        if data.draw(st.booleans()):
            for each in (plain, kept_trace):
                each.retain(lambda rows: np.array(rows.columns[-1].is_valid()))
            assert contents(plain.snapshot().to_delta()) == contents(kept_trace.snapshot().to_delta())
        for snapshot, held in snapshots:
            assert contents(snapshot.to_delta()) == held

    law()


@pytest.mark.usefixtures("eager")
def test_a_trace_waits_for_its_task_before_it_has_too_many_runs() -> None:
    kept = ints_trace(Keeper(LateExecutor(0, 1.0)))
    most = 0
    for i in range(300):
        kept.insert(ints(i * 10, 10))
        kept.probe([pa.array(range(2000))], 2000)
        most = max(most, len(kept.runs))
    assert 8 < most <= keeper.MAX_RUNS + 1
    assert kept.snapshot().to_delta().num_rows == 3000


@pytest.mark.usefixtures("eager")
def test_a_trace_absorbs_another_while_both_have_tasks() -> None:
    kept = Keeper(LateExecutor(0, 1.0))
    mine, other = ints_trace(kept), ints_trace(kept)
    for i in range(40):
        for each, first in ((mine, 0), (other, 1000)):
            each.insert(ints(first + i * (i + 1), i + 1))
            each.probe([pa.array(range(4000))], 4000)
    assert mine.task is not None
    assert other.task is not None
    held = contents(mine.snapshot().to_delta(), other.snapshot().to_delta())
    mine.absorb(other)
    sizes = [run.num_rows for run in mine.runs]
    assert sizes == sorted(sizes, reverse=True)
    assert contents(mine.snapshot().to_delta()) == held
    found = mine.probe([pa.array([0, 1000])], 2)
    assert set(found.probe_index.tolist()) == {0, 1}


@pytest.mark.usefixtures("eager")
def test_large_merges_happen_in_the_thread_of_the_keeper() -> None:
    names = []
    kept = Keeper(ThreadPoolExecutor(1, thread_name_prefix="merge"))
    filled = ints_trace(kept)
    genuine = filled._merge_runs

    def merge(runs: Any, target: Any) -> Any:
        names.append(threading.current_thread().name)
        return genuine(runs, target)

    filled._merge_runs = merge
    for i in range(100):
        filled.insert(ints(i * 10, 10))
    filled.wait()
    kept.close()
    assert set(names) == {"merge_0"}
    assert filled.snapshot().to_delta().num_rows == 1000
    assert not [t.name for t in threading.enumerate() if t.name.startswith("merge")]


def test_a_failing_merge_is_not_silent() -> None:
    filled = ints_trace(Keeper(LateExecutor(0, 0.0)))

    def broken(_runs: Any, _target: Any) -> Any:
        raise MemoryError

    filled._merge_runs = broken
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "TASK_VALUES", 0)
        for i in range(8):
            filled.insert(ints(i * 300, 300))
        with pytest.raises(MemoryError):
            filled.insert(ints(9000, 300))


@pytest.mark.usefixtures("eager")
def test_files_are_arrow_ipc_and_go_with_their_runs(store: ColdStore) -> None:
    kept = Keeper(LateExecutor(0, 0.0), store, min_cold_bytes=0)
    filled = ints_trace(kept)
    numbers = ints(0, 1000)
    filled.insert(Delta(numbers.columns, 2 * numbers.weights))
    kept.end_step()
    filled.wait()
    (run,) = filled.runs
    assert run.file is not None
    assert [run.file.path] == list(store.directory.iterdir())
    assert store.nbytes == run.file.nbytes == run.file.path.stat().st_size
    assert filled.nbytes < 100 < filled.stored_bytes == store.nbytes
    with pa.memory_map(str(run.file.path)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.column_names == ["0", "1", "weight", "key_hash", "row_hash"]
    assert sorted(table["0"].to_pylist()) == list(range(1000))
    path = run.file.path
    snapshot = filled.snapshot()
    del run, table, source
    filled.replace(Delta.empty(filled.types))
    gc.collect()
    assert path.exists()
    contents_then = snapshot.to_delta()
    del snapshot
    gc.collect()
    assert not path.exists()
    assert store.nbytes == 0
    assert sorted(contents_then.columns[0].to_pylist()) == list(range(1000))


def test_files_of_a_process_that_was_killed_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "runs" / "00000001.arrow"
    left.parent.mkdir()
    left.write_bytes(b"half a fi")
    ColdStore(tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.usefixtures("eager")
def test_the_largest_runs_go_to_disk_when_memory_is_short(store: ColdStore) -> None:
    kept = Keeper(LateExecutor(0, 0.0), store, memory_bytes=100_000)
    filled = ints_trace(kept)
    for i in range(100):
        filled.insert(ints(i * 200, 200))
        kept.end_step()
        assert filled.nbytes <= 150_000
    assert filled.stored_bytes > 500_000
    on_disk = [run.file is not None for run in filled.runs]
    assert on_disk == sorted(on_disk, reverse=True)
    assert filled.snapshot().to_delta().num_rows == 20_000


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("step", ["posix_fallocate", "write", "limit"])
def test_what_cannot_be_written_stays_in_memory(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    store = ColdStore(tmp_path / "runs", limit_bytes=10_000 if step == "limit" else None, log=said.append)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "posix_fallocate":
        monkeypatch.setattr(os, "posix_fallocate", full)
    elif step == "write":
        monkeypatch.setattr(pa, "OSFile", full)
    kept = Keeper(LateExecutor(0, 0.5), store, min_cold_bytes=0)
    filled = ints_trace(kept)
    for i in range(50):
        filled.insert(ints(i * 1000, 1000))
        kept.end_step()
    assert filled.snapshot().to_delta().num_rows == 50_000
    assert len(said) == 1
    assert ("storage_mb_max" if step == "limit" else "No space left") in said[0]
    assert store.nbytes <= 10_000
    assert sum(path.stat().st_size for path in store.directory.iterdir()) == store.nbytes


def test_the_disk_is_tried_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ColdStore(tmp_path / "runs", limit_bytes=1)
    run = build_run(ints(0, 10), (0,), DEFAULT_SEEDS)
    with pytest.raises(StoreError):
        run.store(store)
    assert not store.available
    monkeypatch.setattr(cold.time, "monotonic", lambda: store._fails_until)
    assert store.available
