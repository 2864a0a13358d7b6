"""DROP TABLE and DROP VIEW: what was declared by mistake, or for a while (sql.md §2)."""

from __future__ import annotations

from millstream.plan.nodes import Scan
from millstream.plan.walk import nodes
from millstream.sql.context import Context
from millstream.sql.messages import Poisoned, SqlError
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import DropStatement


@compiles(DropStatement)
def drop(statement: DropStatement, context: Context) -> None:
    """Takes a relation that nothing reads out of the catalog."""
    catalog, name = context.catalog, statement.name.name
    if name in catalog.poisoned:
        raise Poisoned
    relations = catalog.tables if statement.kind == "TABLE" else catalog.views
    kind = statement.kind.lower()
    if name not in relations:
        if statement.if_exists:
            return
        raise SqlError(f"DROPping {kind} '{name}' which does not exist", statement.name.span)
    for view in catalog.views.values():
        reads = any(isinstance(node, Scan) and node.relation == name for node in nodes(view.plan))
        if reads and view.name != name:
            text = f"Cannot drop {kind} '{name}', because view '{view.name}' reads it"
            raise SqlError(text, statement.name.span)
    for index in [index.name for index in catalog.indexes.values() if index.view == name]:
        del catalog.indexes[index]
    del relations[name]
    if statement.kind == "VIEW":
        catalog.recursive.pop(name, None)
