"""Ad-hoc queries on a snapshot, without a server: the Arrow type of each SQL type, literals of collections, INSERT,
several statements, and mistakes."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.errors import MillstreamError
from millstream.formats import build_parser
from millstream.pipeline.adhoc import AdhocEngine
from millstream.pipeline.relations import table_relation
from millstream.sql.compile import compile_program

COLUMNS: list[tuple[str, str, Any, Any]] = [
    # type, Arrow type, input as JSON, value
    ("BOOLEAN", "bool", "true", True),
    ("TINYINT", "int8", "-1", -1),
    ("BIGINT UNSIGNED", "uint64", "18446744073709551615", 2**64 - 1),
    ("REAL", "float", "1.5", 1.5),
    ("DOUBLE", "double", "1.5", 1.5),
    ("DECIMAL(10, 3)", "decimal128(10, 3)", "1.5", "1.500"),
    ("CHAR(3)", "string", '"a"', "a"),
    ("VARCHAR", "string", '"x"', "x"),
    ("BINARY(2)", "large_binary", "[1, 2, 3]", b"\1\2\3"),
    ("DATE", "date32[day]", '"2020-01-02"', "2020-01-02"),
    ("TIME", "time64[ns]", '"10:20:30.123456"', "10:20:30.123456"),
    ("TIMESTAMP", "timestamp[us]", '"2020-01-02 10:20:30"', "2020-01-02 10:20:30"),
    ("TIMESTAMP WITH TIME ZONE", "timestamp[us, tz=UTC]", '"2020-01-02T10:20:30Z"', "2020-01-02 10:20:30+00:00"),
    ("UUID", "string", '"123E4567e89b12d3a456426614174000"', "123e4567-e89b-12d3-a456-426614174000"),
    ("VARIANT", "string", '{"b": "x", "a": null}', '{"a":null,"b":"x"}'),
    ("INT ARRAY", "large_list<item: int32>", "[1, null]", [1, None]),
    ("VARIANT ARRAY", "large_list<item: string>", '["x", 1]', ['"x"', "1"]),
    ("MAP<INT, VARCHAR>", "map<int32, string>", '{"2": "b", "1": "a"}', [(1, "a"), (2, "b")]),
    ("ROW(x INT, v VARIANT)", "struct<x: int32, v: string>", '{"x": 1, "v": "x"}', {"x": 1, "v": '"x"'}),
]
PROGRAM = (
    f"CREATE TABLE t ({', '.join(f'c{i} {c[0]}' for i, c in enumerate(COLUMNS))}) WITH ('materialized' = 'true');\n"
    "CREATE TABLE \"Exact\" (x INT) WITH ('materialized' = 'true'); CREATE TABLE unseen (x INT NOT NULL);"
)


class Asked:
    """A circuit with one row in `t`, and what was asked to be inserted."""

    def __init__(self) -> None:
        program = compile_program(PROGRAM).program
        assert program is not None
        self.circuit = Circuit(program)
        self.inserted: list[tuple[str, list[dict[str, Any]]]] = []
        self.engine = AdhocEngine(program, self._insert)
        parser = build_parser("json", {"update_format": "raw"}, table_relation(program.tables[0]), "test")
        row = ", ".join(f'"c{i}": {c[2]}' for i, c in enumerate(COLUMNS))
        parsed = parser.parse(f"{{{row}}}\n".encode())
        assert not parsed.errors
        self.circuit.step({"t": list(parsed.batches)})

    def _insert(self, table: Any, rows: pa.Table) -> int:
        self.inserted.append((table.name, rows.to_pylist()))
        return rows.num_rows

    def query(self, text: str) -> pa.Table:
        result = self.engine.execute(text, self.circuit.snapshot())
        return pa.Table.from_batches(list(result.batches), result.schema)


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


def test_each_type_has_its_arrow_type_and_value(asked: Asked) -> None:
    rows = asked.query("SELECT * FROM t")
    assert [str(field.type) for field in rows.schema] == [c[1] for c in COLUMNS]
    (row,) = rows.to_pylist()
    shown = [
        value if isinstance(value, bool | int | float | bytes | list | dict) else str(value) for value in row.values()
    ]
    assert shown == [c[3] for c in COLUMNS]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT [1, 2] AS x", [{"x": [1, 2]}]),
        ("SELECT STRUCT(1, 'a') AS x", [{"x": {"c0": 1, "c1": "a"}}]),
        ("SELECT MAP(['k'], [1]) AS x", [{"x": [("k", 1)]}]),
        ("SELECT MAP {'a': 1} AS x", [{"x": [("a", 1)]}]),
        ("SELECT 1.0 / 0 AS x", [{"x": float("inf")}]),
        ("SELECT x FROM (VALUES (2), (NULL), (1)) AS v(x) ORDER BY x", [{"x": 1}, {"x": 2}, {"x": None}]),
        ("SELECT array_sort(c15) AS x FROM T", [{"x": [None, 1]}]),
        ('SELECT COUNT(*) AS n, SUM(x) AS s FROM "Exact"', [{"n": 0, "s": None}]),
        ("PREPARE p AS SELECT c1 FROM t WHERE c1 = $1; EXECUTE p(-1)", [{"c1": -1}]),
        ("SELECT 1 AS x; SELECT 2 AS x;", [{"x": 2}]),
    ],
)
def test_queries(asked: Asked, text: str, expected: list[dict[str, Any]]) -> None:
    assert asked.query(text).to_pylist() == expected


def test_insertions_are_counted_and_not_seen_by_the_same_request(asked: Asked) -> None:
    assert asked.query("INSERT INTO unseen VALUES (2), (3)").to_pylist() == [{"count": 2}]
    assert asked.query('INSERT INTO "Exact" SELECT c1 FROM t; SELECT COUNT(*) AS n FROM "Exact"').to_pylist() == [
        {"n": 0}
    ]
    assert asked.inserted[-2:] == [("unseen", [{"x": 2}, {"x": 3}]), ("Exact", [{"x": -1}])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the query is empty"),
        ("SELECT * FROM unseen", "'unseen' is not materialized"),
        ("SELECT * FROM Exact", "not found"),
        ("SELECT * FROM nothing", "not found"),
        ("SELECT 1 / 0", "Divide by zero error"),
        ("UPDATE t SET c1 = 1", "'UPDATE' statements are not supported"),
        ("INSERT INTO unseen VALUES (NULL)", "is NOT NULL, but a row has NULL there"),
        ("INSERT INTO unseen VALUES (1, 2)", "has 1 target columns but 2 values a row"),
        ("SELECT", "Expected: an expression"),
    ],
)
def test_mistakes_are_errors_of_the_query(asked: Asked, text: str, message: str) -> None:
    with pytest.raises(MillstreamError, match=re.escape(message)) as caught:
        asked.query(text)
    assert caught.value.error_code == "AdHocQueryError"
