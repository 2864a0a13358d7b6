"""The shape of an entry of the function catalog."""

from __future__ import annotations

from dataclasses import dataclass

STRICT = "NULL if an argument is NULL"
NEVER = "never NULL"


@dataclass(frozen=True, slots=True)
class Entry:
    """A function as users read about it.

    `names` are its registry name and the other names of the same function, `forms` how it is written, `result` the
    type of its value, `nulls` what it does with NULLs. `example` is an SQL expression and `value` what it gives, as
    JSON; a test evaluates it.
    """

    names: tuple[str, ...]
    forms: str
    result: str
    description: str
    nulls: str = STRICT
    example: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Functions that belong together."""

    title: str
    introduction: str
    entries: tuple[Entry, ...]


def entry(
    names: str, forms: str, result: str, description: str, example: str = "", value: str = "", nulls: str = STRICT
) -> Entry:
    """An entry; `names` are separated by `, `."""
    return Entry(tuple(names.split(", ")), forms, result, description, nulls, example, value)
