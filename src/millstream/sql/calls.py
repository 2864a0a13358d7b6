"""Binding of function calls: scalar functions, aggregates, and the places where aggregates may not stand."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.aggregates import AGGREGATES, NEVER_NULL, resolve_aggregate
from millstream.expressions.aggregates import is_aggregate as is_aggregate_name
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_call, build_cast, takes_lambda
from millstream.plan.nodes import AggregateCall, SortKey
from millstream.sql.binding import AGGREGATE_BASE, Aggregates, Environment, at_place, binds_expression
from millstream.sql.expressions import call, warn_of_call
from millstream.sql.lambdas import bind_lambda
from millstream.sql.messages import Poisoned, SqlError, invalid
from millstream.sql.syntax import FunctionCall, Lambda, Node
from millstream.sql.time_windows import GROUP_WINDOWS, bind_group_window
from millstream.sql.user_functions import bind_user_call, user_aggregate, with_length
from millstream.sql.window_calls import WINDOW_ONLY, bind_window_call, modifier
from millstream.types import Kind, SqlType
from millstream.types.sql_type import BIGINT


def is_aggregate(node: Node, env: Environment) -> bool:
    """Whether a node is a call of an aggregate function (not over a window)."""
    if not isinstance(node, FunctionCall) or node.over is not None:
        return False
    return is_aggregate_name(node.name.name) or node.name.name in env.context.catalog.aggregates


@binds_expression(FunctionCall)
def bind_function(node: FunctionCall, env: Environment) -> Expression:
    """A call of any kind of function."""
    name = node.name.name.upper()
    if node.over is not None or name in WINDOW_ONLY:
        return bind_window_call(node, name, env)
    if is_aggregate(node, env):
        return _aggregate(node, name, env)
    if name in ("GROUPING", "GROUPING_ID"):
        return _grouping(node, env)
    clause = modifier(node)
    if clause:
        raise invalid(f"{clause} clause must apply to an aggregate function: '{node.name.name}'", node.span)
    if node.nulls is not None:
        raise _nulls_error(node, name)
    if node.name.name in env.context.catalog.poisoned:
        raise Poisoned
    if name in GROUP_WINDOWS:
        return bind_group_window(node, name, env)
    if name == "CONNECTOR_METADATA" and env.clause != "DEFAULT":
        text = "Calls to function 'connector_metadata' are only allowed in DEFAULT column initializers"
        raise invalid(text, node.span)
    if node.star:
        raise invalid(f"No match found for function signature {node.name.name}(*)", node.span)
    arguments = _positional(node, env)
    function = env.context.catalog.functions.get(node.name.name)
    if function is not None:
        return bind_user_call(function, node, arguments, env)
    user = env.context.catalog.types.get(node.name.name)
    if user is not None:
        return _constructor(node, user, arguments)
    bound = call(node.name.name, arguments, node.span, node.options)
    warn_of_call(name, arguments, node.span, env)
    return bound


def _positional(node: FunctionCall, env: Environment) -> list[Expression]:
    for argument in node.arguments:
        if argument.name is not None:
            raise invalid(f"Function '{node.name.name}' does not have named arguments", argument.span)
    bound: list[Expression] = []
    for argument in node.arguments:
        if isinstance(argument.value, Lambda) and takes_lambda(node.name.name):
            bound.append(bind_lambda(argument.value, node.name.name.upper(), bound, env))
        else:
            bound.append(env.bind(argument.value))
    return bound


def _constructor(node: FunctionCall, target: SqlType, arguments: list[Expression]) -> Expression:
    """`t(e1, e2)` for a struct type t."""
    if target.kind is not Kind.STRUCT:
        raise invalid(f"No match found for function signature {node.name.name}", node.span)
    if len(arguments) != len(target.fields):
        text = (
            f"Invalid number of arguments to function '{node.name.name}'. Was expecting {len(target.fields)} arguments"
        )
        raise invalid(text, node.span)
    try:
        return build_cast(build_call("ROW", arguments), target.with_nullable(False))
    except TypeCheckError as error:
        raise at_place(error, node.span) from None


def _nulls_error(node: FunctionCall, name: str) -> SqlError:
    return invalid(f"Cannot specify IGNORE NULLS or RESPECT NULLS following '{name}'", node.span)


# ---- aggregates ----


def _aggregate(node: FunctionCall, name: str, env: Environment) -> Expression:
    if env.in_aggregate:
        raise invalid("Aggregate expressions cannot be nested", node.span)
    collector = env.aggregates
    if collector is None:
        raise invalid(f"Aggregate expression is illegal in {env.clause or 'this'} clause", node.span)
    user = env.context.catalog.aggregates.get(node.name.name)
    shown = name if user is None else str(user)
    if node.nulls is not None and name != "ARRAY_AGG":
        raise _nulls_error(node, shown)
    if node.order and name != "ARRAY_AGG" and (name in AGGREGATES or user is not None):
        raise invalid(f"Aggregate expression '{shown}' must not contain an ORDER BY clause", node.order[0].span)
    if node.star and name != "COUNT":
        raise invalid(f"Unknown identifier '*' in {shown}(*)", node.span)
    inner = replace(env, in_aggregate=True)
    arguments = [] if node.star else _positional(node, inner)
    condition = None
    if node.filter is not None:
        condition = inner.bind(node.filter)
        if condition.type.kind is not Kind.BOOLEAN:
            raise invalid("FILTER clause must be a condition", node.filter.span)
    try:
        typed, result = resolve_aggregate(name, arguments) if user is None else user_aggregate(user, node, arguments)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None
    if node.distinct and name == "MODE":
        raise SqlError("MODE does not support DISTINCT", node.span, error_type="Not supported")
    if name not in NEVER_NULL and (not collector.grouped or condition is not None):
        result = result.with_nullable(True)
    if node.nulls == "IGNORE":
        present = build_call("IS NOT NULL", typed)
        condition = present if condition is None else build_call("AND", [condition, present])
    call = AggregateCall(
        AGGREGATES[name].name if user is None else str(user),
        tuple(collector.input(argument) for argument in typed),
        result,
        node.distinct,
        None if condition is None else collector.input(condition),
        _order(node, typed, collector, inner),
        tuple(dict.fromkeys(collector.input(key) for key in inner.bind_all(node.within_distinct))),
        user,
    )
    return with_length(add_call(collector, call), user)


def _order(
    node: FunctionCall, arguments: list[Expression], collector: Aggregates, env: Environment
) -> tuple[SortKey, ...]:
    """ORDER BY inside ARRAY_AGG; values that DISTINCT makes one can only be sorted by themselves."""
    keys = []
    for item in node.order:
        key = env.bind(item.expression)
        if node.distinct and key not in arguments:
            text = "In an aggregate with DISTINCT, ORDER BY expressions must be its argument"
            raise invalid(text, item.expression.span)
        keys.append(SortKey(collector.input(key), item.descending, item.nulls_first))
    return tuple(keys)


def _grouping(node: FunctionCall, env: Environment) -> Expression:
    """Which of its arguments are rolled up in a row, as bits: the first is the most significant."""
    if env.aggregates is None or env.in_aggregate:
        raise invalid("GROUPING operator may only occur in SELECT, HAVING or ORDER BY clause", node.span)
    if not node.arguments:
        name = node.name.name.upper()
        raise invalid(f"Invalid number of arguments to function '{name}'. Was expecting 1 arguments", node.span)
    arguments = _positional(node, replace(env, in_aggregate=True))
    inputs = tuple(env.aggregates.input(argument) for argument in arguments)
    result = add_call(env.aggregates, AggregateCall("GROUPING", inputs, BIGINT.with_nullable(False)))
    env.aggregates.places.setdefault(env.aggregates.calls[result.index - AGGREGATE_BASE], node.span)
    return result


def add_call(collector: Aggregates, call: AggregateCall) -> ColumnRef:
    """The placeholder of an aggregate call; equal calls share one."""
    if call not in collector.calls:
        collector.calls.append(call)
    return ColumnRef(call.type, AGGREGATE_BASE + collector.calls.index(call))
