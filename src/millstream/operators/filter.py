"""Filter: the rows for which a predicate is TRUE. Linear: it filters the delta and keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millstream.expressions.evaluate import EvaluationContext, compile_predicate
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import Expression
from millstream.operators.base import Inputs, Operator, settled
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


class FilterOperator(Operator):
    """Keeps the rows of the delta for which `predicate` is TRUE; of them the columns `kept` (None: all)."""

    kind = "filter"

    def __init__(self, predicate: Expression, seeds: Seeds, kept: Sequence[int] | None = None) -> None:
        self.linear = not calls_user_code(predicate)
        self._kept = kept
        self._evaluate = compile_predicate(predicate)
        self._seeds = seeds

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        return settled(delta, self._seeds, lambda d: self._keep(d, context))

    def _keep(self, delta: Delta, context: EvaluationContext) -> Delta:
        positions = np.flatnonzero(self._evaluate(delta.columns, delta.num_rows, context))
        kept = delta if self._kept is None else delta.select(self._kept)
        return kept if len(positions) == delta.num_rows else kept.take(positions)
