"""JSON functions of ad-hoc queries: what each finds, how calls are rewritten, and what is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream import MillstreamError, Pipeline
from millstream.pipeline.json_calls import rewrite_json_calls

ROWS = [
    {"k": 0, "n": "a", "v": {"a": [1, 2.5, "x", None, True, {"b": "it's"}], "c": {"z": 1, "y": 2}}, "s": ' {"a": -1} '},
    {"k": 1, "n": "c", "v": None, "s": '{"a":'},
    {"k": 2, "n": "a", "v": {"a": 7}, "s": '{"a": 12345678901234567890123.10, "a\\n": 9223372036854775808}'},
    {"k": 3, "n": None, "v": [10, [20]], "s": ""},
]  # fmt: skip


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline("CREATE TABLE t (k INT, n VARCHAR, v VARIANT, s VARCHAR) WITH ('materialized' = 'true')") as pipeline:
        pipeline.push("t", ROWS)
        pipeline.step()
        yield pipeline


def ask(pipeline: Pipeline, expression: str) -> list[Any]:
    found: list[Any] = pipeline.query(f"SELECT {expression} AS x FROM t ORDER BY k").column("x").to_pylist()
    return found


@pytest.mark.parametrize(
    "expression, wanted",
    [
        ("json_get_int(v, 'a', 0)", [1, None, None, None]),
        ("json_get_int(v, 'a', 1)", [None, None, None, None]),  # a fraction is no integer
        ("json_get_int(v, 0)", [None, None, None, 10]),
        ("json_get_int(v, '0')", [None, None, None, None]),  # a key is no index
        ("json_get_int(v, 1, 0)", [None, None, None, 20]),
        ("json_get_int(v, 9)", [None, None, None, None]),
        ("json_get_int(s, 'a\n')", [None, None, None, None]),  # beyond 64 bits
        ("json_get_float(v, 'a', 1)", [2.5, None, None, None]),
        ("json_get_float(v, 'a')", [None, None, 7.0, None]),
        ("json_get_str(v, 'a', 2)", ["x", None, None, None]),
        ("json_get_str(v, 'a')", [None, None, None, None]),
        ("json_get_bool(v, 'a', 4)", [True, None, None, None]),
        ("json_get_bool(v, 'a', 0)", [None, None, None, None]),
        ("json_get_json(v, 'a', 3)", ["null", None, None, None]),
        ("json_get_json(v, 'a', 5)", ['{"b":"it\'s"}', None, None, None]),
        ("json_get_array(v, 1)", [None, None, None, ["20"]]),
        ("json_get_array(v, 'a')[3]", ['"x"', None, None, None]),
        ("json_as_text(v, 'a', 2)", ["x", None, None, None]),
        ("json_as_text(v, 'a', 3)", [None, None, None, None]),
        ("json_as_text(s, 'a')", ["-1", None, "12345678901234567890123.10", None]),
        ("json_contains(v, 'a', 3)", [True, False, False, False]),
        ("json_contains(v)", [True, False, True, True]),
        ("json_contains(s)", [True, False, True, False]),
        ("json_length(v)", [2, None, 1, 2]),
        ("json_length(v, 'a')", [6, None, None, None]),
        ("json_object_keys(v)", [["a", "c"], None, ["a"], None]),
        ("json_keys(v, 'c')", [["y", "z"], None, None, None]),
        ("JSON_GET(v, 'a')", ['[1,2.5,"x",null,true,{"b":"it\'s"}]', None, "7", None]),
        ("json_get(v, 'a')::INT + 1", [None, None, 8, None]),
        ("CAST(json_get(v, 'a', 2) AS VARCHAR)", ["x", None, None, None]),
        ("json_get(v, 'a', 4)::BOOLEAN", [True, None, None, None]),
        ("json_get(v, n)", ['[1,2.5,"x",null,true,{"b":"it\'s"}]', None, "7", None]),
        ("json_get_int(v, lower('A'), k + 0)", [1, None, None, None]),
        ("json_get_int(v, k - 3)", [None, None, None, 10]),
        ("v->'a'->5->>'b'", ["it's", None, None, None]),
        ("t.v -> 'c' ->> 'y' = '2'", [True, None, None, None]),
        ("(v)->>'a' = '7'", [False, None, True, None]),
        ("coalesce(v, '{}')->>'a'", ['[1,2.5,"x",null,true,{"b":"it\'s"}]', None, "7", None]),
        ("upper(json_as_text(json_get(v, 'a'), 5, 'b'))", ["IT'S", None, None, None]),
        ("json_get_int('{\"it''s\": 3}', 'it''s')", [3, 3, 3, 3]),
        ("json_get(NULL, 'a')", [None] * 4),
        ("json_get_int(v, NULL)", [None] * 4),
    ],
)
def test_functions(pipeline: Pipeline, expression: str, wanted: list[Any]) -> None:
    assert ask(pipeline, expression) == wanted


def test_calls_in_every_clause(pipeline: Pipeline) -> None:
    rows = pipeline.query(
        "SELECT json_length(v) AS n, SUM(json_get_int(v, 'a')) AS s FROM t WHERE v->>'a' IS NOT NULL "
        "GROUP BY json_length(v) HAVING COUNT(*) IN (1) ORDER BY json_length(v)"
    )
    assert rows.to_pylist() == [{"n": 1, "s": 7}, {"n": 2, "s": None}]


@pytest.mark.parametrize(
    "statement, rewritten",
    [
        ("SELECT json_get_str(v, 'a', 0, 'b')", 'SELECT json_get_str(v, \'["a",0,"b"]\')'),
        ("SELECT json_length(v)  FROM t", "SELECT json_length(v, '[]')  FROM t"),
        ("SELECT  a.v->'x', 1", "SELECT  json_get(a.v, '[\"x\"]'), 1"),
        ("SELECT v::TEXT->>0", "SELECT json_as_text(v::TEXT, '[0]')"),
        ("SELECT a[1]->'x'", "SELECT json_get(a[1], '[\"x\"]')"),
        ("SELECT x IN (v)->'a'", "SELECT x IN json_get((v), '[\"a\"]')"),
        ("SELECT 'json_get(v, 1)', 'a->b'", "SELECT 'json_get(v, 1)', 'a->b'"),
        ("SELECT json_get FROM t", "SELECT json_get FROM t"),
        ("SELECT array_transform(a, x -> x + 1)", "SELECT array_transform(a, x -> x + 1)"),
        ("SELECT json_get(v, 'a' FROM t", "SELECT json_get(v, 'a' FROM t"),
        ("SELECT json_get(v, 'a", "SELECT json_get(v, 'a"),
        ("SELECT -> 'a'", "SELECT -> 'a'"),
    ],
)
def test_rewriting(statement: str, rewritten: str) -> None:
    assert rewrite_json_calls(statement) == rewritten


@pytest.mark.parametrize("expression", ["json_get_int()", "json_get(1, 'a')->", "json_length(v, 'a' 'b')"])
def test_mistakes_are_errors_of_the_query(pipeline: Pipeline, expression: str) -> None:
    with pytest.raises(MillstreamError, match="Error executing the query"):
        ask(pipeline, expression)
