"""Volatile: a linear operator whose expressions read the time.

When the time has changed since the last step, every row of the input may map to something else. So the input is kept,
and the output is recomputed: retract what was there, insert what is there now. O(state) for each new time; the sql
room warns about it. Rows that do not change cancel when the delta is consolidated here. While the time stands still,
the operator is the linear one.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.base import Inputs, Operator, merge_parts
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace


class VolatileOperator(Operator):
    """Wraps `linear`, an operator with one input and no state, whose answers depend on the time of the step."""

    kind = "volatile"
    volatile = True

    def __init__(self, linear: Operator, types: Sequence[pa.DataType], seeds: Seeds) -> None:
        self._linear = linear
        self._seeds = seeds
        self._trace = Trace(types, range(len(types)), seeds)
        self._now: int | None = None
        # What was emitted at this time; the parts sum up to the present output.
        self._emitted: list[Delta] = []

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is not None:
            self._trace.insert(delta)
        if context.now_us == self._now:
            return None if delta is None else self._emit(delta, context)
        self._now = context.now_us
        parts: list[Delta | None] = [emitted.negate() for emitted in self._emitted]
        self._emitted.clear()
        parts.append(self._emit(self._trace.snapshot().to_delta(), context))
        change = merge_parts(parts)
        return None if change is None else consolidate(change, self._seeds)

    def _emit(self, delta: Delta, context: EvaluationContext) -> Delta | None:
        result = self._linear.step([delta], context)
        if result is not None and result.num_rows:
            self._emitted.append(result)
        return result

    @property
    def state_rows(self) -> int:
        return self._trace.num_rows + sum(emitted.num_rows for emitted in self._emitted)

    @property
    def state_bytes(self) -> int:
        return self._trace.nbytes
