"""Keeps what references stand for out of texts that people see (connectors.md §2).

A connector is given the resolved values and may well show one in an error: the URL that it cannot open, the option that
is no number; so may the library that it uses. So every text on its way to statistics, logs or the API is searched for
them, and the reference is shown instead. Of a secret also its parts are hidden (the password in a URL, a line of a key
file), and beginnings of these, as messages cut long values short.
"""

from __future__ import annotations

import re
from os.path import commonprefix
from typing import Any

from millstream.errors import MillstreamError

MIN_WHOLE = 4
"""Shorter values are not searched for: they occur in every text."""
MIN_PART = 8
"""Shorter parts of secrets, and shorter beginnings of parts, are not searched for."""

_PART = re.compile(r"[^\s/?&=@:#,;\"'{}()<>`\[\]]{%d,}" % MIN_PART)  # noqa: UP031 - the pattern is full of braces


class Redactor:
    """What to hide, and what to show instead. Cost of `redact`: the text's length for each hidden value."""

    def __init__(self) -> None:
        #: Hidden text, how much of its beginning suffices to find it, and what is shown instead; longest first.
        self._hidden: list[tuple[str, int, str]] = []

    def hide(self, value: str, reference: str, *, secret: bool) -> None:
        """Have `reference` shown instead of `value`."""
        found = [(value, len(value))] if len(value) >= MIN_WHOLE else []
        if value.strip() != value and len(value.strip()) >= MIN_WHOLE:
            found.append((value.strip(), len(value.strip())))
        if secret:
            found += [(part, MIN_PART) for part in _PART.findall(value)]
        known = {text for text, _, _ in self._hidden}
        self._hidden += [(text, enough, reference) for text, enough in dict(found).items() if text not in known]
        self._hidden.sort(key=lambda one: -len(one[0]))

    def redact(self, text: str) -> str:
        """The text without anything hidden."""
        for hidden, enough, reference in self._hidden:
            start = text.find(hidden[:enough])
            while start >= 0:
                same = commonprefix((hidden, text[start : start + len(hidden)]))  # noqa: RUF071 - characters are meant
                length = len(same)
                text = text[:start] + reference + text[start + length :]
                start = text.find(hidden[:enough], start + len(reference))
        return text

    def redact_error(self, error: MillstreamError) -> MillstreamError:
        """The same error without anything hidden in its message and details."""
        return MillstreamError(error.error_code, self.redact(error.message), self._all(error.details), error.status)

    def _all(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {key: self._all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._all(item) for item in value]
        return value
