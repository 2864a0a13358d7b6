"""Which names a query's expressions can see, and which input column each one is.

A scope lists the columns of the FROM clause in the order of `*`. After USING and NATURAL the joined columns appear
once, first and without a relation; the columns that they merge stay reachable by their qualified names only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from millstream.plan.nodes import Schema
from millstream.plan.program import Span
from millstream.sql.identifiers import needs_quotes
from millstream.sql.messages import invalid
from millstream.sql.syntax import Identifier
from millstream.types import SqlType


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A visible column: `index` in the input row. `merged`: part of a USING column, visible when qualified only."""

    relation: str | None
    name: str
    index: int
    type: SqlType
    case_sensitive: bool = False
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The columns of one FROM clause. `outer`: the scope of the query around a subquery."""

    columns: tuple[ScopeColumn, ...] = ()
    relations: tuple[str, ...] = ()
    outer: Scope | None = None

    def unqualified(self, name: Identifier) -> ScopeColumn | None:
        """The column of that name. Raises when several relations have one."""
        found = [c for c in self.columns if c.name == name.name and not c.merged]
        if len(found) > 1:
            raise invalid(f"Column '{name.name}' is ambiguous", name.span)
        return found[0] if found else None

    def qualified(self, relation: str, name: Identifier) -> ScopeColumn | None:
        """The column of that name in a relation."""
        found = [c for c in self.columns if c.name == name.name and c.relation == relation]
        if len(found) > 1:
            raise invalid(f"Column '{name.name}' is ambiguous", name.span)
        return found[0] if found else None

    def star(self, relation: str | None) -> tuple[ScopeColumn, ...]:
        """What `*` or `relation.*` stands for."""
        if relation is None:
            return tuple(c for c in self.columns if not c.merged)
        return tuple(c for c in self.columns if c.relation == relation)

    def with_nullable(self, indices: Collection[int]) -> Scope:
        """The scope with some input columns made nullable."""
        columns = tuple(replace(c, type=c.type.with_nullable(True)) if c.index in indices else c for c in self.columns)
        return replace(self, columns=columns)

    def inside(self, outer: Scope | None) -> Scope:
        return replace(self, outer=outer)


def relation_scope(relation: str, schema: Schema) -> Scope:
    """The scope of one relation."""
    columns = tuple(
        ScopeColumn(relation, c.name, i, c.type, c.case_sensitive or needs_quotes(c.name)) for i, c in enumerate(schema)
    )
    return Scope(columns, (relation,))


def combine(left: Scope, right: Scope, width: int, span: Span) -> Scope:
    """The scope over the concatenated rows of two inputs; `width`: columns of the left row."""
    for relation in right.relations:
        if relation in left.relations:
            raise invalid(f"Duplicate relation name '{relation}' in FROM clause", span)
    shifted = tuple(replace(c, index=c.index + width) for c in right.columns)
    return Scope(left.columns + shifted, left.relations + right.relations, left.outer)


def nullable_side(scope: Scope, low: int, high: int) -> Scope:
    """The scope with the columns at row positions low .. high - 1 made nullable (the padded side of an outer join)."""
    columns = tuple(replace(c, type=c.type.with_nullable(True)) if low <= c.index < high else c for c in scope.columns)
    return replace(scope, columns=columns)
