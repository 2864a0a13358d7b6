"""Predicates over periods `(start, end)` or `(start, interval)` (sql.md §7.7), rewritten to comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from millstream.expressions.coercion import comparison_type
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import Function, Options, check_count, table
from millstream.expressions.functions.comparison import FUNCTIONS as COMPARISON
from millstream.expressions.functions.conditional import FUNCTIONS as CONDITIONAL
from millstream.expressions.functions.intervals import resolve_interval_arithmetic
from millstream.expressions.functions.logic import FUNCTIONS as LOGIC
from millstream.expressions.nodes import Call, Expression
from millstream.types import Kind

_MOMENTS = frozenset((Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
Period = tuple[Expression, Expression]


def _compare(operator: str, a: Expression, b: Expression) -> Expression:
    return COMPARISON[operator].resolve([a, b], ())


def _both(a: Expression, b: Expression) -> Expression:
    return LOGIC["AND"].resolve([a, b], ())


def _period(argument: Expression) -> Period | None:
    """The ordered ends of a period; None if the expression is none."""
    if not isinstance(argument, Call) or argument.name != "ROW" or len(argument.arguments) != 2:
        return None
    start, end = argument.arguments
    if start.type.kind not in _MOMENTS:
        return None
    if end.type.is_interval:
        added = resolve_interval_arithmetic("+", start, end)
        assert added is not None
        end = added
    if end.type.kind is not start.type.kind:
        return None
    return CONDITIONAL["LEAST"].resolve([start, end], ()), CONDITIONAL["GREATEST"].resolve([start, end], ())


_TESTS: dict[str, Callable[[Period, Period], Expression]] = {
    "CONTAINS": lambda a, b: _both(_compare("<=", a[0], b[0]), _compare(">=", a[1], b[1])),
    "OVERLAPS": lambda a, b: _both(_compare("<=", a[0], b[1]), _compare(">=", a[1], b[0])),
    "EQUALS": lambda a, b: _both(_compare("=", a[0], b[0]), _compare("=", a[1], b[1])),
    "PRECEDES": lambda a, b: _compare("<=", a[1], b[0]),
    "SUCCEEDS": lambda a, b: _compare(">=", a[0], b[1]),
    "IMMEDIATELY PRECEDES": lambda a, b: _compare("=", a[1], b[0]),
    "IMMEDIATELY SUCCEEDS": lambda a, b: _compare("=", a[0], b[1]),
}


def _resolve(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        first, second = _period(arguments[0]), _period(arguments[1])
        if name == "CONTAINS" and arguments[1].type.kind in _MOMENTS:
            second = (arguments[1], arguments[1])
        if first is None or second is None or first[0].type.kind is not second[0].type.kind:
            raise cannot_apply(name, arguments)
        try:
            comparison_type(first[0].type, second[0].type)
        except TypeCheckError as error:
            raise cannot_apply(name, arguments) from error
        return _TESTS[name](first, second)

    return resolve


FUNCTIONS = table(*(Function(name, _resolve(name), doc=f"(s, e) {name} (s, e)") for name in _TESTS))
