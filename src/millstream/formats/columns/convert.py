"""Spans to a column: a kernel first, the exact converter for what the kernel is not certain of, then defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.json_texts import rewrite
from millstream.formats.columns import kernels
from millstream.formats.columns.kernels import LONG_FLOAT, NOTHING, UNSURE, VALUE
from millstream.formats.columns.nested import build_nested
from millstream.formats.columns.spans import ABSENT, ESCAPED, IGNORED, NULL, OBJECT, OPAQUE, STRING, Positions, Spans
from millstream.formats.json.flavors import Flavor, TimeForm, TimestampForm
from millstream.formats.rows import RecordError, missing_error, null_error, value_error
from millstream.formats.values import scalars, temporal
from millstream.types import Kind, RelationColumn, SqlType, arrow_type

Status = npt.NDArray[np.uint8]
Errors = dict[int, RecordError]


@dataclass(frozen=True, slots=True)
class Syntax:
    """How the text of a format is read: `strings`: every scalar comes as text (CSV); the quoting of ESCAPED spans
    (`quote` < 0: JSON escapes); `flavor`: the spelling of values."""

    strings: bool
    flavor: Flavor
    quote: int = -1
    escape: int = -1
    double_quote: bool = True


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """Everything needed to convert one column. `exact` takes a span's row and gives the storage value (None for NULL)
    or raises ValueError; `absent` says whether a record may leave the column out, and the value it gets then."""

    column: RelationColumn
    syntax: Syntax
    exact: Callable[[Spans, int], Any]
    absent: tuple[bool, Any]


def build_column(plan: ColumnPlan, spans: Spans) -> tuple[pa.Array, Errors]:
    """The column's array, and the rows whose values are wrong (their entries are NULL)."""
    sql_type = plan.column.type
    kinds = spans.kinds
    if sql_type.kind is Kind.VARIANT and not sql_type.nullable:
        # The VARIANT null is a value of its own.
        kinds = np.where(kinds == NULL, np.uint8(OBJECT), kinds)
        spans = Spans(spans.buffer, kinds, spans.starts, spans.ends)
    array, status = _fast(sql_type, plan.syntax, spans)
    errors: Errors = {}
    if _complete(status):
        return array, errors
    unsure = np.flatnonzero(status == UNSURE)
    if len(unsure):
        array = _patch(array, unsure, _exact_values(plan, spans, unsure, errors))
    may_be_absent, default = plan.absent
    absent = np.flatnonzero(kinds == ABSENT)
    if len(absent) and not may_be_absent:
        errors.update((int(r), missing_error(plan.column.name)) for r in absent)
    elif len(absent) and default is not None:
        array = _patch(array, absent, [default] * len(absent))
    if not sql_type.nullable:
        errors.update((int(r), null_error(plan.column.name)) for r in np.flatnonzero(kinds == NULL))
    return array, errors


def _exact_values(plan: ColumnPlan, spans: Spans, rows: Positions, errors: Errors) -> list[Any]:
    values: list[Any] = []
    for r in rows.tolist():
        value = None
        try:
            value = plan.exact(spans, r)
            if value is None and not plan.column.type.nullable:
                errors[r] = null_error(plan.column.name)
        except ValueError as error:
            errors[r] = value_error(plan.column.name, error)
        values.append(value)
    return values


def _patch(array: pa.Array, rows: Positions, values: Sequence[Any]) -> pa.Array:
    """`array` with other values at `rows`."""
    replacement = pa.array(values, array.type)
    if len(rows) == len(array):
        return replacement
    indices = np.arange(len(array), dtype=np.int64)
    indices[rows] = np.arange(len(array), len(array) + len(rows))
    return pa.concat_arrays([array, replacement]).take(pa.array(indices))


def _fast(sql_type: SqlType, syntax: Syntax, spans: Spans) -> tuple[pa.Array, Status]:
    """The column as far as kernels can tell; UNSURE and missing values are NULL."""
    kind, flavor = sql_type.kind, syntax.flavor
    count = len(spans.kinds)
    status = np.empty(count, np.uint8)
    target = arrow_type(sql_type)
    if sql_type.is_integer:
        return _integers(sql_type, syntax.strings or flavor.integer_strings, spans, status), status
    if sql_type.is_string:
        return _texts(syntax, spans, status), status
    if sql_type.is_float:
        return _floats(sql_type, syntax, spans, status), status
    if kind is Kind.DECIMAL:
        words = np.empty((count, 2), np.int64)
        kernels.decimals(*_parts(spans), sql_type.precision, sql_type.scale, words, status)
        return _array(target, count, words, status), status
    if kind is Kind.BOOLEAN:
        flags = np.empty(count, np.bool_)
        kernels.booleans(*_parts(spans), syntax.strings, flags, status)
        return pa.array(flags, mask=status != VALUE), status
    if kind is Kind.UUID:
        raw = np.empty((count, 16), np.uint8)
        kernels.uuids(*_parts(spans), raw, status)
        return _array(target, count, raw, status), status
    if kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        counts = _temporal(kind, flavor, spans, status)
        if kind is Kind.DATE:
            counts = counts.astype(np.int32)
        return _array(target, count, counts, status), status
    if kind in (Kind.ARRAY, Kind.MAP, Kind.STRUCT) and not syntax.strings:
        return build_nested(sql_type, spans, lambda inner, inside: _fast(inner, syntax, inside))
    nothing = (spans.kinds <= NULL) | (spans.kinds == IGNORED)
    status[:] = np.where(nothing, NOTHING, UNSURE)
    if kind is Kind.VARIANT and not syntax.strings and not flavor.variant_as_string:
        quotes = ((spans.kinds == STRING) | (spans.kinds == ESCAPED)).astype(np.int64)
        wanted = ~nothing & (spans.kinds != OPAQUE)
        made = rewrite(spans.buffer, spans.starts - quotes, spans.ends + quotes, wanted)
        status[made.done] = VALUE
        return made.column(made.done), status
    return pa.nulls(count, target), status


def _parts(spans: Spans) -> tuple[Any, Any, Any, Any]:
    return spans.buffer, spans.kinds, spans.starts, spans.ends


def _complete(status: Status) -> bool:
    """Whether there is a value everywhere."""
    return int(status.max(initial=VALUE)) == VALUE


def _validity(status: Status) -> pa.Buffer | None:
    """The bitmap of an array: NULL where there is no value."""
    return None if _complete(status) else pa.py_buffer(np.packbits(status == VALUE, bitorder="little"))


def _array(target: pa.DataType, count: int, values: npt.NDArray[Any], status: Status) -> pa.Array:
    """An array over `values` as they lie in memory; NULL where there is no value."""
    return pa.Array.from_buffers(target, count, [_validity(status), pa.py_buffer(np.ascontiguousarray(values))])


def _integers(sql_type: SqlType, strings: bool, spans: Spans, status: Status) -> pa.Array:
    low, high = scalars.integer_bounds(sql_type)
    values = np.empty(len(status), np.uint64)
    kernels.integers(*_parts(spans), strings, np.uint64(-low), np.uint64(high), values, status)
    target = arrow_type(sql_type)
    return _array(target, len(status), values.astype(target.to_pandas_dtype()), status)


def _floats(sql_type: SqlType, syntax: Syntax, spans: Spans, status: Status) -> pa.Array:
    values = np.empty(len(status), np.float64)
    kernels.floats(*_parts(spans), syntax.strings, values, status)
    long = np.flatnonzero(status == LONG_FLOAT)
    if len(long):
        selected = Spans(spans.buffer, np.full(len(long), STRING, np.uint8), spans.starts[long], spans.ends[long])
        texts = _texts(syntax, selected, np.empty(len(long), np.uint8))
        values[long] = pc.cast(texts, pa.float64()).to_numpy()
        status[long] = VALUE
    if sql_type.kind is Kind.DOUBLE:
        return _array(pa.float64(), len(status), values, status)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    status[np.isinf(rounded)] = UNSURE
    return _array(pa.float32(), len(status), rounded, status)


def _temporal(kind: Kind, flavor: Flavor, spans: Spans, status: Status) -> npt.NDArray[np.int64]:
    """Days, nanoseconds or microseconds, from text or from the flavour's integers."""
    counts = np.empty(len(status), np.int64)
    if kind is Kind.DATE:
        if not flavor.date_as_days:
            kernels.dates(*_parts(spans), counts, status)
            return counts
        return _units(spans, status, -temporal.MIN_DAYS, temporal.MAX_DAYS, 1)
    if kind is Kind.TIME:
        if flavor.time is TimeForm.TEXT:
            kernels.times(*_parts(spans), counts, status)
            return counts
        unit = flavor.time.value
        return _units(spans, status, 0, temporal.NANOS_PER_DAY // unit - 1, unit)
    if flavor.timestamp is not TimestampForm.MILLIS:
        kernels.timestamps(*_parts(spans), counts, status)
        return counts
    millis_per_day = 86_400_000
    return _units(spans, status, -temporal.MIN_DAYS * millis_per_day, temporal.MAX_DAYS * millis_per_day, 1000)


def _units(spans: Spans, status: Status, lowest: int, highest: int, factor: int) -> npt.NDArray[np.int64]:
    values = np.empty(len(status), np.uint64)
    kernels.integers(*_parts(spans), False, np.uint64(lowest), np.uint64(highest), values, status)
    return values.view(np.int64) * factor


def _texts(syntax: Syntax, spans: Spans, status: Status) -> pa.Array:
    count = len(status)
    has_text = (spans.kinds == STRING) | (spans.kinds == ESCAPED)
    room = int((spans.ends - spans.starts)[has_text].sum())
    offsets = np.empty(count + 1, np.int64)
    data = np.empty(room, np.uint8)
    used = kernels.texts(*_parts(spans), syntax.quote, syntax.escape, syntax.double_quote, offsets, data, status)
    buffers = [_validity(status), pa.py_buffer(offsets), pa.py_buffer(data[:used])]
    return pa.Array.from_buffers(pa.large_string(), count, buffers)
