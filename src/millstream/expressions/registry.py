"""The scalar functions by name, and how expressions are built from them.

`build_call` is the only way to get a `Call` right: it resolves the overload, inserts implicit casts, and
computes the result type with its nullability. What SQL allows lives here and in coercion.py; what values
result lives in the functions' kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

from millstream.expressions.coercion import build_cast, coerce, comparison_type, least_restrictive
from millstream.expressions.conditional import build_case
from millstream.expressions.errors import TypeCheckError, cannot_apply, no_match, not_implemented, type_text
from millstream.expressions.function import Function
from millstream.expressions.functions import (
    arithmetic,
    arrays,
    collections,
    comparison,
    conditional,
    datetime,
    declared,
    formats,
    intervals,
    json_structs,
    lambdas,
    logic,
    numeric,
    patterns,
    periods,
    strings,
    system,
    user_defined,
    variants,
)
from millstream.expressions.functions.comparison import check_between
from millstream.expressions.functions.lambdas import build_lambda, lambda_parameters, takes_lambda
from millstream.expressions.nodes import Expression, Lambda

__all__ = [
    "FUNCTIONS",
    "Function",
    "TypeCheckError",
    "build_call",
    "build_case",
    "build_cast",
    "build_lambda",
    "cannot_apply",
    "check_between",
    "coerce",
    "comparison_type",
    "is_scalar_function",
    "lambda_parameters",
    "least_restrictive",
    "no_match",
    "not_implemented",
    "takes_lambda",
    "type_text",
]

FUNCTIONS: dict[str, Function] = {
    **comparison.FUNCTIONS,
    **logic.FUNCTIONS,
    **arithmetic.FUNCTIONS,
    **conditional.FUNCTIONS,
    **numeric.FUNCTIONS,
    **strings.FUNCTIONS,
    **patterns.FUNCTIONS,
    **intervals.FUNCTIONS,
    **datetime.FUNCTIONS,
    **collections.FUNCTIONS,
    **arrays.FUNCTIONS,
    **periods.FUNCTIONS,
    **formats.FUNCTIONS,
    **variants.FUNCTIONS,
    **lambdas.FUNCTIONS,
    **system.FUNCTIONS,
    **declared.FUNCTIONS,
    **json_structs.FUNCTIONS,
    **user_defined.FUNCTIONS,
}

NOT_BUILT = frozenset(
    (
        *("SIMILAR TO", "NOT SIMILAR TO", "TRANSLATE", "CONVERT"),
        *("DATE", "TIME", "TIMESTAMP"),
    )
)
"""Functions that the dialect knows, but refuses to compile."""


def is_scalar_function(name: str) -> bool:
    """Whether `name`, in any case, is a built-in scalar function or operator."""
    upper = name.upper()
    return upper in FUNCTIONS or upper in NOT_BUILT


def build_call(name: str, arguments: Sequence[Expression], options: tuple[object, ...] = ()) -> Expression:
    """The call of function or operator `name`; some are rewritten to other expressions.

    Raises TypeCheckError when there is no such function or it does not take these arguments.
    """
    upper = name.upper()
    entry = FUNCTIONS.get(upper)
    if entry is None:
        raise not_implemented(upper) if upper in NOT_BUILT else no_match(name, arguments)
    if any(isinstance(argument, Lambda) for argument in arguments) and not takes_lambda(upper):
        raise cannot_apply(upper, arguments)
    try:
        return entry.resolve(arguments, options)
    except TypeCheckError as error:
        if upper == entry.name:
            raise
        # an alias: the message names what was written
        raise TypeCheckError(error.message.replace(entry.name, upper), error.error_type) from None
