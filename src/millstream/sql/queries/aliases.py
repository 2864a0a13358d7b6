"""Relations under the names that FROM gives them."""

from __future__ import annotations

from millstream.plan.nodes import Column, Plan, Schema
from millstream.sql.messages import invalid
from millstream.sql.scope import Scope, relation_scope
from millstream.sql.syntax import TableAlias


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
