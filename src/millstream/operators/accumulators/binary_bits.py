"""BIT_AND, BIT_OR and BIT_XOR of binaries: byte by byte, over binaries of equal length.

All values of one length are a matrix of bytes, which is reduced over the rows of each group; so the cost is one pass
over the bytes for each length that occurs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.operators.arrays import Integers
from millstream.zset.delta import Weights


def binary_bits(
    name: str, groups: Integers, columns: Sequence[pa.Array], weights: Weights, count: int, operation: np.ufunc
) -> pa.Array:
    """One result per group, NULL for groups without rows. EvaluationError when lengths differ within a group."""
    column = columns[0]
    lengths = np.asarray(pc.binary_length(column)).astype(np.int64)
    length_of_group = np.full(count, -1, np.int64)
    length_of_group[groups] = lengths
    if (length_of_group[groups] != lengths).any():
        raise EvaluationError(f"{name} is only defined for BINARY values of equal length")
    results: list[bytes | None] = [None] * count
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        order = chosen[np.argsort(groups[chosen], kind="stable")]
        ordered = groups[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        matrix = _matrix(column.take(pa.array(order)), length)
        if operation is np.bitwise_xor:
            matrix = np.where((weights[order] % 2 == 1)[:, None], matrix, np.uint8(0))
        reduced = operation.reduceat(matrix, first, axis=0) if length else np.zeros((len(first), 0), np.uint8)
        for group, row in zip(ordered[first].tolist(), reduced, strict=True):
            results[group] = row.tobytes()
    return pa.array(results, column.type)


def _matrix(column: pa.Array, length: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Binaries of one length as rows of bytes."""
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    flat = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return flat[offsets[0] : offsets[-1]].reshape(len(column), length)
