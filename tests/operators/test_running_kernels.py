"""The kernels of functions that run along partitions, against plain Python."""

from __future__ import annotations

import random

import numpy as np
import pytest

from millstream.operators.windows.checkpoint_kernels import choose_places
from millstream.operators.windows.kernels import frame_floats, running_extremes, running_floats


def owners_of(source, count, num_pieces):
    return np.sort(np.array([source.randrange(num_pieces) for _ in range(count)], np.int64))


@pytest.mark.parametrize("seed", range(10))
def test_running_extremes_begin_with_the_value_before(seed):
    source = random.Random(seed)
    count, num_pieces = 40, 4
    owners = owners_of(source, count, num_pieces)
    codes = np.array([source.randrange(8) for _ in range(count + num_pieces)], np.uint64)
    wanted = np.array([source.random() < 0.6 for _ in codes])
    expected = []
    for i, owner in enumerate(owners.tolist()):
        seen = [count + owner, *(j for j in range(i + 1) if owners[j] == owner)]
        expected.append(
            min((int(codes[j]), n, j) for n, j in enumerate(seen) if wanted[j])[2] if wanted[seen].any() else -1
        )
    expected += [i if wanted[i] else -1 for i in range(count, count + num_pieces)]
    assert running_extremes(owners, codes, wanted).tolist() == expected


@pytest.mark.parametrize("seed", range(10))
def test_running_floats_go_on_from_any_row(seed):
    source = random.Random(seed)
    special = [float("nan"), float("inf"), float("-inf")]
    values = [source.gauss(0, 1) * 10.0 ** source.randrange(-9, 9) for _ in range(60)]
    values = np.array([source.choice(special) if source.random() < 0.1 else value for value in values])
    wanted = np.array([source.random() < 0.8 for _ in values])
    ends = np.arange(1, len(values) + 1)
    sums, specials = frame_floats(np.zeros(len(values), np.int64), ends, values, wanted)
    cut = source.randrange(1, 59)
    first = running_floats(
        np.zeros(cut, np.int64), values[:cut], wanted[:cut], np.zeros((1, 3)), np.zeros((1, 3), np.int64)
    )
    rest = running_floats(
        np.zeros(len(values) - cut, np.int64), values[cut:], wanted[cut:], first[0][-1:].copy(), first[1][-1:].copy()
    )
    for whole, parts in zip((sums, specials), zip(first, rest, strict=True), strict=True):
        assert (whole == np.concatenate(parts)).all()


@pytest.mark.parametrize("spacing", [1, 4, 10])
@pytest.mark.parametrize("seed", range(5))
def test_checkpoints_stand_neither_dense_nor_far_apart(seed, spacing):
    source = random.Random(seed)
    islands = owners_of(source, 80, 3)
    counts = np.array([source.randrange(4) for _ in islands])
    ends = np.cumsum(counts)
    begins = np.array([ends[islands < k].max(initial=0) for k in range(3)])
    allowed = counts > 0
    marked = np.array([source.random() < 0.2 for _ in islands])
    chosen = choose_places(islands, ends, begins, allowed, marked, np.int64(spacing)).tolist()
    assert all(allowed[p] for p in chosen)
    for k in range(3):
        last = begins[k]
        for p in np.flatnonzero(islands == k).tolist():
            gap = ends[p] - last
            if p in chosen:
                assert gap >= spacing or (marked[p] and 2 * gap >= spacing)
                last = ends[p]
            else:
                assert gap < spacing or not allowed[p]
