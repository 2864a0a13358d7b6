"""Arrow columns to columns of text, for the encoders: whole columns at a time.

`column_text` gives the bare text of each value (NULL stays NULL), `column_json` a JSON value (NULL is
`null`). A nested column is built from the texts of its children, so no Python object is made per row, except
for byte strings, decimals that Arrow prints with an exponent, and strings that need escapes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.formats.json.flavors import BinaryForm, Flavor, TimeForm, TimestampForm
from millstream.formats.order import encode_error
from millstream.formats.values.json_text import quote
from millstream.formats.values.scalars import format_base58, format_decimal
from millstream.types import Kind, SqlType
from millstream.types.variant import plain_text

TEXT = pa.large_string()
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_HYPHENS = (8, 13, 18, 23)
_ESCAPED = r'["\\\x00-\x1f]'


def text(value: str) -> pa.Scalar:
    """A text constant."""
    return pa.scalar(value, TEXT)


def join(*parts: pa.Array | pa.Scalar) -> pa.Array:
    """Element-wise concatenation; NULL where a part is."""
    return pc.binary_join_element_wise(*parts, text(""))


def column_json(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    """The column's values as JSON texts, without NULLs."""
    if column.null_count == len(column):
        return pa.array(["null"] * len(column), TEXT)
    return pc.fill_null(_json(column, sql_type, flavor), "null")


def column_text(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    """The column's values as bare texts: strings, dates and so on without quotes, nested values as JSON."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TEXT)
    if _is_quoted(sql_type, flavor):
        return _bare(column, sql_type, flavor)
    return _json(column, sql_type, flavor)


def _is_quoted(sql_type: SqlType, flavor: Flavor) -> bool:
    """Whether the JSON form is the bare text in quotes."""
    kind = sql_type.kind
    if kind is Kind.TIME:
        return flavor.time is TimeForm.TEXT
    if kind is Kind.DATE:
        return not flavor.date_as_days
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return flavor.timestamp is not TimestampForm.MILLIS
    if kind is Kind.DECIMAL:
        return flavor.decimal_as_string
    if sql_type.is_binary:
        return flavor.binary is not BinaryForm.ARRAY
    if kind is Kind.UBIGINT:
        return flavor.unsigned_bigint_as_string
    if kind is Kind.VARIANT:
        return flavor.variant_as_string
    return sql_type.is_string or kind is Kind.UUID


def _json(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    kind = sql_type.kind
    if kind is Kind.ARRAY:
        return _array_json(column, sql_type, flavor)
    if kind is Kind.MAP:
        return _map_json(column, sql_type, flavor)
    if kind is Kind.STRUCT:
        return _struct_json(column, sql_type, flavor)
    if kind is Kind.NULL:
        return pa.nulls(len(column), TEXT)
    bare = _bare(column, sql_type, flavor)
    if not _is_quoted(sql_type, flavor):
        return bare
    if sql_type.is_string or kind is Kind.VARIANT or (sql_type.is_binary and flavor.binary is BinaryForm.HEX_BACKSLASH):
        return json_strings(bare)
    return join(text('"'), bare, text('"'))


def json_strings(column: pa.Array) -> pa.Array:
    """Texts as JSON strings."""
    quoted = join(text('"'), column, text('"'))
    if not _contains_any(column, np.frombuffer(b'"\\', np.uint8), below=0x20):
        return quoted
    mask = pc.fill_null(pc.match_substring_regex(column, _ESCAPED), False)
    escaped = pa.array([quote(value) for value in column.filter(mask).to_pylist()], TEXT)
    return pc.replace_with_mask(quoted, mask, escaped)


def _contains_any(column: pa.Array, characters: npt.NDArray[np.uint8], below: int = 0) -> bool:
    data = text_bytes(column)
    found = bool((data < below).any()) if below else False
    return found or any(bool((data == character).any()) for character in characters)


def needs_quotes(column: pa.Array, characters: bytes) -> bool:
    """Whether any text of the column contains one of `characters`. One pass over the bytes each."""
    return _contains_any(column, np.frombuffer(characters, np.uint8))


def text_bytes(column: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of a text column's values, one after another, without copying."""
    if len(column) == 0 or column.buffers()[2] is None:
        return np.empty(0, np.uint8)
    offsets = text_offsets(column)
    return np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]


def text_offsets(column: pa.Array) -> npt.NDArray[np.int64]:
    """Where the values of a text column start in its data buffer; one more offset than values."""
    offsets = np.frombuffer(column.buffers()[1], np.int64)
    return offsets[column.offset : column.offset + len(column) + 1]


def _bare(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    """The text of each value without quotes."""
    kind = sql_type.kind
    if sql_type.is_string:
        return column
    if kind is Kind.VARIANT:
        return plain_text(column)
    if sql_type.is_float:
        return _floats(column)
    if kind is Kind.DECIMAL:
        return _decimals(column, sql_type)
    if kind is Kind.DATE:
        return pc.cast(column.view(pa.int32()) if flavor.date_as_days else column, TEXT)
    if kind is Kind.TIME:
        return _times(column, flavor.time)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return _timestamps(column, kind, flavor.timestamp)
    if sql_type.is_binary:
        return _binaries(column, flavor.binary)
    if kind is Kind.UUID:
        return _uuids(column)
    if sql_type.is_interval:
        raise encode_error("serialization is not implemented for the INTERVAL type")
    if kind is Kind.GEOMETRY:
        raise encode_error("serialization is not implemented for the GEOMETRY type")
    return pc.cast(column, TEXT)


def _floats(column: pa.Array) -> pa.Array:
    """Shortest digits that read back as the same number; NaN and infinities, which JSON lacks, become
    NULL."""
    finite = pc.is_finite(column)
    if not pc.all(finite, min_count=0).as_py():
        column = pc.if_else(finite, column, pa.scalar(None, column.type))
    digits = pc.cast(column, TEXT)
    whole = pc.invert(pc.match_substring_regex(digits, "[.e]"))
    return pc.if_else(whole, join(digits, text(".0")), pc.replace_substring(digits, "e+", "e"))


def float_texts(column: pa.Array) -> pa.Array:
    """As in JSON, but NaN and infinities keep a text (for CSV)."""
    digits = _floats(column)
    if digits.null_count == column.null_count:
        return digits
    nan, infinite = pc.is_nan(column), pc.is_inf(column)
    sign = pc.if_else(pc.less(column, pa.scalar(0.0, column.type)), text("-inf"), text("inf"))
    return pc.if_else(nan, text("NaN"), pc.if_else(infinite, sign, digits))


def _decimals(column: pa.Array, sql_type: SqlType) -> pa.Array:
    if not sql_type.scale:
        return pc.cast(column, TEXT)
    digits = pc.cast(column, TEXT)
    if needs_quotes(digits, b"E"):
        mask = pc.fill_null(pc.match_substring(digits, "E"), False)
        plain = pa.array([format_decimal(value) for value in column.filter(mask).to_pylist()], TEXT)
        digits = pc.replace_with_mask(digits, mask, plain)
        fractional = pc.match_substring(digits, ".")
        return pc.if_else(fractional, pc.utf8_rtrim(pc.utf8_rtrim(digits, "0"), "."), digits)
    return pc.utf8_rtrim(pc.utf8_rtrim(digits, "0"), ".")


def _by_fraction(column: pa.Array, units: Sequence[tuple[int, pa.DataType]]) -> pa.Array:
    """The column printed with the coarsest of `units` (counts per unit, Arrow type) that loses nothing, row
    by row."""
    counts = pc.fill_null(column.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    result: pa.Array | None = None
    for per_unit, unit in reversed(units):
        exact = counts % per_unit == 0
        if not exact.any():
            continue
        printed = pc.cast(pc.cast(column, unit, safe=False), TEXT)
        result = printed if result is None or exact.all() else pc.if_else(pa.array(exact), printed, result)
    return result if result is not None else pa.nulls(len(column), TEXT)


def _times(column: pa.Array, form: TimeForm) -> pa.Array:
    if form is not TimeForm.TEXT:
        return pc.cast(pc.divide(column.view(pa.int64()), form.value), TEXT)
    seconds, millis = (1_000_000_000, pa.time32("s")), (1_000_000, pa.time32("ms"))
    return _by_fraction(column, (seconds, millis, (1_000, pa.time64("us")), (1, pa.time64("ns"))))


def _timestamps(column: pa.Array, kind: Kind, form: TimestampForm) -> pa.Array:
    if form is TimestampForm.MILLIS:
        micros = column.view(pa.int64())
        millis = pc.divide(pc.subtract(micros, _positive_remainder(micros, 1000)), 1000)
        return pc.cast(millis, TEXT)
    naive = column.view(pa.timestamp("us"))
    seconds, millis_unit = (1_000_000, pa.timestamp("s")), (1_000, pa.timestamp("ms"))
    printed = _by_fraction(naive, (seconds, millis_unit, (1, pa.timestamp("us"))))
    if form is not TimestampForm.DEFAULT:
        printed = pc.replace_substring(printed, " ", "T", max_replacements=1)
    if form is TimestampForm.ZONE_DESIGNATOR:
        return join(printed, text("Z"))
    if form in (TimestampForm.OFFSET, TimestampForm.RFC3339) or kind is Kind.TIMESTAMP_TZ:
        return join(printed, text("+00:00"))
    return printed


def _positive_remainder(column: pa.Array, divisor: int) -> pa.Array:
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    return pa.array(values % divisor)


_BINARY_FORMS: dict[BinaryForm, Callable[[bytes], str]] = {
    BinaryForm.ARRAY: lambda value: str(list(value)).replace(" ", ""),
    BinaryForm.BASE58: format_base58,
    BinaryForm.HEX_0X: lambda value: "0x" + value.hex(),
    BinaryForm.HEX_BACKSLASH: lambda value: "\\x" + value.hex(),
    BinaryForm.BASE64: lambda value: b64encode(value).decode(),
}


def _binaries(column: pa.Array, form: BinaryForm) -> pa.Array:
    convert = _BINARY_FORMS[form]
    return pa.array([None if value is None else convert(value) for value in column.to_pylist()], TEXT)


def _uuids(column: pa.Array) -> pa.Array:
    """Canonical UUID texts through a table of hex pairs."""
    count = len(column)
    dense = pc.fill_null(column, bytes(16)) if column.null_count else column
    raw = np.frombuffer(dense.buffers()[1], np.uint8)[dense.offset * 16 : (dense.offset + count) * 16]
    digits = _HEX[raw.reshape(count, 16)].reshape(count, 32)
    texts = np.full((count, 36), ord("-"), np.uint8)
    texts[:, [position for position in range(36) if position not in _HYPHENS]] = digits
    offsets = np.arange(count + 1, dtype=np.int64) * 36
    result = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts.reshape(-1)))
    return pc.if_else(pc.is_valid(column), result, pa.scalar(None, TEXT)) if column.null_count else result


def _array_json(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    assert sql_type.component is not None
    offsets = column.offsets
    start = offsets[0].as_py()
    elements = column.values.slice(start, offsets[len(column)].as_py() - start)
    texts = column_json(elements, sql_type.component, flavor)
    return _joined_lists(column, pc.subtract(offsets, start), texts, "[", "]")


def _map_json(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    assert sql_type.key is not None
    assert sql_type.value is not None
    offsets = pc.cast(column.offsets, pa.int64())
    start = offsets[0].as_py()
    length = offsets[len(column)].as_py() - start
    keys = json_strings(column_text(column.keys.slice(start, length), sql_type.key, flavor))
    values = column_json(column.items.slice(start, length), sql_type.value, flavor)
    return _joined_lists(column, pc.subtract(offsets, start), join(keys, text(":"), values), "{", "}")


def _joined_lists(column: pa.Array, offsets: pa.Array, texts: pa.Array, opening: str, closing: str) -> pa.Array:
    """Each list's texts between brackets: every element carries the bracket or comma that precedes it, so that the
    elements of a list, which lie one after another, are its text."""
    bounds = offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    filled = bounds[1:] > bounds[:-1]
    first = np.zeros(len(texts), np.bool_)
    first[bounds[:-1][filled]] = True
    elements = join(pc.if_else(pa.array(first), text(opening), text(",")), texts)
    starts = text_offsets(elements)[bounds]
    lists = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(starts), elements.buffers()[2])
    joined = join(pc.if_else(pa.array(filled), lists, text(opening)), text(closing))
    return pc.if_else(pc.is_valid(column), joined, pa.scalar(None, TEXT)) if column.null_count else joined


def _struct_json(column: pa.Array, sql_type: SqlType, flavor: Flavor) -> pa.Array:
    names = [field.name for field in sql_type.fields]
    texts = [
        column_json(child, field.type, flavor) for child, field in zip(column.flatten(), sql_type.fields, strict=True)
    ]
    rows = join(text("{"), *object_members(names, texts), text("}"))
    return pc.if_else(pc.is_valid(column), rows, pa.scalar(None, TEXT)) if column.null_count else rows


def object_members(names: Sequence[str], texts: Sequence[pa.Array]) -> list[pa.Array | pa.Scalar]:
    """The parts of `"name":value,...`, to be joined."""
    parts: list[pa.Array | pa.Scalar] = []
    for position, (name, values) in enumerate(zip(names, texts, strict=True)):
        parts.append(text(("," if position else "") + quote(name) + ":"))
        parts.append(values)
    return parts
