"""Discarding state below waterlines: results are those of the same program without LATENESS, and state stays small."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.circuit import Circuit
from millstream.circuit.workers import SINGLE, Workers
from millstream.operators import floors
from millstream.sql.compile import compile_program
from millstream.types.sql_type import BIGINT, TIMESTAMP
from tests.operators.law import add, batch, rows_of

LATENESS = 5
TABLES = "CREATE TABLE t (k BIGINT, ts BIGINT {0}, v BIGINT); CREATE TABLE u (k BIGINT, ts BIGINT {0}, v BIGINT);"
STRICT = TABLES.replace("ts BIGINT", "ts BIGINT NOT NULL")

QUERIES = {
    "group by": "SELECT ts / 4, COUNT(*), SUM(v), MIN(v), MAX(CAST(v AS VARCHAR)), COUNT(DISTINCT v), ARRAY_AGG(v) "
    "FROM t GROUP BY ts / 4",
    "group by two": "SELECT k, ts + 1, AVG(v), STDDEV(v), ARG_MAX(k, v) FROM t GROUP BY k, ts + 1",
    "distinct": "SELECT DISTINCT k, ts FROM t",
    "join": "SELECT t.k, t.ts, t.v, u.v FROM t JOIN u ON t.ts = u.ts AND t.k = u.k",
    "left join": "SELECT t.k, t.ts, t.v, u.v FROM t LEFT JOIN u ON t.ts = u.ts",
    "full join": "SELECT t.k, t.ts, u.ts, u.v FROM t FULL JOIN u ON t.ts = u.ts AND t.v < u.v",
    "semi join": "SELECT k, ts FROM t WHERE ts IN (SELECT ts FROM u)",
    "anti join": "SELECT k, ts FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.ts = t.ts)",
    "asof join": "SELECT t.k, t.ts, t.v, u.ts, u.v FROM t LEFT ASOF JOIN u MATCH_CONDITION (t.ts >= u.ts) ON t.k = u.k",
    "range": "SELECT k, ts, SUM(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN 3 PRECEDING AND CURRENT ROW) FROM t",
    "range ahead": "SELECT k, ts, MAX(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) "
    "FROM t",
    "range back": "SELECT k, ts, MIN(v) OVER (PARTITION BY k ORDER BY ts DESC RANGE BETWEEN 2 PRECEDING AND CURRENT "
    "ROW) FROM t",
    "window of partitions": "SELECT k, ts, RANK() OVER (PARTITION BY ts ORDER BY v) FROM t",
    "limit of partitions": "SELECT k, ts, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY ts ORDER BY v DESC) AS r "
    "FROM t) WHERE r <= 2",
    "latest": "SELECT k, ts, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS r FROM t) "
    "WHERE r <= 2",
    "earliest": "SELECT k, ts, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts, v) AS r FROM t) "
    "WHERE r <= 2",
    "except": "SELECT k, ts FROM t EXCEPT SELECT k, ts FROM u",
    "intersect all": "SELECT k, ts FROM t INTERSECT ALL SELECT k, ts FROM u",
    "union": "SELECT ts, COUNT(*) FROM (SELECT ts FROM t UNION ALL SELECT ts FROM u) GROUP BY ts",
    "views on views": "SELECT a.ts, a.c, b.c FROM (SELECT ts, COUNT(*) AS c FROM t GROUP BY ts) a "
    "JOIN (SELECT ts, SUM(v) AS c FROM u GROUP BY ts) b ON a.ts = b.ts",
}
NEIGHBOURS = {
    "lag": "SELECT k, ts, LAG(v, 2) OVER (PARTITION BY k ORDER BY ts) FROM t",
    "lag back": "SELECT k, ts, LAG(v) OVER (PARTITION BY k ORDER BY ts DESC) FROM t",
    "lag and lead": "SELECT k, ts, LAG(v) OVER (PARTITION BY k ORDER BY ts), LEAD(v) OVER (PARTITION BY k ORDER BY ts) "
    "FROM t",
    "rows": "SELECT k, ts, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM t",
}
SESSIONS = {
    f"{what} of {gap} s": f"SELECT {columns}, window_start, window_end FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), "
    f"DESCRIPTOR(k), INTERVAL {gap} SECONDS)){grouping}"
    for gap in (1, 2)
    for what, columns, grouping in (
        ("sessions", "k, ts, v", ""),
        ("sizes of sessions", "k, COUNT(*)", " GROUP BY k, window_start, window_end"),
    )
}
ALL = {**QUERIES, **NEIGHBOURS, **SESSIONS}


def circuit(name, lateness, workers=SINGLE):
    tables = STRICT if name in NEIGHBOURS else TABLES
    bound = str(LATENESS)
    if name in SESSIONS:
        tables = tables.replace("ts BIGINT", "ts TIMESTAMP")
        bound = f"INTERVAL {LATENESS} SECONDS"
    text = tables.format(f"LATENESS {bound}" if lateness else "") + f"CREATE VIEW v AS {ALL[name]};"
    result = compile_program(text)
    assert result.program is not None, [m.message for m in result.messages]
    return Circuit(result.program, workers=workers)


class Stream:
    """Changes that honour the lateness: times go up with the steps, deletions are of rows that are not late."""

    def __init__(self, name, seed, nulls):
        self._times = (TIMESTAMP, 1_000_000) if name in SESSIONS else (BIGINT, 1)
        self._random = random.Random(seed)
        self._nulls = nulls
        self._rows = {"t": [], "u": []}
        self._greatest = {"t": None, "u": None}

    def changes(self, step, size):
        result = {}
        for name, rows in self._rows.items():
            bound = None if self._greatest[name] is None else self._greatest[name] - LATENESS
            chosen = []
            for _ in range(self._random.randint(0, size)):
                live = [row for row in rows[-60:] if row[1] is None or bound is None or row[1] >= bound]
                if live and self._random.random() < 0.25:
                    row = self._random.choice(live)
                    rows.remove(row)
                    chosen.append((row, -1))
                    continue
                ts = step + self._random.randint(-2, 2)
                if self._nulls and self._random.random() < 0.1:
                    ts = None
                row = (self._random.randint(0, 2), ts, self._random.randint(0, 4))
                rows.append(row)
                chosen.append((row, 1))
            times = [row[1] for row, _ in chosen if row[1] is not None]
            if times:
                self._greatest[name] = max(times + ([] if bound is None else [self._greatest[name]]))
            if chosen:
                time_type, unit = self._times
                cells = [(k, None if ts is None else ts * unit, v) for (k, ts, v), _ in chosen]
                weights = [weight for _, weight in chosen]
                result[name] = [batch((BIGINT, time_type, BIGINT), cells, weights)]
        return result


def check_results(name, seed, workers=SINGLE):
    smallest, floors.SMALLEST_SWEEP = floors.SMALLEST_SWEEP, 1
    try:
        stream, tested = Stream(name, seed, name not in NEIGHBOURS), circuit(name, True, workers)
        plain = circuit(name, False)
        totals = (Counter(), Counter())
        for step in range(32):
            changes = stream.changes(step, 5)
            for running, total in zip((tested, plain), totals, strict=True):
                delta = running.step(changes).deltas.get("v")
                if delta is not None:
                    add(total, rows_of(delta))
            assert totals[0] == totals[1], f"step {step}, seed {seed}"
        assert tested.num_late_rows == 0
        assert tested.state_rows <= plain.state_rows
    finally:
        floors.SMALLEST_SWEEP = smallest


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 30))
def test_discarding_does_not_change_results(name, seed):
    check_results(name, seed)


@pytest.mark.parametrize(
    "name", [n if n in ("group by", "full join", "latest") else pytest.param(n, marks=pytest.mark.slow) for n in ALL]
)
@pytest.mark.parametrize("split", [{"split_rows": 1}, {"split_rows": 4, "small_changes": 1}], ids=["split", "and back"])
def test_every_worker_discards(name, split):
    check_results(name, len(split), Workers(3, **split, largest_share=1.0))


@pytest.mark.parametrize("name", [name for name in ALL if "of 2 s" not in name])
def test_state_stays_small_on_a_long_stream(name):
    running, stream = circuit(name, True), Stream(name, 7, False)
    sizes = []
    for step in range(200):
        running.step(stream.changes(step, 24))
        sizes.append(running.state_rows)
    # About 24 rows a step live for five to ten steps, in up to three traces an operator, and twice that between sweeps;
    # without discarding it is some thousand an operator.
    operators = sum(1 for entry in running.profile() if entry["state_rows"])
    assert max(sizes[100:]) <= 700 * max(operators, 1), sizes[::20]


def test_a_key_that_is_late_is_forgotten_by_its_table():
    text = "CREATE TABLE k (ts BIGINT NOT NULL LATENESS 5 PRIMARY KEY, v BIGINT); CREATE VIEW v AS SELECT * FROM k;"
    running = Circuit(compile_program(text).program)
    for step in range(100):
        rows = [(10 * step + i, step) for i in range(10)]
        running.step({"k": [batch((BIGINT, BIGINT), rows, [1] * 10)]})
    assert running.state_rows <= 300
    kept = Circuit(compile_program(text.replace("v BIGINT);", "v BIGINT) WITH ('materialized' = 'true');")).program)
    for step in range(50):
        kept.step({"k": [batch((BIGINT, BIGINT), [(10 * step + i, step) for i in range(10)], [1] * 10)]})
    assert kept.snapshot().delta("k").num_rows == 500


def test_what_comes_after_a_temporal_filter_forgets_what_left_it():
    text = (
        "CREATE TABLE e (k BIGINT, ts TIMESTAMP);"
        "CREATE VIEW v AS SELECT ts, COUNT(*) AS c FROM e WHERE ts >= NOW() - INTERVAL 5 SECONDS GROUP BY ts;"
        "CREATE VIEW w AS SELECT DISTINCT k, ts FROM e WHERE ts >= NOW() - INTERVAL 5 SECONDS;"
    )
    running = Circuit(compile_program(text).program)
    for second in range(100):
        rows = [(i, second * 1_000_000) for i in range(20)]
        running.step({"e": [batch((BIGINT, TIMESTAMP), rows, [1] * 20)]}, second * 1_000_000)
    assert running.state_rows <= 1000


def test_programs_without_annotations_are_told_no_floors():
    running = circuit("group by", False)
    assert running._waterlines is None
    assert all(not node.floors for node in running._graph.nodes)
