"""`datagen` as a connector: plans, limits, rates, pausing, stopping, seeds."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connectors.datagen import DatagenInput
from millstream.connectors.datagen.connector import BYTES_PER_RECORD
from millstream.types import sql_type as t

from .datagen_support import datagen
from .support import MemorySink, make_input, quick, relation, run

TABLE = relation(id=t.BIGINT, x=t.BIGINT)
UNIFORM = {"x": {"strategy": "uniform"}}


def _ids(sink: MemorySink) -> list[int]:
    return sink.columns[0] if sink.batches else []


def test_limits_end_the_input() -> None:
    sink = datagen({"plan": [{"limit": 25_000}]}, TABLE)
    assert _ids(sink) == list(range(25_000))
    assert [batch.num_rows for batch in sink.batches] == [10_000, 10_000, 5_000]
    assert sink.inputs_ended == 1
    assert sink.num_bytes == 25_000 * BYTES_PER_RECORD


def test_no_rows_are_a_limit_too() -> None:
    sink = datagen({"plan": [{"limit": 0}]}, TABLE)
    assert (sink.batches, sink.inputs_ended) == ([], 1)
    assert datagen({"plan": []}, TABLE).inputs_ended == 1


def test_without_a_limit_rows_never_end() -> None:
    sink = datagen({}, TABLE, MemorySink(close_after=5))
    assert (sink.num_rows, sink.inputs_ended) == (50_000, 0)
    assert datagen({"plan": [{}]}, TABLE, MemorySink(close_after=5)).num_rows == 50_000


def test_plans_follow_each_other_and_numbers_go_on() -> None:
    plans = [{"limit": 3}, {"limit": 0}, {"limit": 4, "fields": {"x": {"values": [9]}}}]
    sink = datagen({"plan": plans}, TABLE)
    assert sink.columns == [list(range(7)), [0, 1, 2, 9, 9, 9, 9]]


def test_chunks_respect_the_step_limit_and_their_own_size() -> None:
    sink = datagen({"plan": [{"limit": 100, "worker_chunk_size": 7}]}, TABLE)
    assert max(batch.num_rows for batch in sink.batches) == 7
    sink = datagen({"plan": [{"limit": 100}]}, TABLE, MemorySink(max_batch_rows=3))
    assert max(batch.num_rows for batch in sink.batches) == 3
    assert _ids(sink) == list(range(100))


@quick
@given(
    limits=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    chunk=st.integers(1, 20),
    rate=st.none() | st.integers(1, 200),
    batch=st.integers(1, 50),
    activity=st.lists(st.booleans(), max_size=80),
    oversleep=st.floats(0, 3),
)
def test_pausing_at_any_moment_loses_and_repeats_nothing(
    limits: list[int], chunk: int, rate: int | None, batch: int, activity: list[bool], oversleep: float
) -> None:
    pace = {} if rate is None else {"rate": rate}
    config = {
        "plan": [{"limit": limit, "worker_chunk_size": chunk, "fields": UNIFORM, **pace} for limit in limits],
        "seed": 5,
    }
    total = sum(limits)
    # With a rate, sleeping is bounded: whoever wakes up late every time must still deliver.
    sink = MemorySink(activity=activity, max_batch_rows=batch, oversleep=oversleep, max_sleeps=3 * total + 10)
    datagen(config, TABLE, sink)
    whole = datagen({"plan": [{"limit": total, "fields": UNIFORM}], "seed": 5}, TABLE)
    assert sink.columns == whole.columns
    assert sink.inputs_ended == 1


@quick
@given(close_after=st.integers(1, 30), rate=st.none() | st.integers(1, 100))
def test_stopping_ends_on_a_prefix(close_after: int, rate: int | None) -> None:
    plan: dict[str, Any] = {"limit": 100, "worker_chunk_size": 5}
    plan |= {} if rate is None else {"rate": rate}
    sink = datagen({"plan": [plan]}, TABLE, MemorySink(close_after=close_after))
    assert _ids(sink) == list(range(sink.num_rows))
    assert sink.inputs_ended == 0 or sink.num_rows == 100


def test_a_paused_connector_keeps_its_position() -> None:
    connector = make_input("datagen", {"plan": [{"limit": 10, "worker_chunk_size": 2}]}, TABLE)
    assert isinstance(connector, DatagenInput)
    run(connector, MemorySink(close_after=3))
    assert connector.next_row == 6


@pytest.mark.parametrize("rate", [1, 3, 10, 1000, 12_345, 1_000_000])
@pytest.mark.parametrize("oversleep", [0.0, 0.01, 0.2])
def test_the_rate_is_kept(rate: int, oversleep: float) -> None:
    limit = rate * 4
    sink = MemorySink(oversleep=oversleep)
    start = sink.clock
    datagen({"plan": [{"rate": rate, "limit": limit}]}, TABLE, sink)
    assert sink.num_rows == limit
    # The last row is due (limit - 1) / rate seconds after the first.
    due = (limit - 1) / rate
    assert due - 0.001 <= sink.clock - start <= due + oversleep + 0.5
    pushed = 0
    for time, batch in zip(sink.times, sink.batches, strict=True):
        pushed += batch.num_rows
        assert pushed <= math.floor((time - start) * rate + 0.01) + 1, "no row comes before it is due"


def test_a_slow_rate_delivers_twice_a_second() -> None:
    sink = datagen({"plan": [{"rate": 100, "limit": 500}]}, TABLE)
    gaps = [later - earlier for earlier, later in pairwise(sink.times)]
    assert max(gaps) <= 0.52
    assert len(sink.batches) <= 12


def test_no_rows_are_owed_for_a_pause() -> None:
    sink = MemorySink(activity=[True] * 6 + [False] * 3 + [True])
    start = sink.clock
    datagen({"plan": [{"rate": 10, "limit": 100}]}, TABLE, sink)
    paused = sum(later - earlier for earlier, later in pairwise(sink.times) if later - earlier > 5)
    assert paused > 5
    assert sink.clock - start - paused > 99 / 10 - 1.5, "the rate holds again after the pause"
    assert max(batch.num_rows for batch in sink.batches) <= 10


def test_rows_are_the_same_for_every_number_of_workers_and_a_seed() -> None:
    def made(**options: Any) -> list[list[Any]]:
        return datagen({"plan": [{"limit": 50, "fields": UNIFORM}], **options}, TABLE).columns

    assert made(seed=1) == made(seed=1, workers=4)
    assert made(seed=1) != made(seed=2)
    assert made() != made(), "without a seed it is random"
    assert made(seed=2**64 - 1) == made(seed=2**64 - 1)


@pytest.mark.parametrize(("limit", "size", "expected"), [
    (5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 1, [1, 1, 1]), (3, 10, [3]), (25_000, 12_000, [12_000, 12_000, 1_000]),
    (0, 2, []),
])  # fmt: skip
def test_so_many_rows_are_a_transaction_and_the_rest_at_the_end(limit: int, size: int, expected: list[int]) -> None:
    sink = datagen({"plan": [{"limit": limit}], "transaction_size": size}, TABLE)
    assert (sink.num_rows, sink.transactions) == (limit, expected)


def test_a_transaction_spans_plans_and_pauses_and_does_not_change_the_rows() -> None:
    plans = [{"limit": 3, "fields": UNIFORM}, {"limit": 4, "rate": 10, "fields": UNIFORM}]
    sink = MemorySink(activity=[True, False, True, True, False])
    datagen({"plan": plans, "transaction_size": 5, "seed": 1}, TABLE, sink)
    assert sink.transactions == [5, 2]
    assert sink.columns == datagen({"plan": plans, "seed": 1}, TABLE).columns


def test_without_a_size_there_are_no_transactions() -> None:
    assert datagen({"plan": [{"limit": 5}]}, TABLE).transactions == []
