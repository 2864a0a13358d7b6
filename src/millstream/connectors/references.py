"""References to secrets and environment variables inside connector configurations (connectors.md §2).

A string that is nothing but `${env:NAME}` or `${secret:kubernetes:name/key}` stands for a value that is looked up each
time a pipeline starts. Only values are resolved, never keys, at any depth of arrays and objects; other strings pass
unchanged. Resolved values go nowhere but to the connector: not to statistics, checkpoints or logs.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from millstream.connectors.redaction import Redactor
from millstream.errors import config_error

DEFAULT_SECRETS_DIRECTORY = "/etc/feldera-secrets"
#: Environment variable that moves the secrets directory.
SECRETS_DIRECTORY_VARIABLE = "MILLSTREAM_SECRETS_DIR"
MAX_SECRET_NAME_LENGTH = 63
MAX_SECRET_KEY_LENGTH = 255

_ENV_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SECRET_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class References:
    """Where references look: environment variables, and files under the secrets directory."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    secrets_directory: Path | None = None
    #: Keeps what was resolved out of texts that people see.
    redactor: Redactor = field(default_factory=Redactor, compare=False, repr=False)

    def resolve(self, value: Any, where: str) -> Any:
        """`value` (JSON) with every reference replaced. `where` names the configuration in errors.

        Raises `ConfigError.PipelineConfigParseError` naming the reference that could not be resolved."""
        if isinstance(value, dict):
            return {key: self.resolve(item, where) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item, where) for item in value]
        if isinstance(value, str) and value.endswith("}"):
            if value.startswith("${env:"):
                return self._variable(value, where)
            if value.startswith("${secret:"):
                return self._secret(value, where)
        return value

    def _variable(self, reference: str, where: str) -> str:
        name = reference[len("${env:") : -1]
        if not _ENV_NAME.fullmatch(name):
            raise _failure(reference, where, f"`{name}` is not a name of an environment variable")
        if name not in self.environment:
            raise _failure(reference, where, f"environment variable `{name}` is not set")
        value = self.environment[name]
        self.redactor.hide(value, reference, secret=False)
        return value

    def _secret(self, reference: str, where: str) -> str:
        provider, colon, rest = reference[len("${secret:") : -1].partition(":")
        if not colon:
            raise _failure(reference, where, "expected the form ${secret:kubernetes:<name>/<key>}")
        if provider != "kubernetes":
            raise _failure(reference, where, f"unknown secret provider `{provider}`, expected `kubernetes`")
        name, slash, key = rest.partition("/")
        if not slash:
            raise _failure(reference, where, "expected <name>/<key> after the provider")
        for what, word, limit in (("name", name, MAX_SECRET_NAME_LENGTH), ("key", key, MAX_SECRET_KEY_LENGTH)):
            if len(word) > limit or not _SECRET_WORD.fullmatch(word):
                raise _failure(
                    reference,
                    where,
                    f"the {what} `{word}` must be at most {limit} lower-case letters and digits, "
                    "with single dashes between them",
                )
        path = self._directory() / "kubernetes" / name / key
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise _failure(reference, where, f"`{path}` is not a regular file")
            value = path.read_bytes().decode("utf-8")
        except OSError as error:
            raise _failure(reference, where, f"cannot read `{path}`: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise _failure(reference, where, f"`{path}` is not UTF-8 text") from error
        self.redactor.hide(value, reference, secret=True)
        return value

    def _directory(self) -> Path:
        if self.secrets_directory is not None:
            return self.secrets_directory
        return Path(self.environment.get(SECRETS_DIRECTORY_VARIABLE, DEFAULT_SECRETS_DIRECTORY))


def _failure(reference: str, where: str, reason: str) -> Exception:
    error = f"{where}: cannot resolve the reference `{reference}`: {reason}"
    return config_error("PipelineConfigParseError", error, error=error)


def resolve_references(value: Any, where: str, references: References | None = None) -> Any:
    """`References.resolve` with the process environment and the default directory."""
    return (references or References()).resolve(value, where)
