"""What SQL declares about functions and aggregates whose code is elsewhere."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import Any

from millstream.types import SqlType, arrow_type


@dataclass(frozen=True, slots=True)
class Declaration:
    """CREATE FUNCTION or CREATE [LINEAR] AGGREGATE: name, parameters with their names and types, and the result."""

    name: str
    parameters: tuple[tuple[str, SqlType], ...]
    returns: SqlType

    @property
    def types(self) -> tuple[SqlType, ...]:
        """The types of the parameters."""
        return tuple(sql_type for _, sql_type in self.parameters)

    def stub(self, name: str | None = None, comment: str = "") -> str:
        """The line that begins its Python function, with what it takes and gives."""
        names = [
            given if given.isidentifier() and not keyword.iskeyword(given) else f"arg{position}"
            for position, (given, _) in enumerate(self.parameters)
        ]
        taken = ", ".join(f"{n}: {arrow_type(t)}" for n, t in zip(names, self.types, strict=True)) or "nothing"
        comment = comment or f"takes Arrow arrays ({taken}), returns {arrow_type(self.returns)}"
        return f"def {name or self.name}({', '.join(names)}):  # {comment}"


@dataclass(frozen=True, slots=True)
class ExternalFunction:
    """A declared function and what it calls. Two are equal if they were declared alike over the same source: `code`,
    None while nobody is going to run it, does not count."""

    declaration: Declaration
    fingerprint: str
    code: Any = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.declaration.name


@dataclass(frozen=True, slots=True)
class ExternalAggregate:
    """A declared aggregate; otherwise like `ExternalFunction`."""

    declaration: Declaration
    linear: bool
    fingerprint: str
    code: Any = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.declaration.name
