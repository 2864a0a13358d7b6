"""NOW() of a pipeline whose clock is moved over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Server, wait_for

PROGRAM = """
CREATE TABLE events (id BIGINT NOT NULL PRIMARY KEY, ts TIMESTAMP);
CREATE MATERIALIZED VIEW recent AS SELECT id FROM events WHERE ts >= NOW() - INTERVAL 1 HOUR;
"""


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    body = {
        "name": "clock",
        "program_code": PROGRAM,
        "runtime_config": {"dev_tweaks": {"now_http_driven": True, "now_offset": "2030-01-01T00:00:00Z"}},
    }
    with httpx.Client(base_url=f"{server.url}/v0", timeout=60) as client:
        client.post("/pipelines", json=body).raise_for_status()
        wait_for("the program", lambda: client.get("/pipelines/clock").json()["program_status"] == "Success")
        client.post("/pipelines/clock/start").raise_for_status()
        wait_for("the pipeline", lambda: client.get("/pipelines/clock").json()["deployment_status"] == "Running")
        yield client
        client.post("/pipelines/clock/stop", params={"force": "true"})


def advance(api: httpx.Client, body: Any) -> dict[str, Any]:
    answer = api.post("/pipelines/clock/clock/advance", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def recent(api: httpx.Client) -> list[int]:
    answer = api.get("/pipelines/clock/query", params={"sql": "SELECT id FROM recent ORDER BY id", "format": "json"})
    return [int(line.partition(":")[2].strip(" }")) for line in answer.text.splitlines()]


def test_the_clock_starts_at_its_offset_and_reading_does_not_move_it(api: httpx.Client) -> None:
    first = advance(api, {"delta_ms": 0})
    assert first["now"].startswith("2030-01-01T00:00:0")
    assert advance(api, {"delta_ms": 0}) == first


def test_views_follow_the_clock(api: httpx.Client) -> None:
    now = datetime.fromisoformat(advance(api, {"delta_ms": 0})["now"])
    rows = "".join(
        f'{{"id": {i}, "ts": "{(now + timedelta(minutes=30 * i)).strftime("%Y-%m-%d %H:%M:%S")}"}}\n' for i in range(4)
    )
    answer = api.post(
        "/pipelines/clock/ingress/events", params={"format": "json", "update_format": "raw"}, content=rows
    )
    assert answer.status_code == 200, answer.text
    wait_for("all events to show", lambda: recent(api) == [0, 1, 2, 3])
    moved = advance(api, {"delta_ms": 90 * 60_000})
    assert datetime.fromisoformat(moved["now"]) == now + timedelta(minutes=90)
    wait_for("the first event to leave", lambda: recent(api) == [1, 2, 3])
    advance(api, {"delta_ms": 24 * 3_600_000})
    wait_for("all events to leave", lambda: recent(api) == [])


def test_steps_are_rounded_up_to_the_resolution(api: httpx.Client) -> None:
    before = advance(api, {"delta_ms": 0})["now_ms"]
    assert advance(api, {"delta_ms": 1})["now_ms"] == before + 1000
    assert advance(api, None)["now_ms"] == before + 2000
    assert advance(api, {})["now_ms"] == before + 3000


@pytest.mark.parametrize("body", [{"delta_ms": -1}, {"delta_ms": "soon"}, {"delta_ms": 1.5}, {"delta_ms": 10**30}])
def test_bad_steps_are_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    before = advance(api, {"delta_ms": 0})
    assert api.post("/pipelines/clock/clock/advance", json=body).status_code == 400
    assert advance(api, {"delta_ms": 0}) == before
