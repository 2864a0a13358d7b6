"""Monotone expressions: lower bounds of values from lower bounds of what they are computed of (sql.md §12.3).

If f does not fall and every x to come is at least W, every f(x) to come is at least f(W). So the bound of an expression
is the expression itself with bounds in the place of columns. `bound_of` builds it, or finds that there is none.

NULL has no place in this order: a bound speaks of values that are not NULL, and all functions here are strict. Types
whose values go round (TIME plus an interval) are no monotone operands, nor is what takes its bound away (`x - y`,
`x * -1`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from millstream.expressions.evaluate import EvaluationError, evaluate_constant, is_deterministic
from millstream.expressions.nodes import Call, Cast, ColumnRef, Expression, Literal, children
from millstream.types import Kind, SqlType

Bounds = Mapping[Expression, Expression]
"""Lower bounds of expressions over one relation, as expressions over the sources of waterlines."""

_TIMES = frozenset((Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
_MONOTONE = frozenset(("LOG10", "LN", "CEIL", "FLOOR", "SIGN", "TUMBLE_START", "FLOOR TO", "TRUNC TO"))
_WITH_CONSTANT = frozenset(("ROUND", "TRUNCATE"))
_UNITS = frozenset(("YEAR", "MILLENNIUM", "CENTURY", "DECADE", "EPOCH"))
_MAX_DIGITS = 18


def is_ordered(sql_type: SqlType) -> bool:
    """Whether waterlines are kept for values of this type: numbers of at most 64 bits, times, BOOLEAN."""
    if sql_type.kind is Kind.DECIMAL:
        return (sql_type.precision or 0) <= _MAX_DIGITS
    return sql_type.is_numeric or sql_type.kind in _TIMES or sql_type.kind in (Kind.TIME, Kind.BOOLEAN)


def bound_of(expression: Expression, bounds: Bounds) -> Expression | None:
    """The lower bound of `expression`, given those of its parts; None if there is none, or only that of a constant."""
    bound = _bound(expression, bounds)
    return None if bound is None or is_constant(bound) or not is_ordered(expression.type) else bound


def is_constant(expression: Expression) -> bool:
    """Whether an expression has the same value for all rows and at all times."""
    return not _reads_columns(expression) and is_deterministic(expression)


def _reads_columns(expression: Expression) -> bool:
    return isinstance(expression, ColumnRef) or any(_reads_columns(child) for child in children(expression))


def _bound(expression: Expression, bounds: Bounds) -> Expression | None:
    found = bounds.get(expression)
    if found is not None:
        return found
    if is_constant(expression):
        return expression
    if isinstance(expression, Cast):
        argument = _bound(expression.argument, bounds)
        if argument is None or not _casts_in_order(expression.argument.type, expression.type):
            return None
        return Cast(expression.type, argument, expression.safe)
    if isinstance(expression, Call):
        rule = _RULES.get(expression.name)
        return None if rule is None else rule(expression, bounds)
    return None


def _casts_in_order(source: SqlType, target: SqlType) -> bool:
    """Whether a cast keeps the order of values. Negative numbers are TRUE, 0 is not; times of the day begin anew."""
    if source.kind is Kind.BOOLEAN or source.is_numeric:
        return target.is_numeric or source.kind is target.kind or (source.is_numeric and target.kind in _TIMES)
    if source.kind in _TIMES:
        return target.kind in _TIMES or target.is_numeric
    return source.kind is Kind.TIME and target.kind is Kind.TIME


def _with(call: Call, *arguments: Expression) -> Call:
    return Call(call.type, call.name, arguments, call.options)


def _first(call: Call, bounds: Bounds) -> Expression | None:
    """Functions that do not fall in their first argument; others are constants."""
    bound = _bound(call.arguments[0], bounds)
    if bound is None or not all(is_constant(argument) for argument in call.arguments[1:]):
        return None
    return _with(call, bound, *call.arguments[1:])


def _sum(call: Call, bounds: Bounds) -> Expression | None:
    if not _adds_in_order(call):
        return None
    parts = [_bound(argument, bounds) for argument in call.arguments]
    return None if None in parts else _with(call, *(part for part in parts if part is not None))


def _difference(call: Call, bounds: Bounds) -> Expression | None:
    return _first(call, bounds) if len(call.arguments) == 2 and _adds_in_order(call) else None


def _adds_in_order(call: Call) -> bool:
    """Whether the sum is a number or a point in time: a time of the day is not."""
    return call.type.is_numeric or call.type.kind in _TIMES


def _product(call: Call, bounds: Bounds) -> Expression | None:
    left, right = call.arguments
    if call.type.is_numeric and _is_positive(right):
        return _first(call, bounds)
    bound = _bound(right, bounds) if call.type.is_numeric and _is_positive(left) else None
    return None if bound is None else _with(call, left, bound)


def _quotient(call: Call, bounds: Bounds) -> Expression | None:
    return _first(call, bounds) if call.type.is_numeric and _is_positive(call.arguments[1]) else None


def _is_positive(expression: Expression) -> bool:
    if not is_constant(expression) or not expression.type.is_numeric:
        return False
    try:
        value = evaluate_constant(expression).as_py()
    except EvaluationError:
        return False
    return value is not None and value > 0


def _root(call: Call, bounds: Bounds) -> Expression | None:
    """The root of a negative number is NaN, the greatest value, which is no bound of the roots of greater numbers."""
    bound = _bound(call.arguments[0], bounds)
    if bound is None or not bound.type.is_float:
        return None
    return _with(call, extreme("GREATEST", [bound, Literal(bound.type.with_nullable(False), 0.0)]))


def _extract(call: Call, bounds: Bounds) -> Expression | None:
    kind, unit = call.arguments[0].type.kind, call.options[0]
    in_order = (kind in _TIMES and unit in _UNITS) or (kind is Kind.TIME and unit == "HOUR")
    return _first(call, bounds) if in_order else None


def _time_between(call: Call, bounds: Bounds) -> Expression | None:
    """TIMESTAMPDIFF(unit, constant, x): how far x is after the constant."""
    start, end = call.arguments
    bound = _bound(end, bounds) if is_constant(start) else None
    return None if bound is None else _with(call, start, bound)


def _greatest(call: Call, bounds: Bounds) -> Expression | None:
    """At least each of its arguments that has a bound: constants count only next to one that moves."""
    parts = [part for part in (_bound(argument, bounds) for argument in call.arguments) if part is not None]
    return extreme("GREATEST", parts) if parts else None


def _least(call: Call, bounds: Bounds) -> Expression | None:
    parts = [_bound(argument, bounds) for argument in call.arguments]
    return None if None in parts else extreme("LEAST", [part for part in parts if part is not None])


def extreme(name: str, parts: list[Expression]) -> Expression:
    """The LEAST or GREATEST of bounds of one type."""
    distinct = tuple(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else Call(parts[0].type, name, distinct)


_RULES: dict[str, Callable[[Call, Bounds], Expression | None]] = {
    **dict.fromkeys(_MONOTONE | _WITH_CONSTANT, _first),
    "CEIL TO": lambda call, bounds: None if call.type.kind is Kind.TIME else _first(call, bounds),
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "SQRT": _root,
    "EXTRACT": _extract,
    "TIMESTAMPDIFF": _time_between,
    "GREATEST": _greatest,
    "LEAST": _least,
}
