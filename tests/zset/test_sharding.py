"""Dealing rows out to shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS, Seeds, hash_columns
from millstream.zset.shard_kernels import deal
from millstream.zset.sharding import deal_out, gather_shard
from tests.zset import reference


@pytest.mark.parametrize("shards", [1, 2, 3, 64])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_dealing_agrees_with_sorting_by_shard(count: int, shards: int) -> None:
    hashes = np.random.default_rng(count).integers(0, 1 << 64, count, np.uint64)
    for actual, expected in zip(deal(hashes, shards), reference.deal(hashes, shards), strict=True):
        np.testing.assert_array_equal(actual, expected)


def delta_of(keys: list[float | None]) -> Delta:
    """Rows of a key, a text and a list, with weights 1, 2, 3 ..."""
    texts = pa.array([f"text {i}" for i in range(len(keys))], pa.large_string())
    lists = pa.array([[i, None] if i % 2 else None for i in range(len(keys))], pa.large_list(pa.int64()))
    return Delta((pa.array(keys, pa.float64()), texts, lists), np.arange(1, len(keys) + 1))


def rows(delta: Delta | None) -> list[tuple[object, ...]]:
    if delta is None:
        return []
    return list(zip(*(c.to_pylist() for c in delta.columns), delta.weights.tolist(), strict=True))


def test_every_row_is_in_one_shard_and_equal_keys_are_in_the_same() -> None:
    keys: list[float | None] = [None, 0.0, -0.0, 1.5, 2.5, None, 3.5, 1.5, float("nan"), -float("nan")] * 3
    delta = delta_of(keys)
    parts = [Delta(tuple(c.slice(a, 10) for c in delta.columns), delta.weights[a : a + 10]) for a in (0, 10, 20)]
    sources = [deal_out(part, [0], 3, DEFAULT_SEEDS) for part in parts]
    shards = [rows(gather_shard(sources, shard)) for shard in range(3)]
    assert sorted(repr(row) for shard in shards for row in shard) == sorted(map(repr, rows(delta)))
    names = [{repr(abs(row[0]) if isinstance(row[0], float) else row[0]) for row in shard} for shard in shards]
    assert sum(map(len, names)) == len({repr(None if k is None else abs(k)) for k in keys})


def test_a_delta_of_one_shard_is_not_moved() -> None:
    delta = delta_of([7.0] * 5)
    dealt = deal_out(delta, [0], 4, DEFAULT_SEEDS)
    (shard,) = [s for s in range(4) if dealt.count(s)]
    assert gather_shard([dealt], shard) is delta
    assert gather_shard([dealt], (shard + 1) % 4) is None


def test_shards_are_balanced_and_do_not_follow_key_hashes() -> None:
    column = pa.array(np.arange(20_000))
    delta = Delta((column,), np.ones(20_000, np.int64))
    for seeds in (DEFAULT_SEEDS, Seeds(1, 2)):
        dealt = deal_out(delta, [0], 2, seeds)
        assert 9_500 < dealt.count(0) < 10_500
        upper = hash_columns([column], 20_000, seeds.key)[dealt.of(0)] >> np.uint64(63)
        assert 0.45 < upper.mean() < 0.55
