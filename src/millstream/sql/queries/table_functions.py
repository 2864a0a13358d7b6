"""TABLE(TUMBLE|HOP|SESSION(...)): the rows of a relation with the windows that they are in (sql.md §10)."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.expressions.nodes import ColumnRef
from millstream.plan.nodes import Column, Hop, Plan, Project
from millstream.sql.binding import Environment, QueryEnvironment, binds_relation
from millstream.sql.messages import SqlError, invalid
from millstream.sql.queries.aliases import aliased
from millstream.sql.queries.from_clause import scan
from millstream.sql.queries.session import session_plan
from millstream.sql.scope import Scope, relation_scope
from millstream.sql.syntax import FunctionCall, Identifier, Name, Node, Subquery, TableArgument, TableFunction
from millstream.sql.time_windows import tumble_bounds, warn_of_nullable, window_length
from millstream.types import Kind

_PARAMETERS = {
    "TUMBLE": ("DATA", "TIMECOL", "SIZE", "OFFSET"),
    "HOP": ("DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"),
    "SESSION": ("DATA", "TIMECOL", "SIZE"),
}
_KEYED_SESSION = ("DATA", "TIMECOL", "KEY", "SIZE")
_REQUIRED = {"TUMBLE": 3, "HOP": 4, "SESSION": 3}
_TIMES = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)


@dataclass(frozen=True)
class _Windows:
    """The bound arguments of a window function."""

    plan: Plan
    column: int
    key: int | None
    lengths: dict[str, int]


@binds_relation(TableFunction)
def _table_function(node: TableFunction, env: QueryEnvironment) -> tuple[Plan, Scope]:
    name = node.call.name.name.upper()
    if name not in _PARAMETERS:
        raise invalid(f"No match found for function signature {node.call.name.name}", node.call.span)
    windows = _arguments(name, node.call, env)
    if name == "TUMBLE":
        plan = _tumble(windows, node.call, env)
    elif name == "HOP":
        plan = _hop(windows)
    else:
        plan = session_plan(windows.plan, windows.column, windows.key, windows.lengths["SIZE"], node.call.span)
    return aliased(plan, node.alias, "")


def _arguments(name: str, call_node: FunctionCall, env: QueryEnvironment) -> _Windows:
    parameters = _PARAMETERS[name]
    if name == "SESSION" and len(call_node.arguments) > len(parameters):
        parameters = _KEYED_SESSION
    given: dict[str, Node] = {}
    for position, argument in enumerate(call_node.arguments):
        if position >= len(parameters):
            raise _count_error(name, call_node)
        key = parameters[position] if argument.name is None else argument.name.name.upper()
        if key not in parameters or key in given:
            raise invalid(f"Unknown or repeated argument '{key}' of table function {name}", argument.span)
        given[key] = argument.value
    if any(p not in given for p in parameters[: _REQUIRED[name]]):
        raise _count_error(name, call_node)
    plan = _data(given["DATA"], env)
    column = _descriptor(given["TIMECOL"], plan)
    lengths = {
        key: window_length(name, key, given[key], Environment(env, relation_scope("", plan.schema), clause=name))
        for key in parameters[2:]
        if key in given and key != "KEY"
    }
    time_type = plan.schema[column].type
    if time_type.kind not in _TIMES:
        shown = ", ".join(f"<{time_type.sql()}>" if key == "TIMECOL" else f"<{key}>" for key in given)
        raise invalid(f"Cannot apply '{name}' to arguments of type '{name}({shown})'", call_node.span)
    key_column = _descriptor(given["KEY"], plan) if "KEY" in given else None
    return _Windows(plan, column, key_column, lengths)


def _count_error(name: str, node: FunctionCall) -> SqlError:
    text = f"Invalid number of arguments to function '{name}'. Was expecting {_REQUIRED[name]} arguments"
    return invalid(text, node.span)


def _data(node: Node, env: QueryEnvironment) -> Plan:
    if isinstance(node, TableArgument):
        return scan(node.name, env)
    if isinstance(node, Subquery) and not node.collect:
        return env.nested().bind(node.query)
    raise invalid("The first argument of a window table function must be a table", node.span)


def _descriptor(node: Node, plan: Plan) -> int:
    if not isinstance(node, FunctionCall) or node.name.name != "descriptor" or len(node.arguments) != 1:
        raise invalid("The time column must be given as DESCRIPTOR(column)", node.span)
    value = node.arguments[0].value
    if not isinstance(value, Name) or len(value.parts) != 1:
        raise invalid("The argument of DESCRIPTOR must be an identifier", value.span)
    column: Identifier = value.parts[0]
    for position, candidate in enumerate(plan.schema):
        if candidate.name == column.name:
            return position
    raise invalid(f"Unknown identifier '{column.name}'", column.span)


def _tumble(windows: _Windows, node: FunctionCall, env: QueryEnvironment) -> Plan:
    schema = windows.plan.schema
    time = ColumnRef(schema[windows.column].type, windows.column)
    warn_of_nullable(time, node.span, Environment(env))
    start, end = tumble_bounds(time, windows.lengths["SIZE"], windows.lengths.get("OFFSET", 0), node.span)
    added = (Column("window_start", start.type), Column("window_end", end.type))
    passed = tuple(ColumnRef(c.type, i) for i, c in enumerate(schema))
    return Project(schema + added, windows.plan, (*passed, start, end))


def _hop(windows: _Windows) -> Plan:
    schema = windows.plan.schema
    time_type = schema[windows.column].type.with_nullable(False)
    added = (Column("window_start", time_type), Column("window_end", time_type))
    lengths = windows.lengths
    return Hop(
        schema + added, windows.plan, windows.column, lengths["SLIDE"], lengths["SIZE"], lengths.get("OFFSET", 0)
    )
