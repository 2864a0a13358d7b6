"""Sub-queries: their errors, their types, and the plans that they become. Their rows: tests/oracle."""

from __future__ import annotations

import pytest

from millstream.circuit import Circuit
from millstream.errors import EvaluationError
from millstream.plan.explain import explain
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch
from tests.oracle.harness import columns_of

TABLES = "CREATE TABLE t (a INT, b INT NOT NULL);\nCREATE TABLE u (a INT, c INT NOT NULL);\n"


def compiled(query: str) -> Program:
    result = compile_program(f"{TABLES}CREATE VIEW v AS\n{query};")
    assert result.program is not None, result.messages
    return result.program


def insert(program: Program, name: str, *rows: tuple[int | None, int]) -> dict[str, list[ChangeBatch]]:
    table = program.table(name)
    assert table is not None
    return {name: [ChangeBatch(columns_of(rows, [arrow_type(c.type) for c in table.columns]), len(rows))]}


def plan_text(query: str) -> str:
    return explain(compiled(query).views[0].plan)


def test_a_second_value_is_an_error_when_a_row_needs_it() -> None:
    program = compiled("SELECT b, (SELECT c FROM u WHERE u.a = t.a) AS x FROM t")
    circuit = Circuit(program)
    circuit.step(insert(program, "u", (1, 10), (2, 20), (2, 21)))
    circuit.step(insert(program, "t", (1, 1)))
    with pytest.raises(EvaluationError, match="More than one value in subquery"):
        circuit.step(insert(program, "t", (2, 2)))


def test_a_second_value_in_a_branch_that_is_not_taken_is_no_error() -> None:
    program = compiled("SELECT CASE WHEN b > 5 THEN (SELECT c FROM u) ELSE 0 END AS x FROM t")
    circuit = Circuit(program)
    circuit.step(insert(program, "u", (1, 10), (2, 20)))
    circuit.step(insert(program, "t", (1, 1)))


def test_membership_in_where_is_a_semi_join_by_key() -> None:
    text = plan_text("SELECT b FROM t WHERE a IN (SELECT a FROM u WHERE c > 0)")
    assert "Join semi on a = a" in text
    assert "where" not in text


def test_absence_is_an_anti_join_by_key() -> None:
    assert "Join anti on a = a" in plan_text("SELECT b FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a)")
    assert "Join anti on b = c" in plan_text("SELECT b FROM t WHERE b NOT IN (SELECT c FROM u)")


def test_a_correlated_aggregate_is_grouped_by_its_key_and_read_once() -> None:
    text = plan_text("SELECT b, (SELECT MAX(c) FROM u WHERE u.a = t.a) AS x FROM t")
    assert text.count("Scan u") == 1
    assert text.count("Scan t") == 1
    assert "Distinct" not in text


def test_equal_sub_queries_are_computed_once() -> None:
    text = plan_text("SELECT b + (SELECT MAX(c) FROM u) AS x, (SELECT MAX(c) FROM u) AS y FROM t")
    assert text.count("Scan u") == 1


def test_the_value_of_a_sub_query_may_be_null_unless_it_always_has_one_row() -> None:
    view = compiled(
        "SELECT (SELECT COUNT(*) FROM u) AS n, (SELECT MAX(c) FROM u) AS m, EXISTS (SELECT 1 FROM u) AS e, "
        "b IN (SELECT c FROM u) AS i, a IN (SELECT c FROM u) AS j FROM t"
    ).views[0]
    assert [str(c.type) for c in view.schema] == [
        "BIGINT NOT NULL",
        "INTEGER",
        "BOOLEAN NOT NULL",
        "BOOLEAN NOT NULL",
        "BOOLEAN",
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT (SELECT a, c FROM u) FROM t", "Cannot apply '$SCALAR_QUERY' to arguments of type"),
        ("SELECT a FROM t WHERE a IN (SELECT a, c FROM u)", "Values passed to IN operator must have compatible types"),
        (
            "SELECT a FROM t WHERE a NOT IN (SELECT DATE '2020-01-01' FROM u)",
            "Values passed to NOT IN operator must have compatible types",
        ),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = z.a)", "Table 'z' not found"),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.z)", "Column 'z' not found in table 't'"),
        ("SELECT a FROM t WHERE EXISTS (SELECT zz FROM u)", "Column 'zz' not found in any table"),
        (
            "SELECT COUNT(*), (SELECT MAX(c) FROM u WHERE u.a = t.a) FROM t GROUP BY b",
            "Expression 't.a' is not being grouped",
        ),
    ],
)
def test_mistakes(query: str, message: str) -> None:
    errors = [m.message for m in compile_program(f"{TABLES}CREATE VIEW v AS\n{query};").messages if not m.warning]
    assert len(errors) == 1
    assert message in errors[0]
