"""String functions (sql.md §7.3). Positions and lengths count code points.

The common ones are Arrow kernels when their positions are constants, as they nearly always are; those in
`ROW_BY_ROW` loop in Python. Arrow maps case by simple one-to-one mapping, so columns with non-ASCII text are
mapped by Python, which like upstream uses the full Unicode mapping.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from millstream.errors import EvaluationError
from millstream.expressions.casts.text import binary_to_text
from millstream.expressions.coercion import coerce, is_null_literal
from millstream.expressions.errors import TypeCheckError, cannot_apply, not_implemented
from millstream.expressions.function import (
    INT,
    LONG,
    TEXT,
    TEXT_OR_BINARY,
    Function,
    Options,
    Parameter,
    any_nullable,
    check_count,
    convert_arguments,
    function,
    simple,
    table,
)
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.rows import all_ascii, by_distinct, per_row
from millstream.expressions.vectors import Kernel, Value, on_arrays
from millstream.types import SqlType, arrow_type
from millstream.types.sql_type import BIGINT, INTEGER, VARBINARY, VARCHAR, array

ROW_BY_ROW = (
    "INITCAP", "INITCAP_SPACES", "ASCII", "CHR", "SPLIT_PART", "OVERLAY", "MD5", "XXHASH", "TO_INT",
    "BIN2UTF8", "GUNZIP", "UPPER and LOWER of non-ASCII text", "POSITION in non-ASCII text or with a variable needle",
    "REPLACE with an empty needle", "SUBSTRING, LEFT, RIGHT of binaries",
)  # fmt: skip
_TEXT, _BINARY = pa.large_string(), pa.large_binary()
_EMPTY = pa.scalar("", _TEXT)


# ---- concatenation -----------------------------------------------------------------------------------------------


def _resolve_concatenation(arguments: Any, _: Options) -> Expression:
    check_count("||", len(arguments), 2, None)
    if all(a.type.is_binary for a in arguments):
        return Call(VARBINARY.with_nullable(any_nullable(arguments)), "||", tuple(arguments))
    converted = [TEXT.convert(a) for a in arguments]
    if None in converted:
        raise cannot_apply("||", arguments, ["<STRING> || <STRING>"])
    typed = tuple(c for c in converted if c is not None)
    return Call(VARCHAR.with_nullable(any_nullable(typed)), "||", typed)


def _implement_concatenation(call: Call) -> Kernel:
    separator = pa.scalar(b"", _BINARY) if call.type.is_binary else _EMPTY
    return lambda *values: pc.binary_join_element_wise(*values, separator)


def _resolve_concat(arguments: Any, options: Options) -> Expression:
    check_count("CONCAT", len(arguments), 1, None)
    if any(a.type.is_binary for a in arguments):
        unsupported = not_implemented("CONCAT")
        raise TypeCheckError(
            "Support for CONCAT() with arguments of type BINARY not yet implemented", unsupported.error_type
        )
    if len(arguments) == 1:
        return coerce(convert_arguments("CONCAT", [TEXT], arguments)[0], VARCHAR)
    convert_arguments("CONCAT", [TEXT], arguments)
    return _resolve_concatenation(arguments, options)


def _to_text_with_hex(argument: Expression) -> Expression | None:
    return coerce(argument, VARCHAR) if argument.type.is_binary else TEXT.convert(argument)


def _resolve_concat_ws(arguments: Any, _: Options) -> Expression:
    check_count("CONCAT_WS", len(arguments), 2, None)
    typed = convert_arguments("CONCAT_WS", [Parameter("STRING", _to_text_with_hex)], arguments)
    return Call(VARCHAR.with_nullable(typed[0].type.nullable), "CONCAT_WS", typed)


def _concat_ws(separator: Value, head: Value, *rest: Value) -> Value:
    """NULL items are skipped, except that a leading one counts as empty text (upstream's accumulator starts
    so)."""
    return pc.binary_join_element_wise(pc.fill_null(head, ""), *rest, separator, null_handling="skip")


# ---- case, trimming ----------------------------------------------------------------------------------------------


def _mapping_case(arrow: Kernel, python: Any) -> Kernel:
    slow = per_row(python, _TEXT)
    return on_arrays(lambda a: arrow(a) if all_ascii(a) else slow(a))


upper = _mapping_case(pc.ascii_upper, str.upper)
lower = _mapping_case(pc.ascii_lower, str.lower)


def initcap(text: str) -> str:
    """Upper case after every character that is no letter or digit, lower case elsewhere."""
    return re.sub(r"[^\W_]+", lambda m: m[0][0].upper() + m[0][1:].lower(), text)


def initcap_spaces(text: str) -> str:
    """Upper case after blanks only, lower case elsewhere."""
    return re.sub(r"[^ ]+", lambda m: m[0][0].upper() + m[0][1:].lower(), text)


_TRIMS = {"BOTH": pc.utf8_trim, "LEADING": pc.utf8_ltrim, "TRAILING": pc.utf8_rtrim}


def _resolve_trim(arguments: Any, options: Options) -> Expression:
    check_count("TRIM", len(arguments), 1, 2)
    typed = convert_arguments("TRIM", [TEXT], arguments)
    return Call(VARCHAR.with_nullable(any_nullable(typed)), "TRIM", typed, options or ("BOTH",))


def _implement_trim(call: Call) -> Kernel:
    trim = _TRIMS[call.options[0]]
    if len(call.arguments) == 1:
        return lambda value: trim(value, " ")
    return by_distinct(lambda a, chars: trim(a, chars) if chars else a, _TEXT)


# ---- substrings --------------------------------------------------------------------------------------------------


def _slice(value: Any, start: int, stop: int | None) -> pa.Array:
    """Characters or bytes start..stop (0-based) of each element."""
    if value.type == _BINARY:
        return pa.array([None if v is None else v[start:stop] for v in value.to_pylist()], _BINARY)
    return pc.utf8_slice_codeunits(value, start, stop)


def _substring(value: pa.Array, start: int, count: int | None = None) -> pa.Array:
    """SQL's window [start, start + count); binaries clamp the start without shortening the count."""
    if count is None:
        return _slice(value, max(start - 1, 0), None)
    if value.type == _BINARY:
        start = max(start, 1)
    stop = start - 1 + max(count, 0)
    return _slice(value, max(start - 1, 0), max(stop, 0))


def _substr(value: pa.Array, start: int, count: int | None = None) -> pa.Array:
    """BigQuery's SUBSTR: a negative start counts from the end."""
    if start >= 0:
        begin = max(start - 1, 0)
        return _slice(value, begin, None if count is None else begin + max(count, 0))
    tail = _slice(value, start, None)
    return tail if count is None else _slice(tail, 0, max(count, 0))


def _left(value: pa.Array, count: int) -> pa.Array:
    return _slice(value, 0, max(count, 0))


def _right(value: pa.Array, count: int) -> pa.Array:
    return _slice(value, 0, 0) if count <= 0 else _slice(value, -count, None)


def _kind_of_first(arguments: Any) -> SqlType:
    """The result type of functions that take strings or binaries."""
    return VARBINARY if arguments[0].type.is_binary else VARCHAR


def _positional(kernel: Any) -> Any:
    """`implement` of a function whose arguments after the first are positions."""

    def implement(call: Call) -> Kernel:
        return by_distinct(kernel, arrow_type(call.type), len(call.arguments) - 1)

    return implement


def _overlay(text: Any, placed: Any, start: int, count: int | None = None) -> Any:
    if start <= 0:
        return text
    length = len(placed) if count is None else max(count, 0)
    return text[: start - 1] + placed + text[start - 1 + length :]


def _resolve_overlay(arguments: Any, _: Options) -> Expression:
    check_count("OVERLAY", len(arguments), 3, 4)
    if arguments[0].type.is_binary is not arguments[1].type.is_binary and (
        arguments[0].type.is_string or arguments[1].type.is_string
    ):
        raise TypeCheckError("First and second arguments to 'OVERLAY' must have the same type")
    typed = convert_arguments("OVERLAY", [TEXT_OR_BINARY, TEXT_OR_BINARY, INT, INT], arguments)
    return Call(_kind_of_first(typed).with_nullable(any_nullable(typed)), "OVERLAY", typed)


# ---- searching ---------------------------------------------------------------------------------------------------


def _resolve_position(arguments: Any, _: Options) -> Expression:
    check_count("POSITION", len(arguments), 2, 2)
    if any(TEXT_OR_BINARY.convert(a) is None for a in arguments) or (
        arguments[0].type.is_binary is not arguments[1].type.is_binary
    ):
        raise TypeCheckError("Parameters must be of the same type")
    needle, haystack = convert_arguments("POSITION", [TEXT_OR_BINARY], arguments)
    return Call(INTEGER.with_nullable(any_nullable((needle, haystack))), "POSITION", (haystack, needle))


def _find(haystack: pa.Array, needle: Any) -> pa.Array:
    if haystack.type == _TEXT and all_ascii(haystack):
        return pc.add(pc.find_substring(haystack, needle), 1).cast(pa.int32())
    return pa.array([None if h is None else h.find(needle) + 1 for h in haystack.to_pylist()], pa.int32())


def _replace(text: pa.Array, needle: str, replacement: str) -> pa.Array:
    if needle:
        return pc.replace_substring(text, pattern=needle, replacement=replacement)
    return pa.array([None if t is None else t.replace("", replacement) for t in text.to_pylist()], _TEXT)


# ---- splitting ---------------------------------------------------------------------------------------------------


def _split(text: pa.Array, separator: str = ",") -> pa.Array:
    wanted = pa.large_list(pa.field("item", _TEXT))
    if not separator:
        return pa.array([None if t is None else [t] if t else [] for t in text.to_pylist()], wanted)
    parts = pc.split_pattern(text, separator).cast(wanted)
    empty = pc.equal(text, _EMPTY)
    return pc.if_else(empty, pa.scalar([], wanted), parts) if pc.any(empty).as_py() else parts


def split_part(text: str, separator: str, number: int) -> str:
    """Part `number` (1-based, from the end when negative) of the text; '' where there is none."""
    parts = text.split(separator) if separator else [text]
    if number == 0 or abs(number) > len(parts):
        return ""
    return parts[number - 1 if number > 0 else number]


# ---- single characters, hashes, binary ---------------------------------------------------------------------------


def _chr(code: int) -> str:
    valid = 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return chr(code) if valid else ""


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _xxhash(value: Any, seed: int = 0) -> int:
    digest = xxhash.xxh64_intdigest(_bytes(value), seed % 2**64)
    return digest - 2**64 if digest >= 2**63 else digest


def _to_int(value: Any) -> int:
    head = _bytes(value)[:4]
    return int.from_bytes(head, "big", signed=len(head) == 4)


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _gunzip(value: bytes) -> str:
    try:
        return gzip.decompress(value).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise EvaluationError("failed to decompress gzipped data") from None


def _repeat(text: pa.Array, count: pa.Array) -> pa.Array:
    return pc.binary_repeat(text, pc.max_element_wise(count, pa.scalar(0, pa.int32()), skip_nulls=False))


_length = simple(lambda v: pc.cast(pc.utf8_length(v), pa.int32()))
_bytes_only = Parameter(
    "STRING",
    lambda a: TEXT_OR_BINARY.convert(a) if is_null_literal(a) or a.type.is_string or a.type.is_binary else None,
)
_binary_only = Parameter("BINARY", lambda a: coerce(a, VARBINARY) if a.type.is_binary or is_null_literal(a) else None)

FUNCTIONS = table(
    Function("||", _resolve_concatenation, _implement_concatenation, doc="Concatenation."),
    Function("CONCAT", _resolve_concat, doc="Concatenation; NULL if any item is."),
    Function("CONCAT_WS", _resolve_concat_ws, simple(_concat_ws), doc="Items joined by a separator."),
    function("LENGTH", [TEXT], INTEGER, _length, doc="Length in code points."),
    function(
        "OCTET_LENGTH", [_bytes_only], INTEGER, simple(lambda v: pc.cast(pc.binary_length(v), pa.int32())), doc="Bytes."
    ),
    function("UPPER", [TEXT], VARCHAR, simple(upper), doc="Upper case."),
    function("LOWER", [TEXT], VARCHAR, simple(lower), doc="Lower case."),
    function("INITCAP", [TEXT], VARCHAR, simple(per_row(initcap, _TEXT)), doc="Words capitalised."),
    function("INITCAP_SPACES", [TEXT], VARCHAR, simple(per_row(initcap_spaces, _TEXT)), doc="Words capitalised."),
    Function("TRIM", _resolve_trim, _implement_trim, doc="TRIM(s[, characters]); option: BOTH, LEADING, TRAILING."),
    function("SUBSTRING", [TEXT_OR_BINARY, INT, INT], _kind_of_first, _positional(_substring), optional=1, doc="Part."),
    function("SUBSTR", [TEXT, INT, INT], VARCHAR, _positional(_substr), optional=1, doc="Part, as in BigQuery."),
    function("LEFT", [TEXT_OR_BINARY, INT], _kind_of_first, _positional(_left), doc="First n characters."),
    function("RIGHT", [TEXT_OR_BINARY, INT], _kind_of_first, _positional(_right), doc="Last n characters."),
    Function("POSITION", _resolve_position, simple(by_distinct(_find, pa.int32())), doc="POSITION(needle, haystack)"),
    Function(
        "OVERLAY", _resolve_overlay, lambda c: per_row(_overlay, arrow_type(c.type)), doc="OVERLAY(s, r, start[, n])"
    ),
    function("REPLACE", [TEXT, TEXT, TEXT], VARCHAR, simple(by_distinct(_replace, _TEXT, 2)), doc="All occurrences."),
    function("REPEAT", [TEXT, INT], VARCHAR, simple(on_arrays(_repeat)), doc="n copies."),
    function("REVERSE", [TEXT], VARCHAR, simple(pc.utf8_reverse), doc="Characters in reverse order."),
    function("ASCII", [TEXT], INTEGER, simple(per_row(lambda s: ord(s[0]) if s else 0, pa.int32())), doc="First code."),
    function("CHR", [LONG], VARCHAR, simple(per_row(_chr, _TEXT)), doc="The character of a code point."),
    function(
        "SPLIT",
        [TEXT, TEXT],
        array(VARCHAR),
        lambda c: by_distinct(_split, arrow_type(c.type)) if len(c.arguments) > 1 else on_arrays(_split),
        optional=1,
        doc="Parts between separators.",
    ),
    function("SPLIT_PART", [TEXT, TEXT, INT], VARCHAR, simple(per_row(split_part, _TEXT)), doc="The n-th part."),
    function(
        "MD5",
        [TEXT_OR_BINARY],
        VARCHAR,
        simple(per_row(lambda v: hashlib.md5(_bytes(v)).hexdigest(), _TEXT)),
        doc="MD5.",
    ),
    function(
        "XXHASH", [TEXT_OR_BINARY, LONG], BIGINT, simple(per_row(_xxhash, pa.int64())), optional=1, doc="xxHash64."
    ),
    function(
        "TO_HEX",
        [_bytes_only],
        VARCHAR,
        simple(on_arrays(lambda v: binary_to_text(v.cast(_BINARY)))),
        doc="Hex digits.",
    ),
    function("TO_INT", [_bytes_only], INTEGER, simple(per_row(_to_int, pa.int32())), doc="Big-endian integer."),
    function("BIN2UTF8", [_binary_only], VARCHAR, simple(per_row(_utf8, _TEXT)), nullable=True, doc="Text or NULL."),
    function(
        "GUNZIP", [_binary_only], VARCHAR, simple(per_row(_gunzip, _TEXT)), fallible=lambda _: True, doc="Decompressed."
    ),
    LEN="LENGTH",
    CHAR_LENGTH="LENGTH",
    CHARACTER_LENGTH="LENGTH",
)
