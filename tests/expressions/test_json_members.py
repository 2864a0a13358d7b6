"""Members found in the texts of VARIANTs, compared with decoding them."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from millstream.expressions.casts import find_conversion
from millstream.expressions.casts.variant import from_values, member
from millstream.expressions.json_members import members_of_index, members_of_key, warm_up
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call, build_cast
from millstream.types import SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, UUID, VARCHAR, VARIANT, char, decimal
from millstream.types.variant import Tagged, decode, encode
from tests.expressions.expression_cases import column, evaluate, literal

KEYS = ["a", "b", "", 'q"uote', "ba\\ck", "é", "line\n", "a b", "aa"]


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind < 4:
        return rng.choice([None, True, False, 0, -5, 12, "", "x", "a,b]}", '"', "\\", "{", "é"])
    if kind < 6:
        return Tagged(*rng.choice([("\x04", "7"), ("\x11", '"2020-01-01"'), ("\x01", "null"), ("\x14", "[1,2]")]))
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7 and depth == 0:
        return Tagged("\x1a", {"\x041": value(rng, 3), "\x042": value(rng, 3)})
    return {key: value(rng, depth + 1) for key in rng.sample(KEYS, rng.randrange(5))}


@pytest.mark.parametrize("seed", range(5))
def test_members_are_those_of_the_decoded_value(seed: int) -> None:
    rng = random.Random(seed)
    texts = [None if rng.random() < 0.1 else encode(value(rng)) for _ in range(200)]
    data, _ = column(texts, VARIANT)
    for key in [*KEYS, "absent"]:
        call = build_call("ITEM", [ColumnRef(VARIANT, 0), literal(key)])
        wanted = [None if text is None else member(text, encode(key)) for text in texts]
        assert evaluate(call, [data], len(texts)) == wanted
    for index in (-1, 0, 1, 2, 3, 4):
        call = build_call("ITEM", [ColumnRef(VARIANT, 0), literal(index)])
        wanted = [None if text is None else member(text, f"\x04{index}") for text in texts]
        assert evaluate(call, [data], len(texts)) == wanted


def test_text_that_is_no_variant_does_no_harm() -> None:
    """Nothing else writes such text, but reading beyond a column's memory would be worse than a wrong answer."""
    broken = [
        "{",
        '{"a',
        '{"a"',
        '{"a":',
        '{"a":"',
        '{"a":"\\',
        '{"b":1,"a',
        "[",
        "[1",
        '["',
        '["\\',
        "[[",
        '{"b":{"a',
        "",
        "]",
    ]
    for text in broken:
        data = pa.array([text], pa.large_string())
        assert len(members_of_key(data, '"a"')) == 1
        assert len(members_of_index(data, 2)) == 1
    warm_up()


@pytest.mark.parametrize(
    "target", [VARCHAR, char(3), BIGINT, INTEGER, DOUBLE, BOOLEAN, DATE, UUID, decimal(6, 1)], ids=str
)
def test_usual_and_other_spellings_cast_alike(target: SqlType) -> None:
    """Columns of mixed spellings give what each decoded value gives."""
    texts = ["1", "-12", "1.25", "true", '"ab"', '"a\\nb"', "null", None, "\x047", '\x11"2020-01-02"', '"2020-01-02"',
             '"12"', '"0.5"', "[1]", "{}", "99999999999", '"true"', "\x0fnull", "1" * 25, '"é"',
             '"00010203-0405-0607-0809-0a0b0c0d0e0f"']  # fmt: skip
    data, _ = column(texts, VARIANT)
    cast = build_cast(ColumnRef(VARIANT, 0), target)
    decoded = [None if text is None else decode(text) for text in texts]
    wanted = from_values(decoded, target, find_conversion).to_pylist()
    assert repr(evaluate(cast, [data], len(texts))) == repr(wanted)
    assert any(v is not None for v in wanted)
