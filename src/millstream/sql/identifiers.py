"""Names: canonical forms and quoting.

Two identifiers name the same object when their canonical forms are equal: unquoted ones fold to lower case, quoted
ones keep every character. URLs carry relation names as SQL identifiers, so the HTTP layers canonicalise with the same
function as the binder.
"""

from __future__ import annotations

import re

_UNQUOTED = re.compile(r"[\w$]+")
_LOWER = re.compile(r"[a-z0-9_$]+")


def canonical_name(text: str) -> str | None:
    """The canonical name of an SQL identifier: `T` is t, `"T"` is T. None: not an identifier."""
    if len(text) >= 3 and text[0] == text[-1] == '"':
        inner = text[1:-1]
        return inner.replace('""', '"') if '"' not in inner.replace('""', "") else None
    return text.lower() if _UNQUOTED.fullmatch(text) else None


def needs_quotes(name: str) -> bool:
    """Whether `name`, written without quotes, would denote something else or nothing."""
    return _LOWER.fullmatch(name) is None


def quoted(name: str, case_sensitive: bool) -> str:
    """The name as SQL text."""
    if case_sensitive or needs_quotes(name):
        return '"' + name.replace('"', '""') + '"'
    return name
