"""Time indexes against a sorted list."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.operators.time_index import TimeIndex
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from tests.operators.law import add, rows_of


def delta(rows):
    return Delta((pa.array([c for c, _ in rows], pa.int64()),), np.array([w for _, w in rows], np.int64))


STEPS = st.lists(
    st.tuples(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 2, -1])), max_size=8), st.integers(0, 1 << 64))
    | st.tuples(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, -1])), max_size=8), st.integers(0, 32)),
    max_size=12,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(STEPS)
def test_what_is_below_a_limit_is_taken_once(steps):
    index, expected = TimeIndex(DEFAULT_SEEDS), Counter()
    for rows, limit in steps:
        index.insert(np.array([c for c, _ in rows], np.uint64), delta(rows))
        for code, weight in rows:
            add(expected, {(code,): weight})
        taken = index.take_below(limit)
        below = {row: weight for row, weight in expected.items() if row[0] < limit}
        assert (rows_of(taken) if taken is not None else {}) == below
        for row in below:
            del expected[row]


def test_memory_follows_the_rows_that_are_there():
    index = TimeIndex(DEFAULT_SEEDS)
    for step in range(200):
        codes = np.arange(50 * step, 50 * step + 50)
        index.insert(codes.astype(np.uint64), Delta.inserts((pa.array(codes),)))
        index.take_below(max(0, 50 * step - 100))
        assert index.num_rows <= 200
    assert index.nbytes < 50_000


def test_rows_that_cancel_vanish_before_their_time():
    index = TimeIndex(DEFAULT_SEEDS)
    for _ in range(100):
        for weight in (1, -1):
            index.insert(np.array([7], np.uint64), delta([(7, weight)]))
    assert index.num_rows <= 4
