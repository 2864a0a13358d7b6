"""Constant expressions of the scripts mean the same over columns.

Constants take short ways: they are folded, and kernels see scalars. So each `eval` case whose value is known is
evaluated again with all of its literals in columns, then with one literal after the other, in a batch of equal rows and
in one whose middle row is NULL throughout: the other rows must keep their value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from millstream.expressions.evaluate import EvaluationContext, EvaluationError, compile_projection, literal_scalar
from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, Literal, children
from millstream.plan.nodes import Plan, Project
from millstream.sql.compile import compile_program
from millstream.types import Kind
from tests.sql.script import Expectation, parse_script
from tests.sql.showing import show_rows
from tests.sql.test_scripts import HERE, SCRIPTS

CONTEXT = EvaluationContext()
#: What kernels say when an argument must be a constant.
NOT_CONSTANT = (AttributeError, AssertionError, TypeError, NotImplementedError)


def scripts_with_values() -> Iterator[tuple[Path, list[Expectation]]]:
    for path in SCRIPTS:
        script = parse_script(path)
        cases = [e for e in script.expectations if e.constant and e.rows is not None and e.pending is None]
        if cases:
            yield path, cases


def expression_of(case: Expectation) -> Expression | None:
    """The bound expression of a constant, or None if its view is no projection of one row."""
    program = compile_program(f"CREATE VIEW v AS {case.sql};").program
    plan: Plan | None = program.views[0].plan if program is not None else None
    return plan.expressions[0] if isinstance(plan, Project) and len(plan.expressions) == 1 else None


def literals(expression: Expression) -> list[Literal]:
    """The literals of an expression that rows could have in a column, outside of lambdas."""
    if isinstance(expression, Literal):
        return [expression] if expression.type.kind is not Kind.NULL and expression.value is not None else []
    return [literal for child in children(expression) for literal in literals(child)]


def with_columns(expression: Expression, chosen: list[Literal], nullable: bool) -> Expression:
    """The expression with the chosen literals as columns 0, 1, ..., and everything nullable if those are."""
    kind = expression.type.with_nullable(True) if nullable else expression.type
    if isinstance(expression, Literal):
        for index, literal in enumerate(chosen):
            if literal is expression:
                return ColumnRef(kind, index)
        return expression
    if isinstance(expression, Call):
        arguments = tuple(with_columns(a, chosen, nullable) for a in expression.arguments)
        return replace(expression, type=kind, arguments=arguments)
    if isinstance(expression, Cast):
        return replace(expression, type=kind, argument=with_columns(expression.argument, chosen, nullable))
    if isinstance(expression, Case):
        branches = tuple(
            (with_columns(c, chosen, nullable), with_columns(r, chosen, nullable)) for c, r in expression.branches
        )
        return replace(
            expression, type=kind, branches=branches, otherwise=with_columns(expression.otherwise, chosen, nullable)
        )
    return expression


def values_over_columns(expression: Expression, chosen: list[Literal], nullable: bool) -> list[str]:
    """What comes out for the chosen literals in the first and last of three rows; the second one is NULL if that may
    be, else equal."""
    columns = []
    for literal in chosen:
        scalar = literal_scalar(literal.value, literal.type)
        columns.append(pa.array([scalar, None if nullable else scalar, scalar], scalar.type))
    rewritten = with_columns(expression, chosen, nullable)
    (result,) = compile_projection([rewritten])(columns, 3, CONTEXT)
    shown = show_rows(pa.table([result], ["x"]), [expression.type])
    return [shown[0], shown[2]]


def problems(case: Expectation) -> Iterator[str]:
    expression = expression_of(case)
    if expression is None:
        return
    found = literals(expression)
    for chosen in [found, *([one] for one in found if len(found) > 1)]:
        for nullable in (False, True) if chosen else ():
            try:
                values = values_over_columns(expression, chosen, nullable)
            except NOT_CONSTANT:
                continue
            except EvaluationError as error:
                if nullable:
                    continue  # the row of NULLs may take a branch that fails
                values = [f"fails: {error}"]
            if set(values) != set(case.rows or ()):
                shown = [literal.value for literal in chosen]
                yield f"{case.sql} with {shown} in columns gives {values} instead of {case.rows}"


@pytest.mark.parametrize(
    "cases",
    [pytest.param(cases, id=str(path.relative_to(HERE).with_suffix(""))) for path, cases in scripts_with_values()],
)
def test_constants_mean_the_same_in_columns(cases: list[Expectation]) -> None:
    wrong = [problem for case in cases for problem in problems(case)]
    assert not wrong, "\n".join(wrong)
