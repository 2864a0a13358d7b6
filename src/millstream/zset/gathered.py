"""Columns that become Arrow arrays when somebody asks for them.

Kernels write the columns of a delta into one piece of memory and describe them in a table (columns.py). Most of them
are only ever read by other kernels, through the table; making an Arrow array of each would cost more than the kernels
do when a step is small. So a delta has `Columns`: a sequence of arrays, each made at its first use and then kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

from millstream.zset.columns import BITS, KIND, TABLE_WIDTH, TEXT, VIEW, Table, describe_array
from millstream.zset.views import Views, characters_of


class Gathered:
    """Columns of `num_rows` values, which lie in the buffer `space`; the characters of texts are in `characters`.

    `made[i]` is the array of column i, or None as long as nobody has asked for it. Thread-safe: two threads that ask
    at once get equal arrays.
    """

    __slots__ = ("characters", "made", "num_rows", "space", "table", "types")

    def __init__(
        self,
        types: Sequence[pa.DataType],
        num_rows: int,
        table: Table,
        space: pa.Buffer,
        characters: dict[int, pa.Buffer],
        made: list[Any],
    ) -> None:
        self.types = types
        self.num_rows = num_rows
        self.table = table
        self.space = space
        self.characters = characters
        self.made = made

    def column(self, i: int) -> Any:
        """The array of column i (views of a text column that has them)."""
        column = self.made[i]
        if column is None:
            column = self.made[i] = self._make(i)
        return column

    def _make(self, i: int) -> pa.Array:
        kind, width, data, valid, _, _ = self.table[i].tolist()
        count = self.num_rows
        buffers = [piece_of(self.space, valid, (count + 7) >> 3) if valid else None]
        buffers.append(piece_of(self.space, data, _size(kind, width, count)))
        if kind == TEXT:
            buffers.append(self.characters[i])
        return pa.Array.from_buffers(self.types[i], count, buffers, -1 if valid else 0)

    def nbytes(self, i: int) -> int:
        """Bytes of memory of column i."""
        made = self.made[i]
        if made is not None:
            return int(made.nbytes)
        kind, width, _, valid, _, _ = self.table[i].tolist()
        total = _size(kind, width, self.num_rows) + (((self.num_rows + 7) >> 3) if valid else 0)
        return total + (self.characters[i].size if kind == TEXT else 0)


def piece_of(space: pa.Buffer, address: int, size: int) -> pa.Buffer:
    """The bytes at `address` in `space`. Not a slice of it: that would be read-only, and kernels are not compiled for
    arrays that are."""
    return pa.py_buffer(np.frombuffer(space, np.uint8, size, address - space.address))


def _size(kind: int, width: int, count: int) -> int:
    """Bytes of the values of a column."""
    if kind == TEXT:
        return 8 * count + 8
    return (count + 7) >> 3 if kind == BITS else count * width


class Columns(Sequence[pa.Array]):
    """Arrays of equal length, each there or to be made: what a delta's columns are. Immutable.

    Slices and sums are of the same kind and make no array. A source is an array, or (gathered, column of it).
    """

    __slots__ = ("_sources", "_table")

    def __init__(self, sources: Iterable[Any], table: Table | None = None) -> None:
        self._sources = tuple(sources)
        self._table = table

    @staticmethod
    def of(columns: Sequence[pa.Array]) -> Columns:
        """The same columns."""
        return columns if isinstance(columns, Columns) else Columns(columns)

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> pa.Array: ...
    @overload
    def __getitem__(self, index: slice) -> Columns: ...
    def __getitem__(self, index: int | slice) -> pa.Array | Columns:
        if isinstance(index, slice):
            return Columns(self._sources[index], None if self._table is None else self._table[index])
        source = self._sources[index]
        return source[0].column(source[1]) if isinstance(source, tuple) else source

    def __iter__(self) -> Iterator[pa.Array]:
        for source in self._sources:
            yield source[0].column(source[1]) if isinstance(source, tuple) else source

    def __add__(self, other: Sequence[pa.Array]) -> Columns:
        return Columns((*self._sources, *Columns.of(other)._sources))

    def __radd__(self, other: Sequence[pa.Array]) -> Columns:
        return Columns((*other, *self._sources))

    def select(self, wanted: Sequence[int]) -> Columns:
        """Some of the columns, in that order."""
        sources = self._sources
        return Columns([sources[i] for i in wanted], None if self._table is None else self._table[list(wanted)])

    def characters(self, i: int) -> Sequence[pa.Buffer]:
        """The buffers that the characters of text column i are in."""
        source = self._sources[i]
        if isinstance(source, tuple) and source[0].made[source[1]] is None:
            return (source[0].characters[source[1]],)
        column = self[i]
        return column.owners if isinstance(column, Views) else characters_of(column)

    @property
    def types(self) -> list[pa.DataType]:
        """The Arrow type of each column."""
        return [source[0].types[source[1]] if isinstance(source, tuple) else source.type for source in self._sources]

    @property
    def viewed(self) -> list[bool]:
        """Which columns are views."""
        viewed: list[bool] = (self.table[:, KIND] == VIEW).tolist()
        return viewed

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(
            source[0].nbytes(source[1]) if isinstance(source, tuple) else int(source.nbytes) for source in self._sources
        )

    @property
    def table(self) -> Table:
        """What kernels see of the columns; their values are not touched, except to count NULLs not counted before.
        O(columns) when first asked for."""
        table = self._table
        if table is None:
            lines = [
                source[0].table[source[1]] if isinstance(source, tuple) else describe_array(source)
                for source in self._sources
            ]
            table = self._table = np.array(lines, np.int64).reshape(-1, TABLE_WIDTH)
        return table


def describe(columns: Sequence[pa.Array]) -> Table:
    """The table of `columns`. O(columns)."""
    return Columns.of(columns).table
