"""Warnings about expressions that compile, but hardly do what was meant (sql.md §5.1, §7, §15.2).

`advise` is asked for each call as it was written, before implicit casts; `advise_cast` for each explicit cast. Both
look at types and constants only, and neither changes what the expression does: a constant division by zero still fails
at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from millstream.errors import EvaluationError
from millstream.expressions.casts.parse_times import zone_of
from millstream.expressions.coercion import build_cast
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.evaluate import evaluate_constant
from millstream.expressions.nodes import Call, Expression, Literal
from millstream.expressions.registry import build_call
from millstream.types import Kind, SqlType


@dataclass(frozen=True, slots=True)
class Advice:
    """A compiler warning: its type, and what it says."""

    error_type: str
    message: str


def advise(name: str, arguments: Sequence[Expression]) -> tuple[Advice, ...]:
    """The warnings about a call of `name` that the type rules accept."""
    rule = _RULES.get(name.upper())
    found = None if rule is None else rule(name.upper(), arguments)
    return () if found is None else (found,)


def advise_cast(argument: Expression, target: SqlType) -> tuple[Advice, ...]:
    """The warnings about an explicit cast of a constant that will fail."""
    if not isinstance(argument, Literal) or argument.value is None:
        return ()
    try:
        evaluate_constant(build_cast(argument, target))
    except EvaluationError as error:
        if argument.type.is_string:
            return (_of_text(str(argument.value), target),)
        return (Advice("Out of bounds", error.message),)
    except TypeCheckError:
        pass
    return ()


def _of_text(text: str, target: SqlType) -> Advice:
    message = f"String '{text}' cannot be interpreted as a {target.sql()}"
    if target.kind is Kind.DECIMAL:
        return Advice("Invalid DECIMAL", message)
    if target.is_numeric:
        return Advice("Not a number", message)
    if target.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.UUID):
        return Advice(f"Not a {target.kind.value}", message)
    return Advice("Suspicious argument", message)


def _text(argument: Expression) -> str | None:
    """The value of a constant text."""
    is_text = isinstance(argument, Literal) and argument.type.is_string and argument.value is not None
    return str(argument.value) if is_text and isinstance(argument, Literal) else None


def _number(argument: Expression) -> int | float | Decimal | None:
    """The value of a constant number, also of a negated one."""
    if isinstance(argument, Call) and argument.name == "NEG":
        inner = _number(argument.arguments[0])
        return None if inner is None else -inner
    is_number = isinstance(argument, Literal) and argument.type.is_numeric
    return argument.value if is_number and isinstance(argument, Literal) else None


def _division(name: str, arguments: Sequence[Expression]) -> Advice | None:
    exact = not any(argument.type.is_float for argument in arguments)
    if exact and len(arguments) == 2 and _number(arguments[1]) == 0:
        return Advice("Division by zero", f"Operation '{name}' always fails, since the divisor is zero")
    return None


def _rounding(error_type: str) -> Callable[[str, Sequence[Expression]], Advice | None]:
    def rule(name: str, arguments: Sequence[Expression]) -> Advice | None:
        if not arguments[0].type.is_integer:
            return None
        return Advice(error_type, f"Function '{name}' has no effect on values of type {arguments[0].type.sql()}")

    return rule


def _pattern(name: str, arguments: Sequence[Expression]) -> Advice | None:
    """Regular expressions that are none."""
    pattern = _text(arguments[1])
    if pattern is None:
        return None
    try:
        evaluate_constant(build_call("RLIKE", [arguments[1], arguments[1]]))
    except EvaluationError as error:
        return Advice("Suspicious argument", error.message.replace("RLIKE", name, 1))
    return None


def _format(name: str, arguments: Sequence[Expression]) -> Advice | None:
    """Formats without a conversion, and formats that stand in the second place."""
    shape = _text(arguments[0])
    if shape is None or "%" in shape:
        return None
    other = _text(arguments[1]) if len(arguments) > 1 else None
    hint = " Are the two arguments swapped?" if other is not None and "%" in other else ""
    return Advice("Suspicious argument", f"'{shape}' in function '{name}' does not look like a format string.{hint}")


def _zones(name: str, arguments: Sequence[Expression]) -> Advice | None:
    for argument in arguments[:2]:
        zone = _text(argument)
        if zone is not None and zone_of(zone) is None:
            return Advice("Suspicious argument", f"'{zone}' in function '{name}' is not a known time zone")
    return None


def _duplicate_keys(_: str, arguments: Sequence[Expression]) -> Advice | None:
    """MAP[k, v, ...] with equal constant keys."""
    seen: list[object] = []
    for key in arguments[0::2]:
        if not isinstance(key, Literal):
            continue
        if key.value in seen:
            return Advice("Duplicate MAP key", f"Key {key.value!r} occurs more than once; the last value counts")
        seen.append(key.value)
    return None


def _single(name: str, arguments: Sequence[Expression]) -> Advice | None:
    """Choices among values where there is only one."""
    if len(arguments) != 1:
        return None
    return Advice("unnecessary function call", f"Function '{name}' with a single argument returns that argument")


_RULES: dict[str, Callable[[str, Sequence[Expression]], Advice | None]] = {
    **dict.fromkeys(("/", "%", "MOD"), _division),
    **dict.fromkeys(("CEIL", "CEILING", "FLOOR"), _rounding("Noop")),
    **dict.fromkeys(("ROUND", "TRUNCATE", "TRUNC"), _rounding("Useless operation")),
    **dict.fromkeys(("RLIKE", "NOT RLIKE", "REGEXP_REPLACE"), _pattern),
    **dict.fromkeys(("FORMAT_DATE", "FORMAT_TIME", "FORMAT_TIMESTAMP"), _format),
    **dict.fromkeys(("PARSE_DATE", "PARSE_TIME", "PARSE_TIMESTAMP"), _format),
    **dict.fromkeys(("COALESCE", "GREATEST", "LEAST", "GREATEST_IGNORE_NULLS", "LEAST_IGNORE_NULLS"), _single),
    "CONVERT_TIMEZONE": _zones,
    "MAP": _duplicate_keys,
}
