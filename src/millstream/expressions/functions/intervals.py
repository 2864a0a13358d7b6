"""Arithmetic with dates, times, timestamps and intervals (sql.md §5.7)."""

from __future__ import annotations

from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import Kernel


def resolve_interval_arithmetic(name: str, left: Expression, right: Expression) -> Expression | None:
    return None


def implement_interval_arithmetic(call: Call) -> Kernel:
    raise AssertionError(call)
