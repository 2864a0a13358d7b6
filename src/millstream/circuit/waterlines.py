"""Waterlines while a program runs: what plan/waterlines.py derived, computed after every step.

Sources move when rows come, or with the clock. Each bound is an expression over the sources, evaluated on one row: so
following them costs the same in every step, however much data flows. A bound whose sources have no waterline yet, or
whose evaluation fails, has none either; and bounds never fall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext, Projection, compile_projection
from millstream.expressions.nodes import Expression, columns_used
from millstream.operators.lateness import Lateness
from millstream.operators.ordering import word_codes
from millstream.plan.walk import calls_function
from millstream.plan.waterlines import Source
from millstream.types import arrow_type


@dataclass(slots=True)
class _Bound:
    """A bound: how it is computed, of which sources, and its code after the last step."""

    evaluate: Projection
    used: frozenset[int]
    timed: bool
    code: int | None = None


class RunningWaterlines:
    """The codes of `bounds`, expressions over `sources` whose waterlines `lateness` has."""

    def __init__(
        self, sources: Sequence[Source], lateness: Mapping[str, Lateness], bounds: Sequence[Expression]
    ) -> None:
        self._waterlines = [lateness[source.relation].waterlines[source.delay] for source in sources]
        self._types = [arrow_type(source.type) for source in sources]
        self._values: list[pa.Scalar | None] = [None] * len(sources)
        self._now_us: int | None = None
        self._bounds = {
            bound: _Bound(compile_projection([bound]), frozenset(columns_used(bound)), calls_function(bound, "NOW"))
            for bound in dict.fromkeys(bounds)
        }

    def advance(self, now_us: int | None) -> bool:
        """Follows what happened in a step at that time; whether any bound has risen. O(sources + bounds)."""
        moved = set()
        for number, waterline in enumerate(self._waterlines):
            if waterline.value is not self._values[number]:
                self._values[number] = waterline.value
                moved.add(number)
        ticked, self._now_us = now_us != self._now_us, now_us
        risen = False
        columns: list[pa.Array] | None = None
        for bound in self._bounds.values():
            if not (moved & bound.used or (ticked and bound.timed)):
                continue
            if columns is None:
                columns = [pa.array([v], t) for v, t in zip(self._values, self._types, strict=True)]
            code = self._code(bound, columns)
            if code is not None and (bound.code is None or code > bound.code):
                bound.code = code
                risen = True
        return risen

    def _code(self, bound: _Bound, columns: Sequence[pa.Array]) -> int | None:
        if any(self._values[number] is None for number in bound.used):
            return None
        try:
            (value,) = bound.evaluate(columns, 1, EvaluationContext(self._now_us))
        except EvaluationError:
            return None
        # NaN is the greatest value, but what is computed of NaN says nothing about numbers.
        missing = value.null_count or (pa.types.is_floating(value.type) and np.isnan(value[0].as_py()))
        return None if missing else int(word_codes(value)[0])

    def code(self, bound: Expression | None) -> int | None:
        """The code (operators/ordering.py) of a bound after the last step; None while there is none."""
        return None if bound is None else self._bounds[bound].code
