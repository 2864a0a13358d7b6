"""Exact DECIMAL arithmetic: truncated toward zero to the result scale, checked against 38 digits (sql.md
§5.2).

Arrow adds and multiplies decimals exactly but refuses result types beyond 38 digits, and its division chooses
other scales. So kernels here use Arrow's 128-bit kernels where the exact result fits, the 256-bit ones where
it may not, and bring 256-bit results back with an explicit check. Arrow computes from the unscaled integers
and uses precision only to derive result types; `relabel` exploits that to keep those within Arrow's limits.
Operands of at most 18 digits divide as 64-bit integers in numpy. `ROW_BY_ROW` operations (quotients of more
than 72 digits) use Python integers.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.vectors import (
    Kernel,
    Value,
    both_valid,
    is_scalar,
    on_arrays,
    relabel,
    valid_of,
    validity_buffer,
)
from millstream.types import SqlType
from millstream.types.sql_type import MAX_DECIMAL_PRECISION, decimal

ROW_BY_ROW = ("DECIMAL / and % whose dividend, brought to the scale of the result, has more than 72 digits",)
_NAMES = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division", "%": "modulo"}
_INT64_DIGITS = 18
_WIDE_DIGITS = 72  # dividends get four more digits inside Arrow's division, and 76 is its limit


def _digits(sql_type: SqlType) -> tuple[int, int]:
    assert sql_type.precision is not None
    assert sql_type.scale is not None
    return sql_type.precision, sql_type.scale


def decimal_result(operator: str, a: SqlType, b: SqlType) -> SqlType:
    """The type of `a operator b` for two DECIMALs."""
    (p1, s1), (p2, s2) = _digits(a), _digits(b)
    limit = MAX_DECIMAL_PRECISION
    if operator in ("+", "-"):
        scale = max(s1, s2)
        return decimal(min(limit, max(p1 - s1, p2 - s2) + scale + 1), scale)
    if operator == "*":
        return decimal(min(limit, p1 + p2), min(limit, s1 + s2))
    if operator == "/":
        whole = min(p1 - s1 + s2, limit)
        scale = min(max(6, s1 + p2 + 1), limit - whole)
        return decimal(whole + scale, scale)
    scale = max(s1, s2)
    return decimal(max(1, min(limit, min(p1 - s1, p2 - s2) + scale)), scale)


def may_overflow(operator: str, a: SqlType, b: SqlType) -> bool:
    """Whether some values make `a operator b` fail: the exact result may be too long, or the divisor zero."""
    (p1, s1), (p2, s2) = _digits(a), _digits(b)
    if operator in ("+", "-"):
        return max(p1 - s1, p2 - s2) + max(s1, s2) + 1 > MAX_DECIMAL_PRECISION
    return operator != "*" or p1 + p2 > MAX_DECIMAL_PRECISION


def decimal_text(value: Decimal) -> str:
    """Plain notation without trailing fractional zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimal_kernel(operator: str, a: SqlType, b: SqlType, result: SqlType) -> Kernel:
    """The kernel of `a operator b`, giving values of `result`."""
    compute = {"+": _sum(pc.add), "-": _sum(pc.subtract), "*": _product, "/": _quotient, "%": _remainder}[operator]
    kernel = compute(a, b, result)

    def checked(x: Value, y: Value) -> Value:
        try:
            return kernel(x, y)
        except pa.ArrowInvalid:
            raise EvaluationError(_failure(operator, x, y, result)) from None

    return checked


def _failure(operator: str, x: Value, y: Value, result: SqlType) -> str:
    """Finds the operands that failed; only called after a failure."""
    length = next((len(v) for v in (x, y) if not is_scalar(v)), 1)
    pairs = zip(*([v.as_py()] * length if is_scalar(v) else v.to_pylist() for v in (x, y)), strict=True)
    present = [(a, b) for a, b in pairs if a is not None and b is not None]
    if operator in "/%":
        for a, b in present:
            if b == 0:
                verb = "divide" if operator == "/" else "modulo"
                return f"Attempt to {verb} by zero: {decimal_text(a)}{operator}{decimal_text(b)}"
    limit = Decimal(10) ** (_digits(result)[0] - _digits(result)[1])
    for a, b in present:
        if abs(_APPROXIMATE[operator](a, b)) >= limit:
            operands = f"{decimal_text(a)}{operator}{decimal_text(b)}"
            return f"Overflow in {_NAMES[operator]} {operands} cannot be represented as {result.sql()}"
    return f"Overflow in {_NAMES[operator]} cannot be represented as {result.sql()}"


_APPROXIMATE: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
}


# ---- wide values -------------------------------------------------------------------------------------------------


def widen(value: Value, scale: int) -> Value:
    """`value` as decimal256 of `scale` (at least its own)."""
    return pc.cast(value, pa.decimal256(76, scale))


def narrow(value: Value, precision: int, scale: int) -> Value:
    """A decimal256 truncated toward zero to `scale`; raises ArrowInvalid if it needs more than `precision`
    digits."""
    if value.type.scale > scale:
        value = pc.cast(value, pa.decimal256(76, scale), safe=False)
    return pc.cast(value, pa.decimal128(precision, scale))


def _sum(kernel: Kernel) -> Callable[[SqlType, SqlType, SqlType], Kernel]:
    def build(a: SqlType, b: SqlType, result: SqlType) -> Kernel:
        precision, scale = _digits(result)
        if not may_overflow("+", a, b):
            return kernel

        def wide(x: Value, y: Value) -> Value:
            label = pa.decimal256(75, scale)
            exact = kernel(relabel(widen(x, scale), label), relabel(widen(y, scale), label))
            return narrow(exact, precision, scale)

        return wide

    return build


def _product(a: SqlType, b: SqlType, result: SqlType) -> Kernel:
    precision, scale = _digits(result)
    if not may_overflow("*", a, b):
        # The product of the unscaled values fits; smaller precisions keep Arrow from refusing the result type.
        left, right = pa.decimal128(18, _digits(a)[1]), pa.decimal128(18, _digits(b)[1])
        target = pa.decimal128(precision, scale)
        return lambda x, y: relabel(pc.multiply(relabel(x, left), relabel(y, right)), target)

    def wide(x: Value, y: Value) -> Value:
        s1, s2 = x.type.scale, y.type.scale
        x = relabel(pc.cast(x, pa.decimal256(38, s1)), pa.decimal256(37, s1))
        y = relabel(pc.cast(y, pa.decimal256(38, s2)), pa.decimal256(37, s2))
        return narrow(relabel(pc.multiply(x, y), pa.decimal256(76, s1 + s2)), precision, scale)

    return wide


def _quotient(a: SqlType, b: SqlType, result: SqlType) -> Kernel:
    precision, scale = _digits(result)
    (p1, s1), (p2, s2) = _digits(a), _digits(b)
    raised = scale + s2 - s1  # powers of ten by which the unscaled dividend grows
    target = pa.decimal128(precision, scale)
    if p1 + raised <= _INT64_DIGITS and p2 <= _INT64_DIGITS:
        return on_arrays(lambda x, y: _divide_int64(x, y, 10**raised, target))
    if p1 + raised > _WIDE_DIGITS:
        return on_arrays(lambda x, y: _divide_rows(x, y, 10**raised, target))

    def wide(x: Value, y: Value) -> Value:
        dividend = relabel(widen(x, scale + s2), pa.decimal256(_WIDE_DIGITS - 4, 0))
        whole = _whole_quotient(dividend, relabel(widen(y, s2), pa.decimal256(1, 0)))
        return narrow(relabel(whole, pa.decimal256(76, scale)), precision, scale)

    return wide


def _whole_quotient(dividend: Value, divisor: Value) -> Value:
    """The quotient of two scale-0 decimal256 truncated to an integer."""
    return pc.cast(pc.divide(dividend, divisor), pa.decimal256(76, 0), safe=False)


def _remainder(a: SqlType, b: SqlType, result: SqlType) -> Kernel:
    precision, scale = _digits(result)
    (p1, s1), (p2, s2) = _digits(a), _digits(b)
    target = pa.decimal128(precision, scale)
    if p1 - s1 + scale <= _INT64_DIGITS and p2 - s2 + scale <= _INT64_DIGITS:
        return on_arrays(lambda x, y: _remainder_int64(x, y, 10 ** (scale - s1), 10 ** (scale - s2), target))
    if p1 - s1 + scale > _WIDE_DIGITS:
        return on_arrays(lambda x, y: _remainder_rows(x, y, 10 ** (scale - s1), 10 ** (scale - s2), target))

    def wide(x: Value, y: Value) -> Value:
        dividend = relabel(widen(x, scale), pa.decimal256(_WIDE_DIGITS - 4, 0))
        divisor = relabel(widen(y, scale), pa.decimal256(1, 0))
        whole = relabel(_whole_quotient(dividend, divisor), pa.decimal256(30, 0))
        product = relabel(pc.multiply(whole, divisor), pa.decimal256(70, 0))
        rest = pc.subtract(relabel(dividend, pa.decimal256(70, 0)), product)
        return narrow(relabel(rest, pa.decimal256(76, scale)), precision, scale)

    return wide


# ---- 64-bit values ----------------------------------------------------------------------------------------------


def int64_of(array: pa.Array) -> npt.NDArray[np.int64]:
    """The unscaled values of a decimal128 column whose values have at most 18 digits; arbitrary where
    NULL."""
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(len(array), np.int64)
    words = np.frombuffer(data, np.int64, count=2 * (array.offset + len(array)))
    return words[2 * array.offset :: 2]


def decimal_of_int64(values: npt.NDArray[np.int64], valid: Any, data_type: pa.DataType) -> pa.Array:
    """A decimal128 column of unscaled int64 values."""
    words = np.empty(2 * len(values), np.int64)
    words[0::2] = values
    words[1::2] = values >> 63
    bits = None if valid is None else validity_buffer(valid)
    return pa.Array.from_buffers(data_type, len(values), [bits, pa.py_buffer(words)])


def _nonzero(divisor: npt.NDArray[np.int64], valid: Any) -> npt.NDArray[np.int64]:
    """The divisors with zeros under NULLs replaced; raises ArrowInvalid on any other zero."""
    zero = divisor == 0
    if not zero.any():
        return divisor
    if (zero if valid is None else zero & valid).any():
        raise pa.ArrowInvalid("divide by zero")
    return np.where(zero, 1, divisor)


def _divide_int64(x: pa.Array, y: pa.Array, factor: int, target: pa.DataType) -> pa.Array:
    valid = both_valid(valid_of(x), valid_of(y))
    dividend, divisor = int64_of(x) * factor, _nonzero(int64_of(y), valid)
    quotient = dividend // divisor
    quotient += (quotient < 0) & (quotient * divisor != dividend)  # floor to truncation
    return decimal_of_int64(quotient, valid, target)


def _remainder_int64(x: pa.Array, y: pa.Array, up_x: int, up_y: int, target: pa.DataType) -> pa.Array:
    valid = both_valid(valid_of(x), valid_of(y))
    divisor = _nonzero(int64_of(y) * up_y, valid)
    return decimal_of_int64(np.fmod(int64_of(x) * up_x, divisor), valid, target)


# ---- row by row -------------------------------------------------------------------------------------------------


def _unscaled(value: Decimal, scale: int) -> int:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    magnitude = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -magnitude if sign else magnitude


def _by_rows(x: pa.Array, y: pa.Array, compute: Callable[[int, int], int], target: pa.DataType) -> pa.Array:
    limit = 10**target.precision
    out: list[Decimal | None] = []
    for a, b in zip(x.to_pylist(), y.to_pylist(), strict=True):
        if a is None or b is None:
            out.append(None)
            continue
        value = 0 if b == 0 else compute(_unscaled(a, x.type.scale), _unscaled(b, y.type.scale))
        if b == 0 or abs(value) >= limit:
            raise pa.ArrowInvalid("overflow")
        digits = tuple(map(int, str(abs(value))))
        out.append(Decimal((int(value < 0), digits, -target.scale)))
    return pa.array(out, target)


def _truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _divide_rows(x: pa.Array, y: pa.Array, factor: int, target: pa.DataType) -> pa.Array:
    return _by_rows(x, y, lambda a, b: _truncated(a * factor, b), target)


def _remainder_rows(x: pa.Array, y: pa.Array, up_x: int, up_y: int, target: pa.DataType) -> pa.Array:
    return _by_rows(x, y, lambda a, b: a * up_x - b * up_y * _truncated(a * up_x, b * up_y), target)
