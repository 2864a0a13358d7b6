"""Functions over lambdas (sql.md §7.8, §11)."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import is_deterministic, may_fail
from millstream.expressions.nodes import ColumnRef, Expression, Lambda, Literal, columns_used, remap_columns
from millstream.expressions.registry import (
    TypeCheckError,
    build_call,
    build_cast,
    build_lambda,
    lambda_parameters,
    takes_lambda,
)
from millstream.types import SqlType
from millstream.types.sql_type import BOOLEAN, INTEGER, UUID, VARCHAR, VARIANT, array
from millstream.types.variant import parse_json, plain_json
from tests.expressions.expression_cases import column, evaluate, literal

LISTS = [[9, 1], [1, None, 3], None, [], [0]]


def over(name: str, collection: Expression, body: Any, captures: tuple[Expression, ...] = ()) -> Expression:
    """`name(collection, (x, ...) -> body(x, ..., captured...))`, bound as SQL would be."""
    types = lambda_parameters(name, [collection])
    inside = [*types, *(c.type for c in captures)]
    return build_call(
        name, [collection, build_lambda(types, body(*(ColumnRef(t, i) for i, t in enumerate(inside))), captures)]
    )


def numbers() -> tuple[Any, Expression]:
    data, sql_type = column(LISTS, array(INTEGER))
    return data, ColumnRef(sql_type, 0)


def test_transform() -> None:
    data, lists = numbers()
    call = over("TRANSFORM", lists, lambda x: build_call("+", [x, literal(1)]))
    assert call.type == array(INTEGER)
    assert evaluate(call, [data], 5) == [[10, 2], [2, None, 4], None, [], [1]]
    text = over("TRANSFORM", lists, lambda x: build_cast(x, VARCHAR))
    assert evaluate(text, [data], 5) == [["9", "1"], ["1", None, "3"], None, [], ["0"]]
    assert evaluate(over("TRANSFORM", lists, lambda x: literal(7)), [data], 5) == [[7, 7], [7] * 3, None, [], [7]]
    assert evaluate(call, [data.slice(0, 0)], 0) == []
    assert evaluate(call, [data.slice(2, 2)], 2) == [None, []]


def test_exists_is_three_valued() -> None:
    data, lists = numbers()
    assert evaluate(over("ARRAY_EXISTS", lists, lambda x: build_call(">", [x, literal(2)])), [data], 5) == [
        True, True, None, False, False,
    ]  # fmt: skip
    assert evaluate(over("ARRAY_EXISTS", lists, lambda x: build_call(">", [x, literal(20)])), [data], 5) == [
        False, None, None, False, False,
    ]  # fmt: skip
    null = Literal(SqlType(BOOLEAN.kind), None)
    assert evaluate(over("ARRAY_EXISTS", lists, lambda x: null), [data], 5) == [None, None, None, False, None]


def test_constant_collections_and_captured_columns() -> None:
    constant = build_call("ARRAY", [literal(1), literal(2)])
    doubled = over("TRANSFORM", constant, lambda x: build_call("*", [x, literal(2)]))
    assert evaluate(doubled, [], 2) == [[2, 4], [2, 4]]
    data, _ = column([10, None, 30])
    captured = over("TRANSFORM", constant, lambda x, y: build_call("+", [x, y]), (ColumnRef(INTEGER, 0),))
    assert evaluate(captured, [data], 3) == [[11, 12], [None, None], [31, 32]]
    assert columns_used(captured) == {0}
    assert evaluate(remap_columns(captured, {0: 1}), [data, column([1, 2, 3])[0]], 3) == [[2, 3], [3, 4], [4, 5]]


def test_lambdas_nest() -> None:
    """TRANSFORM(a, x -> TRANSFORM(a2, y -> x * y)), where the inner lambda captures the parameter of the outer one."""
    data, sql_type = column([[[1, 2], [3]], [], None], array(array(INTEGER)))

    def inner(x: Expression) -> Expression:
        count = build_call("CARDINALITY", [x])
        return over("TRANSFORM", x, lambda y, n: build_call("*", [y, n]), (count,))

    assert evaluate(over("TRANSFORM", ColumnRef(sql_type, 0), inner), [data], 3) == [[[2, 4], [3]], [], None]


def test_failures_of_a_body_surface_only_where_it_is_evaluated() -> None:
    data, lists = numbers()
    call = over("TRANSFORM", lists, lambda x: build_call("/", [literal(1), x]))
    assert may_fail(call)
    with pytest.raises(EvaluationError, match="'1 / 0' causes overflow for type INTEGER"):
        evaluate(call, [data], 5)
    assert evaluate(call, [data.slice(0, 4)], 4) == [[0, 1], [1, None, 0], None, []]
    guarded = build_call("AND", [build_call("<>", [build_call("ITEM", [lists, literal(1)]), literal(0)]),
                                 over("ARRAY_EXISTS", lists, lambda x: build_call(
                                     "=", [build_call("/", [literal(1), x]), literal(1)]))])  # fmt: skip
    assert evaluate(guarded, [data], 5) == [True, True, None, False, False]
    assert is_deterministic(call)
    assert not may_fail(over("TRANSFORM", lists, lambda x: x))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ('{"a":1,"b":"x","c":[2,"y"]}', '{"a":1}'), ('[1,"x",{"a":1}]', "[1]"), ("3", "3"), ('"x"', None),
        (None, None), ("{}", "{}"),
    ],
)  # fmt: skip
def test_filter(value: str | None, kept: str | None) -> None:
    data, _ = column([value, "null"], VARIANT)
    call = over("VARIANT_FILTER", ColumnRef(VARIANT, 0), lambda k, x: build_call(
        "=", [build_call("TYPEOF", [x]), literal("BIGINT UNSIGNED")]))  # fmt: skip
    assert evaluate(call, [data], 2) == [kept, None]


def test_keys_are_parameters() -> None:
    data, _ = column(['{"a":1,"b":2}', "[5,6,7]", "8"], VARIANT)
    value = ColumnRef(VARIANT, 0)
    named = over("VARIANT_FILTER", value, lambda k, x: build_call("=", [k, literal("b")]))
    assert evaluate(named, [data], 3) == ['{"b":2}', "[]", None]
    second = over("VARIANT_FILTER", value, lambda k, x: build_call("=", [k, literal(2)]))
    assert evaluate(second, [data], 3) == ["{}", "[6]", None]
    no_key = over("VARIANT_FILTER", value, lambda k, x: build_call("IS NULL", [k]))
    assert evaluate(no_key, [data], 3) == ["{}", "[]", "8"]


def test_deep_forms() -> None:
    document = '{"a":null,"e":[{"f":1,"g":null},null],"h h":{"i":{"j":2}}}'
    data, _ = column([document, "5", None], VARIANT)
    value = ColumnRef(VARIANT, 0)
    paths = over("VARIANT_DEEP_MAP", value, lambda p, x: p)
    assert evaluate(paths, [data], 3)[0] == (
        '{"a":"a","e":[{"f":"e[1].f","g":"e[1].g"},"e[2]"],"h h":{"i":{"j":"\\"h h\\".i.j"}}}'
    )
    not_null = over("VARIANT_DEEP_FILTER", value, lambda p, x: build_call("<>", [x, build_call("VARIANTNULL", [])]))
    assert evaluate(not_null, [data], 3) == ['{"e":[{"f":1}],"h h":{"i":{"j":2}}}', "5", None]
    pruned = over("VARIANT_DEEP_FILTER", value, lambda p, x: build_call("NOT LIKE", [p, literal("e%")]))
    assert evaluate(pruned, [data], 3)[0] == '{"a":null,"h h":{"i":{"j":2}}}'


def test_map() -> None:
    data, _ = column(['{"a":1,"b":[2]}', "[1]", "4"], VARIANT)
    value = ColumnRef(VARIANT, 0)
    typed = over("VARIANT_MAP", value, lambda k, x: build_call("TYPEOF", [x]))
    assert evaluate(typed, [data], 3) == [
        '{"a":"BIGINT UNSIGNED","b":"ARRAY"}', '["BIGINT UNSIGNED"]', '"BIGINT UNSIGNED"',
    ]  # fmt: skip
    incremented = over("VARIANT_MAP", value, lambda k, x: build_call("+", [build_cast(x, INTEGER), literal(1)]))
    assert [plain_json(v) for v in evaluate(incremented, [data], 3)] == ['{"a":2,"b":null}', "[2]", "5"]


def test_types_survive() -> None:
    parsed = parse_json('{"a":1.0,"b":1}')
    data, _ = column([parsed, '\x1a{"\\u00041":\x11"2020-01-01"}'], VARIANT)
    same = over("VARIANT_DEEP_MAP", ColumnRef(VARIANT, 0), lambda p, x: x)
    assert evaluate(same, [data], 2) == data.to_pylist()


@pytest.mark.parametrize(
    ("name", "collection", "body", "fragment"),
    [
        ("TRANSFORM", VARCHAR, INTEGER, "Cannot apply 'TRANSFORM' to arguments of type"),
        ("ARRAY_EXISTS", UUID, BOOLEAN, "Cannot apply 'ARRAY_EXISTS' to arguments of type"),
        ("ARRAY_EXISTS", array(VARCHAR), INTEGER,
         "Cannot apply 'ARRAY_EXISTS' to arguments of type 'ARRAY_EXISTS(<VARCHAR ARRAY>, "
         "<FUNCTION(VARCHAR)-><INTEGER>>)'"),
        ("VARIANT_FILTER", VARIANT, INTEGER, "VARIANT_FILTER(<VARIANT>, <FUNCTION(VARIANT, VARIANT)-><INTEGER>>)"),
        ("UPPER", VARCHAR, VARCHAR, "does not take a lambda expression"),
    ],
)  # fmt: skip
def test_refused_arguments(name: str, collection: SqlType, body: SqlType, fragment: str) -> None:
    with pytest.raises(TypeCheckError) as caught:
        over(name, ColumnRef(collection, 0), lambda *_: Literal(body, None))
    assert fragment in caught.value.message


def test_lambdas_stand_only_where_one_is_taken() -> None:
    function = Lambda(INTEGER, (INTEGER,), ColumnRef(INTEGER, 0))
    assert not takes_lambda("ABS")
    with pytest.raises(TypeCheckError, match="Cannot apply 'ABS'"):
        build_call("ABS", [function])
    with pytest.raises(TypeCheckError, match="Cannot apply 'TRANSFORM'"):
        build_call("TRANSFORM", [ColumnRef(array(INTEGER), 0), literal(1)])
    with pytest.raises(TypeCheckError, match="Cannot apply 'TRANSFORM'"):
        build_call("TRANSFORM", [ColumnRef(array(INTEGER), 0), Lambda(INTEGER, (), literal(1))])
    with pytest.raises(TypeCheckError, match=r"NOW\(\) is not supported inside a lambda expression"):
        build_lambda([INTEGER], build_call("EXTRACT", [build_call("NOW", [])], ("YEAR",)))
