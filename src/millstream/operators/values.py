"""Values: constant rows. They appear in the first step and stay.

The expressions are evaluated in the first step, not before: a constant that fails is a run-time error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.nodes import Expression, Literal
from millstream.operators.base import Inputs, Operator, concat_deltas
from millstream.types import SqlType, arrow_type
from millstream.zset.delta import Delta


class ValuesOperator(Operator):
    """Emits `rows`, whose columns have `types`, once; if they are `volatile`, again in every step what changed."""

    kind = "values"
    initial = True

    def __init__(self, rows: Sequence[Sequence[Expression]], types: Sequence[SqlType], volatile: bool = False) -> None:
        self._rows = tuple(tuple(row) for row in rows)
        self._types = tuple(arrow_type(t) for t in types)
        self.volatile = volatile
        self._last: Delta | None = None
        self._done = False

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        if self._done and not self.volatile:
            return None
        self._done = True
        new = self._evaluate(context)
        if not self.volatile or new is None:
            return new
        last, self._last = self._last, new
        return new if last is None else concat_deltas([last.negate(), new])

    def _evaluate(self, context: EvaluationContext) -> Delta | None:
        count = len(self._rows)
        if not count:
            return None
        columns = tuple(
            self._column([row[i] for row in self._rows], data_type, context) for i, data_type in enumerate(self._types)
        )
        return Delta(columns, np.ones(count, np.int64))

    def _column(self, cells: Sequence[Expression], data_type: pa.DataType, context: EvaluationContext) -> pa.Array:
        if all(isinstance(cell, Literal) and not cell.type.is_nested for cell in cells):
            return pa.array([cell.value for cell in cells if isinstance(cell, Literal)], data_type)
        # Distinct expressions are as many as the program text has: this loop is not over data.
        return pa.concat_arrays(compile_projection(cells)((), 1, context))
