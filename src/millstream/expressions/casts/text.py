"""Text of values: CAST to CHAR and VARCHAR (sql.md §6.2).

Floats are laid out as ryu does. Arrow prints the same shortest digits but lays them out differently for very
large, very small and integral values; only those are rewritten.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, total
from millstream.expressions.casts.intervals import intervals_to_text
from millstream.expressions.vectors import Value, relabel, validity_buffer
from millstream.types import Kind, SqlType

ROW_BY_ROW = ("CAST(REAL or DOUBLE AS VARCHAR) of values in exponent notation",)
_LIMITS = {pa.float64(): (1e-5, 1e16), pa.float32(): (1e-6, 1e13)}
_EMPTY = pa.scalar("", pa.large_string())
_HEX_PAIRS = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)
_UUID_DIGITS = [position for position in range(36) if position not in (8, 13, 18, 23)]


def float_text(value: pa.Scalar) -> str:
    """The text of one REAL or DOUBLE."""
    number = value.as_py()
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    kind: Any = np.float32 if value.type == pa.float32() else np.float64
    numpy_value = kind(number)
    low, high = (kind(limit) for limit in _LIMITS[value.type])  # the limits, too, in the precision of the type
    if number == 0 or low <= abs(numpy_value) < high:
        return str(np.format_float_positional(numpy_value, unique=True, trim="0"))
    mantissa, exponent = np.format_float_scientific(numpy_value, unique=True, trim="-").split("e")
    return f"{mantissa}e{int(exponent)}"


def floats_to_text(array: pa.Array) -> pa.Array:
    """The texts of a REAL or DOUBLE column."""
    low, high = _LIMITS[array.type]
    text = array.cast(pa.large_string())
    size = pc.abs(array)
    plain = pc.and_(pc.less(size, pa.scalar(high, array.type)), pc.greater_equal(size, pa.scalar(low, array.type)))
    plain = pc.or_(plain, pc.equal(size, pa.scalar(0.0, array.type)))
    # Arrow writes plain notation for all but large and small values, without ".0" on integral ones
    arrow_plain = pc.and_(plain, pc.invert(pc.match_substring(text, "e")))
    integral = pc.and_(arrow_plain, pc.invert(pc.match_substring(text, ".")))
    suffix = pc.if_else(integral, pa.scalar(".0", pa.large_string()), _EMPTY)
    text = pc.binary_join_element_wise(text, suffix, _EMPTY)
    odd = pc.fill_null(pc.invert(arrow_plain), False)
    if not pc.any(odd).as_py():
        return text
    rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    rewritten = pa.array([float_text(array[int(row)]) for row in rows], pa.large_string())
    return pc.replace_with_mask(text, odd, rewritten)


def decimals_to_text(array: pa.Array) -> pa.Array:
    """Plain notation without trailing fractional zeros."""
    text = array.cast(pa.large_string())
    if array.type.scale == 0:
        return text
    if array.type.scale > 6:  # Arrow switches to scientific notation for small values of large scale
        exponent = pc.match_substring(text, "E")
        if pc.any(exponent).as_py():
            rows = np.flatnonzero(pc.fill_null(exponent, False).to_numpy(zero_copy_only=False))
            plain = pa.array([f"{array[int(row)].as_py():f}" for row in rows], pa.large_string())
            text = pc.replace_with_mask(text, pc.fill_null(exponent, False), plain)
    return pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".")


def _without(text: pa.Array, suffix: str) -> pa.Array:
    """Texts shortened where they end with an all-zero fraction."""
    ends = pc.ends_with(text, suffix)
    return pc.if_else(ends, pc.utf8_slice_codeunits(text, 0, -len(suffix)), text)


def times_to_text(array: pa.Array) -> pa.Array:
    """`HH:MM:SS`, with nine fractional digits where there is a fraction."""
    return _without(array.cast(pa.large_string()), ".000000000")


def timestamps_to_text(array: pa.Array) -> pa.Array:
    """`YYYY-MM-DD HH:MM:SS`, with six fractional digits where there is a fraction."""
    plain = relabel(array, pa.timestamp("us"))
    text = _without(plain.cast(pa.large_string()), ".000000")
    if array.type.tz is None:
        return text
    return pc.binary_join_element_wise(text, pa.scalar(" +00:00", pa.large_string()), _EMPTY)


def binary_to_text(array: pa.Array) -> pa.Array:
    """Lower-case hexadecimal digits."""
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    flat = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    return _texts_of((offsets - offsets[0]) * 2, _HEX_PAIRS[flat].reshape(-1), array)


def _uuids_to_text(array: pa.Array) -> pa.Array:
    raw = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * 16 : (array.offset + len(array)) * 16]
    digits = _HEX_PAIRS[raw].reshape(len(array), 32)
    texts = np.full((len(array), 36), ord("-"), np.uint8)
    texts[:, _UUID_DIGITS] = digits
    return _texts_of(np.arange(len(array) + 1) * 36, texts.reshape(-1), array)


def _texts_of(offsets: Any, data: Any, like: pa.Array) -> pa.Array:
    """A text column of the NULLs of another."""
    bits = None if like.null_count == 0 else validity_buffer(np.asarray(like.is_valid()))
    buffers = [bits, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.large_string(), len(like), buffers)


def _plain_text(source: SqlType, array: pa.Array) -> pa.Array:
    """The text of a value, of any length."""
    kind = source.kind
    if kind is Kind.BOOLEAN:
        return pc.utf8_upper(array.cast(pa.large_string()))
    if source.is_float:
        return floats_to_text(array)
    if kind is Kind.DECIMAL:
        return decimals_to_text(array)
    if kind is Kind.TIME:
        return times_to_text(array)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return timestamps_to_text(array)
    if source.is_binary:
        return binary_to_text(array)
    if kind is Kind.UUID:
        return _uuids_to_text(array)
    if source.is_interval:
        return intervals_to_text(array, kind)
    return array.cast(pa.large_string())


def fit_text(array: Value, target: SqlType) -> Value:
    """Texts cut to the length of CHAR(n) or VARCHAR(n), CHAR padded with blanks."""
    length = target.precision
    if length is None or length < 0:
        return array
    lengths = pc.utf8_length(array)
    if pc.any(pc.greater(lengths, length)).as_py():
        array = pc.utf8_slice_codeunits(array, 0, length)
    if target.kind is Kind.CHAR and pc.any(pc.less(lengths, length)).as_py():
        array = pc.utf8_rpad(array, length)
    return array


def text_conversion(source: SqlType, target: SqlType) -> Conversion:
    """CAST(x AS CHAR(n) or VARCHAR(n)); only CHAR loses its trailing blanks on the way to VARCHAR."""
    if source.kind is Kind.CHAR and target.kind is Kind.VARCHAR:
        return total(lambda a: fit_text(pc.utf8_rtrim(a, " "), target))
    if source.is_string:
        return total(lambda a: fit_text(a, target))
    return total(lambda a: fit_text(_plain_text(source, a), target))
