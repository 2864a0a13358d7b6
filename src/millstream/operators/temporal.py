"""Temporal: a projection or filter whose expressions compare rows with the time.

Problem. `WHERE ts >= NOW() - INTERVAL 1 DAY` changes whenever the clock moves, for some rows; nobody may look at all of
them each time. A comparison of a row's value with a limit that never falls (`Guard`, plan/temporal.py) turns once: a
lower limit makes it FALSE, an upper one TRUE. Until then the row *waits* for it.

State. For each guard, the rows that wait for it, in the order of the guard's value (time_index.py). What waits for
nothing is not kept: deleting it later gives the opposite of what inserting it would give then. So rows that have left
a filter for good take no space, and a row that fails a limit that it must keep (`required`) waits for nothing else.

Step. When the clock has moved, guard after guard, the rows that it turns for are taken out, and evaluated with the
guards before it as they are now and those behind as they were; the difference is what changes. Then the input's changes
are evaluated as of now. Cost: that of the changes, and O(guards) when nothing turns.

Where a guard's value is NULL it stays NULL. The time never goes back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.operators.arrays import Mask, Words, validity
from millstream.operators.base import Inputs, Operator, merge_parts, settled
from millstream.operators.ordering import word_codes
from millstream.operators.time_index import TimeIndex
from millstream.plan.temporal import Guard
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds

Codes = Sequence[tuple[Words, Mask | None]]
"""For each guard, the codes of its values and where they are not NULL (None: everywhere)."""


class TemporalOperator(Operator):
    """Feeds `linear`, an operator with one input and no state, the input's columns and one BOOLEAN column per guard.

    `required`: numbers of lower guards without which `linear` gives nothing.
    """

    kind = "temporal"
    volatile = True

    def __init__(self, linear: Operator, guards: Sequence[Guard], required: Sequence[int], seeds: Seeds) -> None:
        self._linear = linear
        self._guards = tuple(guards)
        self._required = tuple(k for k in required if guards[k].lower)
        self._seeds = seeds
        self._values = compile_projection([guard.expression for guard in guards])
        self._limits = compile_projection([guard.limit for guard in guards])
        self._now: int | None = None
        # Rows with codes below the threshold no longer wait for the guard.
        self._thresholds: list[int] = []
        self._waiting = [TimeIndex(seeds) for _ in guards]

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        parts: list[Delta | None] = []
        if context.now_us != self._now:
            before, self._thresholds = self._thresholds, self._compute_thresholds(context)
            self._now = context.now_us
            for number in range(len(self._guards)):
                parts += self._turn(number, before, context)
        if delta is not None and delta.num_rows:
            parts.append(settled(delta, self._seeds, lambda rows: self._enter(rows, context)))
        return merge_parts(parts)

    def _compute_thresholds(self, context: EvaluationContext) -> list[int]:
        limits = self._limits((), 1, context)
        codes = [int(word_codes(limit)[0]) for limit in limits]
        # A value equal to the limit has turned where the comparison is > or <=.
        return [c + (g.comparison in (">", "<=")) for c, g in zip(codes, self._guards, strict=True)]

    def _turn(self, number: int, before: Sequence[int], context: EvaluationContext) -> list[Delta | None]:
        """What changes by the rows for which a guard turns."""
        rows = self._waiting[number].take_below(self._thresholds[number])
        if rows is None:
            return []
        codes = self._codes(rows, context)
        mixed = [*self._thresholds[:number], *before[number:]]
        old = self._linear.step([self._guarded(rows.negate(), codes, mixed)], context)
        mixed[number] = self._thresholds[number]
        return [old, self._linear.step([self._guarded(rows, codes, mixed)], context)]

    def _enter(self, rows: Delta, context: EvaluationContext) -> Delta | None:
        codes = self._codes(rows, context)
        result = self._linear.step([self._guarded(rows, codes, self._thresholds)], context)
        waits = [_waits(*code, threshold) for code, threshold in zip(codes, self._thresholds, strict=True)]
        alive: Mask | None = None
        for number in self._required:
            alive = waits[number] if alive is None else alive & waits[number]
        for (values, _), waiting, index in zip(codes, waits, self._waiting, strict=True):
            chosen = np.flatnonzero(waiting if alive is None else waiting & alive)
            index.insert(values[chosen], rows.take(chosen))
        return result

    def _codes(self, rows: Delta, context: EvaluationContext) -> Codes:
        columns = self._values(rows.columns, rows.num_rows, context)
        return [(word_codes(column), validity(column)) for column in columns]

    def _guarded(self, rows: Delta, codes: Codes, thresholds: Sequence[int]) -> Delta:
        """The rows with the values of all guards at these thresholds."""
        columns = []
        for guard, (values, valid), threshold in zip(self._guards, codes, thresholds, strict=True):
            waits = _waits(values, None, threshold)
            columns.append(pa.array(waits if guard.lower else ~waits, mask=None if valid is None else ~valid))
        return Delta((*rows.columns, *columns), rows.weights)

    @property
    def state_rows(self) -> int:
        return sum(index.num_rows for index in self._waiting)

    @property
    def state_bytes(self) -> int:
        return sum(index.nbytes for index in self._waiting)


def _waits(values: Words, valid: Mask | None, threshold: int) -> Mask:
    """Which values have not been passed."""
    if threshold >= 1 << 64:
        return np.zeros(len(values), np.bool_)
    waits: Mask = values >= np.uint64(threshold)
    return waits if valid is None else waits & valid
