"""Temporal filters: comparisons with the time, which turn once for each row (sql.md §12.4).

`e <cmp> f(NOW())` with f monotone has, for each row, one moment at which its value changes: when f passes e. So the
rows that are concerned when the clock moves are found by the order of e, and nobody looks at the others. `split_guards`
takes such comparisons out of expressions: each becomes a BOOLEAN column, a *guard*, that operators/temporal.py provides
next to the columns of the row.

A guard is computed for every row, so one that may fail is only taken from where it would be evaluated for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, columns_used
from millstream.expressions.registry import build_call
from millstream.plan.conditions import may_fail, split_conjunction
from millstream.plan.monotone import Bounds, bound_of, extreme, is_ordered
from millstream.plan.walk import calls_function
from millstream.types.sql_type import BOOLEAN

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_PARTS = {"=": ("AND", (">=", "<=")), "<>": ("OR", ("<", ">"))}
_LAZY = frozenset(("AND", "OR", "COALESCE"))
#: More columns than any row has.
_BEYOND = 1 << 30
_NOW = build_call("NOW", ())


@dataclass(frozen=True, slots=True)
class Guard:
    """`expression comparison limit`: the left side reads a row, the right one only the time, in whose order it is."""

    expression: Expression
    comparison: str
    limit: Expression

    @property
    def lower(self) -> bool:
        """Whether it is TRUE at first: the row stays until the limit passes it."""
        return self.comparison in (">", ">=")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Expressions over a row's columns followed by one BOOLEAN column per guard."""

    guards: tuple[Guard, ...]
    expressions: tuple[Expression, ...]


def split_guards(expressions: Sequence[Expression], width: int) -> Guarded | None:
    """The guards of expressions over `width` columns, and the expressions without them; None if they read the time in
    any other way."""
    splitter = _Splitter(width)
    rest = tuple(splitter.rewrite(expression, True) for expression in expressions)
    if any(calls_function(expression, "NOW") for expression in rest):
        return None
    return Guarded(tuple(splitter.guards), rest)


def required_guards(predicate: Expression, width: int) -> tuple[int, ...]:
    """Which guards (of a predicate without its comparisons) a row must satisfy."""
    parts = [c for c in split_conjunction(predicate) if isinstance(c, ColumnRef) and c.index >= width]
    return tuple(part.index - width for part in parts)


@dataclass
class _Splitter:
    width: int
    guards: list[Guard] = field(default_factory=list)

    def rewrite(self, expression: Expression, always: bool) -> Expression:
        """The expression over guards; `always`: it is evaluated for every row."""
        if not calls_function(expression, "NOW"):
            return expression
        if isinstance(expression, Call):
            found = self._comparison(_without_not(expression), always)
            if found is not None:
                return found
            lazy = expression.name in _LAZY
            arguments = [
                self.rewrite(argument, always and not (lazy and i)) for i, argument in enumerate(expression.arguments)
            ]
            return Call(expression.type, expression.name, tuple(arguments), expression.options)
        if isinstance(expression, Cast):
            return Cast(expression.type, self.rewrite(expression.argument, always), expression.safe)
        if isinstance(expression, Case):
            branches = tuple(
                (self.rewrite(condition, always and not i), self.rewrite(result, False))
                for i, (condition, result) in enumerate(expression.branches)
            )
            return Case(expression.type, branches, self.rewrite(expression.otherwise, False))
        return expression

    def _comparison(self, call: Call, always: bool) -> Expression | None:
        name = call.name
        if name not in _FLIPPED:
            return None
        row, limit = call.arguments
        if calls_function(row, "NOW"):
            row, limit, name = limit, row, _FLIPPED[name]
        if calls_function(row, "NOW") or columns_used(limit) or not columns_used(row):
            return None
        if not is_ordered(row.type) or not row.type.same_apart_from_nullability(limit.type):
            return None
        if bound_of(limit, {_NOW: _NOW}) is None or not (always or not may_fail(row)):
            return None
        if name not in _PARTS:
            return self._guard(Guard(row, name, limit))
        connective, comparisons = _PARTS[name]
        return build_call(connective, [self._guard(Guard(row, part, limit)) for part in comparisons])

    def _guard(self, guard: Guard) -> Expression:
        if guard not in self.guards:
            self.guards.append(guard)
        return ColumnRef(BOOLEAN, self.width + self.guards.index(guard))


def _without_not(call: Call) -> Call:
    """NOT of a comparison as the opposite comparison."""
    (inner, *_) = call.arguments or (call,)
    if call.name == "NOT" and isinstance(inner, Call) and inner.name in _NEGATED:
        return Call(inner.type, _NEGATED[inner.name], inner.arguments, inner.options)
    return call


def time_bounds(predicate: Expression, known: Bounds) -> Bounds:
    """The waterlines after a filter that reads the time.

    When the clock moves, rows leave whose expression was at least the old limit, and rows come in whose expression is
    above it. Input rows that pass a lower limit are at or above it as well; with upper limits only, they may be as low
    as the input's waterline. Other expressions are arbitrary in rows that leave or come in.
    """
    lower: dict[Expression, list[Expression]] = {}
    upper: dict[Expression, list[Expression]] = {}
    others = False
    for condition in split_conjunction(predicate):
        if not calls_function(condition, "NOW"):
            continue
        guarded = split_guards([condition], _BEYOND)
        if guarded is None:
            return {}
        if not all(isinstance(part, ColumnRef) for part in split_conjunction(guarded.expressions[0])):
            others = True
            continue
        for guard in guarded.guards:
            (lower if guard.lower else upper).setdefault(guard.expression, []).append(guard.limit)
    bounds = {expression: extreme("GREATEST", limits) for expression, limits in lower.items()}
    only = next(iter(upper)) if len(upper) == 1 else None
    if only is not None and not lower and not others and only in known:
        bounds[only] = extreme("LEAST", [known[only], *upper[only]])
    return bounds
