"""Calls of functions that a program defines: the body, with the arguments in the places of the parameters."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.errors import TypeCheckError, cannot_apply, signature_text, type_text, wrong_count
from millstream.expressions.nodes import Expression, substitute
from millstream.expressions.registry import build_call, build_cast, coerce
from millstream.sql.binding import Environment
from millstream.sql.catalog import UserFunction
from millstream.sql.messages import invalid
from millstream.sql.syntax import FunctionCall
from millstream.types import Kind, SqlType
from millstream.udf.checks import without_length
from millstream.udf.declarations import ExternalAggregate

_TIMES = frozenset((Kind.DATE, Kind.TIMESTAMP))


def bind_user_call(
    function: UserFunction, node: FunctionCall, arguments: Sequence[Expression], env: Environment
) -> Expression:
    """The value of a call. Raises SqlError for arguments that the parameters do not take."""
    given: dict[int, Expression] = {}
    fitting = _fitting(function.name, function.parameters, node, arguments)
    for position, (converted, parameter) in enumerate(zip(fitting, function.parameters, strict=True)):
        argument = arguments[position]
        if argument.type.nullable and not parameter.nullable:
            text = (
                f"Argument {position} is nullable, while '{function.name}' expects a not nullable value; "
                "this may cause a runtime crash"
            )
            env.context.warn("Nullable argument", text, node.arguments[position].span)
        given[position] = build_call("AS DECLARED", [converted], (parameter,))
    return substitute(function.body, given)


def user_aggregate(
    aggregate: ExternalAggregate, node: FunctionCall, arguments: Sequence[Expression]
) -> tuple[list[Expression], SqlType]:
    """The arguments of a call as the parameters' types, and the type of its result for groups with rows, without a
    length (see `with_length`). Rows with a NULL argument do not count, so there may be no row."""
    declaration = aggregate.declaration
    typed = _fitting(declaration.name, declaration.types, node, arguments)
    returns = without_length(declaration.returns)
    return typed, returns.with_nullable(returns.nullable or any(argument.type.nullable for argument in typed))


def with_length(result: Expression, aggregate: ExternalAggregate | None) -> Expression:
    """The result of an aggregate, cut or padded to the length of its declared type."""
    if aggregate is None or without_length(aggregate.declaration.returns) == aggregate.declaration.returns:
        return result
    return build_cast(result, aggregate.declaration.returns.with_nullable(result.type.nullable))


def _fitting(
    name: str, parameters: Sequence[SqlType], node: FunctionCall, arguments: Sequence[Expression]
) -> list[Expression]:
    """The arguments as the types of the parameters."""
    if len(arguments) != len(parameters):
        raise invalid(wrong_count(name, str(len(parameters))).message, node.span)
    found = []
    for argument, parameter in zip(arguments, parameters, strict=True):
        converted = _converted(argument, parameter)
        if converted is None:
            form = signature_text(name, [type_text(p) for p in parameters])
            mismatch = cannot_apply(name, arguments)
            raise invalid(f"{mismatch.message}. Supported form(s): {form}", node.span)
        found.append(converted)
    return found


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
