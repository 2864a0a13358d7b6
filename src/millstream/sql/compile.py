"""From the text of a program to its relations and plans.

Every statement is compiled on its own and changes the catalog, or fails with one message. A relation whose declaration
failed is poisoned: what reads it is skipped silently. So one compilation reports all independent mistakes and no
consequence of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from millstream.plan.program import Program, Table, View
from millstream.plan.usage import Usage, columns_read
from millstream.plan.walk import uses_now
from millstream.sql import queries
from millstream.sql.context import Context
from millstream.sql.messages import Message, Poisoned, SqlError
from millstream.sql.parser.statements import parse_program
from millstream.sql.recursion import resolve_recursion
from millstream.sql.source import Source
from millstream.sql.statements import (
    create_function,
    create_index,
    create_table,
    create_type,
    create_view,
    declare_recursive,
    drop,
    lateness,
    other,
    settings,
)
from millstream.sql.statements.create_table import check_foreign_keys
from millstream.sql.statements.create_view import check_emit_final
from millstream.sql.statements.lateness import check_view_lateness
from millstream.sql.statements.registry import compile_statement
from millstream.sql.statements.settings import enforces_positive_inputs, with_settings
from millstream.sql.syntax import (
    CreateAggregate,
    CreateFunction,
    CreateTable,
    CreateType,
    CreateView,
    DeclareRecursiveView,
    Node,
    ViewLateness,
)
from millstream.udf.library import NO_LIBRARY, Library

#: Importing these registers how each kind of query and statement is compiled.
REGISTERED = (
    queries, create_function, create_index, create_table, create_type, create_view, declare_recursive, drop, lateness,
    other, settings,
)  # fmt: skip


@dataclass(frozen=True)
class CompileResult:
    """A program, or None if any message is an error."""

    program: Program | None
    messages: tuple[Message, ...]
    #: The functions and aggregates whose code is Python
    external: tuple[str, ...] = ()


def compile_program(text: str, materialize_all: bool = False, udf: Library = NO_LIBRARY) -> CompileResult:
    """Compile a program. `materialize_all`: keep the contents of every table and of every view that is not LOCAL.
    `udf`: the code of functions without an SQL body; it is not called here.

    Mistakes in the text become messages, never exceptions. Milliseconds for a program of fifty lines.
    """
    context = Context(Source(text), udf=udf)
    statements, errors = parse_program(context.source)
    for error in errors:
        context.report(error)
        if error.declares is not None:
            context.catalog.poisoned.add(error.declares)
    compiled = [statement for statement in statements if _compile(statement, context)]
    for statement in compiled:
        if isinstance(statement, CreateTable):
            _guarded(check_foreign_keys, statement, context)
    check_view_lateness([statement for statement in compiled if isinstance(statement, ViewLateness)], context)
    if context.catalog.recursive and not context.failed:
        resolve_recursion(context)
    program = None if context.failed else _program(context, materialize_all)
    if program is not None:
        check_emit_final(program, context)
    found = with_settings(context.messages, context)
    messages = sorted(found, key=lambda m: (m.warning, m.span.start_line, m.span.start_column))
    compiled_program = program if all(m.warning for m in messages) else None
    return CompileResult(compiled_program, tuple(messages), tuple(context.catalog.external))


def _compile(statement: Node, context: Context) -> bool:
    """Whether a statement succeeded."""
    if _guarded(compile_statement, statement, context):
        return True
    name = _declared_name(statement)
    if name is not None and not context.catalog.declared(name):
        context.catalog.poisoned.add(name)
    return False


def _guarded(action: object, statement: Node, context: Context) -> bool:
    try:
        action(statement, context)  # type: ignore[operator] # compile_statement or check_foreign_keys
    except SqlError as error:
        context.report(error)
        return False
    except Poisoned:
        return False
    except RecursionError:
        text = "Statement is nested too deeply"
        context.report(SqlError(text, statement.span, error_type="Not supported"))
        return False
    return True


def _declared_name(statement: Node) -> str | None:
    declarations = CreateTable | CreateView | CreateType | DeclareRecursiveView | CreateFunction | CreateAggregate
    return statement.name.name if isinstance(statement, declarations) else None


# ---- the finished program ----


def _program(context: Context, materialize_all: bool) -> Program:
    catalog = context.catalog
    views = tuple(catalog.views.values())
    usage = _usage(views)
    tables = tuple(_with_usage(table, usage, context) for table in catalog.tables.values())
    if materialize_all:
        tables = tuple(replace(table, materialized=True) for table in tables)
        views = tuple(replace(view, materialized=not view.local) for view in views)
    if enforces_positive_inputs(context):
        tables = tuple(replace(table, positive=not table.primary_key) for table in tables)
    indexes = tuple(catalog.indexes.values())
    clocked = any(uses_now(view.plan) for view in views)
    return Program(tables, views, uses_now=clocked, indexes=indexes, keeps_errors=materialize_all)


def _usage(views: tuple[View, ...]) -> Usage:
    """The columns of every relation that output views need."""
    usage: Usage = {}
    for view in reversed(views):
        wanted = set(range(len(view.schema))) if not view.local else usage.get(view.name)
        if wanted is not None:
            columns_read(view.plan, wanted, usage)
    return usage


def _with_usage(table: Table, usage: Usage, context: Context) -> Table:
    """The table with its unused columns marked, and warned of where keeping them serves nobody."""
    used = usage.get(table.name)
    if used is None:
        if not table.materialized:
            context.warn("Unused", f"Table '{table.name}' is not used", context.places[table.name])
        used = set()
    elif not table.materialized:
        for index, column in enumerate(table.columns):
            if index not in used and index not in table.primary_key:
                text = f"Column '{column.name}' of table '{table.name}' is unused"
                context.warn("Unused column", text, context.places[f"{table.name}.{column.name}"])
    columns = tuple(replace(c, unused=index not in used) for index, c in enumerate(table.columns))
    return replace(table, columns=columns)
