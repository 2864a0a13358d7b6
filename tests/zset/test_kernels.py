"""The kernels agree with their numpy twins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from millstream.zset.group_table import GroupTable
from millstream.zset.hashing import hash_columns
from millstream.zset.kernels import build_directory, merge_entries, merge_many, sort_entries
from millstream.zset.probe_kernels import find_ranges
from tests.zset import reference

# (rows, distinct keys, distinct rows): distinct, duplicated, one key with many rows, few keys.
SHAPES = [
    (0, 1, 1),
    (1, 9, 9),
    (10, 3, 2),
    (17, 1, 2),
    (500, 1 << 60, 1 << 60),
    (500, 100, 3),
    (2000, 1, 900),
    (999, 7, 999),
]


def entries(shape: tuple[int, int, int], seed: int) -> tuple[reference.Words, reference.Words, reference.Positions]:
    count, keys, rows = shape
    random = np.random.default_rng(seed)
    spread = np.uint64(0x9E3779B97F4A7C15)
    return (
        random.integers(0, keys, count).astype(np.uint64) * spread,
        random.integers(0, rows, count).astype(np.uint64) * spread,
        random.integers(-2, 3, count),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_sorting_agrees_with_lexsort(shape: tuple[int, int, int]) -> None:
    keys, rows, weights = entries(shape, 1)
    order, *sorted_entries = sort_entries(keys, rows, weights)
    _, *expected = reference.sort_entries(keys, rows, weights)
    for actual, wanted in zip(sorted_entries, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    np.testing.assert_array_equal(keys[order], expected[0])
    np.testing.assert_array_equal(rows[order], expected[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", [(0, 1, 1), (300, 5, 40), (40, 1, 900)])
def test_merging_agrees_with_sorting_both(shape: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    a = reference.sort_entries(*entries(shape, 1))[1:]
    b = reference.sort_entries(*entries(other, 2))[1:]
    sources, *merged = merge_entries(*a, *b)
    _, *expected = reference.sort_entries(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))
    for actual, wanted in zip(merged, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    both = np.concatenate((a[0], b[0]))
    positions = np.where(sources >> 40 == 0, sources, (sources & ((1 << 40) - 1)) + len(a[0]))
    np.testing.assert_array_equal(both[positions], expected[0])


@pytest.mark.parametrize(
    "shapes", [SHAPES[:1], SHAPES[3:6], SHAPES, [(9000, 1 << 60, 1 << 60)] * 3, [(5000, 2, 2000)] * 4]
)
def test_merging_many_agrees_with_sorting_all(shapes: list[tuple[int, int, int]]) -> None:
    runs = [reference.sort_entries(*entries(shape, seed))[1:] for seed, shape in enumerate(shapes)]
    parts = np.array([(*(column.ctypes.data for column in part), len(part[0])) for part in runs], np.int64)
    sources, *merged = merge_many(parts)
    concatenated = [np.concatenate(columns) for columns in zip(*runs, strict=True)]
    _, *expected = reference.sort_entries(*concatenated)
    for actual, wanted in zip(merged, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    starts = np.cumsum([0] + [len(part[0]) for part in runs])
    positions = starts[sources >> 40] + (sources & ((1 << 40) - 1))
    for column, wanted in zip(concatenated[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(column[positions], wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_ranges_of_equal_hashes_agree_with_searchsorted(shape: tuple[int, int, int]) -> None:
    keys = np.sort(entries(shape, 4)[0])
    hashes = np.concatenate((keys[::3], entries((50, 1 << 60, 1), 5)[0], keys[:1] + np.uint64(1)))
    directory = build_directory(keys)
    low, high = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    find_ranges(keys.ctypes.data, directory.ctypes.data, len(directory).bit_length() - 1, hashes, low, high)
    probed, positions = reference.probe_run(keys, hashes)
    np.testing.assert_array_equal(np.repeat(np.arange(len(hashes)), high - low), probed)
    found = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    np.testing.assert_array_equal(np.concatenate(found), positions)


def test_merging_a_run_with_its_opposite_leaves_nothing() -> None:
    keys, rows, weights = reference.sort_entries(*entries((500, 50, 9), 3))[1:]
    assert all(len(part) == 0 for part in merge_entries(keys, rows, weights, keys, rows, -weights))


@pytest.mark.parametrize("shape", SHAPES)
def test_directory_agrees_with_searchsorted(shape: tuple[int, int, int]) -> None:
    keys = np.sort(entries(shape, 4)[0])
    np.testing.assert_array_equal(build_directory(keys), reference.build_directory(keys))


def test_hashing_agrees_with_arithmetic_on_python_integers() -> None:
    numbers = [1, None, -5, 1 << 62]
    texts = ["", None, "eight by", "more than eight bytes"]
    tiny = [-1, 0, None, 127]
    columns = [pa.array(numbers, pa.int64()), pa.array(texts, pa.large_string()), pa.array(tiny, pa.int8())]
    expected = [
        reference.hash_row((n, None if t is None else t.encode(), None if b is None else b & 0xFF), 77)
        for n, t, b in zip(numbers, texts, tiny, strict=True)
    ]
    assert hash_columns(columns, 4, 77).tolist() == expected


def test_group_table_agrees_with_a_dict_through_growth_and_release() -> None:
    random = np.random.default_rng(5)
    table, model = GroupTable(), reference.GroupTable()
    for _ in range(60):
        # The low bits of h1 choose the cell: few distinct ones make long chains that wrap around.
        h1 = random.integers(0, 5, 40).astype(np.uint64) + np.uint64((1 << 64) - 4)
        h2 = random.integers(0, 60, 40).astype(np.uint64)
        assert table.slots(h1, h2).tolist() == model.slots(h1, h2)
        victims = random.permutation(sorted(model.known.values()))[: random.integers(0, 30)]
        table.release(victims)
        model.release(victims.tolist())
        assert table.size == model.size
        assert table.num_groups == len(model.known)
        found = table.find(h1, h2).tolist()
        assert found == [model.known.get(pair, -1) for pair in zip(h1.tolist(), h2.tolist(), strict=True)]


def test_group_table_gives_equal_pairs_of_one_call_the_same_slot() -> None:
    pair = np.array([7, 8, 7], np.uint64)
    assert GroupTable().slots(pair, pair).tolist() == [0, 1, 0]
