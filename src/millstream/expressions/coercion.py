"""Implicit conversions: common types of operands and the casts that reach them (sql.md §5, §6.1).

Three different questions have three different answers in this dialect: the type in which two values are
compared (`comparison_type`), the type that holds all of several values (`least_restrictive`), and the type of
an arithmetic result (functions/arithmetic.py). All work on types only; `coerce` then inserts the conversion
into the expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from millstream.expressions.errors import TypeCheckError, cannot_apply, type_text
from millstream.expressions.nodes import Call, Cast, ColumnRef, Expression, Literal
from millstream.types import Field, Kind, SqlType
from millstream.types.sql_type import (
    BINARIES,
    DOUBLE,
    INTEGER_BITS,
    INTEGERS,
    INTERVALS,
    LONG_INTERVALS,
    MAX_DECIMAL_PRECISION,
    NULL,
    NUMERICS,
    SHORT_INTERVALS,
    STRINGS,
    VARBINARY,
    VARCHAR,
    VARIANT,
    array,
    decimal,
    map_of,
    struct,
)
from millstream.types.variant import SQL_NULL

STRING_DECIMAL = decimal(38, 19)
_DIGITS = {
    Kind.TINYINT: 3, Kind.SMALLINT: 5, Kind.INTEGER: 10, Kind.BIGINT: 19,
    Kind.UTINYINT: 5, Kind.USMALLINT: 10, Kind.UINTEGER: 19, Kind.UBIGINT: 20,
}  # fmt: skip
_TIMESTAMPS = frozenset((Kind.TIMESTAMP, Kind.TIMESTAMP_TZ))
_ANY_OF_STRING = (
    NUMERICS | BINARIES | INTERVALS | _TIMESTAMPS | {Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.UUID, Kind.VARIANT}
)
_NUMBER_TARGETS = NUMERICS | STRINGS | _TIMESTAMPS | {Kind.BOOLEAN, Kind.VARIANT}
_LEGAL: dict[Kind, frozenset[Kind]] = {
    Kind.BOOLEAN: NUMERICS | STRINGS | {Kind.BOOLEAN, Kind.VARIANT},
    Kind.DECIMAL: _NUMBER_TARGETS | INTERVALS,
    Kind.REAL: _NUMBER_TARGETS,
    Kind.DOUBLE: _NUMBER_TARGETS,
    Kind.DATE: STRINGS | _TIMESTAMPS | {Kind.DATE, Kind.VARIANT},
    Kind.TIME: STRINGS | _TIMESTAMPS | {Kind.TIME, Kind.VARIANT},
    Kind.UUID: STRINGS | BINARIES | {Kind.UUID, Kind.VARIANT},
    Kind.GEOMETRY: frozenset((Kind.GEOMETRY, Kind.VARIANT)),
}
_LEGAL.update(dict.fromkeys(INTEGERS, _NUMBER_TARGETS | BINARIES | INTERVALS))
_LEGAL.update(dict.fromkeys(STRINGS, STRINGS | _ANY_OF_STRING))
_LEGAL.update(dict.fromkeys(BINARIES, STRINGS | BINARIES | {Kind.UUID, Kind.VARIANT}))
_LEGAL.update(dict.fromkeys(_TIMESTAMPS, NUMERICS | STRINGS | _TIMESTAMPS | {Kind.DATE, Kind.TIME, Kind.VARIANT}))
_LEGAL.update(dict.fromkeys(SHORT_INTERVALS, INTEGERS | STRINGS | SHORT_INTERVALS | {Kind.DECIMAL, Kind.VARIANT}))
_LEGAL.update(dict.fromkeys(LONG_INTERVALS, INTEGERS | STRINGS | LONG_INTERVALS | {Kind.DECIMAL, Kind.VARIANT}))


def is_null_literal(expression: Expression) -> bool:
    """Whether the expression is a bare NULL, which takes any type."""
    return expression.type.kind is Kind.NULL


def decimal_of(sql_type: SqlType) -> SqlType:
    """The DECIMAL that holds every value of an exact numeric type."""
    if sql_type.kind is Kind.DECIMAL:
        return sql_type
    return decimal(_DIGITS[sql_type.kind], 0, sql_type.nullable)


def common_integer(a: SqlType, b: SqlType) -> SqlType:
    """The wider type with its signedness; of equal widths and mixed signs the unsigned one (sql.md §5.1)."""
    width_a, width_b = INTEGER_BITS[a.kind], INTEGER_BITS[b.kind]
    nullable = a.nullable or b.nullable
    if width_a == width_b:
        return (a if a.is_unsigned else b).with_nullable(nullable)
    return (a if width_a > width_b else b).with_nullable(nullable)


def common_decimal(a: SqlType, b: SqlType, *, capped: bool) -> SqlType | None:
    """The DECIMAL with the digits of both; None (or 38 digits if `capped`) when that needs more than 38."""
    a, b = decimal_of(a), decimal_of(b)
    assert a.precision is not None
    assert b.precision is not None
    assert a.scale is not None
    assert b.scale is not None
    scale = max(a.scale, b.scale)
    precision = max(a.precision - a.scale, b.precision - b.scale) + scale
    if precision > MAX_DECIMAL_PRECISION:
        if not capped:
            return None
        precision = MAX_DECIMAL_PRECISION
    return decimal(precision, scale, a.nullable or b.nullable)


# ---- comparison ------------------------------------------------------------------------------------------------


def comparison_type(a: SqlType, b: SqlType, operator: str = "=") -> SqlType:
    """The type in which values of `a` and `b` are compared (sql.md §5.4). Raises TypeCheckError when there is
    none."""
    nullable = a.nullable or b.nullable
    found = _comparison(a, b, operator)
    if found is None:
        raise cannot_apply(operator, (a, b))
    return found.with_nullable(nullable)


def _comparison(a: SqlType, b: SqlType, operator: str) -> SqlType | None:
    if a.same_apart_from_nullability(b) or b.kind is Kind.NULL:
        return a
    if a.kind is Kind.NULL:
        return b
    if a.is_numeric and b.is_numeric:
        return _numeric_comparison(a, b)
    if a.is_string and b.is_string:
        return _string_union(a, b)
    if a.is_binary and b.is_binary:
        return VARBINARY
    if Kind.VARIANT in (a.kind, b.kind):  # compared with its run-time type, so only like values are equal
        return VARIANT
    for left, right in ((a, b), (b, a)):
        if left.is_string:
            return _string_comparison(right)
        if left.kind is Kind.UUID and right.is_binary:
            return left
        if left.kind is Kind.DATE and right.kind in _TIMESTAMPS:
            return right
    if {a.kind, b.kind} == _TIMESTAMPS:
        names = f"{a.sql()} and {b.sql()}"
        raise TypeCheckError(f"Operation {operator} between {names} not supported", "Not supported")
    for family in (SHORT_INTERVALS, LONG_INTERVALS):
        if a.kind in family and b.kind in family:
            return a
    return _unify_nested(a, b, lambda x, y: comparison_type(x, y, operator))


def _numeric_comparison(a: SqlType, b: SqlType) -> SqlType:
    if a.is_float or b.is_float:
        if a.is_float and b.is_float:
            return a if a.kind is Kind.DOUBLE else b
        return a if a.is_float else b
    if a.is_integer and b.is_integer:
        return common_integer(a, b)
    common = common_decimal(a, b, capped=False)
    if common is None:
        raise TypeCheckError(
            f"Could not derive a common type between {a.sql()} and {b.sql()}; please use explicit casts"
        )
    return common


def _string_comparison(other: SqlType) -> SqlType | None:
    """What a string is compared as: the type of the other operand, binaries being shown as text."""
    if other.kind is Kind.DECIMAL:
        return STRING_DECIMAL
    if other.is_binary:
        return VARCHAR
    if other.is_nested or other.kind in (Kind.VARIANT, Kind.GEOMETRY):
        return None
    return other


def _string_union(a: SqlType, b: SqlType) -> SqlType:
    """CHAR with CHAR pads to the longer, anything else is VARCHAR; the length of both is kept where it is
    known."""
    lengths = (a.precision, b.precision)
    if a.kind is b.kind is Kind.CHAR:
        return SqlType(Kind.CHAR, precision=max(length or 1 for length in lengths))
    if any(length is None or length < 0 for length in lengths):
        return VARCHAR
    return SqlType(Kind.VARCHAR, precision=max(length or 0 for length in lengths))


def _unify_nested(a: SqlType, b: SqlType, unify: Callable[[SqlType, SqlType], SqlType]) -> SqlType | None:
    """Element-wise common type of two types of the same nested shape."""
    if a.kind is not b.kind:
        return None
    nullable = a.nullable or b.nullable
    if a.kind is Kind.ARRAY and a.component is not None and b.component is not None:
        return array(unify(a.component, b.component), nullable)
    if a.kind is Kind.MAP and a.key and a.value and b.key and b.value:
        return map_of(unify(a.key, b.key), unify(a.value, b.value), nullable)
    if a.kind is Kind.STRUCT and len(a.fields) == len(b.fields):
        fields = [
            Field(
                f.name,
                unify(f.type, g.type).with_nullable(f.type.nullable or g.type.nullable),
                f.case_sensitive,
            )
            for f, g in zip(a.fields, b.fields, strict=True)
        ]
        return struct(tuple(fields), nullable)
    return None


# ---- least restrictive -------------------------------------------------------------------------------------------


def least_restrictive(types: Sequence[SqlType], what: str = "", *, strings_absorb: bool = True) -> SqlType:
    """The type that holds the values of all `types` (sql.md §5.6).

    `what` names the operator for the message. With `strings_absorb` a string next to another scalar makes
    VARCHAR.
    """

    def join(a: SqlType, b: SqlType) -> SqlType:
        found = _least(a, b, what, strings_absorb)
        if found is not None:
            return found.with_nullable(a.nullable or b.nullable)
        if what and not strings_absorb and not (a.is_nested or b.is_nested) and (a.is_string or b.is_string):
            shown = ", ".join(type_text(t) for t in types)
            raise TypeCheckError(f"Cannot infer return type for {what}; operand types: [{shown}]")
        raise TypeCheckError("Parameters must be of the same type")

    return reduce(join, types, NULL.with_nullable(False)) if types else NULL


def _least(a: SqlType, b: SqlType, what: str, strings_absorb: bool) -> SqlType | None:
    if a.same_apart_from_nullability(b) or b.kind is Kind.NULL:
        return a
    if a.kind is Kind.NULL:
        return b
    if a.is_numeric and b.is_numeric:
        return _least_numeric(a, b)
    if a.is_string and b.is_string:
        return _string_union(a, b)
    if a.is_binary and b.is_binary:
        if a.kind is b.kind is Kind.BINARY:
            return a if (a.precision or 1) >= (b.precision or 1) else b
        return VARBINARY
    if strings_absorb and (a.is_string or b.is_string):
        other = b if a.is_string else a
        return None if other.is_nested or other.is_binary else VARCHAR
    kinds = {a.kind, b.kind}
    if Kind.VARIANT in kinds:
        return a if a.kind is Kind.VARIANT else b
    if kinds == {Kind.DATE, Kind.TIMESTAMP} or kinds == {Kind.DATE, Kind.TIMESTAMP_TZ}:
        return b if a.kind is Kind.DATE else a
    for family in (SHORT_INTERVALS, LONG_INTERVALS):
        if a.kind in family and b.kind in family:
            return SqlType(spanning_interval(a.kind, b.kind))
    return _unify_nested(a, b, lambda x, y: least_restrictive((x, y), what, strings_absorb=strings_absorb))


def _least_numeric(a: SqlType, b: SqlType) -> SqlType:
    if a.is_float or b.is_float:
        if a.kind is Kind.DECIMAL or b.kind is Kind.DECIMAL or Kind.DOUBLE in (a.kind, b.kind):
            return DOUBLE
        return a if a.is_float else b
    if a.is_integer and b.is_integer:
        return common_integer(a, b)
    common = common_decimal(a, b, capped=True)
    assert common is not None
    return common


_FIELD_ORDER = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def spanning_interval(a: Kind, b: Kind) -> Kind:
    """The interval qualifier whose fields include those of both."""
    units = [unit for kind in (a, b) for unit in kind.value.removeprefix("INTERVAL_").split("_")]
    places = sorted({_FIELD_ORDER.index(unit) for unit in units})
    low, high = _FIELD_ORDER[places[0]], _FIELD_ORDER[places[-1]]
    return Kind(f"INTERVAL_{low}" if low == high else f"INTERVAL_{low}_{high}")


# ---- casts -------------------------------------------------------------------------------------------------------


def build_cast(argument: Expression, target: SqlType, safe: bool = False) -> Expression:
    """`CAST(argument AS target)`; the result's nullability follows the argument (a safe cast is nullable)."""
    source = argument.type
    from_variant = source.kind is Kind.VARIANT and target.kind is not Kind.VARIANT
    if source.kind is Kind.NULL:  # as a VARIANT, it is a value
        return Literal(target.with_nullable(True), SQL_NULL + "null" if target.kind is Kind.VARIANT else None)
    nullable = source.nullable or safe or from_variant
    _check_cast(source, target, "SAFE_CAST" if safe else "CAST")
    if safe and target.kind is Kind.STRUCT and not source.same_apart_from_nullability(target):
        raise TypeCheckError(f"SAFE_CAST cannot be used to convert {_cast_text(source)} to {_cast_text(target)}")
    result = target.with_nullable(nullable)
    same = source == result or (source.same_apart_from_nullability(result) and not safe)
    if same and not (target.is_sized and isinstance(argument, ColumnRef)):
        return argument
    return Cast(result, argument, safe)


def _cast_text(sql_type: SqlType) -> str:
    if sql_type.kind is Kind.STRUCT:
        return "ROW(" + ", ".join(_cast_text(f.type) for f in sql_type.fields) + ")"
    if sql_type.kind is Kind.INTEGER:
        return "INT"
    return sql_type.sql()


def _check_cast(source: SqlType, target: SqlType, operator: str) -> None:
    """Raises TypeCheckError when values of `source` cannot be cast to `target` at all."""
    if Kind.VARIANT in (source.kind, target.kind) or source.kind is Kind.NULL:
        return
    if source.is_nested or target.is_nested:
        _check_nested_cast(source, target, operator)
        return
    if target.kind not in _LEGAL.get(source.kind, frozenset()) or (
        source.is_interval and target.is_numeric and "_" in source.kind.value.removeprefix("INTERVAL_")
    ):
        raise _illegal_cast(source, target)


def _illegal_cast(source: SqlType, target: SqlType) -> TypeCheckError:
    return TypeCheckError(f"Cast function cannot convert value of type {source} to type {target}")


def _check_nested_cast(source: SqlType, target: SqlType, operator: str) -> None:
    if source.kind is Kind.ARRAY and target.kind is Kind.ARRAY and source.component and target.component:
        _check_cast(source.component, target.component, operator)
    elif source.kind is Kind.MAP and target.kind is Kind.MAP:
        assert source.key is not None
        assert source.value is not None
        assert target.key is not None
        assert target.value is not None
        if source.value.is_nested != target.value.is_nested:
            raise _illegal_cast(source, target)
        _check_cast(source.key, target.key, operator)
        _check_cast(source.value, target.value, operator)
    elif source.kind is Kind.STRUCT and target.kind is Kind.STRUCT and len(source.fields) == len(target.fields):
        for f, g in zip(source.fields, target.fields, strict=True):
            _check_cast(f.type, g.type, operator)
    elif target.kind is Kind.STRUCT or Kind.MAP in (source.kind, target.kind):
        raise _illegal_cast(source, target)
    else:
        raise TypeCheckError(f"{operator} cannot be used to convert {_cast_text(source)} to {_cast_text(target)}")


def coerce(expression: Expression, target: SqlType) -> Expression:
    """`expression` implicitly converted to `target`; nullability follows the expression.

    Unlike an explicit cast, CHAR(n) keeps its trailing blanks when it becomes VARCHAR (sql.md §4.5).
    """
    source = expression.type
    if source.same_apart_from_nullability(target):
        return expression
    if source.kind is Kind.NULL:
        return Literal(target.with_nullable(True), None)
    unlimited = target.kind is Kind.VARCHAR and (target.precision or -1) < 0
    if source.kind is Kind.CHAR and target.kind is Kind.VARCHAR and (unlimited or _fits(source, target)):
        result = target.with_nullable(source.nullable)
        if isinstance(expression, Literal):
            return Literal(result, expression.value)
        return Call(result, "WIDEN", (expression,))
    return build_cast(expression, target)


def _fits(source: SqlType, target: SqlType) -> bool:
    return (source.precision or 1) <= (target.precision or 1)
