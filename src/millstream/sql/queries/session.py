"""TABLE(SESSION(...)): rows of one key less than a size apart, with the bounds of their session (sql.md §10)."""

from __future__ import annotations

from millstream.expressions.nodes import ColumnRef, Expression, Literal
from millstream.plan.nodes import Column, Filter, Plan, Project, Session
from millstream.plan.program import Span
from millstream.sql.expressions import call
from millstream.types import Kind, SqlType

_DAY_US = 86_400_000_000


def session_plan(plan: Plan, time_column: int, key_column: int | None, size_us: int, span: Span) -> Plan:
    """The rows of `plan` that have a time, with window_start and window_end."""
    width = len(plan.schema)
    time = ColumnRef(plan.schema[time_column].type, time_column)
    if time.type.nullable:
        plan = Filter(plan.schema, plan, call("IS NOT NULL", [time], span))
    bound_type = time.type.with_nullable(False)
    sessions = Session(
        (*plan.schema, Column("$first", bound_type), Column("$last", bound_type)),
        plan,
        () if key_column is None else (key_column,),
        time_column,
        _units(time.type, size_us),
        tuple(range(width)),
    )
    columns: tuple[Expression, ...] = tuple(ColumnRef(c.type, i) for i, c in enumerate(plan.schema))
    start = ColumnRef(bound_type, width)
    size = Literal(SqlType(Kind.INTERVAL_DAY_SECOND, nullable=False), size_us)
    end = call("+", [ColumnRef(bound_type, width + 1), size], span)
    schema = (*plan.schema, Column("window_start", start.type), Column("window_end", end.type))
    return Project(schema, sessions, (*columns, start, end))


def _units(time: SqlType, size_us: int) -> int:
    """The size in units of the time's Arrow type, rounded up."""
    if time.kind is Kind.DATE:
        return -(-size_us // _DAY_US)
    return size_us * 1000 if time.kind is Kind.TIME else size_us
