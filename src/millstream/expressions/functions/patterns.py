"""LIKE, ILIKE, RLIKE and REGEXP_REPLACE (sql.md §7.3).

LIKE has no default escape: a backslash is itself. Regular expressions run on RE2, whose syntax is that of Rust's
`regex` with three exceptions: `\\d`, `\\w` and `\\s` know only ASCII and are rewritten to Unicode classes; classes
within classes and their intersections, which RE2 would read otherwise, are refused; `\\b` knows only ASCII words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import (
    TEXT,
    Function,
    Options,
    any_nullable,
    check_count,
    convert_arguments,
    function,
    table,
)
from millstream.expressions.functions.strings import lower
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.rows import by_distinct
from millstream.expressions.text_kernels import ANY_MANY, ANY_ONE, likes
from millstream.expressions.vectors import Kernel
from millstream.types.sql_type import BOOLEAN, VARCHAR

_TEXT = pa.large_string()
#: The members of Unicode classes; those in upper case are complements.
_UNICODE_CLASSES = {
    "d": r"\p{Nd}", "w": r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}", "s": r"\t\n\x0B\f\r \x{85}\p{Z}",
}  # fmt: skip


def like_codes(pattern: str, escape: str | None) -> npt.NDArray[np.int16]:
    """A LIKE pattern as bytes and wildcards."""
    codes: list[int] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if escape is not None and char == escape:
            position += 1
            if position == len(pattern) or pattern[position] not in ("%", "_", escape):
                raise EvaluationError(f"Invalid escape sequence '{pattern}', {position - 1}")
            codes.extend(pattern[position].encode())
        elif char == "_":
            codes.append(ANY_ONE)
        elif char != "%":
            codes.extend(char.encode())
        elif codes[-1:] != [ANY_MANY]:
            codes.append(ANY_MANY)
        position += 1
    return np.array(codes, np.int16)


def _like(array: pa.Array, pattern: str, escape: str | None = None) -> pa.Array:
    if escape is not None and len(escape) != 1:
        raise EvaluationError(f"Invalid escape character '{escape}'")
    return likes(array, like_codes(pattern, escape))


def _ilike(array: pa.Array, pattern: str, escape: str | None = None) -> pa.Array:
    return _like(lower(array), pattern.lower(), escape if escape is None else escape.lower())


def unicode_classes(pattern: str) -> str:
    """The pattern with `\\d`, `\\w`, `\\s` and their complements meaning Unicode classes.

    Raises EvaluationError for what Rust allows in classes and RE2 does not know.
    """
    parts: list[str] = []
    position, in_class = 0, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            parts.append(_escaped(pattern[position + 1], in_class))
            position += 2
            continue
        named = _POSIX_CLASS.match(pattern, position) if in_class else None
        if named is not None:
            parts.append(named[0])
            position = named.end()
            continue
        if in_class and (char == "[" or pattern[position : position + 2] in ("&&", "~~")):
            raise EvaluationError("classes within classes and their intersections are not supported")
        if not in_class and char == "[":
            opening = _CLASS_START.match(pattern, position)
            assert opening is not None
            parts.append(opening[0])
            position, in_class = opening.end(), True
            continue
        in_class = in_class and char != "]"
        parts.append(char)
        position += 1
    return "".join(parts)


_POSIX_CLASS = re.compile(r"\[:\^?\w+:\]")
_CLASS_START = re.compile(r"\[\^?\]?")  # a bracket that comes first is a member


def _escaped(letter: str, in_class: bool) -> str:
    """What stands for a backslash and a letter."""
    members = _UNICODE_CLASSES.get(letter.lower())
    if members is None:
        return "\\" + letter
    if letter.islower():
        return members if in_class else f"[{members}]"
    if not in_class:
        return f"[^{members}]"
    if letter == "D":
        return r"\P{Nd}"
    raise EvaluationError(f"\\{letter} within a class is not supported")


def _rlike(array: pa.Array, pattern: str) -> pa.Array:
    try:
        return pc.match_substring_regex(array, unicode_classes(pattern))
    except (pa.ArrowInvalid, EvaluationError) as error:
        raise EvaluationError(f"Invalid regular expression in RLIKE '{pattern}': {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return str(error).removeprefix("Invalid regular expression: ")


#: Escapes and classes, which may contain brackets, and the groups that are captured.
_GROUPS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?P?<(\w+)>|(?!\?))", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{([^}]*)\})|(\\)")


def rewrite_replacement(pattern: str, replacement: str) -> str:
    """A `$1`-style replacement text in RE2's notation; unknown groups are empty."""
    names = [m[1] for m in _GROUPS.finditer(pattern) if m[0].startswith("(")]
    numbers = {name: str(number) for number, name in enumerate(names, 1) if name}

    def translate(match: re.Match[str]) -> str:
        if match[3]:
            return r"\\"
        reference = match[1] or match[2]
        if reference is None:
            return "$"
        number = numbers.get(reference, reference)
        if not number.isdigit() or int(number) > len(names):
            return ""
        if int(number) > 9:
            raise EvaluationError(f"Group {number} in replacement '{replacement}': only 9 groups are supported")
        return f"\\{number}"

    return _REFERENCE.sub(translate, replacement)


def _regexp_replace(array: pa.Array, pattern: str, replacement: str = "") -> pa.Array:
    rewritten = rewrite_replacement(pattern, replacement)
    try:
        return pc.replace_substring_regex(array, pattern=unicode_classes(pattern), replacement=rewritten)
    except (pa.ArrowInvalid, EvaluationError) as error:
        raise EvaluationError(f"Invalid regular expression in REPLACE '{pattern}': {_reason(error)}") from None


def _matching(name: str, kernel: Callable[..., pa.Array], most: int) -> Function:
    """A predicate over a string and a pattern; `NOT name` wraps it."""
    canonical = name.removeprefix("NOT ")

    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, most)
        if any(TEXT.convert(argument) is None for argument in arguments):
            raise cannot_apply(name, arguments)
        typed = convert_arguments(canonical, [TEXT], arguments)
        found = Call(BOOLEAN.with_nullable(any_nullable(typed)), canonical, typed)
        return found if name == canonical else Call(found.type, "NOT", (found,))

    def implement(call: Call) -> Kernel:
        return by_distinct(kernel, pa.bool_(), len(call.arguments) - 1)

    return Function(name, resolve, implement, fallible=lambda c: len(c.arguments) > 2 or name == "RLIKE", doc=name)


def _implement_replace(call: Call) -> Kernel:
    return by_distinct(_regexp_replace, _TEXT, len(call.arguments) - 1)


FUNCTIONS = table(
    *(_matching(f"{negation}LIKE", _like, 3) for negation in ("", "NOT ")),
    *(_matching(f"{negation}ILIKE", _ilike, 3) for negation in ("", "NOT ")),
    *(_matching(f"{negation}RLIKE", _rlike, 2) for negation in ("", "NOT ")),
    function(
        "REGEXP_REPLACE",
        [TEXT, TEXT, TEXT],
        VARCHAR,
        _implement_replace,
        optional=1,
        fallible=lambda _: True,
        doc="Replaces every match of a regular expression.",
    ),
)
