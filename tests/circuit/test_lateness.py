"""Late rows of tables and views against a slow model, and what becomes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.circuit import Circuit
from millstream.expressions.nodes import Literal
from millstream.plan.nodes import Aggregate, AggregateCall, Scan
from millstream.plan.program import ERROR_VIEW, Delay, Program, View
from millstream.types.sql_type import BIGINT, INTEGER
from millstream.zset.changes import Operation
from tests.circuit.test_inputs import CHANGES, KEYED, MISSING, TYPES, apply, batch_of
from tests.operators.law import add, batch, rows_of, schema, table

LATENESS = 2
NUMBER = 2  # the column of KEYED that has LATENESS


def late_by(sql_type, amount=LATENESS):
    return Literal(sql_type.with_nullable(False), amount)


def with_lateness(declared, column, amount=LATENESS):
    columns = list(declared.columns)
    columns[column] = replace(columns[column], lateness=late_by(columns[column].type, amount))
    return replace(declared, columns=tuple(columns))


def waterline(seen, amount=LATENESS):
    return max(seen) - amount if seen else None


def is_late(value, bound):
    return value is not None and bound is not None and value < bound


BAG = with_lateness(table("b", (INTEGER, BIGINT)), 1)
ROWS = st.tuples(st.integers(0, 2), st.none() | st.integers(0, 12), st.sampled_from([1, 1, -1]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.lists(ROWS, max_size=6), max_size=8))
def test_a_bag_leaves_out_what_is_below_the_greatest_value_of_earlier_steps(steps):
    circuit = Circuit(Program((BAG,), (View("v", schema((INTEGER, BIGINT)), Scan(schema((INTEGER, BIGINT)), "b")),)))
    view, expected, late, seen = Counter(), Counter(), 0, []
    for step in steps:
        rows = [row[:2] for row in step]
        changes = {"b": [batch((INTEGER, BIGINT), rows, [row[2] for row in step])]} if step else {}
        result = circuit.step(changes)
        bound = waterline(seen)
        accepted = [row for row in step if not is_late(row[1], bound)]
        for key, value, weight in accepted:
            add(expected, {(key, value): weight})
        seen += [row[1] for row in accepted if row[1] is not None]
        late += len(step) - len(accepted)
        delta = result.deltas.get("v")
        if delta is not None:
            add(view, rows_of(delta))
        assert view == expected
        errors = result.deltas.get(ERROR_VIEW)
        assert (0 if errors is None else int(errors.weights.sum())) == len(step) - len(accepted)
        assert circuit.num_late_rows == late


def record_is_late(change, bound):
    """A deletion speaks of the key alone, an update of the columns that it gives."""
    operation, value = change[0], change[1 + NUMBER]
    return operation != Operation.DELETE and value is not MISSING and is_late(value, bound)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.lists(CHANGES, max_size=4), max_size=2), max_size=6))
def test_a_keyed_table_leaves_out_late_records_and_keeps_late_rows(steps):
    declared = replace(with_lateness(KEYED, NUMBER, 1), materialized=True)
    circuit = Circuit(Program((declared,), (View("v", schema(TYPES), Scan(schema(TYPES), "k")),)))
    contents, view, seen = {}, Counter(), []
    for batches in steps:
        result = circuit.step({"k": [batch_of(b) for b in batches if b]})
        bound = waterline(seen, 1)
        frozen = {key for key, row in contents.items() if is_late(row[NUMBER - 1], bound)}
        for change in (c for b in batches for c in b):
            if record_is_late(change, bound) or change[1] in frozen:
                continue
            apply(contents, change)
            if change[0] != Operation.DELETE and change[1 + NUMBER] not in (None, MISSING):
                seen.append(change[1 + NUMBER])
        delta = result.deltas.get("v")
        if delta is not None:
            add(view, rows_of(delta))
        expected = {(key, *row): 1 for key, row in contents.items()}
        assert view == expected
        assert {tuple(r.values()) for r in circuit.snapshot().table("k").to_pylist()} == set(expected)


def test_a_table_whose_key_has_lateness_is_not_queryable():
    keyed = with_lateness(table("k", (BIGINT, INTEGER), primary_key=(0,)), 0)
    assert not keyed.queryable
    assert Circuit(Program((keyed,), ())).snapshot().relations == ()
    assert replace(keyed, materialized=True).queryable


def test_late_changes_of_a_view_do_not_reach_what_reads_it():
    source = table("b", (INTEGER, BIGINT))
    counts = Aggregate(schema((INTEGER, BIGINT)), Scan(source.schema, "b"), (0,), (AggregateCall("COUNT", (), BIGINT),))
    first = View("counts", counts.schema, counts, delays=(Delay(1, late_by(BIGINT)),))
    second = View("copy", counts.schema, Scan(counts.schema, "counts"))
    circuit = Circuit(Program((source,), (first, second)))

    def step(rows):
        return circuit.step({"b": [batch((INTEGER, BIGINT), rows, [1] * len(rows))]}).deltas

    assert rows_of(step([(1, 0)] * 4)["copy"]) == {(1, 4): 1}
    # The waterline is 2: a group of one row is late, and the row of group 1 may move on.
    deltas = step([(2, 0), (1, 0)])
    assert rows_of(deltas["copy"]) == rows_of(deltas["counts"]) == {(1, 4): -1, (1, 5): 1}
    assert deltas[ERROR_VIEW].columns[0].to_pylist() == ["counts"]


def test_programs_without_lateness_have_no_error_view_to_compute():
    plain = table("b", (INTEGER,))
    assert [e["kind"] for e in Circuit(Program((plain,), ())).profile()] == ["table"]


def test_a_view_may_read_what_came_late():
    messages = Scan(schema((INTEGER,)), ERROR_VIEW)
    view = View("errors", messages.schema, messages)
    circuit = Circuit(Program((BAG,), (view,)))
    circuit.step({"b": [batch((INTEGER, BIGINT), [(1, 10)], [1])]})
    delta = circuit.step({"b": [batch((INTEGER, BIGINT), [(1, 1), (1, 1)], [1, -1])]}).deltas["errors"]
    assert np.asarray(delta.weights).tolist() == [2]
    assert delta.columns[2].to_pylist() == ['{"c0":1,"c1":1}']
