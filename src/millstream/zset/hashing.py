"""Row hashes.

A row's hash is a 64-bit state that starts from a seed and absorbs the row's values column by column. Two hashes with
independent seeds, of the key columns and of all columns, give every row of an indexed delta its place and its
identity: rows are taken to be equal when both hashes are equal (2^-128 per pair of rows, 2^-64 when the key columns
are equal), while matches of keys alone are verified on the values.

Equal values have equal hashes: -0.0 hashes as 0.0, all NaNs alike, maps whatever the order of their entries, and a
value in a sliced array as it does anywhere else. NULL hashes as no value does; a NULL struct is not a struct of NULLs.
Columns that are compared must have the same type: an integer and a decimal hash differently.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import DATA, FIXED, KIND, OTHER, START, WIDTH, Table
from millstream.zset.gathered import describe
from millstream.zset.hash_kernels import extend_hashes, fold_lists, fold_maps, hash_table, hash_table_twice

Hashes = npt.NDArray[np.uint64]


class Seeds(NamedTuple):
    """The seeds of key and row hashes: 64 bits each, one pair per pipeline, stored with its checkpoints."""

    key: int
    row: int


DEFAULT_SEEDS = Seeds(0x243F6A8885A308D3, 0x13198A2E03707344)


def random_seeds() -> Seeds:
    """Seeds that nobody can choose input against."""
    return Seeds(secrets.randbits(64), secrets.randbits(64))


def hash_columns(columns: Sequence[pa.Array], num_rows: int, seed: int) -> Hashes:
    """The hash of every row of `columns`, which have `num_rows` values each. Without columns: one constant.

    O(bytes). TypeError for an Arrow type that deltas do not hold.
    """
    return hash_described(columns, describe(columns), num_rows, seed)


def hash_described(columns: Sequence[pa.Array], table: Table, num_rows: int, seed: int) -> Hashes:
    """`hash_columns` for a caller that has the table of `columns`."""
    table, _words = _flat(columns, table, seed)
    return hash_table(table, num_rows, np.uint64(seed))


def hash_pairs(columns: Sequence[pa.Array], table: Table, num_rows: int, seeds: Seeds) -> tuple[Hashes, Hashes]:
    """The hashes of every row with both seeds. `table` is that of `columns`. O(bytes)."""
    if is_flat(table):
        return hash_table_twice(table, num_rows, np.uint64(seeds.key), np.uint64(seeds.row))
    return hash_described(columns, table, num_rows, seeds.key), hash_described(columns, table, num_rows, seeds.row)


def extend_pairs(
    hashes: tuple[Hashes, Hashes], rows: npt.NDArray[np.int64], columns: Sequence[pa.Array], seeds: Seeds
) -> tuple[Hashes, Hashes]:
    """The pairs of rows that consist of the columns hashed before and of `columns`, without reading the former again.

    `hashes` are pairs with the same seeds; row i begins with what `rows[i]` says. O(bytes of `columns`).
    """
    table = describe(columns)
    extended = []
    for before, seed in zip(hashes, seeds, strict=True):
        flat, _words = _flat(columns, table, seed)
        extended.append(extend_hashes(before, rows, flat, np.uint64(seed)))
    return extended[0], extended[1]


def is_flat(table: Table) -> bool:
    """Whether kernels can read all columns."""
    return OTHER not in table[:, KIND].tolist()


def _flat(columns: Sequence[pa.Array], table: Table, seed: int) -> tuple[Table, list[Hashes]]:
    """The table with words in place of nested columns. The kernel reads the words by address: they must live until it
    returns."""
    words: list[Hashes] = []
    if is_flat(table):
        return table, words
    table = table.copy()
    for c in np.flatnonzero(table[:, KIND] == OTHER).tolist():
        hashes = _hash_nested(columns[c], seed)
        words.append(hashes)
        # The words take the place of the values; the validity bitmap keeps the column's own offset.
        table[c, KIND] = FIXED
        table[c, WIDTH] = 8
        table[c, DATA] = hashes.ctypes.data - 8 * table[c, START]
    return table, words


def _hash_nested(column: pa.Array, seed: int) -> Hashes:
    """A hash per list, map or struct; that of a NULL is arbitrary."""
    if pa.types.is_struct(column.type):
        fields = [column.field(i) for i in range(column.type.num_fields)]
        return hash_columns(fields, len(column), seed)
    if len(column) == 0:
        return np.empty(0, np.uint64)
    offsets, children = list_children(column)
    count = int(offsets[-1] - offsets[0])
    hashes = hash_columns([c.slice(int(offsets[0]), count) for c in children], count, seed)
    folded: Hashes = fold_maps(offsets, hashes) if pa.types.is_map(column.type) else fold_lists(offsets, hashes)
    return folded


def list_children(column: pa.Array) -> tuple[npt.NDArray[np.int64], tuple[pa.Array, ...]]:
    """Offsets of a list or map column, int64, one more than values, and the child arrays that they point into."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    if pa.types.is_map(column.type):
        return offsets, (column.keys, column.items)
    return offsets, (column.values,)
