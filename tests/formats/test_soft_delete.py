"""Soft deletion: deletions arrive as insertions, with the defaults of deleted rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from millstream.formats import build_parser
from millstream.formats.base import ParsedBlock
from millstream.formats.soft_delete import SoftDeleteParser
from millstream.types import Relation, RelationColumn, sql_type

from .helpers import rows


def _relation(mark: bool | None) -> Relation:
    default = pa.scalar(mark, pa.bool_())
    return Relation(
        "t",
        (
            RelationColumn("id", sql_type.BIGINT),
            RelationColumn("gone", sql_type.BOOLEAN, default=default),
            RelationColumn("s", sql_type.VARCHAR),
        ),
    )


def _parser(**config: Any) -> SoftDeleteParser:
    return SoftDeleteParser(
        build_parser("json", config, _relation(None), "t.c"), build_parser("json", config, _relation(True), "t.c")
    )


def _parse(data: bytes, **config: Any) -> ParsedBlock:
    parser = _parser(**config)
    assert parser.split(data, True) == len(data)
    return parser.parse(data)


# Blocks below and above the size from which the columnar path is used.
@pytest.mark.parametrize("times", [1, 100])
def test_deletions_become_marked_insertions(times: int) -> None:
    data = b'{"insert":{"id":1,"s":"a"}}\n{"delete":{"id":1,"s":"a"}}\n{"insert":{"id":2,"s":null}}\n'
    expected = [("+", 1, None, "a"), ("+", 1, True, "a"), ("+", 2, None, None)]
    parsed = _parse(data * times)
    assert rows(parsed) == expected * times
    assert all(batch.operations is None for batch in parsed.batches)


def test_a_value_in_the_record_wins() -> None:
    assert rows(_parse(b'{"delete":{"id":1,"gone":false}}\n')) == [("+", 1, False, None)]


def test_a_debezium_update_is_a_deleted_and_an_inserted_row() -> None:
    update = b'{"payload":{"op":"u","before":{"id":1,"s":"a"},"after":{"id":1,"s":"b"}}}\n'
    assert rows(_parse(update, update_format="debezium")) == [("+", 1, True, "a"), ("+", 1, None, "b")]


def test_errors_are_reported_once() -> None:
    parsed = _parse(b'{"delete":{"id":"x"}}\n{"delete":{"id":2}}\n')
    assert rows(parsed) == [("+", 2, True, None)]
    assert [error.event_number for error in parsed.errors] == [1]


def test_lines_with_an_error_between_them_may_be_cut_into_several_batches() -> None:
    line = b'{"delete":{"id":1,"s":"some text that makes the block long"}}\n'
    parsed = _parse(line * 20 + b"nonsense\n" + line * 20, lines="single")
    assert rows(parsed) == [("+", 1, True, "some text that makes the block long")] * 40
    assert len(parsed.errors) == 1
