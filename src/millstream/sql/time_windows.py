"""Windows in time: their lengths, the bounds of tumbling ones, and GROUP BY TUMBLE(...) with TUMBLE_START and
TUMBLE_END (sql.md §10)."""

from __future__ import annotations

from millstream.expressions.nodes import Expression, Literal
from millstream.plan.program import Span
from millstream.sql.binding import Environment
from millstream.sql.expressions import call
from millstream.sql.messages import SqlError, invalid
from millstream.sql.syntax import FunctionCall, Node
from millstream.types import Kind, SqlType
from millstream.types.sql_type import SHORT_INTERVALS

GROUP_WINDOWS = frozenset(
    ("TUMBLE", "TUMBLE_START", "TUMBLE_END", "HOP", "HOP_START", "HOP_END", "SESSION", "SESSION_START", "SESSION_END")
)
_ADJECTIVE = {"TUMBLE": "Tumbling", "HOP": "Hopping", "SESSION": "Session"}


def window_length(name: str, key: str, node: Node, env: Environment) -> int:
    """The argument `key` (SIZE, SLIDE or OFFSET) of window function `name`, in microseconds."""
    bound = env.bind(node)
    if bound.type.kind not in SHORT_INTERVALS:
        text = f"{_ADJECTIVE[name]} window intervals must be 'short' SQL intervals (days and lower)"
        raise SqlError(text, node.span, error_type="Not supported")
    if not isinstance(bound, Literal) or bound.value is None:
        raise SqlError(f"{_ADJECTIVE[name]} window interval must be a constant", node.span, error_type="Not supported")
    if key != "OFFSET" and bound.value <= 0:
        raise SqlError(f"{_ADJECTIVE[name]} window interval must be positive", node.span, error_type="Not supported")
    return int(bound.value)


def tumble_bounds(time: Expression, size_us: int, offset_us: int, span: Span) -> tuple[Expression, Expression]:
    """Start and end of the tumbling window that holds a time."""
    start = call("TUMBLE_START", [time], span, (size_us, offset_us))
    size = Literal(SqlType(Kind.INTERVAL_DAY_SECOND, nullable=False), size_us)
    return start, call("+", [start, size], span)


def warn_of_nullable(time: Expression, span: Span, env: Environment) -> None:
    """A NULL time is in no tumbling window."""
    if time.type.nullable:
        text = "TUMBLE applied to nullable value; a NULL value in this column will cause a run-time error"
        env.context.warn("TUMBLE applied to nullable value", text, span)


def bind_group_window(node: FunctionCall, name: str, env: Environment) -> Expression:
    """TUMBLE as a key of GROUP BY, and the bounds of its windows in the items of such a query.

    The key is the window's start; TUMBLE_START is the same expression, so that it counts as grouped.
    """
    function, _, bound = name.partition("_")
    grouping = env.clause == "GROUP BY"
    if function != "TUMBLE":
        if grouping:
            text = f"Grouping by {function} is not supported. Please use the TABLE function {function}"
            raise SqlError(text, node.span, error_type="Not supported")
        raise _unmatched(node, name)
    if grouping == bool(bound) or not (grouping or (env.aggregates is not None and env.aggregates.grouped)):
        raise _unmatched(node, name)
    if not 2 <= len(node.arguments) <= 3:
        raise invalid(f"Invalid number of arguments to function '{name}'. Was expecting 2 arguments", node.span)
    time = env.bind(node.arguments[0].value)
    lengths = [
        window_length("TUMBLE", key, argument.value, env)
        for key, argument in zip(("SIZE", "OFFSET"), node.arguments[1:], strict=False)
    ]
    if grouping:
        warn_of_nullable(time, node.span, env)
    start, end = tumble_bounds(time, lengths[0], lengths[1] if len(lengths) > 1 else 0, node.span)
    return end if bound == "END" else start


def _unmatched(node: FunctionCall, name: str) -> SqlError:
    return invalid(f"Call to auxiliary group function '{name}' must have matching call to group function", node.span)
