"""Arrow columns of fixed width as numpy arrays and back, without copying where the layout allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_DTYPES: dict[int, Any] = {
    pa.int8().id: np.int8,
    pa.int16().id: np.int16,
    pa.int32().id: np.int32,
    pa.int64().id: np.int64,
    pa.uint8().id: np.uint8,
    pa.uint16().id: np.uint16,
    pa.uint32().id: np.uint32,
    pa.uint64().id: np.uint64,
    pa.float32().id: np.float32,
    pa.float64().id: np.float64,
    pa.date32().id: np.int32,
    pa.time64("ns").id: np.int64,
    pa.timestamp("us").id: np.int64,
    pa.duration("us").id: np.int64,
}


def has_words(data_type: pa.DataType) -> bool:
    """Whether values of this type fit in 64 bits, so that `fixed_values` applies."""
    return data_type.id in _DTYPES or pa.types.is_boolean(data_type)


def validity(column: pa.Array) -> Mask | None:
    """True where a value is not NULL; None when no value is."""
    if column.null_count == 0:
        return None
    bitmap = column.buffers()[0]
    # A column of type NULL has no bitmap.
    return np.zeros(len(column), np.bool_) if bitmap is None else _bits(bitmap, column)


def fixed_values(column: pa.Array) -> npt.NDArray[Any]:
    """The raw values of a column whose type `has_words`; arbitrary where NULL, but FALSE for booleans. No copy, except
    for booleans."""
    if pa.types.is_boolean(column.type):
        valid, values = validity(column), column.buffers()[1]
        if values is None:
            return np.zeros(len(column), np.bool_)
        return _bits(values, column) if valid is None else _bits(values, column) & valid
    dtype = _DTYPES[column.type.id]
    data = column.buffers()[1]
    if data is None:
        return np.zeros(len(column), dtype)
    return np.frombuffer(data, dtype, len(column), column.offset * np.dtype(dtype).itemsize)


def fixed_array(data_type: pa.DataType, values: npt.NDArray[Any], valid: Mask | None = None) -> pa.Array:
    """The column of that type with these raw values; NULL where `valid` is false."""
    if pa.types.is_boolean(data_type):
        return pa.array(values.astype(np.bool_), mask=None if valid is None else ~valid)
    data = np.ascontiguousarray(values, _DTYPES[data_type.id])
    return pa.Array.from_buffers(data_type, len(values), [_bitmap(valid), pa.py_buffer(data)])


def decimal_words(column: pa.Array) -> tuple[Words, Words]:
    """Low and high halves of the two's complement integers behind a decimal128 column; arbitrary where NULL."""
    data = column.buffers()[1]
    if data is None:
        zeros = np.zeros(len(column), np.uint64)
        return zeros, zeros
    words = np.frombuffer(data, np.uint64, 2 * len(column), column.offset * 16)
    return np.ascontiguousarray(words[0::2]), np.ascontiguousarray(words[1::2])


def decimal_array(data_type: pa.DataType, low: Words, high: Words, valid: Mask | None = None) -> pa.Array:
    """The decimal128 column with these halves; NULL where `valid` is false."""
    words = np.empty(2 * len(low), np.uint64)
    words[0::2] = low
    words[1::2] = high
    return pa.Array.from_buffers(data_type, len(low), [_bitmap(valid), pa.py_buffer(words)])


def _bits(bitmap: pa.Buffer, column: pa.Array) -> Mask:
    """The bits of a column's buffer. By numpy: a call of an Arrow function costs more than a thousand bits do."""
    start, end = column.offset, column.offset + len(column)
    packed = np.frombuffer(bitmap, np.uint8, (end + 7) // 8 - start // 8, start // 8)
    bits: Mask = np.unpackbits(packed, count=end - start // 8 * 8, bitorder="little")[start % 8 :].view(np.bool_)
    return bits


def _bitmap(valid: Mask | None) -> pa.Buffer | None:
    if valid is None or bool(valid.all()):
        return None
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
