"""Runs SQL test scripts: compiles programs, feeds their input, compares what comes out with what is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from millstream.circuit import Circuit
from millstream.errors import MillstreamError
from millstream.formats import build_parser
from millstream.pipeline.relations import table_relation
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.sql.messages import NO_SPAN, Message
from millstream.sql.source import Source
from millstream.udf.library import NO_LIBRARY, Library, load_source
from millstream.zset.changes import ChangeBatch, Operation
from tests.sql.script import Block, Expectation, Script
from tests.sql.showing import show_rows


def run_script(script: Script) -> list[str]:
    """What is wrong, one text a mistake, with its place; empty when the script holds."""
    problems: list[str] = []
    views: dict[str, Expectation] = {}
    for number, expectation in enumerate(script.expectations):
        if expectation.pending is not None:
            if not list(_check_alone(script, expectation)):
                text = f"holds: take away the mark `pending: {expectation.pending}`"
                problems.append(_problem(script, expectation, text))
        elif expectation.rows is None:
            problems.extend(_check_alone(script, expectation))
        else:
            views[_name(expectation, number)] = expectation
    problems.extend(_check_views(script, views))
    return problems


def _check_alone(script: Script, expectation: Expectation) -> list[str]:
    if expectation.error is not None:
        return list(_check_error(script, expectation))
    if expectation.warning is not None:
        return list(_check_warning(script, expectation))
    if expectation.failure is not None:
        return list(_check_failure(script, expectation))
    return _check_views(script, {_name(expectation, 0): expectation})


def _name(expectation: Expectation, number: int) -> str:
    """What is looked at: a view of its own, or a declared relation for the so-manieth time."""
    return f"view_{number}" if expectation.relation is None else f"{expectation.relation} ({number})"


# ---- rows ----


def _check_views(script: Script, views: dict[str, Expectation]) -> list[str]:
    """Compare the views that are asked for after the same input together; later input may make them fail."""
    problems: list[str] = []
    for after in sorted({e.after for e in views.values()}):
        problems.extend(_check_after(script, {n: e for n, e in views.items() if e.after == after}, after))
    return problems


def _check_after(script: Script, views: dict[str, Expectation], after: int) -> list[str]:
    """Compile the views together and compare them; one after the other when they fail together."""
    program, messages = _compile(script, {name: e.sql for name, e in views.items() if e.relation is None})
    texts = _errors(messages)
    problems: list[str] = []
    if program is not None:
        blocks = script.inputs[:after]
        try:
            runs = [("step by step", [[block] for block in blocks])]
            if not script.stepwise:
                runs.append(("in one step", [blocks]))
            for how, steps in runs:
                contents = _contents(program, script, steps)
                for name, expectation in views.items():
                    found = contents[expectation.relation or name]
                    problems.extend(_check_rows(script, expectation, program, name, found, how))
                if problems:
                    break  # the same again
            return problems
        except MillstreamError as error:
            texts = [error.message]
    if len(views) > 1:
        for name, expectation in views.items():
            problems.extend(_check_after(script, {name: expectation}, after))
        return problems or [f"{script.path}: fails only as a whole: {texts}"]
    return [_problem(script, e, f"fails: {texts}") for e in views.values()]


def _check_rows(
    script: Script, expectation: Expectation, program: Program, name: str, found: Sequence[str], how: str
) -> Iterator[str]:
    assert expectation.rows is not None
    if sorted(found) != expectation.rows:
        got, wanted = "\n    ".join(sorted(found)), "\n    ".join(expectation.rows)
        yield _problem(script, expectation, f"({how}) gives\n    {got}\n  instead of\n    {wanted}")
    if expectation.types is not None:
        view = program.view(name)
        assert view is not None
        types = ", ".join(column.type.sql() + ("" if column.type.nullable else " NOT NULL") for column in view.schema)
        if types != expectation.types:
            yield _problem(script, expectation, f"has type {types} instead of {expectation.types}")


# ---- messages and failures ----


def _check_error(script: Script, expectation: Expectation) -> Iterator[str]:
    assert expectation.error is not None
    program, messages, source = _compile_one(script, expectation)
    if program is not None:
        yield _problem(script, expectation, f"compiles; expected the error: {expectation.error}")
    errors = [message for message in messages if not message.warning]
    yield from _check_messages(script, expectation, expectation.error, errors, source)


def _check_warning(script: Script, expectation: Expectation) -> Iterator[str]:
    assert expectation.warning is not None
    program, messages, source = _compile_one(script, expectation)
    if program is None:
        yield _problem(script, expectation, f"does not compile: {_errors(messages)}")
    warnings = [message for message in messages if message.warning]
    yield from _check_messages(script, expectation, expectation.warning, warnings, source)


def _check_messages(
    script: Script, expectation: Expectation, wanted: str, messages: Sequence[Message], source: Source
) -> Iterator[str]:
    fragment, _, place = wanted.partition(" @@ ")
    found = [m for m in messages if _mentions(f"{m.error_type}: {m.message}", fragment)]
    if not found:
        texts = [f"{m.error_type}: {m.message}" for m in messages]
        yield _problem(script, expectation, f"gives {texts} instead of: {fragment}")
    elif place:
        places = [source.text_of(m.span) if m.span != NO_SPAN else "no place" for m in found]
        if place not in places:
            yield _problem(script, expectation, f"points at {places} instead of {place!r}")


def _mentions(text: str, fragment: str) -> bool:
    """Whether the parts of a fragment occur in this order, in any case."""
    text, position = text.lower(), 0
    for part in fragment.lower().split(" ... "):
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def _check_failure(script: Script, expectation: Expectation) -> Iterator[str]:
    assert expectation.failure is not None
    program, messages = _compile(script, {"view_0": expectation.sql})
    if program is None:
        yield _problem(script, expectation, f"does not compile: {_errors(messages)}")
        return
    try:
        steps = [[block] for block in script.inputs[: expectation.after]]
        found = _contents(program, script, steps)["view_0"]
    except MillstreamError as error:
        if not _mentions(error.message, expectation.failure):
            yield _problem(script, expectation, f"fails with {error.message!r} instead of: {expectation.failure}")
    else:
        yield _problem(script, expectation, f"gives {found}; expected the failure: {expectation.failure}")


def _problem(script: Script, expectation: Expectation, text: str) -> str:
    return f"{script.path}:{expectation.line}: {expectation.sql}\n  {text}"


def _errors(messages: Sequence[Message]) -> list[str]:
    return [message.message for message in messages if not message.warning]


# ---- programs and steps ----


def _compile_one(script: Script, expectation: Expectation) -> tuple[Program | None, tuple[Message, ...], Source]:
    last = expectation.sql if expectation.statement else f"CREATE VIEW view_0 AS\n{expectation.sql}"
    text = ";\n".join([*script.statements, last]) + ";"
    result = compile_program(text, udf=_library(script))
    return result.program, result.messages, Source(text)


def _compile(script: Script, views: dict[str, str]) -> tuple[Program | None, tuple[Message, ...]]:
    queries = [f"CREATE VIEW {name} AS\n{sql}" for name, sql in views.items()]
    result = compile_program(";\n".join([*script.statements, *queries]) + ";", True, _library(script))
    return result.program, result.messages


def _library(script: Script) -> Library:
    return load_source("\n\n".join(script.udf)) if script.udf else NO_LIBRARY


def _contents(program: Program, script: Script, steps: Sequence[Sequence[Block]]) -> dict[str, list[str]]:
    circuit = Circuit(program)
    now_us = 0
    circuit.step({}, now_us)
    for blocks in steps:
        changes: dict[str, list[ChangeBatch]] = {}
        for block in blocks:
            if block.kind == "now":
                now_us = _micros(block.argument)
            else:
                changes.setdefault(block.argument, []).append(_changes(program, script, block))
        circuit.step(changes, now_us)
    snapshot = circuit.snapshot()
    relations = [view for view in program.views if not view.local] + [t for t in program.tables if t.queryable]
    return {
        relation.name: show_rows(snapshot.table(relation.name), [column.type for column in relation.schema])
        for relation in relations
    }


def _micros(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _changes(program: Program, script: Script, block: Block) -> ChangeBatch:
    table = program.table(block.argument)
    if table is None:
        raise ValueError(f"{script.path}:{block.line}: there is no table '{block.argument}'")
    parser = build_parser("json", {"update_format": "raw"}, table_relation(table), "script")
    parsed = parser.parse("".join(f"{line}\n" for line in block.texts).encode())
    if parsed.errors:
        raise ValueError(f"{script.path}:{block.line}: {parsed.errors[0]}")
    (batch,) = parsed.batches
    if block.kind == "insert":
        return batch
    return ChangeBatch(batch.columns, batch.num_rows, np.full(batch.num_rows, Operation.DELETE, np.int8))
