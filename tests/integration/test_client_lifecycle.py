"""The life of pipelines on a real server, through the official client: from creation to deletion, and through every
kind of violent end in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from feldera import FelderaClient, PipelineBuilder
from feldera.enums import PipelineStatus
from feldera.rest.errors import FelderaAPIError

from tests.integration.conftest import Create, Server, wait_for
from tests.integration.rest import Rest

TICKING = """CREATE TABLE t (n BIGINT) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "c", "transport": {"name": "datagen", "config": {"plan": [{"rate": 500}]}}}]');
CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t;"""
QUIET = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY);
CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n, SUM(n) AS total FROM t;"""
DIVIDING = "CREATE TABLE t (n BIGINT); CREATE MATERIALIZED VIEW v AS SELECT 10 / n AS q FROM t;"
WRONG = "CREATE TABLE t (a INT);\nCREATE VIEW v AS\nSELECT a\nFROM\nblah;"
NO_SUCH_COLUMN = """CREATE TABLE t (n BIGINT) WITH ('connectors' = '[
  {"name": "c", "transport": {"name": "datagen", "config": {"plan": [{"fields": {"m": {}}}]}}}]');"""


def alive(pid: int) -> bool:
    """Whether the process runs: one that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


_EVENT = (
    "deployment_resources_status",
    "deployment_resources_desired_status",
    "deployment_runtime_status",
    "deployment_runtime_desired_status",
    "deployment_has_error",
    "program_status",
    "storage_status",
)


def history(rest: Rest, name: str) -> list[str]:
    """The events of a pipeline, oldest first, without repetitions."""
    events = rest.http.get(f"/pipelines/{name}/events").json()
    texts = ["/".join(str(event[key] if event[key] is not None else "-") for key in _EVENT) for event in events]
    return [text for text, before in zip(reversed(texts), [None, *reversed(texts)], strict=False) if text != before]


def test_the_whole_life_of_a_pipeline_is_what_its_events_tell(create: Create, rest: Rest) -> None:
    pipeline = create("life", QUIET)
    assert rest.state("life")["refresh_version"] == 3
    pipeline.start()
    assert pipeline.status() == PipelineStatus.RUNNING
    pipeline.pause()
    assert pipeline.status() == PipelineStatus.PAUSED
    pipeline.resume()
    pipeline.stop(force=True)
    assert pipeline.status() == PipelineStatus.STOPPED
    assert pipeline.storage_status().name == "INUSE"
    pipeline.clear_storage()
    pipeline.modify(sql="CREATE VIEW v AS SELECT x FROM nowhere;")
    rest.wait("life", lambda p: p["program_status"] == "SqlError", "the error")
    pipeline.modify(sql=DIVIDING)
    rest.wait("life", lambda p: p["program_status"] == "Success", "success")
    pipeline.start()
    assert rest.push("life", 0).status_code == 200
    rest.reaches("life", "Stopped")
    pipeline.dismiss_error()
    done = "no/Success"
    assert [text.replace("False", "no").replace("True", "yes") for text in history(rest, "life")] == [
        "Stopped/Stopped/-/-/no/Pending/Cleared",
        "Stopped/Stopped/-/-/no/CompilingSql/Cleared",
        "Stopped/Stopped/-/-/no/SqlCompiled/Cleared",
        "Stopped/Stopped/-/-/no/CompilingRust/Cleared",
        f"Stopped/Stopped/-/-/{done}/Cleared",
        f"Stopped/Provisioned/-/-/{done}/Cleared",
        f"Stopped/Provisioned/-/-/{done}/InUse",
        f"Provisioning/Provisioned/-/-/{done}/InUse",
        f"Provisioned/Provisioned/Initializing/Running/{done}/InUse",
        f"Provisioned/Provisioned/Running/Running/{done}/InUse",
        f"Provisioned/Provisioned/Paused/Paused/{done}/InUse",
        f"Provisioned/Provisioned/Running/Running/{done}/InUse",
        f"Provisioned/Stopped/Running/Running/{done}/InUse",
        f"Stopping/Stopped/-/-/{done}/InUse",
        f"Stopped/Stopped/-/-/{done}/InUse",
        f"Stopped/Stopped/-/-/{done}/Clearing",
        f"Stopped/Stopped/-/-/{done}/Cleared",
        "Stopped/Stopped/-/-/no/Pending/Cleared",
        "Stopped/Stopped/-/-/no/CompilingSql/Cleared",
        "Stopped/Stopped/-/-/no/SqlError/Cleared",
        "Stopped/Stopped/-/-/no/Pending/Cleared",
        "Stopped/Stopped/-/-/no/CompilingSql/Cleared",
        "Stopped/Stopped/-/-/no/SqlCompiled/Cleared",
        "Stopped/Stopped/-/-/no/CompilingRust/Cleared",
        f"Stopped/Stopped/-/-/{done}/Cleared",
        f"Stopped/Provisioned/-/-/{done}/Cleared",
        f"Stopped/Provisioned/-/-/{done}/InUse",
        f"Provisioning/Provisioned/-/-/{done}/InUse",
        f"Provisioned/Provisioned/Initializing/Running/{done}/InUse",
        f"Provisioned/Provisioned/Running/Running/{done}/InUse",
        f"Provisioned/Stopped/Running/Running/{done}/InUse",
        "Stopping/Stopped/-/-/yes/Success/InUse",
        "Stopped/Stopped/-/-/yes/Success/InUse",
        f"Stopped/Stopped/-/-/{done}/InUse",
    ]
    assert rest.state("life")["refresh_version"] <= 25


def test_the_client_reports_what_does_not_compile(client: FelderaClient, rest: Rest) -> None:
    with pytest.raises(RuntimeError) as caught:
        PipelineBuilder(client, "wrong", WRONG).create_or_replace()
    assert rest.http.delete("/pipelines/wrong").status_code == 200
    text = str(caught.value)
    assert text.startswith("Pipeline wrong failed to compile:\nCompilation error\n")
    assert "Object 'blah' not found" in text
    assert "    5|blah" in text


def test_starting_what_cannot_start_says_why(create: Create, rest: Rest) -> None:
    pipeline = create("unfit", NO_SUCH_COLUMN)
    with pytest.raises(RuntimeError, match="Unable to START the pipeline") as caught:
        pipeline.start()
    assert "unknown field `m`" in str(caught.value)
    p = rest.reaches("unfit", "Stopped")
    assert p["deployment_error"]["error_code"] == "ConfigError.InvalidTransportConfig"
    assert set(p["deployment_error"]) == {"message", "error_code", "details"}
    refused = rest.http.post("/pipelines/unfit/start?dismiss_error=false")
    assert refused.json()["error_code"] == "CannotStartWithUndismissedError"
    assert "unknown field `m`" in log_of(rest, "unfit")


def test_an_early_start_waits_for_the_program(create: Create, rest: Rest) -> None:
    body = {"name": "early", "program_code": QUIET}
    create("early", "-- nothing")
    rest.http.put("/pipelines/early", json=body)
    assert rest.http.post("/pipelines/early/start?initial=paused").status_code == 202
    rest.reaches("early", "Paused")
    rest.http.post("/pipelines/early/stop?force=true")
    rest.reaches("early", "Stopped")
    rest.http.patch("/pipelines/early", json={"program_code": "CREATE VIEW v AS SELECT * FROM nowhere;"})
    assert rest.http.post("/pipelines/early/start").status_code in (202, 400)  # 400: the compiler was faster
    p = rest.wait("early", lambda p: p["program_status"] == "SqlError", "the compiler's verdict")
    assert p["deployment_desired_status"] == "Stopped" or rest.wait(
        "early", lambda p: p["deployment_desired_status"] == "Stopped", "the wish to be taken back"
    )


def test_a_runtime_error_stops_the_pipeline(create: Create, rest: Rest) -> None:
    create("dividing", DIVIDING, "running")
    assert rest.push("dividing", 5, 2).status_code == 200
    assert rest.push("dividing", 0).status_code == 200
    p = rest.reaches("dividing", "Stopped")
    assert p["deployment_error"]["error_code"] == "RuntimeError.WorkerPanic"
    assert p["storage_status"] == "InUse"
    assert rest.http.get("/pipelines/dividing/stats").json()["error_code"] == "PipelineInteractionNotDeployed"
    assert rest.http.post("/pipelines/dividing/dismiss_error").status_code == 200
    assert rest.state("dividing")["deployment_error"] is None


def test_errors_of_a_running_pipeline(create: Create, rest: Rest, client: FelderaClient) -> None:
    pipeline = create("busy", QUIET, "running")
    with pytest.raises(FelderaAPIError) as caught:
        pipeline.delete()
    assert caught.value.error_code == "DeleteRestrictedToFullyStopped"
    with pytest.raises(FelderaAPIError) as caught:
        pipeline.modify(sql="-- other")
    assert caught.value.error_code == "UpdateRestrictedToStopped"
    with pytest.raises(FelderaAPIError) as caught:
        pipeline.stop(force=False)
    assert (caught.value.error_code, caught.value.status_code) == ("EnterpriseFeature", 501)
    assert rest.http.post("/pipelines/busy/clear").json()["error_code"] == "StorageStatusImmutableUnlessStopped"
    assert rest.http.post("/pipelines/busy/start").status_code == 202
    assert rest.http.post("/pipelines/busy/start?initial=paused").json()["error_code"] == (
        "InitialImmutableUnlessStopped"
    )
    assert pipeline.status() == PipelineStatus.RUNNING
    # Connector errors show up in the details, but do not move the counter all the time.
    before = rest.state("busy")["refresh_version"]
    for _ in range(20):
        assert rest.http.post("/pipelines/busy/ingress/t?format=json", content="[]").status_code == 400
    assert rest.state("busy", "status_with_connectors")["connectors"]["num_errors"] in (0, 20)
    assert rest.state("busy")["refresh_version"] <= before + 1
    with pytest.raises(FelderaAPIError) as caught:
        client.get_pipeline_stats("nobody")
    assert (caught.value.error_code, caught.value.details) == ("UnknownPipelineName", {"pipeline_name": "nobody"})


def test_a_pipeline_that_hangs_can_be_stopped(create: Create, rest: Rest) -> None:
    create("hanging", QUIET, "running")
    pid = rest.pid("hanging")
    assert os.getpgid(pid) == pid
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    for _ in range(2):
        assert rest.http.post("/pipelines/hanging/stop?force=true").status_code == 202
    rest.reaches("hanging", "Stopped")
    assert time.monotonic() - started < 5
    assert not alive(pid)


@pytest.mark.slow
def test_a_pipeline_that_does_not_answer_is_unavailable_until_it_does(create: Create, rest: Rest) -> None:
    create("silent", TICKING, "running")
    pid = rest.pid("silent")
    os.kill(pid, signal.SIGSTOP)
    try:
        error = rest.http.get("/pipelines/silent/stats").json()
        assert error["error_code"] == "PipelineInteractionUnreachable"
        assert "timeout (10s) was reached" in error["details"]["error"]
        rest.reaches("silent", "Unavailable")
        error = rest.http.get("/pipelines/silent/stats").json()
        assert (error["error_code"], error["details"]) == ("PipelineUnavailable", {"pipeline_name": "silent"})
    finally:
        os.kill(pid, signal.SIGCONT)
    assert rest.reaches("silent", "Running")["deployment_error"] is None
    before = rest.received("silent")
    wait_for("it to go on", lambda: rest.received("silent") > before)


def test_kill_9_of_a_pipeline_is_reported_and_harms_nobody_else(create: Create, rest: Rest) -> None:
    create("victim", TICKING, "running")
    create("other", TICKING, "running")
    incarnation = rest.http.get("/pipelines/other/stats").json()["global_metrics"]["incarnation_uuid"]
    os.kill(rest.pid("victim"), signal.SIGKILL)
    killed = time.monotonic()
    p = rest.wait("victim", lambda p: p["deployment_error"] is not None, "the error")
    assert time.monotonic() - killed < 2
    assert set(p["deployment_error"]) == {"message", "error_code", "details"}
    assert p["deployment_error"]["error_code"] == "PipelineTerminated"
    assert "signal 9 (SIGKILL)" in p["deployment_error"]["message"]
    assert rest.reaches("victim", "Stopped")["deployment_desired_status"] == "Stopped"
    before = rest.received("other")
    wait_for("the other pipeline to go on", lambda: rest.received("other") > before)
    same = rest.http.get("/pipelines/other/stats").json()["global_metrics"]["incarnation_uuid"]
    assert same == incarnation
    assert rest.http.get("/cluster_healthz").json()["all_healthy"]
    assert rest.http.post("/pipelines/victim/start").status_code == 202  # dismisses the error
    assert rest.reaches("victim", "Running")["deployment_error"] is None


def test_a_killed_server_finds_its_pipelines_again(create: Create, rest: Rest, server: Server) -> None:
    running, paused = create("running", TICKING, "running"), create("paused", QUIET, "running")
    create("doomed", QUIET, "running")
    rest.push("paused", 1, 2, 3)
    paused.pause()
    pids = {name: rest.pid(name) for name in ("running", "paused", "doomed")}
    before = rest.received("running")
    server.kill()
    os.kill(pids["doomed"], signal.SIGKILL)  # while nobody looks
    server.start()
    assert rest.state("running")["deployment_status"] == "Running"
    assert rest.state("paused")["deployment_status"] == "Paused"
    assert {name: rest.pid(name) for name in ("running", "paused")} == {
        name: pids[name] for name in ("running", "paused")
    }
    wait_for("rows that came while there was no server", lambda: rest.received("running") > before)
    assert list(paused.query("SELECT * FROM v")) == [{"n": 3, "total": 6}]
    assert rest.reaches("doomed", "Stopped")["deployment_error"]["error_code"] == "PipelineTerminated"
    # They go on being managed.
    paused.resume()
    running.pause()
    assert rest.state("running")["deployment_status"] == "Paused"
    os.kill(pids["paused"], signal.SIGKILL)
    assert rest.reaches("paused", "Stopped")["deployment_error"]["error_code"] == "PipelineTerminated"
    running.stop(force=True)
    assert not alive(pids["running"])


@pytest.mark.parametrize("delay", [0.05, *(pytest.param(d, marks=pytest.mark.slow) for d in (0.0, 0.1, 0.2, 0.5))])
def test_a_server_killed_while_a_pipeline_starts(create: Create, rest: Rest, server: Server, delay: float) -> None:
    create("starting", QUIET)
    assert rest.http.post("/pipelines/starting/start").status_code == 202
    time.sleep(delay)  # the moment of the crash is what is varied
    server.kill()
    server.start()
    rest.reaches("starting", "Running")
    named = [p for p in server.pipeline_processes() if p.pid == rest.pid("starting")]
    assert len(named) == 1
    assert rest.push("starting", 1).status_code == 200


def test_pipelines_outlive_a_server_that_is_asked_to_end(create: Create, rest: Rest, server: Server) -> None:
    create("patient", TICKING, "running")
    pid = rest.pid("patient")
    streams = [Stream(server, "logs"), Stream(server, "egress")]
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0
    for stream in streams:
        stream.thread.join(10)
        assert not stream.thread.is_alive()
    log = (server.data_dir / "server.log").read_text()
    assert "still running: patient" in log
    assert "Traceback" not in log
    assert alive(pid)
    server.start()
    assert rest.pid("patient") == pid
    assert rest.state("patient")["deployment_status"] == "Running"


class Stream:
    """An endless answer that a client reads in a thread until it ends."""

    def __init__(self, server: Server, kind: str) -> None:
        self._url = f"{server.url}/v0/pipelines/patient/"
        self._call = ("GET", self._url + "logs") if kind == "logs" else (
            "POST", self._url + "egress/v?format=json"
        )  # fmt: skip
        self._open = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        assert self._open.wait(10)

    def _read(self) -> None:
        with httpx.stream(*self._call, timeout=60) as response:
            self._open.set()
            for _ in response.iter_bytes():
                pass


def test_processes_without_a_pipeline_on_record_are_ended(create: Create, rest: Rest, server: Server) -> None:
    create("forgotten", QUIET, "running")
    pid = rest.pid("forgotten")
    server.kill()
    for file in server.data_dir.glob("millstream.db*"):
        file.unlink()
    server.start()
    wait_for("the orphan to end", lambda: not alive(pid))
    assert rest.http.get("/pipelines").json() == []
    assert list((server.data_dir / "pipelines").iterdir()) == []


def log_of(rest: Rest, name: str, **parameters: str) -> str:
    """What the log holds now."""
    text = b""
    timeout = httpx.Timeout(10, read=0.6)
    with rest.http.stream("GET", f"/pipelines/{name}/logs", params=parameters, timeout=timeout) as response:
        assert response.headers["content-type"] == "text/plain"
        try:
            for part in response.iter_raw():
                text += part
        except httpx.ReadTimeout:
            pass
    return text.decode()


def test_logs_are_replayed_followed_and_resumed(create: Create, rest: Rest) -> None:
    pipeline = create("talking", QUIET)
    first = log_of(rest, "talking").splitlines()
    assert len(first) == 1
    assert "Fresh start of pipeline logs" in first[0]
    pipeline.start()
    logs = pipeline.logs()
    seen = [next(logs) for _ in range(3)]
    assert seen[0] == first[0]
    pipeline.stop(force=True)
    while "Pipeline is stopped" not in seen[-1]:
        seen.append(next(logs))
    logs.close()
    assert any("pipeline is ready" in line for line in seen)
    assert log_of(rest, "talking").splitlines() == seen  # the log outlives the stop
    with pipeline.resume_logs() as stream:
        assert next(iter(stream)) == seen[0]
        cursor = stream.cursor()
    with pipeline.resume_logs(cursor) as stream:
        assert stream.position.gap == 0
        assert next(iter(stream)) == seen[1]


def test_the_log_ends_with_the_pipeline(rest: Rest) -> None:
    rest.create("leaving", "-- nothing")
    with rest.http.stream("GET", "/pipelines/leaving/logs") as response:
        rest.http.delete("/pipelines/leaving")
        assert b"Fresh start" in response.read()
    assert rest.http.get("/pipelines/leaving/logs").status_code == 404


def test_subscriptions_end_with_their_client_and_with_the_pipeline(create: Create, rest: Rest) -> None:
    pipeline = create("streaming", TICKING, "running")

    def outputs() -> int:
        return len(rest.http.get("/pipelines/streaming/stats").json()["outputs"])

    with rest.http.stream("POST", "/pipelines/streaming/egress/v?format=json") as response:
        lines = response.iter_lines()
        assert next(lines).startswith("{")
        assert outputs() == 1
    wait_for("the endpoint to go", lambda: outputs() == 0)
    with rest.http.stream("POST", "/pipelines/streaming/egress/v?format=json") as response:
        lines = response.iter_lines()
        next(lines)
        pipeline.stop(force=True)
        for _ in lines:
            pass


def test_a_push_into_a_paused_pipeline_waits(create: Create, rest: Rest) -> None:
    pipeline = create("waiting", QUIET, "paused")
    answers: list[int] = []
    pushing = threading.Thread(target=lambda: answers.append(rest.push("waiting", 1).status_code))
    pushing.start()
    time.sleep(0.3)  # nothing can be waited for: it has to stay blocked
    assert answers == []
    pipeline.resume()
    pushing.join(20)
    assert answers == [200]


def test_pausing_while_a_pipeline_starts_decides_what_it_becomes(create: Create, rest: Rest) -> None:
    create("undecided", TICKING)
    rest.http.post("/pipelines/undecided/start")
    wait_for("the pause to be accepted", lambda: rest.http.post("/pipelines/undecided/pause").status_code == 202)
    p = rest.reaches("undecided", "Paused")
    assert p["deployment_desired_status"] == "Paused"


def test_large_bodies_stream_through(create: Create, rest: Rest) -> None:
    create("large", QUIET, "running")

    def rows() -> Iterator[bytes]:
        for start in range(0, 300_000, 1000):
            yield b"".join(b'{"n":%d}' % n for n in range(start, start + 1000))

    response = rest.http.post("/pipelines/large/ingress/t?format=json&update_format=raw", content=rows())
    assert response.status_code == 200
    token = response.json()["token"]
    completion = {"token": token}
    wait_for(
        "completion",
        lambda: rest.http.get("/pipelines/large/completion_status", params=completion).json()["status"] == "complete",
    )
    answer = rest.http.get("/pipelines/large/query", params={"sql": "SELECT n FROM t", "format": "json"})
    assert len(answer.text.splitlines()) == 300_000


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "millstream.cli.main", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_server_is_told_what_is_in_its_way(server: Server, tmp_path: Any) -> None:
    assert server.process is not None
    same_data = run_server("--port", "0", "--data-dir", str(server.data_dir))
    assert same_data.returncode == 1
    assert f"DataDirectoryLocked: another server (process {server.process.pid}) uses" in same_data.stderr
    same_port = run_server("--port", str(server.port), "--data-dir", str(tmp_path / "other"))
    assert same_port.returncode == 1
    assert f"port {server.port} is in use by another program" in same_port.stderr
    (tmp_path / "file").write_text("")
    no_directory = run_server("--port", "0", "--data-dir", str(tmp_path / "file"))
    assert no_directory.returncode == 1
    assert "DataDirectoryNotUsable" in no_directory.stderr
    assert "Traceback" not in same_data.stderr + same_port.stderr + no_directory.stderr


def test_the_client_sees_a_server_of_its_own_version(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = FelderaClient(server.url)
    assert caplog.text == ""
    assert client.get_config().edition.value == "Open source"
