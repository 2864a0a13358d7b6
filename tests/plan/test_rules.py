"""What the rules do to plans, as text: query, then the plan that is kept up to date."""

from __future__ import annotations

import pytest

from millstream.plan.explain import explain, explain_program
from millstream.plan.nodes import Plan
from millstream.sql.compile import compile_program

TABLES = """
CREATE TABLE t (id INT NOT NULL, a INT, b INT NOT NULL, s VARCHAR, x DOUBLE);
CREATE TABLE u (a INT, c INT, s VARCHAR);
CREATE TABLE k (id INT NOT NULL, a INT, s VARCHAR NOT NULL);
"""


def plan_of(query: str) -> Plan:
    result = compile_program(f"{TABLES}CREATE VIEW v AS {query};")
    assert result.program is not None, result.messages
    return result.program.views[0].plan


CASES = {
    "a filter moves below a projection": (
        "SELECT p FROM (SELECT x * 2 AS p, b FROM t) AS q WHERE b > 0",
        """
        Project (x * CAST(2 AS DOUBLE)) AS p
          Filter (b > 0)
            Scan t
        """,
    ),
    "filters of nested queries become one": (
        "SELECT id FROM (SELECT id, b FROM t WHERE b > 0) AS q WHERE id < 5",
        """
        Project id
          Filter ((b > 0) AND (id < 5))
            Scan t
        """,
    ),
    "conditions on one side of an inner join move below it": (
        "SELECT t.id, u.c FROM t JOIN u ON t.a = u.a AND t.b > 0 WHERE u.c < 5",
        """
        Project id, c
          Join inner on a = a
            Project id, a
              Filter (b > 0)
                Scan t
            Project a, c
              Filter (c < 5)
                Scan u
        """,
    ),
    "a comma and an equality are a join by key": (
        "SELECT t.id FROM t, u WHERE t.a = u.a",
        """
        Project id
          Join inner on a = a
            Project id, a
              Scan t
            Project a
              Scan u
        """,
    ),
    "an equality in all operands of an OR is a join by key": (
        "SELECT t.id FROM t, u WHERE (t.a = u.a AND t.b > 0 AND u.c < 5) OR (t.b > 7 AND t.a = u.a AND u.c < 9)",
        """
        Project id
          Join inner on a = a where (((b > 0) AND (c < 5)) OR ((b > 7) AND (c < 9)))
            Project id, a, b
              Scan t
            Project a, c
              Scan u
        """,
    ),
    "an equality in all operands of an outer join's OR is its key": (
        "SELECT t.id FROM t LEFT JOIN u ON (t.a = u.a AND t.b > 0) OR (t.a = u.a AND u.c < 9)",
        """
        Project id
          Join left on a = a where ((b > 0) OR (c < 9))
            Project id, a, b
              Scan t
            Project a, c
              Scan u
        """,
    ),
    "an operand of an OR that covers the others is all of it": (
        "SELECT id FROM t WHERE (a = 1 AND b > 0) OR a = 1",
        """
        Project id
          Filter (a = 1)
            Scan t
        """,
    ),
    "what may fail stays behind its guards in an OR": (
        "SELECT id FROM t WHERE (b <> 0 AND 1 / b > 0) OR (a > 3 AND 1 / b > 0)",
        """
        Project id
          Filter (((b <> 0) AND ((1 / b) > 0)) OR ((a > 3) AND ((1 / b) > 0)))
            Scan t
        """,
    ),
    "joins are ordered so that equalities connect them": (
        "SELECT t.id, u.c, k.id AS kid FROM t, u, k WHERE t.s = k.s AND u.a = k.a",
        """
        Project id, c, id AS kid
          Join inner on a = a
            Project id, id, a
              Join inner on s = s
                Project id, s
                  Scan t
                Scan k
            Project a, c
              Scan u
        """,
    ),
    "a left join whose padding is filtered out is an inner join": (
        "SELECT t.id FROM t LEFT JOIN u ON t.a = u.a WHERE u.c > 0",
        """
        Project id
          Join inner on a = a
            Project id, a
              Scan t
            Project a
              Filter (c > 0)
                Scan u
        """,
    ),
    "a left join whose padding is asked for stays": (
        "SELECT t.id FROM t LEFT JOIN u ON t.a = u.a WHERE u.a IS NULL AND t.b > 0",
        """
        Project id
          Filter IS NULL(a)
            Join left on a = a
              Project id, a
                Filter (b > 0)
                  Scan t
              Project a
                Scan u
        """,
    ),
    "a full join loses the padding that is filtered out": (
        "SELECT t.id, u.c FROM t FULL JOIN u ON t.a = u.a WHERE u.c > 0",
        """
        Project id, c
          Join right on a = a
            Project id, a
              Scan t
            Project a, c
              Filter (c > 0)
                Scan u
        """,
    ),
    "a condition of the padded side filters it, one of the kept side is tested with the pairs": (
        "SELECT t.id, u.c FROM t LEFT JOIN u ON t.a = u.a AND u.c > 0 AND t.b > 0",
        """
        Project id, c
          Join left on a = a where (b > 0)
            Project id, a, b
              Scan t
            Project a, c
              Filter (c > 0)
                Scan u
        """,
    ),
    "a filter on grouping columns moves below the aggregate": (
        "SELECT a, n FROM (SELECT a, COUNT(*) AS n FROM t GROUP BY a) AS q WHERE a > 0 AND n > 1",
        """
        Filter ($a0 > CAST(1 AS BIGINT))
          Aggregate by ($g0) COUNT(*) AS $a0
            Project a AS $g0
              Filter (a > 0)
                Scan t
        """,
    ),
    "a filter goes to every operand of a union": (
        "SELECT p FROM (SELECT b AS p FROM t UNION ALL SELECT c FROM u) AS q WHERE p > 0",
        """
        UnionAll
          Project b AS p
            Filter (b > 0)
              Scan t
          Project c
            Filter (c > 0)
              Scan u
        """,
    ),
    "a filter goes to both sides of EXCEPT": (
        "SELECT p FROM (SELECT a AS p FROM t EXCEPT SELECT c FROM u) AS q WHERE p > 0",
        """
        Except
          Project a AS p
            Filter (a > 0)
              Scan t
          Project c
            Filter (c > 0)
              Scan u
        """,
    ),
    "a filter does not pass a limit": (
        "SELECT id FROM (SELECT id, b FROM t ORDER BY id LIMIT 3) AS q WHERE b > 0",
        """
        Project id
          Filter (b > 0)
            TopK by id NULLS FIRST limit 3
              Project id, b
                Scan t
        """,
    ),
    "what is always true is not tested": (
        "SELECT id FROM t WHERE 1 < 2 AND b > 0",
        """
        Project id
          Filter (b > 0)
            Scan t
        """,
    ),
    "what is never true reads nothing": ("SELECT id FROM t WHERE b > 0 AND 1 > 2", "Project id\n  Values 0 rows"),
    "aggregates that nobody reads are not kept": (
        "SELECT n FROM (SELECT a, COUNT(*) AS n, MAX(s) AS m FROM t GROUP BY a) AS q",
        """
        Project n
          Aggregate by ($g0) COUNT(*) AS n
            Project a AS $g0
              Scan t
        """,
    ),
    "counting rows reads one narrow column": (
        "SELECT COUNT(*) AS n FROM t",
        """
        Aggregate by () COUNT(*) AS n
          Project id AS $g0
            Scan t
        """,
    ),
}


def text_of(block: str) -> str:
    lines = block.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines).rstrip()


@pytest.mark.parametrize("name", CASES)
def test_rewriting(name: str) -> None:
    query, wanted = CASES[name]
    assert explain(plan_of(query)) == text_of(wanted)


#: Conditions that may fail stay where the rows that they would fail on do not come
GUARDED = {
    "a condition that may fail stays above a join": (
        "SELECT t.id FROM t JOIN u ON t.a = u.a WHERE 10 / t.b > 1",
        """
        Project id
          Filter ((10 / b) > 1)
            Join inner on a = a
              Project id, a, b
                Scan t
              Project a
                Scan u
        """,
    ),
    "a filter that may fail is not merged with one that may be NULL": (
        "SELECT id FROM (SELECT * FROM t WHERE a > 0) AS q WHERE 10 / b > 1",
        """
        Project id
          Filter ((10 / b) > 1)
            Filter (a > 0)
              Scan t
        """,
    ),
    "a key that may fail is not computed where its guard is not true": (
        "SELECT t.id, u.c FROM t LEFT JOIN u ON t.b <> 0 AND 10 / t.b = u.a",
        """
        Project id, c
          Join left on $key0 = a where (b <> 0)
            Project id, b, CASE WHEN (b <> 0) THEN (10 / b) ELSE NULL END AS $key0
              Scan t
            Project a, c
              Scan u
        """,
    ),
    "a key that may fail stays behind a condition on both sides": (
        "SELECT t.id, u.c FROM t JOIN u ON t.b < u.c AND 10 / t.b = u.a",
        """
        Project id, c
          Join inner where ((b < c) AND ((10 / b) = a))
            Project id, b
              Scan t
            Project a, c
              Scan u
        """,
    ),
    "a condition that may fail does not pass an aggregate": (
        "SELECT n FROM (SELECT b, COUNT(*) AS n FROM t GROUP BY b) AS q WHERE n > 1 AND 10 / b > 1",
        """
        Project $a0 AS n
          Filter (($a0 > CAST(1 AS BIGINT)) AND ((10 / $g0) > 1))
            Aggregate by ($g0) COUNT(*) AS $a0
              Project b AS $g0
                Scan t
        """,
    ),
}


@pytest.mark.parametrize("name", GUARDED)
def test_errors_are_kept_to_the_rows_that_have_them(name: str) -> None:
    query, wanted = GUARDED[name]
    assert explain(plan_of(query)) == text_of(wanted)


def test_rewriting_does_not_repeat_large_expressions_without_bound() -> None:
    query = "SELECT a FROM t"
    for _ in range(40):
        query = f"SELECT a + a AS a FROM ({query}) AS q"
    assert plan_of(query).schema[0].name == "a"


def test_a_program_is_explained_view_by_view() -> None:
    result = compile_program(f"{TABLES}CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS SELECT id FROM v;")
    assert result.program is not None
    assert explain_program(result.program) == "v:\nScan t\n\nw:\nProject id\n  Scan v"
