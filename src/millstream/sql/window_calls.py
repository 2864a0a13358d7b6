"""Calls of functions over windows: which functions, what window, and which rows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from millstream.expressions.aggregates import AGGREGATES, NEVER_NULL, is_aggregate, resolve_aggregate
from millstream.expressions.errors import TypeCheckError, no_match, wrong_count
from millstream.expressions.nodes import Expression, Literal
from millstream.expressions.registry import build_call, build_cast
from millstream.plan.nodes import WindowFrame
from millstream.sql.binding import Environment, WindowRequest, at_place
from millstream.sql.messages import invalid, not_supported, not_yet
from millstream.sql.syntax import Frame, FunctionCall, Node, SortItem, Window
from millstream.sql.user_functions import user_aggregate, with_length
from millstream.types import Kind, SqlType
from millstream.types.sql_type import BIGINT, LONG_INTERVALS, SHORT_INTERVALS

_RANKS = frozenset(("ROW_NUMBER", "RANK", "DENSE_RANK"))
_NEIGHBOURS = frozenset(("LAG", "LEAD"))
_EDGES = frozenset(("FIRST_VALUE", "LAST_VALUE"))
_NOT_BUILT = frozenset(("NTILE", "NTH_VALUE", "PERCENT_RANK", "CUME_DIST"))
WINDOW_ONLY = _RANKS | _NEIGHBOURS | _EDGES | _NOT_BUILT

_WHOLE = WindowFrame(False, None, None)
_RUNNING = WindowFrame(False, None, 0)
_DAY_US = 86_400_000_000
#: Distances are computed in 64 bits.
_MAX_DISTANCE_DIGITS = 18
_NOT_CONSTANT = (
    "Currently the compiler only supports constant OVER window bounds.\n"
    "Intervals such as 'INTERVAL 1 MONTH' or 'INTERVAL 1 YEAR' are not constant."
)
_SORTABLE = SHORT_INTERVALS | LONG_INTERVALS | {
    Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ, Kind.DECIMAL,
}  # fmt: skip


def bind_window_call(node: FunctionCall, name: str, env: Environment) -> Expression:
    """The placeholder of `f(...) OVER (...)`."""
    if env.in_aggregate:
        raise invalid("Aggregate expressions cannot be nested", node.span)
    if name in _NOT_BUILT:
        raise not_yet(f"Window function {name} not yet implemented", node.span)
    if node.over is None:
        raise invalid("OVER clause is necessary for window functions", node.span)
    user = env.context.catalog.aggregates.get(node.name.name)
    if name not in WINDOW_ONLY and not is_aggregate(name) and user is None:
        raise invalid(f"OVER must be applied to aggregate function: '{node.name.name}'", node.span)
    if env.windows is None:
        raise invalid(f"Windowed aggregate expression is illegal in {env.clause or 'this'} clause", node.span)
    window = _resolved(node.over, env)
    inner = replace(env, windows=None)
    partition = tuple(inner.bind(e) for e in window.partition)
    order = tuple((inner.bind(i.expression), i.descending, i.nulls_first) for i in window.order)
    if node.nulls is not None and name in _NEIGHBOURS | _EDGES and node.nulls.startswith("IGNORE"):
        raise not_yet(f"{name} with IGNORE NULLS", node.span)
    if node.nulls is not None and name not in _NEIGHBOURS | _EDGES:
        raise invalid(f"Cannot specify IGNORE NULLS or RESPECT NULLS following '{name}'", node.span)
    arguments = _arguments(node, name, inner)
    make = _rank if name in _RANKS else _neighbour if name in _NEIGHBOURS else _framed
    request = make(node, name, arguments, WindowRequest(name, (), BIGINT, partition, order), window, inner)
    return with_length(env.windows.add(request), user)


def _resolved(window: Window, env: Environment) -> Window:
    """The window with what it takes over from the one that it names."""
    if window.name is None:
        return window
    assert env.windows is not None
    base = env.windows.named.get(window.name.name)
    if base is None:
        raise invalid(f"Window '{window.name.name}' not found", window.name.span)
    base = _resolved(base, env)
    return Window(
        window.span,
        None,
        window.partition or base.partition,
        window.order or base.order,
        window.frame or base.frame,
    )


def _arguments(node: FunctionCall, name: str, env: Environment) -> list[Expression]:
    if node.star:
        if name != "COUNT":
            raise invalid(f"Unknown identifier '*' in {name}(*)", node.span)
        return []
    for argument in node.arguments:
        if argument.name is not None:
            raise invalid(f"Function '{node.name.name}' does not have named arguments", argument.span)
    return [env.bind(argument.value) for argument in node.arguments]


# ---- functions without frame ----


def _rank(
    node: FunctionCall, name: str, arguments: list[Expression], base: WindowRequest, window: Window, env: Environment
) -> WindowRequest:
    if arguments:
        raise at_place(wrong_count(name, "0"), node.span)
    _no_modifiers(node)
    if window.frame is not None:
        raise not_yet(f"Ranking function {name} not yet implemented in a WINDOW aggregate", node.span)
    if not base.order:
        raise not_yet("Missing ORDER BY in OVER", node.span)
    return replace(base, type=BIGINT.with_nullable(False))


def _neighbour(
    node: FunctionCall, name: str, arguments: list[Expression], base: WindowRequest, window: Window, env: Environment
) -> WindowRequest:
    """LAG, LEAD(x [, n [, default]])."""
    if not 1 <= len(arguments) <= 3:
        raise at_place(no_match(name, arguments), node.span)
    _no_modifiers(node)
    if window.frame is not None:
        assert isinstance(window.frame, Frame)
        raise not_yet(f"'{name}' with {window.frame.unit} not yet implemented", node.span)
    offset = 1
    if len(arguments) > 1:
        amount = arguments[1]
        if not isinstance(amount, Literal) or not amount.type.is_integer or amount.value is None or amount.value < 0:
            raise not_supported("Currently LAG/LEAD amount must be a compile-time constant", node.span)
        offset = int(amount.value)
    value = arguments[0]
    if len(arguments) < 3:
        return replace(base, arguments=(value,), type=value.type.with_nullable(True), offset=offset)
    try:
        common = build_call("COALESCE", [value, arguments[2]]).type
        common = common.with_nullable(value.type.nullable or arguments[2].type.nullable)
        cast = tuple(_as_type(e, common) for e in (value, arguments[2]))
    except TypeCheckError as error:
        raise at_place(error, node.span) from None
    return replace(base, arguments=cast, type=common, offset=offset)


def _as_type(expression: Expression, target: SqlType) -> Expression:
    if expression.type.same_apart_from_nullability(target):
        return expression
    return build_cast(expression, target.with_nullable(expression.type.nullable))


def modifier(node: FunctionCall) -> str:
    """The clause of a call that only aggregates may have; empty if there is none."""
    if node.filter is not None:
        return "FILTER"
    if node.distinct or node.within_distinct:
        return "WITHIN DISTINCT" if node.within_distinct else "DISTINCT"
    return "ORDER BY" if node.order else ""


def _no_modifiers(node: FunctionCall) -> None:
    clause = modifier(node)
    if clause:
        raise invalid(f"{clause} clause must apply to an aggregate function: '{node.name.name}'", node.span)


# ---- functions of frames ----


def _framed(
    node: FunctionCall, name: str, arguments: list[Expression], base: WindowRequest, window: Window, env: Environment
) -> WindowRequest:
    """Aggregates, FIRST_VALUE and LAST_VALUE."""
    frame = _frame(window, base, node, name, env)
    if name in _EDGES:
        return _edge(node, name, arguments, base, frame, env)
    if node.within_distinct or node.order:
        clause = "WITHIN DISTINCT" if node.within_distinct else "ORDER BY"
        raise not_yet(f"{clause} in window aggregate {name}", node.span)
    user = env.context.catalog.aggregates.get(node.name.name)
    condition = None
    if node.filter is not None:
        condition = env.bind(node.filter)
        if condition.type.kind is not Kind.BOOLEAN:
            raise invalid("FILTER clause must be a condition", node.filter.span)
    try:
        typed, result = resolve_aggregate(name, arguments) if user is None else user_aggregate(user, node, arguments)
    except TypeCheckError as error:
        raise at_place(error, node.span) from None
    if node.distinct and name == "MODE":
        raise not_supported("MODE does not support DISTINCT", node.span)
    if name not in NEVER_NULL and (condition is not None or not _holds_own_row(frame)):
        result = result.with_nullable(True)
    return replace(
        base,
        function=AGGREGATES[name].name if user is None else str(user),
        arguments=tuple(typed),
        type=result,
        order=() if frame.whole else base.order,
        frame=frame,
        distinct=node.distinct and bool(typed),
        filter=condition,
        user=user,
    )


def _holds_own_row(frame: WindowFrame) -> bool:
    return (frame.low is None or frame.low <= 0) and (frame.high is None or frame.high >= 0)


def _edge(
    node: FunctionCall,
    name: str,
    arguments: list[Expression],
    base: WindowRequest,
    frame: WindowFrame,
    env: Environment,
) -> WindowRequest:
    if len(arguments) != 1:
        raise at_place(wrong_count(name, "1"), node.span)
    _no_modifiers(node)
    far, near = (frame.low, frame.high) if name == "FIRST_VALUE" else (frame.high, frame.low)
    if near not in (None, 0) or far not in (None, 0):
        raise not_yet(f"{name} with bounded range", node.span)
    if not base.order:
        text = f"{name} without an ORDER BY clause is not deterministic"
        env.context.warn("Underspecified aggregate", text, node.span)
    return replace(base, arguments=tuple(arguments), type=arguments[0].type, frame=frame)


def _frame(window: Window, base: WindowRequest, node: FunctionCall, name: str, env: Environment) -> WindowFrame:
    """The frame, its distances in units of the order key."""
    written = window.frame
    if written is None:
        frame = _RUNNING if base.order else _WHOLE
    else:
        assert isinstance(written, Frame)
        if written.exclude:
            raise not_yet("EXCLUDE BY in OVER", written.span)
        rows = written.unit == "ROWS"
        key = base.order[0][0].type if len(base.order) == 1 else None
        if written.low[0] == "UNBOUNDED FOLLOWING" or written.high[0] == "UNBOUNDED PRECEDING":
            raise invalid("Window frame bounds are in the wrong order", written.span)
        low, high = (_bound(kind, offset, rows, key, window, env) for kind, offset in (written.low, written.high))
        frame = WindowFrame(rows, low, high)
    if not frame.whole and not base.order and not frame.rows:
        raise invalid("Window specification must contain an ORDER BY clause", window.span)
    if not frame.rows and not frame.whole and name not in _EDGES:
        _check_order(window.order, base)
    return frame


def _check_order(order: Sequence[SortItem], base: WindowRequest) -> None:
    """RANGE frames of aggregates need one order key of a type with distances."""
    if len(base.order) != 1:
        raise not_yet("ORDER BY in OVER requires exactly 1 column", order[1].span)
    sql_type = base.order[0][0].type
    if sql_type.is_integer or sql_type.kind in _SORTABLE or (sql_type.kind is Kind.UUID and not sql_type.nullable):
        return
    raise not_yet(f"OVER currently cannot sort on columns with type '{sql_type.sql()}'", order[0].span)


def _bound(
    kind: str, offset: Node | None, rows: bool, key: SqlType | None, window: Window, env: Environment
) -> int | None:
    """A bound as a distance; None: unbounded."""
    if kind.startswith("UNBOUNDED"):
        return None
    if kind == "CURRENT ROW":
        return 0
    assert offset is not None
    bound = env.bind(offset)
    if not isinstance(bound, Literal) or bound.type.kind in LONG_INTERVALS or bound.value is None:
        raise not_supported(_NOT_CONSTANT, offset.span)
    if not rows and key is None:
        if not window.order:
            raise invalid("Window specification must contain an ORDER BY clause", window.span)
        raise not_yet("ORDER BY in OVER requires exactly 1 column", window.order[1].span)
    distance = _rows(bound, offset) if rows else _distance(bound, key, offset)
    if distance < 0:
        raise not_supported(f"Window bounds must be positive: {bound.value}", offset.span)
    return -distance if kind == "PRECEDING" else distance


def _rows(bound: Literal, node: Node) -> int:
    if not bound.type.is_integer:
        raise not_supported(f"Currently windows must use integer values, so {bound.value} is not legal", node.span)
    return int(bound.value)


def _distance(bound: Literal, key: SqlType | None, node: Node) -> int:
    """A distance in units of the order key's Arrow type."""
    assert key is not None
    if key.kind is Kind.DECIMAL and (key.precision or 0) > _MAX_DISTANCE_DIGITS:
        text = f"RANGE distances on a column of type '{key.sql()}': at most {_MAX_DISTANCE_DIGITS} digits"
        raise not_yet(text, node.span)
    if bound.type.kind in SHORT_INTERVALS:
        micros = int(bound.value)
        if key.kind is Kind.DATE:
            return micros // _DAY_US if micros >= 0 else micros
        if key.kind is Kind.TIME:
            return micros * 1000
        if key.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) or key.kind in SHORT_INTERVALS:
            return micros
        _mismatch(key, bound, node)
    if not (key.is_integer or key.kind is Kind.DECIMAL):
        _mismatch(key, bound, node)
    distance = _rows(bound, node)
    return distance * 10 ** (key.scale or 0) if key.kind is Kind.DECIMAL else distance


def _mismatch(key: SqlType, bound: Literal, node: Node) -> NoReturn:
    text = (
        f"Data type of ORDER BY prohibits use of RANGE clause with a bound of type '{bound.type.sql()}': "
        f"the key has type '{key.sql()}'"
    )
    raise invalid(text, node.span)
