"""A compiled program: its relations, their properties and plans, in declaration order.

`sql/compile.py` makes it, `circuit/` turns it into operators, `manager/` shows its schema. Connector
configurations are kept as JSON objects with defaults filled in; `pipeline/` opens them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from millstream.expressions.nodes import Expression
from millstream.plan.nodes import Column, Plan, Schema
from millstream.types import Kind, SqlType

_TEXT = SqlType(Kind.VARCHAR, nullable=False, precision=-1)
#: The system view that is always an output: what was refused while the program ran (sql.md §12.6).
ERROR_VIEW = "error_view"
ERROR_VIEW_SCHEMA: Schema = (
    Column("table_or_view_name", _TEXT),
    Column("message", _TEXT),
    Column("metadata", _TEXT),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of source text, 1-based, end inclusive."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int

    def to_json(self) -> dict[str, int]:
        return {
            "start_line_number": self.start_line,
            "start_column": self.start_column,
            "end_line_number": self.end_line,
            "end_column": self.end_column,
        }


@dataclass(frozen=True, slots=True)
class Property:
    """A value of a WITH clause and where it stands."""

    value: str
    key_span: Span
    value_span: Span


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A declared column. `default` is a constant expression of the column's type, or None; the `_text` members are
    normalised SQL for the schema JSON; `lateness` and `watermark` are constant intervals or numbers."""

    name: str
    type: SqlType
    case_sensitive: bool = False
    default: Expression | None = None
    default_text: str | None = None
    lateness: Expression | None = None
    lateness_text: str | None = None
    watermark: Expression | None = None
    watermark_text: str | None = None
    unused: bool = False


@dataclass(frozen=True)
class Table:
    """CREATE TABLE. `primary_key`: column indices, empty for a bag of rows. `connectors`: endpoint name -> config.
    `positive`: deleting a row more often than it is there is an error."""

    name: str
    columns: tuple[TableColumn, ...]
    primary_key: tuple[int, ...] = ()
    case_sensitive: bool = False
    properties: dict[str, Property] = field(default_factory=dict)
    materialized: bool = False
    append_only: bool = False
    positive: bool = False
    connectors: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def queryable(self) -> bool:
        """Whether its contents are kept for ad-hoc queries and snapshots: late keys are forgotten, so a table whose key
        has LATENESS is only if it is declared so."""
        return self.materialized or (bool(self.primary_key) and not self.late_keys)

    @property
    def schema(self) -> Schema:
        """The columns as those of a scan."""
        return tuple(Column(c.name, c.type, c.case_sensitive) for c in self.columns)

    @property
    def delays(self) -> tuple[Delay, ...]:
        """The columns that have LATENESS."""
        return tuple(Delay(i, c.lateness) for i, c in enumerate(self.columns) if c.lateness is not None)

    @property
    def watermark(self) -> Delay | None:
        """The column that has a WATERMARK."""
        return next((Delay(i, c.watermark) for i, c in enumerate(self.columns) if c.watermark is not None), None)

    @property
    def late_keys(self) -> tuple[int, ...]:
        """The key columns that have LATENESS."""
        return tuple(k for k in self.primary_key if self.columns[k].lateness is not None)


@dataclass(frozen=True, slots=True)
class Delay:
    """LATENESS or WATERMARK: how far behind the greatest value of `column` a row may be, or is held back: a constant
    interval or number."""

    column: int
    lateness: Expression
    text: str | None = None


@dataclass(frozen=True)
class View:
    """CREATE VIEW. `local` views are not outputs; `materialized` ones keep their contents for queries. `delays`:
    columns with LATENESS, by statements of their own. `emit_final`: the output is rows below that column's
    waterline only."""

    name: str
    schema: Schema
    plan: Plan
    case_sensitive: bool = False
    local: bool = False
    materialized: bool = False
    properties: dict[str, Property] = field(default_factory=dict)
    connectors: dict[str, dict[str, Any]] = field(default_factory=dict)
    delays: tuple[Delay, ...] = ()
    emit_final: int | None = None


@dataclass(frozen=True)
class Index:
    """CREATE INDEX: the columns of a view that together are unique in it."""

    name: str
    view: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A program that compiled. `views` are ordered so that each reads only tables and earlier views.
    `uses_now`: some view calls NOW(). `keeps_errors`: the contents of error_view are kept for queries."""

    tables: tuple[Table, ...]
    views: tuple[View, ...]
    uses_now: bool = False
    indexes: tuple[Index, ...] = ()
    keeps_errors: bool = False

    def table(self, name: str) -> Table | None:
        """The table with that canonical name."""
        return next((t for t in self.tables if t.name == name), None)

    def view(self, name: str) -> View | None:
        """The view with that canonical name."""
        return next((v for v in self.views if v.name == name), None)
