"""The kernels agree with Python integers and dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.operators.kernels import add_wide, best_codes, divide_wide, group_pairs, order_in_groups, sum_wide

quick = settings(max_examples=100, deadline=None, derandomize=True)
WORD = (1 << 64) - 1
I128 = st.integers(-(2**127), 2**127 - 1) | st.integers(-5, 5)
I192 = st.integers(-(2**190), 2**190 - 1) | st.integers(-5, 5) | st.sampled_from([2**64, -(2**64), 2**128, -(2**128)])
I64 = st.integers(-(2**31), 2**31) | st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-3, 3)


def words(values, count):
    cells = [[(v >> 64 * i) & WORD for i in range(count)] for v in values]
    return np.array(cells, np.uint64).reshape(len(values), count)


def integers(table):
    values = [sum(word << 64 * i for i, word in enumerate(row)) for row in table.tolist()]
    return [v - (1 << 192) if v >> 191 else v for v in values]


@quick
@given(st.lists(st.tuples(st.integers(0, 2), I128, st.integers(-(2**40), 2**40) | st.integers(-2, 2)), max_size=12))
def test_wide_sums_are_exact(rows):
    groups = np.array([g for g, _, _ in rows], np.int64)
    halves = words([v for _, v, _ in rows], 2)
    weights = np.array([w for _, _, w in rows], np.int64)
    low, high = np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])
    totals = sum_wide(groups, low, high, weights, 3)
    assert integers(totals) == [sum(v * w for g, v, w in rows if g == group) for group in range(3)]


@quick
@given(st.lists(st.tuples(I192, I192), min_size=1, max_size=5))
def test_wide_addition(pairs):
    total = add_wide(words([a for a, _ in pairs], 3), words([b for _, b in pairs], 3))
    assert integers(total) == [a + b for a, b in pairs]


@quick
@given(st.lists(st.tuples(I192, I64.filter(bool)), min_size=1, max_size=5))
def test_wide_division_truncates_towards_zero(pairs):
    quotients = divide_wide(words([a for a, _ in pairs], 3), np.array([b for _, b in pairs], np.int64))
    expected = [abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) for a, b in pairs]
    assert integers(quotients) == expected


@quick
@given(st.lists(st.tuples(st.sampled_from([0, 1, 1 << 40, 31]), st.integers(0, 2)), max_size=40))
def test_pairs_are_numbered_by_first_occurrence(pairs):
    h1, h2 = (np.array([pair[i] for pair in pairs], np.uint64) for i in (0, 1))
    groups, first = group_pairs(h1, h2)
    order = list(dict.fromkeys(pairs))
    assert groups.tolist() == [order.index(pair) for pair in pairs]
    assert first.tolist() == [pairs.index(pair) for pair in order]


@quick
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=12))
def test_best_codes_are_the_first_greatest_wanted_ones(rows):
    columns = [np.array([row[i] for row in rows]) for i in range(3)]
    groups, codes, wanted = columns[0].astype(np.int64), columns[1].astype(np.uint64), columns[2].astype(np.bool_)
    _, found = best_codes(groups, codes, wanted, 3)
    for group in range(3):
        candidates = [i for i, (g, _, w) in enumerate(rows) if g == group and w]
        best = max(candidates, key=lambda i: (rows[i][1], -i), default=-1)
        assert found[group] == best


@pytest.mark.parametrize("num_groups, distinct", [(1, 1000), (1, 3), (5, 40), (300, 2)])
@pytest.mark.parametrize("count", [0, 1, 17, 300])
def test_order_in_groups_agrees_with_lexsort(num_groups, distinct, count):
    random = np.random.default_rng(count)
    groups = random.integers(0, num_groups, count)
    matrix = random.integers(0, distinct, (count, 2)).astype(np.uint64)
    expected = np.lexsort((matrix[:, 1], matrix[:, 0], groups))
    np.testing.assert_array_equal(order_in_groups(groups, num_groups, matrix), expected)
