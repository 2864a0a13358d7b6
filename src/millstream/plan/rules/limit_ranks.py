"""Conditions on ranks limit what is ranked: only the first rows of each partition are kept in order.

A filter `rank <= k` over a Window node becomes a limit under it. The rows within the limit are a prefix of each
partition, and in a prefix they have the ranks that they have in the whole.

| function | rows within the limit k |
|---|---|
| ROW_NUMBER | TopK |
| RANK | those with keys of the first k rows: a semi-join with the TopK of partition and keys |
| DENSE_RANK | those with the first k distinct keys: a semi-join with the TopK of the distinct partition and keys |

So state in order holds k rows or keys a partition, and a change beyond them costs nothing more.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.nodes import Call, Cast, ColumnRef, Expression, Literal
from millstream.plan.conditions import conjunction, split_conjunction
from millstream.plan.nodes import Distinct, Filter, Join, JoinKind, Plan, Project, SortKey, TopK, Window

_RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def limit_ranks(plan: Plan) -> Plan:
    """Put a limit under a window whose ranks a filter bounds."""
    if not isinstance(plan, Filter) or not isinstance(plan.input, Window):
        return plan
    window = plan.input
    if any(call.function not in _RANKS for call in window.calls):
        return plan
    width = len(window.input.schema)
    conditions = split_conjunction(plan.predicate)
    bounds = [(b[1], b[0] - width, position) for position, c in enumerate(conditions) if (b := _bound(c, width))]
    if not bounds:
        return plan
    limit, number, position = min(bounds)
    function = window.calls[number].function
    limited = replace(window, input=_limited(window, function, limit))
    if _is_implied(conditions[position], limit):
        conditions.pop(position)
    rest = conjunction(conditions)
    return limited if rest is None else Filter(plan.schema, limited, rest)


def _bound(condition: Expression, width: int) -> tuple[int, int] | None:
    """The rank column that a condition bounds and its greatest possible value."""
    comparison = _comparison(condition)
    if comparison is None:
        return None
    column, operator, value = comparison
    if column < width or operator not in ("<", "<=", "="):
        return None
    limit = value - 1 if operator == "<" else value
    return (column, limit) if limit > 0 else None


def _is_implied(condition: Expression, limit: int) -> bool:
    """Whether the condition that gave the limit holds for all rows within it."""
    comparison = _comparison(condition)
    assert comparison is not None
    return comparison[1] != "=" or limit == 1


def _comparison(condition: Expression) -> tuple[int, str, int] | None:
    """Column, operator and number of a comparison of a column with a constant."""
    if not isinstance(condition, Call) or condition.name not in _MIRRORED:
        return None
    first, second = (_plain(operand) for operand in condition.arguments)
    operator = condition.name
    if isinstance(first, Literal):
        first, second, operator = second, first, _MIRRORED[operator]
    if not isinstance(first, ColumnRef) or not isinstance(second, Literal) or not isinstance(second.value, int):
        return None
    return first.index, operator, second.value


def _plain(operand: Expression) -> Expression:
    """Without a cast between integer types: ranks and limits fit in all of them that matter."""
    if isinstance(operand, Cast) and operand.type.is_integer and operand.argument.type.is_integer:
        return operand.argument
    return operand


def _limited(window: Window, function: str, limit: int) -> Plan:
    source = window.input
    if function == "ROW_NUMBER":
        return TopK(source.schema, source, window.partition, window.keys, limit, 0)
    columns = tuple(dict.fromkeys((*window.partition, *(key.column for key in window.keys))))
    schema = tuple(source.schema[c] for c in columns)
    ranked: Plan = Project(schema, source, tuple(ColumnRef(source.schema[c].type, c) for c in columns))
    if function == "DENSE_RANK":
        ranked = Distinct(schema, ranked)
    keys = tuple(SortKey(columns.index(k.column), k.descending, k.nulls_first) for k in window.keys)
    partition = tuple(columns.index(p) for p in window.partition)
    first = TopK(schema, ranked, partition, keys, limit, 0)
    places = tuple(range(len(columns)))
    return Join(source.schema, JoinKind.SEMI, source, first, columns, places, (True,) * len(columns))
