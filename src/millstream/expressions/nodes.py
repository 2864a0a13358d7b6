"""Typed expression nodes: what the binder builds, rewrite rules rewrite, and `evaluate.py` runs.

Nodes are frozen and compare by value, so equal subexpressions and equal plans are found by `==` and by hash.
A node is only built with operand types that its function accepts: `registry.build_call` inserts the casts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from millstream.types import SqlType


@dataclass(frozen=True, slots=True)
class Expression:
    """Base of all expressions; `type` is the type of the value."""

    type: SqlType


@dataclass(frozen=True, slots=True)
class ColumnRef(Expression):
    """Column `index` (0-based) of the input row."""

    index: int


@dataclass(frozen=True, slots=True)
class OuterRef(Expression):
    """Column `index` of a row of an enclosing query, `level` (from 1) queries further out. Only while a query is bound:
    sub-queries become joins (plan/decorrelate.py) before anything is evaluated."""

    level: int
    index: int


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A constant. `value` is None for NULL, else a hashable Python value that `pyarrow.scalar(value,
    arrow_type)` takes (int, float, bool, str, bytes, Decimal, date, ...); TIME and TIMESTAMP as int ns / int
    µs, intervals as int µs or months, UUID as 16 bytes, ARRAY as tuple, MAP as tuple of (key, value), STRUCT
    as tuple of members."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A scalar function or operator: `name` is its upper-case registry name (`+`, `=`, `AND`, `SUBSTRING`,
    ...). `options` are constants that shape it and are no values of rows (a unit, for example)."""

    name: str
    arguments: tuple[Expression, ...]
    options: tuple[Any, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """`CAST(argument AS type)`; `safe` gives NULL where a cast would fail."""

    argument: Expression
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Case(Expression):
    """`CASE WHEN c THEN r ... ELSE e END`; every branch already has the type of the whole.
    Only the chosen branch may fail."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    """`(x, y) -> body`, which occurs only as an argument of the functions that take one; `type` is that of the body.

    The body is closed: its columns 0, 1, ... are the parameters, those after them the values of `captures`, which are
    expressions over the row that the lambda stands in. SQL text has no captures, but lambdas inside of lambdas have.
    """

    parameters: tuple[SqlType, ...]
    body: Expression
    captures: tuple[Expression, ...] = ()


def children(expression: Expression) -> tuple[Expression, ...]:
    """The direct operands of `expression`, which read the same row as it does: not the body of a lambda."""
    if isinstance(expression, Call):
        return expression.arguments
    if isinstance(expression, Cast):
        return (expression.argument,)
    if isinstance(expression, Case):
        return tuple(e for branch in expression.branches for e in branch) + (expression.otherwise,)
    if isinstance(expression, Lambda):
        return expression.captures
    return ()


def columns_used(expression: Expression) -> set[int]:
    """Indices of the input columns that `expression` reads."""
    if isinstance(expression, ColumnRef):
        return {expression.index}
    used: set[int] = set()
    for child in children(expression):
        used |= columns_used(child)
    return used


def remap_columns(expression: Expression, mapping: dict[int, int]) -> Expression:
    """`expression` with every column index replaced through `mapping`."""
    return substitute(expression, {}, mapping)


def substitute(
    expression: Expression, replacements: dict[int, Expression], mapping: dict[int, int] | None = None
) -> Expression:
    """`expression` with column i replaced by `replacements[i]`; others are renumbered through `mapping` if
    given."""
    if isinstance(expression, ColumnRef):
        replacement = replacements.get(expression.index)
        if replacement is not None:
            return replacement
        return expression if mapping is None else ColumnRef(expression.type, mapping[expression.index])
    if isinstance(expression, Call):
        arguments = tuple(substitute(a, replacements, mapping) for a in expression.arguments)
        return Call(expression.type, expression.name, arguments, expression.options)
    if isinstance(expression, Cast):
        return Cast(expression.type, substitute(expression.argument, replacements, mapping), expression.safe)
    if isinstance(expression, Case):
        branches = tuple(
            (substitute(c, replacements, mapping), substitute(r, replacements, mapping)) for c, r in expression.branches
        )
        return Case(expression.type, branches, substitute(expression.otherwise, replacements, mapping))
    if isinstance(expression, Lambda):
        captures = tuple(substitute(c, replacements, mapping) for c in expression.captures)
        return Lambda(expression.type, expression.parameters, expression.body, captures)
    return expression
