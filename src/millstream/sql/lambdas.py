"""Binding of lambdas, `(x, y) -> body`, as arguments of functions (sql.md §1).

The types of the parameters come from the function and its other arguments. A body sees its parameters, and those of
the lambdas around it, whose values it captures; columns of the query it does not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_lambda, lambda_parameters
from millstream.sql.binding import Environment, at_place
from millstream.sql.messages import invalid, not_yet
from millstream.sql.scope import Scope, ScopeColumn
from millstream.sql.syntax import (
    Exists,
    FieldAccess,
    Identifier,
    InQuery,
    Lambda,
    Name,
    Node,
    Quantified,
    Subquery,
)


@dataclass(frozen=True, slots=True)
class LambdaScope(Scope):
    """The parameters of a lambda. `enclosing`: the scope that it stands in; `captures`: what it reads of that."""

    enclosing: Scope = field(default_factory=Scope)
    captures: list[Expression] = field(default_factory=list)

    def unqualified(self, name: Identifier) -> ScopeColumn | None:
        for column in self.columns:
            if column.name == name.name:
                return column
        if not isinstance(self.enclosing, LambdaScope):
            if any(c.name == name.name for c in self.enclosing.columns):
                raise invalid(f"reference to '{name.name}' from enclosing scope", name.span)
            return None
        outer = self.enclosing.unqualified(name)
        if outer is None:
            return None
        reference = ColumnRef(outer.type, outer.index)
        if reference not in self.captures:
            self.captures.append(reference)
        return ScopeColumn(None, name.name, len(self.columns) + self.captures.index(reference), outer.type)


def bind_lambda(node: Lambda, function: str, arguments: Sequence[Expression], env: Environment) -> Expression:
    """The lambda that follows `arguments` in a call of `function`."""
    names = [parameter.name for parameter in node.parameters]
    for position, parameter in enumerate(node.parameters):
        if parameter.name in names[:position]:
            raise invalid(f"Duplicate lambda parameter '{parameter.name}'", parameter.span)
    try:
        types = lambda_parameters(function, arguments)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None
    if len(types) != len(names):
        text = f"Lambda expression has {len(names)} parameters, but '{function}' expects {len(types)}"
        raise invalid(text, node.span)
    if _has_query(node.body):
        raise not_yet("Sub-queries in lambda expressions", node.span)
    columns = tuple(ScopeColumn(None, name, i, t) for i, (name, t) in enumerate(zip(names, types, strict=True)))
    scope = LambdaScope(columns, enclosing=env.scope)
    inner = replace(env, scope=scope, aliases={}, aggregates=None, references={}, clause="lambda", alias_first=False)
    body = inner.bind(_with_fields(node.body, scope))
    try:
        return build_lambda(types, body, scope.captures)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None


def _has_query(node: Any) -> bool:
    """Whether a query stands in an expression."""
    if isinstance(node, tuple):
        return any(_has_query(item) for item in node)
    if isinstance(node, Subquery | Exists | InQuery | Quantified):
        return True
    return isinstance(node, Node) and any(_has_query(getattr(node, name)) for name in node.__struct_fields__)


def _is_parameter(name: str, scope: Scope) -> bool:
    if not isinstance(scope, LambdaScope):
        return False
    return any(c.name == name for c in scope.columns) or _is_parameter(name, scope.enclosing)


def _relations(scope: Scope) -> tuple[str, ...]:
    return _relations(scope.enclosing) if isinstance(scope, LambdaScope) else scope.relations


def _with_fields(node: Any, scope: LambdaScope) -> Any:
    """The body, where paths that begin with a parameter are accesses to its fields."""
    if isinstance(node, Name) and len(node.parts) > 1:
        first = node.parts[0]
        if _is_parameter(first.name, scope):
            value: Node = Name(first.span, (first,))
            for part in node.parts[1:]:
                value = FieldAccess(node.span, value, part)
            return value
        if first.name in _relations(scope):
            raise invalid(f"reference to '{node.parts[1].name}' from enclosing scope", node.span)
    if isinstance(node, tuple):
        return tuple(_with_fields(item, scope) for item in node)
    if isinstance(node, Node) and not isinstance(node, Lambda | Name):
        changed = {name: _with_fields(getattr(node, name), scope) for name in node.__struct_fields__}
        return structs.replace(node, **changed)
    return node
