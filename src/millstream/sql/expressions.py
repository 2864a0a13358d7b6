"""Binding of scalar expressions: names, operators, casts, CASE, literals, constructors.

Types, implicit conversions and result nullability come from the function registry; what is added here is the meaning
of names and the place of each mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millstream.expressions.advice import advise, advise_cast
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression, Literal, OuterRef
from millstream.expressions.registry import build_call, build_case, build_cast, check_between, is_scalar_function
from millstream.plan.program import Span
from millstream.sql.binding import Environment, at_place, binds_expression
from millstream.sql.dialect import union
from millstream.sql.literals import bind_constant, interval_kind, interval_literal, interval_of, unit_length
from millstream.sql.messages import SqlError, invalid, not_yet
from millstream.sql.scope import Scope, ScopeColumn
from millstream.sql.stars import expand_star
from millstream.sql.syntax import (
    ArrayExpression,
    Between,
    CaseExpression,
    CastExpression,
    Constant,
    FieldAccess,
    FunctionCall,
    Identifier,
    Index,
    InList,
    IntervalLiteral,
    Lambda,
    MapExpression,
    Name,
    Node,
    Operation,
    RowExpression,
    Star,
    TableArgument,
    TimeDifference,
)
from millstream.sql.types import resolve_type
from millstream.types import Kind, SqlType

#: Functions that syntax other than a call stands for, and what that syntax is called.
_SYNTACTIC = {
    "FIELD": "Access to fields of ROW values",
    "ITEM": "Indexing",
    "ROW": "ROW constructors",
    "ARRAY": "ARRAY constructors",
    "MAP": "MAP constructors",
    "TIMESTAMP_DIFF_INTERVAL": "Differences of dates and times",
    "TUMBLE_START": "TUMBLE",
}


def call(name: str, arguments: Sequence[Expression], span: Span, options: tuple[object, ...] = ()) -> Expression:
    """`build_call` whose type error is reported at `span`."""
    if name in _SYNTACTIC and not is_scalar_function(name):
        raise not_yet(_SYNTACTIC[name], span)
    try:
        return build_call(name, arguments, options)
    except TypeCheckError as error:
        raise at_place(error, span) from None


def warn_of_call(name: str, arguments: Sequence[Expression], span: Span, env: Environment) -> None:
    """Reports what is suspicious about a call."""
    for advice in advise(name, arguments):
        env.context.warn(advice.error_type, advice.message, span)


# ---- names ----


@binds_expression(Name)
def _name(node: Name, env: Environment) -> Expression:
    first, *rest = node.parts
    if not rest:
        return _single(first, env)
    if first.name not in env.scope.relations:
        outer = _outer_path(node, env.scope.outer)
        if outer is not None:
            return outer
        raise invalid(f"Table '{first.name}' not found", first.span)
    column = env.scope.qualified(first.name, rest[0])
    if column is None:
        raise invalid(f"Column '{rest[0].name}' not found in table '{first.name}'", rest[0].span)
    result = _reference(column, ".".join(p.name for p in node.parts[:2]), node.span, env)
    for part in rest[1:]:
        result = _field(result, part, node.span)
    return result


def _single(name: Identifier, env: Environment) -> Expression:
    if env.alias_first and name.name in env.aliases:
        return _alias(name, env)
    column = env.scope.unqualified(name)
    if column is not None:
        return _reference(column, name.name, name.span, env)
    if name.name in env.aliases:
        return _alias(name, env)
    outer = _outer_column(name, env.scope.outer)
    if outer is not None:
        return outer
    raise invalid(f"Column '{name.name}' not found in any table", name.span)


def _alias(name: Identifier, env: Environment) -> Expression:
    alias = env.aliases[name.name]
    return replace(env, aliases=alias.aliases, alias_first=False).bind(alias.expression)


def _outer_column(name: Identifier, scope: Scope | None, level: int = 1) -> Expression | None:
    """A column of a query around this one."""
    if scope is None:
        return None
    column = scope.unqualified(name)
    if column is not None:
        return OuterRef(column.type, level, column.index)
    return _outer_column(name, scope.outer, level + 1)


def _outer_path(node: Name, scope: Scope | None, level: int = 1) -> Expression | None:
    """`t.c` where t stands in a query around this one."""
    first, *rest = node.parts
    if scope is None:
        return None
    if first.name not in scope.relations:
        return _outer_path(node, scope.outer, level + 1)
    column = scope.qualified(first.name, rest[0])
    if column is None:
        raise invalid(f"Column '{rest[0].name}' not found in table '{first.name}'", rest[0].span)
    result: Expression = OuterRef(column.type, level, column.index)
    for part in rest[1:]:
        result = _field(result, part, node.span)
    return result


def _reference(column: ScopeColumn, shown: str, span: Span, env: Environment) -> Expression:
    if not env.in_aggregate:
        env.references.setdefault(column.index, (shown, span))
    return ColumnRef(column.type, column.index)


def _field(value: Expression, field: Identifier, span: Span) -> Expression:
    if value.type.kind is Kind.STRUCT and all(f.name != field.name for f in value.type.fields):
        raise invalid(f"Column '{field.name}' not found in any table", field.span)
    return call("FIELD", [value], span, (field.name,))


@binds_expression(FieldAccess)
def _field_access(node: FieldAccess, env: Environment) -> Expression:
    return _field(env.bind(node.operand), node.field, node.span)


@binds_expression(Star)
def _star(node: Star, env: Environment) -> Expression:
    raise invalid("Unknown identifier '*'", node.span)


# ---- literals and constructors ----


@binds_expression(Constant)
def _constant(node: Constant, env: Environment) -> Expression:
    return bind_constant(node)


@binds_expression(IntervalLiteral)
def _interval(node: IntervalLiteral, env: Environment) -> Expression:
    if isinstance(node.value, Constant) and node.value.kind == "STRING":
        return interval_literal(node)
    try:
        kind = interval_kind(node.unit, node.to_unit)
    except SqlError as error:
        raise invalid(error.message, node.span) from None
    unit = Literal(SqlType(kind, nullable=False), node.sign * unit_length(node.unit))
    value = env.bind(node.value)
    if isinstance(value, Literal) and isinstance(value.value, int):
        return interval_of(unit.type, value.value * unit.value, node.span)
    return call("*", [value, unit], node.span)


@binds_expression(RowExpression)
def _row(node: RowExpression, env: Environment) -> Expression:
    items: list[Expression] = []
    for item in node.items:
        items += [value for _, value in expand_star(item, env)] if isinstance(item, Star) else [env.bind(item)]
    return call("ROW", items, node.span)


@binds_expression(ArrayExpression)
def _array(node: ArrayExpression, env: Environment) -> Expression:
    return call("ARRAY", env.bind_all(node.items), node.span)


@binds_expression(MapExpression)
def _map(node: MapExpression, env: Environment) -> Expression:
    if len(node.items) % 2:
        raise invalid("MAP requires an even number of arguments", node.span)
    items = env.bind_all(node.items)
    warn_of_call("MAP", items, node.span, env)
    return call("MAP", items, node.span, ("ENTRIES",))


@binds_expression(Index)
def _index(node: Index, env: Environment) -> Expression:
    operand, index = env.bind(node.operand), node.index
    if isinstance(index, FunctionCall) and index.name.name.upper() == "SAFE_OFFSET" and len(index.arguments) == 1:
        return call("ITEM", [operand, env.bind(index.arguments[0].value)], node.span, ("SAFE_OFFSET",))
    return call("ITEM", [operand, env.bind(index)], node.span)


# ---- operators ----


@binds_expression(Operation)
def _operation(node: Operation, env: Environment) -> Expression:
    operands = env.bind_all(node.operands)
    warn_of_call(node.name, operands, node.span, env)
    if len(operands) > 2 and node.name in ("AND", "OR"):
        return _connected(node, operands)
    return call(node.name, operands, node.span)


def _connected(node: Operation, operands: list[Expression]) -> Expression:
    """Many operands of AND or OR at once; a mistake is reported for the first two that show it."""
    try:
        return build_call(node.name, operands)
    except TypeCheckError:
        result = operands[0]
        for operand, written in zip(operands[1:], node.operands[1:], strict=True):
            result = call(node.name, [result, operand], union(node.operands[0].span, written.span))
        return result


@binds_expression(TimeDifference)
def _time_difference(node: TimeDifference, env: Environment) -> Expression:
    operands = [env.bind(node.left), env.bind(node.right)]
    return call("TIMESTAMP_DIFF_INTERVAL", operands, node.span, (interval_kind(node.unit, node.to_unit),))


@binds_expression(Between)
def _between(node: Between, env: Environment) -> Expression:
    value, low, high = env.bind(node.operand), env.bind(node.low), env.bind(node.high)
    name = ("NOT " if node.negated else "") + ("BETWEEN SYMMETRIC" if node.symmetric else "BETWEEN ASYMMETRIC")
    try:
        check_between(name, value, low, high)
        result = _within(value, low, high)
        if node.symmetric:
            result = build_call("OR", [result, _within(value, high, low)])
        return build_call("NOT", [result]) if node.negated else result
    except TypeCheckError as error:
        raise at_place(error, node.span) from None


def _within(value: Expression, low: Expression, high: Expression) -> Expression:
    return build_call("AND", [build_call(">=", [value, low]), build_call("<=", [value, high])])


@binds_expression(InList)
def _in_list(node: InList, env: Environment) -> Expression:
    operands = [env.bind(node.operand), *env.bind_all(node.items)]
    return call("NOT IN" if node.negated else "IN", operands, node.span)


@binds_expression(CastExpression)
def _cast(node: CastExpression, env: Environment) -> Expression:
    value = env.bind(node.operand)
    target = resolve_type(node.type, env.context)
    for advice in () if node.safe else advise_cast(value, target):
        env.context.warn(advice.error_type, advice.message, node.span)
    try:
        converted = build_cast(value, target, node.safe)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None
    if node.safe or node.type.nullable is not False:
        return converted
    return build_call("AS DECLARED", [converted], (target,))


@binds_expression(CaseExpression)
def _case(node: CaseExpression, env: Environment) -> Expression:
    branches = []
    value = None if node.operand is None else env.bind(node.operand)
    for condition, result in node.branches:
        test = env.bind(condition)
        if value is not None:
            test = call("=", [value, test], condition.span)
        branches.append((test, env.bind(result)))
    otherwise = None if node.otherwise is None else env.bind(node.otherwise)
    try:
        return build_case(branches, otherwise)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None


# ---- what is not built ----


@binds_expression(Lambda)
def _lambda(node: Lambda, env: Environment) -> Expression:
    raise not_yet("Lambda expressions", node.span)


@binds_expression(TableArgument)
def _table_argument(node: TableArgument, env: Environment) -> Expression:
    raise invalid(f"Unknown identifier '{node.name.parts[0].name}'", node.span)


def is_constant(node: Node) -> bool:
    """Whether a node is a literal."""
    return isinstance(node, (Constant, IntervalLiteral))
