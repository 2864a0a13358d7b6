"""The shape of a registry entry, and the small vocabulary that entries are written in.

An entry answers two questions. `resolve` is asked once, when SQL is bound: do these arguments fit, which
implicit casts do they need, what type has the result? It gives a finished expression, usually a `Call`.
`implement` is asked once per compiled expression and gives the kernel that maps argument values to the
result; a *lazy* function instead gets its operands as unevaluated nodes, since it decides on which rows they
may be evaluated at all.

Most functions take parameters of fixed kinds. `function()` builds their entries from a list of `Parameter`s,
each of which knows how to convert an argument to what the kernel expects, or refuses it; the refusal becomes
Calcite's "Cannot apply" message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from millstream.expressions.coercion import build_cast, coerce, is_null_literal
from millstream.expressions.errors import cannot_apply, wrong_count
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import Kernel, Value
from millstream.types import Kind, SqlType
from millstream.types.sql_type import (
    BIGINT,
    BINARIES,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    INTEGERS,
    NUMERICS,
    STRINGS,
    VARBINARY,
    VARCHAR,
)

Options = tuple[Any, ...]

Node = Callable[[Any], Value]  # takes the frame: the rows on which an expression is evaluated (evaluate.py)
LazyKernel = Callable[[Any], Value]


def never(_: Call) -> bool:
    """For functions that cannot fail at run time."""
    return False


def always(_: Call) -> bool:
    """For functions that may fail at run time."""
    return True


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function or operator of the dialect.

    `fallible(call)` tells whether evaluating the function itself (not its arguments) can raise an
    EvaluationError. A function that is not `foldable` is evaluated for rows only, even if its arguments are constants.
    Exactly one of `implement` and `implement_lazily` is set, or neither where `resolve`
    rewrites to other functions.
    """

    name: str
    resolve: Callable[[Sequence[Expression], Options], Expression]
    implement: Callable[[Call], Kernel] | None = None
    implement_lazily: Callable[[Call, Sequence[Node], Sequence[bool]], LazyKernel] | None = None
    fallible: Callable[[Call], bool] = never
    deterministic: bool = True
    foldable: bool = True
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one argument may be: `convert` gives the argument in the kernel's type, or None to refuse it."""

    family: str
    convert: Callable[[Expression], Expression | None]


def _parameter(family: str, kinds: frozenset[Kind], target: SqlType) -> Parameter:
    """Arguments of `kinds`, converted to `target`."""

    def convert(argument: Expression) -> Expression | None:
        if is_null_literal(argument) or argument.type.kind in kinds:
            return coerce(argument, target)
        return None

    return Parameter(family, convert)


SCALARS = NUMERICS | STRINGS | {
    Kind.BOOLEAN, Kind.UUID, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ
}  # fmt: skip


def _to_text(argument: Expression) -> Expression | None:
    if is_null_literal(argument) or argument.type.kind in SCALARS or argument.type.is_interval:
        return coerce(argument, VARCHAR)
    return None


def _to_text_or_binary(argument: Expression) -> Expression | None:
    if argument.type.kind in BINARIES:
        return coerce(argument, VARBINARY)
    return _to_text(argument)


def _to_int32(argument: Expression) -> Expression | None:
    if is_null_literal(argument) or argument.type.kind in NUMERICS | STRINGS:
        return build_cast(argument, INTEGER)
    return None


TEXT = Parameter("CHARACTER", _to_text)
TEXT_OR_BINARY = Parameter("STRING", _to_text_or_binary)
INT = Parameter("INTEGER", _to_int32)
LONG = _parameter("INTEGER", INTEGERS | STRINGS | {Kind.DECIMAL}, BIGINT)
FLOAT = _parameter("NUMERIC", NUMERICS | STRINGS, DOUBLE)
CONDITION = _parameter("BOOLEAN", frozenset((Kind.BOOLEAN,)), BOOLEAN)
ANY = Parameter("ANY", lambda argument: argument)
ARRAY = Parameter("ARRAY", lambda a: a if a.type.kind is Kind.ARRAY else None)
MAP = Parameter("MAP", lambda a: a if a.type.kind is Kind.MAP else None)

Returns = SqlType | Callable[[Sequence[Expression]], SqlType]


def any_nullable(arguments: Sequence[Expression]) -> bool:
    """Nullability of a strict function's result."""
    return any(a.type.nullable for a in arguments)


def check_count(name: str, given: int, least: int, most: int | None) -> None:
    """Raises the message about a wrong number of arguments."""
    if given < least or (most is not None and given > most):
        expected = str(least) if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
        raise wrong_count(name, expected)


def convert_arguments(
    name: str, parameters: Sequence[Parameter], arguments: Sequence[Expression]
) -> tuple[Expression, ...]:
    """The arguments as the parameters want them; the last parameter serves all further arguments."""
    converted = []
    for position, argument in enumerate(arguments):
        parameter = parameters[min(position, len(parameters) - 1)]
        fitting = parameter.convert(argument)
        if fitting is None:
            shown = [parameters[min(i, len(parameters) - 1)].family for i in range(len(arguments))]
            raise cannot_apply(name, arguments, [f"{name}({', '.join(f'<{s}>' for s in shown)})"])
        converted.append(fitting)
    return tuple(converted)


def function(
    name: str,
    parameters: Sequence[Parameter],
    returns: Returns,
    implement: Callable[[Call], Kernel],
    *,
    optional: int = 0,
    variadic: bool = False,
    nullable: bool | None = None,
    fallible: Callable[[Call], bool] = never,
    doc: str = "",
) -> Function:
    """An entry for a strict function: `optional` trailing parameters may be left out, `variadic` repeats the
    last.

    The result is nullable when an argument is, unless `nullable` says always or never.
    """
    least = len(parameters) - optional
    most = None if variadic else len(parameters)

    def resolve(arguments: Sequence[Expression], options: Options) -> Expression:
        check_count(name, len(arguments), least, most)
        converted = convert_arguments(name, parameters, arguments)
        result = returns(converted) if callable(returns) else returns
        result_nullable = any_nullable(converted) if nullable is None else nullable
        return Call(result.with_nullable(result_nullable), name, converted, options)

    return Function(name, resolve, implement, fallible=fallible, doc=doc)


def simple(kernel: Kernel) -> Callable[[Call], Kernel]:
    """`implement` of a function whose kernel does not depend on the call."""
    return lambda _: kernel


def table(*entries: Function, **aliases: str) -> dict[str, Function]:
    """Entries by name; `ALIAS="NAME"` adds other names of an entry (the call keeps the entry's own name)."""
    found = {entry.name: entry for entry in entries}
    for alias, name in aliases.items():
        found[alias] = found[name]
    return found
