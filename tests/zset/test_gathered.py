"""Columns that become arrays when somebody asks: the same as if they had been arrays from the start."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns, describe
from millstream.zset.moving import concat_columns, take_columns

ARRAYS = (
    pa.array([1, None, 3, 4]),
    pa.array(["a", "bc", None, ""], pa.large_string()),
    pa.array([True, None, False, True]),
    pa.array([[1], None, [], [2, 3]], pa.large_list(pa.int64())),
    pa.nulls(4),
    pa.array([0.5, -1.5, 2.5, None]).slice(0),
)
ORDER = np.array([3, 1, 1, 0])


def lists(columns: Columns | tuple[pa.Array, ...]) -> list[list[object]]:
    return [column.to_pylist() for column in columns]


def test_taken_columns_are_those_of_arrow() -> None:
    taken = take_columns(ARRAYS, ORDER)
    assert lists(taken) == [column.take(pa.array(ORDER)).to_pylist() for column in ARRAYS]
    assert taken.types == [column.type for column in ARRAYS] == [column.type for column in taken]
    assert taken[0] is taken[0]
    for column in taken:
        column.validate(full=True)


def test_slices_sums_and_choices_are_the_same_columns() -> None:
    taken = take_columns(ARRAYS, ORDER)
    first = taken[0]
    both = taken[1:3] + ARRAYS + taken[:1]
    assert lists(both) == lists(taken)[1:3] + lists(ARRAYS) + lists(taken)[:1]
    assert lists((*ARRAYS[:1], *taken)) == lists(ARRAYS[:1] + taken)
    assert both[-1] is first
    chosen = both.select([8, 0])
    assert chosen[0] is first
    for columns in (both, chosen, taken[1:3]):
        for line, expected in zip(describe(columns)[:, :2], describe(tuple(columns))[:, :2], strict=True):
            assert line.tolist() == expected.tolist()


def test_bytes_are_those_of_the_arrays_whether_they_have_been_made_or_not() -> None:
    taken = take_columns(ARRAYS, ORDER)
    before = taken.nbytes
    made = sum(column.nbytes for column in taken)
    # Arrow does not count the first offset of a text column.
    assert before - 8 == made == taken.nbytes


@pytest.mark.parametrize("column", [0, 2, 5])
def test_arrays_can_be_written_to_as_far_as_numpy_knows(column: int) -> None:
    # Kernels are compiled for such arrays only: others would be compiled for in the middle of a step.
    values = take_columns(ARRAYS, ORDER)[column].buffers()
    assert all(np.frombuffer(buffer, np.uint8).flags.writeable for buffer in values if buffer is not None)


@pytest.mark.parametrize("many", [1, 5000])
def test_parts_follow_each_other(many: int) -> None:
    first = take_columns(ARRAYS, np.tile(ORDER, many))
    both = concat_columns((first, ARRAYS), (4 * many, 4))
    assert lists(both) == [a + b for a, b in zip(lists(first), lists(ARRAYS), strict=True)]
    assert lists(concat_columns(((), ()), (3, 1))) == []


def test_a_delta_outlives_what_it_was_taken_from() -> None:
    texts = pa.array(["x" * 50] * 100_000, pa.large_string())
    chosen = Delta.inserts([pa.array(range(100_000)), texts]).take(np.arange(5)).select([1])
    assert lists(chosen.columns) == [["x" * 50] * 5]
