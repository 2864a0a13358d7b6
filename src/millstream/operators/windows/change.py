"""The change of a window's output, given its rows before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Integers
from millstream.zset.delta import Delta, Weights
from millstream.zset.equality import equal_values


@dataclass(frozen=True, slots=True)
class Side:
    """Output rows before or after the step: their positions in the pool, and the values of the calls."""

    rows: Integers
    values: tuple[pa.Array, ...]


def changed_rows(
    pool: Delta, affected: Integers, old: Weights, new: Weights, before: Side, after: Side
) -> Delta | None:
    """The rows that are new, gone, or have other values. `old` and `new`: how often each ordered row is there; the
    sides have the `affected` ones of them. O(affected rows + bytes of the result)."""
    same = (old == new)[affected]
    # Rows of unchanged multiplicity are at the same places in both sides; those with equal values are left out.
    kept = [np.flatnonzero(np.repeat(same, counts[affected])) for counts in (old, new)]
    moved = [np.flatnonzero(np.repeat(~same, counts[affected])) for counts in (old, new)]
    differs = np.zeros(len(kept[0]), np.bool_)
    for before_values, after_values in zip(before.values, after.values, strict=True):
        differs |= ~equal_values(before_values, kept[0], after_values, kept[1])
    sides = (before, after)
    chosen = [np.concatenate((stayed[differs], other)) for stayed, other in zip(kept, moved, strict=True)]
    rows = np.concatenate([side.rows[positions] for side, positions in zip(sides, chosen, strict=True)])
    if not len(rows):
        return None
    values = tuple(
        pa.concat_arrays([column.take(pa.array(positions)) for column, positions in zip(pair, chosen, strict=True)])
        for pair in zip(before.values, after.values, strict=True)
    )
    weights = np.repeat(np.array([-1, 1]), [len(positions) for positions in chosen])
    return Delta(pool.take(rows).columns + values, weights)
