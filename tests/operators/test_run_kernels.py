"""The kernels of ordered runs agree with plain Python over dictionaries of rows."""

from __future__ import annotations

import bisect
import random
from collections import Counter

import numpy as np
import pytest

from millstream.operators.windows.run_kernels import (
    _first_from,
    compact,
    merge_lines,
    read_islands,
    session_bounds,
    touched_rows,
    touched_sessions,
)
from millstream.zset.columns import POSITION_MASK, SOURCE_SHIFT

WIDTH = 4


def random_run(source, size):
    """Lines of few partitions, places and row hashes, sorted, with weights."""
    rows = Counter()
    for _ in range(size):
        line = (source.randrange(2), source.randrange(2), source.randrange(30), source.randrange(3))
        rows[line] += source.choice([1, 1, 2, -1])
    return as_run({line: weight for line, weight in rows.items() if weight})


def as_run(rows):
    lines = sorted(rows)
    matrix = np.array(lines, np.uint64).reshape(-1, WIDTH)
    return matrix, np.array([rows[line] for line in lines], np.int64)


def rows_of(run):
    return dict(zip(map(tuple, run[0].tolist()), run[1].tolist(), strict=True))


def index_of(runs):
    return np.array([(m.ctypes.data, len(m), w.ctypes.data) for m, w in runs], np.int64)


@pytest.mark.parametrize("partitions", [1, 3, 400], ids=lambda count: f"{count} partitions")
@pytest.mark.parametrize("clustered", [False, True])
def test_the_first_line_not_below_another_is_found_from_any_start(partitions, clustered):
    source = random.Random(partitions)
    # Hashes are not always as uniform as they should be: then it only takes longer.
    hashes = [source.randrange(1 << 64) >> (40 if clustered else 0) for _ in range(partitions)] + [0, (1 << 64) - 1]
    lines = sorted((source.choice(hashes), 7, source.randrange(50), 0) for _ in range(500))
    wanted = [
        (source.choice([*hashes, source.randrange(1 << 64)]), 7, source.randrange(-1, 51) % 60, 0) for _ in range(200)
    ]
    matrix, others = (np.array(rows, np.uint64) for rows in (lines, wanted))
    for j, line in enumerate(wanted):
        for length in (2, 3):
            right = bisect.bisect_left([row[:length] for row in lines], line[:length])
            for start in (0, right // 2, max(right - 1, 0), right, min(right + 3, 500), 500):
                found = _first_from(matrix.ctypes.data, 500, start, others.ctypes.data, j, length, WIDTH)
                assert found == max(right, start)


@pytest.mark.parametrize("seed", range(5))
def test_compact_sums_equal_lines(seed):
    source = random.Random(seed)
    lines = np.array([[source.randrange(2) for _ in range(WIDTH)] for _ in range(40)], np.uint64)
    weights = np.array([source.choice([1, -1, 2]) for _ in lines], np.int64)
    expected = Counter()
    for line, weight in zip(map(tuple, lines.tolist()), weights.tolist(), strict=True):
        expected[line] += weight
    positions, kept, totals = compact(lines, np.lexsort(lines.T[::-1]), weights)
    assert rows_of((kept, totals)) == {line: weight for line, weight in expected.items() if weight}
    assert (lines[positions] == kept).all()
    assert kept.tolist() == sorted(kept.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_merging_cancels_opposite_weights(seed):
    source = random.Random(seed)
    a, b = random_run(source, 60), random_run(source, 25)
    expected = Counter(rows_of(a))
    for line, weight in rows_of(b).items():
        expected[line] += weight
    sources, lines, weights = merge_lines(*a, *b)
    assert rows_of((lines, weights)) == {line: weight for line, weight in expected.items() if weight}
    assert lines.tolist() == sorted(lines.tolist())
    for at, line in zip(sources.tolist(), lines.tolist(), strict=True):
        assert (a, b)[at >> SOURCE_SHIFT][0][at & POSITION_MASK].tolist() == line


def read(runs, starts, ends):
    """The islands as lists of (line, weight before, change)."""
    sources, islands, places, before, change = read_islands(index_of(runs), starts, ends, WIDTH)
    result = [[] for _ in starts]
    values = zip(sources.tolist(), islands.tolist(), places.tolist(), before.tolist(), change.tolist(), strict=True)
    for at, island, place, old, more in values:
        line = tuple(runs[at >> SOURCE_SHIFT][0][at & POSITION_MASK].tolist())
        assert line[2] == place
        result[island].append((line, old, more))
    return result


def partitions_of(runs):
    """All lines by partition, in order, with their weights in all runs but the last and in the last; and which lines
    the last has."""
    before, change = Counter(), rows_of(runs[-1])
    for run in runs[:-1]:
        for line, weight in rows_of(run).items():
            before[line] += weight
    partitions = {}
    for line in sorted({*before, *change}):
        partitions.setdefault(line[:2], []).append((line, before[line], change.get(line, 0)))
    return partitions, set(change)


@pytest.mark.parametrize("gap", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_touched_sessions_are_the_chains_with_a_change(seed, gap):
    source = random.Random(seed)
    runs = [random_run(source, size) for size in (40, 20, 5, 4)]
    partitions, changed = partitions_of(runs)
    expected = []
    for rows in partitions.values():
        chains = []
        for row in rows:
            if not chains or row[0][2] - chains[-1][-1][0][2] >= gap:
                chains.append([])
            chains[-1].append(row)
        expected += [chain for chain in chains if any(line in changed for line, _, _ in chain)]
    starts, ends = touched_sessions(index_of(runs), WIDTH, np.uint64(gap))
    assert read(runs, starts, ends) == expected


@pytest.mark.parametrize("reach", [0, 1, 3, 100])
@pytest.mark.parametrize("seed", range(6))
def test_touched_rows_are_those_near_a_change(seed, reach):
    source = random.Random(seed)
    runs = [random_run(source, size) for size in (60, 20, 5, 4)]
    partitions, changed = partitions_of(runs)
    starts, ends = touched_rows(index_of(runs), WIDTH, np.int64(reach))
    islands = read(runs, starts, ends)
    assert Counter(row[0] for island in islands for row in island if row[0] in changed) == Counter(changed)
    for island in islands:
        rows = partitions[island[0][0][:2]]
        first, last = rows.index(island[0]), rows.index(island[-1])
        assert rows[first : last + 1] == island
        # No place is cut through.
        assert first == 0 or rows[first - 1][0][2] != island[0][0][2]
        assert last + 1 == len(rows) or rows[last + 1][0][2] != island[-1][0][2]
        places = [line[2] for line, _, _ in island if line in changed]
        sides = [
            ([row for row in island if row[0][2] < min(places)], first == 0),
            ([row for row in island if row[0][2] > max(places)], last + 1 == len(rows)),
        ]
        for near, complete in sides:
            old = sum(max(weight, 0) for _, weight, _ in near)
            new = sum(max(weight + more, 0) for _, weight, more in near)
            assert complete or min(old, new) >= reach


@pytest.mark.parametrize("seed", range(5))
def test_bounds_of_sessions_look_at_rows_that_are_there(seed):
    source = random.Random(seed)
    cells = sorted((source.randrange(3), source.randrange(40)) for _ in range(60))
    islands, places = (np.array(column) for column in zip(*cells, strict=True))
    weights = np.array([source.choice([-1, 0, 1, 2]) for _ in cells], np.int64)
    first, last, leaders = session_bounds(islands, places.astype(np.uint64), weights, np.uint64(3))
    present = [i for i, weight in enumerate(weights) if weight > 0]
    session = []
    for i, following in zip(present, [*present[1:], None], strict=True):
        session.append(i)
        if following is None or islands[following] != islands[i] or places[following] - places[i] >= 3:
            for member in session:
                bounds = (first[member], last[member], leaders[member])
                assert bounds == (places[session[0]], places[i], session[0])
            session = []
    assert all(leaders[i] == -1 for i in range(len(cells)) if weights[i] <= 0)
