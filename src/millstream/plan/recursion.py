"""Recursive definitions made ready for incremental evaluation.

`split` separates what does not depend on the recursion (external relations, maintained outside it) from the bodies.

`levelled` gives a body one more column: the *level* at which a row is derived. A member's row has level n when the n-th
iteration finds it first. What is derived from several rows has the greatest level of theirs, what is derived from
external rows alone has level 0. operators/recursive.py tells what that is good for. Only monotone bodies have levels:
more input rows give more output rows. Multiplicities inside do not matter, because members are distinct: only whether
they are positive does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from millstream.expressions.nodes import ColumnRef, Expression, Literal, remap_columns
from millstream.expressions.registry import build_call
from millstream.plan.nodes import (
    Aggregate,
    AggregateCall,
    Column,
    Definition,
    Distinct,
    Except,
    Filter,
    Hop,
    Intersect,
    Join,
    JoinKind,
    Plan,
    Project,
    Scan,
    UnionAll,
    Unnest,
)
from millstream.plan.walk import nodes, with_inputs
from millstream.types.sql_type import BIGINT

LEVEL = Column("$level", BIGINT.with_nullable(False))


@dataclass(frozen=True)
class Recursion:
    """Bodies that scan members by name and external relation i by `external_name(i)`."""

    names: tuple[str, ...]
    bodies: tuple[Plan, ...]
    externals: tuple[Plan, ...]


def external_name(position: int) -> str:
    """The name by which bodies scan an external relation; no relation of a program is called so."""
    return f"$external{position}"


def split(definitions: Sequence[Definition]) -> Recursion:
    """The bodies with everything that does not read a member taken out."""
    names = frozenset(definition.name for definition in definitions)
    externals: list[Plan] = []

    def cut(plan: Plan) -> Plan:
        if reads(plan, names):
            return with_inputs(plan, [cut(child) for child in plan.inputs])
        if plan not in externals:
            externals.append(plan)
        return Scan(plan.schema, external_name(externals.index(plan)))

    bodies = tuple(cut(definition.plan) for definition in definitions)
    return Recursion(tuple(definition.name for definition in definitions), bodies, tuple(externals))


def reads(plan: Plan, names: Collection[str]) -> bool:
    """Whether a plan scans one of the relations."""
    return any(isinstance(node, Scan) and node.relation in names for node in nodes(plan))


class NotMonotoneError(Exception):
    """A body may lose rows when a member gains some."""


def levelled(body: Plan, names: Collection[str]) -> Plan:
    """The body over members that have a level as their last column; so has it. NotMonotoneError if it cannot."""
    return _Levels(frozenset(names)).whole(body)


class _Levels:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._rules: dict[type[Plan], Callable[..., Plan]] = {
            Scan: lambda plan: replace(plan, schema=(*plan.schema, LEVEL)),
            Project: self._project,
            Filter: self._filter,
            UnionAll: lambda plan: UnionAll((*plan.schema, LEVEL), tuple(self.whole(o) for o in plan.operands)),
            Distinct: lambda plan: lowest(self.plan(plan.input), range(len(plan.schema))),
            Join: self._join,
            Intersect: lambda plan: self._join(_matching(JoinKind.INNER, plan)),
            Except: self._except,
            Unnest: self._unnest,
            Hop: self._hop,
        }

    def whole(self, plan: Plan) -> Plan:
        """The plan with its level, 0 if it reads no member."""
        if reads(plan, self._names):
            return self.plan(plan)
        return _with_level(plan, range(len(plan.schema)), Literal(LEVEL.type, 0), plan.schema)

    def plan(self, plan: Plan) -> Plan:
        """The same for a plan that reads a member."""
        rule = self._rules.get(type(plan))
        if rule is None:
            raise NotMonotoneError
        return rule(plan)

    def _project(self, plan: Project) -> Plan:
        inner = self.plan(plan.input)
        return Project((*plan.schema, LEVEL), inner, (*plan.expressions, _last(inner)))

    def _filter(self, plan: Filter) -> Plan:
        inner = self.plan(plan.input)
        return Filter(inner.schema, inner, plan.predicate)

    def _except(self, plan: Except) -> Plan:
        if plan.all:
            raise NotMonotoneError
        return self._join(_matching(JoinKind.ANTI, plan))

    def _unnest(self, plan: Unnest) -> Plan:
        inner = self.plan(plan.input)
        kept, width = len(plan.kept), len(plan.schema)
        schema = (*plan.schema[:kept], LEVEL, *plan.schema[kept:])
        unnested = replace(plan, schema=schema, input=inner, kept=(*plan.kept, len(inner.schema) - 1))
        order = [*range(kept), *range(kept + 1, width + 1)]
        return _with_level(unnested, order, ColumnRef(LEVEL.type, kept), plan.schema)

    def _hop(self, plan: Hop) -> Plan:
        inner = self.plan(plan.input)
        width = len(plan.input.schema)
        hopped = replace(plan, schema=(*plan.schema[:width], LEVEL, *plan.schema[width:]), input=inner)
        order = [*range(width), width + 1, width + 2]
        return _with_level(hopped, order, ColumnRef(LEVEL.type, width), plan.schema)

    def _join(self, plan: Join) -> Plan:
        at_left, at_right = (reads(side, self._names) for side in plan.inputs)
        kind = plan.kind
        if kind is JoinKind.FULL or (at_right and kind in (JoinKind.ANTI, JoinKind.LEFT)):
            raise NotMonotoneError
        if at_left and kind is JoinKind.RIGHT:
            raise NotMonotoneError
        left = self.plan(plan.left) if at_left else plan.left
        right = self.plan(plan.right) if at_right else plan.right
        if kind in (JoinKind.SEMI, JoinKind.ANTI) and not at_right:
            return replace(plan, schema=left.schema, left=left)
        right_keys = plan.right_keys
        if kind is JoinKind.SEMI and plan.residual is None:
            right, right_keys = lowest(right, plan.right_keys), tuple(range(len(plan.right_keys)))
        return self._pairs(plan, left, right, right_keys)

    def _pairs(self, plan: Join, left: Plan, right: Plan, right_keys: tuple[int, ...]) -> Plan:
        """The join of sides of which at least one has a level."""
        width, shift = len(plan.left.schema), len(left.schema)
        moved = {i: i if i < width else i - width + shift for i in range(width + len(plan.right.schema))}
        joined = Join(
            left.schema + right.schema,
            JoinKind.INNER if plan.kind is JoinKind.SEMI else plan.kind,
            left,
            right,
            plan.left_keys,
            right_keys,
            plan.null_safe,
            None if plan.residual is None else remap_columns(plan.residual, moved),
        )
        levels: list[Expression] = []
        if shift > width:
            levels.append(ColumnRef(LEVEL.type, width))
        if len(right.schema) > len(plan.right.schema) or plan.kind is JoinKind.SEMI:
            levels.append(ColumnRef(LEVEL.type, len(joined.schema) - 1))
        level = levels[0] if len(levels) == 1 else build_call("GREATEST", levels)
        return _with_level(joined, [moved[i] for i in range(len(plan.schema))], level, plan.schema)


def lowest(plan: Plan, columns: Sequence[int]) -> Plan:
    """The distinct values of some columns of a plan with a level, each at its lowest level."""
    level = len(plan.schema) - 1
    schema = (*(plan.schema[c] for c in columns), LEVEL)
    return Aggregate(schema, plan, tuple(columns), (AggregateCall("MIN", (level,), LEVEL.type),))


def _matching(kind: JoinKind, plan: Intersect | Except) -> Join:
    columns = tuple(range(len(plan.schema)))
    schema = plan.left.schema if kind is JoinKind.ANTI else plan.left.schema + plan.right.schema
    join = Join(schema, kind, plan.left, plan.right, columns, columns, (True,) * len(columns))
    # The pairs of INTERSECT are equal: the left columns are enough.
    return join if kind is JoinKind.ANTI else replace(join, kind=JoinKind.SEMI, schema=plan.left.schema)


def _last(plan: Plan) -> Expression:
    return ColumnRef(LEVEL.type, len(plan.schema) - 1)


def _with_level(plan: Plan, order: Sequence[int], level: Expression, schema: Sequence[Column]) -> Plan:
    """The columns `order` of a plan under the names of `schema`, and the level."""
    columns = tuple(ColumnRef(plan.schema[i].type, i) for i in order)
    types = (Column(c.name, e.type, c.case_sensitive) for c, e in zip(schema, columns, strict=True))
    return Project((*types, LEVEL), plan, (*columns, level))
