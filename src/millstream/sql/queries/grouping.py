"""GROUP BY: which expressions are keys, the Aggregate node, and the rewriting of items over its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, Literal, columns_used
from millstream.plan.nodes import Aggregate, AggregateCall, Column, Plan, Project, Schema, UnionAll
from millstream.plan.program import Span
from millstream.sql.binding import AGGREGATE_BASE, WINDOW_BASE, Aggregates, Alias, Environment
from millstream.sql.calls import is_aggregate
from millstream.sql.messages import NO_SPAN, SqlError, invalid
from millstream.sql.syntax import (
    Constant,
    GroupBy,
    GroupingSets,
    Name,
    Node,
    RowExpression,
    SelectItem,
)

MAX_CUBE = 12
MAX_GROUPING_SETS = 4096
References = Mapping[int, tuple[str, Span]]


@dataclass(frozen=True)
class Grouping:
    """The grouping keys, as expressions over the input rows, and the sets of them that rows are grouped by."""

    keys: tuple[Expression, ...]
    sets: tuple[tuple[int, ...], ...]

    @property
    def partial_columns(self) -> set[int]:
        """Input columns of keys that some set lacks: NULL in its rows."""
        missing = {i for s in self.sets for i in range(len(self.keys)) if i not in s}
        return {column for i in missing for column in columns_used(self.keys[i])}

    def build(
        self, plan: Plan, aggregates: Aggregates, references: References
    ) -> tuple[Plan, Callable[[Expression], Expression]]:
        """The Aggregate over `plan`, and the rewriting of an expression over input rows to one over its output."""
        inputs: list[Expression] = list(self.keys)
        for expression in aggregates.inputs:
            if expression not in inputs:
                inputs.append(expression)
        place = [inputs.index(expression) for expression in aggregates.inputs]
        for call, span in aggregates.places.items():
            if any(place[a] >= len(self.keys) for a in call.arguments):
                raise invalid("Argument to GROUPING operator must be a grouped expression", span)
        if not inputs:
            inputs = [_any_column(plan)]
        schema = tuple(Column(f"$g{i}", e.type) for i, e in enumerate(inputs))
        projected = Project(schema, plan, tuple(inputs))
        calls = tuple(call.moved(place.__getitem__) for call in aggregates.calls)
        parts = [self._grouped(projected, keys, calls) for keys in self.sets]
        result = parts[0] if len(parts) == 1 else UnionAll(self._schema(schema, calls), tuple(parts))
        return result, lambda e: self._rewrite(e, references)

    def _schema(self, inputs: Schema, calls: Sequence[AggregateCall]) -> Schema:
        partial = {i for s in self.sets for i in range(len(self.keys)) if i not in s}
        keys = [
            replace(c, type=c.type.with_nullable(True)) if i in partial else c
            for i, c in enumerate(inputs[: len(self.keys)])
        ]
        return (*keys, *(Column(f"$a{i}", call.type) for i, call in enumerate(calls)))

    def _grouped(self, projected: Project, keys: tuple[int, ...], calls: tuple[AggregateCall, ...]) -> Plan:
        """The groups of one set: all keys, NULL for those that it lacks, then the calls."""
        width = len(self.keys)
        real = [(i, call) for i, call in enumerate(calls) if call.function != "GROUPING"]
        own = tuple(projected.schema[k] for k in keys)
        schema = own + tuple(Column(f"$a{i}", call.type) for i, call in real)
        aggregate = Aggregate(schema, projected, keys, tuple(call for _, call in real))
        if keys == tuple(range(width)) and len(real) == len(calls):
            return aggregate
        values: list[Expression] = []
        for position, column in enumerate(projected.schema[:width]):
            if position in keys:
                values.append(ColumnRef(column.type, keys.index(position)))
            else:
                values.append(Literal(column.type.with_nullable(True), None))
        at = {i: len(keys) + n for n, (i, _) in enumerate(real)}
        for i, call in enumerate(calls):
            values.append(ColumnRef(call.type, at[i]) if i in at else _grouping_bits(call, keys))
        out = self._schema(projected.schema, calls)
        return Project(out, aggregate, tuple(values))

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


def _grouping_bits(call: AggregateCall, keys: tuple[int, ...]) -> Expression:
    """The value of GROUPING in the rows of one set."""
    bits = 0
    for argument in call.arguments:
        bits = 2 * bits + (argument not in keys)
    return Literal(call.type, bits)


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
        return Grouping((), ((),))
    if group.all:
        found = tuple(dict.fromkeys(i.expression for i in items if not contains_aggregate(i.expression)))
        return Grouping(found, (tuple(range(len(found))),))
    env = replace(env, aliases=aliases, clause="GROUP BY")
    keys: list[Expression] = []
    sets: list[tuple[int, ...]] = []
    for nodes in grouping_sets(group):
        members: list[int] = []
        for key in (key for node in nodes for key in _group_key(node, items, env)):
            if key not in keys:
                keys.append(key)
            if keys.index(key) not in members:
                members.append(keys.index(key))
        sets.append(tuple(sorted(members)))
    return Grouping(tuple(keys), tuple(dict.fromkeys(sets) if group.distinct else sets))


_Set = tuple[Node, ...]


def grouping_sets(group: GroupBy) -> list[_Set]:
    """The sets of expressions that GROUP BY groups by: every combination of the sets of its items."""
    if group.all:
        return [(group,)]
    result: list[_Set] = [()]
    for item in group.items:
        result = [first + second for first in result for second in _sets_of(item)]
        if len(result) > MAX_GROUPING_SETS:
            text = f"More than {MAX_GROUPING_SETS} grouping sets are not supported"
            raise SqlError(text, group.span, error_type="Not supported")
    return result


def _sets_of(item: Node) -> list[_Set]:
    if not isinstance(item, GroupingSets):
        return [(item,)] if not isinstance(item, RowExpression) else [item.items]
    parts = [_sets_of(part) for part in item.items]
    if item.kind == "GROUPING SETS":
        return [one for part in parts for one in part]
    units = [part[0] for part in parts]
    if item.kind == "ROLLUP":
        return [_joined(units[:size]) for size in range(len(units), -1, -1)]
    if len(units) > MAX_CUBE:
        raise SqlError(f"CUBE of more than {MAX_CUBE} columns is not supported", item.span, error_type="Not supported")
    size = len(units)
    masks = range((1 << size) - 1, -1, -1)
    return [_joined([unit for i, unit in enumerate(units) if mask >> (size - 1 - i) & 1]) for mask in masks]


def _joined(units: Sequence[_Set]) -> _Set:
    return tuple(node for unit in units for node in unit)


def _group_key(node: Node, items: Sequence[Any], env: Environment) -> list[Expression]:
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
    if is_aggregate(node, env):
        raise invalid("Aggregate expression is illegal in GROUP BY clause", node.span)
    if isinstance(node, Name) and len(node.parts) == 1 and _names_aggregate(node, env):
        raise invalid("Aggregate expression is illegal in GROUP BY clause", node.span)
    return [env.bind(node)]


def _names_aggregate(node: Name, env: Environment) -> bool:
    name = node.parts[0]
    alias = env.aliases.get(name.name)
    return alias is not None and env.scope.unqualified(name) is None and is_aggregate(alias.expression, env)


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
