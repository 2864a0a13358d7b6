"""The internal AS DECLARED: a value as one of a declared type, which says whether it may be NULL (sql.md §2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.errors import EvaluationError
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.function import Function, Options, table
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.vectors import Kernel, Value, is_scalar
from millstream.types import SqlType


def _resolve(arguments: Sequence[Expression], options: Options) -> Expression:
    if len(arguments) != 1 or not options or not isinstance(options[0], SqlType):
        raise TypeCheckError("AS DECLARED is internal")
    (value,), target = arguments, options[0]
    result = value.type.with_nullable(target.nullable)
    if result == value.type:
        return value
    if isinstance(value, Literal) and value.value is not None:
        return Literal(result, value.value)
    return Call(result, "AS DECLARED", (value,))


def _implement(call: Call) -> Kernel:
    text = f"Casting NULL value to {call.type.sql()}"

    def kernel(value: Value) -> Value:
        missing = (not value.is_valid) if is_scalar(value) else value.null_count > 0
        if missing and not call.type.nullable:
            raise EvaluationError(text)
        return value

    return kernel


FUNCTIONS = table(
    Function(
        "AS DECLARED",
        _resolve,
        _implement,
        fallible=lambda call: not call.type.nullable,
        doc="Internal: a value whose declaration says whether it may be NULL.",
    ),
)
