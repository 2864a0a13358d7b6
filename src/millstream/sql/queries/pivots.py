"""PIVOT and UNPIVOT: rows become columns, columns become rows.

PIVOT is a GROUP BY over the columns that it does not mention, with an aggregate for each pair of a value and a measure,
filtered by the value. UNPIVOT is a UNION ALL with an operand for each entry of its list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millstream.expressions.aggregates import NEVER_NULL
from millstream.expressions.coercion import coerce, least_restrictive
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression, columns_used
from millstream.expressions.registry import build_call
from millstream.plan.nodes import AggregateCall, Column, Filter, Plan, Project, UnionAll
from millstream.plan.program import Span
from millstream.sql.binding import (
    AGGREGATE_BASE,
    Aggregates,
    Environment,
    QueryEnvironment,
    at_place,
    binds_relation,
)
from millstream.sql.calls import is_aggregate
from millstream.sql.catalog import derived_column
from millstream.sql.messages import invalid, not_yet
from millstream.sql.queries.aliases import aliased
from millstream.sql.queries.grouping import Grouping
from millstream.sql.scope import Scope, ScopeColumn
from millstream.sql.syntax import Constant, Identifier, Name, Node, Pivot, PivotValue, Unpivot, UnpivotColumns
from millstream.types.sql_type import VARCHAR

# ---- PIVOT ----


@binds_relation(Pivot)
def _pivot(node: Pivot, env: QueryEnvironment) -> tuple[Plan, Scope]:
    plan, scope = env.bind_relation(node.source)
    aggregates = Aggregates(grouped=True)
    inner = Environment(env, replace(scope, outer=env.outer), aggregates=aggregates, clause="PIVOT")
    calls = [_measure(item.expression, aggregates, inner) for item in node.measures]
    axes = [replace(inner, aggregates=None).bind(axis) for axis in node.axes]
    used = {column for e in (*aggregates.inputs, *axes) for column in columns_used(e)}
    kept = [column for column in scope.star(None) if column.index not in used]
    columns = [Column(c.name, c.type, c.case_sensitive) for c in kept]
    filtered = []
    for value in node.values:
        condition = _condition(value, axes, env)
        for item, call in zip(node.measures, calls, strict=True):
            filtered.append(_filtered(call, condition, aggregates))
            name = value.text if value.alias is None else value.alias.name
            name += "" if item.alias is None else f"_{item.alias.name}"
            columns.append(derived_column(name, filtered[-1].type))
    aggregates.calls = filtered
    keys = tuple(ColumnRef(c.type, c.index) for c in kept)
    grouped, _ = Grouping(keys, (tuple(range(len(keys))),)).build(plan, aggregates, {})
    return aliased(replace(grouped, schema=tuple(columns)), node.alias, "")


def _measure(node: Node, aggregates: Aggregates, env: Environment) -> AggregateCall:
    if not is_aggregate(node, env):
        raise invalid("Measure expression in PIVOT must use aggregate function", node.span)
    placeholder = env.bind(node)
    if not isinstance(placeholder, ColumnRef):  # a cast to the length that a user's aggregate declares
        raise not_yet(f"PIVOT by an aggregate of type {placeholder.type.sql()}", node.span)
    return aggregates.calls[placeholder.index - AGGREGATE_BASE]


def _condition(value: PivotValue, axes: Sequence[Expression], env: QueryEnvironment) -> Expression:
    """Whether the axes of a row have a value."""
    if len(value.constants) != len(axes):
        text = f"Value count in PIVOT ({len(value.constants)}) must match number of FOR columns ({len(axes)})"
        raise invalid(text, value.span)
    outside = Environment(env, Scope(), clause="PIVOT")
    tests = []
    for axis, constant in zip(axes, value.constants, strict=True):
        try:
            tests.append(build_call("IS NOT DISTINCT FROM", [axis, outside.bind(constant)]))
        except TypeCheckError as error:
            raise at_place(error, constant.span) from None
    return tests[0] if len(tests) == 1 else build_call("AND", tests)


def _filtered(call: AggregateCall, condition: Expression, aggregates: Aggregates) -> AggregateCall:
    """The call over the rows of one value."""
    if call.filter is not None:
        condition = build_call("AND", [aggregates.inputs[call.filter], condition])
    sql_type = call.type if call.function in NEVER_NULL else call.type.with_nullable(True)
    return replace(call, filter=aggregates.input(condition), type=sql_type)


# ---- UNPIVOT ----


@binds_relation(Unpivot)
def _unpivot(node: Unpivot, env: QueryEnvironment) -> tuple[Plan, Scope]:
    plan, scope = env.bind_relation(node.source)
    inner = Environment(env, replace(scope, outer=env.outer), clause="UNPIVOT")
    entries = [_columns(entry, node, inner) for entry in node.columns]
    gone = {column.index for entry in entries for column in entry}
    kept = [column for column in scope.star(None) if column.index not in gone]
    _check_names(node, kept)
    measures = [
        _unified([ColumnRef(entry[i].type, entry[i].index) for entry in entries], "measure", name)
        for i, name in enumerate(node.measures)
    ]
    constants = [_constants(entry, node, env) for entry in node.columns]
    axes = [_unified([entry[i] for entry in constants], "axis", name) for i, name in enumerate(node.axes)]
    columns = [Column(c.name, c.type, c.case_sensitive) for c in kept]
    for name, values in (*zip(node.axes, axes, strict=True), *zip(node.measures, measures, strict=True)):
        nullable = any(value.type.nullable for value in values)
        columns.append(Column(name.name, values[0].type.with_nullable(nullable), name.quoted))
    schema = tuple(columns)
    passed = [ColumnRef(c.type, c.index) for c in kept]
    parts: list[Plan] = []
    for position, entry in enumerate(entries):
        rows = plan if node.nulls else Filter(plan.schema, plan, _any_present(entry))
        expressions = (*passed, *(v[position] for v in axes), *(v[position] for v in measures))
        parts.append(Project(schema, rows, tuple(expressions)))
    return aliased(parts[0] if len(parts) == 1 else UnionAll(schema, tuple(parts)), node.alias, "")


def _columns(entry: UnpivotColumns, node: Unpivot, env: Environment) -> list[ScopeColumn]:
    if len(entry.names) != len(node.measures):
        text = f"Column count in UNPIVOT ({len(entry.names)}) must match number of measures ({len(node.measures)})"
        raise invalid(text, entry.span)
    return [_column(name, env) for name in entry.names]


def _column(name: Name, env: Environment) -> ScopeColumn:
    bound = env.bind(name)
    found = [c for c in env.scope.columns if isinstance(bound, ColumnRef) and c.index == bound.index]
    if not found:
        raise invalid(f"Column '{name.parts[-1].name}' not found in any table", name.span)
    return found[0]


def _check_names(node: Unpivot, kept: Sequence[ScopeColumn]) -> None:
    taken = {column.name for column in kept}
    for name in (*node.axes, *node.measures):
        if name.name in taken:
            raise invalid(f"Duplicate column name '{name.name}' in UNPIVOT", name.span)
        taken.add(name.name)


def _constants(entry: UnpivotColumns, node: Unpivot, env: QueryEnvironment) -> list[Expression]:
    """The values of the axes for an entry: without AS, the names of its columns."""
    if not entry.constants:
        text = "_".join(name.parts[-1].name for name in entry.names)
        return [_text(text, entry.span, env)] * len(node.axes)
    if len(entry.constants) != len(node.axes):
        text = f"Value count in UNPIVOT ({len(entry.constants)}) must match number of FOR columns ({len(node.axes)})"
        raise invalid(text, entry.span)
    outside = Environment(env, Scope(), clause="UNPIVOT")
    bound = outside.bind_all(entry.constants)
    # blanks that pad texts to the longest one would be in nobody's interest
    return [coerce(e, VARCHAR.with_nullable(False)) if e.type.is_string else e for e in bound]


def _text(text: str, span: Span, env: QueryEnvironment) -> Expression:
    from_literal = Environment(env, Scope()).bind(Constant(span, "STRING", text))
    return coerce(from_literal, VARCHAR.with_nullable(False))


def _unified(values: Sequence[Expression], what: str, name: Identifier) -> list[Expression]:
    try:
        common = least_restrictive([value.type for value in values], "UNPIVOT", strings_absorb=False)
        return [coerce(value, common) for value in values]
    except TypeCheckError:
        source = "columns" if what == "measure" else "values"
        text = (
            f"In UNPIVOT, cannot derive type for {what} '{name.name}' because source {source} have different data types"
        )
        raise invalid(text, name.span) from None


def _any_present(columns: Sequence[ScopeColumn]) -> Expression:
    tests = [build_call("IS NOT NULL", [ColumnRef(c.type, c.index)]) for c in columns]
    return tests[0] if len(tests) == 1 else build_call("OR", tests)
