"""How windows, UNNEST, as-of joins and recursion look in an explained plan."""

from __future__ import annotations

import pytest

from millstream.plan.explain import explain
from millstream.sql.compile import compile_program

TABLES = """
CREATE TABLE t (id INT NOT NULL, k INT, v INT, a INT ARRAY, ts TIMESTAMP);
DECLARE RECURSIVE VIEW r (id INT);
CREATE VIEW r AS SELECT k AS id FROM t UNION SELECT t.v AS id FROM r JOIN t ON r.id = t.k;
"""


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("SELECT id, x FROM t, UNNEST(a) WITH ORDINALITY AS u(x, n) WHERE n = 1", "Unnest a with ordinality"),
        (
            "SELECT id, LAG(v) OVER (PARTITION BY k ORDER BY id DESC) AS p FROM t",
            "Window per (k) by id DESC NULLS LAST: LAG(v, 1)",
        ),
        (
            "SELECT id, SUM(v) OVER (ORDER BY id RANGE BETWEEN 5 PRECEDING AND CURRENT ROW) AS p FROM t",
            "Window by id NULLS FIRST: SUM(v) range -5 to 0",
        ),
        (
            "SELECT t.id, u.v FROM t LEFT ASOF JOIN t AS u MATCH_CONDITION (t.v >= u.v) ON t.k = u.k",
            "AsofJoin v >= v on k = k",
        ),
        (
            "SELECT id, window_end FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), DESCRIPTOR(k), INTERVAL 1 SECOND))",
            "Session per (k) ts gap 1000000",
        ),
        (
            "SELECT id FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) <= 3",
            "TopK per (k) by v NULLS FIRST limit 3",
        ),
    ],
)  # fmt: skip
def test_nodes(query, line):
    program = compile_program(TABLES + f"CREATE VIEW x AS {query};").program
    assert line in explain(program.view("x").plan)


def test_recursion():
    program = compile_program(TABLES).program
    assert explain(program.view("r").plan).startswith("Recursive r of (r)\n")
