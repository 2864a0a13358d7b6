"""The kernels over the bytes of texts agree with plain Python on random texts of one to four bytes a character."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from millstream.expressions.functions.patterns import like_codes
from millstream.expressions.functions.strings import initcap, initcap_spaces, lower, upper
from millstream.expressions.text_bytes import characters, first_code_points, leading_integers
from millstream.expressions.text_kernels import capitalized, gathered, likes, parts, positions, replaced, windows

ROWS = 300
TEXT = pa.large_string()


def texts(rng: random.Random, letters: str = "ab/é€😀", longest: int = 24) -> list[str | None]:
    made = ["".join(rng.choices(letters, k=rng.randrange(longest))) for _ in range(ROWS)]
    return [None if rng.random() < 0.1 else text for text in made]


def column(values: list[str | None]) -> pa.Array:
    """A slice with an offset, whose NULL has bytes."""
    return pa.array(["x", *values], TEXT).slice(1)


def split_part(text: str, separator: str, number: int) -> str:
    found = text.split(separator) if separator else [text]
    return "" if number == 0 or abs(number) > len(found) else found[number - 1 if number > 0 else number]


@pytest.mark.parametrize("separator", ["/", "ab", "aa", "é", "😀", ""])
@pytest.mark.parametrize("seed", range(3))
def test_parts(separator: str, seed: int) -> None:
    rng = random.Random(seed)
    values, numbers = texts(rng), [rng.randrange(-4, 5) for _ in range(ROWS)]
    starts, lengths = parts(column(values), separator, pa.array(numbers, pa.int32()))
    found = gathered(column(values), starts, np.maximum(lengths, 0)).to_pylist()
    assert found == [None if v is None else split_part(v, separator, n) for v, n in zip(values, numbers, strict=True)]


@pytest.mark.parametrize("letters", ["ab", "ab/é€😀"])
@pytest.mark.parametrize("seed", range(3))
def test_windows(letters: str, seed: int) -> None:
    rng = random.Random(seed)
    values = texts(rng, letters)
    firsts, counts = ([rng.randrange(-6, 7) for _ in range(ROWS)] for _ in range(2))

    def window(text: str, first: int, count: int) -> str:
        low = max(len(text) + first, 0) if first < 0 else first
        return text[low : low + max(count, 0)]

    found = windows(column(values), np.array(firsts), np.array(counts)).to_pylist()
    rows = zip(values, firsts, counts, strict=True)
    assert found == [None if v is None else window(v, f, c) for v, f, c in rows]


@pytest.mark.parametrize("seed", range(3))
def test_positions_and_replacements(seed: int) -> None:
    rng = random.Random(seed)
    values = texts(rng)
    needles = [rng.choice(["a", "é", "ab", "", "//", "€"]) for _ in range(ROWS)]
    new = [rng.choice(["", "x", "é!"]) for _ in range(ROWS)]
    found = positions(column(values), pa.array(needles, TEXT)).tolist()
    for value, needle, position in zip(values, needles, found, strict=True):
        assert value is None or position == value.find(needle) + 1
    swapped = replaced(column(values), pa.array(needles, TEXT), pa.array(new, TEXT)).to_pylist()
    rows = zip(values, needles, new, strict=True)
    assert swapped == [None if v is None else v.replace(n, t) for v, n, t in rows]
    once = replaced(column(values), pa.array(["a"], TEXT), pa.array(new, TEXT)).to_pylist()
    assert once == [None if v is None else v.replace("a", t) for v, t in zip(values, new, strict=True)]


@pytest.mark.parametrize("seed", range(40))
def test_likes(seed: int) -> None:
    rng = random.Random(seed)
    values = texts(rng)
    pattern = "".join(rng.choices("a%_é!", k=rng.randrange(7)))
    escaped = re.sub("!.?", lambda m: "!_" if m[0] != "!%" else m[0], pattern)
    translated = re.sub(r"!(.)|(.)", lambda m: m[1] or {"%": ".*", "_": "."}.get(m[2], m[2]), escaped)
    wanted = re.compile(f"(?s){translated}")
    found = likes(column(values), like_codes(escaped, "!")).to_pylist()
    assert found == [None if v is None else wanted.fullmatch(v) is not None for v in values], escaped


@pytest.mark.parametrize("blanks_only", [True, False])
def test_capitals(blanks_only: bool) -> None:
    values = texts(random.Random(1), "aZ _-9", 12)
    python = initcap_spaces if blanks_only else initcap
    assert capitalized(column(values), blanks_only).to_pylist() == [None if v is None else python(v) for v in values]


def test_case_is_mapped_as_unicode_says() -> None:
    everything = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    lines = ["".join(everything[i : i + 7]) for i in range(0, len(everything), 7)]
    assert upper(pa.array(lines, TEXT)).to_pylist() == [line.upper() for line in lines]
    assert lower(pa.array(lines, TEXT)).to_pylist() == [line.lower() for line in lines]


def test_characters_and_codes() -> None:
    codes = [
        0,
        1,
        0x7F,
        0x80,
        0x7FF,
        0x800,
        0xD7FF,
        0xD800,
        0xDFFF,
        0xE000,
        0xFFFF,
        0x10000,
        0x10FFFF,
        0x110000,
        -1,
        None,
    ]
    made = characters(pa.array(codes, pa.int64()))
    valid = [c is not None and 0 < c <= 0x10FFFF and not 0xD800 <= c <= 0xDFFF for c in codes]
    assert made.to_pylist() == [None if c is None else chr(c) if ok else "" for c, ok in zip(codes, valid, strict=True)]
    assert first_code_points(made).tolist() == [c if ok else 0 for c, ok in zip(codes, valid, strict=True)]
    numbers = [b"", b"\x01", b"\x01\x02", b"\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0\x01"]
    wanted = [int.from_bytes(n[:4], "big", signed=len(n) >= 4) for n in numbers]
    assert leading_integers(pa.array(numbers, pa.large_binary())).tolist() == wanted
