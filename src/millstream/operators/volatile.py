"""Volatile: a linear operator whose expressions read the time.

When the time has changed since the last step, every row of the input may map to something else. So the input is kept,
and the output is recomputed: retract what was there, insert what is there now. O(state) for each new time; the sql
room warns about it. Rows that do not change cancel when the delta is consolidated here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.base import Inputs, Operator, concat_deltas
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
        self._last: Delta | None = None

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is not None:
            self._trace.insert(delta)
        if delta is None and context.now_us == self._now:
            return None
        self._now = context.now_us
        new = self._linear.step([self._trace.snapshot().to_delta()], context)
        parts = [] if self._last is None else [self._last.negate()]
        if new is not None:
            parts.append(new)
        self._last = new
        return consolidate(concat_deltas(parts), self._seeds) if parts else None

    @property
    def state_rows(self) -> int:
        return self._trace.num_rows + (0 if self._last is None else self._last.num_rows)

    @property
    def state_bytes(self) -> int:
        return self._trace.nbytes
