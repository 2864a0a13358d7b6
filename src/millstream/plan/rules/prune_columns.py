"""Columns that nobody reads are dropped before state is kept of them: under joins and aggregates.

Operators whose meaning is in whole rows keep all columns of their input: DISTINCT, EXCEPT, INTERSECT, and TopK and
Window, whose ties all columns break.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from millstream.expressions.nodes import ColumnRef, remap_columns
from millstream.plan.nodes import (
    Aggregate,
    Filter,
    Hop,
    Join,
    Plan,
    Project,
    Session,
    UnionAll,
    Unnest,
    Values,
    Window,
)
from millstream.plan.usage import input_columns
from millstream.plan.walk import with_inputs
from millstream.types import Kind

#: A plan, and where each column of the original that is still there now stands.
_Pruned = tuple[Plan, dict[int, int]]
_NARROW = (Kind.BOOLEAN, Kind.TINYINT, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.DATE)


def prune_columns(plan: Plan) -> Plan:
    """Drop unused columns everywhere inside a plan; its own columns stay."""
    return exactly(plan, range(len(plan.schema)))


def exactly(plan: Plan, wanted: Collection[int]) -> Plan:
    """The plan with the columns `wanted`, in their order."""
    columns = sorted(wanted) or [_cheapest(plan)]
    pruned, place = _pruned(plan, set(columns))
    if [place[c] for c in columns] == list(range(len(pruned.schema))):
        return pruned
    schema = tuple(plan.schema[c] for c in columns)
    return Project(schema, pruned, tuple(ColumnRef(c.type, place[i]) for i, c in zip(columns, schema, strict=True)))


def _cheapest(plan: Plan) -> int:
    """A plan node has at least one column: where only the number of rows matters, a narrow one."""
    return next((i for i, c in enumerate(plan.schema) if c.type.kind in _NARROW), 0)


def _pruned(plan: Plan, wanted: set[int]) -> _Pruned:
    """The plan without some of the columns that are not wanted."""
    if isinstance(plan, Filter):
        inner, place = _pruned(plan.input, *input_columns(plan, wanted))
        predicate = remap_columns(plan.predicate, place)
        return Filter(inner.schema, inner, predicate), place
    if isinstance(plan, Project):
        return _project(plan, wanted)
    if isinstance(plan, Join):
        return _join(plan, wanted)
    if isinstance(plan, Aggregate):
        return _aggregate(plan, wanted)
    if isinstance(plan, UnionAll):
        order = sorted(wanted)
        operands = tuple(exactly(operand, order) for operand in plan.operands)
        schema = tuple(plan.schema[i] for i in order)
        return UnionAll(schema, operands), _places(order)
    if isinstance(plan, Hop):
        return _hop(plan, wanted)
    if isinstance(plan, Session):
        return _session(plan, wanted)
    if isinstance(plan, Unnest):
        return _unnest(plan, wanted)
    if isinstance(plan, Window):
        return _window(plan, wanted)
    if isinstance(plan, Values) and plan.rows:
        order = sorted(wanted)
        rows = tuple(tuple(row[i] for i in order) for row in plan.rows)
        return Values(tuple(plan.schema[i] for i in order), rows), _places(order)
    inputs = [exactly(child, range(len(child.schema))) for child in plan.inputs]
    return with_inputs(plan, inputs), {i: i for i in range(len(plan.schema))}


def _places(order: list[int]) -> dict[int, int]:
    return {column: position for position, column in enumerate(order)}


def _project(plan: Project, wanted: set[int]) -> _Pruned:
    order = sorted(wanted)
    used = input_columns(plan, wanted)[0] or {_cheapest(plan.input)}
    inner, place = _pruned(plan.input, used)
    expressions = tuple(remap_columns(plan.expressions[i], place) for i in order)
    return Project(tuple(plan.schema[i] for i in order), inner, expressions), _places(order)


def _join(plan: Join, wanted: set[int]) -> _Pruned:
    width = len(plan.left.schema)
    needs = input_columns(plan, wanted)
    columns = [sorted(need) or [_cheapest(side)] for need, side in zip(needs, plan.inputs, strict=True)]
    left, right = (exactly(side, order) for side, order in zip(plan.inputs, columns, strict=True))
    at_left, at_right = _places(columns[0]), _places(columns[1])
    moved = dict(at_left)
    moved.update({width + c: len(columns[0]) + position for c, position in at_right.items()})
    places = {old: new for old, new in moved.items() if old < len(plan.schema)}
    joined = replace(
        plan,
        schema=tuple(plan.schema[i] for i in places),
        left=left,
        right=right,
        left_keys=tuple(at_left[k] for k in plan.left_keys),
        right_keys=tuple(at_right[k] for k in plan.right_keys),
        residual=None if plan.residual is None else remap_columns(plan.residual, moved),
    )
    return joined, places


def _aggregate(plan: Aggregate, wanted: set[int]) -> _Pruned:
    width = len(plan.group)
    kept = [i for i in range(len(plan.calls)) if width + i in wanted]
    if not kept and not width and plan.calls:
        kept = [0]
    needs = input_columns(plan, {width + i for i in kept})[0]
    order = sorted(needs) or [_cheapest(plan.input)]
    inner, at = exactly(plan.input, order), _places(order)
    calls = tuple(plan.calls[i].moved(at.__getitem__) for i in kept)
    order = [*range(width), *(width + i for i in kept)]
    schema = tuple(plan.schema[i] for i in order)
    return Aggregate(schema, inner, tuple(at[g] for g in plan.group), calls), _places(order)


def _hop(plan: Hop, wanted: set[int]) -> _Pruned:
    width = len(plan.input.schema)
    order = sorted(input_columns(plan, wanted)[0])
    at = _places(order)
    schema = (*(plan.schema[i] for i in order), *plan.schema[width:])
    places = {**at, width: len(order), width + 1: len(order) + 1}
    return replace(plan, schema=schema, input=exactly(plan.input, order), time_column=at[plan.time_column]), places


def _session(plan: Session, wanted: set[int]) -> _Pruned:
    """Where only columns of the key are left, the operator works by sessions, not by rows."""
    width = len(plan.kept)
    kept = [i for i in range(width) if i in wanted]
    order = sorted(input_columns(plan, wanted)[0])
    at = _places(order)
    places = {**_places(kept), width: len(kept), width + 1: len(kept) + 1}
    pruned = replace(
        plan,
        schema=tuple(plan.schema[i] for i in places),
        input=exactly(plan.input, order),
        partition=tuple(at[p] for p in plan.partition),
        time_column=at[plan.time_column],
        kept=tuple(at[plan.kept[i]] for i in kept),
    )
    return pruned, places


def _unnest(plan: Unnest, wanted: set[int]) -> _Pruned:
    width = len(plan.kept)
    kept = [i for i in range(width) if i in wanted]
    order = sorted({plan.kept[i] for i in kept} | {plan.column})
    at = _places(order)
    places = {**_places(kept), **{i: i - width + len(kept) for i in range(width, len(plan.schema))}}
    pruned = replace(
        plan,
        schema=tuple(plan.schema[i] for i in places),
        input=exactly(plan.input, order),
        column=at[plan.column],
        kept=tuple(at[plan.kept[i]] for i in kept),
    )
    return pruned, places


def _window(plan: Window, wanted: set[int]) -> _Pruned:
    """Calls that nobody reads vanish; the input columns all stay, because they order ties."""
    width = len(plan.input.schema)
    kept = [i for i in range(len(plan.calls)) if width + i in wanted]
    if not kept:
        return _pruned(plan.input, {i for i in wanted if i < width} or {_cheapest(plan.input)})
    order = [*range(width), *(width + i for i in kept)]
    pruned = replace(
        plan,
        schema=tuple(plan.schema[i] for i in order),
        input=exactly(plan.input, range(width)),
        calls=tuple(plan.calls[i] for i in kept),
    )
    return pruned, _places(order)
