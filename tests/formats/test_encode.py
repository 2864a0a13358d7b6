"""Output: order, weights, buffers and envelopes of every format."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from millstream.errors import MillstreamError
from millstream.formats import build_parser
from millstream.formats.json.config import encoder_config
from millstream.formats.json.encode import JsonEncoder
from millstream.types import Field, Relation, RelationColumn, sql_type
from millstream.zset.delta import Delta

from .helpers import ID_NAME, delta, encode, one_column, rows

D = Decimal("1.25")
CHANGES = delta(ID_NAME, [(1, 3, "c", D), (-1, 9, "z", None), (2, 1, None, D), (-2, 2, "b", D), (1, 1, "a", D)])


def events(buffers: list[Any]) -> list[Any]:
    return [json.loads(line) for buffer in buffers for line in buffer.data.splitlines()]


def test_deletes_come_first_each_in_row_order_and_weights_repeat() -> None:
    (buffer,) = encode("json", {}, ID_NAME, CHANGES)
    assert buffer.num_records == 7
    assert buffer.data.splitlines()[0] == b'{"delete":{"id":2,"name":"b","amount":1.25}}'
    found = [(*event, *event.popitem()[1].values()) for event in events([buffer])]
    assert [row[:3] for row in found] == [
        ("delete", 2, "b"),
        ("delete", 2, "b"),
        ("delete", 9, "z"),
        ("insert", 1, None),
        ("insert", 1, None),
        ("insert", 1, "a"),
        ("insert", 3, "c"),
    ]


def test_buffers_hold_so_many_records() -> None:
    buffers = encode("json", {"buffer_size_records": 3}, ID_NAME, CHANGES)
    assert [buffer.num_records for buffer in buffers] == [3, 3, 1]
    assert all(buffer.data.count(b"\n") == buffer.num_records for buffer in buffers)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_arrays_wrap_each_buffer(size: int) -> None:
    buffers = encode("json", {"array": True, "buffer_size_records": size}, ID_NAME, CHANGES)
    decoded = [json.loads(buffer.data) for buffer in buffers]
    assert [len(array) for array in decoded] == [buffer.num_records for buffer in buffers]
    assert [event for array in decoded for event in array] == events(encode("json", {}, ID_NAME, CHANGES))


def test_egress_forces_arrays_and_expands_csv_weights() -> None:
    (buffer,) = encode("json", {}, ID_NAME, CHANGES, for_egress=True)
    assert len(json.loads(buffer.data)) == 7
    (buffer,) = encode("csv", {}, ID_NAME, CHANGES, for_egress=True)
    assert buffer.data.startswith(b"2,b,1.25,-1\n2,b,1.25,-1\n9,z,,-1\n1,,1.25,1\n1,,1.25,1\n")


def test_csv_rows_carry_their_weight() -> None:
    (buffer,) = encode("csv", {}, ID_NAME, CHANGES)
    assert buffer.data == b"2,b,1.25,-2\n9,z,,-1\n1,,1.25,2\n1,a,1.25,1\n3,c,1.25,1\n"
    (buffer,) = encode("csv", {"delimiter": "|"}, ID_NAME, CHANGES)
    assert buffer.data.startswith(b"2|b|1.25|-2\n")


def test_csv_quotes_only_what_needs_it() -> None:
    relation = one_column(sql_type.VARCHAR)
    values = ["a", 'b"c', "d,e", "f\ng", "h\ri", " j "]
    (buffer,) = encode("csv", {}, relation, delta(relation, [(1, value) for value in values]))
    assert sorted(buffer.data.split(b",1\n")) == sorted(
        [b"", b"a", b'"b""c"', b'"d,e"', b'"f\ng"', b'"h\ri"', b" j "]
    )  # fmt: skip
    assert {row[1] for row in rows(build_parser("csv", {}, relation, "t.c").parse(buffer.data))} == set(values)


def test_csv_numbers_and_nested_values() -> None:
    relation = Relation(
        "v", (RelationColumn("d", sql_type.DOUBLE), RelationColumn("a", sql_type.array(sql_type.VARCHAR)))
    )
    changes = delta(relation, [(1, float("nan"), ["x", None]), (1, float("-inf"), []), (1, float("inf"), None)])
    (buffer,) = encode("csv", {}, relation, changes)
    assert buffer.data == b'-inf,[],1\ninf,,1\nNaN,"[""x"",null]",1\n'


def test_nothing_to_encode_gives_no_buffers() -> None:
    for name in ("json", "csv"):
        assert encode(name, {}, ID_NAME, delta(ID_NAME, [])) == []


def test_snowflake_numbers_its_records() -> None:
    encoder = JsonEncoder(ID_NAME, encoder_config({"update_format": "snowflake"}, ID_NAME, "v.c"), stream_id=42)
    first = events(list(encoder.encode(CHANGES)))
    assert first[0] == {
        "id": 2, "name": "b", "amount": "1.25", "__action": "delete", "__stream_id": 42, "__seq_number": 0,
    }  # fmt: skip
    assert first[-1]["__action"] == "insert"
    assert [event["__seq_number"] for event in first] == list(range(7))
    assert events(list(encoder.encode(CHANGES)))[0]["__seq_number"] == 7


def test_debezium_keys_values_and_schemas() -> None:
    buffers = encode("json", {"update_format": "debezium", "key_fields": ["ID"]}, ID_NAME, CHANGES)
    assert all(buffer.num_records == 1 for buffer in buffers)
    key, value = json.loads(buffers[0].key), json.loads(buffers[0].data)
    assert key["payload"] == {"id": 2}
    assert key["schema"]["name"] == "Key"
    assert value["payload"] == {"op": "d", "before": {"id": 2, "name": "b", "amount": "1.25"}}
    assert value["schema"]["name"] == "Envelope"
    row_schema = value["schema"]["fields"][1]
    assert [(field["field"], field["type"], field["optional"]) for field in row_schema["fields"]] == [
        ("id", "int32", False), ("name", "string", True), ("amount", "string", True),
    ]  # fmt: skip
    assert json.loads(buffers[-1].data)["payload"] == {"op": "c", "after": {"id": 3, "name": "c", "amount": "1.25"}}


def test_debezium_without_schema_and_with_the_row_as_key() -> None:
    buffers = encode("json", {"update_format": "debezium", "json_flavor": "default"}, ID_NAME, CHANGES)
    assert json.loads(buffers[2].key) == {"payload": {"id": 9, "name": "z", "amount": None}}
    assert json.loads(buffers[2].data) == {"payload": {"op": "d", "before": {"id": 9, "name": "z", "amount": None}}}


def test_redis_keys_and_tombstones() -> None:
    config = {"update_format": "redis", "key_fields": ["name", "id"]}
    buffers = encode("json", config, ID_NAME, CHANGES, key_separator="/")
    assert [(buffer.key, buffer.tombstone) for buffer in buffers] == [
        (b"b/2", True), (b"b/2", True), (b"z/9", True), (b"null/1", False), (b"null/1", False), (b"a/1", False),
        (b"c/3", False),
    ]  # fmt: skip
    assert buffers[-1].data == b'{"id":3,"name":"c","amount":1.25}\n'
    assert buffers[0].data == b""


def test_a_huge_weight_is_an_error() -> None:
    for name in ("json", "csv"):
        with pytest.raises(MillstreamError, match="very large weight"):
            encode(name, {}, ID_NAME, delta(ID_NAME, [(1_000_001, 1, "a", D)]))


def test_row_order_of_floats_and_nested_values() -> None:
    relation = Relation(
        "v", (RelationColumn("f", sql_type.DOUBLE), RelationColumn("a", sql_type.array(sql_type.INTEGER)))
    )
    nan = float("nan")
    values = [
        (1, nan, None),
        (1, 2.0, [1, 2]),
        (1, None, [9]),
        (1, 2.0, [1]),
        (1, -0.0, [3]),
        (1, 0.0, [None]),
        (1, 2.0, None),
    ]
    (buffer,) = encode("csv", {}, relation, delta(relation, values))
    assert buffer.data.decode().splitlines() == [
        ",[9],1", "0.0,[null],1", "-0.0,[3],1", "2.0,,1", "2.0,[1],1", '2.0,"[1,2]",1', "NaN,,1",
    ]  # fmt: skip


def test_names_are_quoted_as_json() -> None:
    relation = one_column(sql_type.INTEGER, 'a"b')
    (buffer,) = encode("json", {}, relation, delta(relation, [(1, 1)]))
    assert json.loads(buffer.data) == {"insert": {'a"b': 1}}


def test_a_row_without_columns() -> None:
    relation = Relation("v", ())
    changes = Delta((), np.array([1, -1], np.int64))
    assert encode("json", {}, relation, changes)[0].data == b'{"delete":{}}\n{"insert":{}}\n'


def test_what_is_written_reads_back_from_slices_too() -> None:
    """Encoders see columns with offsets; nested ones are where offsets go wrong."""
    columns = (
        RelationColumn("i", sql_type.INTEGER),
        RelationColumn("m", sql_type.map_of(sql_type.VARCHAR, sql_type.array(sql_type.INTEGER))),
        RelationColumn("s", sql_type.struct((Field("p", sql_type.UUID), Field("q", sql_type.VARCHAR)))),
        RelationColumn("d", sql_type.decimal(20, 9)),
    )
    relation = Relation("v", columns)
    whole = delta(
        relation,
        [
            (
                1,
                i,
                [("a", [i, None]), ("b", None)] if i % 3 else None,
                {"p": bytes([i] * 16), "q": "é" * i} if i % 4 else None,
                Decimal(i).scaleb(-9),
            )
            for i in range(12)
        ],
    )
    part = Delta(tuple(column.slice(5, 6) for column in whole.columns), whole.weights[5:11])
    for name, config in (("json", {}), ("csv", {})):
        (buffer,) = encode(name, config, relation, part)
        batch = build_parser(name, config, relation, "t.c").parse(buffer.data).batches[0]
        assert [column.to_pylist() for column in batch.columns] == [column.to_pylist() for column in part.columns]
        assert all(isinstance(column, pa.Array) for column in batch.columns)


@pytest.mark.parametrize("name, config", [("json", {}), ("json", {"array": True}), ("csv", {})])
def test_buffers_respect_the_transports_limit(name: str, config: dict[str, Any]) -> None:
    whole = encode(name, config, ID_NAME, CHANGES)
    for limit in (60, 100, 150, 1000):
        buffers = encode(name, config, ID_NAME, CHANGES, max_buffer_bytes=limit)
        assert all(len(buffer.data) <= limit for buffer in buffers)
        assert sum(buffer.num_records for buffer in buffers) == whole[0].num_records
        if "array" not in config:
            assert b"".join(buffer.data for buffer in buffers) == whole[0].data


@pytest.mark.parametrize("config", [{}, {"update_format": "debezium"}, {"update_format": "snowflake"}])
def test_a_record_beyond_the_transports_limit_is_an_error(config: dict[str, Any]) -> None:
    with pytest.raises(MillstreamError, match="exceeds the maximum buffer size"):
        encode("json", config, ID_NAME, CHANGES, max_buffer_bytes=20)
