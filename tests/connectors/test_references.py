"""References to secrets and environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from millstream.connectors import References, build_input, resolve_references
from millstream.errors import MillstreamError

from .support import ID_S, run


@pytest.fixture
def references(tmp_path: Path) -> References:
    folder = tmp_path / "kubernetes" / "db-login"
    folder.mkdir(parents=True)
    (folder / "password").write_bytes(b"s3cret\r\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "folder").mkdir()
    return References({"HOME_DIR": "/home/x", "EMPTY": ""}, tmp_path)


def _failure(references: References, value: Any) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        references.resolve(value, "transport configuration of connector 't.c'")
    return caught.value


def test_whole_values_at_any_depth(references: References) -> None:
    value = {"a": ["${env:HOME_DIR}", {"b": "${secret:kubernetes:db-login/password}"}], "c": "${env:EMPTY}", "d": 5}
    assert references.resolve(value, "x") == {"a": ["/home/x", {"b": "s3cret\r\n"}], "c": "", "d": 5}


@pytest.mark.parametrize(
    "text",
    ["x${env:HOME_DIR}", "${env:HOME_DIR} ", "${ENV:HOME_DIR}", "${env:HOME_DIR", "$env:HOME_DIR}", "${other:x}"],
)
def test_other_strings_and_keys_pass_unchanged(references: References, text: str) -> None:
    assert references.resolve({text: text}, "x") == {text: text}
    assert references.resolve({"${env:HOME_DIR}": 1}, "x") == {"${env:HOME_DIR}": 1}


@pytest.mark.parametrize(
    "reference, reason",
    [
        ("${env:NOT_SET}", "environment variable `NOT_SET` is not set"),
        ("${env:1x}", "`1x` is not a name"),
        ("${env:}", "`` is not a name"),
        ("${secret:vault:a/b}", "unknown secret provider `vault`"),
        ("${secret:nothing}", "expected the form"),
        ("${secret:kubernetes:login}", "expected <name>/<key>"),
        ("${secret:kubernetes:db-login/none}", "No such file"),
        ("${secret:kubernetes:db-login/folder}", "is not a regular file"),
        ("${secret:kubernetes:db-login/binary}", "is not UTF-8"),
        ("${secret:kubernetes:DB/password}", "the name `DB` must be"),
        ("${secret:kubernetes:../password}", "the name `..` must be"),
        ("${secret:kubernetes:db-login/../x}", "the key `../x` must be"),
        ("${secret:kubernetes:a--b/c}", "the name `a--b` must be"),
        ("${secret:kubernetes:" + "a" * 64 + "/c}", "at most 63"),
        ("${secret:kubernetes:a/" + "c" * 256 + "}", "at most 255"),
    ],
)
def test_failures_name_the_reference(references: References, reference: str, reason: str) -> None:
    error = _failure(references, {"x": [reference]})
    assert error.error_code == "ConfigError.PipelineConfigParseError"
    assert f"cannot resolve the reference `{reference}`: " in error.message
    assert reason in error.message
    assert error.message.startswith("transport configuration of connector 't.c'")


def test_a_secret_is_read_afresh_each_time(references: References, tmp_path: Path) -> None:
    reference = "${secret:kubernetes:db-login/password}"
    (tmp_path / "kubernetes" / "db-login" / "password").write_text("new")
    assert references.resolve(reference, "x") == "new"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kubernetes" / "a").mkdir(parents=True)
    (tmp_path / "kubernetes" / "a" / "b").write_text("v")
    monkeypatch.setenv("MILLSTREAM_TEST_VARIABLE", "w")
    monkeypatch.setenv("MILLSTREAM_SECRETS_DIR", str(tmp_path))
    assert resolve_references(["${env:MILLSTREAM_TEST_VARIABLE}", "${secret:kubernetes:a/b}"], "x") == ["w", "v"]


def test_transport_configurations_are_resolved(references: References, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    environment = {**os.environ, "DATA": str(tmp_path / "data")}
    connector = build_input(
        "t.c", {"name": "file_input", "config": {"path": "${env:DATA}"}}, ID_S, References(environment)
    )
    assert run(connector).data == b"x"
