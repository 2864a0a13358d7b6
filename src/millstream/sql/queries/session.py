"""TABLE(SESSION(...)): rows of one key less than a size apart, with the bounds of their session (sql.md §10).

A row begins a session if no row lies less than `size` before it, and ends one if none lies less than `size` after it.
The begin of a row's session is the latest beginning row up to it, the end the first ending row from it on. Both are
window functions, so sessions that merge or split are maintained like any others.
"""

from __future__ import annotations

from millstream.expressions.nodes import ColumnRef, Expression, Literal
from millstream.plan.nodes import Column, Filter, Plan, Project, SortKey, Window, WindowCall, WindowFrame
from millstream.plan.program import Span
from millstream.sql.expressions import call
from millstream.types import Kind, SqlType
from millstream.types.sql_type import BIGINT

_COUNT = BIGINT.with_nullable(False)
_DAY_US = 86_400_000_000


def session_plan(plan: Plan, time_column: int, key_column: int | None, size_us: int, span: Span) -> Plan:
    """The rows of `plan` that have a time, with window_start and window_end."""
    width = len(plan.schema)
    time = ColumnRef(plan.schema[time_column].type, time_column)
    if time.type.nullable:
        plan = Filter(plan.schema, plan, call("IS NOT NULL", [time], span))
    partition = () if key_column is None else (key_column,)
    keys = (SortKey(time_column, False, True),)
    reach = _units(time.type, size_us) - 1
    near = (
        WindowCall("COUNT", (), _COUNT, WindowFrame(False, -reach, -1)),
        WindowCall("COUNT", (), _COUNT, WindowFrame(False, 1, reach)),
    )
    counted = Window((*plan.schema, Column("$before", _COUNT), Column("$after", _COUNT)), plan, partition, keys, near)
    columns: tuple[Expression, ...] = tuple(ColumnRef(c.type, i) for i, c in enumerate(plan.schema))
    alone = [call("=", [ColumnRef(_COUNT, width + i), Literal(_COUNT, 0)], span) for i in (0, 1)]
    flagged = Project(
        (*plan.schema, Column("$begins", alone[0].type), Column("$ends", alone[1].type)), counted, (*columns, *alone)
    )
    bound_type = time.type.with_nullable(False)
    bounds = (
        WindowCall("MAX", (time_column,), bound_type, WindowFrame(False, None, 0), filter=width),
        WindowCall("MIN", (time_column,), bound_type, WindowFrame(False, 0, None), filter=width + 1),
    )
    first, last = Column("$first", bound_type), Column("$last", bound_type)
    bounded = Window((*flagged.schema, first, last), flagged, partition, keys, bounds)
    start = ColumnRef(bound_type, width + 2)
    size = Literal(SqlType(Kind.INTERVAL_DAY_SECOND, nullable=False), size_us)
    end = call("+", [ColumnRef(bound_type, width + 3), size], span)
    schema = (*plan.schema, Column("window_start", start.type), Column("window_end", end.type))
    return Project(schema, bounded, (*columns, start, end))


def _units(time: SqlType, size_us: int) -> int:
    """The size in units of the time's Arrow type, rounded up."""
    if time.kind is Kind.DATE:
        return -(-size_us // _DAY_US)
    return size_us * 1000 if time.kind is Kind.TIME else size_us
