"""UNION, EXCEPT, INTERSECT, VALUES: rows of several sources under one list of column types."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import coerce, least_restrictive
from millstream.plan.nodes import Column, Distinct, Except, Intersect, Plan, Project, Schema, UnionAll, Values
from millstream.sql.binding import Environment, QueryEnvironment, binds_query
from millstream.sql.catalog import derived_column
from millstream.sql.messages import invalid
from millstream.sql.syntax import SetOperation, ValuesQuery
from millstream.types import Kind


@binds_query(SetOperation)
def _set_operation(node: SetOperation, env: QueryEnvironment) -> Plan:
    env = env.nested()
    left, right = env.bind(node.left), env.bind(node.right)
    if len(left.schema) != len(right.schema):
        raise invalid(f"Column count mismatch in {node.operator}", node.right.span)
    schema = _common_schema(node, left.schema, right.schema)
    _warn_reordered(node, left.schema, right.schema, env)
    left, right = converted(left, schema), converted(right, schema)
    if node.operator == "UNION":
        union = UnionAll(schema, (*_operands(left, schema), *_operands(right, schema)))
        return union if node.all else Distinct(schema, union)
    schema = tuple(
        replace(c, type=c.type.with_nullable(_nullable(node.operator, mine.type.nullable, other.type.nullable)))
        for c, mine, other in zip(schema, left.schema, right.schema, strict=True)
    )
    if node.operator == "EXCEPT":
        return Except(schema, left, right, node.all)
    return Intersect(schema, left, right, node.all)


def _nullable(operator: str, left: bool, right: bool) -> bool:
    return left if operator == "EXCEPT" else left and right


def _operands(plan: Plan, schema: Schema) -> tuple[Plan, ...]:
    """The operands of a UNION ALL inside another are operands of both."""
    if isinstance(plan, UnionAll) and [c.type for c in plan.schema] == [c.type for c in schema]:
        return plan.operands
    return (plan,)


def _common_schema(node: SetOperation, left: Schema, right: Schema) -> Schema:
    columns = []
    for position, (mine, other) in enumerate(zip(left, right, strict=True), 1):
        try:
            common = least_restrictive([mine.type, other.type])
        except TypeCheckError:
            raise invalid(f"Type mismatch in column {position} of {node.operator}", node.span) from None
        columns.append(Column(mine.name, common, mine.case_sensitive))
    return tuple(columns)


def _warn_reordered(node: SetOperation, left: Schema, right: Schema, env: QueryEnvironment) -> None:
    first, second = [c.name for c in left], [c.name for c in right]
    if first != second and sorted(first) == sorted(second):
        text = f"The operands of {node.operator} have the same columns in different orders; they match by position"
        env.context.warn("Fields reordered", text, node.span)


def converted(plan: Plan, schema: Schema) -> Plan:
    """`plan` with its columns converted to the types of `schema`, apart from nullability."""
    if all(c.type.same_apart_from_nullability(t.type) for c, t in zip(plan.schema, schema, strict=True)):
        return plan
    expressions = tuple(
        coerce(ColumnRef(c.type, i), t.type) for i, (c, t) in enumerate(zip(plan.schema, schema, strict=True))
    )
    columns = tuple(replace(c, type=e.type) for c, e in zip(schema, expressions, strict=True))
    return Project(columns, plan, expressions)


@binds_query(ValuesQuery)
def _values(node: ValuesQuery, env: QueryEnvironment) -> Plan:
    width = len(node.rows[0])
    if any(len(row) != width for row in node.rows):
        raise invalid("Values passed to VALUES operator must have compatible types", node.span)
    inner = Environment(env.nested(), clause="VALUES")
    rows = [inner.bind_all(row) for row in node.rows]
    columns: list[list[Expression]] = []
    for position in range(width):
        cells = [row[position] for row in rows]
        try:
            common = least_restrictive([cell.type for cell in cells])
        except TypeCheckError:
            unequal = len({len(cell.type.fields) for cell in cells if cell.type.kind is Kind.STRUCT}) > 1
            text = "Values passed to VALUES operator must have compatible types"
            raise invalid("Unequal number of entries in ROW expressions" if unequal else text, node.span) from None
        columns.append([coerce(cell, common.with_nullable(cell.type.nullable)) for cell in cells])
    schema = tuple(
        derived_column(f"EXPR${i}", cells[0].type.with_nullable(any(c.type.nullable for c in cells)))
        for i, cells in enumerate(columns)
    )
    return Values(schema, tuple(zip(*columns, strict=True)))
