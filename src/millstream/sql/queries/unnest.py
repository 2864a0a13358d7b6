"""UNNEST in FROM: a collection's elements as rows, alone or beside the relations whose columns it reads."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from millstream.expressions.errors import cannot_apply
from millstream.expressions.nodes import ColumnRef
from millstream.plan.nodes import Column, Plan, Project, Unnest
from millstream.sql.binding import Environment, QueryEnvironment, at_place, binds_relation
from millstream.sql.messages import not_yet
from millstream.sql.queries.aliases import aliased
from millstream.sql.queries.select import one_row
from millstream.sql.scope import Scope, combine
from millstream.sql.syntax import TableAlias, UnnestTable
from millstream.types import Kind, SqlType
from millstream.types.sql_type import INTEGER


@binds_relation(UnnestTable)
def _alone(node: UnnestTable, env: QueryEnvironment) -> tuple[Plan, Scope]:
    plan = one_row()
    unnested, scope = bind_unnest(node, plan, Scope(), env, keep=False)
    return unnested, scope


def bind_unnest(
    node: UnnestTable, left: Plan, left_scope: Scope, env: QueryEnvironment, keep: bool = True
) -> tuple[Plan, Scope]:
    """Each row of `left` with each element of its collection. `keep`: the columns of `left` stay."""
    if len(node.items) != 1:
        raise not_yet("UNNEST of multiple collections", node.span)
    collection = Environment(env, replace(left_scope, outer=env.outer), clause="FROM").bind(node.items[0])
    elements = _element_columns(node, collection.type)
    if elements is None:
        raise at_place(cannot_apply("UNNEST", (collection,), ["UNNEST(<ARRAY>)", "UNNEST(<MAP>)"]), node.span)
    width = len(left.schema)
    if isinstance(collection, ColumnRef):
        source, column = left, collection.index
    else:
        passed = tuple(ColumnRef(c.type, i) for i, c in enumerate(left.schema))
        schema = (*left.schema, Column("$collection", collection.type))
        source, column = Project(schema, left, (*passed, collection)), width
    kept = tuple(range(width)) if keep else ()
    added, scope = _named(node, elements)
    plan = Unnest((*left.schema[: len(kept)], *added), source, column, kept, node.ordinality)
    return plan, combine(left_scope, scope, len(kept), node.span)


def _element_columns(node: UnnestTable, sql_type: SqlType) -> tuple[Column, ...] | None:
    """The columns that an element makes; None if the type is no collection."""
    if sql_type.kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        if node.ordinality:
            raise not_yet("UNNEST with ORDINALITY not supported for MAP values", node.span)
        return Column("key", sql_type.key), Column("value", sql_type.value)
    element = sql_type.component
    if sql_type.kind is not Kind.ARRAY or element is None:
        return None
    if element.kind is Kind.STRUCT:
        columns = tuple(
            Column(f.name, f.type.with_nullable(f.type.nullable or element.nullable), f.case_sensitive)
            for f in element.fields
        )
    else:
        columns = (Column("EXPR$0", element, True),)
    return (*columns, Column("ordinality", INTEGER.with_nullable(False))) if node.ordinality else columns


def _named(node: UnnestTable, elements: tuple[Column, ...]) -> tuple[tuple[Column, ...], Scope]:
    """The columns under their aliases. A single column is called like its table if it has no alias of its own."""
    alias: TableAlias | None = node.alias
    if alias is not None and not alias.columns and len(elements) == 1:
        alias = structs.replace(alias, columns=(alias.name,))
    schema = elements
    _, scope = aliased(Project(elements, one_row(), ()), alias, "")
    if alias is not None and alias.columns:
        schema = tuple(replace(c, name=s.name) for c, s in zip(elements, scope.columns, strict=True))
    return schema, scope
