"""What statements leave in the compiled program."""

from __future__ import annotations

from millstream.plan.program import Index, Program
from millstream.sql.compile import compile_program

TABLE = "CREATE TABLE t (a INT NOT NULL PRIMARY KEY, b INT);"


def compiled(text: str) -> Program:
    result = compile_program(TABLE + text)
    assert result.program is not None, result.messages
    return result.program


def test_indexes_of_views_are_part_of_the_program() -> None:
    program = compiled("CREATE VIEW v AS SELECT b, a FROM t; CREATE INDEX i ON v (a); CREATE INDEX j ON v (b, a);")
    assert program.indexes == (Index("i", "v", (1,)), Index("j", "v", (0, 1)))


def test_indexes_of_tables_and_of_dropped_views_are_not() -> None:
    text = "CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t; CREATE INDEX j ON v (a); DROP VIEW v;"
    assert compiled(text).indexes == ()


def test_dropped_relations_are_not_part_of_the_program() -> None:
    program = compiled("CREATE TABLE u (a INT); CREATE VIEW v AS SELECT a FROM u; DROP VIEW v; DROP TABLE u;")
    assert [table.name for table in program.tables] == ["t"]
    assert program.views == ()


def test_a_call_is_the_same_plan_as_the_body_written_out() -> None:
    called = compiled(
        "CREATE FUNCTION f(x INT, y INT) RETURNS INT AS x + y; CREATE VIEW v AS SELECT f(b, 2 * b) FROM t;"
    )
    written = compiled("CREATE VIEW v AS SELECT b + 2 * b FROM t;")
    assert called.views[0].plan == written.views[0].plan


def test_warnings_are_gone_when_they_are_ignored() -> None:
    result = compile_program(TABLE + "SET feldera_ignore_warning_unused = on;")
    assert result.program is not None
    assert result.messages == ()


def test_warnings_that_are_errors_leave_no_program() -> None:
    result = compile_program(TABLE + "SET feldera_warnings_are_errors = on;")
    assert result.program is None
    assert [(m.warning, m.error_type) for m in result.messages] == [(False, "Unused")]


def test_a_function_whose_declaration_failed_is_reported_once() -> None:
    text = "CREATE FUNCTION f(x nothing) RETURNS INT AS x; CREATE VIEW v AS SELECT f(b) FROM t;"
    assert len([m for m in compile_program(TABLE + text).messages if not m.warning]) == 1
