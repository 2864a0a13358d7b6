"""Warming up: compile, or load from the on-disk cache, every kernel before the first record needs it."""

from __future__ import annotations

from millstream.formats.csv.config import CsvParserConfig
from millstream.formats.csv.parser import CsvParser
from millstream.formats.json.config import parser_config
from millstream.formats.json.parser import SMALL_BLOCK_BYTES, JsonParser
from millstream.types import Field, Relation, RelationColumn, SqlType, sql_type

_TYPES: tuple[SqlType, ...] = (
    sql_type.BOOLEAN,
    sql_type.BIGINT,
    sql_type.DOUBLE,
    sql_type.decimal(10, 2),
    sql_type.VARCHAR,
    sql_type.DATE,
    sql_type.TIME,
    sql_type.TIMESTAMP,
    sql_type.UUID,
    sql_type.array(sql_type.BIGINT),
    sql_type.struct((Field("x", sql_type.BIGINT),)),
)


def warm_up() -> None:
    """Calls every kernel once on a tiny input. Seconds at the first start on a machine, later milliseconds."""
    columns = tuple(RelationColumn(f"c{i}", column_type) for i, column_type in enumerate(_TYPES))
    relation = Relation("warm_up", columns)
    json_parser = JsonParser(relation, parser_config({"update_format": "raw"}, "warm_up"))
    csv_parser = CsvParser(relation, CsvParserConfig())
    for parser, text in ((json_parser, b'{"c0":true,"c4":"a"}\n'), (csv_parser, b"true,1\n")):
        assert parser.split(text) > 0
        parser.parse(text * SMALL_BLOCK_BYTES)
