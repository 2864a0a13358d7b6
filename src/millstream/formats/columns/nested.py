"""Columns of arrays, rows and maps: of the spans inside, made by whoever makes columns, and put together.

A value with something inside that is not certain is left to the exact converter as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.formats.columns.kernels import NOTHING, UNSURE, VALUE
from millstream.formats.columns.spans import ARRAY, IGNORED, NULL, OBJECT, Spans
from millstream.formats.json.inside import fields_of, items_of
from millstream.types import Kind, SqlType, arrow_type

Status = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Build = Callable[[SqlType, Spans], tuple[pa.Array, Status]]
_Column = Callable[[pa.Buffer | None], pa.Array]


def build_nested(sql_type: SqlType, spans: Spans, build: Build) -> tuple[pa.Array, Status]:
    """The column of an ARRAY, MAP or ROW type; `build` makes columns of other spans, as far as kernels can tell."""
    nothing = (spans.kinds <= NULL) | (spans.kinds == IGNORED)
    status = np.where(nothing, np.uint8(NOTHING), np.uint8(UNSURE))
    if sql_type.kind is Kind.ARRAY:
        column, sure = _arrays(sql_type, spans, build)
    elif sql_type.kind is Kind.MAP:
        column, sure = _maps(sql_type, spans, build)
    else:
        column, sure = _rows(sql_type, spans, build)
    status[sure] = VALUE
    valid = None if sure.all() else pa.py_buffer(np.packbits(sure, bitorder="little"))
    return column(valid), status


def _child(sql_type: SqlType, spans: Spans, build: Build) -> tuple[pa.Array, Mask]:
    """A column of spans inside, and where it is not certain: also for a null where there may be none."""
    if sql_type.kind is Kind.VARIANT and not sql_type.nullable:
        # As at the top the VARIANT null is a value; of one that is not there, only the exact converter knows.
        there = spans.ends > spans.starts
        kinds = np.where((spans.kinds == NULL) & there, np.uint8(OBJECT), spans.kinds)
        spans = Spans(spans.buffer, kinds, spans.starts, spans.ends)
    column, status = build(sql_type, spans)
    uncertain = status == UNSURE
    return column, uncertain if sql_type.nullable else uncertain | (status == NOTHING)


def _arrays(sql_type: SqlType, spans: Spans, build: Build) -> tuple[_Column, Mask]:
    assert sql_type.component is not None
    wanted = spans.kinds == ARRAY
    offsets, _, values = items_of(spans, wanted, False)
    child, uncertain = _child(sql_type.component, values, build)
    target, count = arrow_type(sql_type), len(wanted)
    sure = wanted & ~_owners_of(uncertain, offsets)
    return lambda valid: pa.Array.from_buffers(target, count, [valid, pa.py_buffer(offsets)], children=[child]), sure


def _rows(sql_type: SqlType, spans: Spans, build: Build) -> tuple[_Column, Mask]:
    wanted = (spans.kinds == OBJECT) | (spans.kinds == ARRAY)
    fields, sure = fields_of(sql_type, spans, wanted)
    children = []
    for field, inside in zip(sql_type.fields, fields, strict=True):
        child, uncertain = _child(field.type, inside, build)
        children.append(child)
        sure &= ~uncertain
    target, count = arrow_type(sql_type), len(wanted)
    return lambda valid: pa.Array.from_buffers(target, count, [valid], children=children), sure


def _maps(sql_type: SqlType, spans: Spans, build: Build) -> tuple[_Column, Mask]:
    assert sql_type.key is not None
    assert sql_type.value is not None
    # Keys of other types are JSON in JSON: a matter for the exact converter.
    wanted = (spans.kinds == OBJECT) & sql_type.key.is_string
    offsets, names, values = items_of(spans, wanted, True)
    keys, uncertain = _child(sql_type.key, names, build)
    child, more = _child(sql_type.value, values, build)
    uncertain |= more
    owners = np.repeat(np.arange(len(wanted)), np.diff(offsets))
    order = _sorted(keys, owners)
    if order is not None:
        keys, child, uncertain = keys.take(order), child.take(order), uncertain[np.asarray(order)]
    # Of equal keys the last one counts: a matter for the exact converter.
    equal = np.zeros(len(keys), np.bool_)
    if len(keys) > 1:
        equal[1:] = np.asarray(pc.equal(keys[1:], keys[:-1]).fill_null(False)) & (owners[1:] == owners[:-1])
    sure = wanted & ~_owners_of(uncertain | equal, offsets)
    target, count = arrow_type(sql_type), len(wanted)
    entries = pa.StructArray.from_arrays([keys, child], fields=[target.key_field, target.item_field])
    places = offsets.astype(np.int32)
    return lambda valid: pa.Array.from_buffers(target, count, [valid, pa.py_buffer(places)], children=[entries]), sure


def _sorted(keys: pa.Array, owners: npt.NDArray[np.int64]) -> pa.Array | None:
    """The order of entries by map and key; None if they have it."""
    if len(keys) < 2 or bool(
        (np.asarray(pc.less(keys[:-1], keys[1:]).fill_null(False)) | (owners[:-1] != owners[1:])).all()
    ):
        return None
    table = pa.table({"map": pa.array(owners), "key": keys})
    return pc.sort_indices(table, sort_keys=[("map", "ascending"), ("key", "ascending")])


def _owners_of(marked: Mask, offsets: npt.NDArray[np.int64]) -> Mask:
    """Which spans have something marked inside."""
    before: npt.NDArray[np.int64] = np.zeros(len(marked) + 1, np.int64)
    np.cumsum(marked, out=before[1:])
    found: Mask = before[offsets[1:]] > before[offsets[:-1]]
    return found
