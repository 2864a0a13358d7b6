"""Reading transport configurations: typed options with defaults, and precise errors for what does not fit.

Every accessor removes the option that it reads; `finish` rejects what is left, naming the nearest known option.
"""

from __future__ import annotations

import difflib
from typing import Any

from millstream.errors import MillstreamError, config_error

MAX_UNSIGNED_64 = 2**64 - 1


def invalid_transport(endpoint_name: str, transport: str, error: str) -> MillstreamError:
    """`ConfigError.InvalidTransportConfig`: the transport's `config` cannot be used."""
    return config_error(
        "InvalidTransportConfig",
        f"invalid '{transport}' transport configuration of connector '{endpoint_name}': {error}",
        endpoint_name=endpoint_name,
        error=error,
    )


class OptionError(Exception):
    """An option that does not fit; `str()` says which and what would be right."""


class Options:
    """The options of one JSON object. `where` is its place inside `config`, "" for `config` itself."""

    def __init__(self, config: object, where: str = "") -> None:
        self.where = where
        if not isinstance(config, dict):
            raise OptionError(f"{where or '`config`'} must be an object, not {shown(config)}")
        self._rest: dict[str, Any] = dict(config)
        self._known: list[str] = []

    def path(self, name: str) -> str:
        """How errors call the option."""
        return f"{self.where}.{name}" if self.where else name

    def take(self, name: str) -> Any:
        """The raw value; None if absent or null."""
        self._known.append(name)
        return self._rest.pop(name, None)

    def text(self, name: str) -> str | None:
        """A string, None if absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise OptionError(f"option `{self.path(name)}` must be a string, not {shown(value)}")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be given and not be empty."""
        value = self.text(name)
        if value is None:
            raise OptionError(f"missing option `{self.path(name)}`")
        if not value:
            raise OptionError(f"option `{self.path(name)}` must not be empty")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise OptionError(f"option `{self.path(name)}` must be true or false, not {shown(value)}")
        return value

    def integer(
        self, name: str, default: int | None = None, minimum: int = 0, maximum: int = MAX_UNSIGNED_64
    ) -> int | None:
        """An integer in [minimum, maximum]."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise OptionError(f"option `{self.path(name)}` must be an integer, not {shown(value)}")
        if not minimum <= value <= maximum:
            small = value < minimum and maximum == MAX_UNSIGNED_64
            bounds = f"at least {minimum}" if small else f"in {minimum}..{maximum}"
            raise OptionError(f"option `{self.path(name)}` is {value}; it must be {bounds}")
        return value

    def sure_integer(self, name: str, default: int, minimum: int = 0, maximum: int = MAX_UNSIGNED_64) -> int:
        """`integer` with a default."""
        value = self.integer(name, default, minimum, maximum)
        assert value is not None
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of `choices`; required if there is no default."""
        value = self.take(name)
        if value is None:
            if default is None:
                raise OptionError(f"missing option `{self.path(name)}`, one of {_listed(choices)}")
            return default
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, 1)
            hint = f"; did you mean `{near[0]}`?" if near else f", expected one of {_listed(choices)}"
            raise OptionError(f"unknown value {shown(value)} of option `{self.path(name)}`{hint}")
        return str(value)

    def finish(self) -> None:
        """Reject options that nobody asked for."""
        for name in self._rest:
            near = difflib.get_close_matches(name, self._known, 1)
            if near:
                raise OptionError(f"unknown option `{self.path(name)}`; did you mean `{near[0]}`?")
            one_of = "one of " if len(self._known) > 1 else ""
            known = f"expected {one_of}{_listed(tuple(self._known))}" if self._known else "it takes no options"
            raise OptionError(f"unknown option `{self.path(name)}`, {known}")


def shown(value: object) -> str:
    """A JSON value for an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
