"""How each SQL type is held in Arrow columns.

| SQL | Arrow |
|---|---|
| BOOLEAN | bool |
| TINYINT .. BIGINT, unsigned | int8 .. int64, uint8 .. uint64 |
| REAL, DOUBLE | float32, float64 |
| DECIMAL(p, s) | decimal128(p, s) |
| CHAR, VARCHAR | large_string (a run may exceed 2 GiB of text; 32-bit offsets would not hold it) |
| BINARY, VARBINARY | large_binary |
| DATE, TIME | date32, time64[ns] |
| TIMESTAMP, TIMESTAMP WITH TIME ZONE | timestamp[us], timestamp[us, UTC] |
| short intervals (DAY..SECOND), long intervals (YEAR, MONTH) | duration[us], int32 months |
| UUID | fixed_size_binary(16), big endian |
| VARIANT | large_string: compact JSON, object keys sorted, and tags for types that JSON lacks (variant.py) |
| ARRAY, MAP, ROW | large_list, map, struct |
| GEOMETRY | struct of x and y, float64 |
| NULL | null |
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from millstream.types.sql_type import LONG_INTERVALS, SHORT_INTERVALS, Kind, SqlType

_FIXED: dict[Kind, pa.DataType] = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.TINYINT: pa.int8(),
    Kind.SMALLINT: pa.int16(),
    Kind.INTEGER: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.UTINYINT: pa.uint8(),
    Kind.USMALLINT: pa.uint16(),
    Kind.UINTEGER: pa.uint32(),
    Kind.UBIGINT: pa.uint64(),
    Kind.REAL: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.CHAR: pa.large_string(),
    Kind.VARCHAR: pa.large_string(),
    Kind.BINARY: pa.large_binary(),
    Kind.VARBINARY: pa.large_binary(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("ns"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMP_TZ: pa.timestamp("us", "UTC"),
    Kind.UUID: pa.binary(16),
    Kind.VARIANT: pa.large_string(),
    Kind.GEOMETRY: pa.struct([("x", pa.float64()), ("y", pa.float64())]),
    Kind.NULL: pa.null(),
}
_FIXED.update(dict.fromkeys(SHORT_INTERVALS, pa.duration("us")))
_FIXED.update(dict.fromkeys(LONG_INTERVALS, pa.int32()))


def arrow_type(sql_type: SqlType) -> pa.DataType:
    """The Arrow type that columns of `sql_type` have inside deltas, traces and expressions."""
    kind = sql_type.kind
    if kind is Kind.DECIMAL:
        return pa.decimal128(sql_type.precision, sql_type.scale)
    if kind is Kind.ARRAY:
        assert sql_type.component is not None
        return pa.large_list(pa.field("item", arrow_type(sql_type.component)))
    if kind is Kind.MAP:
        assert sql_type.key is not None
        assert sql_type.value is not None
        return pa.map_(arrow_type(sql_type.key), arrow_type(sql_type.value))
    if kind is Kind.STRUCT:
        return pa.struct([pa.field(f.name, arrow_type(f.type)) for f in sql_type.fields])
    return _FIXED[kind]


def arrow_schema(columns: Iterable[tuple[str, SqlType]]) -> pa.Schema:
    """The Arrow schema of named columns; every field is nullable, as keys of deleted rows may carry nothing else."""
    return pa.schema([pa.field(name, arrow_type(sql_type)) for name, sql_type in columns])
