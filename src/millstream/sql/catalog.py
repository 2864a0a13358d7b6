"""What a program has declared so far: relations and types, by canonical name.

A declaration that failed stays known as *poisoned*: statements that use it are skipped silently, so that one mistake
gives one message and independent mistakes are all found in one compilation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.expressions.nodes import Expression
from millstream.plan.nodes import Column, Schema
from millstream.plan.program import ERROR_VIEW, ERROR_VIEW_SCHEMA, Index, Table, View
from millstream.sql.identifiers import needs_quotes
from millstream.types import SqlType
from millstream.udf.declarations import ExternalAggregate


@dataclass(frozen=True)
class UserFunction:
    """A function: `body`, of type `returns`, over the parameters as columns."""

    name: str
    parameters: tuple[SqlType, ...]
    returns: SqlType
    body: Expression


@dataclass
class Catalog:
    """Grows as statements compile. `poisoned` holds names of failed declarations, `recursive` the columns of views that
    are declared before they are created."""

    tables: dict[str, Table] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    types: dict[str, SqlType] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    recursive: dict[str, Schema] = field(default_factory=dict)
    functions: dict[str, UserFunction] = field(default_factory=dict)
    aggregates: dict[str, ExternalAggregate] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    #: Names of the functions and aggregates whose code is Python
    external: list[str] = field(default_factory=list)

    def declared(self, name: str) -> bool:
        """Whether a table, view or type has that name."""
        return name in self.tables or name in self.views or name in self.types or name in self.poisoned

    def schema(self, name: str) -> Schema | None:
        """The columns of a relation; None: there is none of that name."""
        if name == ERROR_VIEW:
            return ERROR_VIEW_SCHEMA
        table = self.tables.get(name)
        if table is not None:
            return table.schema
        view = self.views.get(name)
        return self.recursive.get(name) if view is None else view.schema


def derived_column(name: str, sql_type: SqlType) -> Column:
    """A column whose name was not written: it counts as quoted when the name would need quotes."""
    return Column(name, sql_type, needs_quotes(name))
