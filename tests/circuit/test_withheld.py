"""WATERMARK against a list of records that wait, and what it keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.circuit import Circuit
from millstream.expressions.nodes import Literal
from millstream.plan.nodes import Scan
from millstream.plan.program import Program, View
from millstream.types.sql_type import BIGINT, INTEGER
from tests.circuit.test_inputs import CHANGES, KEYED, MISSING, TYPES, apply, batch_of
from tests.operators.law import add, batch, rows_of, schema, table

WATERMARK = 2


def with_watermark(declared, column):
    columns = list(declared.columns)
    mark = Literal(columns[column].type.with_nullable(False), WATERMARK)
    columns[column] = replace(columns[column], watermark=mark)
    return replace(declared, columns=tuple(columns))


def running(declared, types):
    return Circuit(Program((declared,), (View("v", schema(types), Scan(schema(types), declared.name)),)))


def let_out(waiting, seen):
    """The waiting records that may come now, in order of arrival."""
    free = [r for r in waiting if r[1] is None or (seen and r[1] + WATERMARK <= max(seen))]
    return free, [r for r in waiting if r not in free]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.lists(CHANGES, max_size=4), max_size=2), max_size=7))
def test_records_of_a_keyed_table_wait_and_then_apply_in_order_of_arrival(steps):
    circuit = running(with_watermark(KEYED, 2), TYPES)
    contents, view, waiting, seen, number = {}, Counter(), [], [], 0
    for batches in steps:
        result = circuit.step({"k": [batch_of(b) for b in batches if b]})
        for change in (c for b in batches for c in b):
            value = None if change[3] is MISSING else change[3]
            waiting.append((number, value, change))
            number += 1
            seen += [] if value is None else [value]
        free, waiting = let_out(waiting, seen)
        for _, _, change in free:
            apply(contents, change)
        delta = result.deltas.get("v")
        if delta is not None:
            add(view, rows_of(delta))
        assert view == {(key, *row): 1 for key, row in contents.items()}


def test_only_what_waits_is_kept():
    circuit = running(with_watermark(table("b", (INTEGER, BIGINT)), 1), (INTEGER, BIGINT))
    total = 0
    for step in range(100):
        rows = [(i, step) for i in range(20)]
        delta = circuit.step({"b": [batch((INTEGER, BIGINT), rows, [1] * 20)]}).deltas.get("v")
        total += 0 if delta is None else delta.num_rows
        assert circuit.state_rows <= 40
    assert total == 20 * 98
