"""Declared types: from what was written to SqlType, with the checks and warnings of sql.md §4.1."""

from __future__ import annotations

from millstream.sql.context import Context
from millstream.sql.literals import interval_kind
from millstream.sql.messages import Poisoned, SqlError, invalid, not_supported
from millstream.sql.syntax import Identifier, TypeName
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import MAX_DECIMAL_PRECISION, array, decimal, map_of, struct

_UNSIGNED = {
    "TINYINT UNSIGNED": Kind.UTINYINT,
    "SMALLINT UNSIGNED": Kind.USMALLINT,
    "INTEGER UNSIGNED": Kind.UINTEGER,
    "BIGINT UNSIGNED": Kind.UBIGINT,
}
_SIZED = {"CHAR": 1, "BINARY": 1, "VARCHAR": -1, "VARBINARY": -1}
_FIXED_PRECISION = {"TIME": 9, "TIMESTAMP": 6, "TIMESTAMP_TZ": 6}


def resolve_type(name: TypeName, context: Context, *, nullable: bool = True) -> SqlType:
    """The type that `name` denotes; `nullable`: what holds where the declaration does not say."""
    if name.nullable is not None:
        nullable = name.nullable
    return _resolve(name, context).with_nullable(nullable)


def _resolve(name: TypeName, context: Context) -> SqlType:
    kind = name.name
    if name.user is not None:
        return _user_type(name, context)
    if kind == "ARRAY":
        assert name.element is not None
        return array(resolve_type(name.element, context))
    if kind == "MAP":
        return _map(name, context)
    if kind == "ROW":
        return struct(resolve_fields(name.fields, context, nullable=False))
    if kind.startswith("INTERVAL_"):
        unit, _, to_unit = kind.removeprefix("INTERVAL_").partition("_")
        try:
            return SqlType(interval_kind(unit, to_unit or None))
        except SqlError as error:
            raise SqlError(error.message, name.span) from None
    if kind == "DECIMAL":
        return _decimal(name, context)
    if kind in _UNSIGNED:
        return SqlType(_UNSIGNED[kind])
    if kind in _SIZED:
        length = name.arguments[0] if name.arguments else _SIZED[kind]
        return SqlType(Kind(kind), precision=length)
    if kind in _FIXED_PRECISION:
        return _timed(name, context)
    if kind == "FLOAT":
        text = "Do not use the FLOAT type, please use REAL or DOUBLE"
        raise SqlError(text, name.span, error_type="Illegal type")
    if kind in ("MULTISET", "UNSIGNED"):
        raise not_supported(f"Type {kind} not supported", name.span)
    return SqlType(Kind(kind))


def resolve_fields(
    written: tuple[tuple[Identifier, TypeName], ...], context: Context, *, nullable: bool
) -> tuple[Field, ...]:
    """The fields of a ROW or of a user-defined type; `nullable`: what holds where a field does not say."""
    fields: list[Field] = []
    for field, type_name in written:
        if any(f.name == field.name for f in fields):
            raise invalid(f"Field with name '{field.name}' already defined", field.span)
        fields.append(Field(field.name, resolve_type(type_name, context, nullable=nullable), field.quoted))
    return tuple(fields)


def _user_type(name: TypeName, context: Context) -> SqlType:
    assert name.user is not None
    found = context.catalog.types.get(name.user.name)
    if found is None:
        if name.user.name in context.catalog.poisoned:
            raise Poisoned
        raise invalid(f"Unknown identifier '{name.user.name}'", name.span)
    return found


def _map(name: TypeName, context: Context) -> SqlType:
    assert name.key is not None
    assert name.value is not None
    key = resolve_type(name.key, context)
    if key.kind in (Kind.NULL, Kind.MAP):
        raise not_supported(f"MAP key type cannot be {key.kind.value}", name.key.span)
    return map_of(key, resolve_type(name.value, context))


def _decimal(name: TypeName, context: Context) -> SqlType:
    if not name.arguments:
        context.warn(
            "DECIMAL precision and scale unspecified",
            "DECIMAL type specified without precision or scale. This is interpreted as "
            f"DECIMAL({MAX_DECIMAL_PRECISION}, 0)",
            name.span,
        )
        return decimal(MAX_DECIMAL_PRECISION, 0)
    precision = name.arguments[0]
    scale = name.arguments[1] if len(name.arguments) > 1 else 0
    if precision > MAX_DECIMAL_PRECISION:
        text = f"Maximum precision supported for DECIMAL is {MAX_DECIMAL_PRECISION}"
        raise SqlError(text, name.span, error_type="Illegal type")
    if precision < 1:
        text = f"DECIMAL precision {precision} must be between 1 and {MAX_DECIMAL_PRECISION}"
        raise invalid(text, name.span)
    if scale > precision:
        raise SqlError("DECIMAL type must have scale <= precision", name.span, error_type="Illegal type")
    return decimal(precision, scale)


def _timed(name: TypeName, context: Context) -> SqlType:
    precision = _FIXED_PRECISION[name.name]
    if name.arguments and name.arguments[0] != precision:
        shown = name.name.replace("_TZ", " WITH TIME ZONE")
        context.warn(
            f"{shown} precision ignored",
            f"Specified precision {name.arguments[0]} for type {shown} is ignored; {precision} is used instead",
            name.span,
        )
    return SqlType(Kind(name.name), precision=precision)
