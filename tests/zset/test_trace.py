"""Traces: whatever the cuts, merges and orders, the contents are the sum of the deltas, and probes find all of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.zset import (
    gather_kernels,
    group_table,
    hash_kernels,
    hashing,
    kernels,
    probe_kernels,
    run,
    trace,
    view_kernels,
)
from millstream.zset.cold import ColdStore
from millstream.zset.columns import DATA, FIXED, KIND
from millstream.zset.consolidate import SortKey, consolidate, sort_rows
from millstream.zset.delta import Delta
from millstream.zset.gathered import describe
from millstream.zset.hashing import DEFAULT_SEEDS, hash_columns
from millstream.zset.run import Run, build_run, filter_run, merge_runs
from millstream.zset.trace import Matches, Trace
from millstream.zset.warm import warm_up
from tests.zset.strategies import (
    ALL_TYPES,
    arrays,
    column_values,
    contents,
    deltas,
    rows_of,
)

MIXED = (pa.int64(), pa.large_string(), pa.float64(), pa.bool_())
NESTED = (pa.map_(pa.large_string(), pa.float64()), pa.large_list(pa.field("item", pa.int32())), pa.int8())
KEYED_TYPES = [(MIXED, (0,)), (MIXED, (1, 2)), (MIXED, ()), (NESTED, (0, 2)), (NESTED, (1,))]

laws = settings(max_examples=25, derandomize=True, deadline=None)


@pytest.fixture(params=["hashes", "colliding"])
def key_hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Once as it is, once with only two different key hashes, so that most keys collide."""
    if request.param == "colliding":
        genuine = hashing.hash_described

        def colliding(columns: Sequence[pa.Array], table: Any, num_rows: int, seed: int) -> hashing.Hashes:
            hashes = genuine(columns, table, num_rows, seed)
            return hashes & np.uint64(1 << 63) if seed == DEFAULT_SEEDS.key else hashes

        monkeypatch.setattr(run, "hash_described", colliding)
        monkeypatch.setattr(trace, "hash_described", colliding)
    return str(request.param)


def expected_matches(
    stored: Delta, key: Sequence[int], probes: Sequence[pa.Array], null_safe: Sequence[bool] | None
) -> dict[tuple[Any, ...], int]:
    """The Z-set of (probe position, row) by nested loops."""
    wanted = list(zip(*(column_values(p) for p in probes), strict=True))
    safe = [True] * len(key) if null_safe is None else list(null_safe)
    total: dict[tuple[Any, ...], int] = {}
    for row, weight in contents(stored).items():
        own = tuple(row[i] for i in key)
        for position, probe in enumerate(wanted):
            if own == probe and all(s or v is not None for s, v in zip(safe, own, strict=True)):
                total[(position, *row)] = weight
    return total


def found_matches(matches: Matches) -> dict[tuple[Any, ...], int]:
    total: dict[tuple[Any, ...], int] = {}
    for position, (*row, weight) in zip(matches.probe_index.tolist(), rows_of(matches.delta), strict=True):
        total[(position, *row)] = total.get((position, *row), 0) + weight
    return {row: weight for row, weight in total.items() if weight}


def concatenated(parts: Sequence[Delta], types: Sequence[pa.DataType]) -> Delta:
    if not parts:
        return Delta.empty(types)
    columns = tuple(pa.concat_arrays([p.columns[i] for p in parts]) for i in range(len(types)))
    return Delta(columns, np.concatenate([p.weights for p in parts]))


def check_run(built: Run, key: Sequence[int]) -> None:
    """The invariants of a run."""
    pairs = list(zip(built.key_hashes.tolist(), built.row_hashes.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert built.delta.weights.all()
    assert all(len(column) == built.num_rows for column in built.delta.columns)
    for column in built.delta.columns:
        column.validate(full=True)
    fixed = [i for i in range(len(built.table)) if built.table[i, KIND] == FIXED]
    assert all(built.table[i, DATA] == built.delta.columns[i].buffers()[1].address for i in fixed)
    genuine = hash_columns(built.delta.columns, built.num_rows, DEFAULT_SEEDS.row)
    np.testing.assert_array_equal(built.row_hashes, genuine)


@pytest.mark.parametrize("data_type", ALL_TYPES, ids=str)
@laws
@given(data=st.data())
def test_runs_hold_every_type(data_type: pa.DataType, data: st.DataObject) -> None:
    types = (data_type, pa.int8())
    a, b = data.draw(deltas(types)), data.draw(deltas(types))
    runs = [build_run(delta, (0,), DEFAULT_SEEDS) for delta in (a, b)]
    merged = merge_runs(*runs)
    for built, parts in zip((*runs, merged), ([a], [b], [a, b]), strict=True):
        check_run(built, (0,))
        assert contents(built.delta) == contents(*parts)
        assert built.num_rows == len(contents(*parts))


@pytest.mark.parametrize("types, key", KEYED_TYPES)
@pytest.mark.parametrize("small_run_rows", [0, 256])
@laws
@given(data=st.data())
def test_contents_are_the_sum_of_deltas_however_they_are_cut_and_ordered(
    types: tuple[pa.DataType, ...], key: tuple[int, ...], small_run_rows: int, data: st.DataObject
) -> None:
    parts = data.draw(st.lists(deltas(types), max_size=5))
    whole = concatenated(parts, types)
    one, other = Trace(types, key, DEFAULT_SEEDS), Trace(types, key, DEFAULT_SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "SMALL_RUN_ROWS", small_run_rows)
        for part in parts:
            one.insert(part)
        for position in data.draw(st.permutations(range(whole.num_rows))):
            other.insert(whole.take(np.array([position])))
    for filled in (one, other):
        total = filled.snapshot().to_delta()
        assert contents(total) == contents(whole)
        assert total.num_rows == len(contents(whole))
        assert filled.num_rows == sum(r.num_rows for r in filled.runs)


@pytest.mark.parametrize("types, key", KEYED_TYPES)
@pytest.mark.parametrize("small_run_rows", [0, 256])
def test_probe_finds_exactly_the_rows_with_equal_keys(
    types: tuple[pa.DataType, ...], key: tuple[int, ...], small_run_rows: int, key_hashing: str
) -> None:
    @settings(max_examples=20, derandomize=True, deadline=None)
    @given(data=st.data())
    def law(data: st.DataObject) -> None:
        parts = data.draw(st.lists(deltas(types), max_size=4))
        probes = [data.draw(arrays(types[i], 6)) for i in key]
        null_safe = data.draw(st.none() | st.lists(st.booleans(), min_size=len(key), max_size=len(key)))
        filled = Trace(types, key, DEFAULT_SEEDS)
        for part in parts:
            filled.insert(part)
        matches = filled.probe(probes, 6, null_safe=null_safe)
        assert (np.diff(matches.probe_index) >= 0).all()
        if key:
            assert found_matches(matches) == expected_matches(concatenated(parts, types), key, probes, null_safe)
        else:
            whole = contents(concatenated(parts, types))
            assert found_matches(matches) == {(i, *row): w for row, w in whole.items() for i in range(6)}
        pruned = filled.probe(probes, 6, null_safe=null_safe, columns=[2, 0])
        np.testing.assert_array_equal(pruned.probe_index, matches.probe_index)
        assert rows_of(pruned.delta) == rows_of(matches.delta.select([2, 0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "SMALL_RUN_ROWS", small_run_rows)
        law()


@pytest.mark.parametrize("keys", [3, 5000])
def test_many_rows_in_many_runs(keys: int) -> None:
    random = np.random.default_rng(keys)
    filled = Trace((pa.int64(), pa.int32()), [0], DEFAULT_SEEDS)
    model: dict[tuple[Any, ...], int] = {}
    for size in (3000, 1500, 700, 1, 300, 90, 1, 40):
        columns = (pa.array(random.integers(0, keys, size)), pa.array(random.integers(0, 400, size), pa.int32()))
        delta = Delta(columns, random.integers(-1, 3, size))
        filled.insert(delta)
        for row, weight in contents(delta).items():
            model[row] = model.get(row, 0) + weight
    assert len(filled.runs) > 2
    probe = pa.array(range(-1, 50))
    expected = {(k + 1, k, v): w for (k, v), w in model.items() if k < 50 and w}
    hashes = hash_columns([probe], 51, DEFAULT_SEEDS.key)
    for key_hashes in (None, hashes):
        found = found_matches(filled.probe([probe], 51, key_hashes=key_hashes))
        # Compared by themselves first: a diff of thousands of rows would take minutes to print.
        assert len(found) == len(expected)
        same = found == expected
        assert same


def test_runs_shrink_geometrically_once_probes_have_paid_for_it() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    start = 0
    keys = [pa.array(np.arange(20_000))]
    for size in range(1000, 950, -1):
        filled.insert(Delta.inserts([pa.array(range(start, start + size))]))
        start += size
        for _ in range(4):
            matches = filled.probe(keys, 20_000)
        assert matches.probe_index.tolist() == list(range(min(start, 20_000)))
        sizes = [r.num_rows for r in filled.runs]
        assert all(2 * a > 3 * b for a, b in itertools.pairwise(sizes))
    assert sum(sizes) == start


def test_a_probe_of_few_rows_merges_nothing() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    for start in range(0, 7000, 1000):
        filled.insert(Delta.inserts([pa.array(range(start, start + 1000))]))
    before = filled.runs
    assert filled.probe([pa.array([1, 6999])], 2).delta.num_rows == 2
    assert filled.runs == before


def test_without_probes_every_row_is_moved_a_few_times_and_runs_stay_few() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    moved = 0
    for start in range(0, 512_000, 1000):
        before = set(map(id, filled.runs))
        filled.insert(Delta.inserts([pa.array(range(start, start + 1000))]))
        moved += sum(r.num_rows for r in filled.runs if id(r) not in before)
        assert len(filled.runs) <= 3 * 7
    assert [r.num_rows for r in filled.runs] == [512_000]
    assert moved <= 4 * 512_000


def test_deltas_of_deletions_are_merged_at_once() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    filled.insert(Delta.inserts([pa.array(range(5000))]))
    for start in range(0, 5000, 500):
        filled.insert(Delta.inserts([pa.array(range(start, start + 500))]).negate())
        assert len(filled.runs) <= 5
    assert filled.runs == ()


def test_single_rows_rarely_touch_a_large_run() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    filled.insert(Delta.inserts([pa.array(range(10_000))]))
    large = filled.runs[0]
    for value in range(3000):
        filled.insert(Delta.inserts([pa.array([10_000 + value])]))
    assert filled.runs[0] is large
    assert len(filled.runs) <= 8


def test_deleting_everything_leaves_no_runs() -> None:
    delta = Delta.inserts([pa.array(range(1000)), pa.array([str(i) for i in range(1000)], pa.large_string())])
    filled = Trace((pa.int64(), pa.large_string()), [0], DEFAULT_SEEDS)
    filled.insert(delta)
    filled.insert(delta.negate())
    assert filled.runs == ()
    assert filled.num_rows == filled.nbytes == 0


def test_runs_of_rows_that_are_there_once_keep_no_weights(tmp_path: Path) -> None:
    numbers = np.arange(1000)
    once = build_run(Delta.inserts([pa.array(numbers)]), [0], DEFAULT_SEEDS)
    twice = build_run(Delta((pa.array(numbers[500:]),), np.full(500, 2)), [0], DEFAULT_SEEDS)
    less = build_run(Delta((pa.array(numbers[500:]),), np.full(500, -2)), [0], DEFAULT_SEEDS)
    merged = merge_runs(once, twice)
    store = ColdStore(tmp_path / "cold")
    for built in (once, once.store(store), merge_runs(merged, less), merge_runs(once, twice, less)):
        assert len(built.kept_weights) == built.num_deletions == 0
        assert contents(built.delta) == {(number,): 1 for number in range(1000)}
    for built in (merged, merged.store(store)):
        assert contents(built.delta) == {(number,): 1 if number < 500 else 3 for number in range(1000)}
    assert (less.num_deletions, len(filter_run(once, numbers < 10).kept_weights)) == (500, 0)
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    for built in (once, twice):
        filled.insert_run(built)
    found = filled.probe([pa.array([1, 600])], 2)
    assert sorted(found.delta.weights.tolist()) == [1, 1, 2]


def test_a_snapshot_stays_as_it_was() -> None:
    filled = Trace((pa.int64(),), [0], DEFAULT_SEEDS)
    filled.insert(Delta.inserts([pa.array([1, 2])]))
    before = filled.snapshot()
    filled.insert(Delta(((pa.array([1, 3])),), np.array([-1, 1])))
    assert contents(before.to_delta()) == {(1,): 1, (2,): 1}
    assert contents(filled.snapshot().to_delta()) == {(2,): 1, (3,): 1}
    assert before.num_rows == 2
    assert before.nbytes > 0


def test_empty_traces_and_probes_answer_with_typed_columns() -> None:
    filled = Trace(NESTED, [2], DEFAULT_SEEDS)
    probe = [pa.array([1, 2], pa.int8())]
    filled.insert(Delta.empty(NESTED))
    assert [c.type for c in filled.probe(probe, 2).delta.columns] == list(NESTED)
    assert filled.snapshot().to_delta().num_rows == 0
    filled.insert(Delta.inserts([pa.nulls(1, t) for t in NESTED]))
    for answer in (filled.probe([probe[0].slice(2)], 0), filled.probe(probe, 2)):
        assert [c.type for c in answer.delta.columns] == list(NESTED)
        assert answer.delta.num_rows == len(answer.probe_index) == 0


def test_null_probes_cost_nothing_where_nulls_do_not_match() -> None:
    nulls = pa.nulls(100_000, pa.int64())
    filled = Trace((pa.int64(), pa.int64()), [0], DEFAULT_SEEDS)
    filled.insert(Delta.inserts([nulls, pa.array(range(100_000))]))
    # 10^10 candidate pairs: only skipping them up front can finish.
    assert filled.probe([nulls], 100_000, null_safe=[False]).delta.num_rows == 0


@pytest.mark.parametrize("types", [MIXED, NESTED, (pa.null(), pa.int64())])
@laws
@given(data=st.data())
def test_consolidating_keeps_contents_and_leaves_each_row_once(
    types: tuple[pa.DataType, ...], data: st.DataObject
) -> None:
    delta = data.draw(deltas(types))
    result = consolidate(delta, DEFAULT_SEEDS)
    assert contents(result) == contents(delta)
    assert result.num_rows == len(contents(delta))
    assert consolidate(result, DEFAULT_SEEDS) is result


def test_only_rows_with_equal_numbers_are_compared_by_their_texts() -> None:
    numbers = [*range(100), 7, 7, 8, 9]
    texts = [*(f"text {i}" for i in range(100)), "text 7", "other", "text 8", None]
    weights = np.ones(104, np.int64)
    weights[102] = -1
    delta = Delta((pa.array(numbers), pa.array(texts, pa.large_string())), weights)
    result = consolidate(delta, DEFAULT_SEEDS)
    assert contents(result) == contents(delta)
    assert result.num_rows == len(contents(delta)) == 101
    different = delta.take(np.array([*range(100), 101, 103]))
    assert consolidate(different, DEFAULT_SEEDS) is different


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_taking_entries_agrees_with_arrow(data: st.DataObject) -> None:
    """Of all types at once, out of slices, repeated, in any order; and the table says what the columns are."""
    length = data.draw(st.integers(1, 20))
    start = data.draw(st.integers(0, length - 1))
    delta = Delta.inserts([data.draw(arrays(t, length)).slice(start) for t in ALL_TYPES])
    chosen = data.draw(st.lists(st.integers(0, length - start - 1), max_size=30))
    taken = delta.take(np.array(chosen, np.int64))
    for column, before in zip(taken.columns, delta.columns, strict=True):
        column.validate(full=True)
        assert column.type == before.type
        assert column_values(column) == column_values(before.take(pa.array(chosen, pa.int64())))
    assert np.array_equal(taken.table, describe(taken.columns))


def test_rows_without_columns_consolidate_to_their_total() -> None:
    assert consolidate(Delta((), np.array([1, 2, -1])), DEFAULT_SEEDS).weights.tolist() == [2]
    filled = Trace((), (), DEFAULT_SEEDS)
    filled.insert(Delta((), np.array([1, 2])))
    assert filled.probe((), 1).delta.weights.tolist() == [3]


def test_sorting_rows_places_nulls_as_asked_and_is_stable() -> None:
    delta = Delta.inserts([pa.array([2, None, 1, 2]), pa.array(["x", "y", None, "a"], pa.large_string())])
    by = lambda *keys: [row[:2] for row in rows_of(sort_rows(delta, keys))]  # noqa: E731  # shorthand
    assert by(SortKey(0)) == [(1, None), (2, "x"), (2, "a"), (None, "y")]
    assert by(SortKey(0, True, True), SortKey(1)) == [(None, "y"), (2, "a"), (2, "x"), (1, None)]
    assert by(SortKey(1, nulls_first=True)) == [(1, None), (2, "a"), (2, "x"), (None, "y")]
    assert by() == [row[:2] for row in rows_of(delta)]


def test_rows_are_found_again_by_their_hashes() -> None:
    random = np.random.default_rng(9)
    filled = Trace((pa.int64(), pa.large_string()), (0,), DEFAULT_SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "SMALL_RUN_ROWS", 0)
        for _ in range(5):
            keys = random.integers(0, 4, 200)
            texts = pa.array([None if n < 5 else str(n) for n in random.integers(0, 1000, 200)], pa.large_string())
            filled.insert(Delta((pa.array(keys), texts), np.ones(200, np.int64)))
    assert len(filled.runs) > 1
    stored = filled.snapshot().to_delta()
    chosen = random.permutation(stored.num_rows)
    wanted = stored.take(chosen)
    hashes = [
        hash_columns(columns, len(chosen), seed)
        for columns, seed in zip((wanted.columns[:1], wanted.columns), DEFAULT_SEEDS, strict=True)
    ]
    found = filled.rows(*hashes)
    assert list(found.columns((0, 1))) == list(wanted.columns)
    assert found.row_hashes().tolist() == hashes[1].tolist()
    with pytest.raises(AssertionError):
        filled.rows(hashes[0][:1], hashes[1][:1] + np.uint64(1))


def _texts(first: int, count: int, length: int) -> Delta:
    texts = pa.array([f"{number:0{length}}" for number in range(first, first + count)], pa.large_string())
    return Delta((pa.array(range(first, first + count), pa.int64()), texts), np.ones(count, np.int64))


def test_characters_of_large_deltas_stay_where_they_are() -> None:
    parts = [_texts(first, 1000, 100) for first in (0, 1000)]
    merged = merge_runs(*(build_run(part, (0,), DEFAULT_SEEDS) for part in parts))
    owners = {owner.address for owner in merged.columns[1].owners}
    assert owners == {part.columns[1].buffers()[2].address for part in parts}
    assert contents(merged.delta) == contents(*parts)


def test_many_small_buffers_become_one() -> None:
    parts = [_texts(first, 2, 100) for first in range(0, 40, 2)]
    merged = merge_runs(*(build_run(part, (0,), DEFAULT_SEEDS) for part in parts))
    assert len(merged.columns[1].owners) == 1
    assert contents(merged.delta) == contents(*parts)


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_buffer_of_which_little_is_used_is_given_up(kept: int) -> None:
    whole = _texts(0, 5000, 100)
    part = Delta(tuple(column.slice(3, kept) for column in whole.columns), whole.weights[:kept])
    built = build_run(part, (0,), DEFAULT_SEEDS)
    assert built.nbytes < 200 * kept + 1000
    assert contents(built.delta) == contents(part)
    built = build_run(whole, (0,), DEFAULT_SEEDS)
    rest = whole.take(np.arange(kept, 5000)).negate()
    left = merge_runs(built, build_run(rest, (0,), DEFAULT_SEEDS))
    assert left.nbytes < 200 * kept + 1000
    assert contents(left.delta) == contents(whole.take(np.arange(kept)))


def test_warming_up_leaves_nothing_to_compile() -> None:
    warm_up()
    compiled = [len(kernel.signatures) for kernel in _kernels()]
    assert all(compiled)
    filled = Trace(MIXED, [0, 1], DEFAULT_SEEDS)
    columns = [
        pa.array([1, None]),
        pa.array(["a", ""], pa.large_string()),
        pa.array([0.5, None]),
        pa.array([True, None]),
    ]
    delta = Delta.inserts([column.slice(1) for column in columns])
    for part in (Delta.inserts(columns), delta, delta.negate()):
        filled.insert(part)
    filled.probe(columns[:2], 2, null_safe=[True, False], columns=(1,))
    consolidate(Delta.inserts(columns), DEFAULT_SEEDS)
    assert [len(kernel.signatures) for kernel in _kernels()] == compiled


def _kernels() -> list[Any]:
    """The kernels that Python code calls."""
    return [
        gather_kernels.gather, gather_kernels.gather_text, gather_kernels.lay_out,
        gather_kernels.text_sizes, hash_kernels.hash_table, hash_kernels.fold_lists,
        hash_kernels.fold_maps, hash_kernels.hash_table_twice, hash_kernels.extend_hashes, kernels.find_repeated,
        kernels.sort_entries, kernels.merge_entries, kernels.merge_many,
        kernels.build_directory, probe_kernels.probe_runs, probe_kernels.gather_words, probe_kernels.find_rows,
        view_kernels.total_length, view_kernels.copy_views,
        probe_kernels.equal_positions, group_table.insert_slots,
        group_table.find_slots, group_table.release_slots, group_table.move_cells,
    ]  # fmt: skip
