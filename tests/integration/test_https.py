"""A server that speaks HTTPS and asks for API keys, used by the official client and the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest
from feldera import FelderaClient, Pipeline, PipelineBuilder
from feldera.rest.errors import FelderaCommunicationError
from feldera.rest.retry import RetryConfig

from millstream.cli import main
from millstream.manager.services import create_key_offline
from tests.certificates import make_certificate
from tests.integration.conftest import Server


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """The server and the path of its certificate."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), "server")
    directory = tmp_path_factory.mktemp("https")
    files = ("--enable-https", "--https-tls-cert-path", str(certificate), "--https-tls-key-path", str(key))
    options = ("--host", "0.0.0.0", "--auth-provider", "api-keys", *files)
    made = Server(directory, *options, api_key=create_key_offline(directory, "k", "write"), scheme="https")
    made.start()
    yield made, str(certificate)
    made.stop()


def test_the_official_client(secured: tuple[Server, str]) -> None:
    server, certificate = secured
    client = FelderaClient(server.url, api_key=server.api_key, requests_verify=certificate)
    PipelineBuilder(client, "p", "CREATE TABLE t (n BIGINT);").create_or_replace()
    assert [p.name for p in Pipeline.all(client)] == ["p"]
    with pytest.raises(FelderaCommunicationError, match="certificate verify failed"):
        FelderaClient(server.url, api_key=server.api_key, retry_config=RetryConfig(max_retries=0))


def test_plain_http_is_not_spoken(secured: tuple[Server, str]) -> None:
    server, _ = secured
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.url.replace("https", "http") + "/healthz", timeout=10)


def test_the_command_line(
    secured: tuple[Server, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server, certificate = secured
    arguments = ["millstream", "pipelines", "--server", server.url, "--api-key", str(server.api_key)]

    def ends() -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main.run()
        return int(ended.value.code or 0), " ".join("".join(capsys.readouterr()).split())

    status, text = ends()
    assert (status, "certificate verify failed" in text) == (1, True)
    monkeypatch.setenv("FELDERA_HTTPS_TLS_CERT", certificate)
    status, text = ends()
    assert (status, "program" in text) == (0, True)
    monkeypatch.setenv("FELDERA_HTTPS_TLS_CERT", certificate + ".absent")
    status, text = ends()
    assert (status, "cannot use the certificates in" in text) == (1, True)
    monkeypatch.delenv("FELDERA_HTTPS_TLS_CERT")
    monkeypatch.setenv("FELDERA_TLS_INSECURE", "true")
    assert ends()[0] == 0


def test_the_log_says_where_and_how_it_listens(secured: tuple[Server, str]) -> None:
    server, _ = secured
    log = (server.data_dir / "server.log").read_text()
    assert f"millstream listens on https://0.0.0.0:{server.port} with authentication by api-keys" in log
