"""Plans as text, for people: one line a node, inputs indented below it."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.errors import INFIX
from millstream.expressions.functions.user_defined import NAME as USER_FUNCTION
from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, Literal
from millstream.plan.nodes import (
    Aggregate,
    AggregateCall,
    AsofJoin,
    Except,
    Filter,
    Hop,
    Intersect,
    Join,
    Plan,
    Project,
    Recursive,
    Scan,
    Schema,
    Session,
    SortKey,
    TopK,
    Unnest,
    Values,
    Window,
    WindowCall,
    WindowFrame,
)
from millstream.plan.program import Program


def explain_program(program: Program) -> str:
    """The plans of all views."""
    return "\n\n".join(f"{view.name}:\n{explain(view.plan)}" for view in program.views)


def explain(plan: Plan) -> str:
    """A plan as a tree of lines."""
    lines = [describe(plan)]
    for child in plan.inputs:
        lines += ["  " + line for line in explain(child).split("\n")]
    return "\n".join(lines)


def describe(plan: Plan) -> str:
    """One node, its columns by name."""
    if isinstance(plan, Scan):
        return f"Scan {plan.relation}"
    if isinstance(plan, Values):
        return f"Values {len(plan.rows)} rows"
    if isinstance(plan, Project):
        items = [
            _item(expression_text(e, plan.input.schema), c.name)
            for e, c in zip(plan.expressions, plan.schema, strict=True)
        ]
        return f"Project {', '.join(items)}"
    if isinstance(plan, Filter):
        return f"Filter {expression_text(plan.predicate, plan.input.schema)}"
    if isinstance(plan, Join):
        return _join(plan)
    if isinstance(plan, Aggregate):
        keys = [plan.input.schema[g].name for g in plan.group]
        calls = [
            _item(_aggregate(call, plan.input.schema), column.name)
            for call, column in zip(plan.calls, plan.schema[len(keys) :], strict=True)
        ]
        return f"Aggregate by ({', '.join(keys)}) {', '.join(calls)}".rstrip()
    if isinstance(plan, Except | Intersect):
        return type(plan).__name__ + (" all" if plan.all else "")
    if isinstance(plan, TopK):
        return _top_k(plan)
    if isinstance(plan, Hop):
        return f"Hop {plan.input.schema[plan.time_column].name} slide {plan.slide_us} us, size {plan.size_us} us"
    if isinstance(plan, Session):
        schema = plan.input.schema
        return f"Session{_partitions(schema, plan.partition, ())} {schema[plan.time_column].name} gap {plan.gap}"
    if isinstance(plan, Unnest):
        return f"Unnest {plan.input.schema[plan.column].name}{' with ordinality' if plan.ordinality else ''}"
    if isinstance(plan, Window):
        return _window(plan)
    if isinstance(plan, AsofJoin):
        keys = _key_pairs(plan)
        times = f"{plan.left.schema[plan.left_time].name} >= {plan.right.schema[plan.right_time].name}"
        return f"AsofJoin {times}" + (f" on {' AND '.join(keys)}" if keys else "")
    if isinstance(plan, Recursive):
        names = ", ".join(definition.name for definition in plan.definitions)
        return f"Recursive {plan.definitions[plan.member].name} of ({names})"
    return type(plan).__name__


def _item(text: str, name: str) -> str:
    return text if text == name else f"{text} AS {name}"


def _join(plan: Join) -> str:
    parts = _key_pairs(plan)
    text = f"Join {plan.kind.value}" + (f" on {' AND '.join(parts)}" if parts else "")
    if plan.residual is not None:
        text += f" where {expression_text(plan.residual, plan.left.schema + plan.right.schema)}"
    return text


def _key_pairs(plan: Join | AsofJoin) -> list[str]:
    return [
        f"{plan.left.schema[left].name} {'<=>' if null_safe else '='} {plan.right.schema[right].name}"
        for left, right, null_safe in zip(plan.left_keys, plan.right_keys, plan.null_safe, strict=True)
    ]


def _aggregate(call: AggregateCall, schema: Schema) -> str:
    arguments = ", ".join(schema[a].name for a in call.arguments) or "*"
    order = f" ORDER BY {_sort_keys(schema, call.order)}" if call.order else ""
    text = f"{call.function}({'DISTINCT ' if call.distinct else ''}{arguments}{order})"
    text += f" WITHIN DISTINCT ({', '.join(schema[c].name for c in call.within)})" if call.within else ""
    return text if call.filter is None else f"{text} FILTER ({schema[call.filter].name})"


def _top_k(plan: TopK) -> str:
    text = "TopK" + _partitions(plan.schema, plan.partition, plan.keys)
    text += "" if plan.limit is None else f" limit {plan.limit}"
    return text + (f" offset {plan.offset}" if plan.offset else "")


def _partitions(schema: Schema, partition: Sequence[int], sort_keys: Sequence[SortKey]) -> str:
    text = f" per ({', '.join(schema[p].name for p in partition)})" if partition else ""
    return text + (f" by {_sort_keys(schema, sort_keys)}" if sort_keys else "")


def _sort_keys(schema: Schema, keys: Sequence[SortKey]) -> str:
    return ", ".join(
        f"{schema[k.column].name}{' DESC' if k.descending else ''} NULLS {'FIRST' if k.nulls_first else 'LAST'}"
        for k in keys
    )


def _window(plan: Window) -> str:
    schema = plan.input.schema
    calls = [
        _item(_window_call(call, schema), column.name)
        for call, column in zip(plan.calls, plan.schema[len(schema) :], strict=True)
    ]
    return f"Window{_partitions(schema, plan.partition, plan.keys)}: {', '.join(calls)}"


def _window_call(call: WindowCall, schema: Schema) -> str:
    if call.frame is None:
        arguments = [schema[a].name for a in call.arguments]
        if call.function in ("LAG", "LEAD"):
            arguments.insert(1, str(call.offset))
        return f"{call.function}({', '.join(arguments)})"
    aggregate = AggregateCall(call.function, call.arguments, call.type, call.distinct, call.filter)
    return f"{_aggregate(aggregate, schema)} {_frame(call.frame)}"


def _frame(frame: WindowFrame) -> str:
    bounds = ["..." if bound is None else f"{bound:+d}" if bound else "0" for bound in (frame.low, frame.high)]
    return f"{'rows' if frame.rows else 'range'} {bounds[0]} to {bounds[1]}"


def expression_text(expression: Expression, schema: Schema) -> str:
    """An expression over the columns of `schema`."""
    if isinstance(expression, ColumnRef):
        return schema[expression.index].name
    if isinstance(expression, Literal):
        return "NULL" if expression.value is None else repr(expression.value)
    if isinstance(expression, Cast):
        name = "SAFE_CAST" if expression.safe else "CAST"
        return f"{name}({expression_text(expression.argument, schema)} AS {expression.type.sql()})"
    if isinstance(expression, Case):
        branches = "".join(
            f" WHEN {expression_text(c, schema)} THEN {expression_text(r, schema)}" for c, r in expression.branches
        )
        return f"CASE{branches} ELSE {expression_text(expression.otherwise, schema)} END"
    assert isinstance(expression, Call)
    return _call(expression, [expression_text(a, schema) for a in expression.arguments])


def _call(call: Call, arguments: Sequence[str]) -> str:
    if call.name in INFIX and len(arguments) > 1:
        return "(" + f" {call.name} ".join(arguments) + ")"
    if call.name == USER_FUNCTION:
        return f"{call.options[0]}({', '.join(arguments)})"
    return f"{call.name}({', '.join([*arguments, *map(str, call.options)])})"
