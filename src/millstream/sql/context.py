"""What every part of the binder shares: the program text, the catalog and the messages gathered so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.plan.program import Span
from millstream.sql.catalog import Catalog
from millstream.sql.messages import NO_SPAN, Message, SqlError
from millstream.sql.source import Source
from millstream.udf.library import NO_LIBRARY, Library


@dataclass
class Context:
    """One compilation."""

    source: Source
    catalog: Catalog = field(default_factory=Catalog)
    messages: list[Message] = field(default_factory=list)
    #: Where tables ("t") and their columns ("t.c") are declared
    places: dict[str, Span] = field(default_factory=dict)
    #: The values of SET statements by name
    settings: dict[str, str] = field(default_factory=dict)
    #: The Python code of functions and aggregates without an SQL body
    udf: Library = NO_LIBRARY

    def warn(self, error_type: str, message: str, span: Span | None = None) -> None:
        """Report something suspicious; compilation goes on. Equal warnings are reported once."""
        found = self._message(span or NO_SPAN, True, error_type, message)
        if found not in self.messages:
            self.messages.append(found)

    def report(self, error: SqlError) -> None:
        """Report an error; the program will not compile."""
        self.messages.append(self._message(error.span, False, error.error_type, error.message))
        if error.also is not None:
            text, span = error.also
            self.messages.append(self._message(span, False, error.error_type, text))

    @property
    def failed(self) -> bool:
        return any(not message.warning for message in self.messages)

    def _message(self, span: Span, warning: bool, error_type: str, message: str) -> Message:
        snippet = None if span == NO_SPAN else self.source.snippet(span)
        return Message(span, warning, error_type, message, snippet)
