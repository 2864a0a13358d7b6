"""CAST: which conversion leads from one type to another, as a kernel of the evaluator."""

from __future__ import annotations

from millstream.expressions.casts.conversion import Conversion, kernel_of, total
from millstream.expressions.casts.numbers import number_conversion
from millstream.expressions.nodes import Cast
from millstream.expressions.vectors import Kernel
from millstream.types import Kind, SqlType

__all__ = ["cast_is_fallible", "cast_kernel", "find_conversion"]


def find_conversion(source: SqlType, target: SqlType) -> Conversion:
    """The conversion for a legal cast (coercion.py decides legality)."""
    if source.same_apart_from_nullability(target):
        return total(lambda array: array)
    numeric_source = source.is_numeric or source.kind is Kind.BOOLEAN
    if numeric_source and (target.is_numeric or target.kind is Kind.BOOLEAN):
        return number_conversion(source, target)
    raise AssertionError(f"no conversion from {source} to {target}")


def cast_kernel(source: SqlType, target: SqlType, *, safe: bool = False) -> Kernel:
    """The kernel of `CAST(source AS target)`; a safe one gives NULL where the plain one raises EvaluationError."""
    return kernel_of(find_conversion(source, target), safe=safe)


def cast_is_fallible(cast: Cast) -> bool:
    """Whether some value makes the cast fail at run time."""
    return not cast.safe and find_conversion(cast.argument.type, cast.type).explain is not None
