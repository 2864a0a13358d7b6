"""Numeric functions: rounding, sign, and the elementary functions over DOUBLE (sql.md §7.2).

Elementary functions use Arrow's kernels, which call the C library one value at a time; numpy's vectorised
versions differ from it in the last digit, and tests look at that digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.casts.numbers import integer_limits, zero_of
from millstream.expressions.casts.text import float_text
from millstream.expressions.coercion import STRING_DECIMAL, build_cast, coerce, is_null_literal
from millstream.expressions.conditional import build_case
from millstream.expressions.decimals import decimal_text, narrow, widen
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import FLOAT, INT, Function, Options, check_count, function, simple, table
from millstream.expressions.functions.arithmetic import FUNCTIONS as ARITHMETIC
from millstream.expressions.functions.arithmetic import arithmetic_operands
from millstream.expressions.functions.datetime import resolve_rounding
from millstream.expressions.functions.intervals import interval_kernel, resolve_interval_arithmetic
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.vectors import Kernel, Value, both_valid, is_scalar, join, on_arrays, valid_of, values_of
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BOOLEAN, DOUBLE, INTEGER, array, decimal

_FAMILY = "NUMERIC"


def _number(name: str, argument: Expression, *, intervals: bool = False) -> Expression:
    """A numeric argument in its own type; strings become DECIMAL(38, 19)."""
    if is_null_literal(argument):
        return coerce(argument, DOUBLE)
    if argument.type.is_string:
        return coerce(argument, STRING_DECIMAL)
    if argument.type.is_numeric or (intervals and argument.type.is_interval):
        return argument
    raise cannot_apply(name, (argument,), [f"{name}(<{_FAMILY}>)"])


# ---- ABS, SIGN ---------------------------------------------------------------------------------------------------


def _resolve_unary(name: str, *, intervals: bool) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        argument = _number(name, arguments[0], intervals=intervals)
        return Call(argument.type, name, (argument,))

    return resolve


def _implement_abs(call: Call) -> Kernel:
    sql_type = call.type
    if sql_type.is_interval:
        return on_arrays(interval_kernel(sql_type, pc.abs_checked, "overflow in INTERVAL negation - {}"))

    def kernel(value: Value) -> Value:
        try:
            return pc.abs_checked(value)
        except pa.ArrowInvalid:
            low, _ = integer_limits(sql_type)
            raise EvaluationError(f"'ABS({low})' causes overflow for type {sql_type.sql()}") from None

    return kernel


def _implement_sign(call: Call) -> Kernel:
    data_type = arrow_type(call.type)
    if call.type.is_float:

        def sign(array: pa.Array) -> pa.Array:
            values = values_of(array)
            return join(np.where(values == 0, values, np.sign(values)), valid_of(array), data_type)

        return on_arrays(sign)
    if call.type.kind is Kind.DECIMAL:
        return lambda v: _decimal_sign(v, call.type)
    return lambda v: pc.cast(pc.sign(v), data_type)


def _decimal_sign(value: Value, sql_type: SqlType) -> Value:
    """1 does not fit a type without digits before the point."""
    target = arrow_type(sql_type)
    try:
        return pc.cast(pc.cast(pc.sign(value), pa.decimal256(19, 0)).cast(pa.decimal256(76, target.scale)), target)
    except pa.ArrowInvalid:
        raise EvaluationError(
            f"Cannot represent 1 as {sql_type.sql()}: precision of DECIMAL type too small to represent value"
        ) from None


# ---- rounding ----------------------------------------------------------------------------------------------------


def _resolve_whole(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    """FLOOR(x), CEIL(x), and with a unit in the options FLOOR(x TO unit)."""

    def resolve(arguments: Sequence[Expression], options: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        if options:
            return resolve_rounding(name, arguments[0], options[0])
        argument = _number(name, arguments[0])
        sql_type = argument.type
        if sql_type.is_integer:
            return argument
        if sql_type.kind is Kind.DECIMAL:
            assert sql_type.precision is not None
            sql_type = decimal(sql_type.precision, 0, sql_type.nullable)
        return Call(sql_type, name, (argument,))

    return resolve


def _implement_whole(arrow: Kernel) -> Callable[[Call], Kernel]:
    def implement(call: Call) -> Kernel:
        if call.type.is_float:
            return arrow
        target = arrow_type(call.type)

        def kernel(value: Value) -> Value:
            return narrow(arrow(widen(value, value.type.scale)), target.precision, 0)

        return kernel

    return implement


def _constant_digits(name: str, argument: Expression) -> Expression:
    """The digits argument for DECIMAL, which must be a constant integer."""
    negated = isinstance(argument, Call) and argument.name == "NEG"
    literal = argument.arguments[0] if isinstance(argument, Call) and negated else argument
    if not isinstance(literal, Literal) or not isinstance(literal.value, int) or isinstance(literal.value, bool):
        if is_null_literal(argument):
            return coerce(argument, INTEGER)
        raise TypeCheckError(f"{name} with 2 arguments expects a constant integer second argument", "Not supported")
    return Literal(INTEGER.with_nullable(False), -literal.value if negated else literal.value)


def _resolve_round(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2 if name == "BROUND" else 1, 2)
        if name == "BROUND" and (arguments[0].type.is_string or not arguments[0].type.is_numeric):
            raise cannot_apply(name, arguments)
        argument = _number(name, arguments[0])
        if argument.type.is_integer:
            if name != "BROUND":
                return argument
            argument = build_cast(argument, decimal(38, 0))
        digits: Expression = Literal(INTEGER.with_nullable(False), 0)
        if len(arguments) == 2:
            converted = INT.convert(arguments[1])
            if converted is None:
                raise cannot_apply(name, arguments)
            exact = argument.type.kind is Kind.DECIMAL
            digits = _constant_digits(name, arguments[1]) if exact else converted
        result = argument.type.with_nullable(argument.type.nullable or digits.type.nullable)
        return Call(result, name, (argument, digits))

    return resolve


def _implement_round(mode: str) -> Callable[[Call], Kernel]:
    def implement(call: Call) -> Kernel:
        if call.type.is_float:
            return on_arrays(lambda x, n: _round_float(x, n, mode))
        return lambda x, n: _round_decimal(x, n, mode, call.type)

    return implement


def _round_float(array: pa.Array, digits: pa.Array, mode: str) -> pa.Array:
    """Arrow fails where the value times a power of ten overflows; then there are no digits to cut off."""
    values, count = values_of(array), np.clip(values_of(digits).astype(np.int64), -400, 400)
    with np.errstate(all="ignore"):
        whole = ~(np.abs(values.astype(np.float64)) * 10.0**count < 2.0**53)  # also of infinity and NaN
    tiny = ~whole & (count < -308)
    chosen = pa.array(np.where(whole | tiny, values.dtype.type(0), values))
    places = pa.array(np.where(whole | tiny, 0, count).astype(np.int32))
    rounded = values_of(pc.round_binary(chosen, places, round_mode=mode).cast(array.type))
    found = np.where(whole, values, np.where(tiny, np.copysign(0, values), rounded))
    return join(found, both_valid(valid_of(array), valid_of(digits)), array.type)


def _round_decimal(value: Value, digits: pa.Scalar, mode: str, result: SqlType) -> Value:
    target = arrow_type(result)
    count = digits.as_py()
    if count is None:
        return pa.scalar(None, target) if is_scalar(value) else pa.nulls(len(value), target)
    if count >= target.scale:
        return value
    if count < -target.precision:
        return pc.if_else(pc.is_valid(value), zero_of(target), None)
    rounded = pc.round(widen(value, target.scale), ndigits=count, round_mode=mode)
    try:
        return narrow(rounded, target.precision, target.scale)
    except pa.ArrowInvalid:
        largest = pc.max(pc.abs(rounded) if not is_scalar(rounded) else pa.array([rounded.as_py()])).as_py()
        raise EvaluationError(
            f"Cannot represent {decimal_text(largest)} as {result.sql()}: "
            "precision of DECIMAL type too small to represent value"
        ) from None


def _round_may_fail(call: Call) -> bool:
    return call.type.kind is Kind.DECIMAL and call.name != "TRUNCATE"


# ---- division without errors -------------------------------------------------------------------------------------


def _resolve_div_null(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("DIV_NULL", len(arguments), 2, 2)
    if arguments[0].type.is_interval:
        return _resolve_interval_div_null(arguments)
    typed = arithmetic_operands("/", *arguments)
    if typed is None:
        raise cannot_apply("DIV_NULL", arguments)
    return Call(typed[2].with_nullable(True), "DIV_NULL", (typed[0], typed[1]))


def _resolve_interval_div_null(arguments: Sequence[Expression]) -> Expression:
    """CASE WHEN b = 0 THEN NULL ELSE a / b END."""
    quotient = resolve_interval_arithmetic("/", *arguments)
    if quotient is None:
        raise cannot_apply("DIV_NULL", arguments)
    divisor = arguments[1]
    zero = coerce(Literal(INTEGER.with_nullable(False), 0), divisor.type)
    is_zero = Call(BOOLEAN.with_nullable(divisor.type.nullable), "=", (divisor, zero))
    return build_case([(is_zero, Literal(quotient.type.with_nullable(True), None))], quotient, "DIV_NULL")


def _implement_div_null(call: Call) -> Kernel:
    implement = ARITHMETIC["/"].implement
    assert implement is not None
    divide = implement(Call(call.type, "/", call.arguments))
    data_type = arrow_type(call.type)

    def kernel(a: Value, b: Value) -> Value:
        if call.type.is_float:
            return _finite_or_null(divide(a, b))
        bad = pc.equal(b, zero_of(b.type))
        if call.type.is_integer and not call.type.is_unsigned:
            low, _ = integer_limits(call.type)
            overflow = pc.and_(pc.equal(a, pa.scalar(low, data_type)), pc.equal(b, pa.scalar(-1, data_type)))
            bad = pc.or_kleene(bad, overflow)
        return divide(a, pc.if_else(bad, pa.scalar(None, b.type), b))

    return on_arrays(kernel)


def _finite_or_null(value: Value) -> Value:
    return pc.if_else(pc.is_finite(value), value, pa.scalar(None, value.type))


def _float_test(name: str, test: Kernel) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        argument = arguments[0]
        if not (argument.type.is_numeric or argument.type.is_string or is_null_literal(argument)):
            raise cannot_apply(name, arguments, [f"{name}(<APPROXIMATE_NUMERIC>)"])
        typed = argument if argument.type.is_float else coerce(argument, DOUBLE)
        result = (
            typed.type.with_nullable(True) if name == "FINITE_OR_NULL" else BOOLEAN.with_nullable(typed.type.nullable)
        )
        return Call(result, name, (typed,))

    return Function(name, resolve, simple(test), doc=f"{name}(x)")


# ---- elementary functions ----------------------------------------------------------------------------------------


def _numpy(function: Any) -> Kernel:
    """A kernel over numpy arithmetic; only for functions that numpy hands to the C library unchanged."""

    def kernel(*arrays: pa.Array) -> pa.Array:
        with np.errstate(all="ignore"):
            values = function(*(values_of(a) for a in arrays))
        valid = None
        for a in arrays:
            mask = valid_of(a)
            valid = mask if valid is None else valid if mask is None else valid & mask
        return join(values, valid, pa.float64())

    return on_arrays(kernel)


def _guarded(kernel: Kernel, bad: Kernel, message: Callable[..., str]) -> Kernel:
    """`kernel`, failing with `message` where `bad` is true."""

    def checked(*values: Value) -> Value:
        failing = bad(*values)
        if pc.any(failing).as_py() if not is_scalar(failing) else failing.as_py():
            row = None if is_scalar(failing) else pc.index(failing, True).as_py()
            raise EvaluationError(message(*(float_text(v if is_scalar(v) else v[row]) for v in values)))
        return kernel(*values)

    return checked


_ONE = pa.scalar(1.0)


def _inverse(kernel: Kernel) -> Kernel:
    return lambda value: pc.divide(_ONE, kernel(value))


def _log(value: Value, base: Value | None = None) -> Value:
    return pc.ln(value) if base is None else pc.divide(pc.ln(value), pc.ln(base))


def _negative(value: Value, *_: Value) -> Value:
    return pc.less(value, 0.0)


def _cube_root(values: Any) -> Any:
    """The double nearest to the cube root; the C library may be one off, even for cubes, and by length of the array."""
    roots = np.cbrt(values)
    wide = np.asarray(roots, np.longdouble)
    refined = wide - (wide**3 - values) / (3 * wide**2)
    return np.where(np.isfinite(roots) & (roots != 0), refined.astype(np.float64), roots)


_LOG = _guarded(
    _log,
    lambda x, b=None: _negative(x) if b is None else pc.or_(_negative(x), _negative(b)),
    lambda x, b=None: f"Unable to calculate ln for {x}" if b is None else f"Unable to calculate log({x}, {b})",
)
_ELEMENTARY: dict[str, Kernel] = {
    "SQRT": pc.sqrt, "CBRT": _numpy(_cube_root), "EXP": pc.exp, "SIN": pc.sin, "COS": pc.cos, "TAN": pc.tan,
    "SINH": pc.sinh, "COSH": pc.cosh, "TANH": pc.tanh, "ASIN": pc.asin, "ACOS": pc.acos, "ATAN": pc.atan,
    "ASINH": pc.asinh, "SEC": _inverse(pc.cos), "CSC": _inverse(pc.sin), "COT": _inverse(pc.tan),
    "SECH": _inverse(pc.cosh), "CSCH": _inverse(pc.sinh), "COTH": _inverse(pc.tanh),
    "DEGREES": lambda v: pc.multiply(v, 180.0 / math.pi),
    "RADIANS": lambda v: pc.multiply(v, math.pi / 180.0),
}  # fmt: skip
_PARTIAL: dict[str, Kernel] = {
    "LN": _guarded(pc.ln, _negative, lambda x: f"Unable to calculate ln for {x}"),
    "LOG10": _guarded(pc.log10, _negative, lambda x: f"Unable to calculate log10 for {x}"),
    "ACOSH": _guarded(pc.acosh, lambda x: pc.less(x, 1.0), lambda x: f"input ({x}) out of range [1, Infinity]"),
    "ATANH": _guarded(
        pc.atanh, lambda x: pc.greater(pc.abs(x), 1.0), lambda x: f"input ({x}) out of range [-1, 1]"
    ),
}  # fmt: skip


def _elementary(name: str, kernel: Kernel, *, parameters: int = 1, optional: int = 0, fails: bool = False) -> Function:
    return function(
        name,
        [FLOAT] * parameters,
        DOUBLE,
        simple(kernel),
        optional=optional,
        fallible=lambda _: fails,
        doc=f"{name}(x)",
    )


def _sequence(low: pa.Array, high: pa.Array) -> pa.Array:
    """The integers from low to high, both included."""
    present = pc.and_(low.is_valid(), high.is_valid())
    first, last = pc.fill_null(low, 0), pc.fill_null(high, -1)
    lengths = np.maximum(values_of(last).astype(np.int64) - values_of(first) + 1, 0)
    lengths[~np.asarray(present.to_numpy(zero_copy_only=False))] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(values_of(first), lengths)
    bits = None if pc.all(present).as_py() else present.buffers()[1]
    children = [pa.array(items.astype(np.int32))]
    data_type = pa.large_list(pa.field("item", pa.int32()))
    return pa.Array.from_buffers(data_type, len(low), [bits, pa.py_buffer(offsets.astype(np.int64))], children=children)


def _resolve_identity(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("BLACKBOX", len(arguments), 1, 1)
    return Call(arguments[0].type, "BLACKBOX", tuple(arguments))


def _pi(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("PI", len(arguments), 0, 0)
    return Literal(DOUBLE.with_nullable(False), math.pi)


FUNCTIONS = table(
    Function(
        "ABS",
        _resolve_unary("ABS", intervals=True),
        _implement_abs,
        fallible=lambda c: c.type.is_integer or c.type.is_interval,
        doc="Absolute value.",
    ),
    Function(
        "SIGN",
        _resolve_unary("SIGN", intervals=False),
        _implement_sign,
        fallible=lambda c: c.type.kind is Kind.DECIMAL and c.type.precision == c.type.scale,
        doc="-1, 0 or 1.",
    ),
    Function("FLOOR", _resolve_whole("FLOOR"), _implement_whole(pc.floor), doc="Down; option: a unit."),
    Function("CEIL", _resolve_whole("CEIL"), _implement_whole(pc.ceil), doc="Up; option: a unit."),
    Function(
        "ROUND",
        _resolve_round("ROUND"),
        _implement_round("half_towards_infinity"),
        fallible=_round_may_fail,
        doc="Half away from zero.",
    ),
    Function("TRUNCATE", _resolve_round("TRUNCATE"), _implement_round("towards_zero"), doc="Toward zero."),
    Function(
        "BROUND", _resolve_round("BROUND"), _implement_round("half_to_even"), fallible=_round_may_fail, doc="Half even."
    ),
    Function("DIV_NULL", _resolve_div_null, _implement_div_null, fallible=lambda _: True, doc="a / b or NULL."),
    _float_test("FINITE_OR_NULL", _finite_or_null),
    _float_test("IS_INF", pc.is_inf),
    _float_test("IS_NAN", pc.is_nan),
    *(_elementary(name, kernel) for name, kernel in _ELEMENTARY.items()),
    *(_elementary(name, kernel, fails=True) for name, kernel in _PARTIAL.items()),
    _elementary("LOG", _LOG, parameters=2, optional=1, fails=True),
    _elementary("POWER", pc.power, parameters=2),
    _elementary("ATAN2", pc.atan2, parameters=2),
    Function("PI", _pi, doc="The constant, written without parentheses."),
    function("SEQUENCE", [INT, INT], array(INTEGER), simple(on_arrays(_sequence)), doc="Integers from a to b."),
    Function("BLACKBOX", _resolve_identity, simple(lambda v: v), foldable=False, doc="x, hidden from folding."),
    CEILING="CEIL",
    TRUNC="TRUNCATE",
)
