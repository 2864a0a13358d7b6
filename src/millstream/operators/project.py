"""Project: one expression per output column. Linear: it maps the delta and keeps nothing.

A projection that only reorders or drops columns shares the arrays of its input and costs nothing per row.
"""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.operators.base import Inputs, Operator, settled
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds


def column_order(expressions: Sequence[Expression]) -> tuple[int, ...] | None:
    """The input columns that `expressions` are; None if one of them computes something."""
    columns = tuple(e.index for e in expressions if isinstance(e, ColumnRef))
    return columns if len(columns) == len(expressions) else None


class ProjectOperator(Operator):
    """Evaluates `expressions` on every row of the delta."""

    kind = "project"

    def __init__(self, expressions: Sequence[Expression], seeds: Seeds) -> None:
        self.linear = not any(calls_user_code(expression) for expression in expressions)
        #: The input columns that it gives; None if it computes something.
        self.order = column_order(expressions)
        self._evaluate = None if self.order is not None else compile_projection(expressions)
        self._seeds = seeds

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        if self.order is not None:
            return delta.select(self.order)
        evaluate = self._evaluate
        assert evaluate is not None
        return settled(delta, self._seeds, lambda d: Delta(evaluate(d.columns, d.num_rows, context), d.weights))
