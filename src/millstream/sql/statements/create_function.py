"""CREATE FUNCTION ... AS expression, and functions without a body, whose code is Python.

The body is bound once, over the parameters as columns; a call is the body with the arguments in their places
(sql/user_functions.py). A function is known after its declaration only, so none can call itself.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from millstream.expressions.aggregates import is_aggregate
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.functions.user_defined import NAME as USER_FUNCTION
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_call, build_cast, is_scalar_function
from millstream.sql.binding import Aggregates, Environment, QueryEnvironment, Subqueries, Windows, at_place
from millstream.sql.catalog import UserFunction
from millstream.sql.context import Context
from millstream.sql.messages import SqlError
from millstream.sql.scope import Scope, ScopeColumn
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import (
    CreateAggregate,
    CreateFunction,
    FieldAccess,
    Identifier,
    Lambda,
    Name,
    Node,
    TypeName,
)
from millstream.sql.types import resolve_type
from millstream.sql.window_calls import WINDOW_ONLY
from millstream.types import Kind, SqlType
from millstream.udf.checks import (
    ERROR_TYPE,
    aggregate_problem,
    external_aggregate,
    external_function,
    function_problem,
)
from millstream.udf.declarations import Declaration

#: Words that are called, or read like calls, without being in a registry.
_RESERVED = frozenset(("USER", "NOW", "CAST", "SAFE_CAST", "TUMBLE", "HOP", "SESSION", "UNNEST", "GROUPING"))
_JSON = "jsonstring_as_"


@compiles(CreateFunction)
def create_function(statement: CreateFunction, context: Context) -> None:
    """Adds the function to the catalog."""
    name = statement.name
    _check_name(name, context)
    parameters = _parameters(statement.parameters, context)
    returns = resolve_type(statement.returns, context)
    if statement.body is None:
        body = _external_body(statement, parameters, returns, context)
    else:
        body = _body(statement.body, statement.parameters, parameters, context)
        try:
            body = build_cast(body, returns)
        except TypeCheckError as error:
            raise at_place(error, statement.body.span) from None
    declared = build_call("AS DECLARED", [body], (returns,))
    context.catalog.functions[name.name] = UserFunction(name.name, parameters, returns, declared)


@compiles(CreateAggregate)
def create_aggregate(statement: CreateAggregate, context: Context) -> None:
    """Adds the aggregate to the catalog: its code is Python."""
    name = statement.name
    _check_name(name, context)
    parameters = _parameters(statement.parameters, context)
    returns = resolve_type(statement.returns, context)
    if not parameters:
        raise SqlError(f"Aggregate '{name.name}' must have a parameter", name.span, error_type="Not supported")
    declaration = _declaration(name, statement.parameters, parameters, returns)
    problem = aggregate_problem(declaration, statement.linear, context.udf)
    if problem is not None:
        raise SqlError(problem, name.span, error_type=ERROR_TYPE)
    context.catalog.external.append(declaration.name)
    context.catalog.aggregates[name.name] = external_aggregate(declaration, statement.linear, context.udf)


def _check_name(name: Identifier, context: Context) -> None:
    upper = name.name.upper()
    if is_scalar_function(upper) or is_aggregate(upper) or upper in WINDOW_ONLY or upper in _RESERVED:
        text = f"A function named '{name.name}' is already predefined, or the name is reserved."
        raise SqlError(text, name.span)
    if name.name in context.catalog.functions:
        raise SqlError(f"Function with name '{name.name}' already exists", name.span)
    if name.name in context.catalog.aggregates:
        raise SqlError(f"Aggregate with name '{name.name}' already exists", name.span)
    if name.name in context.catalog.types:
        raise SqlError(f"'{name.name}' already defined", name.span, error_type="Duplicate declaration")


def _parameters(declared: tuple[tuple[Identifier, TypeName], ...], context: Context) -> tuple[SqlType, ...]:
    seen: set[str] = set()
    for name, _ in declared:
        if name.name in seen:
            raise SqlError(f"Parameter with name '{name.name}' already defined", name.span)
        seen.add(name.name)
    return tuple(resolve_type(type_name, context) for _, type_name in declared)


def _body(
    body: Node, names: tuple[tuple[Identifier, TypeName], ...], types: tuple[SqlType, ...], context: Context
) -> Expression:
    """The bound body. Only what can stand in any expression may stand in it."""
    columns = [ScopeColumn(None, name.name, i, types[i], name.quoted) for i, (name, _) in enumerate(names)]
    aggregates, windows, subqueries = Aggregates(), Windows({}), Subqueries()
    env = Environment(
        QueryEnvironment(context),
        Scope(tuple(columns)),
        aggregates=aggregates,
        windows=windows,
        subqueries=subqueries,
        clause="FUNCTION",
    )
    bound = env.bind(_with_fields(body, frozenset(name.name for name, _ in names)))
    if aggregates.calls or windows.requests or subqueries.requests:
        raise SqlError("User-defined function too complex", body.span, error_type="Not supported")
    return bound


def _with_fields(node: Any, parameters: frozenset[str]) -> Any:
    """The body, where paths that begin with a parameter are accesses to its fields: there are no tables in sight."""
    if isinstance(node, Name) and len(node.parts) > 1 and node.parts[0].name in parameters:
        value: Node = Name(node.parts[0].span, node.parts[:1])
        for part in node.parts[1:]:
            value = FieldAccess(node.span, value, part)
        return value
    if isinstance(node, tuple):
        return tuple(_with_fields(item, parameters) for item in node)
    if isinstance(node, Lambda):
        hidden = frozenset(parameter.name for parameter in node.parameters)
        return replace(node, body=_with_fields(node.body, parameters - hidden))
    if isinstance(node, Node) and not isinstance(node, Name | Identifier):
        return replace(node, **{name: _with_fields(getattr(node, name), parameters) for name in node.__struct_fields__})
    return node


def _external_body(
    statement: CreateFunction, parameters: tuple[SqlType, ...], returns: SqlType, context: Context
) -> Expression:
    """What `jsonstring_as_<type>` does; other functions are calls of Python code."""
    name = statement.name.name
    target = context.catalog.types.get(name.removeprefix(_JSON)) if name.startswith(_JSON) else None
    if target is None:
        return _python_body(statement, parameters, returns, context)
    if len(parameters) != 1 or not parameters[0].is_string:
        text = f"Function '{name}' must have a single parameter"
        if len(parameters) == 1:
            text += f" of type VARCHAR, not {parameters[0].sql()}"
        raise SqlError(text, statement.name.span, error_type="Incorrect signature")
    if target.kind is not Kind.STRUCT or not target.same_apart_from_nullability(returns):
        text = f"Function '{name}' should return '{name.removeprefix(_JSON)}'"
        raise SqlError(text, statement.returns.span, error_type="Incorrect signature")
    parsed = build_call("PARSE_JSON", [ColumnRef(parameters[0], 0)])
    return build_cast(build_call("FIELD NAMES", [parsed], (target,)), returns)


def _python_body(
    statement: CreateFunction, parameters: tuple[SqlType, ...], returns: SqlType, context: Context
) -> Expression:
    """A call of the program's Python code."""
    declaration = _declaration(statement.name, statement.parameters, parameters, returns)
    problem = function_problem(declaration, context.udf)
    if problem is not None:
        raise SqlError(problem, statement.name.span, error_type=ERROR_TYPE)
    context.catalog.external.append(declaration.name)
    columns = [ColumnRef(parameter, position) for position, parameter in enumerate(parameters)]
    called = build_call(USER_FUNCTION, columns, (external_function(declaration, context.udf),))
    return called if called.type == returns else build_cast(called, returns)


def _declaration(
    name: Identifier, names: tuple[tuple[Identifier, TypeName], ...], types: tuple[SqlType, ...], returns: SqlType
) -> Declaration:
    parameters = tuple((parameter.name, sql_type) for (parameter, _), sql_type in zip(names, types, strict=True))
    return Declaration(name.name, parameters, returns)
