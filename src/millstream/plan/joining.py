"""Joins from conditions: keys, filters of one side, and a residual.

An equality between the sides becomes a pair of key columns; a key that is an expression is computed in a projection
under the join. A condition on one side that only decides about matches there becomes a filter of that side. The rest
is the residual.

What may fail is evaluated where it was written: a condition that may fail stays in the residual, on pairs that
nothing before it has ruled out. A *key* that may fail is computed for rows of its side even if they have no partner (a
join by hash has no other way), but not for rows that earlier conditions on that side exclude: there it is NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from millstream.expressions.nodes import Call, ColumnRef, Expression, columns_used, remap_columns
from millstream.expressions.registry import build_call, build_case
from millstream.plan.conditions import conjunction, may_fail
from millstream.plan.nodes import Column, Filter, Join, JoinKind, Plan, Project, Schema
from millstream.types import Kind

_EQUALITIES = {"=": False, "<=>": True, "IS NOT DISTINCT FROM": True}
#: Kinds whose rows of that side only appear when matched, so that a condition on the side filters its input
_FILTERS_LEFT = (JoinKind.INNER, JoinKind.RIGHT, JoinKind.SEMI)
_FILTERS_RIGHT = (JoinKind.INNER, JoinKind.LEFT, JoinKind.SEMI, JoinKind.ANTI)


@dataclass
class _Side:
    """One input of a join while its keys and filters are collected. `guards`: conditions on this side that are not
    applied before the join."""

    plan: Plan
    filtered: bool
    filters: list[Expression] = field(default_factory=list)
    guards: list[Expression] = field(default_factory=list)
    expressions: list[Expression] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expressions = _references(self.plan.schema)

    def key(self, expression: Expression) -> int:
        if expression not in self.expressions:
            if self.guards and may_fail(expression):
                condition = conjunction(self.guards)
                assert condition is not None
                expression = build_case([(condition, expression)], None)
            self.expressions.append(expression)
        return self.expressions.index(expression)

    def built(self) -> Plan:
        """The input, filtered, with its computed keys appended."""
        plan, width = self.plan, len(self.plan.schema)
        condition = conjunction(self.filters)
        if condition is not None:
            plan = Filter(plan.schema, plan, condition)
        if len(self.expressions) == width:
            return plan
        added = tuple(Column(f"$key{i}", e.type) for i, e in enumerate(self.expressions[width:]))
        return Project(plan.schema + added, plan, tuple(self.expressions))


def _references(schema: Schema) -> list[Expression]:
    return [ColumnRef(c.type, i) for i, c in enumerate(schema)]


def join_plan(kind: JoinKind, left: Plan, right: Plan, conjuncts: Sequence[Expression]) -> Plan:
    """The join of two plans where all `conjuncts`, over the concatenation of their columns, are TRUE."""
    width = len(left.schema)
    sides = (_Side(left, kind in _FILTERS_LEFT), _Side(right, kind in _FILTERS_RIGHT))
    keys: list[tuple[int, int, bool]] = []
    residual: list[Expression] = []
    guarded = False  # some condition on both sides must hold before what follows is evaluated
    for conjunct in conjuncts:
        pair = _key_pair(conjunct, width)
        if pair is not None and not (guarded and may_fail(conjunct)):
            keys.append((sides[0].key(pair[0]), sides[1].key(pair[1]), pair[2]))
            continue
        if not _placed_on_one_side(conjunct, sides, width):
            residual.append(conjunct)
            used = columns_used(conjunct)
            guarded = guarded or (bool(used) and min(used) < width <= max(used))
    return _joined(kind, sides, keys, residual)


def _placed_on_one_side(conjunct: Expression, sides: tuple[_Side, _Side], width: int) -> bool:
    """Note a condition on one side only; whether it became a filter there."""
    used = columns_used(conjunct)
    if not used or min(used) < width <= max(used):
        return False
    side = sides[0] if max(used) < width else sides[1]
    if side is sides[1]:
        conjunct = remap_columns(conjunct, {i: i - width for i in used})
    if side.filtered and not may_fail(conjunct):
        side.filters.append(conjunct)
        return True
    side.guards.append(conjunct)
    return False


def _joined(
    kind: JoinKind, sides: tuple[_Side, _Side], keys: list[tuple[int, int, bool]], residual: list[Expression]
) -> Plan:
    left, right = sides[0].built(), sides[1].built()
    width, new_width, right_width = len(sides[0].plan.schema), len(left.schema), len(sides[1].plan.schema)
    rest = conjunction(residual)
    if rest is not None and new_width != width:
        rest = remap_columns(rest, {i: i if i < width else i + new_width - width for i in columns_used(rest)})
    schema = joined_schema(kind, left.schema, right.schema)
    left_keys, right_keys = tuple(k[0] for k in keys), tuple(k[1] for k in keys)
    joined = Join(schema, kind, left, right, left_keys, right_keys, tuple(k[2] for k in keys), rest)
    kept = list(range(width))
    if kind not in (JoinKind.SEMI, JoinKind.ANTI):
        kept += [new_width + i for i in range(right_width)]
    if len(kept) == len(schema):
        return joined
    return Project(tuple(schema[i] for i in kept), joined, tuple(ColumnRef(schema[i].type, i) for i in kept))


def joined_schema(kind: JoinKind, left: Schema, right: Schema) -> Schema:
    """The output columns of a join: padded sides are nullable."""
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        return left
    if kind in (JoinKind.RIGHT, JoinKind.FULL):
        left = tuple(replace(c, type=c.type.with_nullable(True)) for c in left)
    if kind in (JoinKind.LEFT, JoinKind.FULL):
        right = tuple(replace(c, type=c.type.with_nullable(True)) for c in right)
    return left + right


def key_conditions(join: Join) -> list[Expression]:
    """The keys of a join as equalities over the concatenated columns."""
    width = len(join.left.schema)
    conditions = []
    for left, right, null_safe in zip(join.left_keys, join.right_keys, join.null_safe, strict=True):
        operands = [
            ColumnRef(join.left.schema[left].type, left),
            ColumnRef(join.right.schema[right].type, right + width),
        ]
        conditions.append(build_call("<=>" if null_safe else "=", operands))
    return conditions


def _key_pair(conjunct: Expression, width: int) -> tuple[Expression, Expression, bool] | None:
    """The key expressions of an equality between the two sides, each over its own side's columns."""
    if not isinstance(conjunct, Call) or conjunct.name not in _EQUALITIES or len(conjunct.arguments) != 2:
        return None
    first, second = conjunct.arguments
    used_first, used_second = columns_used(first), columns_used(second)
    if not used_first or not used_second:
        return None
    if min(used_first) >= width and max(used_second) < width:
        first, second, used_first, used_second = second, first, used_second, used_first
    if max(used_first) >= width or min(used_second) < width:
        return None
    if not _same_key_type(first, second):
        return None
    return first, remap_columns(second, {i: i - width for i in used_second}), _EQUALITIES[conjunct.name]


def _same_key_type(first: Expression, second: Expression) -> bool:
    if first.type.kind is Kind.VARCHAR and second.type.kind is Kind.VARCHAR:
        return True
    return first.type.same_apart_from_nullability(second.type)
