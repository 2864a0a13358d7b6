"""Projections, filters, unions and windows map deltas one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.errors import EvaluationError
from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Column, Filter, Hop, Project, Scan, UnionAll, Values
from millstream.types.sql_type import BIGINT, DATE, INTEGER, TIMESTAMP, VARCHAR
from millstream.zset.changes import ChangeBatch
from tests.operators.law import TABLES, T, U, changes, check, circuit_of, rows_of, schedules, schema, table

quick = settings(max_examples=25, deadline=None, derandomize=True)
A, B = ColumnRef(INTEGER, 0), ColumnRef(BIGINT, 1)


@quick
@given(schedules())
def test_a_projection_may_reorder_columns_and_compute(steps):
    expressions = (ColumnRef(VARCHAR, 2), A, build_call("+", (B, Literal(BIGINT, 1))))
    check(Project(schema([VARCHAR, INTEGER, BIGINT]), T, expressions), steps)


@quick
@given(schedules())
def test_a_filter_keeps_rows_whose_predicate_is_true(steps):
    check(Filter(T.schema, T, build_call("<", (A, B))), steps)


@quick
@given(schedules(both=True))
def test_union_all_adds_multiplicities(steps):
    projected = Project(U.schema, T, tuple(ColumnRef(c.type, i) for i, c in enumerate(U.schema)))
    check(UnionAll(U.schema, (projected, U, projected)), steps)


def test_values_appear_in_the_first_step_only():
    row = (Literal(INTEGER, 1), Literal(VARCHAR, "a"))
    values = Values(schema([INTEGER, VARCHAR]), (row, row, (Literal(INTEGER, None), Literal(VARCHAR, None))))
    circuit = circuit_of(values)
    assert rows_of(circuit.step({}).deltas["v0"]) == {(1, "a"): 2, (None, None): 1}
    assert not circuit.step({}).deltas


def test_values_without_rows_are_empty():
    assert not circuit_of(Values(schema([INTEGER]), ())).step({}).deltas


def test_an_error_on_rows_that_cancel_within_the_step_does_not_surface():
    plan = Project(schema([INTEGER]), T, (build_call("/", (Literal(INTEGER, 6), A)),))
    zero, two = (0, None, None, None, None, None), (2, None, None, None, None, None)
    result = circuit_of(plan).step(changes(TABLES, [("t", zero, 1), ("t", two, 1), ("t", zero, -1)]))
    assert rows_of(result.deltas["v0"]) == {(3,): 1}
    with pytest.raises(EvaluationError):
        circuit_of(plan).step(changes(TABLES, [("t", zero, 1)]))


def hop(values, data_type, arrow, slide_us, size_us, offset_us=0):
    source = Scan((Column("ts", data_type),), "w")
    plan = Hop((Column("ts", data_type),) * 3, source, 0, slide_us, size_us, offset_us)
    column = pa.array(values, arrow)
    result = circuit_of(plan, tables=[table("w", [data_type])]).step({"w": [ChangeBatch((column,), len(column))]})
    delta = result.deltas["v0"]
    numbers = [c.cast(pa.int32() if data_type is DATE else pa.int64()).to_pylist() for c in delta.columns]
    return sorted(zip(*numbers, strict=True))


_TIMES = st.none() | st.integers(-12, 12)


@quick
@given(
    st.lists(st.lists(st.tuples(_TIMES, st.none() | st.integers(0, 1), st.sampled_from([1, -1])), max_size=8)),
    st.permutations([1, 2, 3]),
    st.integers(1, 3),
)
def test_hop_without_the_time_counts_rows_of_the_same_windows(steps, order, width):
    """It gives what hop with the time gives, however rows come together, cancel, or have no time."""
    columns = (Column("ts", TIMESTAMP), Column("a", INTEGER), Column("start", TIMESTAMP), Column("end", TIMESTAMP))
    plan = Hop(columns, Scan(columns[:2], "w"), 0, 5, 11, 2)
    kept = tuple(ColumnRef(columns[c].type, c) for c in order[:width])
    narrow = Project(tuple(columns[c] for c in order[:width]), plan, kept)
    circuit = circuit_of(plan, narrow, tables=[table("w", [TIMESTAMP, INTEGER])])
    for step in steps:
        times, values, operations = zip(*step, strict=True) if step else ((), (), ())
        arrays = (pa.array(times, pa.timestamp("us")), pa.array(values, pa.int32()))
        batch = ChangeBatch(arrays, len(step), np.array(operations, np.int8))
        deltas = circuit.step({"w": [batch]}).deltas
        bags = [Counter(), Counter()]
        for bag, name, chosen in zip(bags, ("v0", "v1"), (order[:width], range(width)), strict=True):
            if name in deltas:
                lists = [deltas[name].columns[c].to_pylist() for c in chosen]
                for *row, weight in zip(*lists, deltas[name].weights.tolist(), strict=True):
                    bag[tuple(row)] += weight
        assert {row: n for row, n in bags[0].items() if n} == dict(bags[1])


def test_hop_gives_a_row_per_window_and_none_for_null():
    assert hop([7, None], TIMESTAMP, pa.timestamp("us"), 5, 10) == [(7, 0, 10), (7, 5, 15)]


def test_hop_truncates_the_remainder_of_times_before_the_epoch():
    assert hop([-7], TIMESTAMP, pa.timestamp("us"), 5, 5) == [(-7, -5, 0)]


def test_hop_windows_of_dates_are_whole_days():
    day = 86_400_000_000
    assert hop([3], DATE, pa.date32(), day, 2 * day) == [(3, 2, 4), (3, 3, 5)]


def test_hop_shifts_windows_by_the_offset():
    assert hop([7], TIMESTAMP, pa.timestamp("us"), 5, 5, 3) == [(7, 3, 8)]
