"""Declarations against the library that is to have their code: what is missing, and the finished functions."""

from __future__ import annotations

from dataclasses import replace

from millstream.types import Kind, SqlType
from millstream.udf.aggregates import GroupedCode, LinearCode
from millstream.udf.calling import Code
from millstream.udf.declarations import Declaration, ExternalAggregate, ExternalFunction
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


# ---- aggregates --------------------------------------------------------------------------------------------------


def aggregate_problem(declaration: Declaration, linear: bool, library: Library) -> str | None:
    """Why the library has no code for a declared aggregate; None: it has."""
    if not library.checked:
        return None
    return _linear_problem(declaration, library) if linear else _grouped_problem(declaration, library)


def _grouped_problem(declaration: Declaration, library: Library) -> str | None:
    name = declaration.name
    comment = "takes the values of a group as Arrow arrays, returns one value"
    item = library.items.get(name)
    if item is None:
        return missing("Aggregate", name, library, declaration.stub(comment=comment))
    problem = callable_problem(item, len(declaration.parameters), library)
    return None if problem is None else f"Aggregate '{name}' {problem}: write\n    {declaration.stub(comment=comment)}"


def _linear_problem(declaration: Declaration, library: Library) -> str | None:
    name = declaration.name
    map_name, post_name, type_name = f"{name}_map", f"{name}_post", f"{name}_accumulator_type"
    comment = "takes Arrow arrays, returns an array of numbers to sum up, or a tuple of some"
    stub = declaration.stub(map_name, comment)
    item = library.items.get(map_name)
    if item is None:
        return missing("Aggregate", name, library, stub, map_name)
    problem = callable_problem(item, len(declaration.parameters), library)
    if problem is not None:
        return f"Function '{map_name}' {problem}: write\n    {stub}"
    declared = library.items.get(type_name)
    sums = None if declared is None else declared.types
    if declared is not None and sums is None:
        return f"'{type_name}' (in {library.label}) is no pyarrow type, or a tuple of such types"
    if item.style == "row" and sums is None:
        text = f"'{map_name}' is called row by row, so '{type_name}' has to tell the types of its numbers: write\n"
        return text + f"    {type_name} = pyarrow.float64()  # or a tuple of types"
    post = library.items.get(post_name)
    if post is None:
        if sums is not None and len(sums) > 1:
            return f"Aggregate '{name}' has {len(sums)} sums, so '{post_name}' has to make a result of them"
        return None
    problem = callable_problem(post, len(sums), library) if sums is not None else None
    if problem is None and not post.is_callable:
        problem = f"(in {library.label}) is not a function"
    return None if problem is None else f"Function '{post_name}' {problem}"


def external_aggregate(declaration: Declaration, linear: bool, library: Library) -> ExternalAggregate:
    """The aggregate with its code, if the library has been loaded."""
    name = declaration.name
    code: LinearCode | GroupedCode | None = None
    function = function_of(library, f"{name}_map" if linear else name)
    if function is not None and linear:
        post = function_of(library, f"{name}_post")
        post_code = None if post is None else Code("function", f"{name}_post", post, library)
        declared = library.namespace.get(f"{name}_accumulator_type")
        types = None if declared is None else tuple(declared) if isinstance(declared, tuple | list) else (declared,)
        code = LinearCode(declaration, Code("function", f"{name}_map", function, library), post_code, types)
    elif function is not None:
        called = Code("aggregate", name, function, library)
        code = GroupedCode(declaration, called, without_length(declaration.returns))
    return ExternalAggregate(declaration, linear, library.fingerprint, code)
