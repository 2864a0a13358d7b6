"""Names that relations may not have."""

from __future__ import annotations

from millstream.expressions.aggregates import is_aggregate
from millstream.expressions.registry import is_scalar_function
from millstream.sql.messages import SqlError
from millstream.sql.syntax import Identifier
from millstream.sql.window_calls import WINDOW_ONLY


def check_relation_name(name: Identifier, kind: str) -> None:
    """Raises for names reserved to the system, and for those of built-in functions."""
    text = name.name
    if text.lower() in ("user", "now") or text.lower().startswith("feldera"):
        raise SqlError(f"Name '{text}' is reserved for the system", name.span, error_type="Reserved name")
    if kind == "table" and (is_scalar_function(text) or is_aggregate(text) or text.upper() in WINDOW_ONLY):
        message = f"Table '{text}' has the same name as a predefined function"
        raise SqlError(message, name.span, error_type="Reserved name")
