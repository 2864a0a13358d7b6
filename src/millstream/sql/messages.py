"""Diagnostics: the error that stops a statement, and the message that a client sees (sql.md §15, api.md §9.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from millstream.plan.program import Span

NO_SPAN = Span(0, 0, 0, 0)
_SUGGEST = "You can suggest support for this feature by filing an issue at https://github.com/feldera/feldera/issues"


@dataclass(frozen=True, slots=True)
class Message:
    """An error or warning at a place of the program."""

    span: Span
    warning: bool
    error_type: str
    message: str
    snippet: str | None

    def to_json(self) -> dict[str, Any]:
        """The SqlCompilerMessage object."""
        return {
            **self.span.to_json(),
            "warning": self.warning,
            "error_type": self.error_type,
            "message": self.message,
            "snippet": self.snippet,
        }


class SqlError(Exception):
    """What is wrong with the statement being compiled. `positioned`: the message starts with its place, as
    validation errors do (`From line 1, column 8 to line 1, column 9: ...`)."""

    def __init__(
        self,
        message: str,
        span: Span | None = None,
        *,
        error_type: str = "Compilation error",
        positioned: bool = False,
    ) -> None:
        super().__init__(message)
        self.span = span or NO_SPAN
        self.error_type = error_type
        #: The object whose declaration a syntax error ended.
        self.declares: str | None = None
        #: Where else to look: a second message of the same type, and its place.
        self.also: tuple[str, Span] | None = None
        self.message = place(self.span) + message if positioned else message


class Poisoned(Exception):  # noqa: N818 - a signal, no error
    """A statement uses an object whose own declaration failed: reported there, not again here."""


def place(span: Span) -> str:
    """The position prefix of validation messages."""
    if span == NO_SPAN:
        return ""
    if (span.start_line, span.start_column) == (span.end_line, span.end_column):
        return f"At line {span.start_line}, column {span.start_column}: "
    return (
        f"From line {span.start_line}, column {span.start_column} to line {span.end_line}, column {span.end_column}: "
    )


def invalid(message: str, span: Span) -> SqlError:
    """A name or type error: error type `Compilation error`, message with its place in front."""
    return SqlError(message, span, positioned=True)


def not_yet(what: str, span: Span) -> SqlError:
    """A construct that is not built."""
    return SqlError(f"{what}\n{_SUGGEST}", span, error_type="Not yet implemented")


def not_supported(what: str, span: Span) -> SqlError:
    """A construct that will not be built."""
    return SqlError(what, span, error_type="Not supported")
