"""SET: the settings of a compilation (sql.md §2.6). They hold for the whole program, wherever they stand in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from millstream.sql.context import Context
from millstream.sql.messages import Message
from millstream.sql.statements.registry import compiles
from millstream.sql.syntax import Constant, Name, SetOption

#: These tune upstream's optimiser; results are the same, so they need no effect here.
_WITHOUT_EFFECT = ("feldera_avoid_star_joins", "feldera_flat_variant", "feldera_use_multi_joins")
_WARNINGS_ARE_ERRORS = "feldera_warnings_are_errors"
_ENFORCE_POSITIVE = "enforce_positive_inputs"
_IGNORE = "feldera_ignore_warning_"


@compiles(SetOption)
def set_option(statement: SetOption, context: Context) -> None:
    """Records a setting; warns of one that nobody knows."""
    name, value = statement.name.name.lower(), statement.value
    text = value.parts[0].name if isinstance(value, Name) else value.text if isinstance(value, Constant) else ""
    if name in context.settings:
        warning = f"Overwriting value of variable '{name}', which was '{context.settings[name]}'"
        context.warn("Overwriting value", warning, statement.span)
    context.settings[name] = text
    if name not in (*_WITHOUT_EFFECT, _WARNINGS_ARE_ERRORS, _ENFORCE_POSITIVE) and not name.startswith(_IGNORE):
        warning = f"Variable '{statement.name.name}' does not control any known settings"
        context.warn("Unknown setting", warning, statement.span)
    elif text.lower() not in ("on", "true", "off", "false"):
        warning = f"Value '{text}' of variable '{name}' is neither ON nor OFF, and is taken as OFF"
        context.warn("Unknown setting", warning, value.span)


def enforces_positive_inputs(context: Context) -> bool:
    """Whether the weights of rows of tables without key must not become negative."""
    return _enabled(_ENFORCE_POSITIVE, context)


def _enabled(name: str, context: Context) -> bool:
    return context.settings.get(name, "").lower() in ("on", "true")


def with_settings(messages: Sequence[Message], context: Context) -> list[Message]:
    """The messages without the warnings that settings suppress; the others become errors if a setting says so."""
    strict = _enabled(_WARNINGS_ARE_ERRORS, context)
    kept = [m for m in messages if not (m.warning and _enabled(_IGNORE + _as_name(m.error_type), context))]
    return [replace(m, warning=False) for m in kept] if strict else kept


def _as_name(error_type: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", error_type.lower()).strip("_")
