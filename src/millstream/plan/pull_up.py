"""Correlated conditions moved out of a sub-query, so that they become the condition of a join with it.

`SELECT .. FROM u WHERE u.a = t.a AND u.c > 0` becomes `SELECT .., u.a FROM u WHERE u.c > 0` and the condition
`u.a = t.a`. Equalities also pass aggregates (which are then grouped by the equal column), DISTINCT and LIMIT. Where
correlation cannot be moved out, plan/dependent.py takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from millstream.expressions.aggregates import NEVER_NULL
from millstream.expressions.nodes import Call, ColumnRef, Expression, Literal, columns_used, remap_columns, substitute
from millstream.expressions.registry import build_call
from millstream.plan.conditions import conjunction, may_fail, split_conjunction
from millstream.plan.nodes import (
    Aggregate,
    AggregateCall,
    Column,
    Distinct,
    Filter,
    Join,
    JoinKind,
    Plan,
    Project,
    TopK,
)
from millstream.plan.outer_refs import is_correlated, outer_columns
from millstream.types import Kind

_EQUALITIES = ("=", "<=>", "IS NOT DISTINCT FROM")


@dataclass(frozen=True)
class Pulled:
    """A plan that is not correlated, whose first columns are those of the original; the conditions, over its columns
    and the outer row, under which its rows belong to an outer row.

    `missing`: the values that the original gives, in one row, for an outer row to which no row belongs.
    """

    plan: Plan
    conditions: tuple[Expression, ...] = ()
    missing: tuple[Expression, ...] | None = None


def pull_up(plan: Plan) -> Pulled | None:
    """The plan without correlation and the conditions taken out of it; None if that is not possible."""
    if not is_correlated(plan):
        return Pulled(plan)
    if isinstance(plan, Filter):
        return _filter(plan)
    if isinstance(plan, Project):
        return _project(plan)
    if isinstance(plan, Join):
        return _join(plan)
    if isinstance(plan, Aggregate):
        return _aggregate(plan)
    if isinstance(plan, Distinct | TopK):
        return _per_key(plan)
    return None


def equality(condition: Expression) -> tuple[Expression, Expression, str] | None:
    """The two sides of a condition that equates something of the sub-query with something of the outer row."""
    if not isinstance(condition, Call) or condition.name not in _EQUALITIES or len(condition.arguments) != 2:
        return None
    first, second = condition.arguments
    if outer_columns(first):
        first, second = second, first
    if outer_columns(first) or columns_used(second) or not columns_used(first):
        return None
    return first, second, condition.name


def _filter(plan: Filter) -> Pulled | None:
    child = pull_up(plan.input)
    if child is None or child.missing is not None:
        return None
    conditions = list(child.conditions)
    kept: list[Expression] = []
    for part in split_conjunction(plan.predicate):
        # what may fail stays behind the conditions written before it
        if outer_columns(part) or (conditions and may_fail(part)):
            conditions.append(part)
        else:
            kept.append(part)
    predicate = conjunction(kept)
    filtered = child.plan if predicate is None else Filter(child.plan.schema, child.plan, predicate)
    return Pulled(filtered, tuple(conditions))


def _project(plan: Project) -> Pulled | None:
    child = pull_up(plan.input)
    if child is None or any(outer_columns(e) for e in plan.expressions):
        return None
    projected, place = _with_columns(plan, child.plan, _columns_of(child.conditions))
    conditions = tuple(remap_columns(c, place) for c in child.conditions)
    if child.missing is None:
        return Pulled(projected, conditions)
    values = dict(enumerate(child.missing))
    return Pulled(projected, conditions, tuple(substitute(e, values) for e in plan.expressions))


def _columns_of(conditions: Sequence[Expression]) -> list[int]:
    return sorted({column for c in conditions for column in columns_used(c)})


def _with_columns(plan: Project, source: Plan, columns: Sequence[int]) -> tuple[Plan, dict[int, int]]:
    """A projection of `source` that keeps more of its columns, and where these are then."""
    width = len(plan.expressions)
    added = tuple(source.schema[c] for c in columns)
    expressions = plan.expressions + tuple(ColumnRef(source.schema[c].type, c) for c in columns)
    place = {c: width + i for i, c in enumerate(columns)}
    return Project(plan.schema + added, source, expressions), place


def _join(plan: Join) -> Pulled | None:
    residual = [] if plan.residual is None else split_conjunction(plan.residual)
    correlated = [part for part in residual if outer_columns(part)]
    if is_correlated(plan.right) and plan.kind is not JoinKind.INNER:
        return None
    if plan.kind in (JoinKind.RIGHT, JoinKind.FULL) or (correlated and plan.kind is not JoinKind.INNER):
        return None
    left, right = pull_up(plan.left), pull_up(plan.right)
    if left is None or right is None or left.missing is not None or right.missing is not None:
        return None
    first = next((n for n, part in enumerate(residual) if outer_columns(part)), len(residual))
    moved = [part for n, part in enumerate(residual) if outer_columns(part) or (n > first and may_fail(part))]
    kept = [part for part in residual if part not in moved]
    return _joined(plan, left, right, kept, moved)


def _joined(plan: Join, left: Pulled, right: Pulled, kept: list[Expression], moved: list[Expression]) -> Pulled:
    """The join over wider inputs, its columns put back in the order of the original."""
    old_left, old_right = len(plan.left.schema), len(plan.right.schema)
    new_left, new_right = len(left.plan.schema), len(right.plan.schema)
    only_left = plan.kind in (JoinKind.SEMI, JoinKind.ANTI)
    shift = {i: i if i < old_left else i - old_left + new_left for i in range(old_left + old_right)}
    kept = [remap_columns(part, shift) for part in kept]
    schema = left.plan.schema
    if not only_left:
        own = plan.schema[old_left:] + right.plan.schema[old_right:]
        schema = plan.schema[:old_left] + left.plan.schema[old_left:] + own
    joined = replace(plan, schema=schema, left=left.plan, right=right.plan, residual=conjunction(kept))
    if only_left:
        return Pulled(joined, left.conditions)
    order = [*range(old_left), *range(new_left, new_left + old_right), *range(old_left, new_left)]
    order += range(new_left + old_right, new_left + new_right)
    place = {column: position for position, column in enumerate(order)}
    columns = tuple(schema[c] for c in order)
    ordered = Project(columns, joined, tuple(ColumnRef(c.type, i) for c, i in zip(columns, order, strict=True)))
    conditions = [remap_columns(c, place) for c in left.conditions]
    conditions += [remap_columns(c, {i: place[i + new_left] for i in range(new_right)}) for c in right.conditions]
    conditions += [remap_columns(c, {old: place[new] for old, new in shift.items()}) for c in moved]
    return Pulled(ordered, tuple(conditions))


# ---- nodes that work on groups: only equalities pass ----


@dataclass(frozen=True)
class _Keyed:
    """A pulled input with one column for each equality behind the original ones."""

    plan: Plan
    width: int
    pairs: tuple[tuple[Expression, Expression, str], ...]

    def conditions(self, first: int) -> tuple[Expression, ...]:
        """The equalities, over key columns that begin at `first`."""
        return tuple(
            build_call(name, [ColumnRef(inner.type, first + i), outer])
            for i, (inner, outer, name) in enumerate(self.pairs)
        )

    @property
    def keys(self) -> tuple[int, ...]:
        return tuple(range(self.width, self.width + len(self.pairs)))


def _keyed(plan: Plan) -> _Keyed | None:
    child = pull_up(plan)
    if child is None or child.missing is not None:
        return None
    pairs = []
    for condition in child.conditions:
        pair = equality(condition)
        if pair is None:
            return None
        pairs.append(pair)
    width = len(plan.schema)
    own = tuple(ColumnRef(c.type, i) for i, c in enumerate(plan.schema))
    schema = plan.schema + tuple(Column(f"$outer{i}", inner.type) for i, (inner, _, _) in enumerate(pairs))
    keyed = Project(schema, child.plan, own + tuple(inner for inner, _, _ in pairs))
    return _Keyed(keyed, width, tuple(pairs))


def _aggregate(plan: Aggregate) -> Pulled | None:
    keyed = _keyed(plan.input)
    if keyed is None:
        return None
    group = plan.group + keyed.keys
    old, added = len(plan.group), len(keyed.keys)
    keys = tuple(keyed.plan.schema[k] for k in keyed.keys)
    schema = plan.schema[:old] + keys + plan.schema[old:]
    aggregate = Aggregate(schema, keyed.plan, group, plan.calls)
    order = [*range(old), *range(old + added, len(schema)), *range(old, old + added)]
    columns = tuple(schema[i] for i in order)
    ordered = Project(columns, aggregate, tuple(ColumnRef(c.type, i) for c, i in zip(columns, order, strict=True)))
    missing = None if plan.group else tuple(empty_value(call) for call in plan.calls)
    return Pulled(ordered, keyed.conditions(len(plan.schema)), missing)


def empty_value(call: AggregateCall) -> Expression:
    """The value of an aggregate over no rows."""
    if call.function not in NEVER_NULL:
        return Literal(call.type.with_nullable(True), None)
    return Literal(call.type, () if call.type.kind is Kind.ARRAY else 0)


def _per_key(plan: Distinct | TopK) -> Pulled | None:
    keyed = _keyed(plan.input)
    if keyed is None:
        return None
    schema = keyed.plan.schema
    conditions = keyed.conditions(keyed.width)
    if isinstance(plan, Distinct):
        return Pulled(Distinct(schema, keyed.plan), conditions)
    partition = plan.partition + keyed.keys
    return Pulled(replace(plan, schema=schema, input=keyed.plan, partition=partition), conditions)
