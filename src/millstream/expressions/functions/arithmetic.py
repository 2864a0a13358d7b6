"""`+ - * / %`, unary minus and MOD over numbers (sql.md §5.1 - 5.3, 5.5); date/time operands go to
intervals.py.

Integers are checked: Arrow's checked kernels do the work, and only after a failure are the operands searched
for the pair that the message names. Floats follow IEEE 754 and never fail. Decimal kernels are in
decimals.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.casts.numbers import integer_limits
from millstream.expressions.coercion import (
    STRING_DECIMAL,
    coerce,
    common_integer,
    decimal_of,
    is_null_literal,
)
from millstream.expressions.decimals import decimal_kernel, decimal_result, may_overflow
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import Function, Options, any_nullable, check_count, table
from millstream.expressions.functions.intervals import (
    implement_interval_arithmetic,
    interval_kernel,
    resolve_interval_arithmetic,
)
from millstream.expressions.nodes import Call, Cast, Expression
from millstream.expressions.vectors import (
    Kernel,
    Value,
    both_valid,
    broadcast,
    join,
    on_arrays,
    valid_of,
    values_of,
)
from millstream.types import Kind, SqlType
from millstream.types.sql_type import DOUBLE, INTEGERS, VARCHAR

_CHECKED: dict[str, Kernel] = {
    "+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked, "/": pc.divide_checked
}  # fmt: skip
_FLOAT: dict[str, Kernel] = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}
_EXACT: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
}  # fmt: skip


def arithmetic_operands(
    operator: str, left: Expression, right: Expression
) -> tuple[Expression, Expression, SqlType] | None:
    """Both operands as the kernel wants them, and the result type; None when they are no numbers."""
    if is_null_literal(left) and is_null_literal(right):
        left, right = coerce(left, DOUBLE), coerce(right, DOUBLE)
    left_type, right_type = _numeric_side(left.type, right.type), _numeric_side(right.type, left.type)
    if left_type is None or right_type is None:
        return None
    left, right = coerce(left, left_type), coerce(right, right_type)
    a, b = left.type, right.type
    nullable = a.nullable or b.nullable
    if a.is_float or b.is_float:
        both_real = {a.kind, b.kind} <= {Kind.REAL} or (
            Kind.REAL in (a.kind, b.kind) and (a.is_integer or b.is_integer)
        )
        common = SqlType(Kind.REAL if both_real else Kind.DOUBLE)
        return coerce(left, common), coerce(right, common), common.with_nullable(nullable)
    if a.is_integer and b.is_integer:
        common = common_integer(a, b)
        return coerce(left, common), coerce(right, common), common.with_nullable(nullable)
    left, right = coerce(left, decimal_of(a)), coerce(right, decimal_of(b))
    return left, right, decimal_result(operator, left.type, right.type).with_nullable(nullable)


def _numeric_side(mine: SqlType, other: SqlType) -> SqlType | None:
    """What an operand becomes next to `other`: strings follow the number on the other side."""
    if mine.is_numeric:
        return mine
    if mine.kind is Kind.NULL:
        return other if other.is_numeric else STRING_DECIMAL if other.is_string else None
    if not mine.is_string:
        return None
    if other.is_integer:
        return other
    if other.is_float:
        return DOUBLE
    return STRING_DECIMAL if other.kind in (Kind.DECIMAL, Kind.NULL) or other.is_string else None


def _resolve(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        if name in ("+", "-") and len(arguments) == 1:
            return _resolve_negate(arguments, ()) if name == "-" else arguments[0]
        check_count(name, len(arguments), 2, 2)
        left, right = arguments
        typed = arithmetic_operands(name, left, right)
        if typed is None:
            found = resolve_interval_arithmetic(name, left, right)
            if found is None:
                raise cannot_apply(name, arguments)
            return found
        return Call(typed[2], name, (typed[0], typed[1]))

    return resolve


def _implement(call: Call) -> Kernel:
    kind = call.arguments[0].type.kind
    if call.arguments[0].type.is_float:
        return on_arrays(_float_modulo) if call.name == "%" else _FLOAT[call.name]
    if kind is Kind.DECIMAL and call.type.kind is Kind.DECIMAL:
        return decimal_kernel(call.name, call.arguments[0].type, call.arguments[1].type, call.type)
    if kind in INTEGERS and call.type.is_integer:
        return on_arrays(_integer_modulo) if call.name == "%" else _checked(call.name, call.type)
    return implement_interval_arithmetic(call)


def _fallible(call: Call) -> bool:
    a, b = call.arguments[0].type, call.arguments[1].type
    if a.is_float and b.is_float:
        return False
    if a.kind is b.kind is Kind.DECIMAL and call.type.kind is Kind.DECIMAL:
        return may_overflow(call.name, a, b)
    return True


def _checked(operator: str, sql_type: SqlType) -> Kernel:
    arrow = _CHECKED[operator]

    def kernel(a: Value, b: Value) -> Value:
        try:
            return arrow(a, b)
        except pa.ArrowInvalid:
            raise EvaluationError(_overflow_message(operator, a, b, sql_type)) from None

    return kernel


def _overflow_message(operator: str, a: Value, b: Value, sql_type: SqlType) -> str:
    """Names the first pair of operands that fails; only called after a failure."""
    low, high = integer_limits(sql_type)
    length = next((len(v) for v in (a, b) if not isinstance(v, pa.Scalar)), 1)
    for x, y in zip(broadcast(a, length).to_pylist(), broadcast(b, length).to_pylist(), strict=True):
        if x is None or y is None:
            continue
        if (operator == "/" and y == 0) or not low <= _EXACT[operator](x, y) <= high:
            return f"'{x} {operator} {y}' causes overflow for type {sql_type.sql()}"
    raise AssertionError("no operands overflow")


def _integer_modulo(a: pa.Array, b: pa.Array) -> pa.Array:
    dividend, divisor = values_of(a), values_of(b)
    valid = both_valid(valid_of(a), valid_of(b))
    zero = divisor == 0
    if zero.any():
        if (zero if valid is None else zero & valid).any():
            raise EvaluationError("attempt to calculate the remainder with a divisor of zero")
        divisor = np.where(zero, divisor.dtype.type(1), divisor)
    if divisor.dtype.kind == "i":  # MIN % -1 is 0, but the hardware traps on it
        divisor = np.where(divisor == -1, divisor.dtype.type(1), divisor)
    return join(np.fmod(dividend, divisor), valid, a.type)


def _float_modulo(a: pa.Array, b: pa.Array) -> pa.Array:
    with np.errstate(all="ignore"):
        result = np.fmod(values_of(a), values_of(b))
    return join(result, both_valid(valid_of(a), valid_of(b)), a.type)


# ---- unary minus -------------------------------------------------------------------------------------------------


def _resolve_negate(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("-", len(arguments), 1, 1)
    argument = arguments[0]
    if is_null_literal(argument):
        return coerce(argument, DOUBLE)
    if argument.type.is_unsigned:
        raise TypeCheckError(
            cannot_apply("NEG", arguments).message + ". Unary minus cannot be applied to unsigned values"
        )
    if argument.type.is_string:
        number = coerce(argument, STRING_DECIMAL)
        negated = Call(number.type, "NEG", (number,))
        return Cast(VARCHAR.with_nullable(argument.type.nullable), negated)
    if argument.type.is_numeric or argument.type.is_interval:
        return Call(argument.type, "NEG", (argument,))
    raise cannot_apply("NEG", arguments)


def _implement_negate(call: Call) -> Kernel:
    sql_type = call.type
    if sql_type.is_float or sql_type.kind is Kind.DECIMAL:
        return pc.negate

    if sql_type.is_interval:
        return on_arrays(interval_kernel(sql_type, pc.negate_checked, "overflow in INTERVAL negation - {}"))

    def kernel(value: Value) -> Value:
        try:
            return pc.negate_checked(value)
        except pa.ArrowInvalid:
            low, _ = integer_limits(sql_type)
            raise EvaluationError(f"'- {low}' causes overflow for type {sql_type.sql()}") from None

    return kernel


def _resolve_modulo(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("MOD", len(arguments), 2, 2)
    typed = arithmetic_operands("%", *arguments)
    if typed is None:
        raise cannot_apply("MOD", arguments)
    return Call(typed[2].with_nullable(any_nullable(arguments)), "%", (typed[0], typed[1]))


FUNCTIONS = table(
    *(
        Function(name, _resolve(name), _implement, fallible=_fallible, doc=f"a {name} b")
        for name in ("+", "-", "*", "/", "%")
    ),
    Function(
        "NEG",
        _resolve_negate,
        _implement_negate,
        fallible=lambda call: call.type.is_integer or call.type.is_interval,
        doc="-a",
    ),
    Function("UNARY PLUS", _resolve("+"), doc="+a"),
    Function("MOD", _resolve_modulo, doc="MOD(a, b): a % b"),
)
