"""Hashes: equal values hash alike wherever they are, others do not, NULL is distinct."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.zset.equality import equal_values
from millstream.zset.hashing import DEFAULT_SEEDS, hash_columns, random_seeds
from tests.zset.strategies import ALL_TYPES, arrays, column_values


@pytest.mark.parametrize("data_type", ALL_TYPES, ids=str)
@settings(max_examples=15, derandomize=True, deadline=None)
@given(data=st.data())
def test_hashes_and_equality_follow_values(data_type: pa.DataType, data: st.DataObject) -> None:
    a, b = data.draw(arrays(data_type, 8)), data.draw(arrays(data_type, 8))
    hashes_a, hashes_b = hash_columns([a], 8, 3), hash_columns([b], 8, 3)
    left, right = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    values_a, values_b = column_values(a), column_values(b)
    expected = [values_a[i] == values_b[j] for i, j in zip(left, right, strict=True)]
    assert (hashes_a[left] == hashes_b[right]).tolist() == expected
    assert equal_values(a, left, b, right).tolist() == expected


@pytest.mark.parametrize("data_type", ALL_TYPES, ids=str)
def test_empty_columns_have_no_hashes(data_type: pa.DataType) -> None:
    assert hash_columns([pa.array([], data_type)], 0, 1).tolist() == []
    assert hash_columns([pa.array([None], data_type).slice(1)], 0, 1).tolist() == []


def test_no_columns_hash_to_one_constant_per_seed() -> None:
    assert len(set(hash_columns([], 4, 1).tolist())) == 1
    assert hash_columns([], 1, 1)[0] != hash_columns([], 1, 2)[0]


def test_seeds_are_independent() -> None:
    column = pa.array(range(100))
    key, row = (hash_columns([column], 100, seed) for seed in DEFAULT_SEEDS)
    assert not set(key.tolist()) & set(row.tolist())
    assert random_seeds() != random_seeds()


@pytest.mark.parametrize(
    "data_type, one, other",
    [
        (pa.float64(), 0.0, -0.0),
        (pa.float32(), math.nan, -math.nan),
        (pa.struct([("x", pa.float64())]), {"x": -0.0}, {"x": 0.0}),
        (pa.map_(pa.int64(), pa.int64()), [(1, 2), (3, 4)], [(3, 4), (1, 2)]),
    ],
)
def test_equal_values_of_different_bits_hash_alike(data_type: pa.DataType, one: Any, other: Any) -> None:
    hashes = hash_columns([pa.array([one, other], data_type)], 2, 1)
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "data_type, one, other",
    [
        (pa.int64(), None, 0),
        (pa.large_string(), None, ""),
        (pa.bool_(), None, False),
        (pa.struct([("x", pa.int64())]), None, {"x": None}),
        (pa.large_list(pa.int64()), None, []),
        (pa.large_list(pa.int64()), [], [None]),
        (pa.large_list(pa.large_list(pa.int64())), [[1], []], [[], [1]]),
    ],
)
def test_different_values_hash_differently(data_type: pa.DataType, one: Any, other: Any) -> None:
    hashes = hash_columns([pa.array([one, other], data_type)], 2, 1)
    assert hashes[0] != hashes[1]


def test_the_order_of_columns_and_the_borders_of_texts_matter() -> None:
    a, b = pa.array(["ab", "a"], pa.large_string()), pa.array(["c", "bc"], pa.large_string())
    hashes = hash_columns([a, b], 2, 1)
    assert hashes[0] != hashes[1]
    assert (hash_columns([b, a], 2, 1) != hashes).all()


def test_values_under_a_null_do_not_matter() -> None:
    valid = pa.py_buffer(b"\x00")
    one, other = (pa.py_buffer(np.array([n], np.int64)) for n in (1, 2))
    columns = [pa.Array.from_buffers(pa.int64(), 1, [valid, values]) for values in (one, other)]
    assert hash_columns(columns[:1], 1, 1) == hash_columns(columns[1:], 1, 1)


def test_types_that_deltas_do_not_hold_are_refused() -> None:
    with pytest.raises(TypeError, match="do not hold columns of Arrow type string"):
        hash_columns([pa.array(["a"], pa.string())], 1, 1)
