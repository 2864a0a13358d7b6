"""What a pipeline process answers in every state of its life (api.md §3.3, §10.2, §10.6).

`tests/manager/test_state_machine.py` has the machine around it: whether there is a process at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from millstream.errors import EvaluationError
from millstream.pipeline.host import Host, Spec
from millstream.pipeline.server import create_app

PROGRAM = """CREATE TABLE t (n BIGINT) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "c", "format": {"name": "csv"}, "transport": {"name": "empty_input"}}]');
CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t;"""
UNFIT = PROGRAM.replace('"empty_input"', '"file_input", "config": {"path": "/nowhere/at/all"}')

#: Everything that needs a pipeline that is ready, as (method, target).
REQUESTS = (
    ("POST", "/ingress/t?format=json&force=true"),
    ("POST", "/egress/nothing?format=json"),
    ("GET", "/query?sql=SELECT%201"),
    ("GET", "/completion_status?token=x"),
    ("GET", "/tables/t/connectors/c/completion_token"),
    ("GET", "/tables/t/connectors/c/stats"),
    ("POST", "/tables/t/connectors/c/start"),
    ("POST", "/tables/t/connectors/c/pause"),
    ("GET", "/views/v/connectors/c/stats"),
    ("GET", "/stats"),
    ("GET", "/metrics"),
    ("GET", "/time_series"),
    ("GET", "/time_series_stream"),
    ("POST", "/start_transaction"),
    ("POST", "/commit_transaction"),
    ("POST", "/clock/advance"),
)
TRANSITIONS = (("POST", "/pause"), ("POST", "/resume"))

#: What a pipeline that is ready answers to `REQUESTS`: the table that is asked for does not exist, "x" is no token, the
#: view has no connector, the clock is not driven over HTTP. An endless answer is not asked for here.
READY = [200, 404, 200, 400, 200, 200, 200, 200, 404, 200, 200, 200, None, 200, 200, 400]


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def build(program: str = PROGRAM, initial: str = "running") -> Host:
        spec = Spec("id", "p", program, {}, initial, "deployment", str(tmp_path))
        made.append(Host(spec, on_exit=lambda _: None))
        return made[-1]

    yield build
    for host in made:
        host.shutdown()


def ask(host: Host, method: str, target: str) -> tuple[int, Any]:
    """Status, and the JSON if the answer is JSON, of one request."""

    async def send() -> tuple[int, Any]:
        transport = httpx.ASGITransport(create_app(host, "token", "proof"))
        headers = {"X-Millstream-Token": "token"}
        async with httpx.AsyncClient(transport=transport, base_url="http://pipeline", headers=headers) as client:
            response = await client.request(method, target)
            is_json = response.headers.get("content-type") == "application/json" and response.content
            return response.status_code, response.json() if is_json else response.text

    return asyncio.run(send())


def refused(host: Host, status: int, code: str) -> None:
    """Every request that needs a ready pipeline gets this error."""
    for method, target in REQUESTS:
        got, body = ask(host, method, target)
        assert (got, body["error_code"]) == (status, code), target
        assert set(body) == {"message", "error_code", "details"}


def test_while_it_initializes_only_its_future_can_be_changed(make_host: Callable[..., Host]) -> None:
    host = make_host()
    refused(host, 503, "Initializing")
    assert ask(host, "GET", "/status")[1]["runtime_status"] == "Initializing"
    assert ask(host, "POST", "/pause") == (202, "Pipeline transitioning from Initializing to Paused")
    host.initialize()
    assert ask(host, "GET", "/status")[1]["runtime_status"] == "Paused"


@pytest.mark.parametrize("initial", ["running", "paused"])
def test_a_ready_pipeline_answers_running_and_paused_alike(make_host: Callable[..., Host], initial: str) -> None:
    host = make_host(initial=initial)
    host.initialize()
    status = initial.capitalize()
    assert ask(host, "GET", "/status")[1]["runtime_status"] == status
    for (method, target), expected in zip(REQUESTS, READY, strict=True):
        if expected is not None:
            assert ask(host, method, target)[0] == expected, target
    for method, target in TRANSITIONS * 2:
        new = "Paused" if target == "/pause" else "Running"
        assert ask(host, method, target) == (202, f"Pipeline transitioning from {status} to {new}")
        status = new
        assert ask(host, "GET", "/status")[1]["runtime_status"] == status


def test_repeating_a_transition_is_accepted(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.initialize()
    assert ask(host, "POST", "/resume") == (202, "Pipeline transitioning from Running to Running")
    ask(host, "POST", "/pause")
    assert ask(host, "POST", "/pause") == (202, "Pipeline transitioning from Paused to Paused")


def test_a_pipeline_that_could_not_start_says_why(make_host: Callable[..., Host]) -> None:
    host = make_host(UNFIT)
    host.initialize()
    refused(host, 500, "InitializationError")
    status, body = ask(host, "POST", "/pause")
    assert (status, body["error_code"]) == (500, "InitializationError")
    assert "/nowhere/at/all" in ask(host, "GET", "/status")[1]["error"]["message"]
    assert "/nowhere/at/all" in body["message"]


def test_a_pipeline_that_failed_is_terminating(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.initialize()
    host.fail(EvaluationError("Division by zero"))
    refused(host, 410, "Terminating")
    for method, target in TRANSITIONS:
        assert ask(host, method, target)[1]["error_code"] == "Terminating"
    assert ask(host, "GET", "/status")[1]["error"]["error_code"] == "RuntimeError.WorkerPanic"


def test_a_pipeline_that_stops_is_terminating(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.initialize()
    host.shutdown()
    refused(host, 410, "Terminating")
    for method, target in TRANSITIONS:
        assert ask(host, method, target)[1]["error_code"] == "Terminating"


def test_a_pipeline_that_stops_before_it_is_ready_never_runs(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.shutdown()
    host.initialize()
    refused(host, 410, "Terminating")
