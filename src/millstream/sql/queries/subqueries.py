"""Sub-queries in expressions: scalar, EXISTS, IN, ANY, ALL, ARRAY, MAP.

A sub-query is bound with the scope around it in sight. Its value becomes a column of the rows that the expression is
evaluated on, by a join (plan/decorrelate.py): the expression reads a placeholder until then. EXISTS and IN that WHERE
requires become semi-joins, which need no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression, Literal, OuterRef, columns_used, substitute
from millstream.expressions.registry import build_call, build_case, coerce
from millstream.plan.conditions import map_children
from millstream.plan.decorrelate import (
    CannotDecorrelateError,
    Correlation,
    at_most_one_row,
    decorrelate,
    exactly_one_row,
)
from millstream.plan.joining import join_plan
from millstream.plan.nodes import Aggregate, AggregateCall, Column, Distinct, Filter, JoinKind, Plan, Project
from millstream.plan.outer_refs import plan_outer_columns
from millstream.plan.program import Span
from millstream.sql.binding import (
    SUBQUERY_BASE,
    Environment,
    Subqueries,
    SubqueryRequest,
    binds_expression,
)
from millstream.sql.messages import SqlError, invalid, not_yet
from millstream.sql.syntax import Exists, InQuery, Node, Quantified, RowExpression, Subquery
from millstream.types import SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, array, map_of

_TRUE = Literal(BOOLEAN.with_nullable(False), True)
_FALSE = Literal(BOOLEAN.with_nullable(False), False)
_NEGATED = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
#: Columns that operands of IN read have indices from here on where a sub-query refers to them.
_OPERANDS = 1 << 40
Resolve = Callable[[OuterRef], Expression]
Rewrite = Callable[[Expression], Expression]


# ---- binding ----


def inner_plan(query: Node, env: Environment) -> Plan:
    """The plan of a sub-query, which may refer to the columns in sight."""
    return env.query.nested(outer=env.scope).bind(query)


def _requested(env: Environment, span: Span, request: SubqueryRequest) -> Expression:
    if env.subqueries is None:
        raise not_yet(f"Sub-queries in {env.clause or 'this'} clause", span)
    for index, reference in plan_outer_columns(request.plan).items():
        column = next((c for c in env.scope.columns if c.index == index), None)
        if column is not None and not env.in_aggregate:
            shown = f"{column.relation}.{column.name}" if column.relation else column.name
            env.references.setdefault(reference.index, (shown, span))
    return env.subqueries.add(request, env)


@binds_expression(Subquery)
def _subquery(node: Subquery, env: Environment) -> Expression:
    if node.collect == "ARRAY":
        return _array(node, env)
    plan = inner_plan(node.query, env)
    types = [column.type for column in plan.schema]
    if node.collect == "MAP":
        if len(types) != 2:
            raise invalid(f"MAP requires exactly two fields, got {len(types)}; row type {_shown(plan)}", node.span)
        return _requested(env, node.span, SubqueryRequest("MAP", plan, (), map_of(types[0], types[1], nullable=False)))
    if len(types) != 1:
        text = (
            f"Cannot apply '$SCALAR_QUERY' to arguments of type '$SCALAR_QUERY(<{_shown(plan)}>)'. "
            "Supported form(s): '$SCALAR_QUERY(<RECORDTYPE(SINGLE FIELD)>)'"
        )
        raise invalid(text, node.span)
    return _requested(env, node.span, SubqueryRequest("SCALAR", plan, (), types[0].with_nullable(True)))


def _shown(plan: Plan) -> str:
    return f"RECORDTYPE({', '.join(f'{c.type.sql()} {c.name}' for c in plan.schema)})"


def _array(node: Subquery, env: Environment) -> Expression:
    """ARRAY(query): the values, or rows of several columns, in the order of the query."""
    bound = env.query.nested(outer=env.scope).bind_sorted(node.query)
    element = _element(bound.plan, bound.width).type
    hidden = len(bound.plan.schema) - bound.width
    request = SubqueryRequest("ARRAY", bound.plan, (), array(element, nullable=False), bound.keys, hidden)
    return _requested(env, node.span, request)


def _element(plan: Plan, width: int) -> Expression:
    """The value of the first column, or the row of the first `width`."""
    columns = [_column(c.type, i) for i, c in enumerate(plan.schema[:width])]
    return columns[0] if width == 1 else build_call("ROW", columns)


@binds_expression(Exists)
def _exists(node: Exists, env: Environment) -> Expression:
    plan = inner_plan(node.query, env)
    return _requested(env, node.span, SubqueryRequest("EXISTS", plan, (), BOOLEAN.with_nullable(False)))


@binds_expression(InQuery)
def _in_query(node: InQuery, env: Environment) -> Expression:
    operands, plan = _membership(node, env)
    result = _requested(env, node.span, _in_request("IN", plan, operands))
    return build_call("NOT", [result]) if node.negated else result


def _in_request(kind: str, plan: Plan, operands: Sequence[Expression]) -> SubqueryRequest:
    nullable = any(e.type.nullable for e in operands) or any(c.type.nullable for c in plan.schema)
    return SubqueryRequest(kind, plan, tuple(operands), BOOLEAN.with_nullable(nullable))


def _membership(node: InQuery, env: Environment) -> tuple[list[Expression], Plan]:
    """What is looked for, and the sub-query, with columns that it can be compared with."""
    written = node.operand.items if isinstance(node.operand, RowExpression) else (node.operand,)
    operands = [env.bind(item) for item in written]
    plan = inner_plan(node.query, env)
    name = "NOT IN" if node.negated else "IN"
    incompatible = invalid(f"Values passed to {name} operator must have compatible types", node.span)
    if len(operands) != len(plan.schema):
        raise incompatible
    for operand, column in zip(operands, plan.schema, strict=True):
        try:
            build_call("=", [operand, _column(column.type, 0)])
        except TypeCheckError as error:
            raise (incompatible if error.message.startswith("Cannot") else invalid(error.message, node.span)) from None
    return operands, plan


@binds_expression(Quantified)
def _quantified(node: Quantified, env: Environment) -> Expression:
    """`x < ALL (q)` is NOT (x >= ANY (q)); `= ANY` is IN."""
    operator = node.operator if node.quantifier != "ALL" else _NEGATED.get(node.operator, "")
    if operator == "" or operator == "<=>":
        raise not_yet(f"{node.operator} {node.quantifier}", node.span)
    operand, plan = env.bind(node.operand), inner_plan(node.query, env)
    if len(plan.schema) != 1:
        raise invalid(f"Values passed to {node.operator} {node.quantifier} must have one column", node.span)
    try:
        build_call(operator, [operand, _column(plan.schema[0].type, 0)])
    except TypeCheckError as error:
        raise invalid(error.message, node.span) from None
    kind = "IN" if operator == "=" else operator
    result = _requested(env, node.span, _in_request(kind, plan, [operand]))
    return build_call("NOT", [result]) if node.quantifier == "ALL" else result


# ---- conditions of WHERE ----


def semi_join(plan: Plan, node: Node, negated: bool, env: Environment) -> Plan | None:
    """`plan` restricted by an EXISTS or IN that must hold; None where that needs the condition's value."""
    resolve = _own_columns
    if isinstance(node, Exists):
        inner = inner_plan(node.query, env)
        if exactly_one_row(inner):
            return None
        kind = JoinKind.ANTI if negated else JoinKind.SEMI
        correlation = _decorrelated(plan, inner, resolve, node.span)
        return join_plan(kind, plan, correlation.plan, correlation.conditions)
    assert isinstance(node, InQuery)
    operands, inner = _membership(node, env)
    negated = negated != node.negated
    if any(_has_placeholder(e) for e in operands):
        return None
    if negated and any(e.type.nullable for e in (*operands, *(_column(c.type, 0) for c in inner.schema))):
        return None
    correlation = _decorrelated(plan, inner, resolve, node.span)
    equal = [
        build_call("=", [operand, _column(column.type, len(plan.schema) + position)])
        for position, (operand, column) in enumerate(zip(operands, inner.schema, strict=True))
    ]
    kind = JoinKind.ANTI if negated else JoinKind.SEMI
    return join_plan(kind, plan, correlation.plan, [*correlation.conditions, *equal])


def _own_columns(reference: OuterRef) -> Expression:
    return ColumnRef(reference.type, reference.index)


def _has_placeholder(expression: Expression) -> bool:
    return any(index >= SUBQUERY_BASE for index in columns_used(expression))


def _decorrelated(plan: Plan, inner: Plan, resolve: Resolve, span: Span) -> Correlation:
    try:
        return decorrelate(plan, inner, resolve, only_keys=False)
    except CannotDecorrelateError:
        raise _too_entangled(span) from None


def _too_entangled(span: Span) -> SqlError:
    return not_yet("It looks like the compiler could not decorrelate this query.", span)


# ---- values ----


def placed_subqueries(
    plan: Plan, subqueries: Subqueries, numbers: Iterable[int], rewrite: Rewrite, span: Span
) -> tuple[Plan, Rewrite]:
    """`plan` with columns for the values of the sub-queries of these numbers, and the replacing of their placeholders.

    `rewrite`: expressions over the rows that the query was bound on, over those of `plan`.
    """
    values: dict[int, Expression] = {}

    def resolve(reference: OuterRef) -> Expression:
        return rewrite(ColumnRef(reference.type, reference.index))

    for number in numbers:
        request = subqueries.requests[number]
        operands = tuple(substitute(rewrite(e), values) for e in request.operands)
        try:
            plan, value = _attach(plan, replace(request, operands=operands), resolve)
        except CannotDecorrelateError:
            raise _too_entangled(span) from None
        values[SUBQUERY_BASE + number] = value
    return plan, lambda e: substitute(e, values)


def _attach(plan: Plan, request: SubqueryRequest, resolve: Resolve) -> tuple[Plan, Expression]:
    if request.kind == "SCALAR":
        return _attach_scalar(plan, request, resolve)
    if request.kind == "EXISTS" and exactly_one_row(request.plan):
        return plan, _TRUE
    if request.kind == "IN" and request.type.nullable and len(request.operands) > 1:
        return _attach_row_in(plan, request, resolve)
    correlation = decorrelate(plan, request.plan, resolve, only_keys=True)
    if request.kind == "EXISTS":
        return _attach_marker(plan, correlation, ())
    if request.kind in ("ARRAY", "MAP"):
        return _attach_collection(plan, request, correlation)
    if request.kind == "IN":
        return _attach_in(plan, request, correlation)
    return _attach_comparison(plan, request, correlation)


def _column(sql_type: SqlType, index: int) -> Expression:
    return ColumnRef(sql_type, index)


def _beside(
    plan: Plan, source: Plan, correlation: Correlation, more: Sequence[Expression] = (), *, always: bool = False
) -> Plan:
    """`plan` LEFT JOIN `source`, whose first columns are the keys of the correlation. `always`: there is one row."""
    width = len(plan.schema)
    conditions = [
        build_call(name, [outer, _column(source.schema[position].type, width + position)])
        for position, (_, outer, name) in enumerate(correlation.keys)
    ]
    kind = JoinKind.INNER if always and not conditions and not more else JoinKind.LEFT
    return join_plan(kind, plan, source, [*conditions, *more])


def _source(correlation: Correlation, values: Sequence[Expression]) -> Plan:
    """The keys of a correlation and values over its plan."""
    expressions = (*(inner for inner, _, _ in correlation.keys), *values)
    schema = tuple(Column(f"$sub{i}", e.type) for i, e in enumerate(expressions))
    return Project(schema, correlation.plan, expressions)


def _totals(correlation: Correlation, values: Sequence[Expression], calls: Sequence[AggregateCall]) -> Plan:
    """Aggregates of values over the correlation's plan, by its keys. Arguments of `calls` index `values`."""
    count = len(correlation.keys)
    source = _source(correlation, values)
    moved = tuple(call.moved(lambda column: column + count) for call in calls)
    schema = source.schema[:count] + tuple(Column(f"$total{i}", call.type) for i, call in enumerate(calls))
    return Aggregate(schema, source, tuple(range(count)), moved)


def _result(plan: Plan, position: int) -> Expression:
    return _column(plan.schema[position].type, position)


def _attach_scalar(plan: Plan, request: SubqueryRequest, resolve: Resolve) -> tuple[Plan, Expression]:
    correlation = decorrelate(plan, request.plan, resolve, only_keys=True, allow_missing=True)
    first = len(plan.schema) + len(correlation.keys)
    value = _column(request.plan.schema[0].type, 0)
    if not at_most_one_row(request.plan):
        calls = [
            AggregateCall("MIN", (0,), request.type),
            AggregateCall("COUNT", (), BIGINT.with_nullable(False)),
        ]
        plan = _beside(plan, _totals(correlation, [value], calls), correlation)
        return plan, build_call("SINGLE VALUE", [_result(plan, first), _result(plan, first + 1)])
    source = _source(correlation, [value, _TRUE])
    plan = _beside(plan, source, correlation, always=exactly_one_row(request.plan))
    result = coerce(_result(plan, first), request.type)
    missing = None if correlation.missing is None else correlation.missing[0]
    if missing is None or (isinstance(missing, Literal) and missing.value is None):
        return plan, result
    found = build_call("IS NOT NULL", [_result(plan, first + 1)])
    return plan, build_case([(found, result)], coerce(missing, request.type))


def _attach_marker(plan: Plan, correlation: Correlation, operands: Sequence[Expression]) -> tuple[Plan, Expression]:
    """Whether the sub-query has a row whose first columns equal the operands."""
    width, count = len(plan.schema), len(correlation.keys)
    values = [_column(correlation.plan.schema[i].type, i) for i in range(len(operands))]
    source = _source(correlation, [*values, _TRUE])
    distinct = Distinct(source.schema, source)
    more = [
        build_call("=", [operand, _column(source.schema[count + i].type, width + count + i)])
        for i, operand in enumerate(operands)
    ]
    plan = _beside(plan, distinct, correlation, more)
    return plan, build_call("IS NOT NULL", [_result(plan, width + count + len(operands))])


def _attach_collection(plan: Plan, request: SubqueryRequest, correlation: Correlation) -> tuple[Plan, Expression]:
    """ARRAY and MAP: a map is made of its rows in order, so that of equal keys the largest value is the last."""
    first = len(plan.schema) + len(correlation.keys)
    inner = request.plan
    element = _element(inner, len(inner.schema) - request.hidden)
    sorted_by = [_column(inner.schema[key.column].type, key.column) for key in request.order]
    order = tuple(replace(key, column=position) for position, key in enumerate(request.order, 1))
    collected = array(element.type, nullable=False)
    call = AggregateCall("ARRAY_AGG", (0,), collected, order=order)
    plan = _beside(plan, _totals(correlation, [element, *sorted_by], [call]), correlation)
    rows = build_call("COALESCE", [_result(plan, first), Literal(collected, ())])
    return plan, build_call("MAP", [rows], ("ROWS",)) if request.kind == "MAP" else rows


def _attach_in(plan: Plan, request: SubqueryRequest, correlation: Correlation) -> tuple[Plan, Expression]:
    plan_before = len(plan.schema)
    if not request.type.nullable:
        return _attach_marker(plan, correlation, request.operands)
    first = plan_before + len(correlation.keys)
    counts = _counts(correlation)
    plan = _beside(plan, counts, correlation)
    rows, values = _result(plan, first), _result(plan, first + 1)
    plan, found = _attach_marker(plan, correlation, request.operands)
    return plan, _three_valued(found, rows, values, request.operands[0])


def _attach_row_in(plan: Plan, request: SubqueryRequest, resolve: Resolve) -> tuple[Plan, Expression]:
    """IN for several columns: unknown if no row is equal, but one is where neither side is NULL."""
    inner = request.plan
    tests = []
    for position, (operand, column) in enumerate(zip(request.operands, inner.schema, strict=True)):
        outer, value = _from_inside(operand), _column(column.type, position)
        nulls = [build_call("IS NULL", [e]) for e in (outer, value) if e.type.nullable]
        tests.append(build_call("OR", [build_call("=", [outer, value]), *nulls]) if nulls else _equal(outer, value))
    possible = Filter(inner.schema, inner, build_call("AND", tests))

    def resolve_both(reference: OuterRef) -> Expression:
        if reference.index >= _OPERANDS:
            return _column(reference.type, reference.index - _OPERANDS)
        return resolve(reference)

    maybe = decorrelate(plan, possible, resolve_both, only_keys=True)
    equal = decorrelate(plan, inner, resolve, only_keys=True)
    plan, unknown = _attach_marker(plan, maybe, ())
    plan, found = _attach_marker(plan, equal, request.operands)
    return plan, build_case([(found, _TRUE), (unknown, Literal(BOOLEAN, None))], _FALSE)


def _equal(left: Expression, right: Expression) -> Expression:
    return build_call("=", [left, right])


def _from_inside(expression: Expression) -> Expression:
    """An expression over the rows of the query around a sub-query, as the sub-query sees it."""
    if isinstance(expression, ColumnRef):
        return OuterRef(expression.type, 1, _OPERANDS + expression.index)
    if isinstance(expression, OuterRef):
        return OuterRef(expression.type, expression.level + 1, expression.index)
    return map_children(expression, _from_inside)


def _counts(correlation: Correlation, *more: AggregateCall) -> Plan:
    """COUNT(*) and COUNT(value) of the sub-query's first column, and more."""
    value = _column(correlation.plan.schema[0].type, 0)
    whole = BIGINT.with_nullable(False)
    return _totals(
        correlation, [value], [AggregateCall("COUNT", (), whole), AggregateCall("COUNT", (0,), whole), *more]
    )


def _three_valued(found: Expression, rows: Expression, values: Expression, operand: Expression) -> Expression:
    """TRUE if found; FALSE for no rows; unknown if the operand or a row is NULL; else FALSE."""
    zero = Literal(BIGINT.with_nullable(False), 0)
    empty = build_call("OR", [build_call("IS NULL", [rows]), build_call("=", [rows, zero])])
    unknown = build_call("OR", [build_call("IS NULL", [operand]), build_call("<", [values, rows])])
    nothing = Literal(BOOLEAN, None)
    return build_case([(found, _TRUE), (empty, _FALSE), (unknown, nothing)], _FALSE)


def _attach_comparison(plan: Plan, request: SubqueryRequest, correlation: Correlation) -> tuple[Plan, Expression]:
    """`x < ANY (q)` compares x with the greatest value, `>` with the least, `<>` with both."""
    first = len(plan.schema) + len(correlation.keys)
    result = request.plan.schema[0].type.with_nullable(True)
    extremes = [AggregateCall("MIN", (0,), result), AggregateCall("MAX", (0,), result)]
    plan = _beside(plan, _counts(correlation, *extremes), correlation)
    rows, values, least, greatest = (_result(plan, first + i) for i in range(4))
    operand = request.operands[0]
    if request.kind == "<>":
        sides = [build_call("<>", [operand, extreme]) for extreme in (least, greatest)]
        found = build_call("OR", sides)
    else:
        found = build_call(request.kind, [operand, greatest if request.kind.startswith("<") else least])
    return plan, _three_valued(build_call("IS TRUE", [found]), rows, values, operand)
