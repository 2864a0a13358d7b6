"""What `*` and `t.*` stand for, with EXCLUDE and REPLACE."""

from __future__ import annotations

from millstream.expressions.nodes import ColumnRef, Expression
from millstream.plan.nodes import Column
from millstream.sql.binding import Environment
from millstream.sql.messages import invalid
from millstream.sql.syntax import Star


def expand_star(star: Star, env: Environment) -> list[tuple[Column, Expression]]:
    """The columns of a star and their values over the rows in sight."""
    relation = star.qualifier[-1].name if star.qualifier else None
    if relation is not None and relation not in env.scope.relations:
        raise invalid(f"Unknown identifier '{relation}'", star.qualifier[-1].span)
    if not env.scope.columns:
        raise invalid("SELECT * requires a FROM clause", star.span)
    columns = env.scope.star(relation)
    names = {c.name for c in columns}
    for excluded in star.exclude:
        if excluded.name not in names:
            raise invalid(f"SELECT * EXCLUDE/EXCEPT list contains unknown column(s): {excluded.name}", excluded.span)
    excluded_names = {e.name for e in star.exclude}
    replaced: dict[str, Expression] = {}
    for expression, name in star.replace:
        if name.name not in names:
            raise invalid(f"SELECT * REPLACE list contains unknown column(s): {name.name}", name.span)
        replaced[name.name] = env.bind(expression)
    items = []
    for column in columns:
        if column.name in excluded_names:
            continue
        value = replaced.get(column.name)
        if value is None:
            shown = f"{column.relation}.{column.name}" if column.relation else column.name
            if not env.in_aggregate:
                env.references.setdefault(column.index, (shown, star.span))
            value = ColumnRef(column.type, column.index)
        items.append((Column(column.name, value.type, column.case_sensitive), value))
    if not items:
        raise invalid("SELECT * EXCLUDE/EXCEPT list cannot exclude all columns", star.span)
    return items
