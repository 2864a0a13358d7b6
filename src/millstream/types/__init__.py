"""SQL types, their Arrow representation and their JSON names. Imports nothing else of the package."""

from millstream.types.arrow import arrow_schema, arrow_type
from millstream.types.relation import Relation, RelationColumn
from millstream.types.sql_type import Field, Kind, SqlType

__all__ = ["Field", "Kind", "Relation", "RelationColumn", "SqlType", "arrow_schema", "arrow_type"]
