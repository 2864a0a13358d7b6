"""Bounds of expressions: which there are, and that no value to come is below them."""

from __future__ import annotations

import random
from decimal import Decimal

import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.expressions.evaluate import EvaluationContext, EvaluationError, compile_projection
from millstream.expressions.nodes import ColumnRef
from millstream.operators.ordering import word_codes
from millstream.plan.monotone import bound_of
from millstream.plan.nodes import Project
from millstream.plan.waterlines import Waterlines
from millstream.sql.compile import compile_program
from millstream.types import arrow_type

TABLE = (
    "CREATE TABLE t (n BIGINT NOT NULL, x DOUBLE NOT NULL, p DECIMAL(10, 2) NOT NULL, d DATE NOT NULL, "
    "ts TIMESTAMP NOT NULL, tm TIME NOT NULL, b BOOLEAN NOT NULL, s VARCHAR, other BIGINT NOT NULL)"
)
MONOTONE = [
    "n", "+n", "n + 5", "5 + n", "n - 7", "n + n", "n * 3", "3 * n", "n / 4", "CAST(n AS DOUBLE)", "CAST(x AS INTEGER)",
    "CAST(p AS BIGINT)", "CAST(n AS DECIMAL(18, 1))", "CAST(b AS INTEGER)", "LOG10(ABS(5) + x)", "LN(x)", "SQRT(x)",
    "CEIL(x)", "FLOOR(x)", "ROUND(p, 1)", "TRUNCATE(x, 1)", "SIGN(n)", "EXTRACT(YEAR FROM ts)",
    "EXTRACT(MILLENNIUM FROM d)", "EXTRACT(CENTURY FROM ts)", "EXTRACT(EPOCH FROM ts)", "HOUR(tm)",
    "ts + INTERVAL 1 HOUR", "ts - INTERVAL 1 MONTH", "d + INTERVAL 3 DAYS", "TIMESTAMPADD(DAY, 2, ts)",
    "TIMESTAMP_TRUNC(ts, HOUR)", "DATE_TRUNC(d, MONTH)", "TIME_TRUNC(tm, HOUR)", "FLOOR(ts TO DAY)", "CEIL(ts TO HOUR)",
    "CAST(ts AS DATE)", "CAST(d AS TIMESTAMP)", "TIMESTAMPDIFF(MONTH, TIMESTAMP '2020-01-01 00:00:00', ts)",
    "DATEDIFF(DAY, DATE '2020-01-01', d)", "GREATEST(n, other)", "LEAST(n, 1000)", "CAST(n AS TIMESTAMP)",
]  # fmt: skip
OTHERS = [
    "-n", "5 - n", "n - n", "n * -2", "n * n", "n / -2", "n / n", "n % 10", "ABS(n)",
    "CAST(n AS BOOLEAN)", "CAST(n AS VARCHAR)",
    "EXTRACT(MONTH FROM ts)", "HOUR(ts)", "CAST(ts AS TIME)", "tm + INTERVAL 1 HOUR",
    "CEIL(tm TO HOUR)", "LEAST(n, other)",
    "other", "s", "7", "n > 5", "TIMESTAMPDIFF(DAY, ts, TIMESTAMP '2020-01-01 00:00:00')", "CASE WHEN b THEN n END",
    "COALESCE(s, 'x')", "POWER(x, 2)",
]  # fmt: skip


def expression(text):
    result = compile_program(f"{TABLE}; CREATE VIEW v AS SELECT {text} AS e FROM t;")
    assert result.program is not None, [m.message for m in result.messages]
    plan = result.program.view("v").plan
    while not isinstance(plan, Project):
        (plan,) = plan.inputs
    # Columns in the order of the table: nothing else reads it.
    return plan.expressions[0], plan.input.schema


def known(schema):
    columns = {i: ColumnRef(c.type, i) for i, c in enumerate(schema) if c.name not in ("other", "s")}
    return {column: column for column in columns.values()}


def row(generator):
    values = {
        "n": generator.randint(-50, 50), "x": generator.uniform(-4, 9), "p": None, "d": generator.randint(-800, 20000),
        "ts": generator.randint(-(10**15), 10**15), "tm": generator.randrange(86_400) * 10**9,
        "b": generator.random() < 0.5, "s": "x", "other": generator.randint(-50, 50),
    }  # fmt: skip
    return {**values, "p": generator.randint(-9999, 9999)}


def columns(values, schema):
    made = []
    for column in schema:
        value = values[column.name]
        made.append(pa.array([Decimal(value).scaleb(-2) if column.name == "p" else value], arrow_type(column.type)))
    return made


@pytest.mark.parametrize("text", MONOTONE)
def test_no_value_is_below_the_bound(text):
    found, schema = expression(text)
    bound = bound_of(found, known(schema))
    assert bound is not None
    evaluate, evaluate_bound = compile_projection([found]), compile_projection([bound])
    generator, compared = random.Random(3), 0
    for _ in range(400):
        low, other = row(generator), row(generator)
        high = {name: value if name == "s" else max(value, low[name]) for name, value in other.items()}
        high["other"] = other["other"]
        try:
            value = evaluate(columns(high, schema), 1, EvaluationContext())[0]
            floor = evaluate_bound(columns(low, schema), 1, EvaluationContext())[0]
        except EvaluationError:
            continue
        if value.null_count or floor.null_count:
            continue
        compared += 1
        assert word_codes(value)[0] >= word_codes(floor)[0], (low, high, value, floor)
    assert compared > 50


@pytest.mark.parametrize("text", OTHERS)
def test_other_expressions_have_no_bound(text):
    found, schema = expression(text)
    assert bound_of(found, known(schema)) is None


QUERIES = {
    "SELECT t.ts, u.ts FROM t JOIN u ON t.ts = u.ts": {0, 1},
    "SELECT t.ts, u.ts FROM t JOIN u ON t.k = u.k": set(),
    "SELECT t.ts, u.w FROM t JOIN u ON t.ts = u.w": set(),
    "SELECT t.ts, x.a FROM t, (VALUES (1), (2)) AS x(a)": {0},
    "SELECT ts FROM t UNION ALL SELECT ts FROM u": {0},
    "SELECT ts FROM t UNION ALL SELECT w FROM u": set(),
    "SELECT ts, MAX(ts) FROM t GROUP BY ts": {0},
    "SELECT ts, k, SUM(k) OVER (PARTITION BY k ORDER BY ts) FROM t": {0},
    "SELECT ts, k, SUM(k) OVER (PARTITION BY k ORDER BY ts DESC) FROM t": set(),
    "SELECT ts, k, LEAD(k) OVER (PARTITION BY k ORDER BY ts) FROM t": set(),
    "SELECT ts, k, LAG(k) OVER (PARTITION BY k ORDER BY ts) FROM t": {0},
    "SELECT ts, k FROM t ORDER BY ts LIMIT 3": set(),
    "SELECT ts, NOW() FROM t": set(),
    "SELECT k, c FROM t WHERE c > NOW() - INTERVAL 1 DAY": {1},
    "SELECT ts, c FROM t WHERE c < NOW()": set(),
}


@pytest.mark.parametrize("query", QUERIES)
def test_which_columns_of_a_query_have_a_waterline(query):
    text = (
        "CREATE TABLE t (k BIGINT, ts BIGINT NOT NULL LATENESS 5, c TIMESTAMP);"
        f"CREATE TABLE u (k BIGINT, ts BIGINT NOT NULL LATENESS 5, w BIGINT NOT NULL); CREATE VIEW v AS {query};"
    )
    program = compile_program(text).program
    assert set(Waterlines(program).relation("v")) == QUERIES[query]
    Circuit(program)
