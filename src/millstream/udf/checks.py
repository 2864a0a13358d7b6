"""Declarations against the library that is to have their code: what is missing, and the finished functions."""

from __future__ import annotations

from dataclasses import replace

from millstream.types import Kind, SqlType
from millstream.udf.calling import Code
from millstream.udf.declarations import Declaration, ExternalFunction
from millstream.udf.library import LABEL, NO_LIBRARY, Item, Library, function_of
from millstream.udf.scalars import ScalarCode

ERROR_TYPE = "Python UDF error"
"""The heading of compiler messages about UDF source."""


def without_length(sql_type: SqlType) -> SqlType:
    """The type without a length, to which results are cut or padded by a cast."""
    if sql_type.is_string or sql_type.is_binary:
        return replace(sql_type, kind=Kind.VARCHAR if sql_type.is_string else Kind.VARBINARY, precision=-1)
    return sql_type


def function_problem(declaration: Declaration, library: Library) -> str | None:
    """Why the library has no code for a declared function; None: it has."""
    if not library.checked:
        return None
    item = library.items.get(declaration.name)
    if item is None:
        return missing("Function", declaration.name, library, declaration.stub())
    problem = callable_problem(item, len(declaration.parameters), library)
    if problem is None and item.style == "groups":
        problem = "is marked by @groups, which is for aggregates"
    return None if problem is None else f"Function '{declaration.name}' {problem}: write\n    {declaration.stub()}"


def external_function(declaration: Declaration, library: Library) -> ExternalFunction:
    """The function with its code, if the library has been loaded."""
    function = function_of(library, declaration.name)
    code = None
    if function is not None:
        called = Code("function", declaration.name, function, library)
        code = ScalarCode(declaration, called, without_length(declaration.returns))
    return ExternalFunction(declaration, library.fingerprint, code)


def missing(what: str, name: str, library: Library, stub: str, part: str = "") -> str:
    """The message about a name that the library lacks; `part`: the name, where it is not `name` itself."""
    wanted = f"'{part}'" if part else "it"
    if library is NO_LIBRARY:
        return (
            f"{what} '{name}' has no body, and the program comes without {LABEL} to define it. Write there\n    {stub}"
        )
    return f"{what} '{name}' has no body, and {wanted} is missing in {library.label}. Write there\n    {stub}"


def callable_problem(item: Item, count: int, library: Library) -> str | None:
    """What is wrong with an item that is to be called with `count` arguments."""
    place = f"in {library.label}" + ("" if item.line is None else f", line {item.line}")
    if not item.is_callable:
        return f"({place}) is not a function"
    if item.unusable is not None:
        return f"({place}) {item.unusable}"
    if item.least <= count and (item.most is None or count <= item.most):
        return None
    given = (
        str(item.least)
        if item.least == item.most
        else f"{item.least} to {'any number' if item.most is None else item.most}"
    )
    return f"is declared with {count} parameters, but takes {given} ({place})"
