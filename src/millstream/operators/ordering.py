"""The total order of each type (sql.md §4.3) as unsigned integers: what sorts, minima and maxima compare.

`word_codes` maps values of at most 64 bits to codes that mean the same everywhere, so they can be kept as state, and
`from_word_codes` maps them back. `sort_codes` gives ranks within one array for every type, nested ones included; NULL
is smallest there. Floats: -0.0 = 0.0, NaN is greatest. Strings compare by code point, which is UTF-8 byte order.

Arrow types say all that is needed, except of VARIANTs, which are texts (types/variant.py). `Variants` are the columns
of a relation that have some in them, with their SQL types; those are ranked as expressions rank them, which reads each
distinct VARIANT once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.ranks import ranks
from millstream.operators.arrays import (
    Integers,
    Mask,
    Words,
    decimal_array,
    decimal_words,
    fixed_array,
    fixed_values,
    has_words,
    validity,
)
from millstream.plan.nodes import SortKey
from millstream.types import SqlType
from millstream.types.variant import has_variant
from millstream.zset.hashing import list_children

Variants = Mapping[int, SqlType]
NO_VARIANTS: Variants = {}

_TOP = np.uint64(1 << 63)
_MAX_WORD_DIGITS = 18


def variants_of(types: Iterable[SqlType]) -> Variants:
    """Which columns of these types have VARIANTs in them."""
    return {i: t for i, t in enumerate(types) if has_variant(t)}


def has_word_codes(data_type: pa.DataType) -> bool:
    """Whether `word_codes` applies: numbers, times and booleans of at most 64 bits, short decimals."""
    if pa.types.is_decimal(data_type):
        return data_type.precision <= _MAX_WORD_DIGITS
    return has_words(data_type)


def word_codes(column: pa.Array) -> Words:
    """Codes in the order of the values; arbitrary where NULL."""
    if pa.types.is_decimal(column.type):
        return decimal_words(column)[0] ^ _TOP
    values = fixed_values(column)
    if values.dtype.kind == "f":
        return _float_codes(values.astype(np.float64))
    if values.dtype.kind == "i":
        return values.astype(np.int64).view(np.uint64) ^ _TOP
    return values.astype(np.uint64)


def _float_codes(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Words:
    values = values + 0.0  # -0.0 + 0.0 is 0.0
    values[np.isnan(values)] = np.nan
    bits = values.view(np.uint64)
    return np.where(bits >> np.uint64(63) != 0, ~bits, bits | _TOP)


def from_word_codes(data_type: pa.DataType, codes: Words, valid: Mask | None = None) -> pa.Array:
    """The values behind `codes`; NULL where `valid` is false."""
    if pa.types.is_decimal(data_type):
        low = codes ^ _TOP
        return decimal_array(data_type, low, np.uint64(0) - (low >> np.uint64(63)), valid)
    if pa.types.is_floating(data_type):
        bits = np.where(codes >> np.uint64(63) != 0, codes ^ _TOP, ~codes)
        values = bits.view(np.float64)
        return fixed_array(data_type, values.astype(data_type.to_pandas_dtype()), valid)
    if pa.types.is_boolean(data_type) or pa.types.is_unsigned_integer(data_type):
        return fixed_array(data_type, codes, valid)
    return fixed_array(data_type, (codes ^ _TOP).view(np.int64), valid)


def sort_codes(column: pa.Array, variant: SqlType | None = None) -> Words:
    """Codes in the order of the values, NULL smallest, comparable within this array only. `variant`: the SQL type of a
    column with VARIANTs in it. O(n log n)."""
    if variant is not None:
        return ranks(column, variant).astype(np.uint64)
    codes = _codes_of_values(column)
    valid = validity(column)
    if valid is None:
        return codes
    return dense_ranks([valid.astype(np.uint64), np.where(valid, codes, np.uint64(0))])


def row_codes(columns: Sequence[pa.Array], num_rows: int, variants: Variants = NO_VARIANTS) -> Words:
    """Codes in the lexicographic order of whole rows; equal rows have equal codes."""
    if not columns:
        return np.zeros(num_rows, np.uint64)
    codes = [sort_codes(column, variants.get(i)) for i, column in enumerate(columns)]
    return codes[0] if len(codes) == 1 else dense_ranks(codes)


def key_words(columns: Sequence[pa.Array], keys: Sequence[SortKey], variants: Variants = NO_VARIANTS) -> list[Words]:
    """Words that sort rows by `keys`, the first one deciding."""
    words: list[Words] = []
    for key in keys:
        column = columns[key.column]
        codes = sort_codes(column, variants.get(key.column))
        valid = validity(column)
        if valid is not None:
            words.append((valid if key.nulls_first else ~valid).astype(np.uint64))
            codes = np.where(valid, codes, np.uint64(0))
        words.append(~codes if key.descending else codes)
    return words


def dense_ranks(keys: Sequence[Words]) -> Words:
    """Ranks 0, 1, ... of rows ordered by `keys`, the first one deciding; equal rows have equal ranks."""
    order = np.lexsort(tuple(reversed(keys)))
    step = np.zeros(len(order), np.bool_)
    for key in keys:
        ordered = key[order]
        step[1:] |= ordered[1:] != ordered[:-1]
    ranks = np.empty(len(order), np.uint64)
    ranks[order] = np.cumsum(step)
    return ranks


def _codes_of_values(column: pa.Array) -> Words:
    data_type = column.type
    if has_word_codes(data_type):
        return word_codes(column)
    if pa.types.is_null(data_type):
        return np.zeros(len(column), np.uint64)
    if pa.types.is_struct(data_type):
        return row_codes([column.field(i) for i in range(data_type.num_fields)], len(column))
    if pa.types.is_large_list(data_type) or pa.types.is_list(data_type) or pa.types.is_map(data_type):
        return _list_codes(column)
    # A copy: kernels are compiled for arrays that can be written to.
    return pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.uint64)


def _list_codes(column: pa.Array) -> Words:
    """Lists and maps compare element by element, a prefix before what it is a prefix of."""
    if len(column) == 0:
        return np.empty(0, np.uint64)
    offsets, children = list_children(column)
    start, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    elements = row_codes([child.slice(start, count) for child in children], count)
    elements = dense_ranks([elements]) + np.uint64(1)
    valid = validity(column)
    lengths: Integers = np.diff(offsets)
    if valid is not None:
        lengths = np.where(valid, lengths, 0)
    # One key per position, 0 past the end of a list: as many sort keys as the longest list has elements.
    keys = []
    for position in range(int(lengths.max())):
        inside = lengths > position
        index = np.where(inside, offsets[:-1] - start + position, 0)
        keys.append(np.where(inside, elements[index], np.uint64(0)))
    return dense_ranks(keys) if keys else np.zeros(len(column), np.uint64)
