"""WITH ('key' = 'value') clauses: known keys, no repetition, typed values."""

from __future__ import annotations

from collections.abc import Collection

from millstream.plan.program import Property
from millstream.sql.messages import SqlError
from millstream.sql.syntax import PropertyItem


def declared_properties(items: tuple[PropertyItem, ...], known: Collection[str], kind: str) -> dict[str, Property]:
    """The properties by key. Raises SqlError for an unknown or repeated key."""
    found: dict[str, Property] = {}
    for item in items:
        key = item.key.text
        if key in found:
            text = f"property '{key}' already declared"
            error = SqlError(text, item.key.span, error_type="Duplicate key")
            error.also = ("Previous declaration", found[key].key_span)
            raise error
        if key not in known:
            raise SqlError(f"Unknown {kind} property '{key}'", item.key.span)
        found[key] = Property(item.value.text, item.key.span, item.value.span)
    return found


def boolean(key: str, value: Property | None) -> bool:
    """A property that is true or false in any case; absent: false."""
    if value is None:
        return False
    text = value.value.strip().lower()
    if text not in ("true", "false"):
        raise SqlError(f"Expected a boolean value for property '{key}'", value.value_span)
    return text == "true"


def integer(key: str, value: Property | None) -> int | None:
    """A property that is a number."""
    if value is None:
        return None
    try:
        return int(value.value)
    except ValueError:
        raise SqlError(f"Expected a numeric value for property '{key}'", value.value_span) from None
