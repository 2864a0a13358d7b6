"""Text of values: CAST to CHAR and VARCHAR (sql.md §6.2).

Floats are laid out as ryu does. Arrow prints the same shortest digits but lays them out differently for very large,
very small and integral values; only those are rewritten.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LIMITS = {pa.float64(): (1e-5, 1e16), pa.float32(): (1e-6, 1e13)}


def float_text(value: pa.Scalar) -> str:
    """The text of one REAL or DOUBLE."""
    number = value.as_py()
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    low, high = _LIMITS[value.type]
    numpy_value = np.float32(number) if value.type == pa.float32() else np.float64(number)
    if number == 0 or low <= abs(number) < high:
        return np.format_float_positional(numpy_value, unique=True, trim="0")
    mantissa, exponent = np.format_float_scientific(numpy_value, unique=True, trim="-").split("e")
    return f"{mantissa}e{int(exponent)}"


def floats_to_text(array: pa.Array) -> pa.Array:
    """The texts of a REAL or DOUBLE column."""
    low, high = _LIMITS[array.type]
    text = array.cast(pa.large_string())
    if len(array) == 0:
        return text
    size = pc.abs(array)
    scalar = lambda v: pa.scalar(v, array.type)  # noqa: E731  # shorthand for constants of the column's type
    plain = pc.and_(pc.less(size, scalar(high)), pc.greater_equal(size, scalar(low)))
    plain = pc.or_(plain, pc.equal(size, scalar(0.0)))
    # Arrow writes plain notation for all but large values, without ".0" on integral ones
    arrow_plain = pc.and_(plain, pc.invert(pc.match_substring(text, "e")))
    integral = pc.and_(arrow_plain, pc.invert(pc.match_substring(text, ".")))
    suffix = pc.if_else(integral, pa.scalar(".0", pa.large_string()), pa.scalar("", pa.large_string()))
    text = pc.binary_join_element_wise(text, suffix, pa.scalar("", pa.large_string()))
    odd = pc.fill_null(pc.invert(arrow_plain), False)
    if not pc.any(odd).as_py():
        return text
    rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    rewritten = pa.array([float_text(array[int(row)]) for row in rows], pa.large_string())
    return pc.replace_with_mask(text, odd, rewritten)
