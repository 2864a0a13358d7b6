"""The order of inner joins: no cross join where an equality connects the tables in another order.

`FROM a, b, c WHERE a.x = c.x AND b.y = c.y` would otherwise begin with a x b. Joins of inner joins are taken apart
into inputs and conditions; from the first input on, the next to be joined is the first in the written order that an
equality connects to those before it. Trees without a cross join, and those with a condition that may fail, stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.expressions.nodes import ColumnRef, Expression, columns_used, remap_columns
from millstream.plan.conditions import may_fail, split_conjunction
from millstream.plan.joining import join_plan, key_conditions
from millstream.plan.nodes import Join, JoinKind, Plan, Project
from millstream.plan.walk import with_inputs


def order_joins(plan: Plan) -> Plan:
    """Reorder every tree of inner joins in a plan that has a cross join in it."""
    if isinstance(plan, Join) and plan.kind is JoinKind.INNER:
        tree = _Tree()
        tree.add(plan, 0)
        if tree.has_cross_join and len(tree.inputs) > 2 and not any(may_fail(c) for c in tree.conditions):
            return _rebuilt(plan, tree)
    return with_inputs(plan, [order_joins(child) for child in plan.inputs])


@dataclass
class _Tree:
    """The inputs of a tree of inner joins with the position of their first column, and all conditions over the
    concatenation of their columns."""

    inputs: list[tuple[Plan, int]] = field(default_factory=list)
    conditions: list[Expression] = field(default_factory=list)
    has_cross_join: bool = False

    def add(self, plan: Plan, offset: int) -> None:
        if not isinstance(plan, Join) or plan.kind is not JoinKind.INNER:
            self.inputs.append((plan, offset))
            return
        self.add(plan.left, offset)
        self.add(plan.right, offset + len(plan.left.schema))
        own = key_conditions(plan)
        self.has_cross_join = self.has_cross_join or not own
        if plan.residual is not None:
            own += split_conjunction(plan.residual)
        self.conditions += [remap_columns(c, {i: i + offset for i in columns_used(c)}) for c in own]


def _rebuilt(plan: Join, tree: _Tree) -> Plan:
    waiting = list(tree.inputs)
    first, offset = waiting.pop(0)
    joined = order_joins(first)
    #: Where each column of the original stands in `joined`
    place = {offset + i: i for i in range(len(first.schema))}
    conditions = list(tree.conditions)
    while waiting:
        position = next((n for n, item in enumerate(waiting) if _connects(item, place, conditions)), 0)
        candidate, offset = waiting.pop(position)
        width = len(joined.schema)
        place.update({offset + i: width + i for i in range(len(candidate.schema))})
        ready = [c for c in conditions if columns_used(c) <= place.keys()]
        conditions = [c for c in conditions if c not in ready]
        moved = [remap_columns(c, place) for c in ready]
        joined = join_plan(JoinKind.INNER, joined, order_joins(candidate), moved)
    order = [place[i] for i in range(len(plan.schema))]
    return Project(plan.schema, joined, tuple(ColumnRef(c.type, i) for c, i in zip(plan.schema, order, strict=True)))


def _connects(item: tuple[Plan, int], place: dict[int, int], conditions: list[Expression]) -> bool:
    """Whether a condition relates an input to those already joined, and to nothing else."""
    plan, offset = item
    own = set(range(offset, offset + len(plan.schema)))
    for condition in conditions:
        used = columns_used(condition)
        if used & own and used & place.keys() and used <= own | place.keys():
            return True
    return False
