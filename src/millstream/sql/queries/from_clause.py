"""FROM: named relations, derived tables, and joins with their conditions split into keys and a residual.

Equality conjuncts between the two sides become key columns of the Join; a key that is an expression is projected
first and dropped afterwards. Everything else of the condition is the residual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import Call, ColumnRef, Expression, columns_used, remap_columns
from millstream.expressions.registry import build_call
from millstream.plan.nodes import Column, JoinKind, Plan, Project, Scan, Schema
from millstream.plan.nodes import Join as JoinPlan
from millstream.plan.program import Span
from millstream.sql.binding import Environment, QueryEnvironment, binds_relation
from millstream.sql.catalog import ERROR_VIEW
from millstream.sql.messages import Poisoned, SqlError, invalid, not_yet
from millstream.sql.queries.select import condition
from millstream.sql.scope import Scope, ScopeColumn, combine, nullable_side, relation_scope
from millstream.sql.syntax import (
    DerivedTable,
    Identifier,
    Join,
    Name,
    TableAlias,
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
_EQUALITIES = {"=": False, "<=>": True, "IS NOT DISTINCT FROM": True}


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
    if identifier.name == ERROR_VIEW:
        raise not_yet("Reading error_view", name.span)
    shown = ".".join(part.name for part in name.parts)
    raise invalid(f"Object '{shown}' not found", name.span)


@binds_relation(TableReference)
def _table(node: TableReference, env: QueryEnvironment) -> tuple[Plan, Scope]:
    return aliased(scan(node.name, env), node.alias, node.name.parts[-1].name)


@binds_relation(DerivedTable)
def _derived(node: DerivedTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    if node.lateral:
        raise not_yet("LATERAL sub-queries", node.span)
    return aliased(env.nested().bind(node.query), node.alias, "")


def aliased(plan: Plan, alias: TableAlias | None, name: str) -> tuple[Plan, Scope]:
    """A relation under its alias, with renamed columns if the alias lists them."""
    schema: Schema = plan.schema
    if alias is not None:
        name = alias.name.name
        if alias.columns:
            if len(alias.columns) != len(schema):
                text = (
                    f"List of column aliases must have same degree as table; table has {len(schema)} columns, "
                    f"whereas alias list has {len(alias.columns)} columns"
                )
                raise invalid(text, alias.span)
            schema = tuple(
                Column(given.name, column.type, given.quoted)
                for given, column in zip(alias.columns, schema, strict=True)
            )
    return plan, relation_scope(name, schema) if name else Scope(relation_scope("", schema).columns, ())


@binds_relation(UnnestTable)
def _unnest(node: UnnestTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    raise not_yet("UNNEST", node.span)


@binds_relation(Unbuilt)
def _unbuilt(node: Unbuilt, env: QueryEnvironment) -> tuple[Plan, Scope]:
    raise not_yet(node.what, node.span)


# ---- joins ----


@binds_relation(Join)
def _join(node: Join, env: QueryEnvironment) -> tuple[Plan, Scope]:
    if node.kind == "OUTER APPLY":
        raise not_yet("LEFT JOIN UNNEST", node.span)
    if node.kind in ("ASOF", "LATERAL"):
        raise not_yet(f"{node.kind} joins", node.span)
    if node.kind == "LEFT" and isinstance(node.right, UnnestTable):
        raise not_yet("LEFT JOIN UNNEST", node.span)
    left, left_scope = env.bind_relation(node.left)
    right, right_scope = env.bind_relation(node.right)
    width = len(left.schema)
    scope = combine(left_scope, right_scope, width, node.right.span)
    kind = _KINDS[node.kind]
    names = _common_names(node, left_scope, right_scope) if node.natural else list(node.using)
    pairs = [_using_pair(name, left_scope, right_scope, width, node.span) for name in names]
    conjuncts = [_using_condition(name, pair, node.natural) for name, pair in zip(names, pairs, strict=True)]
    if node.condition is not None:
        inner = Environment(env, replace(scope, outer=env.outer), clause="ON")
        conjuncts.extend(split_conjunction(condition(node.condition, inner)))
    plan = join_plan(kind, left, right, conjuncts)
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        return plan, left_scope
    scope = _padded(kind, scope, width, len(plan.schema))
    return _merge_columns(kind, plan, scope, names, pairs, width) if names else (plan, scope)


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


def split_conjunction(expression: Expression) -> list[Expression]:
    """The operands of nested ANDs."""
    if isinstance(expression, Call) and expression.name == "AND":
        return [part for argument in expression.arguments for part in split_conjunction(argument)]
    return [expression]


def conjunction(parts: list[Expression]) -> Expression | None:
    """The AND of all parts; None of none."""
    if not parts:
        return None
    result = parts[0]
    for part in parts[1:]:
        result = build_call("AND", [result, part])
    return result


@dataclass
class _Side:
    """One input of a join while its keys are collected."""

    plan: Plan
    expressions: list[Expression]

    def key(self, expression: Expression) -> int:
        if expression not in self.expressions:
            self.expressions.append(expression)
        return self.expressions.index(expression)

    def extended(self) -> Plan:
        """The input with its computed keys appended."""
        width = len(self.plan.schema)
        if len(self.expressions) == width:
            return self.plan
        added = tuple(Column(f"$key{i}", e.type) for i, e in enumerate(self.expressions[width:]))
        return Project(self.plan.schema + added, self.plan, tuple(self.expressions))


def _side(plan: Plan) -> _Side:
    return _Side(plan, [ColumnRef(c.type, i) for i, c in enumerate(plan.schema)])


def join_plan(kind: JoinKind, left: Plan, right: Plan, conjuncts: list[Expression]) -> Plan:
    """The join of two plans on conditions over the concatenation of their columns."""
    width = len(left.schema)
    sides = (_side(left), _side(right))
    keys: list[tuple[int, int, bool]] = []
    residual: list[Expression] = []
    for conjunct in conjuncts:
        pair = _key_pair(conjunct, width)
        if pair is None:
            residual.append(conjunct)
            continue
        first, second, null_safe = pair
        keys.append((sides[0].key(first), sides[1].key(second), null_safe))
    new_left, new_right = sides[0].extended(), sides[1].extended()
    rest = conjunction(residual)
    new_width = len(new_left.schema)
    if rest is not None and new_width != width:
        shift = {i: i if i < width else i + new_width - width for i in columns_used(rest)}
        rest = remap_columns(rest, shift)
    schema = _joined_schema(kind, new_left.schema, new_right.schema)
    joined = JoinPlan(
        schema,
        kind,
        new_left,
        new_right,
        tuple(k[0] for k in keys),
        tuple(k[1] for k in keys),
        tuple(k[2] for k in keys),
        rest,
    )
    kept = list(range(width))
    if kind not in (JoinKind.SEMI, JoinKind.ANTI):
        kept += [new_width + i for i in range(len(right.schema))]
    if len(kept) == len(schema):
        return joined
    columns = tuple(schema[i] for i in kept)
    return Project(columns, joined, tuple(ColumnRef(schema[i].type, i) for i in kept))


def _joined_schema(kind: JoinKind, left: Schema, right: Schema) -> Schema:
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        return left
    if kind in (JoinKind.RIGHT, JoinKind.FULL):
        left = tuple(replace(c, type=c.type.with_nullable(True)) for c in left)
    if kind in (JoinKind.LEFT, JoinKind.FULL):
        right = tuple(replace(c, type=c.type.with_nullable(True)) for c in right)
    return left + right


def _key_pair(conjunct: Expression, width: int) -> tuple[Expression, Expression, bool] | None:
    """The key expressions of an equality between the two sides, each over its own side's columns."""
    if not isinstance(conjunct, Call) or conjunct.name not in _EQUALITIES or len(conjunct.arguments) != 2:
        return None
    first, second = conjunct.arguments
    used_first, used_second = columns_used(first), columns_used(second)
    if not used_first or not used_second:
        return None
    if min(used_first) >= width and max(used_second) < width:
        first, second, used_first, used_second = second, first, used_second, used_first
    if max(used_first) >= width or min(used_second) < width:
        return None
    if not _same_key_type(first, second):
        return None
    null_safe = _EQUALITIES[conjunct.name]
    return first, remap_columns(second, {i: i - width for i in used_second}), null_safe


def _same_key_type(first: Expression, second: Expression) -> bool:
    if first.type.kind is Kind.VARCHAR and second.type.kind is Kind.VARCHAR:
        return True
    return first.type.same_apart_from_nullability(second.type)


__all__ = ["SqlError", "aliased", "conjunction", "join_plan", "scan", "split_conjunction"]
