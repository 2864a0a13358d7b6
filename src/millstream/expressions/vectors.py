"""Values of the evaluator: Arrow arrays, or Arrow scalars that stand for a whole column of one value.

Kernels take and give `Value`s. Arrow's own kernels mix arrays and scalars freely; kernels written over numpy go
through `on_arrays`, which stretches scalars and turns the result back into a scalar when every operand was one, so a
constant is computed once and not once a row. `values_of`, `valid_of` and `join` move fixed-width columns between
Arrow and numpy without copying: values under NULLs are arbitrary and must never decide whether an operation fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Value = Any  # pa.Array | pa.Scalar
Kernel = Callable[..., Value]
Bools = npt.NDArray[np.bool_]

_NUMPY_TYPES: dict[int, Any] = {
    pa.lib.Type_INT8: np.int8, pa.lib.Type_INT16: np.int16, pa.lib.Type_INT32: np.int32,
    pa.lib.Type_INT64: np.int64, pa.lib.Type_UINT8: np.uint8, pa.lib.Type_UINT16: np.uint16,
    pa.lib.Type_UINT32: np.uint32, pa.lib.Type_UINT64: np.uint64, pa.lib.Type_FLOAT: np.float32,
    pa.lib.Type_DOUBLE: np.float64, pa.lib.Type_DATE32: np.int32, pa.lib.Type_TIME64: np.int64,
    pa.lib.Type_TIMESTAMP: np.int64, pa.lib.Type_DURATION: np.int64,
}  # fmt: skip


def is_scalar(value: Value) -> bool:
    """Whether `value` is a constant of the whole batch."""
    return isinstance(value, pa.Scalar)


def broadcast(value: Value, length: int) -> pa.Array:
    """`value` as an array of `length` elements."""
    if not isinstance(value, pa.Scalar):
        return value
    if not value.is_valid:
        return pa.nulls(length, value.type)
    return pa.repeat(value, length)


def on_arrays(function: Kernel) -> Kernel:
    """The kernel that gives `function` arrays of one common length in place of scalars."""

    def kernel(*values: Value) -> Value:
        length = next((len(v) for v in values if not isinstance(v, pa.Scalar)), None)
        if length is None:
            return function(*(broadcast(v, 1) for v in values))[0]
        return function(*(broadcast(v, length) for v in values))

    return kernel


def values_of(array: pa.Array) -> npt.NDArray[Any]:
    """The numpy view of a fixed-width column; arbitrary where NULL."""
    dtype = np.dtype(_NUMPY_TYPES[array.type.id])
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, count=array.offset + len(array))[array.offset :]


def valid_of(array: pa.Array) -> Bools | None:
    """Which elements are not NULL; None when all are."""
    if array.null_count == 0:
        return None
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False))


def both_valid(*masks: Bools | None) -> Bools | None:
    """The conjunction of validity masks."""
    result: Bools | None = None
    for mask in masks:
        if mask is not None:
            result = mask if result is None else result & mask
    return result


def join(values: npt.NDArray[Any], valid: Bools | None, data_type: pa.DataType) -> pa.Array:
    """The Arrow column of `data_type` over numpy `values`."""
    if data_type == pa.bool_():
        return pa.array(values, mask=None if valid is None else ~valid)
    dtype = _NUMPY_TYPES[data_type.id]
    contiguous = np.ascontiguousarray(values, dtype=dtype)
    bits = None if valid is None else validity_buffer(valid)
    return pa.Array.from_buffers(data_type, len(contiguous), [bits, pa.py_buffer(contiguous)])


def validity_buffer(valid: Bools) -> pa.Buffer:
    """The Arrow validity bitmap of `valid`."""
    return pa.array(valid).buffers()[1]


def relabel(array: Value, data_type: pa.DataType) -> Value:
    """`array` with another type of the same physical layout, without copying."""
    if array.type == data_type:
        return array
    if isinstance(array, pa.Scalar):
        return relabel(broadcast(array, 1), data_type)[0]
    return pa.Array.from_buffers(data_type, len(array), array.buffers(), offset=array.offset)


def mask_of(value: Value, length: int) -> Bools:
    """A BOOLEAN value as numpy booleans of `length` rows, NULL as False."""
    if isinstance(value, pa.Scalar):
        return np.full(length, bool(value.as_py()))
    if value.null_count:
        value = pc.fill_null(value, False)
    return np.asarray(value.to_numpy(zero_copy_only=False))


def scatter(pieces: Sequence[tuple[npt.NDArray[np.int64], Value]], length: int, data_type: pa.DataType) -> pa.Array:
    """One array out of pieces that were computed on disjoint row sets covering 0..length-1.

    Each piece is the sorted rows and either their values in that order or one scalar for all of them.
    """
    filled = [(rows, broadcast(value, len(rows))) for rows, value in pieces if len(rows)]
    if not filled:
        return pa.nulls(length, data_type)
    if len(filled) == 1:
        return filled[0][1]
    position = np.empty(length, np.int64)
    position[np.concatenate([rows for rows, _ in filled])] = np.arange(length)
    arrays = [array if array.type == data_type else array.cast(data_type) for _, array in filled]
    return pa.concat_arrays(arrays).take(pa.array(position))
