"""The circuit: sharing, skipping, snapshots and the profile."""

from __future__ import annotations

import pytest

from millstream.circuit import Circuit
from millstream.errors import EvaluationError, MillstreamError
from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Aggregate, AggregateCall, Distinct, Filter, Join, JoinKind, Project, Scan, UnionAll
from millstream.plan.program import Program, View
from millstream.types.sql_type import BIGINT, INTEGER
from tests.operators.law import TABLES, U_TYPES, T, U, changes, circuit_of, rows_of, schema, table

ROW = ("u", (1, 2, "x"), 1)
POSITIVE = build_call(">", (ColumnRef(INTEGER, 0), Literal(INTEGER, 0)))


def kinds(circuit):
    return [entry["kind"] for entry in circuit.profile()]


def test_equal_subplans_of_different_views_share_operators_whatever_their_columns_are_called():
    names = tuple(type(c)(c.name.upper(), c.type) for c in U.schema)
    views = (Distinct(U.schema, Filter(U.schema, U, POSITIVE)), Filter(names, Scan(names, "u"), POSITIVE))
    assert kinds(circuit_of(*views)) == ["table", "table", "filter", "distinct"]


def test_the_contents_of_materialized_views_are_entries_of_the_profile():
    circuit = circuit_of(U, materialized=True, tables=(table("u", U_TYPES),))
    circuit.step(changes((table("u", U_TYPES),), [ROW, ROW]))
    *_, entry = circuit.profile()
    assert (entry["kind"], entry["operator"].split(": ")[1], entry["inputs"]) == ("contents", "contents of v0", [0])
    assert (entry["calls"], entry["rows_in"], entry["rows_out"], entry["state_rows"]) == (1, 2, 1, 1)
    assert circuit.state_rows == sum(e["state_rows"] for e in circuit.profile()) >= 1
    assert circuit.state_bytes == sum(e["state_bytes"] for e in circuit.profile()) >= entry["state_bytes"] > 0


def test_a_scan_of_a_view_reads_its_output():
    first = View("a", U.schema, Distinct(U.schema, U), local=True)
    second = View("b", U.schema, Filter(U.schema, Scan(U.schema, "a"), POSITIVE))
    circuit = Circuit(Program(TABLES, (first, second)))
    result = circuit.step(changes(TABLES, [ROW, ROW]))
    assert rows_of(result.deltas["b"]) == {ROW[1]: 1}
    assert "a" not in result.deltas


def test_a_materialized_local_view_can_be_queried_but_is_no_output():
    view = View("a", U.schema, U, local=True, materialized=True)
    circuit = Circuit(Program(TABLES, (view,)))
    assert "a" not in circuit.step(changes(TABLES, [ROW])).deltas
    assert rows_of(circuit.snapshot().delta("a")) == {ROW[1]: 1}


def test_the_change_of_a_materialized_view_is_consolidated():
    negated = Project(U.schema, U, (ColumnRef(INTEGER, 0), ColumnRef(BIGINT, 1), ColumnRef(U_TYPES[2], 2)))
    circuit = circuit_of(UnionAll(U.schema, (negated, Filter(U.schema, U, POSITIVE))), materialized=True)
    delta = circuit.step(changes(TABLES, [ROW, ("u", (-1, 1, "y"), 1), ("u", (-1, 1, "y"), -1)])).deltas["v0"]
    assert (delta.num_rows, delta.weights.tolist()) == (1, [2])


def test_an_identity_projection_costs_nothing():
    identity = Project(U.schema, U, tuple(ColumnRef(c.type, i) for i, c in enumerate(U.schema)))
    assert kinds(circuit_of(identity)) == ["table", "table"]


def test_a_filter_moves_only_the_columns_that_the_projection_behind_it_reads():
    filtered = Filter(U.schema, U, POSITIVE)
    text, key = ColumnRef(U_TYPES[2], 2), ColumnRef(INTEGER, 0)
    last = Project(schema([text.type]), filtered, (text,))
    twice = Project(schema([text.type] * 2), filtered, (text, text))
    total = Project(schema([INTEGER]), filtered, (build_call("+", (key, key)),))
    rows = [ROW, ("u", (-1, 1, "y"), 1)]
    for plans, wanted, row in (
        ((last,), ["filter"], ("x",)),
        ((twice,), ["filter", "project"], ("x", "x")),
        ((total,), ["filter", "project"], (2,)),
        ((last, filtered), ["filter", "filter"], ("x",)),
        ((filtered, last), ["filter", "project"], ROW[1]),
    ):
        circuit = circuit_of(*plans)
        assert kinds(circuit)[len(TABLES) :] == wanted
        assert rows_of(circuit.step(changes(TABLES, rows)).deltas["v0"]) == {row: 1}


def test_operators_whose_inputs_did_not_change_are_not_called():
    circuit = circuit_of(Distinct(T.schema, T), Distinct(U.schema, U))
    circuit.step(changes(TABLES, [ROW]))
    assert [e["calls"] for e in circuit.profile() if e["kind"] == "distinct"] == [0, 1]


def test_changes_that_cancel_are_absent_from_the_result():
    circuit = circuit_of(U)
    result = circuit.step(changes(TABLES, [ROW, (*ROW[:2], -1)]))
    assert dict(result.deltas) == {}
    assert "v0" not in result.deltas


def test_a_snapshot_keeps_its_contents_while_the_circuit_goes_on():
    circuit = circuit_of(U, materialized=True)
    circuit.step(changes(TABLES, [ROW, ROW]))
    before = circuit.snapshot()
    circuit.step(changes(TABLES, [(*ROW[:2], -1)]))
    assert before.table("v0").to_pylist() == [{"c0": 1, "c1": 2, "c2": "x"}] * 2
    assert circuit.snapshot().table("v0").num_rows == 1
    assert before.relations == ("v0",)


def test_a_snapshot_of_a_relation_that_is_not_materialized_is_refused():
    snapshot = circuit_of(U).snapshot()
    with pytest.raises(MillstreamError, match="'u' is not materialized"):
        snapshot.table("u")
    with pytest.raises(MillstreamError, match="unknown relation 'nope'"):
        snapshot.delta("nope")


def test_materialized_tables_without_key_are_kept():
    kept = table("m", U_TYPES, materialized=True)
    circuit = circuit_of(tables=[kept])
    circuit.step(changes([kept], [("m", ROW[1], 1)]))
    assert rows_of(circuit.snapshot().delta("m")) == {ROW[1]: 1}


def test_a_failing_expression_raises_an_evaluation_error():
    bad = Project(schema([INTEGER]), U, (build_call("/", (Literal(INTEGER, 1), ColumnRef(INTEGER, 0))),))
    with pytest.raises(EvaluationError):
        circuit_of(bad).step(changes(TABLES, [("u", (0, 0, ""), 1)]))


def test_changes_of_unknown_tables_are_refused():
    with pytest.raises(MillstreamError, match="unknown table 'nope'"):
        circuit_of(U).step({"nope": []})


def test_deleting_everything_empties_the_state():
    calls = (AggregateCall("SUM", (1,), BIGINT), AggregateCall("MAX", (2,), U_TYPES[2]))
    total = Aggregate(schema([INTEGER, BIGINT, U_TYPES[2]]), U, (0,), calls)
    pairs = Join(T.schema + U.schema, JoinKind.FULL, T, U, (0,), (0,), (False,))
    circuit = circuit_of(total, pairs, Distinct(U.schema, U))
    rows = [("u", (n % 3, n, "x"), 1) for n in range(20)]
    rows += [("t", (n % 4, n, None, None, None, None), 1) for n in range(20)]
    circuit.step(changes(TABLES, rows))
    assert circuit.state_rows > 60
    assert circuit.state_bytes > 0
    circuit.step(changes(TABLES, [(name, row, -1) for name, row, _ in rows]))
    assert circuit.state_rows == 0


def test_append_only_inputs_of_extremes_keep_no_candidates():
    log = table("log", U_TYPES, append_only=True)
    source = Scan(schema(U_TYPES), "log")
    best = Aggregate(schema([INTEGER, BIGINT]), source, (0,), (AggregateCall("MAX", (1,), BIGINT),))
    circuit = circuit_of(best, tables=[log])
    circuit.step(changes([log], [("log", (1, n, "x"), 1) for n in range(50)]))
    result = circuit.step(changes([log], [("log", (1, 99, "x"), 1)]))
    assert rows_of(result.deltas["v0"]) == {(1, 49): -1, (1, 99): 1}
    assert circuit.state_rows == 1
