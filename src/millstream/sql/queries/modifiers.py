"""WITH, ORDER BY, LIMIT and OFFSET around a query."""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.nodes import ColumnRef, Expression
from millstream.plan.nodes import Column, Plan, Project, SortKey, TopK
from millstream.sql.binding import Environment, QueryEnvironment, SortedQuery, binds_query, binds_sorted
from millstream.sql.messages import SqlError, invalid
from millstream.sql.queries.select import bind_ordered_select, trim
from millstream.sql.scope import relation_scope
from millstream.sql.syntax import Constant, Node, Ordered, Select, SortItem, WithQuery


@binds_query(WithQuery)
def _with(node: WithQuery, env: QueryEnvironment) -> Plan:
    return _with_tables(node, env).bind(node.query)


@binds_sorted(WithQuery)
def _sorted_with(node: WithQuery, env: QueryEnvironment) -> SortedQuery:
    return _with_tables(node, env).bind_sorted(node.query)


def _with_tables(node: WithQuery, env: QueryEnvironment) -> QueryEnvironment:
    ctes = dict(env.ctes)
    for table in node.tables:
        plan = env.nested(ctes=dict(ctes)).bind(table.query)
        if table.columns:
            if len(table.columns) != len(plan.schema):
                text = f"Number of columns must match number of query columns of '{table.name.name}'"
                raise invalid(text, table.name.span)
            columns = zip(table.columns, plan.schema, strict=True)
            plan = replace(plan, schema=tuple(Column(n.name, c.type, n.quoted) for n, c in columns))
        ctes[table.name.name] = plan
    return replace(env, ctes=ctes)


@binds_query(Ordered)
def _ordered(node: Ordered, env: QueryEnvironment) -> Plan:
    bound = _sorted(node, env)
    used = node.limit is not None or node.offset is not None
    if env.top and not used and not (isinstance(node.query, Select) and node.query.distinct_on):
        text = (
            "ORDER BY clause is currently ignored\n"
            "(the result will contain the correct data, but the data is not ordered)"
        )
        env.context.warn("ORDER BY is ignored", text, node.span)
    return trim(bound, bound.plan)


@binds_sorted(Ordered)
def _sorted(node: Ordered, env: QueryEnvironment) -> SortedQuery:
    limit = None if node.limit is None else _row_count(node.limit)
    offset = 0 if node.offset is None else _row_count(node.offset)
    query, order, order_all = node.query, node.order, node.order_all
    if isinstance(query, Select):
        bound = bind_ordered_select(query, order, order_all, env)
    else:
        bound = _over_output(env.nested().bind(query), order, order_all, env)
    if limit is None and offset == 0:
        return bound
    return replace(bound, plan=TopK(bound.plan.schema, bound.plan, (), bound.keys, limit, offset))


def _row_count(node: Node) -> int:
    if not isinstance(node, Constant) or node.kind != "NUMBER" or not node.text.isdigit():
        raise SqlError("LIMIT and OFFSET must be non-negative integer literals", node.span, error_type="Not supported")
    return int(node.text)


def _over_output(plan: Plan, order: tuple[SortItem, ...], order_all: bool, env: QueryEnvironment) -> SortedQuery:
    """Sort keys over the columns of a query that is not a SELECT."""
    width = len(plan.schema)
    if order_all:
        every = tuple(SortKey(i, order[0].descending, order[0].nulls_first) for i in range(width))
        return SortedQuery(plan, width, every)
    scope = relation_scope("", plan.schema)
    inner = Environment(env, scope, clause="ORDER BY")
    expressions: list[Expression] = [ColumnRef(c.type, i) for i, c in enumerate(plan.schema)]
    schema = list(plan.schema)
    keys = []
    for item in order:
        value = _ordinal(item.expression, expressions[:width]) or inner.bind(item.expression)
        if value not in expressions:
            expressions.append(value)
            schema.append(Column(f"$sort{len(schema)}", value.type))
        keys.append(SortKey(expressions.index(value), item.descending, item.nulls_first))
    if len(expressions) > width:
        plan = Project(tuple(schema), plan, tuple(expressions))
    return SortedQuery(plan, width, tuple(keys))


def _ordinal(node: Node, columns: list[Expression]) -> Expression | None:
    if not isinstance(node, Constant) or node.kind != "NUMBER" or not node.text.isdigit():
        return None
    position = int(node.text)
    if not 1 <= position <= len(columns):
        raise invalid("Ordinal out of range", node.span)
    return columns[position - 1]
