"""What formats and connectors see of a program's tables and views (`types.Relation`)."""

from __future__ import annotations

from millstream.expressions.evaluate import evaluate_constant
from millstream.plan.program import ERROR_VIEW, ERROR_VIEW_SCHEMA, Program, Table, View
from millstream.types import Relation, RelationColumn


def table_relation(table: Table, metadata: str | None = None) -> Relation:
    """Columns with their defaults evaluated, for records that come with that connector metadata (a VARIANT's text),
    and the primary key."""
    return Relation(
        table.name,
        tuple(
            RelationColumn(
                column.name,
                column.type,
                column.case_sensitive,
                None if column.default is None else evaluate_constant(column.default, metadata),
            )
            for column in table.columns
        ),
        table.primary_key,
        table.case_sensitive,
        append_only=table.append_only and not table.primary_key,
    )


def view_relation(view: View) -> Relation:
    """The view's output columns."""
    return Relation(
        view.name,
        tuple(RelationColumn(column.name, column.type, column.case_sensitive) for column in view.schema),
        case_sensitive=view.case_sensitive,
    )


def input_relations(program: Program) -> dict[str, Relation]:
    """All tables by canonical name."""
    return {table.name: table_relation(table) for table in program.tables}


def output_relations(program: Program) -> dict[str, Relation]:
    """All relations whose changes can be sent somewhere: error_view, views that are not LOCAL, and tables."""
    errors = Relation(ERROR_VIEW, tuple(RelationColumn(c.name, c.type, c.case_sensitive) for c in ERROR_VIEW_SCHEMA))
    views = {view.name: view_relation(view) for view in program.views if not view.local}
    return {ERROR_VIEW: errors, **input_relations(program), **views}
