"""From the window functions of a SELECT to plan nodes.

Rows are first reduced to the columns that the SELECT uses, because these order ties. Calls over the same window share a
node. Aggregates over whole partitions become a grouped aggregate that is joined back: it is maintained at the cost of
the change. Ranks come last, directly under the conditions on them (plan/rules/limit_ranks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from millstream.expressions.nodes import ColumnRef, Expression, columns_used, substitute
from millstream.plan.nodes import (
    Aggregate,
    AggregateCall,
    Column,
    Join,
    JoinKind,
    Plan,
    Project,
    SortKey,
    Window,
    WindowCall,
)
from millstream.sql.binding import WINDOW_BASE, WindowRequest

_RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
_EDGES = ("FIRST_VALUE", "LAST_VALUE")


def rewrite_request(request: WindowRequest, rewrite: Callable[[Expression], Expression]) -> WindowRequest:
    """The same call over rewritten expressions."""
    return replace(
        request,
        arguments=tuple(rewrite(e) for e in request.arguments),
        partition=tuple(rewrite(e) for e in request.partition),
        order=tuple((rewrite(e), descending, first) for e, descending, first in request.order),
        filter=None if request.filter is None else rewrite(request.filter),
    )


def build_windows(
    plan: Plan, requests: Sequence[WindowRequest], others: Sequence[Expression]
) -> tuple[Plan, Callable[[Expression], Expression]]:
    """The plan with a column for each call, and the rewriting of expressions over `plan` and placeholders to it.
    `others`: what else the SELECT computes."""
    width = len(plan.schema)
    inner = [e for r in requests for e in _expressions(r)]
    used = sorted({c for e in (*others, *inner) for c in columns_used(e) if c < width})
    columns: list[Expression] = [ColumnRef(plan.schema[c].type, c) for c in used or [0]]
    for expression in inner:
        if expression not in columns:
            columns.append(expression)
    schema = tuple(
        plan.schema[e.index] if isinstance(e, ColumnRef) else Column(f"$w{i}", e.type) for i, e in enumerate(columns)
    )
    chain = _Chain(Project(schema, plan, tuple(columns)), columns)
    numbered = list(enumerate(requests))
    for group in _groups(numbered):
        chain.add(group)

    def place(expression: Expression) -> Expression:
        replacements: dict[int, Expression] = {WINDOW_BASE + i: ref for i, ref in chain.results.items()}
        return substitute(expression, replacements, {c: position for position, c in enumerate(used)})

    return chain.plan, place


def _expressions(request: WindowRequest) -> list[Expression]:
    order = [e for e, _, _ in request.order]
    condition = [] if request.filter is None else [request.filter]
    return [*request.arguments, *request.partition, *order, *condition]


_Numbered = tuple[int, WindowRequest]


def _groups(requests: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """Calls that one node computes, in the order of their nodes."""
    groups: dict[object, list[_Numbered]] = {}
    for number, request in requests:
        groups.setdefault((_stage(request), request.partition, request.order), []).append((number, request))
    return [group for _, group in sorted(groups.items(), key=lambda item: item[0][0])]  # type: ignore[index]


def _stage(request: WindowRequest) -> int:
    """Whole partitions first, ranks last; bounded ranges by themselves, because they have a cheaper node."""
    frame = request.frame
    if request.function in _RANKS:
        return 3
    if frame is not None and frame.whole and request.function not in _EDGES:
        return 0
    return 1 if frame is not None and not frame.rows and frame.low is not None and frame.high is not None else 2


@dataclass
class _Chain:
    """A plan that grows by columns at its end; `columns` are the expressions at its beginning, `results` the columns
    of the calls by number."""

    plan: Plan
    columns: Sequence[Expression]
    results: dict[int, ColumnRef] = field(default_factory=dict)

    def add(self, group: Sequence[_Numbered]) -> None:
        if _stage(group[0][1]) == 0:
            self._add_whole(group)
        else:
            self._add_window(group)

    def _at(self, expressions: Sequence[Expression]) -> tuple[int, ...]:
        return tuple(self.columns.index(e) for e in expressions)

    def _filter(self, request: WindowRequest) -> int | None:
        return None if request.filter is None else self.columns.index(request.filter)

    def _grow(self, plan: Plan, group: Sequence[_Numbered]) -> None:
        """Takes a plan whose last columns are the results of the group."""
        self.plan = plan
        start = len(plan.schema) - len(group)
        for position, (number, request) in enumerate(group):
            self.results[number] = ColumnRef(request.type, start + position)

    def _add_window(self, group: Sequence[_Numbered]) -> None:
        first = group[0][1]
        keys = tuple(SortKey(self.columns.index(e), descending, nulls) for e, descending, nulls in first.order)
        calls = tuple(
            WindowCall(
                r.function, self._at(r.arguments), r.type, r.frame, r.offset, r.distinct, self._filter(r), r.user
            )
            for _, r in group
        )
        schema = (*self.plan.schema, *(Column(f"$window{n}", r.type) for n, r in group))
        self._grow(Window(schema, self.plan, self._at(first.partition), keys, calls), group)

    def _add_whole(self, group: Sequence[_Numbered]) -> None:
        partition = tuple(dict.fromkeys(self._at(group[0][1].partition)))
        calls = tuple(
            AggregateCall(r.function, self._at(r.arguments), r.type, r.distinct, self._filter(r), user=r.user)
            for _, r in group
        )
        keys = tuple(self.plan.schema[p] for p in partition)
        schema = (*keys, *(Column(f"$window{n}", r.type) for n, r in group))
        totals = Aggregate(schema, self.plan, partition, calls)
        count = len(partition)
        joined = Join(
            self.plan.schema + schema,
            JoinKind.INNER,
            self.plan,
            totals,
            partition,
            tuple(range(count)),
            (True,) * count,
        )
        self._grow(joined, group)
