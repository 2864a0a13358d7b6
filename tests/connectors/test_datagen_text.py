"""`datagen`: what the string strategies make."""

from __future__ import annotations

import re

import pytest

from millstream.connectors.datagen.settings import STRING_STRATEGIES
from millstream.types import sql_type as t

from .datagen_support import values


@pytest.mark.parametrize("strategy", STRING_STRATEGIES)
def test_string_strategies_make_text(strategy: str) -> None:
    texts = values(t.VARCHAR, {"strategy": strategy}, 300)
    assert len(set(texts)) >= 2
    counted = strategy in ("words", "sentence", "sentences", "paragraph", "paragraphs", "password")
    settings = {"strategy": strategy, "range": [1, 4]} if counted else {"strategy": strategy}
    assert all(values(t.char(20), settings, 50)), "no text is empty"


@pytest.mark.parametrize(
    "strategy, pattern",
    [
        ("email", r"[a-z]+\.[a-z]+@example\.(biz|com|info|name|net|org)"),
        ("ipv4", r"(\d{1,3}\.){3}\d{1,3}"),
        ("ipv6", r"([0-9a-f]{4}:){7}[0-9a-f]{4}"),
        ("mac_address", r"([0-9a-f]{2}:){5}[0-9a-f]{2}"),
        ("username", r"[a-z]+(_[a-z]+|\d\d)"),
        ("state_abbr", r"[A-Z]{2}"),
        ("country_code", r"[A-Z]{2}"),
        ("currency_code", r"[A-Z]{3}"),
        ("zip_code", r"\d{5}"),
        ("latitude", r"-?[0-8]?\d\.\d{6}"),
        ("credit_card_number", r"4\d{15}"),
        ("isbn13", r"97[89]\d{10}"),
        ("isbn10", r"\d{9}[\dX]"),
        ("file_path", r"(/\w+)+\.\w+"),
        ("file_name", r"\w+\.\w+"),
        ("dir_path", r"(/\w+)+"),
        ("valid_status_code", r"[1-5]\d\d"),
        ("sentence", r"([A-Z][a-z]*( [a-z]+)*\.)?"),
    ],
)
def test_string_shapes(strategy: str, pattern: str) -> None:
    for text in values(t.VARCHAR, {"strategy": strategy}, 300):
        assert re.fullmatch(pattern, text), text


def test_check_digits_are_right() -> None:
    for number in values(t.VARCHAR, {"strategy": "credit_card_number"}, 100):
        doubled = [int(digit) * (2 if i % 2 == 0 else 1) for i, digit in enumerate(number)]
        assert sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
    for number in values(t.VARCHAR, {"strategy": "isbn13"}, 100):
        assert sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(number)) % 10 == 0
    for number in values(t.VARCHAR, {"strategy": "isbn10"}, 100):
        assert sum((10 if d == "X" else int(d)) * (10 - i) for i, d in enumerate(number)) % 11 == 0


def test_counts_of_words_follow_the_range() -> None:
    texts = values(t.VARCHAR, {"strategy": "words", "range": [2, 4]}, 200)
    assert {len(text.split(" ")) for text in texts} == {2, 3}
    paragraphs = values(t.VARCHAR, {"strategy": "paragraphs", "range": [2, 4]}, 100)
    assert {len(text.split("\n")) for text in paragraphs} == {2, 3}
    passwords = values(t.VARCHAR, {"strategy": "password", "range": [8, 10]}, 100)
    assert {len(text) for text in passwords} == {8, 9}
