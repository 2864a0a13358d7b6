"""Every error code that can occur, provoked on a real server; `error_codes.py` accounts for all codes there are."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from millstream.pipeline.host import Host, Spec
from tests.integration import error_codes
from tests.integration.conftest import Create, Server
from tests.integration.error_codes import ELSEWHERE, IMPOSSIBLE, REQUESTS, SPECIFIED, STARTS, Start
from tests.integration.rest import Rest, wait_for

QUIET = "CREATE TABLE t (n BIGINT); CREATE VIEW v AS SELECT n FROM t;"
DIVIDING = "CREATE TABLE t (n BIGINT); CREATE VIEW v AS SELECT 10 / n AS q FROM t;"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pipelines(rest: Rest) -> Iterator[dict[str, str]]:
    """The pipelines that `REQUESTS` speaks of; what the requests' placeholders stand for."""
    rest.create("idle", QUIET)
    rest.create("broken", "SELECT")
    rest.create("live", QUIET)
    rest.create("used", DIVIDING)
    rest.start("live")
    rest.start("used")
    rest.push("used", 0)
    rest.reaches("used", "Stopped")
    stats = rest.http.get("/pipelines/live/stats").json()
    yield {"incarnation": stats["global_metrics"]["incarnation_uuid"]}
    for name in ("idle", "broken", "live", "used"):
        rest.remove(name)


def check_error(body: Any, code: str) -> None:
    """The error object has its three parts, and the message does not look like a defect."""
    assert set(body) == {"message", "error_code", "details"}
    assert body["error_code"] == code
    assert body["message"]
    assert "Traceback" not in body["message"]
    assert body["details"] is None or isinstance(body["details"], dict)


@pytest.mark.parametrize("code", REQUESTS)
def test_a_request_is_refused(rest: Rest, pipelines: dict[str, str], code: str) -> None:
    wanted = REQUESTS[code]
    response = rest.http.request(wanted.method, wanted.path, json=wanted.body, content=wanted.content)
    check_error(response.json(), code)
    assert response.status_code == wanted.status


def ignore(_: int) -> None:
    """What the end of a process means here."""


def program(start: Start) -> str:
    """A table and a view with the connectors of a case."""

    def properties(connector: dict[str, Any] | None) -> str:
        if connector is None:
            return ""
        text = json.dumps([{"name": "c", **connector}]).replace("'", "''")
        return f" WITH ('connectors' = '{text}')"

    return (
        f"CREATE TABLE t (n BIGINT){properties(start.table)};\n"
        f"CREATE VIEW v{properties(start.view)} AS SELECT n FROM t;"
    )


def started(rest: Rest, name: str) -> dict[str, Any]:
    """The error of a pipeline whose start fails."""
    assert rest.http.post(f"/pipelines/{name}/start").status_code == 202
    p = rest.wait(name, lambda p: p["deployment_error"] is not None, "the error")
    p = rest.reaches(name, "Stopped")
    assert p["deployment_desired_status"] == "Stopped"
    found: dict[str, Any] = p["deployment_error"]
    return found


@pytest.mark.parametrize("code", STARTS)
def test_a_pipeline_cannot_start(tmp_path: Path, code: str) -> None:
    """What the process of a pipeline says, and leaves for the server should nobody ask in time."""
    start = STARTS[code]
    config = start.runtime_config or {}
    host = Host(Spec("id", "unfit", program(start), config, "running", "deployment", str(tmp_path)), on_exit=ignore)
    host.initialize()
    error = host.status()["error"]
    host.shutdown()
    check_error(error, code)
    assert json.loads((tmp_path / "error.json").read_text()) == error


@pytest.mark.parametrize("code", ["ConfigError.NotAnIndex", "NotSupported"])
def test_the_server_tells_why_a_pipeline_cannot_start(create: Create, rest: Rest, code: str) -> None:
    start = STARTS[code]
    create("unfit", program(start))
    if start.runtime_config is not None:
        rest.http.patch("/pipelines/unfit", json={"runtime_config": start.runtime_config})
    check_error(started(rest, "unfit"), code)


def test_a_program_that_fails_while_a_start_waits_for_it(create: Create, rest: Rest, server: Server) -> None:
    create("early", QUIET)
    (compiler,) = server.helpers("millstream.manager.compile_worker")
    compiler.send_signal(signal.SIGSTOP)
    try:
        rest.http.patch("/pipelines/early", json={"program_code": "CREATE VIEW v AS SELECT * FROM nowhere;"})
        assert rest.http.post("/pipelines/early/start").status_code == 202
        assert rest.state("early")["deployment_desired_status"] == "Running"
    finally:
        compiler.send_signal(signal.SIGCONT)
    p = rest.wait("early", lambda p: p["deployment_desired_status"] == "Stopped", "the wish to be taken back")
    check_error(p["deployment_error"], "StartFailedDueToFailedCompilation")
    assert "nowhere" in p["deployment_error"]["details"]["compiler_error"]
    assert (p["deployment_status"], p["program_status"]) == ("Stopped", "SqlError")


def spare(server: Server) -> psutil.Process:
    """The process that the next pipeline will run in, once it is there."""
    found: list[psutil.Process] = []

    def there() -> bool:
        found[:] = [p for p in server.helpers("millstream.pipeline") if "--wait" in p.cmdline() and not _assigned(p)]
        return len(found) == 1

    def _assigned(process: psutil.Process) -> bool:
        return any(str(process.pid) in path.read_text() for path in server.data_dir.glob("pipelines/*/process.json"))

    wait_for("a spare process", there)
    return found[0]


def test_a_process_that_does_not_come_up(create: Create, rest: Rest, server: Server) -> None:
    create("slow", QUIET)
    rest.http.patch("/pipelines/slow", json={"runtime_config": {"provisioning_timeout_secs": 1}})
    spare(server).send_signal(signal.SIGSTOP)
    error = started(rest, "slow")
    check_error(error, "AutomatonProvisioningTimeout")
    assert error["details"] == {"timeout": 1}


def test_a_process_that_cannot_be_started(create: Create, rest: Rest, server: Server) -> None:
    create("homeless", QUIET)
    (server.data_dir / "pipelines" / rest.state("homeless")["id"]).write_text("a file where a directory belongs")
    check_error(started(rest, "homeless"), "RunnerProvisionError")
    (server.data_dir / "pipelines" / rest.state("homeless")["id"]).unlink()


def test_two_transactions(create: Create, rest: Rest) -> None:
    create("transacting", QUIET, "running")
    assert rest.http.post("/pipelines/transacting/start_transaction").json() == {"transaction_id": 1}
    response = rest.http.post("/pipelines/transacting/start_transaction")
    check_error(response.json(), "TransactionInProgress")
    assert response.status_code == 409


def test_a_token_of_an_endpoint_that_never_was(rest: Rest, pipelines: dict[str, str]) -> None:
    token = error_codes._token(u=pipelines["incarnation"], e=999, c=0)
    response = rest.http.get("/pipelines/live/completion_status", params={"token": token})
    check_error(response.json(), "UnknownEndpointInCompletionToken")
    assert (response.status_code, response.json()["details"]) == (410, {"endpoint_id": 999})


def test_every_code_is_accounted_for_once() -> None:
    assert len(SPECIFIED) == len(set(SPECIFIED))
    groups = (REQUESTS, STARTS, ELSEWHERE, IMPOSSIBLE)
    accounted = [code for group in groups for code in group]
    assert sorted(accounted) == sorted(SPECIFIED)


@pytest.mark.parametrize("code", ELSEWHERE)
def test_the_tests_elsewhere_name_their_code(code: str) -> None:
    text = (ROOT / ELSEWHERE[code]).read_text()
    assert f'"{code}"' in text
