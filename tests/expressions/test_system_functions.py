"""Points, logging and connector metadata (sql.md §2.1, §7.2, §7.5)."""

from __future__ import annotations

import logging

import pytest

from millstream.expressions.evaluate import EvaluationContext, compile_projection, is_deterministic
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import TypeCheckError, build_call, build_case, build_cast
from millstream.types import Kind, SqlType
from millstream.types.sql_type import DOUBLE, INTEGER, VARCHAR, VARIANT, array
from tests.expressions.expression_cases import Typed, apply, column, evaluate, literal, type_error

POINT = SqlType(Kind.GEOMETRY)


def test_points() -> None:
    assert apply("ST_POINT", 1.5, -2.0) == {"x": 1.5, "y": -2.0}
    assert apply("ST_POINT", 1, 2) == {"x": 1.0, "y": 2.0}
    assert apply("ST_POINT", Typed(None, DOUBLE), 2) is None


def test_distance_is_haversine_in_metres() -> None:
    columns = [column(v)[0] for v in ([0.0, 0.0, 2.3488, 0.0], [0.0, 0.0, 48.8534, 0.0],
                                      [0.0, 1.0, -0.1257, None], [0.0, 0.0, 51.5085, 0.0])]  # fmt: skip
    a, b = (build_call("ST_POINT", [ColumnRef(DOUBLE, i), ColumnRef(DOUBLE, i + 1)]) for i in (0, 2))
    found = evaluate(build_call("ST_DISTANCE", [a, b]), columns, 4)
    assert found[:2] == [0.0, pytest.approx(111_195.0797, abs=1e-3)]  # a degree on the equator
    assert found[2] == pytest.approx(343_600, rel=1e-3)  # Paris to London
    assert found[3] is None
    assert "Cannot apply 'ST_DISTANCE'" in type_error("ST_DISTANCE", DOUBLE, POINT)
    assert evaluate(build_call("<=>", [a, a]), columns, 4) == [True] * 4


def test_writelog_logs_each_row_and_returns_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "millstream.writelog")
    data, sql_type = column([1, None, 3])
    call = build_call("WRITELOG", [literal("x is %%, %%!"), ColumnRef(sql_type, 0)])
    assert call.type == INTEGER
    assert evaluate(call, [data], 3) == [1, None, 3]
    assert [r.getMessage() for r in caplog.records] == ["x is 1, 1!", "x is NULL, NULL!", "x is 3, 3!"]
    caplog.clear()
    lists, _ = column([[1, None]])
    assert evaluate(build_call("WRITELOG", [literal("%%"), ColumnRef(array(INTEGER), 0)]), [lists], 1) == [[1, None]]
    assert [r.getMessage() for r in caplog.records] == ["[1,null]"]
    caplog.clear()
    constant = compile_projection([build_call("WRITELOG", [literal("once a batch: %%"), literal(5)])])
    assert not caplog.records
    assert constant((), 2, EvaluationContext())[0].to_pylist() == [5, 5]
    assert len(caplog.records) == 1


def test_writelog_wants_a_literal_format() -> None:
    with pytest.raises(TypeCheckError, match="WRITELOG expects a string literal as its first argument"):
        build_call("WRITELOG", [ColumnRef(VARCHAR, 0), literal(1)])
    assert "Cannot apply 'WRITELOG'" in type_error("WRITELOG", INTEGER, INTEGER)


def test_metadata_comes_from_the_context() -> None:
    call = build_call("CONNECTOR_METADATA", [])
    assert call.type == VARIANT
    assert not is_deterministic(call)
    offset = build_cast(build_call("ITEM", [call, literal("offset")]), INTEGER)
    metadata, _ = column(['{"offset":5}', None, '{"offset":7}'], VARIANT)
    guard, _ = column([1, 1, 0])
    fallible = build_call("=", [build_call("/", [literal(1), ColumnRef(INTEGER, 0)]), literal(1)])
    guarded = build_case(
        [(build_call("=", [ColumnRef(INTEGER, 0), literal(0)]), literal(-1)), (fallible, offset)], None
    )
    project = compile_projection([call, offset, guarded])
    found = project([guard], 3, EvaluationContext(metadata=metadata))
    assert [f.to_pylist() for f in found] == [metadata.to_pylist(), [5, None, 7], [5, None, -1]]
    assert [f.to_pylist() for f in project([guard], 3, EvaluationContext())][1:] == [[None] * 3, [None, None, -1]]
    assert (
        type_error("CONNECTOR_METADATA", INTEGER)
        == "Invalid number of arguments to function 'CONNECTOR_METADATA'. Was expecting 0 arguments"
    )
