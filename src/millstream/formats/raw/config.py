"""The options of raw parsers, checked against the table."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from millstream.formats.options import Options
from millstream.formats.rows import absent_value
from millstream.types import Relation
from millstream.types.sql_type import Kind

MODES = ("blob", "lines")


@dataclass(frozen=True, slots=True)
class RawParserConfig:
    """`lines`: one row per line, else one per stream. `column`: the position of the column that takes the bytes."""

    lines: bool
    column: int


def parser_config(config: dict[str, Any] | None, relation: Relation, endpoint_name: str) -> RawParserConfig:
    """Check the options of an input. Raises MillstreamError (`ConfigError.*`)."""
    options = Options("Parser", endpoint_name, config)
    mode = options.choice("mode", MODES, "blob")
    name = options.text("column_name")
    options.finish()
    column = _column(options, relation, name)
    chosen = relation.columns[column]
    if chosen.type.kind not in (Kind.VARCHAR, Kind.CHAR, Kind.VARBINARY):
        raise options.invalid(
            f"column '{chosen.name}' is {chosen.type.sql()}; the format `raw` needs a VARCHAR or VARBINARY column"
        )
    for position, other in enumerate(relation.columns):
        if position != column and not absent_value(relation, position)[0]:
            raise options.invalid(
                f"column '{other.name}' is NOT NULL and has no default; the format `raw` fills '{chosen.name}' only"
            )
    return RawParserConfig(mode == "lines", column)


def _column(options: Options, relation: Relation, name: str | None) -> int:
    names = [column.name for column in relation.columns]
    if name is None:
        if len(names) == 1:
            return 0
        listed = ", ".join(f"'{known}'" for known in names)
        raise options.invalid(f"table '{relation.name}' has {len(names)} columns: set 'column_name' to one of {listed}")
    for position, column in enumerate(relation.columns):
        if column.name == name or (not column.case_sensitive and column.name == name.lower()):
            return position
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"its columns are {', '.join(f'{known!r}' for known in names)}"
    raise options.invalid(f"table '{relation.name}' has no column '{name}' ('column_name'); {hint}")
