"""The last resort: functions that are computed row by row in Python, for want of an Arrow kernel.

Each module that uses `per_row` says so in its `ROW_BY_ROW`. Where few distinct values decide the work
(patterns, formats, zone names) `by_distinct` runs a vectorised kernel once for each of them instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar, on_arrays, scatter


def per_row(function: Callable[..., Any], data_type: pa.DataType) -> Kernel:
    """The strict kernel that calls `function` with the Python values of each row without NULLs."""

    def kernel(*arrays: pa.Array) -> pa.Array:
        rows = zip(*(array.to_pylist() for array in arrays), strict=True)
        return pa.array([None if any(v is None for v in row) else function(*row) for row in rows], data_type)

    return on_arrays(kernel)


def of_distinct(kernel: Kernel) -> Kernel:
    """A slow kernel of (constant, column), which sees each distinct value of the column once."""

    def apply(constant: Value, values: Value) -> Value:
        if not is_scalar(constant) or is_scalar(values) or len(values) < 2:
            return kernel(constant, values)
        encoded = values.dictionary_encode()
        if len(encoded.dictionary) == 0:
            return kernel(constant, values)
        return kernel(constant, encoded.dictionary).take(encoded.indices)

    return apply


def by_distinct(kernel: Callable[..., pa.Array], data_type: pa.DataType, constants: int = 1) -> Kernel:
    """The strict kernel that calls `kernel(array, *constants)` for each distinct combination of the last
    arguments.

    Usually those are scalars and there is one combination.
    """

    def apply(*values: Value) -> Value:
        subjects, parameters = values[:-constants], values[-constants:]
        if all(is_scalar(p) for p in parameters):
            length = next((len(v) for v in subjects if not is_scalar(v)), None)
            if not all(p.is_valid for p in parameters):
                return pa.scalar(None, data_type) if length is None else pa.nulls(length, data_type)
            arrays = [broadcast(v, length or 1) for v in subjects]
            result = kernel(*arrays, *(p.as_py() for p in parameters))
            return result[0] if length is None else result
        length = next(len(v) for v in values if not is_scalar(v))
        arrays = [broadcast(v, length) for v in values]
        pieces: list[tuple[Any, Any]] = []
        for rows in _equal_rows(arrays[-constants:]):
            key = [array[int(rows[0])] for array in arrays[-constants:]]
            if not all(part.is_valid for part in key):
                pieces.append((rows, pa.nulls(len(rows), data_type)))
            else:
                chosen = [a.take(pa.array(rows)) for a in arrays[:-constants]]
                pieces.append((rows, kernel(*chosen, *(part.as_py() for part in key))))
        return scatter(pieces, length, data_type)

    return apply


def _equal_rows(columns: Sequence[pa.Array]) -> list[npt.NDArray[np.int64]]:
    """The rows of each combination of values."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        encoded = column.dictionary_encode()
        index = np.asarray(encoded.indices.fill_null(len(encoded.dictionary))).astype(np.int64)
        codes = np.unique(codes * (len(encoded.dictionary) + 1) + index, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def all_ascii(array: pa.Array) -> bool:
    """Whether every string of a column is ASCII, so that bytes are characters. Looks at the bytes under NULLs, too."""
    data = array.buffers()[2]
    if data is None or len(array) == 0:
        return True
    offsets = np.frombuffer(array.buffers()[1], np.int64, array.offset + len(array) + 1)
    used = np.frombuffer(data, np.uint8)[offsets[array.offset] : offsets[-1]]
    return len(used) == 0 or int(used.max()) < 128
