"""Comparisons: `=`, `<`, `IS DISTINCT FROM`, `IN` and their relatives (sql.md §4.3, §5.4).

Operands are first brought to one type; most types then compare with one Arrow kernel. Two do not. Floats have
a total order in which NaN equals itself and is greatest, so IEEE answers are corrected wherever NaNs occur.
Arrays, maps, rows and VARIANTs have no Arrow kernels; they are compared by rank (ranks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.coercion import coerce, comparison_type, is_null_literal
from millstream.expressions.errors import TypeCheckError, cannot_apply
from millstream.expressions.function import Function, Options, any_nullable, check_count, simple, table
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.ranks import compare_by_rank
from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BOOLEAN

_ARROW: dict[str, Kernel] = {
    "=": pc.equal, "<>": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater,
    ">=": pc.greater_equal
}  # fmt: skip
NULL_SAFE = {"<=>": False, "IS NOT DISTINCT FROM": False, "IS DISTINCT FROM": True}
_NO_ORDER = frozenset(("=", "<>"))


def comparison_kernel(operator: str, sql_type: SqlType) -> Kernel:
    """The three-valued comparison of two values of one type."""
    arrow = _ARROW[operator]
    if sql_type.is_float:
        return _float_comparison(operator, arrow)
    if sql_type.is_nested or sql_type.kind is Kind.GEOMETRY:
        return compare_by_rank(operator, sql_type)
    if sql_type.kind is Kind.VARIANT and operator not in _NO_ORDER:  # equal VARIANTs have equal texts
        return compare_by_rank(operator, sql_type)
    if sql_type.kind is Kind.NULL:
        return lambda a, b: pc.equal(pc.cast(a, pa.bool_()), pc.cast(b, pa.bool_()))
    return arrow


def _has_nan(value: Value) -> bool:
    if is_scalar(value):
        return value.is_valid and value.as_py() != value.as_py()
    return bool(pc.any(pc.is_nan(value)).as_py())


def _float_comparison(operator: str, arrow: Kernel) -> Kernel:
    """IEEE comparison, corrected where an operand is NaN (NaN = NaN, NaN greater than all other values)."""

    def kernel(a: Value, b: Value) -> Value:
        ieee = arrow(a, b)
        nan_a, nan_b = _has_nan(a), _has_nan(b)
        if not (nan_a or nan_b):
            return ieee
        ranks = arrow(pc.cast(pc.is_nan(a), pa.int8()), pc.cast(pc.is_nan(b), pa.int8()))
        return pc.if_else(pc.or_(pc.is_nan(a), pc.is_nan(b)), ranks, ieee)

    return kernel


def null_safe_kernel(sql_type: SqlType, *, distinct: bool) -> Kernel:
    """IS [NOT] DISTINCT FROM."""
    equal = comparison_kernel("=", sql_type)

    def kernel(a: Value, b: Value) -> Value:
        same = pc.fill_null(equal(a, b), False)
        both_null = pc.and_(_null(a), _null(b))
        result = pc.or_(same, both_null)
        return pc.invert(result) if distinct else result

    return kernel


def _null(value: Value) -> Value:
    return pa.scalar(not value.is_valid) if is_scalar(value) else value.is_null()


def refuse_rows(name: str, types: Sequence[SqlType]) -> None:
    """Raises for operators that imply row equality."""
    if any(t.kind is Kind.STRUCT for t in types):
        raise TypeCheckError(
            f"ROW values cannot be compared using '{name}'; consider using 'IS NOT DISTINCT FROM' "
            "(or its shorthand '<=>') instead.\nSee https://docs.feldera.com/sql/comparisons#comparing-row-values"
        )


def unify_operands(name: str, left: Expression, right: Expression) -> tuple[Expression, Expression, SqlType]:
    """Both operands in their comparison type."""
    common = comparison_type(left.type, right.type, name)
    if common.kind is Kind.VARCHAR and (left.type.is_binary or right.type.is_binary):
        return coerce(left, common), coerce(right, common), common
    return _side(left, common), _side(right, common), common


def _side(operand: Expression, common: SqlType) -> Expression:
    """An operand whose representation is already that of the common type stays as it is: no kernel is
    needed."""
    source = operand.type
    if source.kind in (Kind.VARCHAR, Kind.VARBINARY, Kind.BINARY) and common.kind in (
        Kind.VARCHAR,
        Kind.VARBINARY,
    ):
        return operand
    if source.kind is Kind.CHAR and common.kind is Kind.VARCHAR:
        return operand
    if source.is_interval and common.is_interval:
        return operand
    if source.kind is Kind.DECIMAL and common.kind is Kind.DECIMAL and source.scale == common.scale:
        return operand
    return coerce(operand, common)


def _comparison(name: str) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        left, right = arguments
        if name in _NO_ORDER:
            refuse_rows(name, [left.type, right.type])
        left, right, _common = unify_operands(name, left, right)
        return Call(BOOLEAN.with_nullable(any_nullable((left, right))), name, (left, right))

    return Function(name, resolve, lambda call: comparison_kernel(name, operand_type(call)), doc=f"a {name} b")


def operand_type(call: Call) -> SqlType:
    """The type in which a resolved comparison compares."""
    return next((a.type for a in call.arguments if not is_null_literal(a)), call.arguments[0].type)


def _null_safe(name: str, canonical: str, *, distinct: bool) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, 2)
        left, right, _common = unify_operands(name, *arguments)
        return Call(BOOLEAN.with_nullable(False), canonical, (left, right))

    implement: Callable[[Call], Kernel] = lambda call: null_safe_kernel(operand_type(call), distinct=distinct)  # noqa: E731
    return Function(name, resolve, implement, doc=f"a {name} b; never NULL.")


# ---- IN ----------------------------------------------------------------------------------------------------------


def _resolve_in(name: str) -> Callable[[Sequence[Expression], Options], Expression]:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, None)
        refuse_rows("=", [a.type for a in arguments])
        common = arguments[0].type
        try:
            for item in arguments[1:]:
                common = comparison_type(common, item.type, "=")
        except TypeCheckError as error:
            raise TypeCheckError(f"Values passed to {name} operator must have compatible types") from error
        if common.kind is Kind.CHAR and any(a.type.kind is Kind.VARCHAR for a in arguments):
            common = comparison_type(common, SqlType(Kind.VARCHAR, precision=-1))
        typed = tuple(coerce(a, common) for a in arguments)
        found = Call(BOOLEAN.with_nullable(any_nullable(typed)), "IN", typed)
        return found if name == "IN" else Call(found.type, "NOT", (found,))

    return resolve


def _implement_in(call: Call) -> Kernel:
    sql_type = call.arguments[0].type
    equal = comparison_kernel("=", sql_type)
    items = call.arguments[1:]
    if len(items) > 3 and not sql_type.is_nested and all(isinstance(item, Literal) for item in items):
        return _in_set([item.value for item in items if isinstance(item, Literal)], sql_type)

    def kernel(value: Value, *candidates: Value) -> Value:
        result = equal(value, candidates[0])
        for candidate in candidates[1:]:
            result = pc.or_kleene(result, equal(value, candidate))
        return result

    return kernel


def _in_set(items: list[object], sql_type: SqlType) -> Kernel:
    """Membership in a constant set by one hash lookup a row."""
    has_null = any(item is None for item in items)
    value_set = pa.array([item for item in items if item is not None], arrow_type(sql_type))

    def kernel(value: Value, *_: Value) -> Value:
        array = broadcast(value, 1) if is_scalar(value) else value
        if sql_type.is_float:
            array = pc.add(array, pa.scalar(0.0, array.type))  # -0.0 and 0.0 are one value, but two bit patterns
        found = pc.is_in(array, value_set=value_set, skip_nulls=True)
        if has_null:
            found = pc.if_else(found, True, pa.scalar(None, pa.bool_()))
        if array.null_count:
            found = pc.if_else(array.is_valid(), found, pa.scalar(None, pa.bool_()))
        return found[0] if is_scalar(value) else found

    return kernel


def check_between(name: str, value: Expression, low: Expression, high: Expression) -> None:
    """Raises the message of `name` (`BETWEEN ASYMMETRIC`, ...) when a bound is not comparable with the
    value."""
    try:
        comparison_type(value.type, low.type, ">=")
        comparison_type(value.type, high.type, "<=")
    except TypeCheckError as error:
        raise cannot_apply(name, (value, low, high)) from error


FUNCTIONS = table(
    *(_comparison(name) for name in _ARROW),
    *(_null_safe(name, "IS DISTINCT FROM" if d else "<=>", distinct=d) for name, d in NULL_SAFE.items()),
    Function("IN", _resolve_in("IN"), _implement_in, doc="x IN (a, ...); three-valued."),
    Function("NOT IN", _resolve_in("NOT IN"), simple(pc.invert), doc="Rewritten to NOT (x IN ...)."),
    **{"!=": "<>"},
)
