"""What formats and connectors need to know of a table or view: column names, types, defaults and the primary key."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from millstream.types.sql_type import SqlType


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column; `default` is the value that an input record without it gets, None when the SQL declares none."""

    name: str
    type: SqlType
    case_sensitive: bool = False
    default: pa.Scalar | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table (with its key columns, if any) or a view (`primary_key` empty). `append_only`: rows are never deleted."""

    name: str
    columns: tuple[RelationColumn, ...]
    primary_key: tuple[int, ...] = ()
    case_sensitive: bool = False
    append_only: bool = False
