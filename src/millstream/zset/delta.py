"""Deltas: Z-sets as Arrow columns and a weight per row.

A delta is a change of a bag of rows: +n inserts a row n times, -n deletes it n times. It is the only thing that moves
between operators. A delta need not be consolidated: a row may occur several times, its weights add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import Table
from millstream.zset.gathered import Columns
from millstream.zset.moving import take_columns

Weights = npt.NDArray[np.int64]


class Delta:
    """Columns of equal length and one int64 weight per row. Columns are plain (unchunked) arrays. Immutable."""

    __slots__ = ("columns", "weights")

    def __init__(self, columns: Sequence[pa.Array], weights: Weights) -> None:
        self.columns = Columns.of(columns)
        self.weights = weights

    def __repr__(self) -> str:
        return f"Delta({[column.to_pylist() for column in self.columns]}, {self.weights.tolist()})"

    @property
    def table(self) -> Table:
        """What kernels see of the columns (columns.py). O(columns) when first asked for."""
        return self.columns.table

    @property
    def types(self) -> list[pa.DataType]:
        """The Arrow type of each column."""
        return self.columns.types

    @property
    def num_rows(self) -> int:
        """Number of (row, weight) entries; 0 means that nothing changed."""
        return len(self.weights)

    @staticmethod
    def empty(types: Sequence[pa.DataType]) -> Delta:
        """A delta without rows."""
        return Delta([pa.array([], t) for t in types], np.empty(0, np.int64))

    @staticmethod
    def inserts(columns: Sequence[pa.Array], num_rows: int | None = None) -> Delta:
        """Every row with weight +1. `num_rows` is needed when there are no columns."""
        count = len(columns[0]) if num_rows is None else num_rows
        return Delta(columns, np.ones(count, np.int64))

    def take(self, indices: npt.NDArray[np.int64]) -> Delta:
        """The entries at `indices`, which must exist, in that order."""
        return Delta(take_columns(self.columns, indices), self.weights[indices])

    def filter(self, mask: npt.NDArray[np.bool_]) -> Delta:
        """The entries where `mask` is true."""
        return self.take(np.flatnonzero(mask))

    def select(self, columns: Sequence[int]) -> Delta:
        """The same entries with only those columns, in that order. O(columns)."""
        return Delta(self.columns.select(columns), self.weights)

    def negate(self) -> Delta:
        """The opposite change. O(rows)."""
        return Delta(self.columns, -self.weights)
