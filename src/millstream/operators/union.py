"""Union all: the sum of its inputs. Linear, keeps nothing."""

from __future__ import annotations

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.base import Inputs, Operator, merge_parts
from millstream.zset.delta import Delta


class UnionOperator(Operator):
    """Adds the deltas of its inputs, which have the same column types."""

    kind = "union all"

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        return merge_parts(inputs)
