"""JSON columns as VARIANTs agree with `parse_json` on each text."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from millstream.expressions.json_texts import rewrite, variants_of
from millstream.types.variant import parse_json

NUMBERS = [
    "0", "-0", "1", "-1", "007", "1.0", "1.50", "-2.50", "0.0", "-0.0", "0.5", "-0.5", "1e5", "1E-2", "1.", ".5", "-",
    "+1", "12345678901234567", "123456789012345678", "18446744073709551615", "18446744073709551616",
    "-9223372036854775809", "0." + "1" * 30, "0." + "1" * 31, "0." + "0" * 61 + "1", "1" * 70, "1.10", "100.00",
    "1.2.3", "1e", "0x1",
]  # fmt: skip
TEXTS = [
    "", " ", "null", "nul", "nulls", "true", "False", "false", "NaN", "Infinity", '"a"', '"', '"é😀"', '"a\\n"',
    '"\\u0041"', '"\\ud800"', '"\x01"', '"\x7f"', "[]", "[ ]", "{}", "{ }", "[1,]", "[,1]", "{,}", '{"a"}', '{"a":}',
    '{"a":1,}', "[1 2]", '{"a":1 "b":2}', '{"b":1,"a":2}', '{"a":1,"a":2}', '{"b":1,"a":2,"b":3}', '{"":1,"a":{}}',
    "[[[[1]]]]", "[1]]", "{]", '{"a":1}}', "[}", '{"aa":1,"a":2,"ab":3}', '{"é":1,"z":2}', "\t[\n1\r, 2 ]\n", "\x0b1",
    "1 ", " 1", "1 1", "{1:2}", '{"b":{"d":1,"c":[{"f":1,"e":2}]},"a":{"z":{},"y":[]}}', "[" * 64 + "]" * 64,
    "[" * 65 + "]" * 65, "[" * 129 + "]" * 129, "{" + ",".join(f'"k{i}":{i}' for i in range(300)) + "}",
    "{" + ",".join(f'"k{i:03}":{i}' for i in range(256)) + "}", *NUMBERS, *(f"[{n}]" for n in NUMBERS),
]  # fmt: skip


def document(rng: random.Random, depth: int) -> str:
    """JSON in any spelling, some of it wrong."""
    blank = rng.choice(["", "", "", " ", "\n "])
    shape = rng.randrange(8 if depth else 5)
    if shape < 3:
        return blank + rng.choice([*NUMBERS[:12], "true", "null", '"x"', '"é"', '"a\\tb"'])
    if shape < 5:
        return blank + str(rng.randrange(-(10**6), 10**6) / rng.choice([1, 8, 100]))
    parts = [document(rng, depth - 1) for _ in range(rng.randrange(4))]
    if shape == 5:
        return blank + "[" + f"{blank},".join(parts) + blank + "]"
    keys = [rng.choice(["a", "b", "c", "key", "kez", "", "é", "a b", "B"]) for _ in parts]
    return blank + "{" + ",".join(f'{blank}"{k}"{blank}:{p}' for k, p in zip(keys, parts, strict=True)) + blank + "}"


def check(texts: list[str | None]) -> None:
    column = pa.array([None, "[", *texts], pa.large_string()).slice(2)
    found = variants_of(column)
    found.validate(full=True)
    assert found.to_pylist() == [None if text is None else parse_json(text) for text in texts]


def test_texts_of_every_shape() -> None:
    check([*TEXTS, None])
    for text in TEXTS:
        check([text])
    check([])
    check([None, None])


@pytest.mark.parametrize("seed", range(8))
def test_random_documents(seed: int) -> None:
    rng = random.Random(seed)
    texts: list[str | None] = [document(rng, 4) for _ in range(500)]
    check(texts)
    # Cut off and with a byte too many.
    check(
        [
            text[: rng.randrange(len(text) + 1)] + rng.choice(["", "]", "}", ",", '"', " ", "1"])
            for text in texts
            if text
        ]
    )


def test_common_documents_are_rewritten_by_the_kernel() -> None:
    rows: list[Any] = [
        {"price": i / 4, "name": f"n{i}", "tags": ["x", i], "at": {"b": None, "a": True}} for i in range(50)
    ]
    for separators in ((",", ":"), (", ", ": ")):
        texts = [json.dumps(row, separators=separators) for row in rows]
        data = np.frombuffer("".join(texts).encode(), np.uint8)
        ends = np.cumsum([len(text) for text in texts])
        made = rewrite(data, np.concatenate(([0], ends[:-1])), ends, np.ones(len(rows), np.bool_))
        assert made.done.all()
        assert made.column(made.done).to_pylist() == [parse_json(text) for text in texts]
        assert len(made.data) < len(data)
