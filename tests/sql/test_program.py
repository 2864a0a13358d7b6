"""What a program's relations are: tables, keys, defaults, connectors, views, and the JSON that clients see of them."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from millstream.expressions.evaluate import evaluate_constant
from millstream.plan.program import Program, TableColumn
from millstream.sql.compile import compile_program
from millstream.sql.info import program_info


def compiled(text: str, *, materialize_all: bool = False) -> Program:
    result = compile_program(text, materialize_all)
    assert result.program is not None, result.messages
    return result.program


def info_of(text: str) -> dict[str, Any]:
    return program_info(compiled(text), text)


def column_of(declaration: str) -> TableColumn:
    return compiled(f"CREATE TABLE t ({declaration})").tables[0].columns[0]


def type_of(json_type: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in json_type.items() if value is not None}


@pytest.mark.parametrize("text", ["", "-- nothing", "/* nothing */ ;;", "\n"])
def test_programs_without_statements_compile(text: str) -> None:
    program = compiled(text)
    assert (program.tables, program.views, program.uses_now) == ((), (), False)
    assert [relation["name"] for relation in program_info(program, text)["schema"]["outputs"]] == ["error_view"]


TYPES = [
    ("INT", {"type": "INTEGER", "nullable": True}),
    ("BIGINT NOT NULL", {"type": "BIGINT", "nullable": False}),
    ("INT UNSIGNED", {"type": "UINTEGER", "nullable": True}),
    ("VARCHAR", {"type": "VARCHAR", "nullable": True, "precision": -1}),
    ("VARCHAR(7)", {"type": "VARCHAR", "nullable": True, "precision": 7}),
    ("CHAR", {"type": "CHAR", "nullable": True, "precision": 1}),
    ("TEXT", {"type": "VARCHAR", "nullable": True, "precision": -1}),
    ("DECIMAL(10, 2)", {"type": "DECIMAL", "nullable": True, "precision": 10, "scale": 2}),
    ("DECIMAL(9)", {"type": "DECIMAL", "nullable": True, "precision": 9, "scale": 0}),
    ("DOUBLE PRECISION", {"type": "DOUBLE", "nullable": True}),
    ("TIMESTAMP", {"type": "TIMESTAMP", "nullable": True, "precision": 6}),
    ("TIMESTAMP WITH TIME ZONE", {"type": "TIMESTAMP_TZ", "nullable": True, "precision": 6}),
    ("BINARY(3)", {"type": "BINARY", "nullable": True, "precision": 3}),
    ("BYTEA", {"type": "VARBINARY", "nullable": True, "precision": -1}),
    ("UUID", {"type": "UUID", "nullable": True}),
    ("VARIANT", {"type": "VARIANT", "nullable": True}),
]


@pytest.mark.parametrize(("written", "wanted"), TYPES, ids=[written for written, _ in TYPES])
def test_declared_types_in_the_schema(written: str, wanted: dict[str, Any]) -> None:
    assert type_of(column_of(f"c {written}").type.to_json()) == wanted


def test_nested_types_in_the_schema() -> None:
    text = "CREATE TYPE s AS (x INT, y VARCHAR NOT NULL); CREATE TABLE t (a s ARRAY, m MAP<VARCHAR, INT>, r ROW(p INT))"
    array, mapping, row = (field["columntype"] for field in info_of(text)["schema"]["inputs"][0]["fields"])
    assert array["type"] == "ARRAY"
    assert [(f["name"], f["columntype"]["nullable"]) for f in array["component"]["fields"]] == [
        ("x", True),
        ("y", False),
    ]
    assert (mapping["key"]["nullable"], mapping["value"]["type"]) == (False, "INTEGER")
    assert row["fields"][0]["columntype"]["nullable"] is False


DEFAULTS = [
    ("DOUBLE DEFAULT 1e0", "1.0E0", 1.0),
    ("INT DEFAULT '12'", "'12'", 12),
    ("INT DEFAULT -3", "-3", -3),
    ("INT DEFAULT 1 +   2", "1 + 2", 3),
    ("VARCHAR DEFAULT 'it''s'", "'it''s'", "it's"),
    ("VARCHAR(2) DEFAULT 'abc'", "'abc'", "ab"),
    ("DATE DEFAULT DATE '2020-01-02'", "DATE '2020-01-02'", datetime.date(2020, 1, 2)),
    ("BOOLEAN DEFAULT true", "TRUE", True),
    ("INT DEFAULT NULL", "NULL", None),
]


@pytest.mark.parametrize(("written", "text", "value"), DEFAULTS, ids=[written for written, _, _ in DEFAULTS])
def test_defaults_are_constants_of_the_column_type(written: str, text: str, value: object) -> None:
    column = column_of(f"c {written}")
    assert column.default_text == text
    assert column.default is not None
    assert evaluate_constant(column.default).as_py() == value


def test_keys_may_be_declared_in_the_column_or_for_the_table() -> None:
    program = compiled(
        "CREATE TABLE a (x INT, id INT NOT NULL PRIMARY KEY);"
        "CREATE TABLE b (x INT NOT NULL, y INT, z VARCHAR NOT NULL, PRIMARY KEY (z, x));"
        "CREATE TABLE c (x INT, FOREIGN KEY (x) REFERENCES a (id));"
    )
    assert [table.primary_key for table in program.tables] == [(1,), (2, 0), ()]
    assert [table.queryable for table in program.tables] == [True, True, False]
    keys = [relation["primary_key"] for relation in program_info(program, "")["schema"]["inputs"]]
    assert keys == [["id"], ["z", "x"], None]


def test_names_are_folded_unless_quoted() -> None:
    text = 'CREATE TABLE T (A INT, "B" INT); CREATE VIEW "V" AS SELECT a + 1, "B" AS c FROM t'
    schema = info_of(text)["schema"]
    table, view = schema["inputs"][0], schema["outputs"][1]
    assert (table["name"], table["case_sensitive"]) == ("t", False)
    assert [(f["name"], f["case_sensitive"]) for f in table["fields"]] == [("a", False), ("B", True)]
    assert (view["name"], view["case_sensitive"]) == ("V", True)
    assert [f["name"] for f in view["fields"]] == ["EXPR$0", "c"]


def test_properties_keep_their_places() -> None:
    text = "CREATE TABLE t (a INT)\nWITH ('materialized' = 'TRUE', 'append_only' = 'true');"
    table = info_of(text)["schema"]["inputs"][0]
    assert table["materialized"] is True
    assert table["properties"]["append_only"] == {
        "value": "true",
        "key_position": {"start_line_number": 2, "start_column": 32, "end_line_number": 2, "end_column": 44},
        "value_position": {"start_line_number": 2, "start_column": 48, "end_line_number": 2, "end_column": 53},
    }
    assert compiled(text).tables[0].append_only


def connectors(*entries: dict[str, Any]) -> str:
    return json.dumps(entries)


DATAGEN = {"transport": {"name": "datagen", "config": {"plan": []}}}
NULL = {"transport": {"name": "null_output"}}


def test_connectors_are_named_after_their_relation_and_completed_with_defaults() -> None:
    text = (
        f"CREATE TABLE T (a INT) WITH ('connectors' = '{connectors({**DATAGEN, 'name': 'first'}, DATAGEN)}');"
        f"CREATE VIEW \"V\" WITH ('connectors' = '{connectors({**NULL, 'name': 'out', 'paused': True})}') "
        "AS SELECT a FROM t;"
    )
    info = info_of(text)
    assert list(info["input_connectors"]) == ["t.first", "t.unnamed-1"]
    assert list(info["output_connectors"]) == ["V.out"]
    first, out = info["input_connectors"]["t.first"], info["output_connectors"]["V.out"]
    assert (first["stream"], out["stream"]) == ("t", '"V"')
    assert first == {
        "stream": "t",
        "transport": DATAGEN["transport"],
        "format": None,
        "index": None,
        "enable_output_buffer": False,
        "max_output_buffer_time_millis": 18446744073709551615,
        "max_output_buffer_size_records": 10_000_000,
        "max_queued_records": 1_000_000,
        "paused": False,
        "labels": [],
        "start_after": None,
    }
    assert out["paused"] is True


CONNECTOR_ERRORS = [
    ([{**NULL, "name": "c"}], "expected an input variant but got an output variant for connector 'c'"),
    ([{"name": "c", "transport": {"name": "nope"}}], "unknown variant `nope`"),
    ([{"name": "c"}], "missing field `transport`"),
    ([{**DATAGEN, "name": "c"}, {**DATAGEN, "name": "c"}], "connector name 't.c' is not unique"),
    ([DATAGEN, {**DATAGEN, "name": "unnamed-0"}], "connector name 't.unnamed-0' is not unique"),
    ([{**DATAGEN, "name": "a b"}], "connector name 'a b' is not valid"),
    ([{**DATAGEN, "name": ""}], "name must not be empty"),
    ([{**DATAGEN, "name": "x" * 101}], "longer than 100 characters"),
    ({"name": "c"}, "invalid type: map, expected a sequence"),
    ([3], "expected a connector object"),
    ([{**DATAGEN, "paused": "yes"}], "invalid value for 'paused'"),
    ([{**DATAGEN, "max_queued_records": -1}], "invalid value for 'max_queued_records'"),
    ([{**DATAGEN, "max_batch_size": 2**64}], "invalid value for 'max_batch_size': 18446744073709551616"),
    ([{**DATAGEN, "max_queued_bytes": True}], "invalid value for 'max_queued_bytes': true"),
]


@pytest.mark.parametrize(("value", "message"), CONNECTOR_ERRORS, ids=[message for _, message in CONNECTOR_ERRORS])
def test_mistakes_in_connectors(value: object, message: str) -> None:
    result = compile_program(f"CREATE TABLE t (a INT) WITH ('connectors' = '{json.dumps(value)}')")
    (error,) = [m for m in result.messages if not m.warning]
    assert error.error_type == "ConnectorGenerationError"
    assert message in error.message
    assert error.message.startswith("relation 't'")


def test_what_has_no_effect_on_a_connector_is_warned_of() -> None:
    text = (
        f"CREATE TABLE t (a INT) WITH ('connectors' = '{connectors({**DATAGEN, 'name': 'c', 'send_snapshot': True})}');"
        f"CREATE VIEW v WITH ('connectors' = '{connectors({**NULL, 'name': 'o', 'start_after': 'x', 'labels': []})}') "
        "AS SELECT a FROM t;"
    )
    result = compile_program(text)
    assert [m.message for m in result.messages] == [
        "Property 'send_snapshot' of connector 'c' of table 't' has no effect on an input connector",
        "Property 'start_after' of connector 'o' of view 'v' has no effect on an output connector",
    ]


VIEWS = (
    "CREATE TABLE t (a INT, b INT);"
    "CREATE LOCAL VIEW l AS SELECT a FROM t;"
    "CREATE MATERIALIZED VIEW m AS SELECT * FROM l;"
    "CREATE VIEW v AS SELECT * FROM l;"
)


def test_local_views_are_no_outputs() -> None:
    outputs = info_of(VIEWS)["schema"]["outputs"]
    assert [(view["name"], view["materialized"]) for view in outputs] == [
        ("error_view", False),
        ("m", True),
        ("v", False),
    ]


def test_columns_that_no_output_needs_are_marked() -> None:
    assert [c.unused for c in compiled(VIEWS).tables[0].columns] == [False, True]


def test_columns_needed_by_a_condition_alone_are_used() -> None:
    program = compiled("CREATE TABLE t (a INT, b INT, c INT); CREATE VIEW v AS SELECT a FROM t WHERE b > 0")
    assert [c.unused for c in program.tables[0].columns] == [False, False, True]


def test_everything_can_be_kept_for_queries() -> None:
    program = compiled(VIEWS, materialize_all=True)
    assert all(table.materialized for table in program.tables)
    assert [(view.name, view.materialized) for view in program.views] == [("l", False), ("m", True), ("v", True)]


def test_programs_say_whether_time_moves_them() -> None:
    assert not compiled(VIEWS).uses_now
    assert compiled("CREATE TABLE t (a TIMESTAMP); CREATE VIEW v AS SELECT a FROM t WHERE a < NOW()").uses_now
    assert compiled("CREATE TABLE t (a INT); CREATE VIEW v AS SELECT (SELECT NOW()) AS n FROM t").uses_now


def connector_with(value: str) -> Any:
    """What compiling a connector with that JSON value in its configuration gives."""
    text = """CREATE TABLE t (a INT) WITH ('connectors' = '[{"name": "c", "transport": {"name": "datagen", "config":
        {"seed": %s}}}]')"""
    return compile_program(text % value)


@pytest.mark.parametrize(
    "written, value", [("18446744073709551615", (1 << 64) - 1), ("18446744073709551616", 2.0**64), ("-1e3", -1000.0)]
)
def test_numbers_in_connectors_are_those_that_the_api_can_show(written: str, value: Any) -> None:
    program = connector_with(written).program
    assert program is not None
    seed = program.tables[0].connectors["t.c"]["transport"]["config"]["seed"]
    assert (seed, type(seed)) == (value, type(value))


@pytest.mark.parametrize("written", ["NaN", "-Infinity", "1e400", "-" + "9" * 400])
def test_numbers_in_connectors_that_nobody_can_show_are_refused(written: str) -> None:
    (message,) = [message for message in connector_with(written).messages if not message.warning]
    assert "'connectors' is not legal JSON: number out of range" in message.message
