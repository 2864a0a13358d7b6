"""LEFT ASOF JOIN: the condition becomes keys, MATCH_CONDITION the times that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millstream.expressions.nodes import Call, Cast, ColumnRef, Expression, columns_used, remap_columns
from millstream.plan.conditions import split_conjunction
from millstream.plan.joining import joined_schema
from millstream.plan.nodes import AsofJoin, Column, JoinKind, Plan, Project
from millstream.sql.binding import Environment, QueryEnvironment
from millstream.sql.messages import SqlError, not_yet
from millstream.sql.queries.select import condition
from millstream.sql.scope import Scope, nullable_side
from millstream.sql.syntax import Join, Node

_NULL_SAFE = {"=": False, "<=>": True, "IS NOT DISTINCT FROM": True}


def bind_asof_join(node: Join, left: Plan, right: Plan, scope: Scope, env: QueryEnvironment) -> tuple[Plan, Scope]:
    """The join of two bound relations; `scope` is that of their columns side by side."""
    width = len(left.schema)
    inner = Environment(env, replace(scope, outer=env.outer), clause="MATCH_CONDITION")
    times = _times(node, inner, width)
    if node.natural or node.using:
        raise not_yet("ASOF joins with USING or NATURAL", node.span)
    assert node.condition is not None
    bound = condition(node.condition, replace(inner, clause="ON"))
    pairs = [_pair(conjunct, width) for conjunct in split_conjunction(bound)]
    if None in pairs:
        raise _refused("ASOF JOIN condition must be a conjunction of equality comparisons", node.condition)
    found = [pair for pair in pairs if pair is not None]
    wide_left, left_at = _extended(left, [times[0], *(pair[0] for pair in found)])
    wide_right, right_at = _extended(right, [times[1], *(pair[1] for pair in found)])
    schema = joined_schema(JoinKind.LEFT, wide_left.schema, wide_right.schema)
    joined = AsofJoin(
        schema,
        wide_left,
        wide_right,
        tuple(left_at[1:]),
        tuple(right_at[1:]),
        tuple(pair[2] for pair in found),
        left_at[0],
        right_at[0],
    )
    start = len(wide_left.schema)
    kept = [*range(width), *range(start, start + len(right.schema))]
    plan = Project(tuple(schema[i] for i in kept), joined, tuple(ColumnRef(schema[i].type, i) for i in kept))
    return plan, nullable_side(scope, width, len(kept))


def _refused(text: str, node: Node) -> SqlError:
    return SqlError(text, node.span, error_type="Not supported")


def _times(node: Join, env: Environment, width: int) -> tuple[Expression, Expression]:
    """The two sides of MATCH_CONDITION, each over its own input."""
    assert node.match_condition is not None
    bound = env.bind(node.match_condition)
    if not isinstance(bound, Call) or bound.name not in ("=", "<>", "<", "<=", ">", ">="):
        raise _refused("ASOF JOIN MATCH_CONDITION must be a comparison between columns from the two inputs", node)
    first, second = bound.arguments
    sides = [{column >= width for column in columns_used(operand)} for operand in (first, second)]
    if sorted(map(sorted, sides)) != [[False], [True]] or not (_is_column(first) and _is_column(second)):
        raise _refused("ASOF JOIN MATCH_CONDITION must be a comparison between columns from the two inputs", node)
    if bound.name != ">=" or sides[0] == {True}:
        text = "Currently the only MATCH_CONDITION comparison supported by ASOF joins is 'leftCol >= rightCol'"
        raise _refused(text, node.match_condition)
    return first, _moved(second, width)


def _is_column(expression: Expression) -> bool:
    """A column, or one that was cast for the comparison."""
    return isinstance(expression, ColumnRef) or (isinstance(expression, Cast) and _is_column(expression.argument))


def _moved(expression: Expression, width: int) -> Expression:
    return remap_columns(expression, {i: i - width for i in columns_used(expression)})


def _pair(conjunct: Expression, width: int) -> tuple[Expression, Expression, bool] | None:
    """The operands of an equality between the inputs, the left one's first; None if it is something else."""
    if not isinstance(conjunct, Call) or conjunct.name not in _NULL_SAFE:
        return None
    first, second = conjunct.arguments
    sides = [{column >= width for column in columns_used(operand)} for operand in (first, second)]
    if sides == [{True}, {False}]:
        first, second = second, first
    elif sides != [{False}, {True}]:
        return None
    return first, _moved(second, width), _NULL_SAFE[conjunct.name]


def _extended(plan: Plan, expressions: Sequence[Expression]) -> tuple[Plan, list[int]]:
    """The plan with those expressions as columns where they are none yet, and where each one is."""
    columns: list[Expression] = [ColumnRef(c.type, i) for i, c in enumerate(plan.schema)]
    width = len(columns)
    places = []
    for expression in expressions:
        if expression not in columns:
            columns.append(expression)
        places.append(columns.index(expression))
    if len(columns) == width:
        return plan, places
    added = tuple(Column(f"$key{i}", e.type) for i, e in enumerate(columns[width:]))
    return Project(plan.schema + added, plan, tuple(columns)), places
