"""Equality of values at pairs of positions in two columns: exact, of any type, NULL equal to NULL.

Floats compare as they hash: -0.0 equals 0.0 and NaN equals NaN. Maps are equal when they have the same entries, in any
order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.columns import KIND, OTHER
from millstream.zset.gathered import describe
from millstream.zset.hashing import hash_columns, list_children
from millstream.zset.probe_kernels import equal_positions

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ENTRY_ORDER_SEED = 0x452821E638D01377


def equal_values(a: pa.Array, positions_a: Positions, b: pa.Array, positions_b: Positions) -> Mask:
    """Whether a[positions_a[i]] equals b[positions_b[i]], for every i. O(bytes of those values)."""
    table_a, table_b = describe([a]), describe([b])
    if table_a[0, KIND] != OTHER:
        mask: Mask = equal_positions(table_a[None], positions_a, table_b[None], positions_b)
        return mask
    a, b = a.take(pa.array(positions_a)), b.take(pa.array(positions_b))
    valid_a, valid_b = (x.is_valid().to_numpy(zero_copy_only=False) for x in (a, b))
    equal: Mask = valid_a == valid_b
    both = np.flatnonzero(valid_a & valid_b)
    if len(both):
        equal[both] = _equal_structs(a, b, both) if pa.types.is_struct(a.type) else _equal_lists(a, b, both)
    return equal


def _equal_structs(a: pa.Array, b: pa.Array, rows: Positions) -> Mask:
    """Field by field, for `rows` where neither is NULL."""
    equal = np.ones(len(rows), np.bool_)
    for i in range(a.type.num_fields):
        equal &= equal_values(a.field(i), rows, b.field(i), rows)
    return equal


def _equal_lists(a: pa.Array, b: pa.Array, rows: Positions) -> Mask:
    """Element by element, for `rows` where neither is NULL; entries of maps in the order of their keys' hashes."""
    offsets_a, children_a = list_children(a)
    offsets_b, children_b = list_children(b)
    lengths = offsets_a[rows + 1] - offsets_a[rows]
    equal = lengths == offsets_b[rows + 1] - offsets_b[rows]
    compared = np.flatnonzero(equal & (lengths > 0))
    owners = np.repeat(compared, lengths[compared])
    if not len(owners):
        return equal
    ends = np.cumsum(lengths[compared])
    within = np.arange(len(owners)) - np.repeat(ends - lengths[compared], lengths[compared])
    elements_a = offsets_a[rows[owners]] + within
    elements_b = offsets_b[rows[owners]] + within
    if pa.types.is_map(a.type):
        elements_a = elements_a[_entry_order(children_a[0], elements_a, owners)]
        elements_b = elements_b[_entry_order(children_b[0], elements_b, owners)]
    same = np.ones(len(owners), np.bool_)
    for child_a, child_b in zip(children_a, children_b, strict=True):
        same &= equal_values(child_a, elements_a, child_b, elements_b)
    equal[owners[~same]] = False
    return equal


def _entry_order(keys: pa.Array, elements: Positions, owners: Positions) -> Positions:
    """A permutation of map entries that depends on their keys only, not on their order within a map."""
    hashes = hash_columns([keys.take(pa.array(elements))], len(elements), _ENTRY_ORDER_SEED)
    return np.lexsort((hashes, owners))
