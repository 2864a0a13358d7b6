"""Aggregate functions in plain Python, as sql.md §8 defines them: over the list of a group's values, NULLs left out.

Integers are divided towards zero, also inside variances; DECIMALs are cut to the digits of their intermediate type.
Floats are computed plainly and compared with tolerance. Where several results
are right, a function gives a set of them.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from typing import Any

from millstream.types import Kind, SqlType

Values = Sequence[Any]


def cut(value: Fraction, scale: int) -> Decimal:
    """The digits of a number up to a scale, the others dropped."""
    with localcontext() as context:
        context.prec = 120
        return Decimal(int(value * 10**scale)).scaleb(-scale)


def divided(numerator: Any, count: int, sql_type: SqlType, scale: int) -> Any:
    """A quotient in the arithmetic of a type."""
    if sql_type.is_integer:
        return int(Fraction(numerator) / count)
    if sql_type.kind is Kind.DECIMAL:
        return cut(Fraction(numerator) / count, scale)
    return numerator / count


def middle_scale(sql_type: SqlType) -> int:
    """The digits after the point of the intermediate type, DECIMAL(3p, 3s), or (38, s * 38 / p), if 3p > 38."""
    if sql_type.kind is not Kind.DECIMAL:
        return 0
    precision, scale = sql_type.precision or 38, sql_type.scale or 0
    return 3 * scale if 3 * precision <= 38 else scale * 38 // precision


def product(x: Any, y: Any, sql_type: SqlType) -> Any:
    """x * y in the intermediate type."""
    return cut(Fraction(x) * Fraction(y), middle_scale(sql_type)) if sql_type.kind is Kind.DECIMAL else x * y


def squares(xs: Values, ys: Values, sql_type: SqlType) -> Any:
    """Σxy - ΣxΣy/n in the intermediate type."""
    with localcontext() as context:
        context.prec, context.rounding = 120, ROUND_DOWN
        products = sum(product(x, y, sql_type) for x, y in zip(xs, ys, strict=True))
        both = product(sum(xs), sum(ys), sql_type)
        return products - divided(both, len(xs), sql_type, middle_scale(sql_type))


def spread(xs: Values, ys: Values, less: int, sql_type: SqlType) -> Any:
    """(Σxy - ΣxΣy/n) / (n - less) in the intermediate type; None when the divisor is zero."""
    if len(xs) - less <= 0:
        return None
    return divided(squares(xs, ys, sql_type), len(xs) - less, sql_type, middle_scale(sql_type))


def regression(xs: Values, sql_type: SqlType) -> Any:
    """n * VAR_POP in the intermediate type."""
    return final(len(xs) * spread(xs, xs, 0, sql_type), sql_type) if xs else None


def final(value: Any, sql_type: SqlType) -> Any:
    """An intermediate value in the type of the result."""
    if value is None or sql_type.is_float:
        return value
    return int(value) if sql_type.is_integer else cut(Fraction(value), sql_type.scale or 0)


def deviation(value: Any, sql_type: SqlType) -> Any:
    """The root as a DOUBLE, cast to the type of the result."""
    if value is None:
        return None
    root = math.sqrt(max(float(value), 0.0))
    return Decimal(int(root * 10**scale)).scaleb(-scale) if (scale := sql_type.scale) else final(root, sql_type)


def average(xs: Values, sql_type: SqlType) -> Any:
    return divided(sum(xs), len(xs), sql_type, sql_type.scale or 0) if xs else None


def modes(xs: Values, key: Callable[[Any], Any]) -> Any:
    """The keys of the most frequent values."""
    counts = Counter(key(x) for x in xs)
    return {k for k, n in counts.items() if n == max(counts.values())} if counts else {None}


def folded(operation: Callable[[Any, Any], Any], xs: Values) -> Any:
    return functools.reduce(operation, xs) if xs else None


ONE: dict[str, Callable[[Values, SqlType], Any]] = {
    "SUM": lambda xs, t: sum(xs) if xs else None,
    "AVG": average,
    "VAR_POP": lambda xs, t: final(spread(xs, xs, 0, t), t),
    "VAR_SAMP": lambda xs, t: final(spread(xs, xs, 1, t), t),
    "VARIANCE": lambda xs, t: final(spread(xs, xs, 1, t), t),
    "STDDEV_POP": lambda xs, t: deviation(spread(xs, xs, 0, t), t),
    "STDDEV_SAMP": lambda xs, t: deviation(spread(xs, xs, 1, t), t),
    "STDDEV": lambda xs, t: deviation(spread(xs, xs, 1, t), t),
}
"""Aggregates of one number."""

BITS: dict[str, Callable[[Any, Any], Any]] = {
    "BIT_AND": operator.and_, "BIT_OR": operator.or_, "BIT_XOR": operator.xor
}  # fmt: skip

TWO: dict[str, Callable[[Values, Values, SqlType], Any]] = {
    "COVAR_POP": lambda ys, xs, t: final(spread(ys, xs, 0, t), t),
    "COVAR_SAMP": lambda ys, xs, t: final(spread(ys, xs, 1, t), t),
    "REGR_SXX": lambda ys, xs, t: regression(xs, t),
    "REGR_SYY": lambda ys, xs, t: regression(ys, t),
    "REGR_COUNT": lambda ys, xs, t: len(xs),
}
"""Aggregates of pairs of numbers, of which neither is NULL."""

CONDITIONS: dict[str, Callable[[Values], Any]] = {
    "COUNTIF": lambda cs: sum(cs),
    **dict.fromkeys(("EVERY", "BOOL_AND", "LOGICAL_AND"), lambda cs: all(cs) if cs else None),
    **dict.fromkeys(("SOME", "BOOL_OR", "LOGICAL_OR"), lambda cs: any(cs) if cs else None),
}
"""Aggregates of conditions."""
