"""Waterlines of plans: what LATENESS of some columns says about all others (sql.md §12.3).

A *waterline* of a column is a value below which no later change has it. Columns with LATENESS have one, and so has the
clock: it does not go back. `Waterlines` derives those of every plan node from them, as expressions in which column i
stands for the waterline of source i, and NOW() for the time of the step. They are values of single rows, so that
following them costs the same however much data flows.

What decides is which *old* rows may change again when a new one comes. A filter or projection changes nothing old. A
group's row changes with the group only, so columns that a query groups by keep their waterlines, others have none. A
row of a join may appear late because its partner does: only its key columns, equal on both sides, keep the smaller of
two waterlines. Windows change rows of the same partition, at most so far back as frames reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millstream.expressions.nodes import Call, ColumnRef, Expression, Literal
from millstream.plan.monotone import Bounds, bound_of, extreme, is_ordered
from millstream.plan.nodes import (
    Aggregate,
    AsofJoin,
    Distinct,
    Except,
    Filter,
    Hop,
    Intersect,
    Join,
    Plan,
    Project,
    Scan,
    Schema,
    Session,
    TopK,
    UnionAll,
    Unnest,
    Window,
)
from millstream.plan.program import Delay, Program, View
from millstream.plan.reach import window_reach
from millstream.plan.temporal import time_bounds
from millstream.plan.walk import calls_function, nodes, uses_now
from millstream.types import Kind, SqlType

Columns = Mapping[int, Expression]
"""The waterlines of a relation's columns, by position."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a waterline comes from: LATENESS number `delay` of a table or view."""

    relation: str
    delay: int
    type: SqlType


class Waterlines:
    """The waterlines of a program's relations and of plans over them. `sources` are what they are computed from."""

    def __init__(self, program: Program) -> None:
        self.sources: list[Source] = []
        self._views = {view.name: view for view in program.views}
        self._relations: dict[str, Columns] = {}
        self._plans: dict[int, tuple[Plan, Bounds]] = {}
        for table in program.tables:
            self._relations[table.name] = self._declared(table.name, table.schema, table.delays, {})

    def relation(self, name: str) -> Columns:
        """The waterlines of a table's or view's columns. What LATENESS says of a column goes before what follows."""
        found = self._relations.get(name)
        if found is None:
            view = self._views.get(name)
            found = self._relations[name] = {} if view is None else self._of_view(view)
        return found

    def _of_view(self, view: View) -> Columns:
        return self._declared(view.name, view.schema, view.delays, self.columns(view.plan))

    def _declared(self, name: str, schema: Schema, delays: Sequence[Delay], derived: Columns) -> Columns:
        columns = dict(derived)
        for number, delay in enumerate(delays):
            sql_type = schema[delay.column].type
            if is_ordered(sql_type):
                self.sources.append(Source(name, number, sql_type))
                columns[delay.column] = ColumnRef(sql_type, len(self.sources) - 1)
        return columns

    def columns(self, plan: Plan) -> dict[int, Expression]:
        """The waterlines of the columns of a plan's output."""
        return {key.index: bound for key, bound in self.of(plan).items() if isinstance(key, ColumnRef)}

    def of(self, plan: Plan) -> Bounds:
        """The waterlines of expressions over a plan's output, columns among them."""
        found = self._plans.get(id(plan))
        if found is None:
            found = self._plans[id(plan)] = (plan, self._derive(plan))
        return found[1]

    def _derive(self, plan: Plan) -> Bounds:
        if isinstance(plan, Project):
            return self._of_project(plan)
        if isinstance(plan, Filter):
            return self._of_filter(plan)
        return {ColumnRef(plan.schema[i].type, i): bound for i, bound in self._by_column(plan).items()}

    def _by_column(self, plan: Plan) -> Columns:
        if isinstance(plan, Scan):
            return self.relation(plan.relation)
        if isinstance(plan, Join):
            return self._of_join(plan)
        if isinstance(plan, AsofJoin):
            return self._of_asof_join(plan)
        if isinstance(plan, UnionAll | Except | Intersect):
            return self._common(plan.inputs)
        if isinstance(plan, Window):
            return self._of_window(plan)
        if isinstance(plan, Distinct):
            return self.columns(plan.input)
        if isinstance(plan, Aggregate):
            return _chosen(self.columns(plan.input), plan.group)
        if isinstance(plan, TopK):
            return {p: bound for p, bound in self.columns(plan.input).items() if p in plan.partition}
        if isinstance(plan, Unnest):
            return _chosen(self.columns(plan.input), plan.kept)
        if isinstance(plan, Session):
            return self._of_session(plan)
        if isinstance(plan, Hop):
            return self._of_hop(plan)
        return {}

    def _of_project(self, plan: Project) -> Bounds:
        # Where one column changes with time, old rows are replaced, with all their columns.
        if any(calls_function(e, "NOW") for e in plan.expressions):
            return {}
        known = self.of(plan.input)
        bounds = {i: bound_of(expression, known) for i, expression in enumerate(plan.expressions)}
        return {ColumnRef(plan.schema[i].type, i): bound for i, bound in bounds.items() if bound is not None}

    def _of_filter(self, plan: Filter) -> Bounds:
        if not calls_function(plan.predicate, "NOW"):
            return self.of(plan.input)
        return time_bounds(plan.predicate, self.of(plan.input))

    def _of_join(self, plan: Join) -> Columns:
        left, right = self.columns(plan.left), self.columns(plan.right)
        width = len(plan.left.schema)
        both = len(plan.schema) > width
        if plan.residual is not None and calls_function(plan.residual, "NOW"):
            return {}
        found: dict[int, Expression] = {}
        if is_static(plan.right):
            found.update(left)
        if is_static(plan.left) and both:
            found.update({width + i: bound for i, bound in right.items()})
        for a, b in zip(plan.left_keys, plan.right_keys, strict=True):
            if a in left and b in right:
                found[a] = least(left[a], right[b])
                if both:
                    found[width + b] = found[a]
        return found

    def _of_asof_join(self, plan: AsofJoin) -> Columns:
        """A row of the right is matched with rows of the left that are not before it."""
        left, right = self.columns(plan.left), self.columns(plan.right)
        pairs = [*zip(plan.left_keys, plan.right_keys, strict=True), (plan.left_time, plan.right_time)]
        if is_static(plan.right):
            return left
        return {a: least(left[a], right[b]) for a, b in pairs if a in left and b in right}

    def _common(self, operands: Iterable[Plan]) -> Columns:
        """Columns that have a waterline in all operands that may change."""
        parts = [self.columns(operand) for operand in operands if not is_static(operand)]
        if not parts:
            return {}
        shared = set(parts[0]).intersection(*parts[1:])
        return {i: extreme("LEAST", [part[i] for part in parts]) for i in shared}

    def _of_window(self, plan: Window) -> Columns:
        columns = self.columns(plan.input)
        found = {p: bound for p, bound in columns.items() if p in plan.partition}
        reach = window_reach(plan)
        if reach is not None and reach.column in columns and reach.changes is not None:
            moved = _earlier(columns[reach.column], reach.changes)
            if moved is not None:
                found[reach.column] = moved
        return found

    def _of_session(self, plan: Session) -> Columns:
        """Sessions change, also when a row of theirs goes, only if they end later than a gap before the waterline."""
        columns = self.columns(plan.input)
        found = {i: columns[c] for i, c in enumerate(plan.kept) if c in columns and c in plan.partition}
        time = columns.get(plan.time_column)
        end = None if time is None else _earlier(time, plan.gap)
        if end is not None:
            found[len(plan.kept) + 1] = end
        return found

    def _of_hop(self, plan: Hop) -> Columns:
        """The first window of a time starts where TUMBLE_START(time, slide) does, plus slide minus size."""
        columns = self.columns(plan.input)
        found = dict(columns)
        time = columns.get(plan.time_column)
        if time is None or time.type.kind is Kind.TIME:
            return found
        sql_type = plan.schema[-2].type
        start: Expression = Call(sql_type, "TUMBLE_START", (time,), (plan.slide_us, plan.offset_us))
        for number, shift in ((-2, plan.slide_us - plan.size_us), (-1, plan.slide_us)):
            found[len(plan.schema) + number] = _shifted(start, shift)
        return found


def is_static(plan: Plan) -> bool:
    """Whether the output never changes after the first step."""
    return not any(isinstance(node, Scan) for node in nodes(plan)) and not uses_now(plan)


def _chosen(columns: Columns, order: Sequence[int]) -> Columns:
    return {i: columns[source] for i, source in enumerate(order) if source in columns}


def least(a: Expression, b: Expression) -> Expression:
    """The smaller of two waterlines."""
    return extreme("LEAST", [a, b])


def _shifted(bound: Expression, micros: int) -> Expression:
    """A time plus microseconds, in the type of the time."""
    if not micros:
        return bound
    interval = Literal(SqlType(Kind.INTERVAL_DAY_SECOND, nullable=False), micros)
    return Call(bound.type, "+", (bound, interval))


def _earlier(bound: Expression, distance: int) -> Expression | None:
    """A bound minus a distance in the unit of its Arrow type; None where there is no such subtraction."""
    if not distance:
        return bound
    if bound.type.is_integer:
        return Call(bound.type, "-", (bound, Literal(bound.type.with_nullable(False), distance)))
    if bound.type.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return _shifted(bound, -distance)
    if bound.type.kind is Kind.DATE:
        return _shifted(bound, -distance * 86_400_000_000)
    return None
