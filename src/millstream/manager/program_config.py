"""`program_config`: validation and defaults (api.md §8). The settings concern a compiler to native code, so they
are checked and echoed, and otherwise without effect."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from millstream.manager import errors

_RUNTIME_VERSION = re.compile(r"v\d+\.\d+\.\d+|[0-9a-fA-F]{40}")


class ProgramConfig(msgspec.Struct, kw_only=True):
    profile: Literal["dev", "unoptimized", "optimized", "optimized_symbols"] | None = None
    cache: bool = True
    runtime_version: str | None = None
    use_platform_compiler: bool = False


def is_runtime_version(text: str) -> bool:
    """Whether this has the form of a version, or of a revision."""
    return _RUNTIME_VERSION.fullmatch(text) is not None


def normalise_program_config(value: Any) -> dict[str, Any]:
    """The configuration with every default filled in; None stands for `{}`. Raises `InvalidProgramConfig`."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise errors.invalid_program_config(value, f"expected an object, got {type(value).__name__}")
    try:
        config = msgspec.convert(value, ProgramConfig)
    except msgspec.ValidationError as error:
        raise errors.invalid_program_config(value, str(error)) from None
    if config.runtime_version is not None and not is_runtime_version(config.runtime_version):
        raise errors.invalid_program_config(
            value, "runtime_version must be a version such as v1.2.3 or a 40-digit hexadecimal revision"
        )
    result: dict[str, Any] = msgspec.to_builtins(config)
    return result
