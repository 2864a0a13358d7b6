"""The system view error_view: one row for every late row (sql.md §12.6).

It gathers what the lateness filters of tables and views have refused in the same step, so its node comes after theirs.
Rows are written as JSON; the cost is that of the late rows, and nothing in a step without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from millstream.expressions.coercion import build_cast
from millstream.expressions.evaluate import EvaluationContext, Projection, compile_projection
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.operators.base import Inputs, Operator, merge_parts
from millstream.operators.lateness import Lateness, LateRows
from millstream.plan.nodes import Schema
from millstream.types.sql_type import VARCHAR, VARIANT, Field, struct
from millstream.zset.delta import Delta

_TEXT = pa.large_string()


@dataclass(frozen=True, slots=True)
class _Reporter:
    """What turns the late rows of one relation into rows of the view."""

    relation: str
    schema: Schema
    lateness: Lateness
    row_text: Projection
    bound_texts: tuple[Projection, ...]


def _reporter(relation: str, schema: Schema, lateness: Lateness) -> _Reporter:
    # Intervals have no JSON; only LOCAL views have them. A record that deletes or updates by key lacks other columns.
    shown = [(i, column) for i, column in enumerate(schema) if not column.type.is_interval]
    row = build_call("ROW", [ColumnRef(column.type.with_nullable(True), i) for i, column in shown])
    named = build_cast(row, struct(tuple(Field(column.name, column.type) for _, column in shown), nullable=False))
    text = build_call("TO_JSON", [build_cast(named, VARIANT)])
    bounds = [build_cast(ColumnRef(schema[w.column].type, 0), VARCHAR) for w in lateness.waterlines]
    return _Reporter(
        relation, schema, lateness, compile_projection([text]), tuple(compile_projection([bound]) for bound in bounds)
    )


class ErrorViewOperator(Operator):
    """Emits (relation, message, row as JSON) for each row that `sources` have refused in this step."""

    kind = "error view"
    # Late rows are not among the changes of its inputs.
    volatile = True

    def __init__(self, sources: Sequence[tuple[str, Schema, Lateness]]) -> None:
        self._reporters = [_reporter(*source) for source in sources]

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        return merge_parts(
            [self._report(reporter, rows) for reporter in self._reporters for rows in reporter.lateness.take_late()]
        )

    @staticmethod
    def _report(reporter: _Reporter, rows: LateRows) -> Delta:
        context = EvaluationContext()
        count = len(rows.counts)
        messages = []
        for waterline, text, bound in zip(reporter.lateness.waterlines, reporter.bound_texts, rows.bounds, strict=True):
            column = reporter.schema[waterline.column]
            shown = None if bound is None else text((pa.array([bound], bound.type),), 1, context)[0][0].as_py()
            messages.append(f"Late value: column '{column.name}' is below its waterline {shown}")
        (metadata,) = reporter.row_text(rows.columns, count, context)
        message = pa.array(messages, _TEXT).take(pa.array(rows.below))
        relation = pa.array([reporter.relation], _TEXT).take(pa.array(np.zeros(count, np.int64)))
        return Delta((relation, message, metadata.cast(_TEXT)), rows.counts)
