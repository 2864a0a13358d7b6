"""Splitters: whatever the chunks are, the records are those of the whole stream."""

from __future__ import annotations

import random
from typing import Any

import pytest

from millstream.formats import Parser, build_parser
from millstream.formats.csv.config import CsvParserConfig
from millstream.formats.csv.split import RecordSplitter
from millstream.formats.json.parser import JsonParser
from millstream.formats.json.split import ValueSplitter

from .helpers import ID_NAME, rows

JSON_STREAMS = (
    b'{"id":1}\n{"id":2,"name":"}{\\"\\\\"}\n\n {"id":3,"name":"\\\\\\"]"}\r\n',
    b'{"id":1}{"id":2}{"id":3,"name":"\xc3\xa9{"} {"id":\n4}',
    b'[1,"a"][2,"[\\""]\n[3]',
)
CSV_STREAMS = (
    b'1,a,1\n2,"x\ny",2\r\n3,"a""b\n",3\n\n4,c"d,4\n5,,',
    b"1,a,1\r2,b,2\r\r3,c,3\r\n",
    b'1,"""",\n2,"a"b"c,1\n3,"\n\n",2\n',
)


def through_chunks(parser: Parser, chunks: list[bytes]) -> list[tuple[Any, ...]]:
    """Feed chunks as a transport does; the rows, which must come without errors."""
    result, buffer = [], b""
    for number, chunk in enumerate(chunks):
        buffer += chunk
        length = parser.split(buffer, end_of_input=number == len(chunks) - 1)
        block = parser.parse(buffer[:length])
        assert block.errors == ()
        result += rows(block)
        buffer = buffer[length:]
    assert buffer == b""
    return result


def check_all_cuts(format_name: str, config: dict[str, Any], stream: bytes) -> None:
    whole = rows(build_parser(format_name, config, ID_NAME, "t.c").parse(stream))
    assert len(whole) >= 3
    for cut in range(len(stream) + 1):
        parser = build_parser(format_name, config, ID_NAME, "t.c")
        assert through_chunks(parser, [stream[:cut], stream[cut:]]) == whole
    parser = build_parser(format_name, config, ID_NAME, "t.c")
    assert through_chunks(parser, [stream[i : i + 1] for i in range(len(stream))]) == whole


@pytest.mark.parametrize("stream", JSON_STREAMS)
def test_json_values_at_every_chunk_boundary(stream: bytes) -> None:
    check_all_cuts("json", {"update_format": "raw"}, stream)


def test_json_lines_at_every_chunk_boundary() -> None:
    check_all_cuts("json", {"update_format": "raw", "lines": "single"}, JSON_STREAMS[0])


@pytest.mark.parametrize("stream", CSV_STREAMS)
def test_csv_records_at_every_chunk_boundary(stream: bytes) -> None:
    check_all_cuts("csv", {}, stream)


def test_csv_dialect_at_every_chunk_boundary() -> None:
    config = {"quote": "'", "escape": "\\", "double_quote": False, "comment": "#", "delimiter": ";", "headers": True}
    check_all_cuts("csv", config, b"a;b;c\n#it's\n1;'x\\'\n;';1\n2;#y;2\n#'\n3;'\\\\';3\n")


def test_a_complete_value_is_not_held_back() -> None:
    parser = build_parser("json", {}, ID_NAME, "t.c")
    assert parser.split(b'{"insert":{"id":1}}') == 19
    assert parser.split(b'{"insert":{"id":1}}{"ins') == 19


def test_an_incomplete_value_waits() -> None:
    parser = build_parser("json", {}, ID_NAME, "t.c")
    assert parser.split(b'{"insert":{"id"') == 0
    assert parser.split(b'{"insert":{"id":1}}\n') == 19


def test_a_restarted_splitter_forgets_the_last_stream() -> None:
    for format_name, unfinished, text in (("json", b'{"a":"', b'{"id":1}\n'), ("csv", b'1,"', b"1,a\n")):
        parser = build_parser(format_name, {"update_format": "raw"} if format_name == "json" else {}, ID_NAME, "t.c")
        assert parser.split(unfinished) == 0
        parser.restart()
        assert parser.split(text) >= len(text) - 1


@pytest.mark.parametrize("quoted", [False, True])
def test_csv_lines_without_quotes_end_where_the_state_machine_says(quoted: bool) -> None:
    generator = random.Random(11)
    config = CsvParserConfig()
    shortcut, machine = RecordSplitter(config), RecordSplitter(config)
    machine._plain = False
    pending = b""
    for _ in range(3_000):
        letters = b'ab,\n\r"' if quoted and generator.random() < 0.2 else b"ab,\n\r"
        pending += bytes(generator.choices(letters, k=generator.randrange(6)))
        length = shortcut.split(pending)
        assert length == machine.split(pending)
        pending = pending[length:]


def stream_of(generator: random.Random, count: int, wrong: float) -> bytes:
    """Values in the envelope of `insert_delete`, with whatever may stand between them; some are no events."""
    values = []
    for i in range(count):
        long = '"' + "y" * generator.randrange(300) + '"'
        text = generator.choice(['"}{"', '"\\\\\\""', '"é"', '"x\\u00e9"', "null", long])
        value = f'{{"{generator.choice(["insert", "delete"])}":{{"id":{i},"name":{text}}}}}'
        if generator.random() < wrong:
            value = generator.choice(
                ["[1]", '"17"', '{"insert":5}', '{"insert":{"id":"x"}}', '{"other":{}}', "[[]]", "{}"]
            )
        values.append(value + generator.choice(["\n", "\n", "", " \r\n", "\n\n"]))
    return "".join(values).encode()


@pytest.mark.parametrize("wrong", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_json_values_of_long_streams_in_chunks_of_any_size(seed: int, wrong: float) -> None:
    generator = random.Random(seed)
    stream = stream_of(generator, 400, wrong)
    whole = build_parser("json", {}, ID_NAME, "t.c").parse(stream)
    for largest in (600, 3_000, 20_000):
        parser = build_parser("json", {}, ID_NAME, "t.c")
        machine = ValueSplitter()
        found, errors, pending, at = [], 0, b"", 0
        while at < len(stream):
            size = generator.randrange(1, largest)
            pending += stream[at : at + size]
            at += size
            length = parser.split(pending, end_of_input=at >= len(stream))
            if not wrong and at < len(stream):
                assert length == machine.split(pending)
            block = parser.parse(pending[:length])
            found += rows(block)
            errors += len(block.errors)
            pending = pending[length:]
        assert pending == b""
        assert found == rows(whole)
        assert errors == len(whole.errors)
        assert (errors > 0) == (wrong > 0)


def test_what_was_seen_of_a_buffer_is_not_taken_for_another_block() -> None:
    parser = build_parser("json", {"update_format": "raw"}, ID_NAME, "t.c")
    buffer = b"".join(b'{"id":%d}\n' % i for i in range(100))
    length = parser.split(buffer)
    other = buffer[:length].replace(b'{"id":7}', b'{"id":8}')
    assert [row[1] for row in rows(parser.parse(other))] == [8 if i == 7 else i for i in range(100)]


def test_a_long_value_in_pieces_is_not_looked_at_again_for_each() -> None:
    parser = build_parser("json", {"update_format": "raw"}, ID_NAME, "t.c")
    assert isinstance(parser, JsonParser)
    looked: list[int] = []
    look_ahead = parser._fast.look_ahead
    parser._fast.look_ahead = lambda buffer: (looked.append(len(buffer)), look_ahead(buffer))[1]  # type: ignore[method-assign]
    buffer = b'{"id":1,"name":"'
    for _ in range(200):
        buffer += b"x" * 1000
        assert parser.split(buffer) == 0
    assert sum(looked) < 2 * len(buffer)
    buffer += b'"}\n' + b'{"id":2}\n' * 10
    assert parser.split(buffer) == len(buffer) - 1
