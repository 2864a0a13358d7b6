"""Points on the earth, logging, and what a connector knows about a record (sql.md §2.1, §7.2, §7.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts import find_conversion
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import (
    FLOAT,
    Function,
    Options,
    Parameter,
    check_count,
    function,
    simple,
    table,
)
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.vectors import Kernel, Value, both_valid, broadcast, join, on_arrays, valid_of, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import DOUBLE, VARCHAR, VARIANT
from millstream.types.variant import plain_text

#: WRITELOG writes here, one message a row.
log = logging.getLogger("millstream.writelog")
#: The mean radius of the earth in metres (IUGG), which upstream's haversine distance uses.
EARTH_RADIUS_M = 6_371_008.8
_GEOMETRY = SqlType(Kind.GEOMETRY)
_POINT = Parameter("GEOMETRY", lambda a: a if a.type.kind is Kind.GEOMETRY else None)


# ---- points ------------------------------------------------------------------------------------------------------


def _point(x: pa.Array, y: pa.Array) -> pa.Array:
    missing = pc.or_(x.is_null(), y.is_null())
    data_type = arrow_type(_GEOMETRY)
    return pa.StructArray.from_arrays([x, y], fields=list(data_type), mask=missing)


def _distance(a: pa.Array, b: pa.Array) -> pa.Array:
    """The haversine distance in metres; x is the longitude and y the latitude, in degrees."""
    (lon_a, lat_a), (lon_b, lat_b) = ([values_of(part) for part in points.flatten()] for points in (a, b))
    with np.errstate(invalid="ignore"):
        theta_a, theta_b = np.radians(lat_a), np.radians(lat_b)
        half_theta, half_lambda = np.radians(lat_b - lat_a) / 2, np.radians(lon_b - lon_a) / 2
        square = np.sin(half_theta) ** 2 + np.cos(theta_a) * np.cos(theta_b) * np.sin(half_lambda) ** 2
        distance = EARTH_RADIUS_M * (2 * np.arcsin(np.sqrt(square)))
    return join(distance, both_valid(valid_of(a), valid_of(b)), pa.float64())


# ---- WRITELOG ----------------------------------------------------------------------------------------------------


def _resolve_writelog(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("WRITELOG", len(arguments), 2, 2)
    template, value = arguments
    if not template.type.is_string:
        raise cannot_apply("WRITELOG", arguments, ["WRITELOG(<CHARACTER>, <ANY>)"])
    if not isinstance(template, Literal) or template.value is None:
        raise TypeCheckError("WRITELOG expects a string literal as its first argument")
    return Call(value.type, "WRITELOG", (value,), (template.value,))


def _implement_writelog(call: Call) -> Kernel:
    template, source = call.options[0], call.arguments[0].type

    def shown(array: pa.Array) -> pa.Array:
        if source.kind is Kind.NULL:
            return pa.nulls(len(array), pa.large_string())
        if source.is_nested or source.kind in (Kind.VARIANT, Kind.GEOMETRY):
            variant = find_conversion(source, VARIANT).convert(array)[0]
            return pc.if_else(array.is_valid(), plain_text(variant), pa.scalar(None, variant.type))
        return find_conversion(source, VARCHAR).convert(array)[0]

    def kernel(value: Value) -> Value:
        for text in shown(broadcast(value, 1)).to_pylist():
            log.info("%s", template.replace("%%", "NULL" if text is None else text))
        return value

    return kernel


# ---- CONNECTOR_METADATA ------------------------------------------------------------------------------------------


def _resolve_metadata(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("CONNECTOR_METADATA", len(arguments), 0, 0)
    return Call(VARIANT, "CONNECTOR_METADATA", ())


def _implement_metadata(_: Call, __: Sequence[Any], ___: Sequence[bool]) -> Callable[[Any], Value]:
    return lambda frame: frame.metadata


FUNCTIONS = table(
    function("ST_POINT", [FLOAT, FLOAT], _GEOMETRY, simple(on_arrays(_point)), doc="The point (x, y)."),
    function("ST_DISTANCE", [_POINT, _POINT], DOUBLE, simple(on_arrays(_distance)), doc="Metres between two points."),
    Function("WRITELOG", _resolve_writelog, _implement_writelog, foldable=False, doc="x, after logging it."),
    Function(
        "CONNECTOR_METADATA",
        _resolve_metadata,
        implement_lazily=_implement_metadata,
        deterministic=False,
        doc="What the connector knows about the record; only in DEFAULT.",
    ),
)
