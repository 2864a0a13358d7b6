"""Relations, parsing in one go, and batches as plain Python values, for the tests of formats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.formats import ParsedBlock, build_encoder, build_parser
from millstream.types import Relation, RelationColumn, SqlType, arrow_type, sql_type
from millstream.zset.changes import Operation
from millstream.zset.delta import Delta

ID_NAME = Relation(
    "t",
    (
        RelationColumn("id", sql_type.INTEGER.with_nullable(False)),
        RelationColumn("name", sql_type.VARCHAR),
        RelationColumn("amount", sql_type.decimal(6, 2), default=pa.scalar(Decimal("1.25"), pa.decimal128(6, 2))),
    ),
)
KEYED = Relation("t", ID_NAME.columns, primary_key=(0,))


def one_column(column_type: SqlType, name: str = "x") -> Relation:
    """A relation with one column."""
    return Relation("t", (RelationColumn(name, column_type),))


def parse(format_name: str, config: dict[str, Any], relation: Relation, data: bytes | str) -> ParsedBlock:
    """All of `data` as one block."""
    block = data.encode() if isinstance(data, str) else data
    return build_parser(format_name, config, relation, "t.c").parse(block)


def rows(block: ParsedBlock) -> list[tuple[Any, ...]]:
    """(operation letter, values...) for each row, in order."""
    result = []
    for batch in block.batches:
        letters = ["+"] * batch.num_rows
        if batch.operations is not None:
            names = {Operation.INSERT: "+", Operation.DELETE: "-", Operation.UPDATE: "u"}
            letters = [names[Operation(o)] for o in batch.operations]
        values = [column.to_pylist() for column in batch.columns]
        result += [(letters[r], *(column[r] for column in values)) for r in range(batch.num_rows)]
    return result


def delta(relation: Relation, values: list[tuple[Any, ...]]) -> Delta:
    """A delta from (weight, values...)."""
    columns = tuple(
        pa.array([row[c + 1] for row in values], arrow_type(column.type)) for c, column in enumerate(relation.columns)
    )
    return Delta(columns, np.array([row[0] for row in values], np.int64))


def encode(format_name: str, config: dict[str, Any], relation: Relation, changes: Delta, **options: Any) -> list[Any]:
    """All buffers."""
    return list(build_encoder(format_name, config, relation, "v.c", **options).encode(changes))


def same_block(left: ParsedBlock, right: ParsedBlock) -> None:
    """Assert that both blocks hold the same rows and the same errors, down to types, masks and nanoseconds."""
    assert left.errors == right.errors
    assert len(left.batches) == len(right.batches)
    for a, b in zip(left.batches, right.batches, strict=True):
        assert a.num_rows == b.num_rows
        for x, y in zip(a.columns, b.columns, strict=True):
            x.validate(full=True)
            assert x.type == y.type
            assert _exact_text(x) == _exact_text(y)
        assert (a.operations is None) == (b.operations is None)
        assert a.operations is None or a.operations.tolist() == b.operations.tolist()
        assert (a.present is None) == (b.present is None)
        for p, q in zip(a.present or (), b.present or (), strict=True):
            assert p.tolist() == q.tolist()


def _exact_text(column: pa.Array) -> str:
    if pa.types.is_temporal(column.type) and not pa.types.is_date(column.type):
        column = column.view(pa.int64())
    return str(column.to_pylist())
