"""Thousands of rows in many steps against DuckDB: runs that merge late, heads that are cut, groups that come and go."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.sql.compile import compile_program
from millstream.zset.changes import ChangeBatch

TABLES = """
CREATE TABLE a (id BIGINT NOT NULL, k INT, v BIGINT, s VARCHAR);
CREATE TABLE b (id BIGINT NOT NULL, k INT, w BIGINT, s VARCHAR);
"""
QUERIES = {
    "inner join": "SELECT a.id, b.id, a.v + b.w FROM a JOIN b ON a.k = b.k",
    "left join": "SELECT a.id, b.w FROM a LEFT JOIN b ON a.k = b.k AND a.s = b.s",
    "full join": "SELECT a.id, b.id FROM a FULL JOIN b ON a.k = b.k AND a.v < b.w",
    "groups": "SELECT k, COUNT(*), COUNT(v), SUM(v), MIN(v), MAX(v), MIN(s), MAX(s) FROM a GROUP BY k",
    "text groups": "SELECT s, COUNT(DISTINCT k), SUM(v) FILTER (WHERE k > 100), MAX(id) FROM a GROUP BY s",
    "total": "SELECT COUNT(*), SUM(v), MIN(s), MAX(id), COUNT(DISTINCT s) FROM a",
    "join of groups": "SELECT a.s, COUNT(*), MIN(b.w) FROM a JOIN b ON a.k = b.k GROUP BY a.s",
    "distinct": "SELECT DISTINCT k, s FROM a",
    "except": "SELECT k, s FROM a EXCEPT ALL SELECT k, s FROM b",
    "intersect": "SELECT k FROM a INTERSECT SELECT k FROM b",
    "unmatched": "SELECT a.id FROM a LEFT JOIN b ON b.k = a.k WHERE b.id IS NULL",
    "top rows": "SELECT id, v FROM a ORDER BY v DESC NULLS LAST, id LIMIT 20 OFFSET 5",
    "union": "SELECT k, v FROM a WHERE v > 3 UNION ALL SELECT k, w FROM b",
}
KEYS = 300
STEPS = 24


class Tables:
    """Two tables whose rows come and go; `keyed`: as upserts and deletions by key."""

    def __init__(self, seed: int, keyed: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.keyed = keyed
        self.rows = {name: {} for name in "ab"}
        self.next_id = 0

    def row(self) -> tuple:
        pick = self.random.integers
        text = None if pick(20) == 0 else f"text {pick(40)}"
        return (None if pick(20) == 0 else int(pick(KEYS)), None if pick(9) == 0 else int(pick(-50, 50)), text)

    def change(self, name: str, count: int, share_deleted: float) -> list[ChangeBatch]:
        rows = self.rows[name]
        changes = []
        for _ in range(count):
            chance = self.random.random()
            if rows and chance < share_deleted:
                key = next(iter(rows)) if chance < share_deleted / 2 else list(rows)[-1]
                changes.append((key, *rows.pop(key), -1))
            elif rows and self.keyed and chance < share_deleted + 0.2:
                key = next(iter(rows))
                rows.pop(key)
                rows[key] = self.row()
                changes.append((key, *rows[key], 1))
            else:
                self.next_id += 1
                rows[self.next_id] = self.row()
                changes.append((self.next_id, *rows[self.next_id], 1))
        types = (pa.int64(), pa.int32(), pa.int64(), pa.large_string(), pa.int8())
        *columns, weights = (pa.array([c[i] for c in changes], t) for i, t in enumerate(types))
        return [ChangeBatch(tuple(columns), len(changes), weights.to_numpy())]

    def table(self, name: str) -> pa.Table:
        rows = [(key, *row) for key, row in self.rows[name].items()]
        types = (pa.int64(), pa.int32(), pa.int64(), pa.large_string())
        names = ["id", "k", "v" if name == "a" else "w", "s"]
        return pa.table([pa.array([r[i] for r in rows], t) for i, t in enumerate(types)], names=names)


@pytest.mark.parametrize("keyed", [False, True], ids=["bags", "keyed"])
@pytest.mark.parametrize("seed", range(2))
def test_views_equal_their_queries_from_scratch(seed: int, keyed: bool) -> None:
    text = TABLES.replace("id BIGINT NOT NULL", "id BIGINT NOT NULL PRIMARY KEY") if keyed else TABLES
    views = {name: f"v{i}" for i, name in enumerate(QUERIES)}
    text += "".join(f"CREATE MATERIALIZED VIEW {views[name]} AS {query};\n" for name, query in QUERIES.items())
    result = compile_program(text)
    assert result.program is not None, [message.message for message in result.messages]
    circuit = Circuit(result.program)
    tables = Tables(seed, keyed)
    for step in range(STEPS):
        count = (1500, 1, 40, 400)[step % 4]
        share = 0.9 if step >= STEPS - 5 else 0.25
        names = ("ab", "a", "b", "ab", "a")[step % 5]
        circuit.step({name: tables.change(name, count, share) for name in names})
        if step % 5 == 4 or step == STEPS - 1:
            compare(circuit, tables, views, f"seed {seed}, step {step}")


def compare(circuit: Circuit, tables: Tables, views: dict[str, str], where: str) -> None:
    database = duckdb.connect(config={"threads": 1})
    for name in "ab":
        database.register(name, tables.table(name))
    snapshot = circuit.snapshot()
    for name, query in QUERIES.items():
        database.register("actual", snapshot.table(views[name]))
        for left, right in ((query, "FROM actual"), ("FROM actual", query)):
            rows = database.execute(f"({left}) EXCEPT ALL ({right}) LIMIT 5").fetchall()
            assert rows == [], f"{name}: {where}"
