"""Random nested expressions against a plain interpreter that evaluates one row at a time, lazily as SQL says."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import compile_projection
from millstream.expressions.nodes import Call, Case, ColumnRef, Expression, Literal
from millstream.expressions.registry import build_call, build_case
from millstream.types.sql_type import INTEGER
from tests.expressions.expression_cases import CONTEXT, literal

LOW, HIGH = -(2**31), 2**31 - 1
ROWS = 12


class RowError(Exception):
    """The interpreter's overflow."""


def arithmetic(operator: str, a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if operator == "DIV_NULL":
        return None if b == 0 or (a, b) == (LOW, -1) else arithmetic("/", a, b)
    if b == 0 and operator in "/%":
        raise RowError
    sign = 1 if (a < 0) == (b < 0) else -1
    value = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: abs(a) // abs(b) * sign,
        "%": lambda: abs(a) % abs(b) * (-1 if a < 0 else 1),
        "GREATEST": lambda: max(a, b),
    }[operator]()
    if not LOW <= value <= HIGH:
        raise RowError
    return value


COMPARE = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "<>": lambda a, b: a != b}


def interpret(expression: Expression, row: list[int | None]) -> Any:
    """The value of an expression for one row. Raises RowError."""
    if isinstance(expression, ColumnRef):
        return row[expression.index]
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Case):
        for condition, result in expression.branches:
            if interpret(condition, row) is True:
                return interpret(result, row)
        return interpret(expression.otherwise, row)
    assert isinstance(expression, Call)
    name, arguments = expression.name, expression.arguments
    if name in ("AND", "OR"):
        return connective(name == "OR", arguments, row)
    if name == "COALESCE":
        return next((v for a in arguments if (v := interpret(a, row)) is not None), None)
    values = [interpret(argument, row) for argument in arguments]
    if name == "IS NULL":
        return values[0] is None
    if name == "NOT":
        return None if values[0] is None else not values[0]
    if name in COMPARE:
        return None if None in values else COMPARE[name](*values)
    return arithmetic(name, *values)


def connective(absorbing: bool, arguments: tuple[Expression, ...], row: list[int | None]) -> bool | None:
    result: bool | None = not absorbing
    for argument in arguments:
        value = interpret(argument, row)
        if value is absorbing:
            return absorbing
        result = None if value is None else result
    return result


class Generator:
    """Random expressions over three INTEGER columns."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def number(self, depth: int) -> Expression:
        choice = self.random.random()
        if depth <= 0 or choice < 0.2:
            if self.random.random() < 0.7:
                return ColumnRef(INTEGER, self.random.randrange(3))
            return literal(self.random.randrange(-2, 4))
        if choice < 0.65:
            return build_call(self.random.choice("+-*/%"), [self.number(depth - 1), self.number(depth - 1)])
        if choice < 0.8:
            branches = [(self.condition(depth - 1), self.number(depth - 1)) for _ in range(self.random.randrange(1, 3))]
            return build_case(branches, self.number(depth - 1) if self.random.random() < 0.7 else None)
        name = self.random.choice(["COALESCE", "COALESCE", "NULLIF", "GREATEST", "DIV_NULL"])
        return build_call(name, [self.number(depth - 1), self.number(depth - 1)])

    def condition(self, depth: int) -> Expression:
        choice = self.random.random()
        if depth <= 0 or choice < 0.4:
            name = self.random.choice(list(COMPARE))
            return build_call(name, [self.number(depth - 1), self.number(depth - 1)])
        if choice < 0.8:
            return build_call(self.random.choice(["AND", "OR"]), [self.condition(depth - 1), self.condition(depth - 1)])
        if choice < 0.9:
            return build_call("IS NULL", [self.number(depth - 1)])
        return build_call("NOT", [self.condition(depth - 1)])

    def rows(self) -> list[list[int | None]]:
        values = [None, 0, 1, 2, -1, 3, HIGH, LOW]
        return [[self.random.choice(values) for _ in range(3)] for _ in range(ROWS)]


@pytest.mark.parametrize("seed", range(300))
def test_batches_agree_with_rows(seed: int) -> None:
    generator = Generator(seed)
    expressions = [generator.number(4), generator.number(3)]
    project = compile_projection(expressions)
    good: list[list[int | None]] = []
    expected: list[list[Any]] = []
    for row in generator.rows():
        single = [pa.array([value], pa.int32()) for value in row]
        try:
            values = [interpret(expression, row) for expression in expressions]
        except RowError:
            with pytest.raises(EvaluationError, match=r"causes overflow|divisor of zero"):
                project(single, 1, CONTEXT)
        else:
            good.append(row)
            expected.append(values)
    columns = [pa.array([None, *(row[i] for row in good)], pa.int32()).slice(1) for i in range(3)]
    found = project(columns, len(good), CONTEXT)
    assert [list(values) for values in zip(*(c.to_pylist() for c in found), strict=True)] == expected, f"seed {seed}"
