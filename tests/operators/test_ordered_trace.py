"""Ordered traces with a keeper: whenever merges end and wherever runs are, windows and sessions give the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.base import Operator
from millstream.operators.session import SessionOperator
from millstream.operators.windows.operator import WindowOperator
from millstream.plan.nodes import SortKey, WindowCall, WindowFrame
from millstream.types.sql_type import BIGINT, VARCHAR
from millstream.zset import cold, keeper
from millstream.zset.cold import ColdStore
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from millstream.zset.keeper import Keeper, keeping
from tests.zset.strategies import rows_of
from tests.zset.test_keeper import LateExecutor

TYPES = (pa.int64(), pa.int64(), pa.large_string())
KEYS = (SortKey(1, False, True),)
RUNNING = (WindowCall("SUM", (0,), BIGINT, WindowFrame(False, None, 0)), WindowCall("LAG", (2,), VARCHAR))
NEAR = (WindowCall("LEAD", (2,), VARCHAR), WindowCall("SUM", (1,), BIGINT, WindowFrame(True, -2, 1)))
KINDS: dict[str, Callable[[], Operator]] = {
    "running": lambda: WindowOperator(TYPES, (0,), KEYS, RUNNING, DEFAULT_SEEDS),
    "near": lambda: WindowOperator(TYPES, (0,), KEYS, NEAR, DEFAULT_SEEDS),
    "session": lambda: SessionOperator(TYPES, (0,), 1, 3, (0, 2), DEFAULT_SEEDS),
}


def made(rng: np.random.Generator, count: int, keys: int, text_bytes: int) -> Delta:
    """Random rows with texts of so many bytes; NULL texts among them."""
    texts = [None if i % 7 == 0 else f"{i:0{text_bytes}}" for i in rng.integers(0, 10**6, count).tolist()]
    columns = (rng.integers(0, keys, count), rng.integers(0, 4 * count, count), texts)
    return Delta.inserts([pa.array(c, t) for c, t in zip(columns, TYPES, strict=True)])


def total(deltas: list[Delta | None]) -> object:
    """What the deltas add up to."""
    present = [delta for delta in deltas if delta is not None]
    columns = [pa.concat_arrays(parts) for parts in zip(*(d.columns for d in present), strict=True)]
    return rows_of(Delta(tuple(columns), np.concatenate([d.weights for d in present])))


def agree(kind: str, kept: Keeper, steps: int, rows: int, text_bytes: int, keys: int) -> tuple[int, int]:
    """Steps the operator with and without a keeper: both give the same after each step. The most bytes in memory and
    on disk."""
    plain = KINDS[kind]()
    with keeping(kept):
        other = KINDS[kind]()
    rng = np.random.default_rng(5)
    context = EvaluationContext()
    earlier: list[Delta] = []
    most = most_stored = 0
    for step in range(steps):
        delta = made(rng, rows, keys, text_bytes)
        if step % 3 == 2:
            delta = earlier.pop(int(rng.integers(len(earlier)))).negate()
        else:
            earlier.append(delta)
        changes = [operator.step([delta], context) for operator in (plain, other)]
        assert total([changes[0]]) == total([changes[1]])
        kept.end_step()
        most, most_stored = max(most, other.state_bytes), max(most_stored, kept.stored_bytes)
    return most, most_stored


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late, disk", [(0.0, True), (0.6, True), (0.95, False)])
def test_results_do_not_depend_on_when_merges_end(
    kind: str, late: float, disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    monkeypatch.setattr(keeper, "MIN_COLD_BYTES", 0)
    monkeypatch.setattr(cold, "_SCRATCH_BYTES", 1)
    store = ColdStore(tmp_path / "runs") if disk else None
    executor: Executor = LateExecutor(3, late)
    _, stored = agree(kind, Keeper(executor, store, min_cold_bytes=0 if disk else None), 40, 12, 8, 3)
    assert (stored > 0) == disk


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_several_times_larger_than_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 1 << 12)
    monkeypatch.setattr(keeper, "_LARGE_BYTES", 1 << 12)
    memory = 200_000
    store = ColdStore(tmp_path / "runs")
    kept = Keeper(ThreadPoolExecutor(1), store, memory_bytes=memory)
    in_memory, stored = agree(kind, kept, 30, 300, 400, 40)
    assert in_memory < 2 * memory
    assert stored > 4 * memory
    kept.close()
