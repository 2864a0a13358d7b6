"""The program's status machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from millstream.manager import program
from millstream.manager.models import NO_PROGRAM_ERROR, Pipeline
from millstream.manager.program import CompileOutcome
from tests.manager.support import INFO, LATER, NOW, compiled, failed, new_pipeline

FRESH = new_pipeline()


def test_a_program_passes_through_every_status() -> None:
    p = FRESH
    seen = [(p.program_status, p.refresh_version)]
    for step in (
        lambda p: program.begin_sql(p, 1, NOW),
        lambda p: program.finish_sql(p, 1, CompileOutcome(info=INFO), NOW),
        lambda p: program.begin_rust(p, 1, NOW),
        lambda p: program.finish_rust(p, 1, NOW),
    ):
        p = step(p)
        seen.append((p.program_status, p.refresh_version))
    assert seen == [("Pending", 1), ("CompilingSql", 1), ("SqlCompiled", 2), ("CompilingRust", 2), ("Success", 3)]
    assert p.program_error["sql_compilation"] == {"exit_code": 0, "messages": []}
    assert p.program_error["rust_compilation"] == {"exit_code": 0, "stdout": "", "stderr": ""}
    assert p.program_error["system_error"] is None
    assert p.program_info == INFO


def test_warnings_accompany_success() -> None:
    warning = {"warning": True, "message": "unused"}
    p = program.finish_sql(program.begin_sql(FRESH, 1, NOW), 1, CompileOutcome(messages=(warning,), info=INFO), NOW)
    assert p.program_error["sql_compilation"] == {"exit_code": 0, "messages": [warning]}


def test_errors_end_in_sql_error() -> None:
    p = failed(FRESH)
    assert p.program_status == "SqlError"
    assert p.program_info is None
    assert p.program_error["sql_compilation"]["exit_code"] == 1
    assert p.program_error["rust_compilation"] is None
    assert program.failure_text(p) == "no such table"


def test_a_failing_compiler_is_a_system_error() -> None:
    p = program.finish_sql(program.begin_sql(FRESH, 1, NOW), 1, CompileOutcome(system_error="lost"), NOW)
    assert p.program_status == "SystemError"
    assert p.program_error == {**NO_PROGRAM_ERROR, "system_error": "lost"}
    assert program.failure_text(p) == "lost"


def test_rust_functions_are_refused_with_their_source() -> None:
    p = compiled(replace(FRESH, udf_rust="pub fn twice(x: i32) -> i32 { x * 2 }"))
    assert p.program_status == "RustError"
    refusal = p.program_error["rust_compilation"]
    assert refusal["exit_code"] == 1
    assert "pub fn twice" in refusal["stderr"]
    assert p.program_error["sql_compilation"]["exit_code"] == 0


def test_results_for_an_edited_program_are_dropped() -> None:
    compiling = replace(program.begin_sql(FRESH, 1, NOW), program_version=2)
    assert program.finish_sql(compiling, 1, CompileOutcome(info=INFO), NOW) is compiling
    assert program.begin_sql(replace(FRESH, program_version=2), 1, NOW).program_status == "Pending"


@pytest.mark.parametrize(
    ("status", "after"),
    [("CompilingSql", "Pending"), ("CompilingRust", "SqlCompiled"), ("Success", "Success"), ("SqlError", "SqlError")],
)
def test_a_restart_repeats_the_step_that_was_under_way(status: str, after: str) -> None:
    p: Pipeline = replace(FRESH, program_status=status)  # type: ignore[arg-type] # one of the literals
    assert program.recover(p, LATER).program_status == after
