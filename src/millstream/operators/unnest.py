"""Unnest: every row once for each element of a collection that it holds. Linear, keeps nothing.

Arrays give one column of elements, arrays of structs one column a field, maps a column of keys and one of values.
NULL and empty collections give no row; NULL elements are kept, a NULL struct as NULL fields. Cost: O(elements).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers, validity
from millstream.operators.base import Inputs, Operator
from millstream.zset.delta import Delta
from millstream.zset.hashing import list_children


class UnnestOperator(Operator):
    """Appends the elements of the collection `column`, and their positions from 1 if `ordinality` is a type, to copies
    of the `kept` columns."""

    kind = "unnest"
    linear = True

    def __init__(self, column: int, kept: Sequence[int], ordinality: pa.DataType | None) -> None:
        self._column = column
        self._kept = tuple(kept)
        self._ordinality = ordinality

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        column = delta.columns[self._column]
        offsets, children = list_children(column)
        lengths: Integers = np.diff(offsets)
        valid = validity(column)
        if valid is not None:
            lengths = np.where(valid, lengths, 0)
        total = int(lengths.sum())
        if not total:
            return None
        rows = np.repeat(np.arange(len(lengths)), lengths)
        within = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        elements = pa.array(offsets[rows] + within)
        columns = [delta.columns[k].take(pa.array(rows)) for k in self._kept]
        for child in children:
            columns += _spread(child.take(elements))
        if self._ordinality is not None:
            columns.append(pa.array(within + 1).cast(self._ordinality))
        return Delta(tuple(columns), delta.weights[rows])


def _spread(elements: pa.Array) -> list[pa.Array]:
    """The columns of an element: its fields if it is a struct."""
    if not pa.types.is_struct(elements.type):
        return [elements]
    return [pc.struct_field(elements, [i]) for i in range(elements.type.num_fields)]
