"""The total order of each type (sql.md §4.3) as integers: what nested values and VARIANTs are compared by.

`ranks` maps the values of one array to integers such that equal values have equal ranks and smaller values smaller
ones; NULL has rank 0, below all values. Ranks of different arrays mean nothing to each other, so what is to be compared
is concatenated first. Scalars are sorted by Arrow. A list is the row of the ranks of its elements, so lists are ranked
by one column of element ranks per position. VARIANTs are decoded, but only their distinct texts.

Cost: O(n log n) for n values, elements included; times the length of the longest list for lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.vectors import Kernel, on_arrays, relabel, valid_of
from millstream.types import Kind, SqlType
from millstream.types.variant import decode
from millstream.types.variant import order_key as variant_order

Ranks = npt.NDArray[np.int64]


def ranks(array: pa.Array, sql_type: SqlType) -> Ranks:
    """The rank of each value among those of `array`."""
    if len(array) == 0 or sql_type.kind is Kind.NULL or array.null_count == len(array):
        return np.zeros(len(array), np.int64)
    values = _ranks_of_values(array, sql_type)
    valid = valid_of(array)
    return values if valid is None else np.where(valid, values, 0)


def _ranks_of_values(array: pa.Array, sql_type: SqlType) -> Ranks:
    """Ranks from 1; arbitrary where NULL."""
    kind = sql_type.kind
    if kind is Kind.STRUCT:
        members = [ranks(part, f.type) for part, f in zip(array.flatten(), sql_type.fields, strict=True)]
        return dense(members, len(array)) + 1
    if kind is Kind.GEOMETRY:
        members = [_scalar_ranks(part) for part in array.flatten()]
        return dense(members, len(array)) + 1
    if kind is Kind.ARRAY:
        assert sql_type.component is not None
        start, count = span(array)
        return _list_ranks(array, ranks(array.values.slice(start, count), sql_type.component)) + 1
    if kind is Kind.MAP:
        return _map_ranks(array, sql_type) + 1
    if kind is Kind.VARIANT:
        return _variant_ranks(array)
    return _scalar_ranks(array)


def _scalar_ranks(array: pa.Array) -> Ranks:
    if pa.types.is_floating(array.type):
        array = pc.add(array, pa.scalar(0.0, array.type))  # -0.0 and 0.0 are one value; Arrow puts NaN last
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    elif pa.types.is_duration(array.type):
        array = relabel(array, pa.int64())
    found = pc.rank(array, sort_keys="ascending", tiebreaker="dense")
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def dense(keys: Sequence[Ranks], length: int) -> Ranks:
    """Ranks 0, 1, ... of rows ordered by `keys`, the first one deciding."""
    if length == 0 or not keys:
        return np.zeros(length, np.int64)
    order = np.lexsort(tuple(reversed(keys)))
    step = np.zeros(length, np.bool_)
    for key in keys:
        ordered = key[order]
        step[1:] |= ordered[1:] != ordered[:-1]
    found = np.empty(length, np.int64)
    found[order] = np.cumsum(step)
    return found


def span(lists: pa.Array) -> tuple[int, int]:
    """The first element of a list column among its children, and how many belong to it."""
    offsets = np.asarray(lists.offsets)
    return int(offsets[0]), int(offsets[-1] - offsets[0])


def lengths_of(lists: pa.Array) -> Ranks:
    """The number of elements of each list, 0 where NULL."""
    lengths = np.diff(np.asarray(lists.offsets)).astype(np.int64)
    valid = valid_of(lists)
    return lengths if valid is None else np.where(valid, lengths, 0)


def _list_ranks(lists: pa.Array, elements: Ranks) -> Ranks:
    """Lists compare element by element, a prefix before what it is a prefix of. `elements` are those of the column."""
    starts = np.asarray(lists.offsets)[:-1].astype(np.int64)
    starts = starts - (starts[0] if len(starts) else 0)
    lengths = lengths_of(lists)
    longest = int(lengths.max(initial=0))
    found = np.zeros(len(lists), np.int64)
    for position in range(longest):  # rows that are alike so far are told apart by the next element
        inside = lengths > position
        index = np.where(inside, starts + position, 0)
        found = dense([found, np.where(inside, elements[index] + 1, 0)], len(lists))
    return found


def _map_ranks(maps: pa.Array, sql_type: SqlType) -> Ranks:
    assert sql_type.key is not None
    assert sql_type.value is not None
    start, count = span(maps)
    keys = ranks(maps.keys.slice(start, count), sql_type.key)
    items = ranks(maps.items.slice(start, count), sql_type.value)
    owners = np.repeat(np.arange(len(maps)), np.diff(np.asarray(maps.offsets)))
    order = np.lexsort((keys, owners))
    return _list_ranks(maps, dense([keys[order], items[order]], count))


def _variant_ranks(array: pa.Array) -> Ranks:
    encoded = array.dictionary_encode()
    # Equal values have equal texts; texts decide where keys do not, so that the order is the same in every array.
    keys: list[Any] = [(variant_order(decode(text)), text) for text in encoded.dictionary.to_pylist()]
    place = np.empty(len(keys), np.int64)
    place[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(1, len(keys) + 1)
    return place[np.asarray(pc.fill_null(encoded.indices, 0))]


def ranks_together(arrays: Sequence[pa.Array], sql_type: SqlType) -> list[Ranks]:
    """Ranks of several arrays that may be compared with each other."""
    found = ranks(pa.concat_arrays(arrays), sql_type)
    return np.split(found, np.cumsum([len(array) for array in arrays])[:-1])


_TESTS: dict[str, Any] = {
    "=": np.equal, "<>": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def compare_by_rank(operator: str, sql_type: SqlType) -> Kernel:
    """Comparison of values without an Arrow kernel: NULL operands give NULL, NULL elements equal each other."""
    test = _TESTS[operator]

    def kernel(a: pa.Array, b: pa.Array) -> pa.Array:
        left, right = ranks_together([a, b], sql_type)
        return pa.array(test(left, right), mask=(left == 0) | (right == 0))

    return on_arrays(kernel)
