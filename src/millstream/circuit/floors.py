"""Which floors the operator of a plan node is told, so that it can forget what lies below (operators/floors.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from millstream.expressions.nodes import Expression
from millstream.plan.nodes import (
    Aggregate,
    AsofJoin,
    Distinct,
    Except,
    Intersect,
    Join,
    Plan,
    Session,
    TopK,
    Window,
)
from millstream.plan.reach import Reach, window_reach
from millstream.plan.waterlines import Columns, Waterlines, least


@dataclass(frozen=True, slots=True)
class Floored:
    """`columns`: what the operator is made with; `bounds`: the floors that it is told, as waterlines; for windows the
    `reach` of functions with the last floor, for limits whether that is of the first order key, for sessions of the
    time."""

    columns: tuple[int, ...] = ()
    bounds: tuple[Expression | None, ...] = ()
    reach: Reach | None = None
    ordered: bool = False


def floored(plan: Plan, waterlines: Waterlines | None) -> Floored:
    """The floors for a node's operator; none where nothing has a waterline."""
    if waterlines is None:
        return Floored()
    if isinstance(plan, Join):
        return _of_join(plan, waterlines)
    if isinstance(plan, AsofJoin):
        left = waterlines.columns(plan.left).get(plan.left_time)
        right = waterlines.columns(plan.right).get(plan.right_time)
        return Floored() if right is None else Floored((), (left, right))
    if isinstance(plan, Except | Intersect):
        left_columns, right_columns = (waterlines.columns(operand) for operand in plan.inputs)
        both = {i: least(left_columns[i], right_columns[i]) for i in left_columns.keys() & right_columns.keys()}
        return _chosen(both, range(len(plan.schema)))
    if isinstance(plan, Distinct):
        return _chosen(waterlines.columns(plan.input), range(len(plan.schema)))
    if isinstance(plan, Aggregate):
        known = waterlines.columns(plan.input)
        return _chosen({i: known[g] for i, g in enumerate(plan.group) if g in known}, range(len(plan.group)))
    if isinstance(plan, Session):
        known = waterlines.columns(plan.input)
        found = _chosen(known, plan.partition)
        time = known.get(plan.time_column)
        return found if time is None else Floored(found.columns, (*found.bounds, time), ordered=True)
    if isinstance(plan, Window):
        return _of_window(plan, waterlines)
    assert isinstance(plan, TopK), plan
    known = waterlines.columns(plan.input)
    found = _chosen(known, plan.partition)
    if plan.limit is not None and plan.keys and plan.keys[0].column in known:
        return Floored(found.columns, (*found.bounds, known[plan.keys[0].column]), ordered=True)
    return found


def _chosen(known: Columns, columns: Iterable[int]) -> Floored:
    found = tuple(column for column in columns if column in known)
    return Floored(found, tuple(known[column] for column in found))


def _of_join(plan: Join, waterlines: Waterlines) -> Floored:
    left, right = waterlines.columns(plan.left), waterlines.columns(plan.right)
    pairs = [(left.get(a), right.get(b)) for a, b in zip(plan.left_keys, plan.right_keys, strict=True)]
    keys = tuple(number for number, pair in enumerate(pairs) if pair != (None, None))
    return Floored(keys, tuple(bound for number in keys for bound in pairs[number]))


def _of_window(plan: Window, waterlines: Waterlines) -> Floored:
    known = waterlines.columns(plan.input)
    found = _chosen(known, plan.partition)
    reach = window_reach(plan)
    if reach is None or reach.column not in known or (reach.needs is None and reach.rows is None):
        return found
    return Floored(found.columns, (*found.bounds, known[reach.column]), reach)
