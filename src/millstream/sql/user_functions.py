"""Calls of functions that a program defines: the body, with the arguments in the places of the parameters."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.errors import TypeCheckError, cannot_apply, signature_text, type_text, wrong_count
from millstream.expressions.nodes import Expression, substitute
from millstream.expressions.registry import build_call, coerce
from millstream.sql.binding import Environment
from millstream.sql.catalog import UserFunction
from millstream.sql.messages import invalid
from millstream.sql.syntax import FunctionCall
from millstream.types import Kind, SqlType

_TIMES = frozenset((Kind.DATE, Kind.TIMESTAMP))


def bind_user_call(
    function: UserFunction, node: FunctionCall, arguments: Sequence[Expression], env: Environment
) -> Expression:
    """The value of a call. Raises SqlError for arguments that the parameters do not take."""
    if len(arguments) != len(function.parameters):
        raise invalid(wrong_count(function.name, str(len(function.parameters))).message, node.span)
    given: dict[int, Expression] = {}
    for position, (argument, parameter) in enumerate(zip(arguments, function.parameters, strict=True)):
        converted = _converted(argument, parameter)
        if converted is None:
            form = signature_text(function.name, [type_text(p) for p in function.parameters])
            mismatch = cannot_apply(function.name, arguments)
            raise invalid(f"{mismatch.message}. Supported form(s): {form}", node.span)
        if argument.type.nullable and not parameter.nullable:
            text = (
                f"Argument {position} is nullable, while '{function.name}' expects a not nullable value; "
                "this may cause a runtime crash"
            )
            env.context.warn("Nullable argument", text, node.arguments[position].span)
        given[position] = build_call("AS DECLARED", [converted], (parameter,))
    return substitute(function.body, given)


def _converted(argument: Expression, parameter: SqlType) -> Expression | None:
    """The argument as the parameter's type; None: it is not converted without being asked to."""
    try:
        return coerce(argument, parameter) if _takes(parameter, argument.type) else None
    except TypeCheckError:
        return None


def _takes(parameter: SqlType, argument: SqlType) -> bool:
    """Whether the kinds of types fit; whether values can be converted is for `coerce` to say."""
    if argument.kind is Kind.NULL or argument.same_apart_from_nullability(parameter):
        return True
    if parameter.kind is Kind.VARIANT:
        return True
    for family in ("is_numeric", "is_string", "is_binary"):
        if getattr(argument, family) and getattr(parameter, family):
            return True
    if argument.is_interval and parameter.is_interval:
        return True
    if argument.kind is Kind.DATE and parameter.kind in _TIMES:
        return True
    return argument.is_nested and argument.kind is parameter.kind
