"""The evaluator: laziness, shared subexpressions, constants, empty batches, predicates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import (
    EvaluationContext,
    compile_predicate,
    compile_projection,
    evaluate_constant,
)
from millstream.expressions.nodes import ColumnRef, Expression, Literal
from millstream.expressions.registry import TypeCheckError, build_call, build_case, build_cast
from millstream.types.sql_type import (
    BOOLEAN,
    DOUBLE,
    INTEGER,
    NULL,
    REAL,
    TIMESTAMP,
    VARCHAR,
    array,
    char,
    decimal,
    map_of,
)
from tests.expressions.expression_cases import CONTEXT, column, evaluate, literal

A, B = ColumnRef(INTEGER, 0), ColumnRef(INTEGER, 1)
QUOTIENT = build_call("/", [A, B])
COLUMNS = [column([10, 7, None, 9])[0], column([2, 0, 0, 3])[0]]
IS_ZERO = build_call("=", [B, literal(0)])


def test_case_evaluates_only_the_chosen_branch() -> None:
    guarded = build_case([(IS_ZERO, literal(-1))], QUOTIENT)
    assert evaluate(guarded, COLUMNS, 4) == [5, -1, -1, 3]
    second = build_case([(IS_ZERO, literal(-1)), (build_call(">", [QUOTIENT, literal(4)]), literal(1))], literal(2))
    assert evaluate(second, COLUMNS, 4) == [1, -1, -1, 2]


def test_case_without_else_is_null() -> None:
    expression = build_case([(IS_ZERO, literal(1))], None)
    assert expression.type.nullable
    assert evaluate(expression, COLUMNS, 4) == [None, 1, 1, None]


def test_case_branches_take_their_common_type() -> None:
    mixed = build_case([(IS_ZERO, literal(1)), (build_call("=", [B, literal(2)]), literal(2.5))], None)
    assert evaluate(mixed, COLUMNS, 4) == [2.5, 1.0, 1.0, None]
    padded = build_case([(IS_ZERO, Literal(char(1, False), "a"))], Literal(char(3, False), "bcd"))
    assert padded.type == char(3, False)
    assert evaluate(padded, COLUMNS, 4) == ["bcd", "a  ", "a  ", "bcd"]
    with pytest.raises(TypeCheckError, match="Parameters must be of the same type"):
        build_case([(IS_ZERO, ColumnRef(array(INTEGER), 0))], ColumnRef(map_of(VARCHAR, INTEGER), 1))


def test_case_of_nested_values() -> None:
    lists = [column([[1], [2], None, [3]], array(INTEGER))[0], COLUMNS[1]]
    expression = build_case([(IS_ZERO, ColumnRef(array(INTEGER), 0))], Literal(array(INTEGER), (7, None)))
    assert evaluate(expression, lists, 4) == [[7, None], [2], None, [7, None]]


def test_connectives_evaluate_their_right_side_only_where_it_matters() -> None:
    positive = build_call(">", [QUOTIENT, literal(3)])
    nonzero = build_call("<>", [B, literal(0)])
    assert evaluate(build_call("AND", [nonzero, positive]), COLUMNS, 4) == [True, False, False, False]
    assert evaluate(build_call("OR", [IS_ZERO, positive]), COLUMNS, 4) == [True, True, True, False]
    with pytest.raises(EvaluationError, match="'7 / 0' causes overflow for type INTEGER"):
        evaluate(build_call("AND", [positive, nonzero]), COLUMNS, 4)


def test_coalesce_evaluates_later_arguments_only_for_nulls() -> None:
    data = [column([None, 1, None])[0], column([2, 0, 1])[0]]
    assert evaluate(build_call("COALESCE", [A, build_call("/", [literal(8), B])]), data, 3) == [4, 1, 8]


def test_nested_guards() -> None:
    inner = build_case([(IS_ZERO, Literal(NULL, None))], QUOTIENT)
    outer = build_case([(build_call("IS NULL", [A]), literal(0))], build_call("+", [inner, QUOTIENT]))
    data = [column([8, None, 9])[0], column([2, 0, 3])[0]]
    assert evaluate(outer, data, 3) == [8, 0, 6]


def test_values_remembered_on_all_rows_serve_narrowed_ones() -> None:
    shared = build_call("+", [A, B])
    guarded = build_case([(IS_ZERO, literal(0))], build_call("/", [shared, B]))
    data = [column([8, 5, 9])[0], column([2, 0, 3])[0]]
    found = compile_projection([shared, guarded])(data, 3, CONTEXT)
    assert [c.to_pylist() for c in found] == [[10, 5, 12], [5, 0, 4]]


def test_an_operand_that_failed_on_rows_that_do_not_count_is_guarded_from_then_on() -> None:
    """Any batch may come first: all rows are tried until that fails."""
    good, bad = [column([8, None, 9])[0], column([2, 1, 3])[0]], COLUMNS
    positive = build_call(">", [QUOTIENT, literal(3)])
    cases = [
        (build_case([(IS_ZERO, literal(-1))], QUOTIENT), [4, None, 3], [5, -1, -1, 3]),
        (build_case([(IS_ZERO, literal(0)), (positive, literal(1))], literal(2)), [1, 2, 2], [1, 0, 0, 2]),
        (
            build_call("AND", [build_call("<>", [B, literal(0)]), positive]),
            [True, None, False],
            [True, False, False, False],
        ),
        (build_call("OR", [IS_ZERO, positive]), [True, None, False], [True, True, True, False]),
    ]
    for expression, of_good, of_bad in cases:
        project = compile_projection([expression])
        for data, wanted in ((good, of_good), (bad, of_bad), (good, of_good), (bad, of_bad)):
            assert project(data, len(wanted), CONTEXT)[0].to_pylist() == wanted


def test_an_operand_that_fails_on_a_row_that_counts_fails_the_batch_before_and_after() -> None:
    project = compile_projection([build_case([(build_call("IS NULL", [A]), literal(0))], QUOTIENT)])
    for _ in range(2):
        with pytest.raises(EvaluationError, match="'7 / 0' causes overflow"):
            project(COLUMNS, 4, CONTEXT)


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[list[int]]:
    calls: list[int] = []
    original = getattr(pc, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pc, name, counted)
        yield calls


def test_common_subexpressions_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting(monkeypatch, "utf8_reverse") as calls:
        # the registry holds the original kernel, so count through a kernel that looks it up when called
        text = build_cast(A, VARCHAR)
        length = build_call("LENGTH", [text])
        with counting(monkeypatch, "utf8_length") as lengths:
            project = compile_projection(
                [build_call("+", [length, literal(1)]), length, build_call("*", [length, length])]
            )
            found = project([COLUMNS[0]], 4, CONTEXT)
    assert [c.to_pylist() for c in found] == [[3, 2, None, 2], [2, 1, None, 1], [4, 1, None, 1]]
    assert len(lengths) == 1
    assert calls == []


def test_constants_are_computed_when_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    expression = build_call("+", [A, build_call("LENGTH", [literal("abc")])])
    project = compile_projection([expression])
    with counting(monkeypatch, "utf8_length") as calls:
        assert project([COLUMNS[0]], 4, CONTEXT)[0].to_pylist() == [13, 10, None, 12]
    assert calls == []


def test_failing_constants_fail_only_when_a_row_needs_them() -> None:
    failing = build_call("/", [literal(1), literal(0)])
    project = compile_projection([failing])
    assert project([], 0, CONTEXT)[0].to_pylist() == []
    with pytest.raises(EvaluationError, match="'1 / 0' causes overflow"):
        project([], 1, CONTEXT)
    never = build_case([(build_call("IS NULL", [A]), failing)], literal(2))
    assert evaluate(never, [column([1, 2])[0]], 2) == [2, 2]


def test_constant_columns_have_the_length_of_the_batch() -> None:
    found = compile_projection([literal("x"), Literal(decimal(5, 2), None), build_call("IS NULL", [literal(1)])])(
        [], 3, CONTEXT
    )
    assert [c.to_pylist() for c in found] == [["x"] * 3, [None] * 3, [False] * 3]


def test_predicates_take_null_for_false() -> None:
    decide = compile_predicate(build_call(">", [A, literal(8)]))
    assert decide(COLUMNS, 4, CONTEXT).tolist() == [True, False, False, True]
    assert decide([c.slice(0, 0) for c in COLUMNS], 0, CONTEXT).tolist() == []
    assert compile_predicate(Literal(BOOLEAN, None))([], 2, CONTEXT).tolist() == [False, False]
    assert compile_predicate(literal(True))([], 2, CONTEXT).dtype == np.bool_


def test_now_needs_a_step() -> None:
    now = build_call("NOW", [])
    assert now.type == TIMESTAMP.with_nullable(False)
    project = compile_projection([now])
    assert project([], 2, EvaluationContext(now_us=5))[0].cast(pa.int64()).to_pylist() == [5, 5]
    with pytest.raises(EvaluationError, match="only while a pipeline runs"):
        project([], 1, EvaluationContext())
    assert project([], 1, EvaluationContext(now_us=7))[0].cast(pa.int64()).to_pylist() == [7]


def test_evaluate_constant() -> None:
    assert evaluate_constant(build_call("+", [literal(1), literal(2)])).as_py() == 3
    with pytest.raises(EvaluationError):
        evaluate_constant(build_cast(literal("x"), INTEGER))


@pytest.mark.parametrize("name", ["+", "-", "*", "/", "%"])
@pytest.mark.parametrize("sql_type", [INTEGER, REAL, DOUBLE, decimal(10, 2), decimal(38, 20)], ids=str)
def test_values_under_nulls_do_not_matter(name: str, sql_type: Any) -> None:
    """Arrow columns may hold anything under a NULL: here the operands of certain failures."""
    data_type = pa.decimal128(sql_type.precision, sql_type.scale) if sql_type.precision else None
    garbage = pa.Array.from_buffers(
        data_type or {INTEGER: pa.int32(), REAL: pa.float32(), DOUBLE: pa.float64()}[sql_type],
        2,
        [pa.array([False, False]).buffers()[1], pa.py_buffer(b"\x00" * 64)],
    )
    operands = [ColumnRef(sql_type, 0), ColumnRef(sql_type, 1)]
    call = build_call(name, operands)
    assert evaluate(call, [garbage, garbage], 2) == [None, None]


def test_long_conditions_compile() -> None:
    condition: Expression = build_call("=", [A, literal(0)])
    for number in range(1, 600):
        condition = build_call("OR", [condition, build_call("=", [build_call("/", [A, B]), literal(number)])])
    assert evaluate(condition, [column([0, 8, 9])[0], column([0, 2, 1])[0]], 3) == [True, True, True]


def test_zeros_keep_their_signs() -> None:
    found = compile_projection([literal(0.0), literal(-0.0)])([], 1, CONTEXT)
    assert [repr(c.to_pylist()) for c in found] == ["[0.0]", "[-0.0]"]


def test_deep_expressions_compile() -> None:
    expression: Expression = A
    for _ in range(150):
        expression = build_call("+", [expression, literal(1)])
    assert evaluate(expression, [column([0, None])[0]], 2) == [150, None]
