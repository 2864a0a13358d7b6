"""Joins of one stream by one key keep it once, and give what they would give with traces of their own."""

from __future__ import annotations

from collections import Counter

import pytest

from millstream.circuit import Circuit
from millstream.operators import floors
from millstream.zset import cold, keeper
from millstream.zset.changes import Operation
from millstream.zset.cold import ColdStore
from millstream.zset.keeper import Keeper, keeping
from tests.circuit.test_discarding import Stream as TimedStream
from tests.circuit.test_workers import DAY_US, TABLES, Stream, bags, batch_of, compiled
from tests.zset.test_keeper import LateExecutor

VIEWS = {
    "narrow": "SELECT t.k, t.v, u.v AS w FROM t JOIN u ON t.k = u.k",
    "wide": "SELECT t.g, t.ts, t.a, t.v, t.x, u.k, u.g AS h, u.v AS w, u.x AS y FROM t JOIN u ON t.k = u.k",
    "filtered": "SELECT t.k, t.g, u.v AS w FROM t JOIN u ON t.k = u.k AND t.v < u.v",
    "swapped": "SELECT u.k, u.g, t.x FROM u JOIN t ON t.k = u.k",
    "left_outer": "SELECT t.k, t.g, u.v AS w FROM t LEFT JOIN u ON t.k = u.k",
    "full_outer": "SELECT t.k, t.v, u.k AS l, u.g AS h FROM t FULL JOIN u ON t.k = u.k",
    "full_filtered": "SELECT t.k, t.v, u.k AS l, u.g AS h FROM t FULL JOIN u ON t.k = u.k AND t.v < u.v",
    "semi": "SELECT k, g, v FROM t WHERE k IN (SELECT k FROM u WHERE k IS NOT NULL)",
    "anti": "SELECT k, g, v FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
    "fallible": "SELECT t.k, u.v AS w FROM t JOIN u ON t.k = u.k AND 8 / (t.v + u.v + 1) > 1",
    "itself": "SELECT a.k, a.v, b.v AS w FROM t AS a JOIN t AS b ON a.k = b.k",
    "null_safe": "SELECT t.k, t.v, u.v AS w FROM t JOIN u ON t.k IS NOT DISTINCT FROM u.k",
    "null_safe_again": "SELECT t.k, t.g, u.g AS h FROM t JOIN u ON t.k IS NOT DISTINCT FROM u.k",
    "lists": "SELECT t.v, u.v AS w FROM t JOIN u ON t.a = u.a",
    "lists_again": "SELECT t.k, u.v AS w FROM t JOIN u ON t.a = u.a",
    "by_table": "SELECT t.v, p.w FROM t JOIN p ON t.k = p.k",
    "by_table_first": "SELECT p.k, p.w, t.v FROM p LEFT JOIN t ON t.k = p.k",
    "table_itself": "SELECT a.w, b.w AS x FROM p AS a JOIN p AS b ON a.k = b.k",
    "key_alone": "SELECT t.k AS k FROM t JOIN u ON t.k = u.k",
    "crossed": "SELECT t.v, p.w FROM t CROSS JOIN p WHERE t.v = 2",
}


def program_of(names):
    return compiled(TABLES + "".join(f"CREATE VIEW {name} AS {VIEWS[name]};\n" for name in names))


def states(circuit):
    """The rows that nodes keep, by kind."""
    kept = Counter()
    for entry in circuit.profile():
        kept[entry["kind"]] += entry["state_rows"]
    return kept


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_every_step_gives_what_each_view_gives_alone(seed):
    together = Circuit(program_of(VIEWS))
    alone = {name: Circuit(program_of([name])) for name in VIEWS}
    stream = Stream(together.program, seed)
    steps = [stream.changes(size) for size in (0, 1, 10, 0, 60, 1, 2, 300, 25)]
    # Changes of one side only.
    steps += [{name: changes[name]} for changes in (stream.changes(9), stream.changes(1)) for name in ("u", "t", "p")]
    for number, changes in enumerate([*steps, stream.rest()]):
        now = DAY_US + number
        actual = bags(together.step(changes, now))
        for name, circuit in alone.items():
            assert actual.get(name) == bags(circuit.step(changes, now)).get(name), f"{name}, step {number}, seed {seed}"
    assert states(together)["index"] == 0 < together.state_rows


@pytest.mark.parametrize("late, disk", [(0.6, True), (0.95, False)])
def test_results_do_not_depend_on_when_merges_of_shared_indexes_end(late, disk, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    monkeypatch.setattr(keeper, "MIN_COLD_BYTES", 0)
    monkeypatch.setattr(cold, "_SCRATCH_BYTES", 1)
    store = ColdStore(tmp_path / "runs") if disk else None
    program = program_of(VIEWS)
    with keeping(Keeper(LateExecutor(3, late), store, min_cold_bytes=0 if disk else None)):
        shared = Circuit(program)
    plain = Circuit(program)
    stream = Stream(program, 5)
    most = 0
    for number in range(12):
        changes, now = stream.changes(20), DAY_US + number
        assert bags(shared.step(changes, now)) == bags(plain.step(changes, now)), f"step {number}"
        most = max(most, 0 if store is None else store.nbytes)
    rest = stream.rest()
    assert bags(shared.step(rest, now)) == bags(plain.step(rest, now))
    assert (most > 0) == disk


def test_views_that_join_the_same_tables_keep_them_once():
    names = ("narrow", "wide", "filtered", "swapped", "itself")
    program = program_of(names)
    together, one = Circuit(program), Circuit(program_of(["wide"]))
    changes = Stream(program, 4).changes(200)
    together.step(changes)
    one.step(changes)
    assert states(together)["join"] == 0
    assert states(together)["index"] == states(one)["join"] > 100
    separate = [Circuit(program_of([name])) for name in names]
    for circuit in separate:
        circuit.step(changes)
    assert together.state_bytes < sum(circuit.state_bytes for circuit in separate) / 2


def test_a_join_by_the_primary_key_reads_the_table():
    program = program_of(["by_table", "by_table_first"])
    circuit = Circuit(program)
    circuit.step(Stream(program, 4).changes(50))
    kinds = [entry["kind"] for entry in circuit.profile() if entry["state_rows"]]
    # What is kept of t, and p itself.
    assert sorted(kinds) == ["index", "table"]
    shared = [{circuit.profile()[i]["kind"] for i in e["indexes"]} for e in circuit.profile() if e["kind"] == "join"]
    assert shared == [{"index", "table"}] * 2
    p = program.tables[2]
    deleted = circuit.step({"p": [batch_of(p, [(k, None) for k in range(9)], [Operation.DELETE] * 9)]})
    assert all(sum(deleted.deltas[name].weights) < 0 for name in ("by_table", "by_table_first"))
    assert states(circuit)["table"] == 0


def test_nothing_of_a_step_is_held_after_it():
    program = program_of(VIEWS)
    circuit = Circuit(program)
    circuit.step(Stream(program, 4).changes(10))
    assert circuit._indexes
    assert all(index.before is None and index.key_hashes(0) is None for index in circuit._indexes)


BOUNDED = {
    "a": "SELECT t.k, t.ts, t.v, u.v AS w FROM t JOIN u ON t.ts = u.ts",
    "b": "SELECT t.k, t.ts, u.v AS w, u.k AS l FROM t LEFT JOIN u ON t.ts = u.ts",
    "c": "SELECT t.v, t.ts, x.v AS w FROM t JOIN x ON t.ts = x.ts",
    "d": "SELECT t.k, x.v AS w FROM t JOIN x ON t.ts = x.ts",
}


@pytest.mark.parametrize("seed", [1, 2])
def test_an_index_forgets_what_all_its_readers_forget(seed, monkeypatch):
    monkeypatch.setattr(floors, "SMALLEST_SWEEP", 1)
    views = "".join(f"CREATE VIEW {name} AS {query};\n" for name, query in BOUNDED.items())
    tables = (
        "CREATE TABLE t (k BIGINT, ts BIGINT {0}, v BIGINT); CREATE TABLE u (k BIGINT, ts BIGINT {0}, v BIGINT);"
        "CREATE TABLE x (k BIGINT, ts BIGINT, v BIGINT);"
    )
    bounded, plain = (Circuit(compiled(tables.format(late) + views)) for late in ("LATENESS 5", ""))
    stream = TimedStream("join", seed, True)
    for step in range(40):
        changes = stream.changes(step, 5)
        if "u" in changes:
            # No change of x is ever late.
            changes["x"] = changes["u"]
        assert bags(bounded.step(changes)) == bags(plain.step(changes)), f"step {step}, seed {seed}"
    kept, all_rows = ([e["state_rows"] for e in c.profile() if e["kind"] == "index"] for c in (bounded, plain))
    # By time, t is read by two that forget it, and by two that do not: an index each.
    assert (len(kept), len(all_rows)) == (4, 3)
    assert min(kept) < min(all_rows) / 2
