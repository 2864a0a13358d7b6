"""JSON input: envelopes, recovery, positional rows, defaults, primary keys."""

from __future__ import annotations

from decimal import Decimal

import pytest

from millstream.formats import TEXT_ENVELOPE_ERROR, TEXT_EVENT_ERROR, build_parser
from millstream.types import Relation, RelationColumn, SqlType, sql_type

from .helpers import ID_NAME, KEYED, parse, rows

D = Decimal("1.25")


def test_raw_objects_insert_rows() -> None:
    block = parse("json", {"update_format": "raw"}, ID_NAME, '{"id":1,"name":"a","amount":2.5}\n{"id":2}')
    assert rows(block) == [("+", 1, "a", Decimal("2.50")), ("+", 2, None, D)]
    assert block.batches[0].operations is None
    assert block.errors == ()


def test_insert_delete_keeps_arrival_order() -> None:
    data = (
        '{"delete":{"id":1}} {"insert":{"id":2}}\n{"table":"zz","insert":{"id":3}}{"insert":null,"delete":{"id":4}}{}'
    )
    assert rows(parse("json", {}, ID_NAME, data)) == [
        ("-", 1, None, D),
        ("+", 2, None, D),
        ("+", 3, None, D),
        ("-", 4, None, D),
    ]


@pytest.mark.parametrize("text", ['{"insert":{"id":2},"delete":{"id":1}}', '{"delete":{"id":1},"insert":{"id":2}}'])
def test_an_event_deletes_before_it_inserts(text: str) -> None:
    assert [row[:2] for row in rows(parse("json", {}, ID_NAME, text + '{"insert":{"id":9}}'))] == [
        ("-", 1),
        ("+", 2),
        ("+", 9),
    ]


def test_debezium_deletes_before_and_inserts_after() -> None:
    data = (
        '{"schema":{"x":[1]},"payload":{"op":"u","before":{"id":1},"after":{"id":2},"source":{"ts":1}}}\n'
        '{"payload":{"op":"c","before":null,"after":{"id":3}}}{"payload":{"op":"d","before":{"id":4}}}'
    )
    assert [row[:2] for row in rows(parse("json", {"update_format": "debezium"}, ID_NAME, data))] == [
        ("-", 1), ("+", 2), ("+", 3), ("-", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '{"op":"c","after":{"id":1}}',
        '{"payload":{"op":"x","after":{"id":1}}}',
        '{"payload":{"after":{"id":1}}}',
        '{"payload":null}',
    ],
)
def test_what_is_no_debezium_event_is_an_envelope_error(text: str) -> None:
    block = parse("json", {"update_format": "debezium"}, ID_NAME, text + '{"payload":{"op":"c","after":{"id":7}}}')
    assert [error.tag for error in block.errors] == [TEXT_ENVELOPE_ERROR]
    assert [row[1] for row in rows(block)] == [7]


def test_a_bad_value_costs_only_its_record() -> None:
    data = '{"insert":{"id":1}}\n{"insert":{"id":"x"}}\n{"insert":{"id":3}}\n'
    block = parse("json", {}, ID_NAME, data)
    assert [row[1] for row in rows(block)] == [1, 3]
    (error,) = block.errors
    assert (error.event_number, error.field, error.tag) == (2, "id", TEXT_EVENT_ERROR)
    assert error.invalid_text == '{"insert":{"id":"x"}}'
    assert "INTEGER" in error.description


def test_an_unknown_envelope_key_costs_only_its_event() -> None:
    block = parse("json", {}, ID_NAME, '{"insert":{"id":1}}{"insert":{"id":2},"foo":1}{"insert":{"id":3}}')
    assert [row[1] for row in rows(block)] == [1, 3]
    assert "`foo`" in block.errors[0].description
    assert block.errors[0].event_number == 2


def test_broken_json_loses_the_rest_of_the_chunk() -> None:
    parser = build_parser("json", {"update_format": "raw"}, ID_NAME, "t.c")
    block = parser.parse(b'{"id":1}\n{"id":,}\n{"id":3}\n')
    assert [row[1] for row in rows(block)] == [1]
    assert [error.tag for error in block.errors] == [TEXT_ENVELOPE_ERROR]
    assert [row[1] for row in rows(parser.parse(b'{"id":4}\n'))] == [4]


def test_broken_json_loses_only_its_line_with_single_lines() -> None:
    block = parse(
        "json",
        {"update_format": "raw", "lines": "single"},
        ID_NAME,
        '{"id":1}\n{"id":\n\n{"id":3} {"id":4}\r\n{"id":5}',
    )
    assert [row[1] for row in rows(block)] == [1, 5]
    assert [error.event_number for error in block.errors] == [2, 3]


def test_values_may_span_lines() -> None:
    assert rows(parse("json", {"update_format": "raw"}, ID_NAME, '{\n"id"\n:1,\r\n"name":\t"a"}')) == [("+", 1, "a", D)]


@pytest.mark.parametrize(
    "bad", [b'{"id":1,"name":"\xff"}', b'{"id":1,"name":"\\ud800"}', b'{"id":1,"name":"a\x01"}', b'{"id":NaN}']
)
def test_what_is_not_utf8_json_is_a_syntax_error(bad: bytes) -> None:
    block = parse("json", {"update_format": "raw", "lines": "single"}, ID_NAME, bad + b'\n{"id":2}')
    assert [row[1] for row in rows(block)] == [2]
    assert [error.tag for error in block.errors] == [TEXT_ENVELOPE_ERROR]


def test_one_bad_element_discards_its_array_and_every_bad_element_counts() -> None:
    config = {"update_format": "raw", "array": True}
    data = '[{"id":1},{"id":"a"},{"id":"b"}]\n[{"id":2},{"id":3}][]'
    block = parse("json", config, ID_NAME, data)
    assert [row[1] for row in rows(block)] == [2, 3]
    assert [error.event_number for error in block.errors] == [2, 3]


def test_a_malformed_envelope_counts_once_for_its_array() -> None:
    block = parse("json", {"array": True}, ID_NAME, '[{"insert":{"id":"a"}},{"foo":1},{"bar":2}]')
    assert rows(block) == []
    assert [error.tag for error in block.errors] == [TEXT_ENVELOPE_ERROR]


def test_array_mode_refuses_what_is_no_array() -> None:
    block = parse("json", {"update_format": "raw", "array": True}, ID_NAME, '{"id":1} [{"id":2}]')
    assert [row[1] for row in rows(block)] == [2]
    assert len(block.errors) == 1


def test_positional_rows() -> None:
    block = parse("json", {"update_format": "raw"}, ID_NAME, '[1,"a",3] [2] [] [4,null,null,5]')
    assert rows(block) == [("+", 1, "a", Decimal("3.00")), ("+", 2, None, D)]
    assert [error.event_number for error in block.errors] == [3, 4]
    assert block.errors[0].field == "id"


def test_explicit_null_and_missing_fields() -> None:
    block = parse("json", {"update_format": "raw"}, ID_NAME, '{"id":1,"amount":null} {"id":null} {"name":"x"}')
    assert rows(block) == [("+", 1, None, None)]
    assert [error.field for error in block.errors] == ["id", "id"]
    assert "null" in block.errors[0].description
    assert "missing" in block.errors[1].description


def test_names_match_without_case_unless_quoted() -> None:
    relation = Relation("t", (RelationColumn("id", sql_type.INTEGER), RelationColumn("Name", sql_type.VARCHAR, True)))
    data = '{"ID":1,"Name":"a"} {"Id":2,"name":"b","NAME":"c"} {"iD":3,"other":{"id":[7]}}'
    assert rows(parse("json", {"update_format": "raw"}, relation, data)) == [
        ("+", 1, "a"),
        ("+", 2, None),
        ("+", 3, None),
    ]


def test_the_last_of_duplicate_keys_wins() -> None:
    assert rows(parse("json", {"update_format": "raw"}, ID_NAME, '{"id":1,"id":2,"ID":3}'))[0][1] == 3


def test_deletes_by_key_look_at_the_key_only() -> None:
    block = parse("json", {}, KEYED, '{"delete":{"id":1,"name":17}} {"delete":[2]} {"delete":{"name":"a"}}')
    assert rows(block) == [("-", 1, None, None), ("-", 2, None, None)]
    assert [error.field for error in block.errors] == ["id"]


def test_updates_patch_the_columns_they_give() -> None:
    block = parse("json", {}, KEYED, '{"update":{"id":1,"name":null}} {"insert":{"id":2}} {"update":{"name":"x"}}')
    assert rows(block) == [("u", 1, None, None), ("+", 2, None, D)]
    present = block.batches[0].present
    assert present is not None
    assert [mask.tolist() for mask in present] == [[True, True], [True, True], [False, True]]
    assert [error.field for error in block.errors] == ["id"]


def test_updates_need_a_primary_key() -> None:
    block = parse("json", {}, ID_NAME, '{"update":{"id":1}} {"insert":{"id":2}}')
    assert [row[1] for row in rows(block)] == [2]
    assert "update operation is not supported on this stream" in block.errors[0].description
    assert block.errors[0].tag == TEXT_EVENT_ERROR


def test_events_are_numbered_through_the_stream_until_it_restarts() -> None:
    parser = build_parser("json", {"update_format": "raw"}, ID_NAME, "t.c")
    parser.parse(b'{"id":1}{"id":2}')
    assert parser.parse(b'{"id":"x"}').errors[0].event_number == 3
    parser.restart()
    assert parser.parse(b'{"id":"x"}').errors[0].event_number == 1


def test_nothing_yields_nothing() -> None:
    for data in ("", "\n", "  \r\n\n"):
        block = parse("json", {"update_format": "raw"}, ID_NAME, data)
        assert (block.batches, block.errors, block.num_records) == ((), (), 0)


@pytest.mark.parametrize("column_type", [sql_type.VARIANT, sql_type.VARCHAR, sql_type.array(sql_type.VARIANT)])
@pytest.mark.parametrize("depth", [90, 120, 500, 990, 100_000])
def test_deep_nesting_is_an_error_and_no_crash(depth: int, column_type: SqlType) -> None:
    relation = Relation("t", (RelationColumn("x", column_type),))
    for config in ({"update_format": "raw"}, {"update_format": "raw", "json_flavor": "snowflake"}):
        for text in ("[" * depth + "]" * depth, '{"\\u0041":' * depth + "1" + "}" * depth):
            block = parse("json", config, relation, '{"x":' + text + "}")
            assert len(block.errors) + len(rows(block)) == 1
            assert depth > 100 or column_type.is_string or not block.errors or text[0] == "{"
