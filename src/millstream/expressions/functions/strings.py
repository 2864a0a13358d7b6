"""String functions (sql.md §7.3). Positions and lengths count code points.

Parts of texts are cut and found by the kernels of text_kernels.py; the rest are Arrow kernels. Arrow maps case one to
one, so texts with the letters that become several or depend on others are mapped by Python, which like upstream uses
the full Unicode mapping.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from typing import Any

import numpy as np
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
from millstream.expressions.text_bytes import characters, first_code_points, leading_integers
from millstream.expressions.text_kernels import (
    ALL,
    bytes_of,
    capitalized,
    gathered,
    parts,
    positions,
    replaced,
    windows,
)
from millstream.expressions.vectors import (
    Kernel,
    Value,
    both_valid,
    broadcast,
    is_scalar,
    join,
    mask_of,
    on_arrays,
    scatter,
    valid_of,
    values_of,
)
from millstream.types import SqlType, arrow_type
from millstream.types.sql_type import BIGINT, INTEGER, VARBINARY, VARCHAR, array

ROW_BY_ROW = (
    "MD5", "XXHASH", "GUNZIP", "INITCAP of non-ASCII texts", "UPPER and LOWER of texts with letters like ß",
    "BIN2UTF8 when some are not UTF-8",
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


#: Letters whose full mapping is not Arrow's: those that become several, sigma, and those that only Arrow knows.
_SPECIAL_CASES = (
    r"[ßŉƛǰɤɷɼİΐΰΣև\x{1C89}\x{1C8A}\x{1E96}-\x{1E9A}\x{1F50}-\x{1FFF}\x{A7C0}-\x{A7FF}\x{AB4B}-\x{AB4C}"
    r"\x{AB6C}-\x{AB6D}\x{FB00}-\x{FB17}\x{10D50}-\x{10D85}\x{16EA0}-\x{16ED3}\x{1DF00}-\x{1DF7F}]"
)


def _where(chosen: pa.Array, fast: Kernel, slow: Kernel, array: pa.Array) -> pa.Array:
    """`slow` for the chosen rows, `fast` for the others."""
    mask = mask_of(chosen, len(array))
    if not mask.any():
        return fast(array)
    pieces = [(np.flatnonzero(m), kernel(array.filter(pa.array(m)))) for m, kernel in ((mask, slow), (~mask, fast))]
    return scatter(pieces, len(array), _TEXT)


def _mapping_case(arrow_ascii: Kernel, arrow: Kernel, python: Any) -> Kernel:
    slow = per_row(python, _TEXT)

    def kernel(array: pa.Array) -> pa.Array:
        if all_ascii(array):
            return arrow_ascii(array)
        return _where(pc.match_substring_regex(array, _SPECIAL_CASES), arrow, slow, array)

    return on_arrays(kernel)


upper = _mapping_case(pc.ascii_upper, pc.utf8_upper, str.upper)
lower = _mapping_case(pc.ascii_lower, pc.utf8_lower, str.lower)


def _capitalizing(python: Any, *, blanks_only: bool) -> Kernel:
    slow = per_row(python, _TEXT)

    def kernel(array: pa.Array) -> pa.Array:
        if all_ascii(array):
            return capitalized(array, blanks_only)
        return _where(pc.invert(pc.string_is_ascii(array)), lambda a: capitalized(a, blanks_only), slow, array)

    return on_arrays(kernel)


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


def _int64(array: pa.Array) -> Any:
    """The numbers of a column, arbitrary where NULL."""
    return values_of(array).astype(np.int64)


def _substring(value: pa.Array, start: pa.Array, count: pa.Array | None = None) -> pa.Array:
    """SQL's window [start, start + count); binaries clamp the start without shortening the count."""
    first = _int64(start)
    if count is None:
        return windows(value, np.maximum(first - 1, 0), np.full(len(value), ALL), start)
    if value.type == _BINARY:
        first = np.maximum(first, 1)
    stop = first - 1 + np.maximum(_int64(count), 0)
    low = np.maximum(first - 1, 0)
    return windows(value, low, stop - low, start, count)


def _substr(value: pa.Array, start: pa.Array, count: pa.Array | None = None) -> pa.Array:
    """BigQuery's SUBSTR: a negative start counts from the end."""
    first = _int64(start)
    low = np.where(first > 0, first - 1, first)
    if count is None:
        return windows(value, low, np.full(len(value), ALL), start)
    return windows(value, low, _int64(count), start, count)


def _left(value: pa.Array, count: pa.Array) -> pa.Array:
    return windows(value, np.zeros(len(value), np.int64), _int64(count), count)


def _right(value: pa.Array, count: pa.Array) -> pa.Array:
    wanted = np.maximum(_int64(count), 0)
    return windows(value, -wanted, wanted, count)


def _kind_of_first(arguments: Any) -> SqlType:
    """The result type of functions that take strings or binaries."""
    return VARBINARY if arguments[0].type.is_binary else VARCHAR


def _overlay(text: pa.Array, placed: pa.Array, start: pa.Array, count: pa.Array | None = None) -> pa.Array:
    first = _int64(start)
    if count is None:
        length = np.asarray((pc.binary_length if text.type == _BINARY else pc.utf8_length)(placed).fill_null(0))
    else:
        length = np.maximum(_int64(count), 0)
    others = (placed, start) if count is None else (placed, start, count)
    head = windows(text, np.zeros(len(text), np.int64), first - 1, *others)
    tail = windows(text, first - 1 + length, np.full(len(text), ALL), *others)
    joined = pc.binary_join_element_wise(head, placed, tail, pa.scalar(b"", text.type))
    outside = pc.less_equal(start, 0)
    if not pc.any(outside, min_count=0).as_py():
        return joined
    unchanged = windows(text, np.zeros(len(text), np.int64), np.full(len(text), ALL), *others)
    return pc.if_else(outside, unchanged, joined)


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


def _over_constants(function: Kernel, data_type: pa.DataType) -> Kernel:
    """The strict kernel of a function that takes constants after its first argument as columns of one row."""

    def kernel(*values: Value) -> Value:
        length = next((len(v) for v in values if not is_scalar(v)), None)
        if any(is_scalar(v) and not v.is_valid for v in values):
            return pa.scalar(None, data_type) if length is None else pa.nulls(length, data_type)
        arrays = [
            broadcast(v, length or 1) if i == 0 or not is_scalar(v) else broadcast(v, 1) for i, v in enumerate(values)
        ]
        result = function(*arrays)
        return result[0] if length is None else result

    return kernel


def _position(haystack: pa.Array, needle: pa.Array) -> pa.Array:
    found = positions(haystack, needle).astype(np.int32)
    valid = valid_of(haystack) if len(needle) != len(haystack) else both_valid(valid_of(haystack), valid_of(needle))
    return join(found, valid, pa.int32())


# ---- splitting ---------------------------------------------------------------------------------------------------


def _split(text: pa.Array, separator: str = ",") -> pa.Array:
    wanted = pa.large_list(pa.field("item", _TEXT))
    if not separator:
        return pa.array([None if t is None else [t] if t else [] for t in text.to_pylist()], wanted)
    parts = pc.split_pattern(text, separator).cast(wanted)
    empty = pc.equal(text, _EMPTY)
    return pc.if_else(empty, pa.scalar([], wanted), parts) if pc.any(empty).as_py() else parts


def _split_part(text: pa.Array, number: pa.Array, separator: str) -> pa.Array:
    """Part `number` (1-based, from the end when negative) of each text; '' where there is none."""
    starts, lengths = parts(text, separator, number)
    return gathered(text, starts, np.maximum(lengths, 0), number)


def _implement_split_part(_: Call) -> Kernel:
    kernel = by_distinct(_split_part, _TEXT)
    return lambda text, separator, number: kernel(text, number, separator)


def _resolve_split_item(arguments: Any, options: Options) -> Expression:
    check_count("SPLIT ITEM", len(arguments), 3, 3)
    return Call(VARCHAR, "SPLIT ITEM", tuple(arguments), options)


def _implement_split_item(call: Call) -> Kernel:
    """SPLIT(s, separator)[i] without the array: NULL where there is no such part, as in empty texts."""
    base = 1 if "SAFE_OFFSET" in call.options else 0

    def item(text: pa.Array, index: pa.Array, separator: str) -> pa.Array:
        number = join(np.clip(_int64(index), -1, 2**31) + base, valid_of(index), pa.int64())
        starts, lengths = parts(text, separator, number)
        _, offsets = bytes_of(text)
        absent = (lengths < 0) | (_int64(number) < 1) | (np.diff(offsets) == 0)
        return gathered(text, starts, np.maximum(lengths, 0), number, pa.array(absent, mask=absent))

    kernel = by_distinct(item, _TEXT)
    return lambda text, separator, index: kernel(text, index, separator)


# ---- single characters, hashes, binary ---------------------------------------------------------------------------


def _ascii(text: pa.Array) -> pa.Array:
    return join(first_code_points(text), valid_of(text), pa.int32())


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _xxhash(value: Any, seed: int = 0) -> int:
    digest = xxhash.xxh64_intdigest(_bytes(value), seed % 2**64)
    return digest - 2**64 if digest >= 2**63 else digest


def _to_int(value: pa.Array) -> pa.Array:
    return join(leading_integers(value), valid_of(value), pa.int32())


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _bin2utf8(value: pa.Array) -> pa.Array:
    try:
        return value.cast(_TEXT)
    except pa.ArrowInvalid:
        return per_row(_utf8, _TEXT)(value)


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

_SUBSTRING = simple(on_arrays(_substring))
_POSITION = simple(_over_constants(_position, pa.int32()))
_INITCAP_SPACES = simple(_capitalizing(initcap_spaces, blanks_only=True))

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
    function("INITCAP", [TEXT], VARCHAR, simple(_capitalizing(initcap, blanks_only=False)), doc="Words capitalised."),
    function(
        "INITCAP_SPACES",
        [TEXT],
        VARCHAR,
        _INITCAP_SPACES,
        doc="Words capitalised.",
    ),
    Function("TRIM", _resolve_trim, _implement_trim, doc="TRIM(s[, characters]); option: BOTH, LEADING, TRAILING."),
    function("SUBSTRING", [TEXT_OR_BINARY, INT, INT], _kind_of_first, _SUBSTRING, optional=1, doc="Part."),
    function("SUBSTR", [TEXT, INT, INT], VARCHAR, simple(on_arrays(_substr)), optional=1, doc="Part, as in BigQuery."),
    function("LEFT", [TEXT_OR_BINARY, INT], _kind_of_first, simple(on_arrays(_left)), doc="First n characters."),
    function("RIGHT", [TEXT_OR_BINARY, INT], _kind_of_first, simple(on_arrays(_right)), doc="Last n characters."),
    Function("POSITION", _resolve_position, _POSITION, doc="POSITION(needle, haystack)"),
    Function("OVERLAY", _resolve_overlay, simple(on_arrays(_overlay)), doc="OVERLAY(s, r, start[, n])"),
    function("REPLACE", [TEXT, TEXT, TEXT], VARCHAR, simple(_over_constants(replaced, _TEXT)), doc="All occurrences."),
    function("REPEAT", [TEXT, INT], VARCHAR, simple(on_arrays(_repeat)), doc="n copies."),
    function("REVERSE", [TEXT], VARCHAR, simple(pc.utf8_reverse), doc="Characters in reverse order."),
    function("ASCII", [TEXT], INTEGER, simple(on_arrays(_ascii)), doc="First code."),
    function("CHR", [LONG], VARCHAR, simple(on_arrays(characters)), doc="The character of a code point."),
    function(
        "SPLIT",
        [TEXT, TEXT],
        array(VARCHAR),
        lambda c: by_distinct(_split, arrow_type(c.type)) if len(c.arguments) > 1 else on_arrays(_split),
        optional=1,
        doc="Parts between separators.",
    ),
    Function("SPLIT ITEM", _resolve_split_item, _implement_split_item, doc="Internal: SPLIT(s, separator)[i]."),
    function("SPLIT_PART", [TEXT, TEXT, INT], VARCHAR, _implement_split_part, doc="The n-th part."),
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
    function("TO_INT", [_bytes_only], INTEGER, simple(on_arrays(_to_int)), doc="Big-endian integer."),
    function("BIN2UTF8", [_binary_only], VARCHAR, simple(on_arrays(_bin2utf8)), nullable=True, doc="Text or NULL."),
    function(
        "GUNZIP", [_binary_only], VARCHAR, simple(per_row(_gunzip, _TEXT)), fallible=lambda _: True, doc="Decompressed."
    ),
    LEN="LENGTH",
    CHAR_LENGTH="LENGTH",
    CHARACTER_LENGTH="LENGTH",
)
