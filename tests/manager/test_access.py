"""Settings of authentication and HTTPS: which ones work together, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.manager import access, tls
from millstream.manager.access import Access
from tests.certificates import make_certificate

OIDC = Access(provider="generic-oidc", issuer="https://login.example/realm", client_id="c")
COGNITO = replace(OIDC, provider="aws-cognito", login_url="https://l", logout_url="https://o")


@pytest.mark.parametrize(
    "settings",
    [
        Access(),
        Access(provider="api-keys"),
        OIDC,
        COGNITO,
        replace(OIDC, issuer="http://127.0.0.1:8090"),
        replace(OIDC, issuer="http://localhost:8090/"),
        Access(allowed_origins=("https://console.example", "http://localhost:5173")),
    ],
)
def test_settings_that_work(settings: Access) -> None:
    access.check(settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Access(provider="oidc"), "unknown --auth-provider 'oidc': choose one of none, api-keys, generic-oidc"),  # type: ignore[arg-type]
        (replace(OIDC, issuer=""), "--auth-provider generic-oidc needs --auth-issuer$"),
        (replace(OIDC, issuer="", client_id=""), "needs --auth-issuer and --auth-client-id$"),
        (replace(COGNITO, login_url="", logout_url=""), "needs --auth-login-url and --auth-logout-url$"),
        (replace(OIDC, issuer="http://login.example"), "must be a URL that starts with https://"),
        (replace(OIDC, issuer="login.example"), "must be a URL that starts with https://"),
        (replace(OIDC, issuer="https://"), "must be a URL that starts with https://"),
        (replace(OIDC, issuer="https://login.example/?realm=a"), "has no query"),
        (replace(OIDC, issuer="https://me:word@login.example/"), "must be a URL"),
        (replace(OIDC, issuer="http://127.0.0.1.login.example"), "must be a URL"),
        (replace(OIDC, issuer="https://[x"), "must be a URL"),
        (replace(OIDC, audience=""), "--auth-audience must not be empty"),
        (replace(OIDC, default_role="admin"), "--auth-default-role is 'admin'"),  # type: ignore[arg-type]
        (replace(OIDC, provider="none"), "of use only with --auth-provider generic-oidc or aws-cognito"),
        (replace(OIDC, provider="api-keys"), "of use only with --auth-provider generic-oidc or aws-cognito"),
        (Access(allowed_origins=("*",)), r"--allowed-origins has '\*'"),
        (Access(allowed_origins=("https://a.example/",)), "not of the form https://host"),
    ],
)
def test_settings_that_do_not(settings: Access, text: str) -> None:
    with pytest.raises(MillstreamError, match=text) as caught:
        access.check(settings)
    assert caught.value.error_code == "InvalidAuthenticationSettings"


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("FELDERA_AUTH_ISSUER_TENANT", "true", False),
        ("FELDERA_AUTH_ISSUER_TENANT", "false", True),
        ("FELDERA_AUTH_INDIVIDUAL_TENANT", "true", False),
        ("FELDERA_AUTH_INDIVIDUAL_TENANT", "False", True),
        ("FELDERA_AUTH_PROVISION_ON_LOGIN", "false", False),
        ("FELDERA_OWNER_TRUSTS", '[{"issuer": "x"}]', False),
        ("FELDERA_OWNER_TRUSTS", "[]", True),
        ("FELDERA_OWNER_TRUSTS", "", True),
        ("FELDERA_OWNERS", "ada", True),
    ],
)
def test_settings_of_many_tenants_are_refused(name: str, value: str, fine: bool) -> None:
    if fine:
        access.refuse_other_tenants({name: value})
        return
    with pytest.raises(MillstreamError, match=f"{name} is set to .* a server has one tenant"):
        access.refuse_other_tenants({name: value})


@pytest.mark.parametrize(
    ("host", "settings", "flag", "starts"),
    [
        ("127.0.0.1", Access(), False, True),
        ("127.8.9.1", Access(), False, True),
        ("localhost", Access(), False, True),
        ("::1", Access(), False, True),
        ("0.0.0.0", Access(), False, False),
        ("::", Access(), False, False),
        ("", Access(), False, False),
        ("192.0.2.1", Access(), False, False),
        ("no-such-host.invalid", Access(), False, False),
        ("0.0.0.0", Access(), True, True),
        ("0.0.0.0", Access(provider="api-keys"), False, True),
        ("0.0.0.0", OIDC, False, True),
    ],
)
def test_who_may_listen_where(host: str, settings: Access, flag: bool, starts: bool) -> None:
    if starts:
        access.require_protection(host, settings, allow_unauthenticated=flag)
        return
    with pytest.raises(MillstreamError, match=r"--auth-provider api-keys.*--allow-unauthenticated") as caught:
        access.require_protection(host, settings, allow_unauthenticated=flag)
    assert caught.value.error_code == "AuthenticationRequired"


# HTTPS.


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("certificates")
    certificate, key = make_certificate(directory, "a")
    _, other = make_certificate(directory, "b")
    _, encrypted = make_certificate(directory, "c", passphrase=b"word")
    (directory / "text").write_text("no certificate")
    made = {"certificate": certificate, "key": key, "other": other, "encrypted": encrypted}
    return {name: str(path) for name, path in made.items()} | {"text": str(directory / "text"), "none": ""}


def test_https_is_on_when_asked_for_in_any_way(files: dict[str, str]) -> None:
    both = (files["certificate"], files["key"])
    assert tls.from_options(False, "", "") is None
    assert tls.from_options(True, *both) == tls.from_options(False, *both) == tls.Tls(*both)


@pytest.mark.parametrize(
    ("certificate", "key", "text"),
    [
        ("none", "none", "HTTPS needs --https-tls-cert-path and --https-tls-key-path$"),
        ("certificate", "none", "HTTPS needs --https-tls-key-path$"),
        ("none", "key", "HTTPS needs --https-tls-cert-path$"),
        ("certificate", "other", "does not belong to"),
        ("certificate", "encrypted", "is encrypted: give one that is not"),
        ("text", "key", "must be a certificate and its private key in PEM form"),
        ("certificate", "text", "must be a certificate and its private key in PEM form"),
    ],
)
def test_files_that_cannot_serve(files: dict[str, str], certificate: str, key: str, text: str) -> None:
    with pytest.raises(MillstreamError, match=text) as caught:
        tls.from_options(True, files[certificate], files[key])
    assert caught.value.error_code == "InvalidTlsSettings"


def test_files_that_cannot_be_read(files: dict[str, str], tmp_path: Path) -> None:
    for certificate, key, reason in (
        (str(tmp_path / "absent"), files["key"], "No such file"),
        (files["certificate"], str(tmp_path), "Is a directory"),
    ):
        with pytest.raises(MillstreamError, match=f"cannot read .*{reason}"):
            tls.from_options(True, certificate, key)


def test_a_key_that_others_can_read_is_warned_of(files: dict[str, str], caplog: Any) -> None:
    tls.from_options(True, files["certificate"], files["key"])
    assert caplog.text == ""
    Path(files["key"]).chmod(0o644)
    tls.from_options(True, files["certificate"], files["key"])
    assert "can be read by others than its owner" in caplog.text
    Path(files["key"]).chmod(0o600)


def test_further_root_certificates(files: dict[str, str], tmp_path: Path) -> None:
    tls.check_ca_file(files["certificate"])
    for path, text in ((files["text"], "has no certificates in PEM form"), (str(tmp_path / "x"), "No such file")):
        with pytest.raises(MillstreamError, match=text):
            tls.check_ca_file(path)


def test_the_command_refuses_what_cannot_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from millstream.cli import main

    def serve(*options: str) -> str:
        monkeypatch.setattr("sys.argv", ["millstream", "serve", "--data-dir", str(tmp_path / "data"), *options])
        with pytest.raises(SystemExit) as ended:
            main.run()
        assert ended.value.code == 1
        return " ".join(capsys.readouterr().err.split())

    assert "AuthenticationRequired: 0.0.0.0 can be reached from other machines" in serve("--host", "0.0.0.0")
    assert "HTTPS needs" in serve("--enable-https")
    assert "cannot read" in serve("--private-ca-cert-path", str(tmp_path / "absent"))
    monkeypatch.setenv("AUTH_PROVIDER", "generic-oidc")
    assert "needs --auth-issuer and --auth-client-id" in serve()
    monkeypatch.setenv("FELDERA_AUTH_ISSUER", "http://login.example")
    assert "--auth-issuer is 'http://login.example'" in serve("--auth-client-id", "c")
    assert not (tmp_path / "data").exists()
