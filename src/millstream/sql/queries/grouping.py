"""GROUP BY: which expressions are keys, the Aggregate node, and the rewriting of items over its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression
from millstream.plan.nodes import Aggregate, Column, Plan, Project
from millstream.plan.program import Span
from millstream.sql.binding import AGGREGATE_BASE, WINDOW_BASE, Aggregates, Alias, Environment
from millstream.sql.calls import is_aggregate
from millstream.sql.messages import NO_SPAN, invalid, not_yet
from millstream.sql.syntax import (
    Constant,
    GroupBy,
    Name,
    Node,
    RowExpression,
    SelectItem,
    Unbuilt,
)

References = Mapping[int, tuple[str, Span]]


@dataclass(frozen=True)
class Grouping:
    """The grouping keys, as expressions over the input rows."""

    keys: tuple[Expression, ...]

    def build(
        self, plan: Plan, aggregates: Aggregates, references: References
    ) -> tuple[Plan, Callable[[Expression], Expression]]:
        """The Aggregate over `plan`, and the rewriting of an expression over input rows to one over its output."""
        inputs: list[Expression] = list(self.keys)
        for expression in aggregates.inputs:
            if expression not in inputs:
                inputs.append(expression)
        place = [inputs.index(expression) for expression in aggregates.inputs]
        if not inputs:
            inputs = [_any_column(plan)]
        schema = tuple(Column(f"$g{i}", e.type) for i, e in enumerate(inputs))
        projected = Project(schema, plan, tuple(inputs))
        calls = tuple(
            replace(
                call,
                arguments=tuple(place[a] for a in call.arguments),
                filter=None if call.filter is None else place[call.filter],
            )
            for call in aggregates.calls
        )
        width = len(self.keys)
        out = schema[:width] + tuple(Column(f"$a{i}", call.type) for i, call in enumerate(calls))
        aggregate = Aggregate(out, projected, tuple(range(width)), calls)
        return aggregate, lambda e: self._rewrite(e, references)

    def _rewrite(self, expression: Expression, references: References) -> Expression:
        if expression in self.keys:
            return ColumnRef(expression.type, self.keys.index(expression))
        if isinstance(expression, ColumnRef):
            if expression.index >= WINDOW_BASE:
                return expression
            if expression.index >= AGGREGATE_BASE:
                return ColumnRef(expression.type, len(self.keys) + expression.index - AGGREGATE_BASE)
            shown, span = references.get(expression.index, ("?", NO_SPAN))
            raise invalid(f"Expression '{shown}' is not being grouped", span)
        if isinstance(expression, Call):
            arguments = tuple(self._rewrite(a, references) for a in expression.arguments)
            return replace(expression, arguments=arguments)
        if isinstance(expression, Cast):
            return replace(expression, argument=self._rewrite(expression.argument, references))
        if isinstance(expression, Case):
            branches = tuple(
                (self._rewrite(c, references), self._rewrite(r, references)) for c, r in expression.branches
            )
            return replace(expression, branches=branches, otherwise=self._rewrite(expression.otherwise, references))
        return expression


def _any_column(plan: Plan) -> Expression:
    """COUNT(*) without keys reads no column; a plan node has at least one."""
    return ColumnRef(plan.schema[0].type, 0)


def bind_grouping(
    group: GroupBy | None,
    written: Sequence[SelectItem],
    items: Sequence[Any],
    aliases: Mapping[str, Alias],
    env: Environment,
) -> Grouping:
    """The keys of a GROUP BY clause. `items` are the bound select items, for ordinals and ALL."""
    if group is None:
        return Grouping(())
    if group.all:
        found = [item.expression for item in items if not contains_aggregate(item.expression)]
        return Grouping(tuple(dict.fromkeys(found)))
    env = replace(env, aliases=aliases, clause="GROUP BY")
    keys: list[Expression] = []
    for node in group.items:
        for key in _group_key(node, items, env):
            if key not in keys:
                keys.append(key)
    return Grouping(tuple(keys))


def _group_key(node: Node, items: Sequence[Any], env: Environment) -> list[Expression]:
    if isinstance(node, Unbuilt):
        raise not_yet(node.what, node.span)
    if isinstance(node, RowExpression):
        return [key for item in node.items for key in _group_key(item, items, env)]
    if isinstance(node, Constant) and node.kind == "NUMBER" and node.text.isdigit():
        position = int(node.text)
        if not 1 <= position <= len(items):
            raise invalid("Ordinal out of range", node.span)
        key = items[position - 1].expression
        if contains_aggregate(key):
            raise invalid("Aggregate expression is illegal in GROUP BY clause", node.span)
        return [key]
    if is_aggregate(node):
        raise invalid("Aggregate expression is illegal in GROUP BY clause", node.span)
    if isinstance(node, Name) and len(node.parts) == 1 and _names_aggregate(node, env):
        raise invalid("Aggregate expression is illegal in GROUP BY clause", node.span)
    return [env.bind(node)]


def _names_aggregate(node: Name, env: Environment) -> bool:
    name = node.parts[0]
    alias = env.aliases.get(name.name)
    return alias is not None and env.scope.unqualified(name) is None and is_aggregate(alias.expression)


def contains_aggregate(expression: Expression) -> bool:
    """Whether a bound expression has an aggregate placeholder in it."""
    if isinstance(expression, ColumnRef):
        return expression.index >= AGGREGATE_BASE
    if isinstance(expression, Call):
        return any(contains_aggregate(a) for a in expression.arguments)
    if isinstance(expression, Cast):
        return contains_aggregate(expression.argument)
    if isinstance(expression, Case):
        parts = [e for branch in expression.branches for e in branch] + [expression.otherwise]
        return any(contains_aggregate(e) for e in parts)
    return False
