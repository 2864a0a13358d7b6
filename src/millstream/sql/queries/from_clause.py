"""FROM: named relations, derived tables, and joins with their conditions split into keys and a residual.

Equality conjuncts between the two sides become key columns of the Join; a key that is an expression is projected
first and dropped afterwards. Everything else of the condition is the residual.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.expressions.registry import build_call
from millstream.plan.conditions import factored
from millstream.plan.joining import join_plan
from millstream.plan.nodes import Column, Filter, JoinKind, Plan, Project, Scan
from millstream.plan.program import Span
from millstream.sql.binding import Environment, QueryEnvironment, Subqueries, binds_relation
from millstream.sql.messages import Poisoned, invalid, not_yet
from millstream.sql.queries.aliases import aliased
from millstream.sql.queries.asof import bind_asof_join
from millstream.sql.queries.hints import check_table_hints
from millstream.sql.queries.lateral import bind_lateral
from millstream.sql.queries.select import condition
from millstream.sql.queries.subquery_joins import join_with_subqueries
from millstream.sql.queries.unnest import bind_unnest
from millstream.sql.scope import Scope, ScopeColumn, combine, nullable_side
from millstream.sql.syntax import (
    DerivedTable,
    Identifier,
    Join,
    Name,
    TableReference,
    Unbuilt,
    UnnestTable,
)
from millstream.types import Kind

_KINDS = {
    "INNER": JoinKind.INNER,
    "CROSS": JoinKind.INNER,
    "LEFT": JoinKind.LEFT,
    "RIGHT": JoinKind.RIGHT,
    "FULL": JoinKind.FULL,
    "SEMI": JoinKind.SEMI,
    "ANTI": JoinKind.ANTI,
}


# ---- single relations ----


def scan(name: Name, env: QueryEnvironment) -> Plan:
    """The plan that reads a table, view or WITH table."""
    identifier = name.parts[-1]
    if len(name.parts) == 1 and identifier.name in env.ctes:
        return env.ctes[identifier.name]
    catalog = env.context.catalog
    schema = catalog.schema(identifier.name) if len(name.parts) == 1 else None
    if schema is not None:
        return Scan(schema, identifier.name)
    if identifier.name in catalog.poisoned:
        raise Poisoned
    shown = ".".join(part.name for part in name.parts)
    raise invalid(f"Object '{shown}' not found", name.span)


@binds_relation(TableReference)
def _table(node: TableReference, env: QueryEnvironment) -> tuple[Plan, Scope]:
    check_table_hints(node, env)
    return aliased(scan(node.name, env), node.alias, node.name.parts[-1].name)


@binds_relation(DerivedTable)
def _derived(node: DerivedTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    return aliased(env.nested().bind(node.query), node.alias, "")


@binds_relation(Unbuilt)
def _unbuilt(node: Unbuilt, env: QueryEnvironment) -> tuple[Plan, Scope]:
    raise not_yet(node.what, node.span)


# ---- joins ----


@binds_relation(Join)
def _join(node: Join, env: QueryEnvironment) -> tuple[Plan, Scope]:
    if node.kind == "OUTER APPLY":
        raise not_yet("LEFT JOIN UNNEST", node.span)
    if isinstance(node.right, UnnestTable):
        return _join_unnest(node, node.right, env)
    if isinstance(node.right, DerivedTable) and (node.right.lateral or node.kind == "LATERAL"):
        return bind_lateral(node, node.right, env)
    if node.kind == "LATERAL":
        raise not_yet("CROSS APPLY of what is not a query", node.right.span)
    left, left_scope = env.bind_relation(node.left)
    right, right_scope = env.bind_relation(node.right)
    width = len(left.schema)
    scope = combine(left_scope, right_scope, width, node.right.span)
    if node.kind == "ASOF":
        return bind_asof_join(node, left, right, scope, env)
    kind = _KINDS[node.kind]
    names = _common_names(node, left_scope, right_scope) if node.natural else list(node.using)
    pairs = [_using_pair(name, left_scope, right_scope, width, node.span) for name in names]
    conjuncts = [_using_condition(name, pair, node.natural) for name, pair in zip(names, pairs, strict=True)]
    subqueries = Subqueries()
    if node.condition is not None:
        inner = Environment(env, replace(scope, outer=env.outer), subqueries=subqueries, clause="ON")
        conjuncts.extend(factored(condition(node.condition, inner)))
    if subqueries.requests:
        plan = join_with_subqueries(kind, left, right, conjuncts, subqueries, node.span)
    else:
        plan = join_plan(kind, left, right, conjuncts)
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        return plan, left_scope
    scope = _padded(kind, scope, width, len(plan.schema))
    return _merge_columns(kind, plan, scope, names, pairs, width) if names else (plan, scope)


def _join_unnest(node: Join, unnest: UnnestTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    """UNNEST beside another relation, whose columns it may use."""
    if node.kind not in ("CROSS", "INNER", "LATERAL"):
        raise not_yet("LEFT JOIN UNNEST" if node.kind == "LEFT" else f"{node.kind} JOIN UNNEST", node.span)
    if node.natural or node.using:
        raise not_yet("NATURAL and USING joins with UNNEST", node.span)
    left, left_scope = env.bind_relation(node.left)
    plan, scope = bind_unnest(unnest, left, left_scope, env)
    if node.condition is not None:
        inner = Environment(env, replace(scope, outer=env.outer), clause="ON")
        plan = Filter(plan.schema, plan, condition(node.condition, inner))
    return plan, scope


def _padded(kind: JoinKind, scope: Scope, width: int, total: int) -> Scope:
    if kind in (JoinKind.LEFT, JoinKind.FULL):
        scope = nullable_side(scope, width, total)
    if kind in (JoinKind.RIGHT, JoinKind.FULL):
        scope = nullable_side(scope, 0, width)
    return scope


def _common_names(node: Join, left: Scope, right: Scope) -> list[Identifier]:
    shared = {c.name for c in right.star(None)}
    return [Identifier(node.span, c.name) for c in left.star(None) if c.name in shared]


def _using_pair(name: Identifier, left: Scope, right: Scope, width: int, span: Span) -> tuple[ScopeColumn, ScopeColumn]:
    first, second = left.unqualified(name), right.unqualified(name)
    if first is None or second is None:
        raise invalid(f"Column '{name.name}' not found in any table", name.span)
    return first, replace(second, index=second.index + width)


def _using_condition(name: Identifier, pair: tuple[ScopeColumn, ScopeColumn], natural: bool) -> Expression:
    first, second = pair
    if first.type.kind is Kind.STRUCT or second.type.kind is Kind.STRUCT:
        pass  # the registry refuses `=` on rows with a message of its own
    try:
        return build_call("=", [ColumnRef(first.type, first.index), ColumnRef(second.type, second.index)])
    except TypeCheckError as error:
        text = f"Column '{name.name}' matched using NATURAL keyword or USING clause has incompatible types"
        raise invalid(text if error.message.startswith("Cannot") else error.message, name.span) from None


def _merge_columns(
    kind: JoinKind,
    plan: Plan,
    scope: Scope,
    names: list[Identifier],
    pairs: list[tuple[ScopeColumn, ScopeColumn]],
    width: int,
) -> tuple[Plan, Scope]:
    """One unqualified column a USING name, in front: left's, right's for RIGHT joins, the first non-NULL for FULL."""
    hidden = {c.index for pair in pairs for c in pair}
    at = {c.index: c for c in scope.columns}
    merged = []
    expressions: list[Expression] = [ColumnRef(c.type, i) for i, c in enumerate(plan.schema)]
    schema = list(plan.schema)
    for name, (first, second) in zip(names, pairs, strict=True):
        left, right = at[first.index], at[second.index]
        source = right if kind is JoinKind.RIGHT else left
        if kind is JoinKind.FULL:
            value = build_call("COALESCE", [ColumnRef(left.type, left.index), ColumnRef(right.type, right.index)])
            nullable = first.type.nullable or second.type.nullable
            value = replace(value, type=value.type.with_nullable(nullable))
            source = replace(source, index=len(schema), type=value.type)
            schema.append(Column(name.name, value.type, source.case_sensitive))
            expressions.append(value)
        merged.append(replace(source, relation=None, merged=False))
    rest = tuple(replace(c, merged=c.merged or c.index in hidden) for c in scope.columns)
    if len(schema) > len(plan.schema):
        plan = Project(tuple(schema), plan, tuple(expressions))
    return plan, replace(scope, columns=tuple(merged) + rest)
