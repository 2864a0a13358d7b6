"""VARIANTs in order: sorts, window functions, minima and maxima get a column of bytes to order them by.

The operators order what they are given by its bytes, and the bytes of a VARIANT are JSON text. So under every node that
orders by a VARIANT its key (the internal function VARIANT ORDER) is computed as one more column; MIN and MAX of a
VARIANT become ARG_MIN and ARG_MAX by that key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Aggregate, Column, Plan, Project, TopK, Window
from millstream.types import Kind

_BY_KEY = {"MIN": "ARG_MIN", "MAX": "ARG_MAX"}


def order_variants(plan: Plan) -> Plan:
    """Order by keys where a node orders by VARIANTs."""
    if isinstance(plan, Aggregate):
        return _aggregate(plan)
    if isinstance(plan, TopK | Window):
        return _ordered(plan)
    return plan


def _aggregate(plan: Aggregate) -> Plan:
    ordered = [c.arguments[0] for c in plan.calls if c.function in _BY_KEY and _is_variant(plan.input, c.arguments[0])]
    if not ordered:
        return plan
    source, keys = _with_keys(plan.input, ordered)
    calls = tuple(
        replace(call, function=_BY_KEY[call.function], arguments=(call.arguments[0], keys[call.arguments[0]]))
        if call.function in _BY_KEY and call.arguments[0] in keys
        else call
        for call in plan.calls
    )
    return replace(plan, input=source, calls=calls)


def _ordered(plan: TopK | Window) -> Plan:
    ordered = [key.column for key in plan.keys if _is_variant(plan.input, key.column)]
    if not ordered:
        return plan
    source, keys = _with_keys(plan.input, ordered)
    sort = tuple(replace(key, column=keys.get(key.column, key.column)) for key in plan.keys)
    width, added = len(plan.input.schema), len(keys)
    schema = source.schema + plan.schema[width:]
    result = replace(plan, schema=schema, input=source, keys=sort)
    kept = [i for i in range(len(schema)) if not width <= i < width + added]
    return Project(plan.schema, result, tuple(ColumnRef(schema[i].type, i) for i in kept))


def _is_variant(plan: Plan, column: int) -> bool:
    return plan.schema[column].type.kind is Kind.VARIANT


def _with_keys(plan: Plan, columns: Iterable[int]) -> tuple[Plan, dict[int, int]]:
    """The plan with the keys of columns behind its own columns, and where each column's key is."""
    expressions: list[Expression] = [ColumnRef(column.type, i) for i, column in enumerate(plan.schema)]
    schema, keys = list(plan.schema), {}
    for column in dict.fromkeys(columns):
        key = build_call("VARIANT ORDER", [expressions[column]])
        keys[column] = len(expressions)
        expressions.append(key)
        schema.append(Column(f"$order{column}", key.type))
    return Project(tuple(schema), plan, tuple(expressions)), keys
