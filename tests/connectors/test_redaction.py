"""What references stand for does not show in any text that people see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import millstream
from millstream.connectors import References
from millstream.connectors.redaction import Redactor
from millstream.errors import MillstreamError

REFERENCE = "${secret:kubernetes:db/url}"
URL = "postgres://ada:correct-horse@db.internal.example:5432/sales?sslmode=require"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"cannot open {URL}!", f"cannot open {REFERENCE}!"),
        ("password 'correct-horse' is wrong", f"password '{REFERENCE}' is wrong"),
        ("'correct-ho...' is no number", f"'{REFERENCE}...' is no number"),
        ("cannot resolve db.internal.example", f"cannot resolve {REFERENCE}"),
        ("correct", "correct"),
        ("nothing to hide", "nothing to hide"),
        ("correct-horse correct-horse", f"{REFERENCE} {REFERENCE}"),
        ("", ""),
    ],
)
def test_secrets_their_parts_and_beginnings(text: str, shown: str) -> None:
    redactor = Redactor()
    redactor.hide(URL, REFERENCE, secret=True)
    assert redactor.redact(text) == shown


def test_variables_are_hidden_as_a_whole() -> None:
    redactor = Redactor()
    redactor.hide("/data/input.csv", "${env:FILE}", secret=False)
    assert (
        redactor.redact("no file /data/input.csv, but /data/input.json") == "no file ${env:FILE}, but /data/input.json"
    )


@pytest.mark.parametrize("value", ["", "x", "abc"])
def test_values_that_every_text_has_are_not_hidden(value: str) -> None:
    redactor = Redactor()
    redactor.hide(value, "${env:X}", secret=True)
    assert redactor.redact("abcxyz") == "abcxyz"


def test_the_end_of_a_file_is_no_part_of_its_secret() -> None:
    redactor = Redactor()
    redactor.hide("hunter\n", REFERENCE, secret=True)
    assert redactor.redact("bad password hunter.") == f"bad password {REFERENCE}."


def test_errors_keep_all_but_what_is_hidden() -> None:
    redactor = Redactor()
    redactor.hide("s3cr3t", REFERENCE, secret=True)
    error = MillstreamError("Code", "it is s3cr3t", {"error": "s3cr3t", "list": [["s3cr3t", 1]], "n": None}, 404)
    redacted = redactor.redact_error(error)
    assert (redacted.error_code, redacted.message, redacted.status) == ("Code", f"it is {REFERENCE}", 404)
    assert redacted.details == {"error": REFERENCE, "list": [[REFERENCE, 1]], "n": None}


def test_what_references_resolve_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "kubernetes" / "db").mkdir(parents=True)
    (tmp_path / "kubernetes" / "db" / "url").write_text(URL)
    references = References({"NAME": "Esmeralda"}, tmp_path)
    references.resolve([REFERENCE, {"a": "${env:NAME}"}], "x")
    assert references.redactor.redact("correct-horse of Esmeralda") == f"{REFERENCE} of ${{env:NAME}}"


@pytest.mark.parametrize(
    "config",
    [
        '{"path": "/x", "buffer_size_bytes": "${env:HIDDEN}"}',
        '{"path": "/x", "follow": "${env:HIDDEN}"}',
        '{"path": "${env:HIDDEN}"}',
    ],
)
def test_configurations_that_do_not_fit(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN", "ftp://value-of-the-variable")
    sql = f"""CREATE TABLE t (n BIGINT) WITH ('connectors' = '[{{"name": "c",
      "transport": {{"name": "file_input", "config": {config}}}, "format": {{"name": "csv"}}}}]');"""
    with pytest.raises(MillstreamError) as caught, millstream.Pipeline(sql):
        pass
    shown: Any = str(caught.value.to_json())
    assert "${env:HIDDEN}" in shown
    assert "value-of-the-variable" not in shown
