"""CREATE VIEW: the query, the names of its columns, and the view's properties."""

from __future__ import annotations

from dataclasses import replace

from millstream.plan.nodes import Column, Join, JoinKind, Plan, Scan, Schema
from millstream.plan.program import Program, Property, View
from millstream.plan.rules import optimize
from millstream.plan.temporal import split_guards
from millstream.plan.walk import calls_function, expressions_of, nodes
from millstream.plan.waterlines import Waterlines
from millstream.sql.binding import QueryEnvironment
from millstream.sql.connectors import parse_connectors
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, invalid, not_yet
from millstream.sql.properties import boolean, declared_properties
from millstream.sql.statements.declare_recursive import as_declared
from millstream.sql.statements.names import check_relation_name
from millstream.sql.statements.registry import check_new_name, compiles
from millstream.sql.syntax import CreateView
from millstream.types import Kind, SqlType

_PROPERTIES = ("connectors", "emit_final", "rust", "materialized")


@compiles(CreateView)
def create_view(statement: CreateView, context: Context) -> None:
    """Adds the view to the catalog."""
    check_new_name(statement.name, context)
    check_relation_name(statement.name, "view")
    properties = declared_properties(statement.properties, _PROPERTIES, "view")
    plan = QueryEnvironment(context, top=True).bind(statement.query)
    plan, schema = as_declared(statement.name, plan, _named(statement, plan), context)
    local, name = statement.kind == "LOCAL", statement.name.name
    if not local:
        for column in schema:
            check_storable(column.type, column.name, f"view '{name}'", "view", statement)
    if "materialized" in properties:
        boolean("materialized", properties["materialized"])
        text = "'materialized' property is not used for views, please use 'CREATE MATERIALIZED VIEW' instead"
        context.warn("Materialized property not used", text, properties["materialized"].key_span)
    final = _emit_final(statement, properties["emit_final"], schema) if "emit_final" in properties else None
    plan = optimize(plan)
    if any(_joins_by_time(node) for node in nodes(plan)):
        raise not_yet("NOW() in a condition on both sides of an outer join", statement.name.span)
    if plan.schema != schema:
        plan = replace(plan, schema=schema)
    if not _scans(plan):
        text = f"View '{name}' does not depend on any input data"
        context.warn("View is constant", text, statement.name.span)
    if _scans(plan) and any(_recomputes(node) for node in nodes(plan)):
        text = "NOW() expression is used in a pattern that could require expensive computations"
        context.warn("Inefficient pattern", text, statement.name.span)
    context.places[name] = statement.name.span
    context.catalog.views[name] = View(
        name,
        schema,
        plan,
        case_sensitive=statement.name.quoted,
        local=local,
        materialized=statement.kind == "MATERIALIZED",
        properties=properties,
        connectors=parse_connectors(statement.name, "view", properties, context),
        emit_final=final,
    )


def _emit_final(statement: CreateView, value: Property, schema: Schema) -> int:
    """The column that `emit_final` names, by name or number."""
    name, column = statement.name.name, value.value
    if statement.kind == "LOCAL":
        text = f"View '{name}' is LOCAL, so it has no output that 'emit_final' could delay"
        raise SqlError(text, value.key_span)
    if column.isdecimal():
        if int(column) >= len(schema):
            text = f"View '{name}' does not have a column with number {column}"
            raise SqlError(text, value.value_span, error_type="Illegal column number")
        return int(column)
    found = next((i for i, c in enumerate(schema) if c.name == column), None)
    if found is None:
        text = f"Column '{column}' not found in '{name}'"
        raise SqlError(text, value.value_span, error_type="Illegal column name")
    return found


def check_emit_final(program: Program, context: Context) -> None:
    """Reports columns of `emit_final` that have no waterline; all LATENESS is known by now."""
    waterlines: Waterlines | None = None
    for view in program.views:
        if view.emit_final is None:
            continue
        waterlines = waterlines or Waterlines(program)
        if view.emit_final not in waterlines.relation(view.name):
            column = view.schema[view.emit_final].name
            text = f"Could not infer a waterline for column {view.name}.{column} which has an 'emit_final' annotation"
            context.report(SqlError(text, view.properties["emit_final"].value_span))


def _named(statement: CreateView, plan: Plan) -> Schema:
    """The output columns under their declared names."""
    if not statement.columns:
        return plan.schema
    if len(statement.columns) != len(plan.schema):
        text = (
            f"View '{statement.name.name}' specifies {len(statement.columns)} columns "
            f"but query computes {len(plan.schema)} columns"
        )
        raise SqlError(text, statement.name.span, error_type="Column count mismatch")
    seen: set[str] = set()
    columns = []
    for given, column in zip(statement.columns, plan.schema, strict=True):
        if given.name in seen:
            raise invalid(f"Column with name '{given.name}' already defined", given.span)
        seen.add(given.name)
        columns.append(Column(given.name, column.type, given.quoted))
    return tuple(columns)


def check_storable(sql_type: SqlType, column: str, owner: str, kind: str, statement: CreateView) -> None:
    """Intervals, and arrays whose elements have no type, may not leave the program."""
    if _has_untyped_array(sql_type):
        text = "Could not infer a type for array elements; please specify it using CAST(array AS X ARRAY)"
        raise SqlError(text, statement.name.span)
    if has_interval(sql_type):
        text = f"Column '{column}' of {owner} has type '{sql_type.sql()}' which is currently not allowed in a {kind}."
        raise SqlError(text, statement.name.span, error_type="Unsupported column type")


def _has_untyped_array(sql_type: SqlType) -> bool:
    if sql_type.kind is Kind.ARRAY and sql_type.component is not None and sql_type.component.kind is Kind.NULL:
        return True
    return any(_has_untyped_array(part) for part in _parts(sql_type))


def has_interval(sql_type: SqlType) -> bool:
    """Whether a type is or contains an interval."""
    return sql_type.is_interval or any(has_interval(part) for part in _parts(sql_type))


def _parts(sql_type: SqlType) -> list[SqlType]:
    """The types of the members of a nested type."""
    members = (sql_type.component, sql_type.key, sql_type.value, *(f.type for f in sql_type.fields))
    return [member for member in members if member is not None]


def _joins_by_time(plan: Plan) -> bool:
    """Whether time decides which rows of a join are padded; only the pairs of inner joins are looked at again."""
    if not isinstance(plan, Join) or plan.kind is JoinKind.INNER or plan.residual is None:
        return False
    return calls_function(plan.residual, "NOW")


def _recomputes(plan: Plan) -> bool:
    """Whether a node evaluates all its rows again whenever the time moves."""
    expressions = expressions_of(plan)
    if not plan.inputs or not any(calls_function(e, "NOW") for e in expressions):
        return False
    return split_guards(expressions, sum(len(child.schema) for child in plan.inputs)) is None


def _scans(plan: Plan) -> bool:
    """Whether a plan reads any relation."""
    return isinstance(plan, Scan) or any(_scans(child) for child in plan.inputs)
