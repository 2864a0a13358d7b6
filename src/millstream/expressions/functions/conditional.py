"""COALESCE, NULLIF, IF, GREATEST, LEAST and the internal WIDEN and SINGLE VALUE (sql.md §7.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.coercion import coerce, least_restrictive
from millstream.expressions.conditional import build_case
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.function import (
    Function,
    LazyKernel,
    Node,
    Options,
    always,
    check_count,
    simple,
    table,
)
from millstream.expressions.functions.comparison import comparison_kernel, unify_operands
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar, scatter
from millstream.types import Kind, arrow_type
from millstream.types.sql_type import BOOLEAN


def _resolve_coalesce(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("COALESCE", len(arguments), 1, None)
    common = least_restrictive([a.type for a in arguments], "COALESCE")
    typed = tuple(coerce(a, common) for a in arguments)
    if len(typed) == 1 or not typed[0].type.nullable:
        return typed[0]
    return Call(common.with_nullable(all(a.type.nullable for a in typed)), "COALESCE", typed)


def _resolve_ifnull(arguments: Sequence[Expression], options: Options) -> Expression:
    check_count("IFNULL", len(arguments), 2, 2)
    return _resolve_coalesce(arguments, options)


def _implement_coalesce(call: Call, nodes: Sequence[Node], fallible: Sequence[bool]) -> LazyKernel:
    data_type = arrow_type(call.type)

    def evaluate(frame: Any) -> Value:
        value = nodes[0](frame)
        for position in range(1, len(nodes)):
            if is_scalar(value):
                if value.is_valid:
                    return value
                value = nodes[position](frame)
            elif value.null_count == 0:
                return value
            elif fallible[position]:
                value = _fill_lazily(frame, value, nodes[position])
            else:
                value = pc.if_else(value.is_valid(), value, nodes[position](frame))
        return value

    def _fill_lazily(frame: Any, value: pa.Array, node: Node) -> Value:
        missing = np.asarray(value.is_null().to_numpy(zero_copy_only=False))
        present = np.flatnonzero(~missing)
        filled = node(frame.narrow(missing))
        pieces = [(present, value.filter(pa.array(~missing))), (np.flatnonzero(missing), filled)]
        return scatter(pieces, len(value), data_type)

    return evaluate


def _resolve_nullif(arguments: Sequence[Expression], _: Options) -> Expression:
    """CASE WHEN a = b THEN NULL ELSE a END, in the type of a."""
    check_count("NULLIF", len(arguments), 2, 2)
    value, other = arguments
    if Kind.STRUCT in (value.type.kind, other.type.kind):
        raise TypeCheckError("'NULLIF' compares ROW values for equality")
    left, right, _common = unify_operands("NULLIF", value, other)
    equal = Call(BOOLEAN.with_nullable(left.type.nullable or right.type.nullable), "=", (left, right))
    return build_case([(equal, Literal(value.type.with_nullable(True), None))], value, "NULLIF")


def _resolve_if(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("IF", len(arguments), 3, 3)
    return build_case([(arguments[0], arguments[1])], arguments[2], "IF")


# ---- GREATEST, LEAST ---------------------------------------------------------------------------------------------


def _extreme(name: str, operator: str, *, ignore_nulls: bool) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 1, None)
        common = least_restrictive([a.type for a in arguments], name, strings_absorb=False)
        typed = tuple(coerce(a, common) for a in arguments)
        nullables = [a.type.nullable for a in typed]
        nullable = all(nullables) if ignore_nulls else any(nullables)
        return typed[0] if len(typed) == 1 else Call(common.with_nullable(nullable), name, typed)

    def implement(call: Call) -> Kernel:
        better = comparison_kernel(operator, call.type)
        pick = _pick_present(better) if ignore_nulls else _pick_strictly(better, arrow_type(call.type))

        def kernel(*values: Value) -> Value:
            length = next((len(v) for v in values if not is_scalar(v)), None)
            arrays = [broadcast(v, length or 1) for v in values]
            chosen = arrays[0]
            for candidate in arrays[1:]:
                chosen = pick(chosen, candidate)
            return chosen[0] if length is None else chosen

        return kernel

    return Function(name, resolve, implement, doc=f"{name}(a, ...)")


def _pick_strictly(better: Kernel, data_type: pa.DataType) -> Kernel:
    """Any NULL gives NULL: the comparison is NULL then, and so is what it selects."""
    return lambda a, b: pc.if_else(better(b, a), b, a)


def _pick_present(better: Kernel) -> Kernel:
    def pick(a: pa.Array, b: pa.Array) -> pa.Array:
        take_b = pc.or_(pc.fill_null(better(b, a), False), pc.and_(a.is_null(), b.is_valid()))
        return pc.if_else(take_b, b, a)

    return pick


# ---- internal ------------------------------------------------------------------------------------------------------


def _resolve_single(arguments: Sequence[Expression], _: Options) -> Expression:
    """The only value of a sub-query, of which the second argument is the number of rows."""
    check_count("SINGLE VALUE", len(arguments), 2, 2)
    return Call(arguments[0].type, "SINGLE VALUE", tuple(arguments))


def _single(value: Value, rows: Value) -> Value:
    if pc.any(pc.greater(rows, 1), min_count=0).as_py() if not is_scalar(rows) else (rows.as_py() or 0) > 1:
        raise EvaluationError("More than one value in subquery")
    return value


def _resolve_widen(arguments: Sequence[Expression], _: Options) -> Expression:
    raise TypeCheckError("WIDEN is internal")


_WIDEN: Callable[[Value], Value] = lambda value: value  # noqa: E731

FUNCTIONS = table(
    Function("COALESCE", _resolve_coalesce, implement_lazily=_implement_coalesce, doc="First argument not NULL."),
    Function("IFNULL", _resolve_ifnull, doc="a, or b where a is NULL."),
    Function("NULLIF", _resolve_nullif, doc="a, or NULL where a = b."),
    Function("IF", _resolve_if, doc="IF(c, a, b)"),
    _extreme("GREATEST", ">", ignore_nulls=False),
    _extreme("LEAST", "<", ignore_nulls=False),
    _extreme("GREATEST_IGNORE_NULLS", ">", ignore_nulls=True),
    _extreme("LEAST_IGNORE_NULLS", "<", ignore_nulls=True),
    Function(
        "SINGLE VALUE", _resolve_single, simple(_single), fallible=always, doc="Internal: the value of a sub-query."
    ),
    Function("WIDEN", _resolve_widen, simple(_WIDEN), doc="Internal: CHAR(n) as VARCHAR with its blanks kept."),
)
