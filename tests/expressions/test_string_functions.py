"""String functions: values, NULLs, boundaries and refusals (sql.md §7.3, §7.4)."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from millstream.expressions.evaluate import EvaluationError
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import BOOLEAN, INTEGER, UUID, VARBINARY, VARCHAR, char, map_of, struct
from tests.expressions.expression_cases import Typed, apply, type_error

ROW = struct((Field("a", INTEGER),))
U = bytes(range(16))

CASES: list[tuple[Any, ...]] = [
    ("GUNZIP", gzip.compress(b"abc", mtime=0), "abc"), ("GUNZIP", b"x", "failed to decompress gzipped data"),
    ("GUNZIP", None, None),
    ("||", "a", "b", "ab"), ("||", "a", 5, "a5"), ("||", "a", None, None),
    ("||", b"\x01", b"\x02", b"\x01\x02"),
    ("||", Typed("a ", char(2)), "b", "a b"),
    ("CONCAT", "a", "b", "c", "abc"), ("CONCAT", "a", None, None), ("CONCAT", "x", True, "xTRUE"),
    ("CONCAT", "a", "a"),
    ("CONCAT_WS", "@", "a", "b", "a@b"), ("CONCAT_WS", "@", None, 55, "@55"),
    ("CONCAT_WS", "@", "a", None, "b", "a@b"),
    ("CONCAT_WS", None, "a", None), ("CONCAT_WS", "-", b"\x0b", "x", "0b-x"),
    ("CONCAT_WS", "-", None, None, ""),
    ("LENGTH", "héé", 3), ("LEN", "", 0), ("CHAR_LENGTH", None, None), ("LEN", Typed(U, UUID), 36),
    ("OCTET_LENGTH", "é", 2), ("OCTET_LENGTH", b"abc", 3), ("OCTET_LENGTH", "", 0),
    ("UPPER", "straße", "STRASSE"), ("UPPER", "abc", "ABC"), ("UPPER", None, None),
    ("LOWER", "ÀB", "àb"), ("LOWER", "AB", "ab"), ("LOWER", "", ""),
    ("INITCAP", "hello wORLD-x 1abc", "Hello World-X 1abc"), ("INITCAP", "a_b", "A_B"), ("INITCAP", "", ""),
    ("INITCAP_SPACES", "hello wORLD-x", "Hello World-x"), ("INITCAP_SPACES", "", ""),
    ("INITCAP_SPACES", None, None),
    ("TRIM", "  a ", "a"), ("TRIM", "xyaxx", "xy", "a"), ("TRIM", None, None),
    ("SUBSTRING", "string", 2, 3, "tri"), ("SUBSTRING", "string", -1, 4, "st"),
    ("SUBSTRING", "string", 3, "ring"),
    ("SUBSTRING", "string", 2, -1, ""), ("SUBSTRING", "string", 10, 2, ""),
    ("SUBSTRING", "héllo", 2, 2, "él"),
    ("SUBSTRING", "s", None, 2, None), ("SUBSTRING", b"abcd", -1, 2, b"ab"),
    ("SUBSTRING", b"abcd", 2, b"bcd"),
    ("SUBSTR", "string", -3, "ing"), ("SUBSTR", "string", -3, 2, "in"), ("SUBSTR", "string", 2, -5, ""),
    ("SUBSTR", "string", 0, "string"), ("SUBSTR", "string", -30, 2, "st"),
    ("LEFT", "string", 2, "st"), ("LEFT", "string", -2, ""), ("LEFT", True, 2, "TR"),
    ("LEFT", b"abc", 2, b"ab"),
    ("RIGHT", "string", 2, "ng"), ("RIGHT", "string", 0, ""), ("RIGHT", "ab", 5, "ab"),
    ("RIGHT", b"abc", 2, b"bc"),
    ("POSITION", "l", "hello", 3), ("POSITION", "x", "hello", 0), ("POSITION", "ö", "aéö", 3),
    ("POSITION", "", "a", 1),
    ("POSITION", None, "a", None), ("POSITION", b"\x02", b"\x01\x02", 2),
    ("OVERLAY", "abcdef", "45", 4, "abc45f"), ("OVERLAY", "abcdef", "45", 4, 0, "abc45def"),
    ("OVERLAY", "abc", "X", 0, "abc"), ("OVERLAY", "abc", "X", 10, "abcX"),
    ("OVERLAY", "abc", "X", 2, -3, "aXbc"),
    ("REPLACE", "abcabc", "b", "X", "aXcaXc"), ("REPLACE", "abc", "", "-", "-a-b-c-"),
    ("REPLACE", "abc", None, "x", None),
    ("REPEAT", "ab", 3, "ababab"), ("REPEAT", "ab", 0, ""), ("REPEAT", "ab", -1, ""),
    ("REPEAT", "ab", None, None),
    ("REVERSE", "abé", "éba"), ("REVERSE", "", ""), ("REVERSE", None, None),
    ("ASCII", "é", 233), ("ASCII", "", 0), ("ASCII", "A", 65),
    ("CHR", 65, "A"), ("CHR", 0x1F600, "😀"), ("CHR", -1, ""), ("CHR", None, None),
    ("SPLIT", "a,b,,c", ["a", "b", "", "c"]), ("SPLIT", "", []), ("SPLIT", "a|b", "|", ["a", "b"]),
    ("SPLIT", "ab", "", ["ab"]),
    ("SPLIT", None, None),
    ("SPLIT_PART", "a,b,c", ",", 2, "b"), ("SPLIT_PART", "a,b,c", ",", -1, "c"),
    ("SPLIT_PART", "a,b", ",", 5, ""),
    ("SPLIT_PART", "a,b", ",", 0, ""), ("SPLIT_PART", "a,b", "", 1, "a,b"),
    ("MD5", "abc", "900150983cd24fb0d6963f7d28e17f72"), ("MD5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
    ("MD5", None, None),
    ("XXHASH", "abc", 2, 6026019377950218999), ("XXHASH", b"abc", 2, 6026019377950218999),
    ("XXHASH", None, 2, None),
    ("TO_HEX", b"\x0b\xff", "0bff"), ("TO_HEX", "A", "41"), ("TO_HEX", None, None),
    ("TO_INT", b"\x01\x02", 258), ("TO_INT", b"\xff\xff\xff\xff\x00", -1), ("TO_INT", b"", 0),
    ("BIN2UTF8", b"ab", "ab"), ("BIN2UTF8", b"\xff", None), ("BIN2UTF8", None, None),
    ("LIKE", "abc", "a%", True), ("LIKE", "abc", "a_", False), ("LIKE", "a\nb", "a_b", True),
    ("LIKE", "abc", None, None),
    ("LIKE", "a\\b", "a\\b", True), ("LIKE", "a%", "a\\%", False), ("LIKE", "a.c", "a.c", True),
    ("LIKE", "abc", "a.c", False),
    ("LIKE", "a%", "a#%", "#", True), ("LIKE", "ab", "a#%", "#", False),
    ("NOT LIKE", "abc", "a%", False), ("NOT LIKE", "abc", "b%", True), ("NOT LIKE", None, "b%", None),
    ("ILIKE", "ABC", "a%", True), ("ILIKE", "abc", "A_C", True), ("ILIKE", "abc", "x", False),
    ("NOT ILIKE", "abc", "A%", False),
    ("RLIKE", "hello", "l+", True), ("RLIKE", "hello", "^l", False), ("RLIKE", "٣", r"^\d$", True),
    ("RLIKE", None, "a", None),
    ("RLIKE", "é", r"^[\w]$", True), ("NOT RLIKE", "hello", "x", True),
    ("RLIKE", "a", "(", "Invalid regular expression in RLIKE '(': missing ): ("),
    ("REGEXP_REPLACE", "abcabc", "b", "X", "aXcaXc"), ("REGEXP_REPLACE", "abc", "b", "ac"),
    ("REGEXP_REPLACE", "john smith", r"(\w+) (\w+)", "$2 ${1}$$", "smith john$"),
    ("REGEXP_REPLACE", "ab", "(?P<x>a)", "[$x]\\", "[a]\\b"), ("REGEXP_REPLACE", "ab", "a", "$1", "b"),
    ("REGEXP_REPLACE", "a", "[", "x", "Invalid regular expression in REPLACE '[': missing ]: [)"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1:-1]}"[:60])
def test_value(case: tuple[Any, ...]) -> None:
    name, *arguments, expected = case
    assert apply(name, *arguments) == expected


@pytest.mark.parametrize(("side", "expected"), [("BOTH", "a"), ("LEADING", "axx"), ("TRAILING", "xxa")])
def test_trim_takes_characters_off_the_named_side(side: str, expected: str) -> None:
    assert apply("TRIM", "xxaxx", "x", options=(side,)) == expected


@pytest.mark.parametrize("name", ["ASCII", "INITCAP", "LEN", "LOWER", "UPPER", "MD5", "TO_INT"])
def test_strings_are_not_made_of_rows(name: str) -> None:
    assert f"Cannot apply '{name}' to arguments of type '{name}(<ROW(INTEGER a)>)'" in type_error(name, ROW)


@pytest.mark.parametrize(
    ("name", "types", "fragment"),
    [
        ("||", (ROW, VARCHAR), "Cannot apply '||' to arguments of type '<ROW(INTEGER a)> || <VARCHAR>'"),
        ("OVERLAY", (VARCHAR, VARBINARY, INTEGER), "First and second arguments to 'OVERLAY' must have the same type"),
        ("POSITION", (VARCHAR, ROW), "Parameters must be of the same type"),
        ("TRIM", (VARBINARY,), "Cannot apply 'TRIM' to arguments of type 'TRIM(<VARBINARY>)'"),
        ("OCTET_LENGTH", (SqlType(Kind.REAL),), "Cannot apply 'OCTET_LENGTH' to arguments of type"),
        ("TO_HEX", (UUID,), "Cannot apply 'TO_HEX' to arguments of type"),
        ("ASCII", (map_of(VARCHAR, INTEGER),), "Cannot apply 'ASCII' to arguments of type"),
        ("CONCAT", (VARBINARY, VARCHAR), "Support for CONCAT() with arguments of type BINARY"),
        ("CONCAT_WS", (VARCHAR,),
         "Invalid number of arguments to function 'CONCAT_WS'. Was expecting at least 2 arguments"),
        ("LEFT", (VARCHAR,), "Invalid number of arguments to function 'LEFT'. Was expecting 2 arguments"),
        ("SIMILAR TO", (VARCHAR, VARCHAR), "Function 'SIMILAR TO' not yet implemented"),
        ("NO_SUCH", (VARCHAR, INTEGER, BOOLEAN),
         "No match found for function signature NO_SUCH(<CHARACTER>, <NUMERIC>, <BOOLEAN>)"),
    ],
)  # fmt: skip
def test_refused_arguments(name: str, types: tuple[SqlType, ...], fragment: str) -> None:
    assert fragment in type_error(name, *types)


def test_a_failing_pattern_is_an_evaluation_error() -> None:
    assert issubclass(EvaluationError, Exception)
    assert "Invalid escape sequence" in apply("LIKE", "ab", "a#b", "#")
