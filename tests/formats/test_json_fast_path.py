"""The fast JSON path agrees with the exact one, record by record and error by error."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.formats import build_parser
from millstream.formats.columns.spans import Spans
from millstream.formats.json.config import parser_config
from millstream.formats.json.exact import ExactParser
from millstream.formats.json.fast import FastParser
from millstream.formats.json.flavors import FLAVORS
from millstream.types import Field, Relation, RelationColumn, SqlType, sql_type

from .helpers import rows, same_block
from .samples import COLUMN_TYPES, JSON_TEXTS, NESTED_TYPES

KEY = RelationColumn("k", sql_type.INTEGER.with_nullable(False))


def compare(relation: Relation, config: dict[str, object], block: bytes) -> bool:
    """Whether the fast path took the block; if so, it must agree with the exact one."""
    checked = parser_config(config, "t.c")
    fast = FastParser(relation, checked).parse(block, 1)
    exact = ExactParser(relation, checked).parse(block, 1)
    if fast is not None:
        same_block(fast[0], exact.block)
        assert fast[1] == exact.num_events
    return fast is not None


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("column_type", [*COLUMN_TYPES, *NESTED_TYPES], ids=str)
def test_every_text_in_every_type(flavor: str, column_type: SqlType) -> None:
    for nullable in (True, False):
        relation = Relation("t", (KEY, RelationColumn("x", column_type.with_nullable(nullable))))
        lines = [f'{{"k":{i},"x":{text}}}' for i, text in enumerate(JSON_TEXTS)]
        block = "\n".join([*lines, '{"k":1}', '{"x":null}', '{"k":1,"x":null}']).encode()
        assert compare(relation, {"update_format": "raw", "json_flavor": flavor}, block)


NAMES = ("id", "ID", "Name", "name", "NAME", "val", "VAL", "é", "É", "x", "table")
VALUES = ("1", "2", "null", '"a"', '"x\\ty"', "1.5", '"2024-01-01"', '{"a":[1,{}]}', "[]", "true", "1.555")
BROKEN = ("bad", '"\\ud800"', "99999999999", "1.", "01", "[1,]", '{"a"}', "-", '"', "{,}")
COLUMNS = (
    RelationColumn("id", sql_type.INTEGER.with_nullable(False)),
    RelationColumn("Name", sql_type.VARCHAR, True),
    RelationColumn("val", sql_type.decimal(6, 2), default=pa.scalar(Decimal("1.25"), pa.decimal128(6, 2))),
    RelationColumn("é", sql_type.DATE),
)


class Generator:
    """Random event streams, mostly well formed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def row(self) -> str:
        choice = self.random.choice
        if self.random.random() < 0.7:
            return f'{{"id":{choice("123")},"Name":"n","val":{choice("123")}.5,"é":"2024-01-0{choice("123")}"}}'
        value = choice(BROKEN) if self.random.random() < 0.05 else choice(VALUES)
        if self.random.random() < 0.2:
            return f"[{', '.join([value] * self.random.randint(0, 5))}]"
        members = [f'"{choice(NAMES)}"{choice(("", " "))}:{choice(VALUES)}' for _ in range(self.random.randint(0, 3))]
        if self.random.random() < 0.02:
            members.append('"i\\u0064":1')
        return "{" + choice(("", "\n ", "\t")) + ",".join([*members, f'"{choice(NAMES)}":{value}']) + "}"

    def event(self, update_format: str) -> str:
        choice = self.random.choice
        if update_format == "raw":
            return self.row()
        if update_format == "insert_delete":
            keys = self.random.sample(["insert", "delete", "update", "table"], choice((1, 1, 1, 1, 2, 3, 0)))
            if self.random.random() < 0.02:
                keys.append("unknown")
            return "{" + ", ".join(f'"{key}":{choice((self.row(), self.row(), "null"))}' for key in keys) + "}"
        operation = "x" if self.random.random() < 0.02 else choice("crud")
        before, after = choice(("null", self.row())), choice(("null", self.row()))
        return f'{{"schema":{{"a":[1]}},"payload":{{"op":"{operation}","before":{before},"after":{after},"s":{{}}}}}}'

    def block(self, update_format: str, array: bool) -> bytes:
        count = self.random.randint(0, 5)
        values = [self.event(update_format) for _ in range(count)]
        if array:
            values = [
                f"[{','.join(self.event(update_format) for _ in range(self.random.randint(0, 3)))}]" for _ in values
            ]
        if values and self.random.random() < 0.03:
            values[-1] = values[-1][:-1]
        return self.random.choice(("\n", "\n", "\r\n", "\n\n", " ", "")).join(values).encode()


@pytest.mark.parametrize("primary_key", [(), (0,)])
@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("lines", ["multiple", "single"])
@pytest.mark.parametrize("update_format", ["raw", "insert_delete", "debezium"])
def test_random_streams(update_format: str, lines: str, array: bool, primary_key: tuple[int, ...]) -> None:
    relation = Relation("t", COLUMNS, primary_key)
    config = {"update_format": update_format, "lines": lines, "array": array}
    taken = 0
    for seed in range(250):
        block = Generator(seed).block(update_format, array)
        try:
            taken += compare(relation, config, block)
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}: {block!r}") from failure
    assert taken > 50


def test_the_fast_path_takes_blocks_with_bad_values() -> None:
    relation = Relation("t", COLUMNS)
    assert compare(relation, {"update_format": "raw"}, b'{"id":1}\n{"id":"x"}\n{"id":99999999999}\n')


def test_nested_values_are_not_taken_one_by_one() -> None:
    def refused(spans: Spans, row: int) -> None:
        raise AssertionError("the exact converter was asked")

    inner = sql_type.struct((Field("n", sql_type.INTEGER), Field("s", sql_type.array(sql_type.VARCHAR))))
    variants = sql_type.array(sql_type.VARIANT)
    types = (sql_type.array(inner), sql_type.map_of(sql_type.VARCHAR, inner), sql_type.VARIANT, variants)
    relation = Relation("t", tuple(RelationColumn(f"c{i}", one) for i, one in enumerate(types)))
    parser = FastParser(relation, parser_config({"update_format": "raw"}, "t.c"))
    parser._plans = [replace(plan, exact=refused) for plan in parser._plans]
    value = '{"n": 5, "s": ["a", "\\u00e9\\n", null]}'
    columns = {"c0": f"[{value}, null, {{}}]", "c1": f'{{"z": {value}, "a": null}}', "c2": '{"b": [1.5], "a": "é"}'}
    line = "{" + ", ".join(f'"{name}": {text}' for name, text in columns.items()) + ', "c3": [1, {}]}'
    block = "\n".join([line] * 3).encode()
    found = parser.parse(block, 1)
    assert found is not None
    same_block(found[0], ExactParser(relation, parser_config({"update_format": "raw"}, "t.c")).parse(block, 1).block)
    assert len(rows(found[0])) == 3


@pytest.mark.parametrize("cut", range(60))
def test_truncated_text_never_confuses_the_scanner(cut: int) -> None:
    block = b'{"insert":{"id":12,"Name":"a\\u00e9\\n","val":1.5e0,"z":[{"q":[true,null,-1.0E+5]}]}}'[: -cut - 1]
    assert not compare(Relation("t", COLUMNS), {}, block)


def test_large_blocks_of_lines_with_broken_ones_match_the_exact_path() -> None:
    relation = Relation("t", COLUMNS)
    config = {"update_format": "raw", "lines": "single"}
    lines = [b'{"id":%d,"Name":"n","val":0.5}' % i for i in range(3000)]
    for broken in (0, 1700, 1701, 2999):
        lines[broken] = b'{"id":'
    block = b"\n".join(lines)
    found = build_parser("json", config, relation, "t.c").parse(block)
    expected = ExactParser(relation, parser_config(config, "t.c")).parse(block, 1).block
    assert found.errors == expected.errors
    assert [error.event_number for error in found.errors] == [1, 1701, 1702, 3000]
    assert rows(found) == rows(expected)


def test_small_and_large_blocks_give_the_same_rows() -> None:
    """Small blocks take the exact path, large ones the fast one."""
    relation = Relation("t", COLUMNS, (0,))
    lines = [b'{"insert":{"id":%d,"Name":"n\\u00e9"}}{"update":{"id":%d,"val":"x"}}\n' % (i, i) for i in range(50)]
    large = build_parser("json", {}, relation, "t.c")
    small = build_parser("json", {}, relation, "t.c")
    whole = large.parse(b"".join(lines))
    pieces = [small.parse(line) for line in lines]
    assert rows(whole) == [row for piece in pieces for row in rows(piece)]
    assert list(whole.errors) == [error for piece in pieces for error in piece.errors]
    assert len(whole.errors) == 50


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\tb", "ab", "é", "\\", '"'])
def test_names_that_need_escapes_match_no_other_key(name: str) -> None:
    columns = (KEY, RelationColumn(name, sql_type.VARCHAR, True), RelationColumn("abc", sql_type.VARCHAR, True))
    relation = Relation("t", columns)
    written = json.dumps(name, ensure_ascii=False)
    for key in (written, f'"{name}"', '""', '"ab"', '"abcd"', '"a\\"b"', '"\\u0061b"', '"\xff"'):
        block = f'{{"k":1,{key}:"x","abc":"y"}}\n{{"abc":"z",{key}:"x","k":2}}\n'.encode()
        compare(relation, {"update_format": "raw"}, block)
    plain = f'{{"k":1,{written}:"x","abc":"y"}}\n'.encode()
    assert compare(relation, {"update_format": "raw"}, plain) == ("\\" not in written)


KEYS = ("a", "ab", "abc", "a b", "é", "B", "b")


@given(st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=9)), max_size=8), max_size=6))
def test_any_order_of_keys_reads_as_a_plain_parser_reads_it(records: list[list[tuple[str, str]]]) -> None:
    relation = Relation("t", tuple(RelationColumn(name, sql_type.VARCHAR, True) for name in KEYS))
    texts = [json.dumps(dict(record), ensure_ascii=False) for record in records]
    block = "".join(f"{text}\n" for text in texts).encode()
    fast = FastParser(relation, parser_config({"update_format": "raw"}, "t.c")).parse(block, 1)
    assert fast is not None
    found = [row for batch in fast[0].batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
    assert found == [tuple(json.loads(text).get(name) for name in KEYS) for text in texts]
