"""Casts among BOOLEAN, integers, DECIMAL, REAL and DOUBLE (sql.md §6.2): excess fractions are truncated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, Converted, total
from millstream.expressions.casts.text import float_text
from millstream.expressions.decimals import decimal_text
from millstream.expressions.vectors import Bools, Kernel, join, relabel, valid_of, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import INTEGER_BITS


def number_conversion(source: SqlType, target: SqlType) -> Conversion:
    """The conversion between two types out of BOOLEAN and the numeric types."""
    if target.kind is Kind.BOOLEAN:
        return total(lambda a: a if source.kind is Kind.BOOLEAN else pc.not_equal(a, zero_of(a.type)))
    if source.kind is Kind.BOOLEAN:
        return _from_boolean(target)
    if target.is_float:
        return total(_to_float(source, arrow_type(target)))
    if source.is_integer:
        return _from_integer(source, target)
    if source.is_float:
        return _float_to_integer(source, target) if target.is_integer else _float_to_decimal(source, target)
    return _decimal_to_integer(target) if target.is_integer else _decimal_to_decimal(source, target)


def zero_of(data_type: pa.DataType) -> pa.Scalar:
    """Zero in a numeric Arrow type."""
    return pa.scalar(Decimal(0) if pa.types.is_decimal(data_type) else 0, data_type)


def integer_limits(sql_type: SqlType) -> tuple[int, int]:
    """The least and greatest value of an integer type."""
    bits = INTEGER_BITS[sql_type.kind]
    return (0, 2**bits - 1) if sql_type.is_unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _out_of_range(text: str, target: SqlType) -> str:
    return f"Error converting {text} to {target.sql()}: out of range integral type conversion attempted"


def _to_float(source: SqlType, data_type: pa.DataType) -> Kernel:
    if source.kind is Kind.DECIMAL:
        # through text: Arrow's own conversion multiplies by an inexact power of ten
        return lambda a: a.cast(pa.string()).cast(data_type)
    return lambda a: a.cast(data_type, safe=False)


def _from_boolean(target: SqlType) -> Conversion:
    data_type = arrow_type(target)
    if target.kind is not Kind.DECIMAL:
        return total(lambda a: a.cast(pa.int8()).cast(data_type))
    return Conversion(
        lambda a: _rescaled(a.cast(pa.int8()).cast(pa.decimal128(3, 0)), data_type),
        lambda v: _no_room("1", target),
    )


def _from_integer(source: SqlType, target: SqlType) -> Conversion:
    data_type = arrow_type(target)
    if target.kind is Kind.DECIMAL:
        digits = 20 if source.kind is Kind.UBIGINT else 19
        return Conversion(
            lambda a: _rescaled(a.cast(pa.decimal128(digits, 0)), data_type),
            lambda v: _no_room(str(v.as_py()), target),
        )
    low, high = integer_limits(target)

    def convert(array: pa.Array) -> Converted:
        try:
            return array.cast(data_type), None
        except pa.ArrowInvalid:
            values = values_of(array)
            fits = _within(values, low, high)
            valid = valid_of(array)
            failed = ~fits if valid is None else ~fits & valid
            return join(np.where(fits, values, 0), valid, data_type), failed

    return Conversion(convert, lambda v: _out_of_range(str(v.as_py()), target))


def _within(values: npt.NDArray[Any], low: int, high: int) -> Bools:
    info = np.iinfo(values.dtype)
    fits = np.ones(len(values), np.bool_)
    if low > info.min:
        fits &= values >= low
    if high < info.max:
        fits &= values <= high
    return fits


# ---- to DECIMAL --------------------------------------------------------------------------------------------------


def _no_room(text: str, target: SqlType) -> str:
    return f"Error converting {text} to {target.sql()}: Value out of range"


def _rescaled(array: pa.Array, target: pa.DataType) -> Converted:
    """Decimals truncated toward zero to `target`'s scale; those with too many digits fail."""
    source = array.type
    if source.scale == target.scale and source.precision <= target.precision and source.bit_width == 128:
        return relabel(array, target), None
    if source.scale > target.scale:
        array = array.cast(pa.decimal256(76, target.scale), safe=False)
    try:
        return array.cast(target), None
    except pa.ArrowInvalid:
        limit = Decimal(10) ** (target.precision - target.scale)
        wide = array.cast(pa.decimal256(76, array.type.scale))
        fits = pc.less(pc.abs(wide), pa.scalar(limit, pa.decimal256(40, 0)))
        failed = np.asarray(pc.fill_null(pc.invert(fits), False).to_numpy(zero_copy_only=False))
        return pc.if_else(fits, array, pa.scalar(None, array.type)).cast(target), failed


def _decimal_to_decimal(source: SqlType, target: SqlType) -> Conversion:
    data_type = arrow_type(target)

    def explain(value: pa.Scalar) -> str:
        text = decimal_text(value.as_py())
        return f"Cannot represent {text} as {target.sql()}: precision of DECIMAL type too small to represent value"

    return Conversion(lambda a: _rescaled(a, data_type), explain)


def _float_to_decimal(source: SqlType, target: SqlType) -> Conversion:
    """Through the double multiplied by a power of ten and truncated, as upstream does."""
    assert target.scale is not None
    assert target.precision is not None
    scale, precision = target.scale, target.precision
    data_type = arrow_type(target)

    def convert(array: pa.Array) -> Converted:
        with np.errstate(all="ignore"):
            scaled = np.trunc(values_of(array).astype(np.float64) * 10.0**scale)
            fits = np.abs(scaled) < 10.0**precision  # NaN and infinities do not fit
        valid = valid_of(array)
        failed = ~fits if valid is None else ~fits & valid
        safe = np.where(fits, scaled, 0.0)
        whole = join(safe, valid, pa.float64())
        if precision <= 18:
            unscaled = whole.cast(pa.int64(), safe=False).cast(pa.decimal128(19, 0))
        else:
            unscaled = whole.cast(pa.decimal128(38, 0))
        return relabel(unscaled, data_type), failed

    return Conversion(convert, lambda v: _no_room(float_text(v), target))


# ---- to integers -------------------------------------------------------------------------------------------------


def _float_to_integer(source: SqlType, target: SqlType) -> Conversion:
    low, high = integer_limits(target)
    data_type = arrow_type(target)

    def convert(array: pa.Array) -> Converted:
        with np.errstate(all="ignore"):
            values = np.trunc(values_of(array).astype(np.float64))
        fits = (values >= float(low)) & (values < float(high + 1))
        valid = valid_of(array)
        failed = ~fits if valid is None else ~fits & valid
        dtype = np.uint64 if target.is_unsigned else np.int64
        return join(np.where(fits, values, 0.0).astype(dtype), valid, pa.from_numpy_dtype(dtype)).cast(
            data_type
        ), failed

    return Conversion(convert, lambda v: f"Cannot convert {float_text(v)} to {target.sql()}")


def _decimal_to_integer(target: SqlType) -> Conversion:
    low, high = integer_limits(target)
    data_type = arrow_type(target)

    def convert(array: pa.Array) -> Converted:
        whole = array if array.type.scale == 0 else array.cast(pa.decimal128(38, 0), safe=False)
        try:
            return whole.cast(data_type), None
        except pa.ArrowInvalid:
            wide = whole.cast(pa.decimal128(38, 0))
            limits = [pa.scalar(Decimal(v), pa.decimal128(38, 0)) for v in (low, high)]
            fits = pc.and_(pc.greater_equal(wide, limits[0]), pc.less_equal(wide, limits[1]))
            failed = np.asarray(pc.fill_null(pc.invert(fits), False).to_numpy(zero_copy_only=False))
            return pc.if_else(fits, wide, pa.scalar(None, wide.type)).cast(data_type), failed

    return Conversion(convert, lambda v: _out_of_range(decimal_text(v.as_py()), target))
