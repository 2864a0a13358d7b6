"""Each type in each flavour, in and out (connectors.md §14.1)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.formats.json.flavors import FLAVORS
from millstream.types import Field, Kind, Relation, RelationColumn, SqlType, sql_type

from .helpers import delta, encode, one_column, parse, rows

DEFAULT_FORMS = ("default", "datagen", "snowflake", "pandas", "blockchain", "c_hex", "postgres")
STAMP = datetime(2024, 1, 2, 3, 4, 5, 500_000)
UUID_TEXT = "12345678-1234-1234-1234-123456789abc"
POINT = sql_type.struct((Field("x", sql_type.INTEGER), Field("Y", sql_type.VARCHAR, True)))


def read(column_type: SqlType, flavor: str, text: str) -> Any:
    block = parse("json", {"update_format": "raw", "json_flavor": flavor}, one_column(column_type), f'{{"x":{text}}}')
    assert block.errors == (), block.errors
    return rows(block)[0][1]


def write(column_type: SqlType, flavor: str, value: Any) -> str:
    relation = one_column(column_type)
    (buffer,) = encode("json", {"json_flavor": flavor}, relation, delta(relation, [(1, value)]))
    text = buffer.data.decode()
    assert text.startswith('{"insert":{"x":')
    return text.removeprefix('{"insert":{"x":').removesuffix("}}\n")


#: type, flavours, JSON text, value: holds in both directions.
BOTH: list[tuple[SqlType, tuple[str, ...], str, Any]] = [
    (sql_type.BOOLEAN, tuple(FLAVORS), "true", True),
    (sql_type.TINYINT, tuple(FLAVORS), "-128", -128),
    (sql_type.BIGINT, tuple(FLAVORS), "9223372036854775807", 2**63 - 1),
    (sql_type.UBIGINT, ("default", "debezium_mysql"), "18446744073709551615", 2**64 - 1),
    (sql_type.UBIGINT, ("kafka_connect_json_converter",), '"18446744073709551615"', 2**64 - 1),
    (sql_type.REAL, tuple(FLAVORS), "1.5", 1.5),
    (sql_type.DOUBLE, tuple(FLAVORS), "0.1", 0.1),
    (sql_type.DOUBLE, tuple(FLAVORS), "-3.0", -3.0),
    (sql_type.DOUBLE, tuple(FLAVORS), "1e300", 1e300),
    (sql_type.decimal(10, 2), ("default", "datagen", "blockchain", "c_hex"), "12.5", Decimal("12.50")),
    (sql_type.decimal(38, 10), ("default",), "0.0000000001", Decimal("1E-10")),
    (sql_type.decimal(38, 0), ("default",), "9" * 38, Decimal("9" * 38)),
    (sql_type.decimal(10, 2), ("debezium_mysql", "debezium_postgres", "snowflake", "pandas", "postgres"), '"100"', 100),
    (sql_type.VARCHAR, tuple(FLAVORS), '"a\\"b\\\\\\n\\u0001é😀"', 'a"b\\\n\x01é😀'),
    (sql_type.DATE, (*DEFAULT_FORMS, "parquet"), '"2024-01-02"', date(2024, 1, 2)),
    (
        sql_type.DATE,
        ("debezium_mysql", "debezium_postgres", "kafka_connect_json_converter"),
        "-1",
        date(1969, 12, 31),
    ),
    (sql_type.TIME, DEFAULT_FORMS, '"03:04:05.500"', time(3, 4, 5, 500_000)),
    (sql_type.TIME, DEFAULT_FORMS, '"03:04:05"', time(3, 4, 5)),
    (sql_type.TIME, ("debezium_mysql", "debezium_postgres"), "11045000001", time(3, 4, 5, 1)),
    (sql_type.TIME, ("kafka_connect_json_converter",), "11045500", time(3, 4, 5, 500_000)),
    (sql_type.TIME, ("parquet",), "11045500000000", time(3, 4, 5, 500_000)),
    (sql_type.TIMESTAMP, ("default", "blockchain", "c_hex", "postgres"), '"2024-01-02 03:04:05.500"', STAMP),
    (sql_type.TIMESTAMP, ("default",), '"1969-12-31 23:59:59.999999"', datetime(1969, 12, 31, 23, 59, 59, 999_999)),
    (sql_type.TIMESTAMP, ("datagen", "snowflake"), '"2024-01-02T03:04:05.500+00:00"', STAMP),
    (sql_type.TIMESTAMP, ("debezium_mysql",), '"2024-01-02T03:04:05.500Z"', STAMP),
    (
        sql_type.TIMESTAMP,
        ("debezium_postgres", "kafka_connect_json_converter", "pandas", "clock_input"),
        "1704164645500",
        STAMP,
    ),
    (sql_type.TIMESTAMP, ("pandas",), "-1", datetime(1969, 12, 31, 23, 59, 59, 999_000)),
    (sql_type.TIMESTAMP_TZ, ("default",), '"2024-01-02 03:04:05.500+00:00"', STAMP.replace(tzinfo=UTC)),
    (sql_type.TIMESTAMP_TZ, ("pandas",), "1704164645500", STAMP.replace(tzinfo=UTC)),
    (sql_type.UUID, tuple(FLAVORS), f'"{UUID_TEXT}"', bytes.fromhex(UUID_TEXT.replace("-", ""))),
    (sql_type.VARBINARY, ("default", "datagen", "snowflake", "debezium_mysql"), "[0,12,255]", b"\x00\x0c\xff"),
    (sql_type.VARBINARY, ("blockchain",), '"2NEpo7TZRRrLZSi2U"', b"Hello World!"),
    (sql_type.VARBINARY, ("blockchain",), '"11233QC4"', b"\x00\x00\x28\x7f\xb4\xcd"),
    (sql_type.VARBINARY, ("c_hex",), '"0x000cff"', b"\x00\x0c\xff"),
    (sql_type.VARBINARY, ("postgres",), '"\\\\x000cff"', b"\x00\x0c\xff"),
    (sql_type.VARBINARY, ("parquet",), '"AAz/"', b"\x00\x0c\xff"),
    (sql_type.VARIANT, ("default", "datagen", "c_hex", "postgres"), '{"a":[1,"x"],"b":1.5}', '{"a":[1,"x"],"b":1.5}'),
    (sql_type.VARIANT, ("snowflake", "pandas", "blockchain", "debezium_mysql"), '"{\\"a\\":[1]}"', '{"a":[1]}'),
    (sql_type.array(sql_type.DATE), DEFAULT_FORMS, '["2024-01-02",null]', [date(2024, 1, 2), None]),
    (sql_type.array(sql_type.array(sql_type.INTEGER)), ("default",), "[[1,2],[],null,[3]]", [[1, 2], [], None, [3]]),
    (sql_type.map_of(sql_type.VARCHAR, sql_type.DOUBLE), ("default",), '{"a":1.5,"b":null}', [("a", 1.5), ("b", None)]),
    (sql_type.map_of(sql_type.BIGINT, sql_type.BOOLEAN), ("default",), '{"2":true,"9":null}', [(2, True), (9, None)]),
    (sql_type.map_of(sql_type.DATE, POINT), ("default",), '{"2024-01-02":{"x":1,"Y":"a"}}',
     [(date(2024, 1, 2), {"x": 1, "Y": "a"})]),
    (POINT, ("default",), '{"x":1,"Y":null}', {"x": 1, "Y": None}),
]  # fmt: skip


@pytest.mark.parametrize("column_type, flavors, text, value", BOTH, ids=lambda v: str(v)[:40])
def test_both_directions(column_type: SqlType, flavors: tuple[str, ...], text: str, value: Any) -> None:
    for flavor in flavors:
        assert read(column_type, flavor, text) == value
        assert json.loads(write(column_type, flavor, value)) == json.loads(text)
        assert read(column_type, flavor, write(column_type, flavor, value)) == value


@pytest.mark.parametrize(
    "column_type, flavor, text, value",
    [
        (sql_type.decimal(10, 2), "default", '"12.5"', Decimal("12.5")),
        (sql_type.decimal(10, 2), "snowflake", "1.25e1", Decimal("12.5")),
        (sql_type.decimal(10, 2), "default", "0.125", Decimal("0.12")),
        (sql_type.decimal(10, 2), "default", "0.135", Decimal("0.14")),
        (sql_type.decimal(30, 20), "default", "0.1000000000000000000001", Decimal("0.1")),
        (sql_type.DOUBLE, "default", '"1e3"', 1000.0),
        (sql_type.INTEGER, "debezium_mysql", '"12"', 12),
        (sql_type.TIMESTAMP, "default", '"2024-01-02T05:04:05.5+02:00"', STAMP),
        (sql_type.TIMESTAMP, "default", '" 2024-1-2 3:4:5.5000009 "', STAMP),
        (sql_type.TIMESTAMP, "pandas", '"2024-01-02 03:04:05.5"', STAMP),
        (sql_type.TIMESTAMP_TZ, "default", '"2024-01-02T05:04:05.5+02:00"', STAMP.replace(tzinfo=UTC)),
        (sql_type.DATE, "default", '" 2024-1-2"', date(2024, 1, 2)),
        (sql_type.DATE, "pandas", "1704164645500", date(2024, 1, 2)),
        (sql_type.TIME, "default", '"3:4:5"', time(3, 4, 5)),
        (sql_type.UUID, "default", '"{12345678123412341234123456789ABC}"', bytes.fromhex(UUID_TEXT.replace("-", ""))),
        (sql_type.VARBINARY, "c_hex", '"0CfF"', b"\x0c\xff"),
        (sql_type.VARIANT, "default", '{ "b" : 1.50, "a" : [ 1e2, -0.0 ], "a":"\\u0041" }', '{"a":"A","b":1.5}'),
        (sql_type.VARIANT.with_nullable(False), "default", "null", "null"),
        (sql_type.VARIANT, "default", "null", None),
        (sql_type.map_of(sql_type.VARCHAR, sql_type.INTEGER), "default", '{"b":1,"a":2}', [("a", 2), ("b", 1)]),
        (POINT, "default", '{"X":1,"y":"no","z":3}', {"x": 1, "Y": None}),
        (POINT, "default", '[7,"a"]', {"x": 7, "Y": "a"}),
    ],
)
def test_lenient_input(column_type: SqlType, flavor: str, text: str, value: Any) -> None:
    assert read(column_type, flavor, text) == value


@pytest.mark.parametrize(
    "column_type, flavor, text",
    [
        (sql_type.BOOLEAN, "default", "1"),
        (sql_type.TINYINT, "default", "128"),
        (sql_type.UTINYINT, "default", "-1"),
        (sql_type.INTEGER, "default", "1.0"),
        (sql_type.INTEGER, "default", '"1"'),
        (sql_type.UBIGINT, "default", "18446744073709551616"),
        (sql_type.DOUBLE, "default", "1e999"),
        (sql_type.REAL, "default", "1e39"),
        (sql_type.DOUBLE, "default", '"NaN"'),
        (sql_type.decimal(4, 2), "default", "100"),
        (sql_type.decimal(4, 2), "default", "99.995"),
        (sql_type.decimal(4, 2), "default", "true"),
        (sql_type.VARCHAR, "default", "1"),
        (sql_type.DATE, "default", '"2023-02-29"'),
        (sql_type.DATE, "default", "19000"),
        (sql_type.TIME, "default", '"24:00:00"'),
        (sql_type.TIME, "debezium_mysql", "86400000000"),
        (sql_type.TIMESTAMP, "default", "1704164645500"),
        (sql_type.TIMESTAMP, "default", '"2024-01-02"'),
        (sql_type.TIMESTAMP, "pandas", "1e3"),
        (sql_type.UUID, "default", '"123"'),
        (sql_type.VARBINARY, "default", "[256]"),
        (sql_type.VARBINARY, "default", '"ab"'),
        (sql_type.VARBINARY, "c_hex", '"0x1"'),
        (sql_type.VARBINARY, "blockchain", '"0OIl"'),
        (sql_type.VARIANT, "snowflake", '"{"'),
        (sql_type.array(sql_type.INTEGER), "default", '[1,"a"]'),
        (sql_type.map_of(sql_type.INTEGER, sql_type.INTEGER), "default", '{"a":1}'),
        (sql_type.struct((Field("x", sql_type.INTEGER.with_nullable(False)),)), "default", "{}"),
    ],
)
def test_refused_input(column_type: SqlType, flavor: str, text: str) -> None:
    config = {"update_format": "raw", "json_flavor": flavor}
    block = parse("json", config, one_column(column_type), f'{{"x":{text}}}')
    assert block.batches == ()
    assert block.errors[0].field == "x"


def test_numbers_that_json_lacks_are_null() -> None:
    for column_type in (sql_type.REAL, sql_type.DOUBLE):
        for value in (float("nan"), float("inf"), float("-inf")):
            assert write(column_type, "default", value) == "null"


def test_decimals_keep_every_digit_and_no_zeros() -> None:
    wide = sql_type.decimal(38, 20)
    for text in ("0.00000000000000000001", "123456789012345678.12345678901234567891", "-0.5", "0", "100"):
        assert write(wide, "default", Decimal(text)) == text
        assert read(wide, "default", text) == Decimal(text)


def test_intervals_have_no_form() -> None:
    interval = SqlType(Kind.INTERVAL_YEAR)
    with pytest.raises(MillstreamError, match="serialization is not implemented for the INTERVAL type"):
        write(interval, "default", 3)


def test_the_null_type_is_null() -> None:
    assert write(sql_type.NULL, "default", None) == "null"


@pytest.mark.parametrize("kind", [Kind.GEOMETRY, Kind.INTERVAL_DAY])
@pytest.mark.parametrize("times", [1, 100])
def test_types_that_cannot_be_read_take_null_only(kind: Kind, times: int) -> None:
    relation = Relation("t", (RelationColumn("id", sql_type.BIGINT), RelationColumn("x", SqlType(kind))))
    data = b'{"insert":{"id":1}}\n{"insert":{"id":2,"x":null}}\n{"insert":{"id":3,"x":{"x":1}}}\n' * times
    block = parse("json", {}, relation, data)
    assert block.num_records == 2 * times
    assert len(block.errors) == times
    assert f"deserialization is not implemented for the {kind.name.split('_')[0]} type" in block.errors[0].description
