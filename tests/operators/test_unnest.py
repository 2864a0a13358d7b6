"""Unnest: arrays, arrays of structs and maps, NULLs, empty collections, repeated rows."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.operators.unnest import UnnestOperator
from millstream.plan.nodes import Scan, Unnest
from millstream.types.sql_type import BIGINT, INTEGER, VARCHAR, Field, array, map_of, struct
from millstream.zset.delta import Delta
from tests.operators.law import check, schema, table

PAIR = struct((Field("a", INTEGER), Field("b", VARCHAR)))
CASES = {
    "array": (array(INTEGER), [INTEGER], False, [None, [], [1], [1, None, 1], [2, 3]]),
    "ordinality": (array(VARCHAR), [VARCHAR, BIGINT], True, [None, [], ["a", "a"], [None, "", "é"]]),
    "structs": (
        array(PAIR), [INTEGER, VARCHAR, BIGINT], True,
        [None, [], [{"a": 1, "b": "x"}], [{"a": None, "b": "y"}, None]],
    ),
    "map": (map_of(VARCHAR, INTEGER), [VARCHAR, INTEGER], False, [None, [], [("a", 1)], [("a", 1), ("b", None)]]),
    "arrays of arrays": (array(array(INTEGER)), [array(INTEGER)], False, [None, [[1, 2], None, []], [[3]]]),
}  # fmt: skip


@st.composite
def schedules(draw, collections):
    present, steps = [], []
    for _ in range(draw(st.integers(1, 4))):
        step = []
        for _ in range(draw(st.integers(0, 6))):
            if present and draw(st.booleans()):
                step.append(("w", present.pop(draw(st.integers(0, len(present) - 1))), -1))
            else:
                present.append((draw(st.integers(0, 2)), draw(st.sampled_from(collections))))
                step.append(("w", present[-1], 1))
        steps.append(step)
    return steps


@pytest.mark.parametrize("name", list(CASES))
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_unnest(name, data):
    collection, elements, ordinality, values = CASES[name]
    types = [INTEGER, collection]
    source = Scan(schema(types), "w")
    plan = Unnest(schema([INTEGER, collection, *elements]), source, 1, (0, 1), ordinality)
    check(plan, data.draw(schedules(values)), tables=[table("w", types)])
    without = Unnest(schema([*elements]), source, 1, (), ordinality)
    check(without, data.draw(schedules(values)), tables=[table("w", types)])


def test_elements_behind_a_null_are_not_seen_and_slices_have_an_offset():
    values = pa.array([9, 1, 2, 3, 4], pa.int32())
    lists = pa.LargeListArray.from_arrays(pa.array([0, 1, 3, 5]), values, mask=pa.array([False, True, False]))
    delta = Delta.inserts([lists.slice(1)])
    result = UnnestOperator(0, (), pa.int64()).step([delta], None)
    assert [c.to_pylist() for c in result.columns] == [[3, 4], [1, 2]]
