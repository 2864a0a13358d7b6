"""Sub-queries evaluated for all outer rows at once (Neumann and Kemper, "Unnesting Arbitrary Queries", BTW 2015).

The distinct values that the outer rows give to a sub-query's references are a relation, D. The sub-query is rewritten,
from the top down, to one that computes its rows for every row of D, with D's columns in front: aggregates group by
them, limits hold for each of them. Parts without references are joined with D as they are. The result is joined with
the outer rows where D's columns are equal, NULL or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from millstream.expressions.nodes import ColumnRef, Expression, OuterRef
from millstream.expressions.registry import build_call
from millstream.plan.conditions import map_children
from millstream.plan.joining import joined_schema
from millstream.plan.nodes import (
    Aggregate,
    Column,
    Distinct,
    Except,
    Filter,
    Hop,
    Intersect,
    Join,
    JoinKind,
    Plan,
    Project,
    Schema,
    Session,
    SortKey,
    TopK,
    UnionAll,
    Unnest,
    Values,
    Window,
)
from millstream.plan.outer_refs import is_correlated
from millstream.plan.pull_up import empty_value


class CannotDecorrelateError(Exception):
    """A construct between a reference and the query that it refers to through which no rewriting leads."""


class Dependent:
    """The rewriting of one sub-query. `parameters`: a plan of distinct rows; `places`: which of its columns stands for
    which column of the outer row."""

    def __init__(self, parameters: Plan, places: dict[int, int]) -> None:
        self.parameters = parameters
        self.places = places
        self.count = len(parameters.schema)

    def rewrite(self, plan: Plan) -> Plan:
        """The plan for every row of the parameters: their columns, then its own."""
        if not is_correlated(plan):
            return self._crossed(plan)
        handler = _HANDLERS.get(type(plan))
        if handler is None:
            raise CannotDecorrelateError
        return handler(self, plan)

    @property
    def front(self) -> Schema:
        return self.parameters.schema

    def _crossed(self, plan: Plan) -> Plan:
        return Join(self.front + plan.schema, JoinKind.INNER, self.parameters, plan, (), (), ())

    def bound(self, expression: Expression, shift: Callable[[int], int] | None = None) -> Expression:
        """An expression of the original over the rows of the rewritten plan."""
        if isinstance(expression, ColumnRef):
            index = expression.index + self.count if shift is None else shift(expression.index)
            return ColumnRef(expression.type, index)
        if isinstance(expression, OuterRef) and expression.level == 1:
            return ColumnRef(expression.type, self.places[expression.index])
        return map_children(expression, lambda child: self.bound(child, shift))

    def _front_refs(self) -> tuple[Expression, ...]:
        return tuple(ColumnRef(c.type, i) for i, c in enumerate(self.front))

    def _moved(self, columns: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(c + self.count for c in columns)

    def _all(self) -> tuple[int, ...]:
        return tuple(range(self.count))

    # ---- nodes ----

    def filter(self, plan: Filter) -> Plan:
        return Filter(self.front + plan.schema, self.rewrite(plan.input), self.bound(plan.predicate))

    def project(self, plan: Project) -> Plan:
        expressions = self._front_refs() + tuple(self.bound(e) for e in plan.expressions)
        return Project(self.front + plan.schema, self.rewrite(plan.input), expressions)

    def values(self, plan: Values) -> Plan:
        schema = self.front + plan.schema
        rows = [
            Project(schema, self.parameters, self._front_refs() + tuple(self.bound(cell) for cell in row))
            for row in plan.rows
        ]
        return rows[0] if len(rows) == 1 else UnionAll(schema, tuple(rows))

    def distinct(self, plan: Distinct) -> Plan:
        return Distinct(self.front + plan.schema, self.rewrite(plan.input))

    def union(self, plan: UnionAll) -> Plan:
        return UnionAll(self.front + plan.schema, tuple(self.rewrite(operand) for operand in plan.operands))

    def set_operation(self, plan: Except | Intersect) -> Plan:
        left, right = self.rewrite(plan.left), self.rewrite(plan.right)
        return replace(plan, schema=self.front + plan.schema, left=left, right=right)

    def top_k(self, plan: TopK) -> Plan:
        return replace(
            plan,
            schema=self.front + plan.schema,
            input=self.rewrite(plan.input),
            partition=self._all() + self._moved(plan.partition),
            keys=self._keys(plan.keys),
        )

    def _keys(self, keys: tuple[SortKey, ...]) -> tuple[SortKey, ...]:
        return tuple(replace(key, column=key.column + self.count) for key in keys)

    def window(self, plan: Window) -> Plan:
        calls = tuple(
            replace(
                call,
                arguments=self._moved(call.arguments),
                filter=None if call.filter is None else call.filter + self.count,
            )
            for call in plan.calls
        )
        return Window(
            self.front + plan.schema,
            self.rewrite(plan.input),
            self._all() + self._moved(plan.partition),
            self._keys(plan.keys),
            calls,
        )

    def hop(self, plan: Hop) -> Plan:
        moved = plan.time_column + self.count
        return replace(plan, schema=self.front + plan.schema, input=self.rewrite(plan.input), time_column=moved)

    def session(self, plan: Session) -> Plan:
        return replace(
            plan,
            schema=self.front + plan.schema,
            input=self.rewrite(plan.input),
            partition=self._all() + self._moved(plan.partition),
            time_column=plan.time_column + self.count,
            kept=self._all() + self._moved(plan.kept),
        )

    def unnest(self, plan: Unnest) -> Plan:
        return replace(
            plan,
            schema=self.front + plan.schema,
            input=self.rewrite(plan.input),
            column=plan.column + self.count,
            kept=self._all() + self._moved(plan.kept),
        )

    def aggregate(self, plan: Aggregate) -> Plan:
        calls = tuple(call.moved(lambda column: column + self.count) for call in plan.calls)
        group = self._all() + self._moved(plan.group)
        totals = Aggregate(self.front + plan.schema, self.rewrite(plan.input), group, calls)
        return totals if plan.group else self._with_empty(plan, totals)

    def _with_empty(self, plan: Aggregate, totals: Plan) -> Plan:
        """An aggregate without GROUP BY has a row even for parameters to which nothing belongs."""
        every = self._all()
        schema = joined_schema(JoinKind.LEFT, self.front, totals.schema)
        joined = Join(schema, JoinKind.LEFT, self.parameters, totals, every, every, (True,) * self.count)
        results = []
        for position, call in enumerate(plan.calls, 2 * self.count):
            result: Expression = ColumnRef(schema[position].type, position)
            empty = empty_value(call)
            results.append(build_call("COALESCE", [result, empty]) if not empty.type.nullable else result)
        columns = tuple(Column(c.name, e.type, c.case_sensitive) for c, e in zip(plan.schema, results, strict=True))
        return Project(self.front + columns, joined, (*self._front_refs(), *results))

    def join(self, plan: Join) -> Plan:
        if not is_correlated(plan.right) and plan.kind not in (JoinKind.RIGHT, JoinKind.FULL):
            return replace(
                plan,
                schema=self.front + plan.schema,
                left=self.rewrite(plan.left),
                left_keys=self._moved(plan.left_keys),
                residual=None if plan.residual is None else self.bound(plan.residual),
            )
        return self._both(plan)

    def _both(self, plan: Join) -> Plan:
        """Both sides for every parameter, joined for equal parameters."""
        left, right = self.rewrite(plan.left), self.rewrite(plan.right)
        width = len(plan.left.schema)

        def shift(index: int) -> int:
            return index + self.count if index < width else index + 2 * self.count

        schema = joined_schema(plan.kind, left.schema, right.schema)
        joined = Join(
            schema,
            plan.kind,
            left,
            right,
            self._all() + self._moved(plan.left_keys),
            self._all() + self._moved(plan.right_keys),
            (True,) * self.count + plan.null_safe,
            None if plan.residual is None else self.bound(plan.residual, shift),
        )
        if plan.kind in (JoinKind.SEMI, JoinKind.ANTI):
            return joined
        second = width + self.count
        front = [self._parameter(plan.kind, schema, i, second + i) for i in range(self.count)]
        rest = [*range(self.count, second), *range(second + self.count, len(schema))]
        columns = tuple(Column(c.name, e.type) for c, e in zip(self.front, front, strict=True))
        expressions = (*front, *(ColumnRef(schema[i].type, i) for i in rest))
        return Project(columns + tuple(schema[i] for i in rest), joined, expressions)

    def _parameter(self, kind: JoinKind, schema: Schema, first: int, second: int) -> Expression:
        """A parameter's column, from the side that is not padded."""
        left, right = ColumnRef(schema[first].type, first), ColumnRef(schema[second].type, second)
        if kind is JoinKind.RIGHT:
            return right
        return build_call("COALESCE", [left, right]) if kind is JoinKind.FULL else left


_HANDLERS: dict[type[Plan], Callable[[Dependent, Any], Plan]] = {
    Filter: Dependent.filter,
    Project: Dependent.project,
    Values: Dependent.values,
    Distinct: Dependent.distinct,
    UnionAll: Dependent.union,
    Except: Dependent.set_operation,
    Intersect: Dependent.set_operation,
    TopK: Dependent.top_k,
    Window: Dependent.window,
    Hop: Dependent.hop,
    Session: Dependent.session,
    Unnest: Dependent.unnest,
    Aggregate: Dependent.aggregate,
    Join: Dependent.join,
}
