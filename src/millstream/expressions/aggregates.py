"""Typing of aggregate functions (sql.md §8); their evaluation lives in operators/.

The result type is that of a group with at least one row: a caller that aggregates possibly empty sets (no
GROUP BY, or a FILTER) makes it nullable, except for the aggregates in `NEVER_NULL`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from millstream.expressions.coercion import STRING_DECIMAL, build_cast, coerce, least_restrictive
from millstream.expressions.errors import TypeCheckError, cannot_apply, no_match, wrong_count
from millstream.expressions.nodes import Expression
from millstream.types import Kind, SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, array

Typing = Callable[[str, Sequence[Expression]], tuple[list[Expression], SqlType]]

NEVER_NULL = frozenset(("COUNT", "COUNTIF", "REGR_COUNT", "ARRAY_AGG"))


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function: `least`..`most` arguments (None: any number), and how it types them."""

    name: str
    least: int
    most: int | None
    typing: Typing


def _number(name: str, argument: Expression) -> Expression:
    """A numeric argument; strings are summed as DECIMAL(38, 19)."""
    if argument.type.is_string:
        return build_cast(argument, STRING_DECIMAL)
    if argument.type.is_numeric:
        return argument
    raise cannot_apply(name, (argument,), [f"{name}(<NUMERIC>)"])


def _sum(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    argument = arguments[0] if arguments[0].type.is_interval else _number(name, arguments[0])
    return [argument], argument.type


def _average(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    argument = _number(name, arguments[0])
    return [argument], argument.type


def _spread(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    """Variances: NULL for too few values even in a non-empty group. Two arguments are brought to one type."""
    numbers = [_number(name, argument) for argument in arguments]
    common = least_restrictive([number.type for number in numbers], name)
    return [coerce(number, common) for number in numbers], numbers[0].type.with_nullable(True)


def _same(_: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    return list(arguments), arguments[0].type


def _count(_: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    return list(arguments), BIGINT.with_nullable(False)


def _condition(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    argument = arguments[0]
    if argument.type.kind is not Kind.BOOLEAN:
        raise cannot_apply(name, arguments, [f"{name}(<BOOLEAN>)"])
    if name == "COUNTIF":
        return [argument], BIGINT.with_nullable(False)
    return [argument], BOOLEAN.with_nullable(argument.type.nullable)


def _bits(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    argument = arguments[0]
    if not (argument.type.is_integer or argument.type.is_binary):
        raise cannot_apply(name, arguments, [f"{name}(<INTEGER>)", f"{name}(<BINARY>)"])
    return [argument], argument.type


def _collect(_: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    return list(arguments), array(arguments[0].type, nullable=False)


def _chosen(_: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    """ARG_MIN, ARG_MAX: rows with a NULL key are ignored, so a nullable key may leave no row."""
    value, key = arguments
    return [value, key], value.type.with_nullable(value.type.nullable or key.type.nullable)


def _entries(typing: Typing, least: int, most: int | None, *names: str) -> dict[str, Aggregate]:
    return {name: Aggregate(names[0], least, most, typing) for name in names}


AGGREGATES: dict[str, Aggregate] = {
    **_entries(_count, 0, None, "COUNT"),
    **_entries(_sum, 1, 1, "SUM"),
    **_entries(_average, 1, 1, "AVG"),
    **_entries(_same, 1, 1, "MIN"),
    **_entries(_same, 1, 1, "MAX"),
    **_entries(_same, 1, 1, "MODE"),
    **_entries(_chosen, 2, 2, "ARG_MIN"),
    **_entries(_chosen, 2, 2, "ARG_MAX"),
    **_entries(_condition, 1, 1, "COUNTIF"),
    **_entries(_condition, 1, 1, "EVERY", "BOOL_AND", "LOGICAL_AND"),
    **_entries(_condition, 1, 1, "SOME", "BOOL_OR", "LOGICAL_OR"),
    **_entries(_bits, 1, 1, "BIT_AND"),
    **_entries(_bits, 1, 1, "BIT_OR"),
    **_entries(_bits, 1, 1, "BIT_XOR"),
    **_entries(_collect, 1, 1, "ARRAY_AGG"),
    **_entries(_spread, 1, 1, "STDDEV_SAMP", "STDDEV"),
    **_entries(_spread, 1, 1, "STDDEV_POP"),
    **_entries(_spread, 1, 1, "VAR_SAMP", "VARIANCE"),
    **_entries(_spread, 1, 1, "VAR_POP"),
    **_entries(_spread, 2, 2, "COVAR_POP"),
    **_entries(_spread, 2, 2, "COVAR_SAMP"),
    **_entries(_spread, 2, 2, "REGR_SXX"),
    **_entries(_spread, 2, 2, "REGR_SYY"),
    **_entries(_count, 2, 2, "REGR_COUNT"),
}

_NOT_BUILT = frozenset(
    ("PERCENTILE_CONT", "PERCENTILE_DISC", "CORR", "REGR_SLOPE", "REGR_INTERCEPT", "REGR_R2", "REGR_AVGX",
     "REGR_AVGY", "LISTAGG", "JSON_AGG", "JSON_OBJECT_AGG", "FUSION", "COLLECT")
)  # fmt: skip


def is_aggregate(name: str) -> bool:
    """Whether `name`, in any case, is an aggregate function of the dialect, even one that is not built."""
    return name.upper() in AGGREGATES or name.upper() in _NOT_BUILT


def resolve_aggregate(name: str, arguments: Sequence[Expression]) -> tuple[list[Expression], SqlType]:
    """The arguments with the casts that the aggregate needs, and the type of its result. Raises
    TypeCheckError.

    COUNT(*) has no arguments. `AGGREGATES[name].name` is the canonical name of an alias.
    """
    upper = name.upper()
    entry = AGGREGATES.get(upper)
    if entry is None:
        if upper in _NOT_BUILT:
            raise TypeCheckError(f"Aggregate function not yet implemented: {upper}", "Not yet implemented")
        raise no_match(name, arguments)
    if len(arguments) < entry.least or (entry.most is not None and len(arguments) > entry.most):
        raise wrong_count(upper, str(entry.least))
    if any(argument.type.kind is Kind.NULL for argument in arguments):
        raise TypeCheckError("Argument of aggregate has NULL type")
    return entry.typing(upper, arguments)
