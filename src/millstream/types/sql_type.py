"""The SQL types of the dialect.

One frozen class describes every type: its `kind` says which of the optional attributes mean something. Nullability
is part of the type, as in the schema JSON. Types compare and hash by value, so plans that mention them do too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The wire name of a type (`columntype.type` in the schema JSON)."""

    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INTEGER = "INTEGER"
    BIGINT = "BIGINT"
    UTINYINT = "UTINYINT"
    USMALLINT = "USMALLINT"
    UINTEGER = "UINTEGER"
    UBIGINT = "UBIGINT"
    REAL = "REAL"
    DOUBLE = "DOUBLE"
    DECIMAL = "DECIMAL"
    CHAR = "CHAR"
    VARCHAR = "VARCHAR"
    BINARY = "BINARY"
    VARBINARY = "VARBINARY"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMP_TZ = "TIMESTAMP_TZ"
    INTERVAL_DAY = "INTERVAL_DAY"
    INTERVAL_DAY_HOUR = "INTERVAL_DAY_HOUR"
    INTERVAL_DAY_MINUTE = "INTERVAL_DAY_MINUTE"
    INTERVAL_DAY_SECOND = "INTERVAL_DAY_SECOND"
    INTERVAL_HOUR = "INTERVAL_HOUR"
    INTERVAL_HOUR_MINUTE = "INTERVAL_HOUR_MINUTE"
    INTERVAL_HOUR_SECOND = "INTERVAL_HOUR_SECOND"
    INTERVAL_MINUTE = "INTERVAL_MINUTE"
    INTERVAL_MINUTE_SECOND = "INTERVAL_MINUTE_SECOND"
    INTERVAL_SECOND = "INTERVAL_SECOND"
    INTERVAL_YEAR = "INTERVAL_YEAR"
    INTERVAL_YEAR_MONTH = "INTERVAL_YEAR_MONTH"
    INTERVAL_MONTH = "INTERVAL_MONTH"
    ARRAY = "ARRAY"
    MAP = "MAP"
    STRUCT = "STRUCT"
    UUID = "UUID"
    VARIANT = "VARIANT"
    GEOMETRY = "GEOMETRY"
    NULL = "NULL"


SIGNED_INTEGERS = (Kind.TINYINT, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
UNSIGNED_INTEGERS = (Kind.UTINYINT, Kind.USMALLINT, Kind.UINTEGER, Kind.UBIGINT)
INTEGERS = frozenset(SIGNED_INTEGERS + UNSIGNED_INTEGERS)
FLOATS = frozenset((Kind.REAL, Kind.DOUBLE))
NUMERICS = INTEGERS | FLOATS | {Kind.DECIMAL}
STRINGS = frozenset((Kind.CHAR, Kind.VARCHAR))
BINARIES = frozenset((Kind.BINARY, Kind.VARBINARY))
LONG_INTERVALS = frozenset((Kind.INTERVAL_YEAR, Kind.INTERVAL_YEAR_MONTH, Kind.INTERVAL_MONTH))
SHORT_INTERVALS = frozenset(k for k in Kind if k.startswith("INTERVAL_")) - LONG_INTERVALS
INTERVALS = SHORT_INTERVALS | LONG_INTERVALS
INTEGER_BITS = {
    Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INTEGER: 32, Kind.BIGINT: 64,
    Kind.UTINYINT: 8, Kind.USMALLINT: 16, Kind.UINTEGER: 32, Kind.UBIGINT: 64,
}  # fmt: skip
MAX_DECIMAL_PRECISION = 38

_SQL_NAMES = {
    Kind.UTINYINT: "TINYINT UNSIGNED",
    Kind.USMALLINT: "SMALLINT UNSIGNED",
    Kind.UINTEGER: "INTEGER UNSIGNED",
    Kind.UBIGINT: "BIGINT UNSIGNED",
    Kind.TIMESTAMP_TZ: "TIMESTAMP WITH TIME ZONE",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a STRUCT type."""

    name: str
    type: SqlType
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class SqlType:
    """A SQL type.

    `precision` is the length of CHAR/VARCHAR/BINARY/VARBINARY (-1: unlimited), the digits of DECIMAL, or the
    fractional digits of TIME and TIMESTAMP. `component` is the element type of an ARRAY, `key` and `value` those of
    a MAP, `fields` the members of a STRUCT.
    """

    kind: Kind
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None
    component: SqlType | None = None
    key: SqlType | None = None
    value: SqlType | None = None
    fields: tuple[Field, ...] = ()

    def with_nullable(self, nullable: bool) -> SqlType:
        """The same type with the given nullability."""
        return self if nullable == self.nullable else replace(self, nullable=nullable)

    @property
    def is_integer(self) -> bool:
        return self.kind in INTEGERS

    @property
    def is_unsigned(self) -> bool:
        return self.kind in UNSIGNED_INTEGERS

    @property
    def is_float(self) -> bool:
        return self.kind in FLOATS

    @property
    def is_numeric(self) -> bool:
        return self.kind in NUMERICS

    @property
    def is_string(self) -> bool:
        return self.kind in STRINGS

    @property
    def is_sized(self) -> bool:
        """CHAR(n), VARCHAR(n), BINARY(n) or VARBINARY(n): stored values may have another length (sql.md §4.2)."""
        return (self.is_string or self.is_binary) and (self.precision or -1) >= 0

    @property
    def is_binary(self) -> bool:
        return self.kind in BINARIES

    @property
    def is_interval(self) -> bool:
        return self.kind in INTERVALS

    @property
    def is_nested(self) -> bool:
        return self.kind in (Kind.ARRAY, Kind.MAP, Kind.STRUCT)

    def same_apart_from_nullability(self, other: SqlType) -> bool:
        """Whether both types hold the same values; outer nullability is not compared."""
        return self.with_nullable(True) == other.with_nullable(True)

    def sql(self) -> str:
        """The type as SQL text, without nullability: `DECIMAL(10, 2)`, `INTEGER ARRAY`, `TIMESTAMP WITH TIME ZONE`."""
        kind = self.kind
        if kind is Kind.DECIMAL:
            return f"DECIMAL({self.precision}, {self.scale})"
        if kind in (Kind.CHAR, Kind.VARCHAR, Kind.BINARY, Kind.VARBINARY):
            return kind.value if self.precision in (None, -1) else f"{kind.value}({self.precision})"
        if kind is Kind.ARRAY:
            assert self.component is not None
            return f"{self.component.sql()} ARRAY"
        if kind is Kind.MAP:
            assert self.key is not None
            assert self.value is not None
            return f"MAP<{self.key.sql()}, {self.value.sql()}>"
        if kind is Kind.STRUCT:
            return "ROW(" + ", ".join(f"{field.type.sql()} {field.name}" for field in self.fields) + ")"
        if kind in INTERVALS:
            unit = kind.value.removeprefix("INTERVAL_").split("_")
            return "INTERVAL " + " TO ".join(unit)
        return _SQL_NAMES.get(kind, kind.value)

    def __str__(self) -> str:
        return self.sql() if self.nullable else f"{self.sql()} NOT NULL"

    def to_json(self) -> dict[str, Any]:
        """The `columntype` object of the schema JSON (api.md §9.4): eight keys, unused ones null."""
        return {
            "type": self.kind.value,
            "nullable": self.nullable,
            "precision": self.precision,
            "scale": self.scale,
            "component": None if self.component is None else self.component.to_json(),
            "fields": [
                {"name": f.name, "case_sensitive": f.case_sensitive, "columntype": f.type.to_json(),
                 "lateness": None, "default": None, "watermark": None, "unused": False}
                for f in self.fields
            ] if self.kind is Kind.STRUCT else None,
            "key": None if self.key is None else self.key.to_json(),
            "value": None if self.value is None else self.value.to_json(),
        }  # fmt: skip


BOOLEAN = SqlType(Kind.BOOLEAN)
TINYINT = SqlType(Kind.TINYINT)
SMALLINT = SqlType(Kind.SMALLINT)
INTEGER = SqlType(Kind.INTEGER)
BIGINT = SqlType(Kind.BIGINT)
UTINYINT = SqlType(Kind.UTINYINT)
USMALLINT = SqlType(Kind.USMALLINT)
UINTEGER = SqlType(Kind.UINTEGER)
UBIGINT = SqlType(Kind.UBIGINT)
REAL = SqlType(Kind.REAL)
DOUBLE = SqlType(Kind.DOUBLE)
VARCHAR = SqlType(Kind.VARCHAR, precision=-1)
VARBINARY = SqlType(Kind.VARBINARY, precision=-1)
DATE = SqlType(Kind.DATE)
TIME = SqlType(Kind.TIME, precision=9)
TIMESTAMP = SqlType(Kind.TIMESTAMP, precision=6)
TIMESTAMP_TZ = SqlType(Kind.TIMESTAMP_TZ, precision=6)
UUID = SqlType(Kind.UUID)
VARIANT = SqlType(Kind.VARIANT)
NULL = SqlType(Kind.NULL)


def decimal(precision: int, scale: int, nullable: bool = True) -> SqlType:
    """DECIMAL(precision, scale)."""
    return SqlType(Kind.DECIMAL, nullable, precision=precision, scale=scale)


def char(length: int, nullable: bool = True) -> SqlType:
    """CHAR(length)."""
    return SqlType(Kind.CHAR, nullable, precision=length)


def array(component: SqlType, nullable: bool = True) -> SqlType:
    """component ARRAY; elements are always nullable."""
    return SqlType(Kind.ARRAY, nullable, component=component.with_nullable(True))


def map_of(key: SqlType, value: SqlType, nullable: bool = True) -> SqlType:
    """MAP<key, value>; keys are never null, values always nullable."""
    return SqlType(Kind.MAP, nullable, key=key.with_nullable(False), value=value.with_nullable(True))


def struct(fields: tuple[Field, ...], nullable: bool = True) -> SqlType:
    """A ROW or user-defined struct type."""
    return SqlType(Kind.STRUCT, nullable, fields=fields)
