"""Real servers that ask who is calling: the official client and the command line with credentials, no way around the
server, and nothing secret in what it leaves behind."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import sys
import time
import zipfile
from collections.abc import Iterator

import httpx
import pytest
from feldera import FelderaClient, Pipeline, PipelineBuilder
from feldera.rest.errors import FelderaAPIError
from feldera.rest.retry import RetryConfig

from millstream.cli import main
from millstream.manager.services import create_key_offline
from tests.integration.conftest import Server, wait_for
from tests.login_provider import CLIENT_ID, LoginProvider, published, signing_key

CONNECTOR_SECRET = "tHe-SeCrEt-oF-a-CoNnEcToR-3b1f"
ABSENT = "apikey:" + "x" * 128

SQL = """
CREATE TABLE numbers (n BIGINT) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "c", "paused": true, "transport": {"name": "datagen", "config": {"plan": [{"limit": 10}]}}},
  {"name": "f", "transport": {"name": "file_input", "config": {"path": "${secret:kubernetes:source/path}"}},
   "format": {"name": "csv"}}
]');
CREATE MATERIALIZED VIEW total AS SELECT COUNT(*) AS n FROM numbers;
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[LoginProvider]:
    made = LoginProvider()
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: LoginProvider) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("secured")
    secrets = tmp_path_factory.mktemp("secrets")
    source = secrets / f"{CONNECTOR_SECRET}.csv"
    source.write_text("1\n2\nthis is no number\n")
    (secrets / "kubernetes" / "source").mkdir(parents=True)
    (secrets / "kubernetes" / "source" / "path").write_text(str(source))
    options = ("--auth-provider", "generic-oidc", "--auth-issuer", provider.issuer, "--auth-client-id", CLIENT_ID)
    key = create_key_offline(directory, "first", "write")
    made = Server(directory, *options, "--auth-default-role", "write", api_key=key)
    os.environ["MILLSTREAM_SECRETS_DIR"] = str(secrets)
    try:
        made.start()
    finally:
        del os.environ["MILLSTREAM_SECRETS_DIR"]
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(server: Server) -> str:
    """The name of a pipeline that runs."""
    pipeline = PipelineBuilder(server.client(), "guarded", SQL).create_or_replace()
    pipeline.start()
    return "guarded"


def test_the_official_client_with_an_api_key(server: Server, running: str) -> None:
    pipeline = Pipeline.get(running, server.client())
    pipeline.start_input_connector("numbers", "c")
    wait_for("all rows", lambda: list(pipeline.query("SELECT * FROM total")) == [{"n": 12}])
    pipeline.pause()
    pipeline.resume()
    assert pipeline.stats().global_metrics.total_input_records >= 12
    assert any("numbers" in line or "Pipeline" in line for line in _some_log_lines(server, running))


def _some_log_lines(server: Server, name: str) -> list[str]:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    with httpx.stream("GET", f"{server.url}/v0/pipelines/{name}/logs", headers=headers) as answer:
        assert answer.status_code == 200
        return next(answer.iter_text()).splitlines()


def test_the_official_client_reads_the_key_from_its_variable(
    server: Server, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FELDERA_HOST", server.url)
    monkeypatch.setenv("FELDERA_API_KEY", str(server.api_key))
    assert [p.name for p in Pipeline.all(FelderaClient())] == [running]


def test_the_official_client_without_a_good_key_is_told_so(server: Server) -> None:
    with pytest.raises(FelderaAPIError, match="authentication is needed") as caught:
        FelderaClient(server.url)
    assert caught.value.status_code == 401
    with pytest.raises(FelderaAPIError, match="Unauthorized API key"):
        FelderaClient(server.url, api_key=ABSENT)


def test_a_read_key_may_look_but_not_touch(server: Server, running: str) -> None:
    made = server.client().create_api_key("reader", role="read")
    pipeline = Pipeline.get(running, FelderaClient(server.url, api_key=made["api_key"]))
    assert pipeline.status().name == "RUNNING"
    with pytest.raises(FelderaAPIError) as caught:
        pipeline.pause()
    assert (caught.value.status_code, caught.value.error_code) == (403, "InsufficientPermissions")
    with pytest.raises(FelderaAPIError):
        list(pipeline.query("SELECT * FROM total"))


def test_a_login_that_expires_is_renewed_by_the_client(server: Server, provider: LoginProvider, running: str) -> None:
    now = int(time.time())
    tokens = iter([provider.token(exp=now - 120), provider.token()])
    given: list[str] = []

    def renew() -> str:
        given.append(next(tokens, given[-1] if given else ""))
        return given[-1]

    client = FelderaClient(server.url, api_key=renew, retry_config=RetryConfig(expired_token_wait_seconds=0))
    assert len(given) == 2
    assert [p.name for p in Pipeline.all(client)] == [running]


def test_keys_of_the_provider_can_change_under_a_running_server(server: Server, provider: LoginProvider) -> None:
    provider.publish(published(signing_key("first")), published(signing_key("second")))
    token = provider.token("second")

    def answered() -> bool:  # at most one fetch of keys in some seconds
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{server.url}/v0/config/session", headers=headers).status_code == 200

    wait_for("the new key to be taken", answered)


@pytest.mark.parametrize("path", ["logs", "stats", "time_series_stream", "metrics", "query?sql=SELECT%201"])
def test_streams_and_forwarded_routes_are_guarded(server: Server, running: str, path: str) -> None:
    url = f"{server.url}/v0/pipelines/{running}/{path}"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {ABSENT}"}).status_code == 401
    for action in ("ingress/numbers", "egress/total", "tables/numbers/connectors/c/pause"):
        assert httpx.post(f"{server.url}/v0/pipelines/{running}/{action}", content=b"5\n").status_code == 401


def _endpoint(server: Server) -> str:
    (file,) = (server.data_dir / "pipelines").glob("*/endpoint.json")
    return f"http://127.0.0.1:{json.loads(file.read_bytes())['port']}"


def test_nobody_gets_around_the_server(server: Server, running: str) -> None:
    """What another user of the machine can do: connect to the process's port and guess."""
    port = _endpoint(server)
    attempts = (("GET", "/status"), ("GET", "/stats"), ("POST", "/shutdown"), ("POST", "/ingress/numbers"))
    for token in (None, "", "0" * 64, str(server.api_key)):
        headers = {} if token is None else {"X-Millstream-Token": token, "Authorization": f"Bearer  {token}."}
        for method, path in attempts:
            refused = httpx.request(method, port + path, headers=headers)
            assert (refused.status_code, "x-millstream-proof" in refused.headers) == (403, False)
    key = {"Authorization": f"Bearer {server.api_key}", "X-Millstream-Token": "mine"}
    answer = httpx.get(f"{server.url}/v0/pipelines/{running}/stats", headers=key)
    assert (answer.status_code, "x-millstream-proof" in answer.headers) == (200, False)


def test_other_users_can_read_nothing_of_the_data_directory(server: Server, running: str) -> None:
    private = [server.data_dir / "millstream.db", server.data_dir / "secret", server.data_dir / "pipelines"]
    assert [path.stat().st_mode & 0o077 for path in private] == [0, 0, 0]
    for process in server.pipeline_processes():
        assert not any(len(part) == 64 for part in process.cmdline())


def test_a_killed_server_gets_back_into_its_pipelines(server: Server, running: str) -> None:
    server.kill()
    server.start()
    pipeline = Pipeline.get(running, server.client())
    assert list(pipeline.query("SELECT 1 AS one")) == [{"one": 1}]


def test_the_command_line(
    server: Server, running: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FELDERA_HOST", server.url)

    def millstream(*arguments: str, key: str | None = server.api_key) -> tuple[int, str]:
        monkeypatch.setenv("FELDERA_API_KEY", key or "")
        monkeypatch.setattr(sys, "argv", ["millstream", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    assert running in millstream("pipelines")[1]
    status, text = millstream("pipelines", key=None)
    assert (status, "authentication is needed" in text) == (1, True)
    status, made = millstream("api-key", "create", "cli", "--role", "write")
    assert (status, made.startswith("apikey:"), len(made.strip())) == (0, True, 135)
    assert running in millstream("pipelines", "--api-key", made.strip(), key=None)[1]
    assert "cli" in millstream("api-key", "list", "--json")[1]
    assert millstream("api-key", "delete", "cli")[0] == 0
    assert "Unauthorized API key" in millstream("pipelines", "--api-key", made.strip(), key=None)[1]
    status, offline = millstream("api-key", "create", "offline", "--data-dir", str(server.data_dir))
    assert running in millstream("pipelines", "--api-key", offline.strip(), key=None)[1]


def test_no_secret_is_left_behind(server: Server, provider: LoginProvider, running: str) -> None:
    """Searches the logs, the database, what every process wrote, and answers of the API, for credentials that were
    used and for what a connector's secret stands for."""
    token = provider.token(sub="searched", exp=int(time.time()) - 600)
    bearer = provider.token(sub="searched")
    for credential in (token, bearer, ABSENT, str(server.api_key)):
        headers = {"Authorization": f"Bearer {credential}"}
        for path in ("/v0/pipelines", "/v0/nothing", f"/v0/pipelines/{running}/query?sql=SELECT%20wrong"):
            httpx.get(server.url + path, headers=headers)
    answers = b"".join(_answers(server, running))
    assert b"${secret:kubernetes:source/path}" in answers
    secrets = {
        "API key": str(server.api_key)[7:],
        "refused API key": ABSENT[7:],
        "expired token": token.rpartition(".")[2],
        "token": bearer.rpartition(".")[2],
        "connector": CONNECTOR_SECRET,
    }
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert {"server.log", "millstream.db", "pipeline.log"} <= {path.name for path in files}
    for name, secret in secrets.items():
        assert secret.encode() not in answers, name
        for path in files:
            assert secret.encode() not in path.read_bytes(), (name, path.name)
    with sqlite3.connect(server.data_dir / "millstream.db") as connection:
        (process,) = connection.execute("SELECT process FROM pipelines WHERE process IS NOT NULL").fetchone()
    connection.close()
    assert "token" not in process


def _answers(server: Server, name: str) -> Iterator[bytes]:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    paths = ["", "/stats", "/metrics", "/events?selector=all", "/tables/numbers/connectors/f/stats"]
    for path in paths:
        answer = httpx.get(f"{server.url}/v0/pipelines/{name}{path}", headers=headers)
        assert answer.status_code == 200, path
        yield answer.content
    yield "".join(_some_log_lines(server, name)).encode()
    yield from _archives(server, name)


def _archives(server: Server, name: str) -> Iterator[bytes]:
    """What a support bundle and the profiles hold, unpacked: nothing can be found in what is compressed."""
    with httpx.Client(base_url=f"{server.url}/v0/pipelines/{name}") as client:
        client.headers["Authorization"] = f"Bearer {server.api_key}"
        assert client.post("/samply_profile", params={"duration_secs": 1}).status_code == 202
        bundle = _unpacked("bundle.zip", client.get("/support_bundle").content)
        assert {"logs.txt", "stats.json", "pipeline_config.json", "circuit_profile.json", "metrics.txt"} <= {
            path.rpartition("/")[2] for path in bundle
        }
        assert b"guarded" in bundle["bundle.zip/metadata.txt"]
        yield from bundle.values()
        yield client.get("/circuit_json_profile").content
        yield from _unpacked("profile.zip", client.get("/circuit_profile").content).values()
        wait_for("the profile", lambda: client.get("/samply_profile").status_code == 200)
        yield from _unpacked("threads.gz", client.get("/samply_profile").content).values()


def _unpacked(path: str, content: bytes) -> dict[str, bytes]:
    """The files in an archive, those in archives in it as well, by their path."""
    if path.endswith(".gz"):
        return _unpacked(path.removesuffix(".gz"), gzip.decompress(content))
    if not path.endswith(".zip"):
        return {path: content}
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            found |= _unpacked(f"{path}/{member}", archive.read(member))
    return found
