"""The raw format: whole streams and lines as values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.errors import MillstreamError
from millstream.formats import Parser, build_parser
from millstream.pipeline.input_stream import InputStream
from millstream.types import Relation, RelationColumn, sql_type

from .helpers import one_column

BYTES = one_column(sql_type.VARBINARY)
TEXT = one_column(sql_type.VARCHAR)
WIDE = Relation(
    "t",
    (
        RelationColumn("id", sql_type.BIGINT),
        RelationColumn("body", sql_type.VARCHAR.with_nullable(False)),
        RelationColumn("n", sql_type.INTEGER.with_nullable(False), default=pa.scalar(7, pa.int32())),
        RelationColumn("Data", sql_type.VARBINARY, case_sensitive=True),
    ),
)

quick = settings(deadline=None)


def _parser(relation: Relation, **config: Any) -> Parser:
    return build_parser("raw", config, relation, "t.c")


def _values(relation: Relation, chunks: list[bytes], **config: Any) -> list[Any]:
    """Rows of one stream that arrives in chunks."""
    stream = InputStream(_parser(relation, **config))
    parsed = [stream.feed(chunk) for chunk in chunks] + [stream.feed(b"", end=True)]
    assert sum(chunk.num_bytes for chunk in parsed) == sum(map(len, chunks))
    rows: list[Any] = []
    for chunk in parsed:
        assert not chunk.block.errors
        for batch in chunk.block.batches:
            for column in batch.columns:
                column.validate(full=True)
            columns = [column.to_pylist() for column in batch.columns]
            rows += columns[0] if len(columns) == 1 else zip(*columns, strict=True)
    return rows


@quick
@given(chunks=st.lists(st.binary(max_size=20), max_size=8))
def test_a_blob_is_the_whole_stream(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert _values(BYTES, chunks) == ([whole] if whole else [])


@quick
@given(
    lines=st.lists(
        st.binary(max_size=9).filter(lambda line: not line.endswith(b"\r") and b"\n" not in line), max_size=9
    ),
    ends=st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=9, max_size=9),
    terminated=st.booleans(),
    cuts=st.lists(st.integers(0, 90), max_size=6),
)
def test_lines_however_the_stream_is_cut(
    lines: list[bytes], ends: list[bytes], terminated: bool, cuts: list[int]
) -> None:
    whole = b"".join(line + end for line, end in zip(lines, ends, strict=False))
    if not terminated and lines:
        whole = whole[: -len(ends[len(lines) - 1])]
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    chunks = [whole[low:high] for low, high in pairwise(edges)]
    assert _values(BYTES, chunks, mode="lines") == [line for line in lines if line]


def test_text_columns_take_utf8() -> None:
    assert _values(TEXT, ["grün\n\n".encode(), "weiß".encode()], mode="lines") == ["grün", "weiß"]
    assert _values(TEXT, ["grün\nweiß".encode()]) == ["grün\nweiß"]


def test_other_columns_get_their_defaults() -> None:
    assert _values(WIDE, [b"a\nb\n"], mode="lines", column_name="BODY") == [(None, "a", 7, None), (None, "b", 7, None)]


def test_lines_that_are_not_text_are_reported_and_skipped() -> None:
    parser = _parser(TEXT, mode="lines")
    parsed = parser.parse(b"a\n\n\xff\xfe\nc\n")
    assert parsed.batches[0].columns[0].to_pylist() == ["a", "c"]
    (error,) = parsed.errors
    assert (error.event_number, error.field, error.invalid_bytes) == (2, "x", [0xFF, 0xFE])
    assert "not valid UTF-8" in error.description
    assert parser.parse(b"\xff\n").errors[0].event_number == 4
    parser.restart()
    assert parser.parse(b"\xff\n").errors[0].event_number == 1
    assert _parser(TEXT).parse(b"\xff").batches == ()


@pytest.mark.parametrize(
    "relation, config, code, reason",
    [
        (
            WIDE,
            {},
            "InvalidParserConfig",
            "table 't' has 4 columns: set 'column_name' to one of 'id', 'body', 'n', 'Data'",
        ),
        (
            WIDE,
            {"column_name": "bodi"},
            "InvalidParserConfig",
            "no column 'bodi' ('column_name'); did you mean 'body'?",
        ),
        (WIDE, {"column_name": "data"}, "InvalidParserConfig", "has no column 'data'"),
        (WIDE, {"column_name": "id"}, "InvalidParserConfig", "column 'id' is BIGINT; the format `raw` needs"),
        (WIDE, {"column_name": "Data"}, "InvalidParserConfig", "column 'body' is NOT NULL and has no default"),
        (TEXT, {"mode": "words"}, "ParserConfigParseError", "expected one of `blob`, `lines`"),
        (TEXT, {"column_name": 5}, "ParserConfigParseError", "option 'column_name' must be a string, not 5"),
        (TEXT, {"lines": True}, "ParserConfigParseError", "unknown field `lines`"),
        (one_column(sql_type.DATE), {}, "InvalidParserConfig", "column 'x' is DATE"),
    ],
)
def test_wrong_options_are_explained(relation: Relation, config: dict[str, Any], code: str, reason: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        _parser(relation, **config)
    assert caught.value.error_code == f"ConfigError.{code}"
    assert reason in caught.value.message
