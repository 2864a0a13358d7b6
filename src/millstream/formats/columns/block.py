"""A scanned block to a change batch: all columns, then the records that turned out to be wrong are taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.formats.base import ParsedBlock
from millstream.formats.columns.convert import ColumnPlan, build_column
from millstream.formats.columns.spans import ABSENT, IGNORED, ScannedRows, Spans
from millstream.formats.rows import RecordError, record_parse_error
from millstream.types import Relation
from millstream.zset.changes import ChangeBatch, Operation


def build_block(
    relation: Relation, plans: Sequence[ColumnPlan], rows: ScannedRows, first_event: int, kind: str
) -> ParsedBlock:
    """The rows as one batch, and a report for each bad record. `kind` names records in reports."""
    errors: dict[int, RecordError] = {}
    columns = []
    for c, plan in enumerate(plans):
        array, column_errors = build_column(plan, _looked_at(relation, rows, c))
        columns.append(array)
        for r, error in column_errors.items():
            errors.setdefault(r, error)
    batch = _batch(columns, rows)
    if not errors:
        return ParsedBlock((batch,) if batch.num_rows else ())
    reports = []
    bad_events: dict[int, RecordError] = {}
    for r in sorted(errors):
        bad_events.setdefault(int(rows.events[r]), errors[r])
    for event, error in bad_events.items():
        text = rows.buffer[rows.event_starts[event] : rows.event_ends[event]].tobytes().decode()
        reports.append(record_parse_error(kind, error, first_event + event, text))
    bad = np.zeros(len(rows.event_starts), np.bool_)
    bad[list(bad_events)] = True
    kept = _keep(batch, np.flatnonzero(~bad[rows.events]))
    return ParsedBlock((kept,) if kept.num_rows else (), tuple(reports))


def _looked_at(relation: Relation, rows: ScannedRows, column: int) -> Spans:
    """The column's spans, without the values that operations do not look at: what is no key in a delete by key, and
    what an update leaves out."""
    spans = rows.column(column)
    if rows.operations is None or not relation.primary_key or column in relation.primary_key:
        return spans
    ignored = (rows.operations == Operation.DELETE) | ((rows.operations == Operation.UPDATE) & (spans.kinds == ABSENT))
    return Spans(spans.buffer, np.where(ignored, np.uint8(IGNORED), spans.kinds), spans.starts, spans.ends)


def _batch(columns: Sequence[pa.Array], rows: ScannedRows) -> ChangeBatch:
    present = None
    if rows.operations is not None and (rows.operations == Operation.UPDATE).any():
        present = tuple((kinds != ABSENT) | (rows.operations != Operation.UPDATE) for kinds in rows.kinds)
    return ChangeBatch(tuple(columns), len(rows.events), rows.operations, present)


def _keep(batch: ChangeBatch, rows: np.ndarray) -> ChangeBatch:
    """The batch's rows at those positions; what the others alone needed (operations, masks) goes with them."""
    positions = pa.array(rows)
    columns = tuple(column.take(positions) for column in batch.columns)
    operations = None if batch.operations is None else batch.operations[rows]
    if operations is None or (operations == Operation.INSERT).all():
        return ChangeBatch(columns, len(rows))
    present = None
    if batch.present is not None and (operations == Operation.UPDATE).any():
        present = tuple(None if mask is None else mask[rows] for mask in batch.present)
    return ChangeBatch(columns, len(rows), operations, present)
