"""Primary keys: upserts, deletions by key and patches, in arrival order, against a dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.errors import MillstreamError
from millstream.plan.nodes import Scan
from millstream.types.sql_type import BIGINT, INTEGER, VARCHAR
from millstream.zset.changes import ChangeBatch, Operation
from tests.operators.law import add, circuit_of, rows_of, schema, table

TYPES = (INTEGER, VARCHAR, BIGINT)
KEYED = table("k", TYPES, primary_key=(0,))
BAG = table("b", TYPES)
MISSING = object()


def batch_of(changes):
    """Changes are (operation, key, text, number); MISSING marks a column that an UPDATE leaves alone."""
    operations = np.array([c[0] for c in changes], np.int8)
    columns, present = [], []
    for i, arrow in enumerate((pa.int32(), pa.large_string(), pa.int64())):
        cells = [c[i + 1] for c in changes]
        columns.append(pa.array([None if v is MISSING else v for v in cells], arrow))
        mask = np.array([v is not MISSING for v in cells], np.bool_)
        present.append(None if mask.all() else mask)
    return ChangeBatch(tuple(columns), len(changes), operations, tuple(present))


def apply(contents, change):
    operation, key, *values = change
    if operation == Operation.INSERT:
        contents[key] = tuple(values)
    elif operation == Operation.DELETE:
        contents.pop(key, None)
    elif key in contents:
        pairs = zip(contents[key], values, strict=True)
        contents[key] = tuple(old if new is MISSING else new for old, new in pairs)


TEXT = st.sampled_from(["x", "y", None])
NUMBER = st.integers(0, 3) | st.none()
CHANGES = st.one_of(
    st.tuples(st.just(Operation.INSERT), st.integers(0, 3), TEXT, NUMBER),
    st.tuples(st.just(Operation.DELETE), st.integers(0, 3), st.none(), st.none()),
    st.tuples(st.just(Operation.UPDATE), st.integers(0, 3), TEXT | st.just(MISSING), NUMBER | st.just(MISSING)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.lists(CHANGES, max_size=5), max_size=3), max_size=5))
def test_a_keyed_table_is_a_map_whose_operations_apply_in_order(steps):
    circuit = circuit_of(Scan(schema(TYPES), "k"), tables=[KEYED])
    contents, view = {}, Counter()
    for batches in steps:
        result = circuit.step({"k": [batch_of(b) for b in batches if b]})
        for change in (c for b in batches for c in b):
            apply(contents, change)
        delta = result.deltas.get("v0")
        if delta is not None:
            add(view, rows_of(delta))
        expected = {(key, *row): 1 for key, row in contents.items()}
        assert view == expected
        assert {tuple(r.values()) for r in circuit.snapshot().table("k").to_pylist()} == set(expected)


def test_an_upsert_with_the_same_row_changes_nothing():
    circuit = circuit_of(tables=[KEYED])
    change = batch_of([(Operation.INSERT, 1, "x", 1)])
    assert rows_of(circuit.step({"k": [change]}).deltas["k"]) == {(1, "x", 1): 1}
    assert not circuit.step({"k": [change]}).deltas


def test_a_replaced_row_is_retracted():
    circuit = circuit_of(tables=[KEYED])
    circuit.step({"k": [batch_of([(Operation.INSERT, 1, "x", 1)])]})
    result = circuit.step({"k": [batch_of([(Operation.INSERT, 1, "y", 1)])]})
    assert rows_of(result.deltas["k"]) == {(1, "x", 1): -1, (1, "y", 1): 1}


def test_deleting_an_absent_key_is_no_change():
    circuit = circuit_of(tables=[KEYED])
    assert not circuit.step({"k": [batch_of([(Operation.DELETE, 7, None, None)])]}).deltas


def test_deleting_an_absent_row_of_a_bag_leaves_a_negative_multiplicity():
    circuit = circuit_of(tables=[BAG])
    row = (1, "x", 1)
    assert rows_of(circuit.step({"b": [batch_of([(Operation.DELETE, *row)])]}).deltas["b"]) == {row: -1}


def test_a_bag_refuses_patches():
    with pytest.raises(MillstreamError, match="no primary key"):
        circuit_of(tables=[BAG]).step({"b": [batch_of([(Operation.UPDATE, 1, "x", MISSING)])]})


def test_an_append_only_table_refuses_deletions():
    log = table("b", TYPES, append_only=True)
    with pytest.raises(MillstreamError, match="append-only"):
        circuit_of(tables=[log]).step({"b": [batch_of([(Operation.DELETE, 1, "x", 1)])]})


def test_input_rows_are_counted_before_keys_are_resolved():
    batch = batch_of([(Operation.INSERT, 1, "x", 1), (Operation.DELETE, 1, None, None)])
    assert circuit_of(tables=[KEYED]).step({"k": [batch]}).num_input_rows == 2
