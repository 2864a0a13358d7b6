"""The kernels agree with their numpy twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from millstream.zset.gathered import describe
from millstream.zset.group_table import GroupTable
from millstream.zset.hashing import DEFAULT_SEEDS, extend_pairs, hash_columns, hash_pairs
from millstream.zset.kernels import build_directory, find_repeated, merge_entries, merge_many, sort_entries
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
    (3000, 1, 1 << 60),
    (3000, 2, 40),
    (3000, 40, 1 << 60),
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
    order, *sorted_entries, plain = sort_entries(keys, rows, weights)
    _, *expected = reference.sort_entries(keys, rows, weights)
    for actual, wanted in zip(sorted_entries, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    np.testing.assert_array_equal(keys[order], expected[0])
    np.testing.assert_array_equal(rows[order], expected[1])
    assert plain == (expected[2] == 1).all()


def once_each(run: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """The same rows with weights of 1."""
    return [*run[:2], np.ones_like(run[2])]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", [(0, 1, 1), (300, 5, 40), (40, 1, 900)])
@pytest.mark.parametrize("plain_runs", ["", "a", "b", "ab"])
def test_merging_agrees_with_sorting_both(
    shape: tuple[int, int, int], other: tuple[int, int, int], plain_runs: str
) -> None:
    a = list(reference.sort_entries(*entries(shape, 1))[1:])
    b = list(reference.sort_entries(*entries(other, 2))[1:])
    a, b = (once_each(run) if name in plain_runs else run for name, run in (("a", a), ("b", b)))
    kept = [[*run[:2], run[2][:0]] if name in plain_runs else run for name, run in (("a", a), ("b", b))]
    sources, *merged, plain = merge_entries(*kept[0], *kept[1])
    _, *expected = reference.sort_entries(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))
    for actual, wanted in zip(merged, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    assert plain == (expected[2] == 1).all()
    both = np.concatenate((a[0], b[0]))
    positions = np.where(sources >> 40 == 0, sources, (sources & ((1 << 40) - 1)) + len(a[0]))
    np.testing.assert_array_equal(both[positions], expected[0])


@pytest.mark.parametrize(
    "shapes", [SHAPES[:1], SHAPES[3:6], SHAPES, [(9000, 1 << 60, 1 << 60)] * 3, [(5000, 2, 2000)] * 4]
)
@pytest.mark.parametrize("plain_runs", [0, 1, 9])
def test_merging_many_agrees_with_sorting_all(shapes: list[tuple[int, int, int]], plain_runs: int) -> None:
    runs = [list(reference.sort_entries(*entries(shape, seed))[1:]) for seed, shape in enumerate(shapes)]
    runs = [once_each(run) if number < plain_runs else run for number, run in enumerate(runs)]
    parts = np.array([(*(column.ctypes.data for column in part), len(part[0])) for part in runs], np.int64)
    parts[:plain_runs, 2] = 0
    sources, *merged, plain = merge_many(parts)
    concatenated = [np.concatenate(columns) for columns in zip(*runs, strict=True)]
    _, *expected = reference.sort_entries(*concatenated)
    for actual, wanted in zip(merged, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    assert plain == (expected[2] == 1).all()
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
    *nothing, plain = merge_entries(keys, rows, weights, keys, rows, -weights)
    assert plain
    assert all(len(part) == 0 for part in nothing)


@pytest.mark.parametrize("shape", SHAPES)
def test_directory_agrees_with_searchsorted(shape: tuple[int, int, int]) -> None:
    keys = np.sort(entries(shape, 4)[0])
    np.testing.assert_array_equal(build_directory(keys), reference.build_directory(keys))


@pytest.mark.parametrize("shape", SHAPES)
def test_repeated_hashes_are_found(shape: tuple[int, int, int]) -> None:
    keys = entries(shape, 6)[0]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(find_repeated(keys), np.flatnonzero(counts[inverse] > 1))
    distinct = np.unique(entries((3000, 1 << 60, 1), 7)[0])
    assert len(find_repeated(distinct)) == 0
    assert find_repeated(np.append(distinct, distinct[:1])).tolist() == [0, len(distinct)]


def test_hashing_agrees_with_arithmetic_on_python_integers() -> None:
    # Texts of every length around those at which the loads change.
    texts = [None, *("abcdefghijklmnopqrstuvwxyz0123456789é"[:length] for length in range(36))]
    numbers = [None, -5, 1 << 62, *range(len(texts) - 3)]
    tiny = [-1, 0, None, *(127 for _ in range(len(texts) - 3))]
    columns = [pa.array(numbers, pa.int64()), pa.array(texts, pa.large_string()), pa.array(tiny, pa.int8())]
    rows = [
        (n, None if t is None else t.encode(), None if b is None else b & 0xFF)
        for n, t, b in zip(numbers, texts, tiny, strict=True)
    ]
    assert hash_columns(columns, len(rows), 77).tolist() == [reference.hash_row(row, 77) for row in rows]


def test_pairs_of_hashes_are_those_of_both_seeds_and_can_be_extended() -> None:
    columns = [
        pa.array([1, None, 3], pa.int64()),
        pa.array(["a", "b" * 40, None], pa.large_string()),
        pa.array([[1], None, []], pa.large_list(pa.int64())),
    ]
    for width in (1, 2, 3):
        both = hash_pairs(columns[:width], describe(columns[:width]), 3, DEFAULT_SEEDS)
        for hashes, seed in zip(both, DEFAULT_SEEDS, strict=True):
            assert hashes.tolist() == hash_columns(columns[:width], 3, seed).tolist()
    first = hash_pairs(columns[:1], describe(columns[:1]), 3, DEFAULT_SEEDS)
    rows = np.array([2, 0, 0, 1])
    taken = [column.take(pa.array(rows)) for column in columns]
    for hashes, seed in zip(extend_pairs(first, rows, taken[1:], DEFAULT_SEEDS), DEFAULT_SEEDS, strict=True):
        assert hashes.tolist() == hash_columns(taken, 4, seed).tolist()


def test_group_table_agrees_with_a_dict_through_growth_and_release() -> None:
    random = np.random.default_rng(5)
    table, model = GroupTable(), reference.GroupTable()
    for _ in range(60):
        # The upper half of h1 chooses the cell: few distinct ones make long chains that wrap around.
        h1 = random.integers(0, 5, 40).astype(np.uint64) * np.uint64(1 << 32) - np.uint64(4 << 32)
        h2 = random.integers(0, 60, 40).astype(np.uint64)
        assert table.slots(h1, h2).tolist() == model.slots(h1, h2)
        victims = random.permutation(sorted(model.known.values()))[: random.integers(0, 30)]
        table.release(victims)
        model.release(victims.tolist())
        assert table.size == model.size
        assert table.num_groups == len(model.known)
        found = table.find(h1, h2).tolist()
        assert found == [model.known.get(pair, -1) for pair in zip(h1.tolist(), h2.tolist(), strict=True)]


def test_group_table_agrees_with_a_dict_over_large_batches() -> None:
    random = np.random.default_rng(6)
    table, model = GroupTable(), reference.GroupTable()
    # Few groups in many rows, then many new ones in a batch, more than there is room for in one part.
    for distinct, count in ((10, 70_000), (1 << 40, 60_000), (1 << 40, 90_000), (5, 200_000)):
        h1 = random.integers(0, distinct, count).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        h2 = h1 ^ np.uint64(7)
        assert table.slots(h1, h2).tolist() == model.slots(h1, h2)
        assert table.num_groups == len(model.known)
    # As they come out of a run; and as they come out of another table.
    ascending = np.sort(random.integers(0, 1 << 63, 300_000).astype(np.uint64) * np.uint64(2))
    assert table.slots(ascending, ascending).tolist() == model.slots(ascending, ascending)
    slots, h1, h2 = table.in_use()
    assert dict(zip(zip(h1.tolist(), h2.tolist(), strict=True), slots.tolist(), strict=True)) == model.known
    other = GroupTable()
    assert other.slots(h1, h2).tolist() == list(range(table.num_groups))
    assert table.nbytes < 48 * table.num_groups


def test_group_table_gives_equal_pairs_of_one_call_the_same_slot() -> None:
    pair = np.array([7, 8, 7], np.uint64)
    assert GroupTable().slots(pair, pair).tolist() == [0, 1, 0]
