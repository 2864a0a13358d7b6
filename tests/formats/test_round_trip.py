"""What an encoder writes, the parser of the same format and flavour reads back, for random values of every type."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from millstream.formats import build_encoder, build_parser
from millstream.formats.json.flavors import FLAVORS
from millstream.formats.json.kafka_connect import envelope_schema
from millstream.types import Kind, Relation, RelationColumn, SqlType, arrow_type, sql_type
from millstream.zset.delta import Delta

from .samples import COLUMN_TYPES

ROWS = 120
CHARACTERS = 'ab ,;"\\/\n\r\t\x01\x7f{}[]:é😀'
FIRST_DAY, LAST_DAY = -719162, 2932896
DAY_US = 86_400_000_000

Draw = Callable[[random.Random], Any]


def draw_text(random: random.Random) -> str:
    return "".join(random.choices(CHARACTERS, k=random.randint(1, 8)))


def draw_float(random: random.Random) -> float:
    return random.choice((0.1, -1.5, 1e-7, 123456.789, 1e22, 5e-324, random.random(), random.uniform(-1e9, 1e9), 3.0))


def drawer(column_type: SqlType, coarse: bool) -> Draw:
    """Random storage values; `coarse`: whole milliseconds, which is what integer timestamps can hold."""
    kind = column_type.kind
    if kind is Kind.BOOLEAN:
        return lambda r: r.random() < 0.5
    if column_type.is_integer:
        bits = arrow_type(column_type).bit_width
        low, high = (0, 2**bits - 1) if column_type.is_unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return lambda r: r.choice((low, high, 0, 1, r.randint(low, high)))
    if kind is Kind.REAL:
        return lambda r: float(np.float32(min(draw_float(r), 1e30)))
    if kind is Kind.DOUBLE:
        return draw_float
    if kind is Kind.DECIMAL:
        limit = 10 ** (column_type.precision or 0) - 1
        exponent = -(column_type.scale or 0)
        return lambda r: Decimal(f"{r.choice((limit, -limit, 0, 1, r.randint(-limit, limit)))}e{exponent}")
    if kind is Kind.VARBINARY:
        return lambda r: r.choice((b"\0\0\1", b"\xff", r.randbytes(r.randint(1, 9))))
    if kind is Kind.UUID:
        return lambda r: r.randbytes(16)
    if kind is Kind.DATE:
        return lambda r: r.randint(FIRST_DAY, LAST_DAY)
    if kind is Kind.TIME:
        return lambda r: r.randrange(86_400_000) * 1_000_000 + (0 if coarse else r.choice((0, 1, 1_000)))
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        start, end = FIRST_DAY * DAY_US // 1000, (LAST_DAY + 1) * DAY_US // 1000
        return lambda r: r.randrange(start, end) * 1000 + (0 if coarse else r.choice((0, 1, 999)))
    if kind is Kind.VARIANT:
        return lambda r: r.choice(('{"a":[1,2.5,null],"b":{"c":"\\n"}}', "[]", '"x"', "7", "true"))
    if kind is Kind.ARRAY:
        return lambda r: [r.choice((None, r.randint(-9, 9))) for _ in range(r.randint(0, 3))]
    if kind is Kind.MAP:
        return lambda r: sorted({draw_text(r): r.choice((None, 1, 2)) for _ in range(r.randint(0, 3))}.items())
    if kind is Kind.STRUCT:
        return lambda r: {"x": r.choice((None, 5)), "y": draw_text(r)}
    return draw_text


def sample(relation: Relation, seed: int, coarse: bool) -> Delta:
    generator = random.Random(seed)
    columns = []
    for column in relation.columns:
        draw = drawer(column.type, coarse)
        values = [None if generator.random() < 0.1 else draw(generator) for _ in range(ROWS)]
        columns.append(pa.array(values, arrow_type(column.type)))
    columns[0] = pa.array(range(ROWS), pa.int32())
    return Delta.inserts(columns)


ALL_TYPES = Relation(
    "v",
    (
        RelationColumn("row", sql_type.INTEGER.with_nullable(False)),
        *(RelationColumn(f"c{i}", column_type) for i, column_type in enumerate(COLUMN_TYPES)),
    ),
)


def check(changes: Delta, data: bytes, format_name: str, config: dict[str, Any]) -> None:
    block = build_parser(format_name, config, ALL_TYPES, "t.c").parse(data)
    assert block.errors == ()
    (batch,) = block.batches
    for column, found, expected in zip(ALL_TYPES.columns, batch.columns, changes.columns, strict=True):
        assert found.equals(expected), column


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_json(flavor: str, array: bool) -> None:
    changes = sample(ALL_TYPES, 11, coarse=FLAVORS[flavor].timestamp.value == "millis" or "debezium" in flavor)
    config = {"json_flavor": flavor, "array": array}
    (buffer,) = build_encoder("json", config, ALL_TYPES, "v.c").encode(changes)
    check(changes, buffer.data, "json", config)


@pytest.mark.parametrize("delimiter", [",", "|"])
def test_csv(delimiter: str) -> None:
    changes = sample(ALL_TYPES, 12, coarse=False)
    (buffer,) = build_encoder("csv", {"delimiter": delimiter}, ALL_TYPES, "v.c").encode(changes)
    check(changes, buffer.data, "csv", {"delimiter": delimiter})


def test_debezium_messages_read_as_debezium() -> None:
    changes = sample(ALL_TYPES, 13, coarse=True)
    output = {"update_format": "debezium"}
    data = b"\n".join(buffer.data for buffer in build_encoder("json", output, ALL_TYPES, "v.c").encode(changes))
    check(changes, data, "json", {"update_format": "debezium", "json_flavor": "kafka_connect_json_converter"})
    assert len(envelope_schema(list(ALL_TYPES.columns))["fields"]) == 3
