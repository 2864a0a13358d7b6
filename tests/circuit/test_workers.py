"""Several workers: steps give the same changes and errors, however many there are and whenever operators split."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.circuit.sharded import ShardedOperator
from millstream.circuit.workers import Workers, effective_workers
from millstream.errors import EvaluationError
from millstream.processors import usable_processors
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from millstream.udf.library import library_of
from millstream.zset.changes import ChangeBatch, Operation
from millstream.zset.hashing import DEFAULT_SEEDS
from millstream.zset.keeper import Keeper, keeping
from millstream.zset.trace import Trace
from tests.operators.law import rows_of

COUNTS = (2, 3, 5)
AT_ONCE, IN_THREADS = {"split_rows": 1, "largest_share": 1.0}, {"thread_rows": 1}
WAYS = {
    "at once": AT_ONCE,
    "in threads": AT_ONCE | IN_THREADS,
    "later": {"split_rows": 40, "thread_rows": 30},
    "too late": {"split_rows": 40, "remembered_rows": 100},
    "and back": {"split_rows": 40, "thread_rows": 30, "small_changes": 1},
}

TABLES = """
CREATE TABLE t (k BIGINT, g VARCHAR, ts TIMESTAMP, v BIGINT, a BIGINT ARRAY, x DOUBLE);
CREATE TABLE u (k BIGINT, g VARCHAR, ts TIMESTAMP, v BIGINT, a BIGINT ARRAY, x DOUBLE);
CREATE TABLE p (k BIGINT NOT NULL PRIMARY KEY, w VARCHAR);
"""
VIEWS = {
    "copied": "SELECT k + 1 AS k, UPPER(g) AS g FROM t WHERE v > 3",
    "inner_join": "SELECT t.k, t.g, u.v, u.x FROM t JOIN u ON t.k = u.k",
    "inner_two_keys": "SELECT t.k, t.v, u.v AS w FROM t JOIN u ON t.g = u.g AND t.k = u.k AND t.v < u.v",
    "float_keys": "SELECT t.k, u.k AS l FROM t JOIN u ON t.x = u.x",
    "left_join": "SELECT t.k, t.v, u.v AS w FROM t LEFT JOIN u ON t.k = u.k",
    "left_residual": "SELECT t.k, t.v, u.v AS w FROM t LEFT JOIN u ON t.k = u.k AND t.v < u.v",
    "right_join": "SELECT t.v, u.k, u.v AS w FROM t RIGHT JOIN u ON t.k = u.k",
    "full_join": "SELECT t.k, t.v, u.k AS l, u.v AS w FROM t FULL JOIN u ON t.k = u.k",
    "null_safe": "SELECT t.k, t.v, u.v AS w FROM t JOIN u ON t.k IS NOT DISTINCT FROM u.k",
    "semi_join": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u WHERE k IS NOT NULL)",
    "anti_join": "SELECT k, v FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
    "cross_join": "SELECT t.v, p.w FROM t CROSS JOIN p WHERE t.v = 2",
    "with_table": "SELECT t.v, p.w FROM t JOIN p ON t.k = p.k",
    "asof_join": "SELECT t.k, t.ts, u.v FROM t LEFT ASOF JOIN u MATCH_CONDITION (t.ts >= u.ts) ON t.k = u.k",
    "grouped": "SELECT k, g, COUNT(*) AS n, SUM(v) AS s, MIN(v) AS lo, MAX(g) AS hi, COUNT(DISTINCT v) AS d "
    "FROM t GROUP BY k, g",
    "grouped_with_more_state": "SELECT g, ARG_MAX(g, v) AS best, SUM(k) WITHIN DISTINCT (k) AS s, BIT_OR(v) AS bits, "
    "COUNT(DISTINCT k) FILTER (WHERE v > 3) AS d, VAR_POP(CAST(v AS DECIMAL(30, 2))) AS spread FROM t GROUP BY g",
    "grouped_again": "SELECT g, SUM(n) AS n, MAX(s) AS s FROM grouped GROUP BY g",
    "grouped_finer": "SELECT k, n, COUNT(*) AS c FROM grouped GROUP BY k, n",
    "grouped_coarser": "SELECT k, COUNT(*) AS n, MAX(g) AS g FROM grouped GROUP BY k",
    "groups_joined": "SELECT grouped.k, grouped.g, u.v FROM grouped JOIN u ON grouped.n = u.v",
    "total": "SELECT COUNT(*) AS n, SUM(v) AS s FROM t",
    "joined_and_grouped": "SELECT k, COUNT(*) AS n, ARRAY_AGG(v) AS vs FROM inner_join GROUP BY k",
    "joined_groups": "SELECT a.k, a.n, b.n AS m FROM (SELECT k, COUNT(*) AS n FROM t GROUP BY k) a "
    "JOIN (SELECT k, COUNT(*) AS n FROM u GROUP BY k) b ON a.k = b.k",
    "full_and_grouped": "SELECT k, l, COUNT(*) AS n FROM full_join GROUP BY k, l",
    "left_and_grouped": "SELECT w, COUNT(*) AS n FROM left_join GROUP BY w",
    "distinct_rows": "SELECT DISTINCT k, g FROM t",
    "in_both": "SELECT k, g FROM t INTERSECT SELECT k, g FROM u",
    "only_in_t": "SELECT k, g FROM t EXCEPT ALL SELECT k, g FROM u",
    "added": "SELECT k, COUNT(*) AS n FROM (SELECT k, v FROM left_join UNION ALL SELECT k, v FROM u) GROUP BY k",
    "either": "SELECT k FROM t UNION SELECT k FROM u",
    "best": "SELECT k, v, g FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS r FROM t) "
    "WHERE r < 3",
    "first_rows": "SELECT k, v, g FROM t ORDER BY v, k, g LIMIT 4",
    "ranked": "SELECT k, v, RANK() OVER (PARTITION BY g ORDER BY v) AS r, "
    "LAG(v) OVER (PARTITION BY g ORDER BY v, k, ts) AS l FROM t",
    "running": "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY ts) AS s FROM t",
    "ranged": "SELECT k, v, MAX(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL 2 SECONDS PRECEDING AND "
    "CURRENT ROW) AS m FROM t",
    "near": "SELECT k, v, LAG(v) OVER (PARTITION BY k ORDER BY ts, v, g) AS l FROM t",
    "ranked_and_grouped": "SELECT v, r, COUNT(*) AS n FROM ranked GROUP BY v, r",
    "sessions": "SELECT k, v, window_start, window_end FROM "
    "TABLE(SESSION(TABLE t, DESCRIPTOR(ts), DESCRIPTOR(k), INTERVAL 3 SECONDS))",
    "hops": "SELECT k, window_start, COUNT(*) AS n FROM "
    "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL 2 SECONDS, INTERVAL 6 SECONDS)) GROUP BY k, window_start",
    "unnested": "SELECT k, e, COUNT(*) AS n FROM t, UNNEST(a) AS x (e) GROUP BY k, e",
    "arrays": "SELECT a, COUNT(*) AS n FROM t GROUP BY a",
    "recent": "SELECT g, COUNT(*) AS n FROM t WHERE ts >= NOW() - INTERVAL 10 SECONDS GROUP BY g",
}
RECURSIVE = """
DECLARE RECURSIVE VIEW reached (a BIGINT, b BIGINT);
CREATE VIEW reached AS SELECT k AS a, v AS b FROM t UNION SELECT r.a, u.v FROM reached r JOIN u ON r.b = u.k;
CREATE VIEW reached_from AS SELECT a, COUNT(*) AS n FROM reached GROUP BY a;
"""
MATERIALIZED = ("inner_join", "grouped", "copied", "distinct_rows")
PROGRAM = TABLES + "".join(f"CREATE VIEW {name} AS {query};\n" for name, query in VIEWS.items()) + RECURSIVE
for name in MATERIALIZED:
    PROGRAM = PROGRAM.replace(f"CREATE VIEW {name} AS", f"CREATE MATERIALIZED VIEW {name} AS")
DAY_US = 86_400_000_000


def compiled(text, udf=None):
    result = compile_program(text, True, udf) if udf is not None else compile_program(text)
    assert result.program is not None, [m.message for m in result.messages]
    return result.program


def batch_of(table, rows, operations):
    columns = tuple(
        pa.array([row[i] for row in rows], arrow_type(column.type)) for i, column in enumerate(table.columns)
    )
    return ChangeBatch(columns, len(rows), np.array(operations, np.int8))


class Stream:
    """Random changes of t, u and p: insertions, deletions of present rows, rows that come and go in one step."""

    def __init__(self, program, seed):
        self._random = random.Random(seed)
        self._tables = {table.name: table for table in program.tables}
        self._present = {"t": [], "u": []}

    def changes(self, size):
        result = {}
        for name, present in self._present.items():
            rows, operations = [], []
            for _ in range(size):
                if present and self._random.random() < 0.3:
                    rows.append(present.pop(self._random.randrange(len(present))))
                    operations.append(Operation.DELETE)
                    continue
                rows.append(self._row())
                operations.append(Operation.INSERT)
                if self._random.random() < 0.1:
                    rows.append(rows[-1])
                    operations.append(Operation.DELETE)
                else:
                    present.append(rows[-1])
            if rows:
                result[name] = [batch_of(self._tables[name], rows, operations)]
        keyed = [(self._random.randrange(9), f"w{self._random.randrange(3)}") for _ in range(min(size, 2))]
        if keyed:
            result["p"] = [batch_of(self._tables["p"], keyed, [Operation.INSERT] * len(keyed))]
        return result

    def rest(self):
        """Takes all rows of t and u away."""
        return {
            name: [batch_of(self._tables[name], rows, [Operation.DELETE] * len(rows))]
            for name, rows in self._present.items()
        }

    def _row(self):
        choose = self._random
        key = choose.choice([None, *range(9)])
        elements = choose.choice([None, [], [1], [1, 2, None]])
        moment = DAY_US + choose.randrange(30) * 1_000_000
        return (
            key,
            choose.choice([None, "a", "b", "c"]),
            moment,
            choose.randrange(8),
            elements,
            choose.choice([0.0, -0.0, 1.5, None]),
        )


def bags(result):
    return {name: Counter(dict(rows_of(delta))) for name, delta in result.deltas.items()}


def held(circuit):
    snapshot = circuit.snapshot()
    return {name: Counter(dict(rows_of(snapshot.delta(name)))) for name in snapshot.relations}


def check_same(program, seed, counts, way):
    one = Circuit(program)
    others = [Circuit(program, workers=Workers(count, **way)) for count in counts]
    stream = Stream(program, seed)
    steps = [stream.changes(size) for size in (0, 1, 10, 0, 60, 1, 2, 80, 25)] + [stream.rest()]
    for number, changes in enumerate(steps):
        now = DAY_US + 4_000_000 * number
        expected = bags(one.step(changes, now))
        for circuit, count in zip(others, counts, strict=True):
            actual = bags(circuit.step(changes, now))
            for name in expected.keys() | actual.keys():
                assert actual.get(name) == expected.get(name), f"{name}, step {number}, {count} workers, seed {seed}"
            assert held(circuit) == held(one), f"step {number}, {count} workers, seed {seed}"
    return one, others


def replicas(circuit):
    return [n.operator.replicas for n in circuit._graph.nodes if isinstance(n.operator, ShardedOperator)]


@pytest.mark.parametrize("way", ["in threads", "and back"])
def test_every_step_gives_the_same_changes(way):
    check_same(compiled(PROGRAM), 1, (3,), WAYS[way])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("way", WAYS)
def test_every_step_gives_the_same_changes_for_any_number_of_workers(way, seed):
    check_same(compiled(PROGRAM), seed, COUNTS, WAYS[way])


def test_operators_with_a_key_split_and_share_their_state():
    names = ("inner_two_keys", "left_join", "grouped", "distinct_rows", "best")
    text = TABLES + "".join(f"CREATE VIEW {name} AS {VIEWS[name]};\n" for name in names)
    one, (two,) = check_same(compiled(text), 3, (2,), AT_ONCE)
    assert replicas(two) == [2] * len(names)
    assert [e["kind"] for e in two.profile()] == [e["kind"] for e in one.profile()]
    assert [e["rows_in"] for e in two.profile()] == [e["rows_in"] for e in one.profile()]
    program = compiled(text)
    changes = Stream(program, 4).changes(80)
    sizes = []
    for count in (1, 2, 5):
        circuit = Circuit(program, workers=Workers(count, **AT_ONCE))
        circuit.step(changes)
        sizes.append(circuit.state_rows)
        assert circuit.state_bytes > 0
    assert sizes[0] == sizes[1] == sizes[2] > 0


def test_operators_are_whole_again_after_many_small_changes():
    names = ("inner_two_keys", "left_join", "grouped", "distinct_rows", "best", "sessions", "asof_join", "near")
    program = compiled(TABLES + "".join(f"CREATE VIEW {name} AS {VIEWS[name]};\n" for name in names))
    circuits = [Circuit(program), Circuit(program, workers=Workers(2, split_rows=40, small_changes=12))]
    stream = Stream(program, 7)
    found = []
    for size in (60, 2, 60, *[2] * 20):
        changes = stream.changes(size)
        one, two = (bags(circuit.step(changes)) for circuit in circuits)
        assert one == two
        found.append(replicas(circuits[1]))
    assert set(found[0]) == {2}
    # Not before the changes are worth what it costs.
    assert set(found[10]) == {2}
    assert set(found[-1]) == {1}
    one, two = (bags(circuit.step(stream.rest())) for circuit in circuits)
    assert one == two
    assert [e["state_rows"] for e in circuits[1].profile() if e["kind"] == "distinct"] == [0]


def test_small_changes_split_nothing():
    text = TABLES + "".join(f"CREATE VIEW {name} AS {VIEWS[name]};\n" for name in ("inner_join", "joined_and_grouped"))
    _, (circuit,) = check_same(compiled(text), 5, (2,), {})
    assert replicas(circuit) == [1, 1]


def test_a_change_splits_only_what_gets_many_different_keys():
    program = compiled(
        "CREATE TABLE e (k BIGINT NOT NULL, day BIGINT NOT NULL);"
        "CREATE VIEW many AS SELECT k, COUNT(*) AS n FROM e GROUP BY k;"
        "CREATE VIEW one AS SELECT day, COUNT(*) AS n FROM e GROUP BY day;"
        "CREATE VIEW few AS SELECT n, COUNT(*) AS c FROM many GROUP BY n;"
    )
    circuit = Circuit(program, workers=Workers(2))
    keys = np.arange(60_000) % 7_000
    columns = (pa.array(keys), pa.array(np.zeros(60_000, np.int64)))
    deltas = circuit.step({"e": [ChangeBatch(columns, 60_000)]}).deltas
    assert replicas(circuit) == [2, 1, 1]
    assert deltas["many"].num_rows == 7_000
    assert rows_of(deltas["one"]) == Counter({(0, 60_000): 1})
    # 60,000 = 8 x 7,000 + 4,000: so many keys occur once more.
    assert rows_of(deltas["few"]) == Counter({(8, 3_000): 1, (9, 4_000): 1})


def test_what_has_no_key_or_calls_python_code_stays_on_one_worker():
    text = (
        TABLES + "CREATE FUNCTION twice(n BIGINT) RETURNS BIGINT;"
        "CREATE VIEW a AS SELECT COUNT(*) AS n FROM t; CREATE VIEW b AS SELECT t.k FROM t CROSS JOIN p;"
        "CREATE VIEW c AS SELECT k FROM t ORDER BY k LIMIT 2;"
        "CREATE VIEW d AS SELECT t.k FROM t JOIN u ON t.k = u.k AND twice(t.v) < u.v;"
    )
    program = compiled(text, library_of({"twice": lambda n: pa.compute.multiply(n, 2)}))
    assert replicas(Circuit(program, workers=Workers(2))) == []


@pytest.mark.parametrize("way", ["at once", "in threads"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, 10 / v AS q FROM (SELECT k, MIN(v) AS v FROM t GROUP BY k)",
        "SELECT k, SUM(CAST(v + 120 AS TINYINT)) AS s FROM t GROUP BY k",
        "SELECT t.k FROM t JOIN u ON t.k = u.k AND 10 / t.v > u.v",
    ],
)
def test_errors_are_those_of_one_worker(query, way):
    program = compiled(TABLES + f"CREATE VIEW w AS {query};")
    (t, u) = program.tables[:2]
    rows = [(k, "a", 0, v, None, None) for k in range(20) for v in (0, 9)]
    changes = {"t": [batch_of(t, rows, [1] * len(rows))], "u": [batch_of(u, rows, [1] * len(rows))]}
    messages = []
    for count in (1, *COUNTS):
        with pytest.raises(EvaluationError) as caught:
            Circuit(program, workers=Workers(count, **WAYS[way])).step(changes)
        messages.append(str(caught.value))
    assert len(set(messages)) == 1


@pytest.mark.parametrize("way", ["at once", "in threads"])
def test_rows_that_cancel_cannot_fail_in_any_part(way):
    program = compiled(TABLES + "CREATE VIEW w AS SELECT k, COUNT(*) AS n FROM (SELECT 10 / v AS k FROM t) GROUP BY k;")
    t = program.tables[0]
    good = [(k, "a", 0, 1 + k % 9, None, None) for k in range(40)]
    bad = (0, "a", 0, 0, None, None)
    circuit = Circuit(program, workers=Workers(3, **WAYS[way]))
    circuit.step({"t": [batch_of(t, good, [1] * len(good))]})
    assert set(replicas(circuit)) == {3}
    deltas = circuit.step({"t": [batch_of(t, [bad, *good, bad], [1, *[1] * len(good), -1])]}).deltas
    assert sum(n * weight for (_, n), weight in rows_of(deltas["w"]).items()) == len(good)


def test_the_first_error_is_raised_when_all_tasks_have_ended():
    ended = []

    def task(number):
        def run():
            ended.append(number)
            if number in (1, 3):
                raise ValueError(str(number))
            return number

        return run

    workers = Workers(3, thread_rows=1)
    assert workers.run([task(0), task(2), task(4)], 10) == [0, 2, 4]
    ended.clear()
    with pytest.raises(ValueError, match="1"):
        workers.run([task(n) for n in range(5)], 10)
    assert sorted(ended) == [0, 1, 2, 3, 4]


def test_traces_made_in_any_thread_belong_to_the_keeper_of_the_step():
    keeper = Keeper()
    with keeping(keeper):
        traces = Workers(3, thread_rows=1).run([lambda: Trace([pa.int64()], [0], DEFAULT_SEEDS)] * 5, 10)
    assert all(trace.keeper is keeper for trace in traces)


def test_there_are_no_more_workers_than_processors():
    processors = usable_processors()
    assert effective_workers(None) == effective_workers(1) == 1
    assert effective_workers(10_000) == processors
    assert effective_workers(10_000, 0.5) == 1
    assert effective_workers(10_000, processors + 3.0) == processors
