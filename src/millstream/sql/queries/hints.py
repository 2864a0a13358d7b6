"""Checks of hints. They have no effect: joins are always by key, and no operator needs the size of a table."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.sql.binding import QueryEnvironment
from millstream.sql.messages import invalid
from millstream.sql.syntax import DerivedTable, Hint, Identifier, Join, Node, Select, TableReference, UnnestTable

_OF_JOINS = ("broadcast", "shard", "balance")
_OF_TABLES = ("size",)


def check_select_hints(select: Select, env: QueryEnvironment) -> None:
    """Hints behind SELECT say how relations of its FROM are joined. Raises SqlError."""
    chosen: dict[int, Hint] = {}
    for hint in select.hints:
        if not _is_for(hint, _OF_JOINS, _OF_TABLES, "SELECT", env):
            continue
        for name in _arguments(hint):
            relation = _relation(name, hint, select.source)
            other = chosen.setdefault(relation, hint)
            if other.name.name != hint.name.name:
                text = f"Incompatible hints '{other.name.name}' and '{hint.name.name}' for '{name.name}'"
                raise invalid(text, hint.span)


def check_table_hints(table: TableReference, env: QueryEnvironment) -> None:
    """`size(n)` behind a table says how many rows it has. Raises SqlError."""
    for hint in table.hints:
        if _is_for(hint, _OF_TABLES, _OF_JOINS, "a table", env):
            arguments = _arguments(hint)
            if len(arguments) != 1 or not arguments[0].name.isdigit():
                raise invalid(f"Cannot apply hint '{hint.name.name}': it takes the number of rows", hint.span)


def _is_for(hint: Hint, here: Sequence[str], elsewhere: Sequence[str], place: str, env: QueryEnvironment) -> bool:
    name = hint.name.name
    if name in elsewhere:
        raise invalid(f"Cannot apply hint '{name}' to {place}", hint.span)
    if name not in here:
        env.context.warn("Unknown hint", f"Hint '{name}' is not known and has no effect", hint.span)
    return name in here


def _arguments(hint: Hint) -> tuple[Identifier, ...]:
    if not hint.arguments:
        raise invalid(f"Hint '{hint.name.name}' requires a list of arguments", hint.span)
    return hint.arguments


def _relation(name: Identifier, hint: Hint, source: Node | None) -> int:
    """The position in FROM of the relation that is called `name` there, or that reads the table of this name."""
    relations = _relations(source)
    for names in zip(*relations, strict=True):
        found = [position for position, known in enumerate(names) if known == name.name]
        if len(found) > 1:
            text = f"Ambiguous hint '{hint.name.name}': '{name.name}' occurs more than once in FROM"
            raise invalid(text, name.span)
        if found:
            return found[0]
    text = f"Cannot apply hint '{hint.name.name}': there is no relation '{name.name}' in FROM"
    raise invalid(text, name.span)


def _relations(node: Node | None) -> list[tuple[str, str]]:
    """Name and table of each relation of FROM; empty where it has none."""
    if isinstance(node, Join):
        return _relations(node.left) + _relations(node.right)
    if isinstance(node, TableReference):
        table = node.name.parts[-1].name
        return [(table if node.alias is None else node.alias.name.name, table)]
    if isinstance(node, DerivedTable | UnnestTable) and node.alias is not None:
        return [(node.alias.name.name, "")]
    return [("", "")]
