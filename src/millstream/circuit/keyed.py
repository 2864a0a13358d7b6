"""The operators of plan nodes that keep state by a key, joins apart: what they are made with, and how they are found
again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import pyarrow as pa

from millstream.circuit.floors import Floored
from millstream.operators.aggregate import AggregateOperator
from millstream.operators.asof_join import AsofJoinOperator
from millstream.operators.base import KeyedOperator
from millstream.operators.distinct import DistinctOperator
from millstream.operators.ordering import Variants, variants_of
from millstream.operators.session import SessionOperator
from millstream.operators.set_operations import SetOperator
from millstream.operators.topk import TopKOperator
from millstream.operators.windows.operator import WindowOperator
from millstream.plan.nodes import Aggregate, AsofJoin, Distinct, Except, Intersect, Plan, Session, TopK, Window
from millstream.types import arrow_type
from millstream.zset.hashing import Seeds


@dataclass(frozen=True, slots=True)
class Keyed:
    """What makes an operator. Nodes of one kind with equal parameters and inputs compute the same."""

    kind: str
    parameters: Hashable
    make: Callable[[], KeyedOperator]
    append_only: bool = False


def types_of(plan: Plan) -> tuple[pa.DataType, ...]:
    """The Arrow types of a plan's columns."""
    return tuple(arrow_type(column.type) for column in plan.schema)


def variants_in(plan: Plan) -> Variants:
    """Which of a plan's columns hold VARIANTs."""
    return variants_of(column.type for column in plan.schema)


def keyed(plan: Plan, append_only: bool, found: Floored, seeds: Seeds, numbered: bool) -> Keyed:
    """The operator of a plan node. `append_only`: its first input never retracts; `found`: its floors; `numbered`: a
    limit numbers its rows."""
    floors = found.columns
    if isinstance(plan, Aggregate):
        return Keyed(
            "aggregate",
            (plan.group, plan.calls),
            lambda: AggregateOperator(
                types_of(plan.input), plan.group, plan.calls, append_only, seeds, variants_in(plan.input), floors
            ),
        )
    if isinstance(plan, Distinct):
        return Keyed("distinct", (), lambda: DistinctOperator(seeds, floors), append_only)
    if isinstance(plan, Except | Intersect):
        operation = "except" if isinstance(plan, Except) else "intersect"
        return Keyed(operation, plan.all, lambda: SetOperator(operation, plan.all, seeds, floors))
    if isinstance(plan, AsofJoin):
        places = (plan.left_keys, plan.right_keys, plan.null_safe, plan.left_time, plan.right_time)
        return Keyed(
            "asof join",
            places,
            lambda: AsofJoinOperator(
                types_of(plan.left), types_of(plan.right), *places, seeds, variants_in(plan.right)
            ),
        )
    if isinstance(plan, Session):
        gaps = (plan.partition, plan.time_column, plan.gap, plan.kept)
        return Keyed(
            "session", gaps, lambda: SessionOperator(types_of(plan.input), *gaps, seeds, floors, found.ordered)
        )
    if isinstance(plan, Window):
        frames = (plan.partition, plan.keys, plan.calls)
        return Keyed(
            "window",
            frames,
            lambda: WindowOperator(types_of(plan.input), *frames, seeds, variants_in(plan.input), floors, found.reach),
        )
    assert isinstance(plan, TopK), plan
    limits = (plan.partition, plan.keys, plan.limit, plan.offset)
    return Keyed(
        "topk",
        (*limits, numbered),
        lambda: TopKOperator(
            types_of(plan.input),
            *limits,
            append_only,
            seeds,
            variants_in(plan.input),
            floors,
            found.ordered,
            numbered,
        ),
    )
