"""The decorators that say how a function of a UDF module wants to be called. Imports the standard library only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

Style = Literal["arrow", "row", "groups"]
ATTRIBUTE = "__millstream_udf__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Mark:
    """How a function is called: with Arrow arrays, with the Python values of one row (of an aggregate: of one group),
    or with the values of many groups. `strict`: not at all for rows with a NULL argument, whose result is NULL."""

    style: Style = "arrow"
    strict: bool = False


def mark_of(function: object) -> Mark:
    """The mark of a function; Arrow style if it has none."""
    found = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, Mark) else Mark()


def _marked(function: F, mark: Mark) -> F:
    try:
        setattr(function, ATTRIBUTE, mark)
    except (AttributeError, TypeError):  # built-in functions take no attributes

        @functools.wraps(function)
        def wrapper(*arguments: Any) -> Any:
            return function(*arguments)

        setattr(wrapper, ATTRIBUTE, mark)
        return wrapper  # type: ignore[return-value] # it is called as the function is
    return function


@overload
def row(function: F) -> F: ...
@overload
def row(*, strict: bool = False) -> Callable[[F], F]: ...
def row(function: F | None = None, *, strict: bool = False) -> F | Callable[[F], F]:
    """Call the function once a row, with Python values: `@row` or `@row(strict=True)`.

    NULL is None. With `strict` the function is not called for rows with a NULL argument; their result is NULL. An
    aggregate is called once a group, with a list of the values for each argument.
    """
    if function is not None:
        return _marked(function, Mark("row", strict))
    return lambda decorated: _marked(decorated, Mark("row", strict))


@overload
def arrow(function: F) -> F: ...
@overload
def arrow(*, strict: bool = False) -> Callable[[F], F]: ...
def arrow(function: F | None = None, *, strict: bool = False) -> F | Callable[[F], F]:
    """Call the function once a batch of rows, with a `pyarrow.Array` for each argument: what happens to functions
    without a decorator, too. With `strict` the arrays hold only the rows without NULL arguments; the result of the
    others is NULL.
    """
    if function is not None:
        return _marked(function, Mark("arrow", strict))
    return lambda decorated: _marked(decorated, Mark("arrow", strict))


def groups(function: F) -> F:
    """Call an aggregate once for many groups: each argument is a `pyarrow.LargeListArray` with the values of one group
    in each element, and the result has one value a group."""
    return _marked(function, Mark("groups"))
