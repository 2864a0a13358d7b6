"""CSV input: dialects, NULL, short and long records, recovery; the fast path agrees with the exact one."""

from __future__ import annotations

import copy
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from millstream.formats import build_parser
from millstream.formats.csv.config import parser_config
from millstream.formats.csv.exact import ExactParser, StreamState
from millstream.formats.csv.fast import FastParser
from millstream.types import Relation, RelationColumn, SqlType, sql_type

from .helpers import ID_NAME, parse, rows, same_block
from .samples import COLUMN_TYPES, CSV_TEXTS

D = Decimal("1.25")
DIALECTS: tuple[dict[str, Any], ...] = (
    {},
    {"trim": "all"},
    {"escape": "\\"},
    {"quoting": False},
    {"headers": True},
    {"comment": "#", "double_quote": False},
    {"delimiter": "\\t"},
    {"quote": "'"},
)


def compare(relation: Relation, config: dict[str, Any], block: bytes) -> bool:
    """Whether the fast path took the block; if so, it must agree with the exact one."""
    checked = parser_config(config, "t.c")
    states = [StreamState(1, checked.headers), StreamState(1, checked.headers)]
    before = copy.copy(states[0])
    fast = FastParser(relation, checked).parse(block, states[0])
    exact = ExactParser(relation, checked).parse(block, states[1])
    if fast is None:
        assert states[0] == before
        return False
    same_block(fast, exact)
    assert states[0] == states[1]
    return True


@pytest.mark.parametrize("config", DIALECTS, ids=str)
@pytest.mark.parametrize("column_type", COLUMN_TYPES, ids=str)
def test_every_text_in_every_type(config: dict[str, Any], column_type: SqlType) -> None:
    key = RelationColumn("k", sql_type.INTEGER.with_nullable(False))
    delimiter = "\t" if "delimiter" in config else ","
    lines = [f"{i}{delimiter}{text}" for i, text in enumerate(CSV_TEXTS)]
    block = ("\n".join(lines) + "\r\n\n7\n#x,1\n8,1,2,3\n9," + '"unclosed').encode()
    for nullable in (True, False):
        relation = Relation("t", (key, RelationColumn("x", column_type.with_nullable(nullable))))
        assert compare(relation, config, block)


def test_records_insert_rows() -> None:
    assert rows(parse("csv", {}, ID_NAME, '1,a,2.5\r\n2,"b,""c""\n",\n\n3\n')) == [
        ("+", 1, "a", Decimal("2.50")),
        ("+", 2, 'b,"c"\n', None),
        ("+", 3, None, D),
    ]


def test_a_bad_record_is_reported_and_skipped() -> None:
    block = parse("csv", {}, ID_NAME, "1,a\nx,b\n3,c,9999999\n4,d\n")
    assert [row[1] for row in rows(block)] == [1, 4]
    assert [(error.event_number, error.field, error.invalid_text) for error in block.errors] == [
        (2, "id", "x,b"),
        (3, "amount", "3,c,9999999"),
    ]


def test_extra_fields_are_ignored_and_missing_ones_empty() -> None:
    assert rows(parse("csv", {}, ID_NAME, "1,a,1,zzz,\n2\n,x\n"))[1][1:] == (2, None, D)


def test_inflexible_records_must_match_the_first() -> None:
    parser = build_parser("csv", {"flexible": False}, ID_NAME, "t.c")
    block = parser.parse(b"1,a\n2,b,3\n3,c\n")
    assert [row[1] for row in rows(block)] == [1, 3]
    assert "3 fields" in block.errors[0].description
    assert len(parser.parse(b"4\n").errors) == 1


def test_headers_are_skipped_once_a_stream() -> None:
    parser = build_parser("csv", {"headers": True}, ID_NAME, "t.c")
    assert [row[1] for row in rows(parser.parse(b"id,name,amount,more\n1,a\n"))] == [1]
    assert [row[1] for row in rows(parser.parse(b"2,a\n"))] == [2]
    parser.restart()
    assert rows(parser.parse(b"id,name\n")) == []
    assert parser.parse(b"x,a\n").errors[0].event_number == 1


def test_null_and_empty() -> None:
    columns = (
        RelationColumn("i", sql_type.INTEGER),
        RelationColumn("s", sql_type.VARCHAR),
        RelationColumn("t", sql_type.VARCHAR.with_nullable(False)),
    )
    block = parse("csv", {}, Relation("t", columns), 'NULL,NULL,NULL\nnull,null,\n,"",""\n')
    assert rows(block) == [("+", None, "NULL", "NULL"), ("+", None, "null", ""), ("+", None, None, "")]


def test_not_null_columns_need_a_field() -> None:
    block = parse("csv", {}, ID_NAME, ",a\n1,b\n")
    assert [row[1] for row in rows(block)] == [1]
    assert block.errors[0].field == "id"


def test_bytes_that_are_not_utf8_cost_only_their_record() -> None:
    block = parse("csv", {}, ID_NAME, b"1,\xff\n2,b\n")
    assert [row[1] for row in rows(block)] == [2]
    assert "UTF-8" in block.errors[0].description


def test_numbers() -> None:
    columns = (RelationColumn("i", sql_type.INTEGER), RelationColumn("d", sql_type.DOUBLE))
    block = parse("csv", {}, Relation("t", columns), "0xff,1e3\n-5,-Inf\n+5,0.1\n1.0,1\n")
    assert rows(block) == [("+", 255, 1000.0), ("+", -5, float("-inf")), ("+", 5, 0.1)]
    assert [error.field for error in block.errors] == ["i"]


def test_nested_values_are_json_in_a_field() -> None:
    columns = (
        RelationColumn("a", sql_type.array(sql_type.INTEGER)),
        RelationColumn("v", sql_type.VARIANT),
        RelationColumn("b", sql_type.VARBINARY),
    )
    block = parse(
        "csv", {}, Relation("t", columns), '"[1,null]","{""b"":1.50,""a"":""x""}","[1,255]"\n,null,\n"[",1,\n'
    )
    assert rows(block) == [("+", [1, None], '{"a":"x","b":1.5}', b"\x01\xff"), ("+", None, None, None)]
    assert [error.field for error in block.errors] == ["a"]


def test_comments_quotes_escapes_and_trimming() -> None:
    config = {"comment": "#", "quote": "'", "escape": "\\", "double_quote": False, "trim": "fields", "delimiter": "|"}
    assert rows(parse("csv", config, ID_NAME, "#1|a\n 2 | 'x' |3\n4|'it\\'s'| 5 \n"))[:2] == [
        ("+", 2, "'x'", Decimal("3.00")),
        ("+", 4, "it's", Decimal("5.00")),
    ]
    assert rows(parse("csv", {"quoting": False}, ID_NAME, '1,"a\n'))[0][2] == '"a'


def test_large_blocks_match_the_exact_path() -> None:
    lines = [f'{i},"name ""{i}""",{i % 90}.25\r\n' for i in range(2000)]
    lines[7] = "x,y,z\n"
    block = "".join(lines).encode()
    assert compare(ID_NAME, {}, block)
    parser = build_parser("csv", {}, ID_NAME, "t.c")
    found = parser.parse(block)
    assert found.num_records == 1999
    assert [error.event_number for error in found.errors] == [8]
    assert parser.parse(b"x\n").errors[0].event_number == 2001


def test_defaults_of_every_kind_fill_fields_that_are_not_there() -> None:
    columns = (
        RelationColumn("i", sql_type.INTEGER),
        RelationColumn("t", sql_type.TIMESTAMP.with_nullable(False), default=pa.scalar(1_500_000, pa.timestamp("us"))),
        RelationColumn("d", sql_type.DATE, default=pa.scalar(1, pa.date32())),
        RelationColumn("s", sql_type.VARCHAR.with_nullable(False), default=pa.scalar("x", pa.large_string())),
        RelationColumn("a", sql_type.array(sql_type.INTEGER), default=pa.scalar([1], pa.large_list(pa.int32()))),
        RelationColumn("n", sql_type.TIME, default=pa.scalar(None, pa.time64("ns"))),
    )
    relation = Relation("t", columns)
    filled = ("+", 1, datetime(1970, 1, 1, 0, 0, 1, 500_000), date(1970, 1, 2), "x", [1], None)
    assert rows(parse("csv", {}, relation, "1\n")) == [filled]
    assert rows(parse("json", {"update_format": "raw"}, relation, '{"i":1}')) == [filled]
    assert rows(parse("json", {"update_format": "raw"}, relation, '{"i":1}' * 100))[99] == filled
