"""Columns of `datagen` by settings, made directly."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from millstream.connectors.datagen.generator import row_generators
from millstream.connectors.datagen.random import row_lanes
from millstream.connectors.datagen.settings import parse_config
from millstream.types import Relation, SqlType, arrow_type

from .support import MemorySink, make_input, refusal, relation, run


def generate(table: Relation, fields: dict[str, Any], count: int, *, seed: int = 1, first: int = 0) -> list[pa.Array]:
    """`count` rows from row `first` as columns; their types are checked."""
    plan = parse_config({"plan": [{"fields": fields}]}).plans[0]
    columns = [make(row_lanes(seed, first, count)) for make in row_generators(table, plan.fields, "plan[0].fields")]
    for column, declared in zip(columns, table.columns, strict=True):
        column.validate(full=True)
        assert column.type == arrow_type(declared.type)
        assert len(column) == count
    return columns


def column(sql_type: SqlType, settings: dict[str, Any], count: int, *, seed: int = 1, first: int = 0) -> pa.Array:
    """One column of that type."""
    return generate(relation(c=sql_type), {"c": settings}, count, seed=seed, first=first)[0]


def values(sql_type: SqlType, settings: dict[str, Any], count: int, **options: Any) -> list[Any]:
    """One column as Python values."""
    made: list[Any] = column(sql_type, settings, count, **options).to_pylist()
    return made


def datagen(config: dict[str, Any], table: Relation, sink: MemorySink | None = None) -> MemorySink:
    """What the connector pushes."""
    return run(make_input("datagen", config, table), sink)


def error_of(sql_type: SqlType, settings: Any) -> str:
    """Why settings are refused for a column `c` of that type."""
    import pytest

    from millstream.errors import MillstreamError

    with pytest.raises(MillstreamError) as caught:
        make_input("datagen", {"plan": [{"fields": {"c": settings}}]}, relation(c=sql_type))
    return refusal(caught.value)
