"""COUNTIF, and EVERY/SOME, which are comparisons of counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.operators.accumulators.base import GroupBatch, LinearAccumulator, State
from millstream.operators.arrays import fixed_array, fixed_values
from millstream.operators.kernels import sum_weights


class TruthAccumulator(LinearAccumulator):
    """COUNTIF(b), EVERY(b) and SOME(b): how many values are TRUE, and how many are not NULL."""

    def __init__(self, function: str, argument: int, filter_column: int | None) -> None:
        super().__init__([(np.int64, 1), (np.int64, 1)])
        self._function = function
        self._argument = argument
        self._filter = filter_column

    def contribution(self, batch: GroupBatch) -> tuple[State, ...]:
        weights = batch.masked_weights(self._filter, (self._argument,))
        trues = np.where(fixed_values(batch.columns[self._argument]), weights, 0)
        return (
            sum_weights(batch.groups, weights, batch.num_groups),
            sum_weights(batch.groups, trues, batch.num_groups),
        )

    def finish(self, *state: State) -> pa.Array:
        count, trues = state
        if self._function == "COUNTIF":
            return pa.array(trues)
        result = trues == count if self._function == "EVERY" else trues > 0
        return fixed_array(pa.bool_(), result, count != 0)
