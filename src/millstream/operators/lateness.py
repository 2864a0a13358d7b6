"""Lateness: rows that are too far behind, kept out of a relation (sql.md §12.2).

A column with LATENESS L has a *waterline*: the greatest value seen, minus L. A row whose value is below it is late. The
waterline only rises between steps, so all rows of a step are compared with the same one, and the order of rows within a
step does not matter; how the input is cut into steps does. NULLs are never late and do not move the waterline; nor do
NaN and infinities, after which every number would be late.

A waterline is a promise to everything downstream: no later change has a value below it. `plan/waterlines.py` says what
follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.coercion import build_cast
from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_call
from millstream.operators.arrays import Integers, Mask
from millstream.operators.base import Inputs, Operator
from millstream.types import SqlType, arrow_type
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds

_NOTHING = EvaluationContext()


class Waterline:
    """The waterline of one column: `value`, None before any row, or where the subtraction leaves the type's range."""

    def __init__(self, column: int, sql_type: SqlType, lateness: Expression) -> None:
        self.column = column
        self.type = arrow_type(sql_type)
        self.value: pa.Scalar | None = None
        self._greatest: pa.Scalar | None = None
        behind = build_cast(build_call("-", [ColumnRef(sql_type, 0), lateness]), sql_type)
        self._behind = compile_projection([behind])
        # Times of the day go round: a waterline above all that was seen is one that did.
        self._circular = pa.types.is_time(self.type)

    def late(self, values: pa.Array) -> Mask | None:
        """Which values are below the waterline; None if there is no waterline yet."""
        if self.value is None:
            return None
        below = pc.less(values, self.value)
        return np.asarray(below.fill_null(False).to_numpy(zero_copy_only=False))

    def see(self, values: pa.Array) -> None:
        """Raises the waterline for what comes after these values. O(values)."""
        if pa.types.is_floating(values.type):
            values = values.filter(pc.is_finite(values))
        greatest = pc.max(values)
        if not greatest.is_valid or (self._greatest is not None and not pc.greater(greatest, self._greatest).as_py()):
            return
        self._greatest = greatest
        try:
            ((value,),) = self._behind((pa.array([greatest], values.type),), 1, _NOTHING)
        except EvaluationError:
            return
        if self._circular and pc.greater(value, greatest).as_py():
            return
        self.value = value


@dataclass(frozen=True, slots=True)
class LateRows:
    """Rows that were kept out: their columns, how often each came, and the number of a waterline that each is below;
    `bounds` are all waterlines at that time."""

    columns: tuple[pa.Array, ...]
    counts: Weights
    below: Integers
    bounds: tuple[pa.Scalar | None, ...]


class Lateness:
    """The waterlines of one relation, and the late rows of the step under way."""

    def __init__(self, delays: Sequence[tuple[int, SqlType, Expression]]) -> None:
        self.waterlines = tuple(Waterline(column, sql_type, lateness) for column, sql_type, lateness in delays)
        self.count = 0
        self._late: list[LateRows] = []

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns that have a waterline."""
        return tuple(waterline.column for waterline in self.waterlines)

    def below(self, columns: Sequence[pa.Array], given: Sequence[Mask | None] | None = None) -> Integers | None:
        """For each row the number of a waterline that it is below, -1 for none; None if no row is late. `given[i]` are
        the rows that have a value for waterline i (None: all)."""
        found: Integers | None = None
        for number, waterline in enumerate(self.waterlines):
            late = waterline.late(columns[waterline.column])
            if late is not None and given is not None and (mask := given[number]) is not None:
                late = late & mask
            if late is not None and late.any():
                found = np.full(len(late), -1, np.int64) if found is None else found
                found[late & (found < 0)] = number
        return found

    def refuse(self, columns: Sequence[pa.Array], counts: Weights, below: Integers) -> None:
        """Notes the rows, of those with these columns, that are below a waterline."""
        rows = np.flatnonzero(below >= 0)
        positions = pa.array(rows)
        self.count += int(counts[rows].sum())
        bounds = tuple(waterline.value for waterline in self.waterlines)
        self._late.append(LateRows(tuple(c.take(positions) for c in columns), counts[rows], below[rows], bounds))

    def see(self, columns: Sequence[pa.Array]) -> None:
        """Raises the waterlines for the steps after this one, in which these rows came."""
        for waterline in self.waterlines:
            waterline.see(columns[waterline.column])

    def take_late(self) -> list[LateRows]:
        """The rows refused since the last call."""
        taken, self._late = self._late, []
        return taken


class LatenessOperator(Operator):
    """Passes on the changes of a view that are not late. A row that was accepted may be late when it is retracted:
    then it stays."""

    kind = "lateness"

    def __init__(self, lateness: Lateness, seeds: Seeds) -> None:
        self._lateness = lateness
        self._seeds = seeds

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is None:
            return None
        delta = consolidate(delta, self._seeds)
        below = self._lateness.below(delta.columns)
        if below is not None:
            self._lateness.refuse(delta.columns, np.abs(delta.weights), below)
            delta = delta.filter(below < 0)
        self._lateness.see(delta.columns)
        return delta
