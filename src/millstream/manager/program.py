"""The program's status machine (api.md §9.1): Pending -> CompilingSql -> SqlCompiled -> CompilingRust -> Success.

Nothing is compiled to native code here; the two later steps exist because clients observe them. Functions take the
`program_version` that was worked on and return the pipeline unchanged if it has been edited meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from millstream.manager.models import NO_PROGRAM_ERROR, Pipeline, ProgramStatus

# "Rust" succeeds without running; this is the shape that clients look for.
RUST_SUCCESS: dict[str, Any] = {"exit_code": 0, "stdout": "", "stderr": ""}


@dataclass(frozen=True, slots=True)
class CompileOutcome:
    """What checking a program gave: SQL messages and schema, or a failure of the compiler itself; the graph and the
    differences from another program if they were asked for."""

    messages: tuple[dict[str, Any], ...] = ()
    info: dict[str, Any] | None = None
    system_error: str | None = None
    dataflow: dict[str, Any] | None = None
    differences: dict[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        return 0 if self.info is not None else 1


def begin_sql(p: Pipeline, version: int, now: str) -> Pipeline:
    """Pending -> CompilingSql (no new refresh_version)."""
    if p.program_version != version or p.program_status != "Pending":
        return p
    return replace(p, program_status="CompilingSql", program_status_since=now)


def finish_sql(p: Pipeline, version: int, outcome: CompileOutcome, now: str) -> Pipeline:
    """CompilingSql -> SqlCompiled, SqlError or SystemError."""
    if p.program_version != version or p.program_status != "CompilingSql":
        return p
    if outcome.system_error is not None:
        return _enter(p, "SystemError", now, system_error=outcome.system_error)
    compilation = {"exit_code": outcome.exit_code, "messages": list(outcome.messages)}
    if outcome.info is None:
        return _enter(p, "SqlError", now, sql_compilation=compilation)
    return replace(_enter(p, "SqlCompiled", now, sql_compilation=compilation), program_info=outcome.info)


def begin_rust(p: Pipeline, version: int, now: str) -> Pipeline:
    """SqlCompiled -> CompilingRust (no new refresh_version)."""
    if p.program_version != version or p.program_status != "SqlCompiled":
        return p
    return replace(p, program_status="CompilingRust", program_status_since=now)


def finish_rust(p: Pipeline, version: int, now: str) -> Pipeline:
    """CompilingRust -> Success; RustError if the program brings Rust code, which nothing here can run."""
    if p.program_version != version or p.program_status != "CompilingRust":
        return p
    sql = p.program_error["sql_compilation"]
    if p.udf_rust.strip():
        failure = {"exit_code": 1, "stdout": "", "stderr": rust_refusal(p.udf_rust)}
        return _enter(p, "RustError", now, sql_compilation=sql, rust_compilation=failure)
    return _enter(p, "Success", now, sql_compilation=sql, rust_compilation=dict(RUST_SUCCESS))


def rust_refusal(source: str) -> str:
    """The compiler output for a program with Rust functions: what is wrong, then the source concerned."""
    numbered = "\n".join(f"{number:5}|{line}" for number, line in enumerate(source.splitlines(), 1))
    return f"error: user-defined functions in Rust are not supported; remove `udf_rust`\n{numbered}\n"


def recover(p: Pipeline, now: str) -> Pipeline:
    """After a restart of the server, a step that was under way begins again."""
    if p.program_status == "CompilingSql":
        return replace(p, program_status="Pending", program_status_since=now)
    if p.program_status == "CompilingRust":
        return replace(p, program_status="SqlCompiled", program_status_since=now)
    return p


def failure_text(p: Pipeline) -> str:
    """Why a failed program failed, in a line or a few."""
    error = p.program_error
    if p.program_status == "SqlError" and error["sql_compilation"]:
        return failed_messages(error["sql_compilation"]["messages"])
    if p.program_status == "RustError" and error["rust_compilation"]:
        return str(error["rust_compilation"]["stderr"])
    return str(error["system_error"] or p.program_status)


def failed_messages(messages: Iterable[dict[str, Any]]) -> str:
    """The texts of the messages that are errors."""
    return "\n".join(m["message"] for m in messages if not m["warning"])


def _enter(p: Pipeline, status: ProgramStatus, now: str, **error: Any) -> Pipeline:
    return replace(
        p,
        program_status=status,
        program_status_since=now,
        program_error={**NO_PROGRAM_ERROR, **error},
        refresh_version=p.refresh_version + 1,
    )
