"""SQL test scripts: what a feature means, as a program, its input and the rows or errors that must come out.

A script (`tests/sql/<feature>/<name>.slt`) is a list of blocks, separated by empty lines; lines that begin with `#` are
comments.

    statement                       a statement of the program, for all blocks below
    CREATE TABLE t (a INT, s VARCHAR)

    insert t                        one step: rows as JSON arrays, in column order; `delete` likewise
    [1, "x"]
    [2, null]

    query                           a view, compared after the input above; rows in any order, `NULL` for null
    SELECT s, COUNT(*) FROM t GROUP BY s
    ----
    'x' | 1
    NULL | 1

    query (VARCHAR, BIGINT NOT NULL)     ... and the types of its columns

    error No match found for function signature      a view that does not compile: part of a message
    SELECT NOTHING(a) FROM t

    failure causes overflow         a view that fails at run time: part of the message
    SELECT 2147483647 + a FROM t

    error Duplicate                 a statement that does not compile stands as itself
    CREATE TABLE t (b INT)

    eval                            constant expressions, one a line: value, `!message` or `!!run-time message`
    ABS(-3)          -> 3
    ABS('x', 1)      -> !Invalid number of arguments
    1 / 0            -> !!causes overflow
    1 + CAST(2 AS BIGINT) -> 3 :: BIGINT NOT NULL

All queries of a script are views of one program, evaluated twice: with a step per block of input, and with one step for
all the input before the query.
"""

from __future__ import annotations

import datetime
import math
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from millstream.circuit import Circuit
from millstream.errors import MillstreamError
from millstream.formats import build_parser
from millstream.pipeline.relations import table_relation
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.types import Kind, SqlType
from millstream.types.variant import untagged
from millstream.zset.changes import ChangeBatch, Operation

_BLOCK = re.compile(r"(statement|insert|delete|query|error|failure|eval)\b[ \t]*(.*)")
_SEPARATOR = "----"
_NEVER_A_QUERY = ("CREATE", "DECLARE", "SET", "DROP", "INSERT", "REMOVE", "ALTER")


@dataclass(frozen=True)
class Block:
    """One block: its kind, the rest of its first line, its other lines, and where it begins."""

    kind: str
    argument: str
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def sections(self) -> tuple[str, tuple[str, ...]]:
        """What stands before and after the separator."""
        position = self.lines.index(_SEPARATOR) if _SEPARATOR in self.lines else len(self.lines)
        return "\n".join(self.lines[:position]), self.lines[position + 1 :]


@dataclass
class Expectation:
    """A view, and what is to come out after so many blocks of input: rows, or part of an error."""

    sql: str
    line: int
    after: int
    rows: list[str] | None = None
    types: str | None = None
    error: str | None = None
    failure: str | None = None


@dataclass
class Script:
    """The parts of a script by purpose."""

    path: Path
    statements: list[str] = field(default_factory=list)
    inputs: list[Block] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)


def parse_script(path: Path) -> Script:
    """Read a script. Raises ValueError with the place of what is not understood."""
    script = Script(path)
    for block in _blocks(path):
        if block.kind == "statement":
            script.statements.append(block.text.rstrip(";"))
        elif block.kind in ("insert", "delete"):
            script.inputs.append(block)
        elif block.kind == "eval":
            script.expectations.extend(_evaluations(path, block, len(script.inputs)))
        else:
            script.expectations.append(_expectation(path, block, len(script.inputs)))
    return script


def _blocks(path: Path) -> Iterator[Block]:
    lines: list[str] = []
    start, head = 0, None
    for number, line in enumerate([*path.read_text().splitlines(), ""], 1):
        if line.startswith("#"):
            continue
        if line.strip():
            if head is None:
                head = _BLOCK.fullmatch(line.rstrip())
                if head is None:
                    raise ValueError(f"{path}:{number}: a block begins with statement, insert, delete, query, error, "
                                     f"failure or eval, not {line!r}")  # fmt: skip
                start = number
            else:
                lines.append(line.rstrip())
        elif head is not None:
            yield Block(head[1], head[2].strip(), tuple(lines), start)
            lines, head = [], None


def _expectation(path: Path, block: Block, after: int) -> Expectation:
    sql, rows = block.sections
    made = Expectation(sql.rstrip(";"), block.line, after)
    if block.kind == "query":
        made.rows = sorted(rows)
        made.types = block.argument.removeprefix("(").removesuffix(")") or None
    else:
        if not block.argument:
            raise ValueError(f"{path}:{block.line}: '{block.kind}' needs a part of the message")
        if block.kind == "error":
            made.error = block.argument
        else:
            made.failure = block.argument
    return made


def _evaluations(path: Path, block: Block, after: int) -> Iterator[Expectation]:
    for offset, line in enumerate(block.lines, 1):
        expression, arrow, expected = line.rpartition(" -> ")
        if not arrow:
            raise ValueError(f"{path}:{block.line + offset}: expected `expression -> value`, not {line!r}")
        expected = expected.strip()
        made = Expectation(f"SELECT {expression.strip()} AS x", block.line + offset, after)
        if expected.startswith("!!"):
            made.failure = expected[2:].strip()
        elif expected.startswith("!"):
            made.error = expected[1:].strip()
        else:
            value, _, types = expected.partition(" :: ")
            made.rows, made.types = [value.strip()], types.strip() or None
        yield made


# ---- running ----


def run_script(script: Script) -> list[str]:
    """What is wrong, one text a mistake, with its place; empty when the script holds."""
    problems: list[str] = []
    views: dict[str, Expectation] = {}
    for number, expectation in enumerate(script.expectations):
        if expectation.error is not None:
            problems.extend(_check_error(script, expectation))
        elif expectation.failure is not None:
            problems.extend(_check_failure(script, expectation))
        else:
            views[f"view_{number}"] = expectation
    if not views:
        return problems
    program, messages = _compile(script, {name: e.sql for name, e in views.items()})
    if program is None:
        for name, expectation in views.items():  # which of them was it?
            alone, texts = _compile(script, {name: expectation.sql})
            if alone is None:
                problems.append(_problem(script, expectation, f"does not compile: {texts}"))
        return problems or [f"{script.path}: does not compile: {messages}"]
    for how in ("step by step", "in one step"):
        for after in sorted({e.after for e in views.values()}):
            blocks = script.inputs[:after]
            steps = [[block] for block in blocks] if how == "step by step" else [blocks]
            try:
                contents = _contents(program, script, steps)
            except MillstreamError as error:
                problems.append(f"{script.path} ({how}): fails: {error.message}")
                return problems
            for name, expectation in views.items():
                if expectation.after == after:
                    problems.extend(_check_rows(script, expectation, program, name, contents[name], how))
    return problems


def _check_rows(
    script: Script, expectation: Expectation, program: Program, name: str, found: Sequence[str], how: str
) -> Iterator[str]:
    assert expectation.rows is not None
    if sorted(found) != expectation.rows:
        got, wanted = "\n    ".join(sorted(found)), "\n    ".join(expectation.rows)
        yield _problem(script, expectation, f"({how}) gives\n    {got}\n  instead of\n    {wanted}")
    view = program.view(name)
    assert view is not None
    if expectation.types is not None:
        types = ", ".join(column.type.sql() + ("" if column.type.nullable else " NOT NULL") for column in view.schema)
        if types != expectation.types:
            yield _problem(script, expectation, f"has type {types} instead of {expectation.types}")


def _check_error(script: Script, expectation: Expectation) -> Iterator[str]:
    assert expectation.error is not None
    if expectation.sql.lstrip().upper().startswith(_NEVER_A_QUERY):
        text = ";\n".join([*script.statements, expectation.sql]) + ";"
        result = compile_program(text)
        program, messages = result.program, [m.message for m in result.messages if not m.warning]
    else:
        program, messages = _compile(script, {"view_0": expectation.sql})
    if program is not None:
        yield _problem(script, expectation, f"compiles; expected the error: {expectation.error}")
    elif not any(expectation.error in message for message in messages):
        yield _problem(script, expectation, f"gives {messages} instead of the error: {expectation.error}")


def _check_failure(script: Script, expectation: Expectation) -> Iterator[str]:
    assert expectation.failure is not None
    program, messages = _compile(script, {"view_0": expectation.sql})
    if program is None:
        yield _problem(script, expectation, f"does not compile: {messages}")
        return
    try:
        steps = [[block] for block in script.inputs[: expectation.after]]
        found = _contents(program, script, steps)["view_0"]
    except MillstreamError as error:
        if expectation.failure not in error.message:
            yield _problem(script, expectation, f"fails with {error.message!r} instead of: {expectation.failure}")
    else:
        yield _problem(script, expectation, f"gives {found}; expected the failure: {expectation.failure}")


def _problem(script: Script, expectation: Expectation, text: str) -> str:
    return f"{script.path}:{expectation.line}: {expectation.sql}\n  {text}"


def _compile(script: Script, views: dict[str, str]) -> tuple[Program | None, list[str]]:
    queries = [f"CREATE VIEW {name} AS\n{sql}" for name, sql in views.items()]
    result = compile_program(";\n".join([*script.statements, *queries]) + ";", materialize_all=True)
    return result.program, [message.message for message in result.messages if not message.warning]


def _contents(program: Program, script: Script, steps: Sequence[Sequence[Block]]) -> dict[str, list[str]]:
    circuit = Circuit(program)
    circuit.step({})
    for blocks in steps:
        changes: dict[str, list[ChangeBatch]] = {}
        for block in blocks:
            changes.setdefault(block.argument, []).append(_changes(program, script, block))
        circuit.step(changes)
    snapshot = circuit.snapshot()
    return {
        view.name: _show_rows(snapshot.table(view.name), [column.type for column in view.schema])
        for view in program.views
        if not view.local
    }


def _changes(program: Program, script: Script, block: Block) -> ChangeBatch:
    table = program.table(block.argument)
    if table is None:
        raise ValueError(f"{script.path}:{block.line}: there is no table '{block.argument}'")
    parser = build_parser("json", {"update_format": "raw"}, table_relation(table), "script")
    parsed = parser.parse("".join(f"{line}\n" for line in block.lines).encode())
    if parsed.errors:
        raise ValueError(f"{script.path}:{block.line}: {parsed.errors[0]}")
    (batch,) = parsed.batches
    if block.kind == "insert":
        return batch
    return ChangeBatch(batch.columns, batch.num_rows, np.full(batch.num_rows, Operation.DELETE, np.int8))


# ---- how values are written ----


def _show_rows(rows: pa.Table, types: Sequence[SqlType]) -> list[str]:
    columns = [
        [show(value, sql_type) for value in untagged(column, sql_type).to_pylist()]
        for column, sql_type in zip(rows.columns, types, strict=True)
    ]
    return [" | ".join(row) for row in zip(*columns, strict=True)]


def show(value: Any, sql_type: SqlType) -> str:
    """A value as scripts write it: text in quotes, times as in SQL, intervals in months or seconds, NULL."""
    kind = sql_type.kind
    if value is None:
        return "NULL"
    if kind is Kind.ARRAY:
        assert sql_type.component is not None
        return "[" + ", ".join(show(v, sql_type.component) for v in value) + "]"
    if kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return "{" + ", ".join(f"{show(k, sql_type.key)}: {show(v, sql_type.value)}" for k, v in value) + "}"
    if kind is Kind.STRUCT:
        return "(" + ", ".join(show(value[f.name], f.type) for f in sql_type.fields) + ")"
    if kind is Kind.UUID:
        return str(uuid.UUID(bytes=value))
    if kind is Kind.VARIANT:
        return str(value)
    return _show_scalar(value)


def _show_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value + "'"
    if isinstance(value, bytes):
        return "x'" + value.hex() + "'"
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        zone = "+00:00" if value.tzinfo is not None else ""
        return value.replace(tzinfo=None).isoformat(" ") + zone
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return str(value)


def _show_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)
