"""SELECT: FROM, WHERE, grouping, items, DISTINCT, and the hidden columns that ORDER BY needs.

A grouped query is bound over its input rows; aggregate calls become placeholders. Then every item is rewritten over
the output of the Aggregate node: a subexpression equal to a grouping key reads the key, a placeholder reads its call,
and an input column that is left over was not grouped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from millstream.expressions.nodes import ColumnRef, Expression, Literal
from millstream.plan.nodes import Column, Distinct, Filter, Plan, Project, SortKey, TopK, Values
from millstream.sql.binding import (
    Aggregates,
    Alias,
    Environment,
    QueryEnvironment,
    SortedQuery,
    Subqueries,
    Windows,
    binds_query,
)
from millstream.sql.catalog import derived_column
from millstream.sql.dialect import union
from millstream.sql.messages import invalid
from millstream.sql.queries.grouping import bind_grouping, grouping_sets
from millstream.sql.queries.hints import check_select_hints
from millstream.sql.queries.subqueries import Rewrite, placed_subqueries, semi_join
from millstream.sql.queries.windows import build_windows, rewrite_request
from millstream.sql.scope import Scope
from millstream.sql.stars import expand_star
from millstream.sql.syntax import (
    Constant,
    Exists,
    FieldAccess,
    Identifier,
    InQuery,
    Name,
    Node,
    Operation,
    Select,
    SelectItem,
    SortItem,
    Star,
)
from millstream.types import Kind, SqlType

_TRUE = Literal(SqlType(Kind.BOOLEAN, nullable=False), True)


@dataclass(frozen=True)
class Item:
    """A bound select item and the column that it makes."""

    column: Column
    expression: Expression


def one_row() -> Plan:
    """The input of a SELECT without FROM."""
    return Values((Column("dual", _TRUE.type),), ((_TRUE,),))


@binds_query(Select)
def bind_select(select: Select, env: QueryEnvironment) -> Plan:
    """The plan of a SELECT without ORDER BY."""
    return bind_ordered_select(select, (), False, env).plan


def bind_ordered_select(
    select: Select,
    order: tuple[SortItem, ...],
    order_all: bool,
    env: QueryEnvironment,
    partial: frozenset[int] = frozenset(),
) -> SortedQuery:
    """The plan of a SELECT and of the ORDER BY that follows it. `partial`: input columns that some grouping set lacks,
    which makes them NULL after grouping."""
    plan, scope = one_row(), Scope(outer=env.outer)
    if select.source is not None:
        plan, scope = env.bind_relation(select.source)
        scope = scope.inside(env.outer)
    check_select_hints(select, env)
    base = Environment(env, scope)
    if select.where is not None:
        plan = filtered(plan, select.where, replace(base, clause="WHERE"))
    if partial:
        base = replace(base, scope=scope.with_nullable(partial))
    aggregates = Aggregates(grouped=select.group is not None and all(grouping_sets(select.group)))
    windows = Windows({name.name: window for name, window in select.windows})
    subqueries = Subqueries()
    base = replace(base, subqueries=subqueries)
    env_items = replace(base, aggregates=aggregates, windows=windows, clause="SELECT")
    items, aliases = _bind_items(select, env_items)
    after = replace(env_items, aliases=aliases, references={})
    having = None
    if select.having is not None:
        having = condition(select.having, replace(after, clause="HAVING", windows=None))
    sort = _bind_order(order, order_all, items, replace(after, clause="ORDER BY", alias_first=True))
    qualify = None
    if select.qualify is not None:
        qualify = condition(select.qualify, replace(after, clause="QUALIFY"))
    on = [_select_value(node, items, replace(after, clause="DISTINCT ON")) for node in select.distinct_on]
    grouped = select.group is not None or having is not None or bool(aggregates.calls)
    rewrite: Rewrite = _same
    if grouped:
        grouping = bind_grouping(select.group, select.items, items, aliases, base)
        if grouping.partial_columns - partial:
            return bind_ordered_select(select, order, order_all, env, frozenset(grouping.partial_columns))
        references = {**after.references, **env_items.references}
        if subqueries.early:
            plan, place = placed_subqueries(plan, subqueries, sorted(subqueries.early), _same, select.span)
            grouping = replace(grouping, keys=tuple(place(key) for key in grouping.keys))
            aggregates.inputs = [place(e) for e in aggregates.inputs]
            items = [Item(i.column, place(i.expression)) for i in items]
        plan, rewrite = grouping.build(plan, aggregates, references)
        items = [Item(i.column, rewrite(i.expression)) for i in items]
        sort = [(rewrite(e), item) for e, item in sort]
        on = [rewrite(e) for e in on]
        windows.requests = [rewrite_request(r, rewrite) for r in windows.requests]
        qualify = None if qualify is None else rewrite(qualify)
        having = None if having is None else rewrite(having)
    late = [n for n in range(len(subqueries.requests)) if n not in subqueries.early or not grouped]
    if late:
        plan, place = placed_subqueries(plan, subqueries, late, rewrite, select.span)
        items = [Item(i.column, place(i.expression)) for i in items]
        sort = [(place(e), item) for e, item in sort]
        on = [place(e) for e in on]
        windows.requests = [rewrite_request(r, place) for r in windows.requests]
        qualify = None if qualify is None else place(qualify)
        having = None if having is None else place(having)
    if having is not None:
        plan = Filter(plan.schema, plan, having)
    if windows.requests:
        used = [*(i.expression for i in items), *(e for e, _ in sort), *on, *([] if qualify is None else [qualify])]
        plan, place = build_windows(plan, windows.requests, used)
        items = [Item(i.column, place(i.expression)) for i in items]
        sort = [(place(e), item) for e, item in sort]
        on = [place(e) for e in on]
        qualify = None if qualify is None else place(qualify)
    if qualify is not None:
        plan = Filter(plan.schema, plan, qualify)
    items = [Item(replace(i.column, type=i.expression.type), i.expression) for i in items]
    return _finish(select, plan, items, sort, on)


def _same(expression: Expression) -> Expression:
    return expression


def filtered(plan: Plan, where: Node, env: Environment) -> Plan:
    """The rows of `plan` for which WHERE holds. Its conjuncts apply in the order in which they are written."""
    waiting: list[Node] = []
    for part in _conjuncts(where):
        joined = None
        negated = isinstance(part, Operation) and part.name == "NOT"
        inner = part.operands[0] if isinstance(part, Operation) and negated else part
        if isinstance(inner, Exists | InQuery):
            plan, waiting = _where(plan, waiting, env), []
            joined = semi_join(plan, inner, negated, env)
        if joined is None:
            waiting.append(part)
        else:
            plan = joined
    return _where(plan, waiting, env)


def _conjuncts(node: Node) -> list[Node]:
    if isinstance(node, Operation) and node.name == "AND":
        return [part for operand in node.operands for part in _conjuncts(operand)]
    return [node]


def _where(plan: Plan, parts: list[Node], env: Environment) -> Plan:
    """Conditions that need the values of sub-queries get them as columns, which are dropped afterwards."""
    if not parts:
        return plan
    subqueries = Subqueries()
    node = parts[0] if len(parts) == 1 else Operation(union(parts[0].span, parts[-1].span), "AND", tuple(parts))
    bound = condition(node, replace(env, subqueries=subqueries))
    if not subqueries.requests:
        return Filter(plan.schema, plan, bound)
    numbers = range(len(subqueries.requests))
    wider, place = placed_subqueries(plan, subqueries, numbers, _same, node.span)
    kept = Filter(wider.schema, wider, place(bound))
    return Project(plan.schema, kept, tuple(ColumnRef(c.type, i) for i, c in enumerate(plan.schema)))


def condition(node: Node, env: Environment) -> Expression:
    """A bound condition of WHERE, HAVING or ON."""
    bound = env.bind(node)
    if bound.type.kind is Kind.NULL:
        return Literal(SqlType(Kind.BOOLEAN), None)
    if bound.type.kind is not Kind.BOOLEAN:
        raise invalid(f"{env.clause or 'WHERE'} clause must be a condition", node.span)
    return bound


# ---- items ----


def _bind_items(select: Select, env: Environment) -> tuple[list[Item], dict[str, Alias]]:
    items: list[Item] = []
    aliases: dict[str, Alias] = {}
    for written in select.items:
        if isinstance(written.expression, Star):
            items.extend(Item(column, value) for column, value in expand_star(written.expression, env))
            continue
        bound = replace(env, aliases=dict(aliases)).bind(written.expression)
        items.append(Item(_column_of(written, len(items), bound.type), bound))
        if written.alias is not None:
            aliases.setdefault(written.alias.name, Alias(written.expression, dict(aliases)))
    return _unique(items), aliases


def _column_of(written: SelectItem, position: int, sql_type: SqlType) -> Column:
    if written.alias is not None:
        return Column(written.alias.name, sql_type, written.alias.quoted)
    expression = written.expression
    if isinstance(expression, Name):
        return derived_column(expression.parts[-1].name, sql_type)
    if isinstance(expression, FieldAccess):
        return derived_column(expression.field.name, sql_type)
    return derived_column(f"EXPR${position}", sql_type)


def _unique(items: list[Item]) -> list[Item]:
    """Equal names get a number appended, silently."""
    used: set[str] = set()
    result = []
    for item in items:
        name = item.column.name
        attempt = 0
        while name in used:
            name = f"{item.column.name}{max(len(used), attempt)}"
            attempt = max(len(used), attempt) + 1
        used.add(name)
        result.append(item if name == item.column.name else replace(item, column=replace(item.column, name=name)))
    return result


# ---- ORDER BY, DISTINCT ----


def _bind_order(
    order: tuple[SortItem, ...], order_all: bool, items: list[Item], env: Environment
) -> list[tuple[Expression, SortItem]]:
    if order_all:
        return [(item.expression, order[0]) for item in items]
    return [(_select_value(item.expression, items, env), item) for item in order]


def _select_value(node: Node, items: list[Item], env: Environment) -> Expression:
    """A sort or DISTINCT ON key: an ordinal, the name of an item, or any expression."""
    if isinstance(node, Constant) and node.kind == "NUMBER" and node.text.lstrip("-").isdigit():
        position = int(node.text)
        if not 1 <= position <= len(items):
            raise invalid("Ordinal out of range", node.span)
        return items[position - 1].expression
    if isinstance(node, Name) and len(node.parts) == 1:
        named = _item_named(node.parts[0], items)
        if named is not None:
            return named.expression
    return env.bind(node)


def _item_named(name: Identifier, items: list[Item]) -> Item | None:
    return next((item for item in items if item.column.name == name.name), None)


def _finish(
    select: Select,
    plan: Plan,
    items: list[Item],
    sort: list[tuple[Expression, SortItem]],
    on: list[Expression],
) -> SortedQuery:
    """The final projection with hidden sort columns, DISTINCT and DISTINCT ON."""
    expressions = [item.expression for item in items]
    schema = [item.column for item in items]
    width = len(items)

    def position(expression: Expression) -> int:
        if expression in expressions:
            return expressions.index(expression)
        expressions.append(expression)
        schema.append(Column(f"$sort{len(schema)}", expression.type))
        return len(expressions) - 1

    on_columns = tuple(position(e) for e in on)
    keys = tuple(SortKey(position(e), item.descending, item.nulls_first) for e, item in sort)
    if select.distinct and not on and len(expressions) > width:
        where = next(item.span for e, item in sort if expressions.index(e) >= width)
        raise invalid("Expression in ORDER BY is not in the select clause", where)
    result: Plan = Project(tuple(schema), plan, tuple(expressions))
    if on:
        leading = {key.column for key in keys[: len(on_columns)]}
        if keys and not leading <= set(on_columns):
            text = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions"
            raise invalid(text, select.distinct_on[0].span)
        result = TopK(result.schema, result, on_columns, keys, 1, 0)
    elif select.distinct:
        result = Distinct(result.schema, result)
    return SortedQuery(result, width, keys)


def trim(ordered: SortedQuery, plan: Plan) -> Plan:
    """`plan`, whose columns are those of `ordered.plan`, without the hidden ones."""
    if len(plan.schema) == ordered.width:
        return plan
    schema = plan.schema[: ordered.width]
    return Project(schema, plan, tuple(ColumnRef(c.type, i) for i, c in enumerate(schema)))
