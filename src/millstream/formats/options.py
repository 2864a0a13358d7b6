"""Reading format configurations: typed options with defaults, and the error objects for what does not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from millstream.errors import MillstreamError, config_error


class Options:
    """The options of one format object. Every accessor removes what it reads; `finish` rejects what is left.

    `kind` is "Parser" or "Encoder": it selects the error codes.
    """

    def __init__(self, kind: str, endpoint_name: str, config: object) -> None:
        self.kind = kind
        self.endpoint_name = endpoint_name
        self._config = config
        if config is not None and not isinstance(config, dict):
            raise self.bad("expected an object")
        self._rest: dict[str, Any] = dict(config or {})

    def bad(self, reason: str) -> MillstreamError:
        """`ParserConfigParseError` or `EncoderConfigParseError`: an option has the wrong shape."""
        text = json.dumps(self._config, default=str)
        direction = "parser" if self.kind == "Parser" else "encoder"
        return config_error(
            f"{self.kind}ConfigParseError",
            f"error parsing {direction} configuration of endpoint '{self.endpoint_name}': {reason}; "
            f"the configuration is: {text}",
            endpoint_name=self.endpoint_name,
            error=reason,
            config=text,
        )

    def invalid(self, reason: str) -> MillstreamError:
        """`InvalidParserConfig` or `InvalidEncoderConfig`: options that are well formed but cannot be
        used."""
        direction = "parser" if self.kind == "Parser" else "encoder"
        return config_error(
            f"Invalid{self.kind}Config",
            f"invalid {direction} configuration of endpoint '{self.endpoint_name}': {reason}",
            endpoint_name=self.endpoint_name,
            error=reason,
        )

    def unsupported(self, reason: str) -> MillstreamError:
        """`InputFormatNotSupported` or `OutputFormatNotSupported`."""
        direction = "Input" if self.kind == "Parser" else "Output"
        return config_error(
            f"{direction}FormatNotSupported",
            f"{direction.lower()} format of endpoint '{self.endpoint_name}' is not supported: {reason}",
            endpoint_name=self.endpoint_name,
            error=reason,
        )

    def boolean(self, name: str, default: bool) -> bool:
        """A boolean; the texts `true` and `false` stand for it (URL queries have nothing else)."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        if isinstance(value, str) and value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            raise self.bad(f"option '{name}' must be true or false, not {value!r}")
        return value

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """One of `choices`."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        allowed = list(choices)
        if value not in allowed:
            expected = ", ".join(f"`{choice}`" for choice in allowed)
            raise self.bad(f"unknown variant `{value}` of option '{name}', expected one of {expected}")
        return str(value)

    def text(self, name: str) -> str | None:
        """A string, None if absent."""
        value = self._rest.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise self.bad(f"option '{name}' must be a string, not {value!r}")
        return value

    def positive_integer(self, name: str, default: int) -> int:
        """An integer of at least 1 (digits as text are accepted, as in URL queries)."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(f"option '{name}' must be an integer, not {value!r}")
        if value < 1:
            raise self.invalid(f"option '{name}' must be at least 1")
        return value

    def character(self, name: str, default: str | None) -> str | None:
        """A single ASCII character."""
        value = self._rest.pop(name, None)
        if value is None:
            return default
        if value == "\\t":
            return "\t"
        if not isinstance(value, str) or len(value) != 1 or not value.isascii():
            raise self.invalid(f"option '{name}' must be a single ASCII character, not {value!r}")
        return value

    def names(self, name: str) -> list[str] | None:
        """A list of strings."""
        value = self._rest.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.bad(f"option '{name}' must be a list of column names, not {value!r}")
        return value

    def finish(self) -> None:
        """Reject options that nobody asked for."""
        for name in self._rest:
            raise self.bad(f"unknown field `{name}`")
