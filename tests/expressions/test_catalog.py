"""The function catalog: complete, true, and printed in docs/functions.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.expressions.aggregates import AGGREGATES
from millstream.expressions.catalog import (
    FAMILIES,
    INTERNAL,
    Entry,
    documented_aggregates,
    documented_functions,
    functions_page,
)
from millstream.expressions.catalog.entry import NEVER, STRICT
from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.registry import FUNCTIONS
from millstream.plan.nodes import Project
from millstream.sql.compile import compile_program

PAGE = Path(__file__).parents[2] / "docs" / "functions.md"
ENTRIES = [entry for family in FAMILIES for entry in family.entries]
EXAMPLES = [entry for entry in ENTRIES if entry.example]


def bound(text: str) -> Expression:
    """A constant SQL expression."""
    result = compile_program(f"CREATE VIEW v AS SELECT {text} AS x;")
    assert result.program is not None, [m.message for m in result.messages]
    plan = result.program.views[-1].plan
    assert isinstance(plan, Project), plan
    return plan.expressions[0]


def test_every_function_is_documented_and_nothing_else() -> None:
    assert documented_functions() | INTERNAL == set(FUNCTIONS)
    assert not documented_functions() & INTERNAL
    assert documented_aggregates() == set(AGGREGATES)


def test_names_of_one_aggregate_are_one_function() -> None:
    for entry in FAMILIES[-1].entries:
        assert {AGGREGATES[name].name for name in entry.names} == {entry.names[0]}


def test_only_functions_without_constants_lack_an_example() -> None:
    without = {entry.names[0] for entry in ENTRIES if not entry.example and entry.names[0] in FUNCTIONS}
    assert without == {"NOW", "CONNECTOR_METADATA"}


@pytest.mark.parametrize("entry", EXAMPLES, ids=[entry.names[0] for entry in EXAMPLES])
def test_examples_are_true(entry: Entry) -> None:
    project = compile_projection([bound(f"TO_JSON(CAST({entry.example} AS VARIANT))")])
    assert project((), 1, EvaluationContext())[0].to_pylist() == [entry.value]


STRICT_CALLS = [e for e in EXAMPLES if e.nulls == STRICT]


@pytest.mark.parametrize("entry", STRICT_CALLS, ids=[entry.names[0] for entry in STRICT_CALLS])
def test_strict_functions_are_null_if_an_argument_is(entry: Entry) -> None:
    call = bound(entry.example)
    if isinstance(call, Literal):  # PI
        return
    assert isinstance(call, Call)
    for position, argument in enumerate(call.arguments):
        null = Literal(argument.type.with_nullable(True), None)
        arguments = (*call.arguments[:position], null, *call.arguments[position + 1 :])
        call_with_null = Call(call.type.with_nullable(True), call.name, arguments, call.options)
        project = compile_projection([call_with_null])
        assert project((), 1, EvaluationContext())[0].to_pylist() == [None], f"argument {position} NULL"


@pytest.mark.parametrize("entry", [e for e in EXAMPLES if e.nulls == NEVER], ids=lambda e: e.names[0])
def test_functions_that_are_never_null_have_such_a_type(entry: Entry) -> None:
    assert not bound(entry.example).type.nullable


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == functions_page(), "run: python -m millstream.expressions.catalog > docs/functions.md"
