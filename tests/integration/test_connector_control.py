"""The heart of the product, as its users drive it: the official client and curl against a real server."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from feldera import FelderaClient, Pipeline, PipelineBuilder

from tests.integration.conftest import Server, wait_for

RATE = 2000
TWO_CONNECTORS = f"""
CREATE TABLE numbers (n BIGINT, source VARCHAR) WITH ('materialized' = 'true', 'connectors' = '[
  {{"name": "a", "transport": {{"name": "datagen", "config": {{"plan": [{{"rate": {RATE}, "fields": {{
      "source": {{"values": ["a"]}}}}}}]}}}}}},
  {{"name": "b", "paused": true, "transport": {{"name": "datagen", "config": {{"plan": [{{"rate": {RATE}, "fields": {{
      "source": {{"values": ["b"]}}}}}}]}}}}}}
]');
CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, text VARCHAR);
CREATE MATERIALIZED VIEW totals AS SELECT source, COUNT(*) AS n FROM numbers GROUP BY source;
CREATE VIEW loud AS SELECT id, UPPER(text) AS text FROM notes;
"""


@pytest.fixture
def client(server: Server) -> FelderaClient:
    return server.client()


@pytest.fixture
def pipeline(client: FelderaClient) -> Iterator[Pipeline]:
    made = PipelineBuilder(client, "control", TWO_CONNECTORS).create_or_replace()
    yield made
    made.stop(force=True)
    made.delete(clear_storage=True)


def stats(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = pipeline.client.get_pipeline_stats(pipeline.name)
    return found


def connector(pipeline: Pipeline, name: str) -> dict[str, Any]:
    return next(i for i in stats(pipeline)["inputs"] if i["endpoint_name"] == f"numbers.{name}")


def received(pipeline: Pipeline, name: str) -> int:
    return int(connector(pipeline, name)["metrics"]["total_records"])


def counts(pipeline: Pipeline) -> dict[str, int]:
    return {row["source"]: int(row["n"]) for row in pipeline.query("SELECT * FROM totals")}


def grows(pipeline: Pipeline, name: str) -> None:
    before = received(pipeline, name)
    wait_for(f"{name} to read on", lambda: received(pipeline, name) > before)


def stands_still(pipeline: Pipeline, name: str, other: str | None) -> None:
    """`name` reads nothing while `other` reads (or, without other, while the clock of the pipeline goes on)."""
    wait_for(f"{name} to drain", lambda: connector(pipeline, name)["metrics"]["buffered_records"] == 0)
    before = received(pipeline, name)
    if other is not None:
        grows(pipeline, other)
        grows(pipeline, other)
    else:
        uptime = stats(pipeline)["global_metrics"]["uptime_msecs"]
        wait_for("time to pass", lambda: stats(pipeline)["global_metrics"]["uptime_msecs"] > uptime + 300)
    assert received(pipeline, name) == before


def test_only_running_connectors_of_a_running_pipeline_feed(pipeline: Pipeline) -> None:
    pipeline.start()
    # Pipeline running: a runs, b was created paused.
    assert connector(pipeline, "a")["paused"] is False
    assert connector(pipeline, "b")["paused"] is True
    grows(pipeline, "a")
    stands_still(pipeline, "b", other="a")
    assert received(pipeline, "b") == 0
    wait_for("the view to follow", lambda: set(counts(pipeline)) == {"a"})
    # The other way round.
    pipeline.start_input_connector("numbers", "b")
    pipeline.pause_input_connector("numbers", "a")
    assert connector(pipeline, "a")["paused"] is True
    assert connector(pipeline, "b")["paused"] is False
    grows(pipeline, "b")
    stands_still(pipeline, "a", other="b")
    # Pipeline paused: neither reads, and the flags stay what they were.
    pipeline.pause()
    assert stats(pipeline)["global_metrics"]["state"] == "Paused"
    stands_still(pipeline, "a", other=None)
    stands_still(pipeline, "b", other=None)
    assert (connector(pipeline, "a")["paused"], connector(pipeline, "b")["paused"]) == (True, False)
    # A connector started while the pipeline is paused reads only after the resumption.
    pipeline.start_input_connector("numbers", "a")
    assert connector(pipeline, "a")["paused"] is False
    stands_still(pipeline, "a", other=None)
    pipeline.resume()
    grows(pipeline, "a")
    grows(pipeline, "b")
    # What was received is what the view counts.
    pipeline.pause_input_connector("numbers", "a")
    pipeline.pause_input_connector("numbers", "b")
    wait_for("all to be processed", lambda: _settled(pipeline))
    assert counts(pipeline) == {"a": received(pipeline, "a"), "b": received(pipeline, "b")}


def _settled(pipeline: Pipeline) -> bool:
    metrics = stats(pipeline)["global_metrics"]
    first = metrics["total_input_records"]
    again = stats(pipeline)["global_metrics"]
    return bool(first == again["total_input_records"] == again["total_completed_records"])


@pytest.mark.filterwarnings("ignore:'epoch' date format")  # what input_pandas of the client calls in pandas
def test_client_reads_writes_and_listens(pipeline: Pipeline) -> None:
    pipeline.start_paused()
    listener = pipeline.listen("loud")
    pipeline.resume()
    frame = pd.DataFrame({"id": [1, 2, 3], "text": ["one", "two", None]})
    pipeline.input_pandas("notes", frame)
    rows = sorted(pipeline.query("SELECT * FROM notes"), key=lambda r: r["id"])
    assert rows == [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}, {"id": 3, "text": None}]
    pipeline.input_json("notes", [{"insert": {"id": 2, "text": "zwei"}}, {"delete": {"id": 3}}],
                        update_format="insert_delete")  # fmt: skip
    wait_for("the listener to see all changes", lambda: len(listener.to_dict(clear_buffer=False)) >= 6)
    changes = sorted((r["id"], r["text"] or "", r["insert_delete"]) for r in listener.to_dict())
    assert changes == [(1, "ONE", 1), (2, "TWO", -1), (2, "TWO", 1), (2, "ZWEI", 1), (3, "", -1), (3, "", 1)]
    token = pipeline.generate_completion_token("numbers", "a")
    pipeline.wait_for_token(token)
    table = list(pipeline.query_arrow("SELECT COUNT(*) AS n FROM notes"))
    assert table[0].to_pydict() == {"n": [2]}
    assert "zwei" in "".join(pipeline.query_tabular("SELECT text FROM notes WHERE id = 2"))
    pipeline.execute("INSERT INTO notes VALUES (7, 'seven')")
    wait_for("the inserted row", lambda: len(list(pipeline.query("SELECT * FROM notes WHERE id = 7"))) == 1)


def test_limited_inputs_complete(client: FelderaClient) -> None:
    sql = """CREATE TABLE t (n BIGINT) WITH ('connectors' = '[
        {"name": "c", "transport": {"name": "datagen", "config": {"plan": [{"limit": 5}]}}}]');
        CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n, SUM(n) AS total FROM t;"""
    pipeline = PipelineBuilder(client, "limited", sql).create_or_replace()
    pipeline.start()
    pipeline.wait_for_completion(timeout_s=30)
    assert list(pipeline.query("SELECT * FROM v")) == [{"n": 5, "total": 10}]
    status = pipeline.input_connector_stats("t", "c")
    assert status.metrics.total_records == 5
    assert status.metrics.total_bytes == 40
    pipeline.stop(force=True)
    pipeline.delete(clear_storage=True)


# Every row of the error list, through curl.

CASES = """CREATE TABLE Numbers1 (n BIGINT) WITH ('connectors' = '[
  {"name": "c1", "transport": {"name": "datagen", "config": {"plan": [{"limit": 3}]}}}]');
CREATE TABLE "Quoted" (n BIGINT) WITH ('connectors' = '[
  {"name": "c1", "transport": {"name": "datagen", "config": {"plan": [{"limit": 3}]}}}]');
CREATE TABLE "numbers +C0_-,.!%()&/" (n BIGINT) WITH ('connectors' = '[
  {"name": "c1", "transport": {"name": "datagen", "config": {"plan": [{"limit": 3}]}}}]');
CREATE VIEW v WITH ('connectors' = '[
  {"name": "out", "transport": {"name": "null_output"}, "format": {"name": "json"}}]') AS SELECT * FROM numbers1;
"""


@pytest.fixture(scope="module")
def addressed(server: Server) -> Iterator[Pipeline]:
    made = PipelineBuilder(server.client(), "addressed", CASES).create_or_replace()
    made.start()
    yield made
    made.stop(force=True)
    made.delete(clear_storage=True)


def curl(server: Server, path: str, method: str = "POST") -> tuple[int, Any]:
    """Status and body (JSON if it is any) of `/v0/pipelines/<path>`."""
    command = ["curl", "-s", "-X", method, "-w", "\n%{http_code}", f"{server.url}/v0/pipelines/{path}"]
    body, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit("\n", 1)
    try:
        return int(status), json.loads(body)
    except ValueError:
        return int(status), body


@pytest.mark.parametrize("table", ["numbers1", "Numbers1", "NUMBERS1", "%22numbers1%22", "%22Quoted%22",
                                   "%22numbers%20%2BC0_-%2C.!%25()%26%2F%22"])  # fmt: skip
def test_table_segment_is_a_sql_identifier(server: Server, addressed: Pipeline, table: str) -> None:
    for action in ("pause", "pause", "start", "start"):
        assert curl(server, f"addressed/tables/{table}/connectors/c1/{action}") == (200, "")


@pytest.mark.parametrize(
    ("path", "status", "code", "message", "details"),
    [
        ("addressed/tables/numbers1/connectors/c1/START", 400, "InvalidConnectorAction",
         "Invalid connector action 'START'; valid actions are: 'start' or 'pause'", {"action": "START"}),
        ("addressed/tables/numbers1/connectors/c1/action2", 400, "InvalidConnectorAction",
         "Invalid connector action 'action2'; valid actions are: 'start' or 'pause'", {"action": "action2"}),
        ("unknown/tables/numbers1/connectors/c1/action2", 400, "InvalidConnectorAction",
         "Invalid connector action 'action2'; valid actions are: 'start' or 'pause'", {"action": "action2"}),
        ("unknown/tables/numbers1/connectors/c1/start", 404, "UnknownPipelineName", None, {"pipeline_name": "unknown"}),
        ("addressed/tables/nope/connectors/c1/start", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'nope.c1'", {"endpoint_name": "nope.c1"}),
        ("addressed/tables/numbers1/connectors/c2/pause", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'numbers1.c2'", {"endpoint_name": "numbers1.c2"}),
        ("addressed/tables/numbers1/connectors/C1/pause", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'numbers1.C1'", {"endpoint_name": "numbers1.C1"}),
        ("addressed/tables/%22Numbers1%22/connectors/c1/pause", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'Numbers1.c1'", {"endpoint_name": "Numbers1.c1"}),
        ("addressed/tables/quoted/connectors/c1/pause", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'quoted.c1'", {"endpoint_name": "quoted.c1"}),
        ("addressed/tables/v/connectors/out/pause", 404, "UnknownInputEndpoint",
         "unknown input endpoint name 'v.out'", {"endpoint_name": "v.out"}),
    ],
)  # fmt: skip
def test_errors_of_connector_control(
    server: Server, addressed: Pipeline, path: str, status: int, code: str, message: str | None, details: Any
) -> None:
    got, body = curl(server, path)
    assert (got, body["error_code"], body["details"]) == (status, code, details)
    assert set(body) == {"message", "error_code", "details"}
    assert message is None or body["message"] == message


def test_unknown_output_endpoint(server: Server, addressed: Pipeline) -> None:
    status, body = curl(server, "addressed/views/v/connectors/nope/stats", "GET")
    assert (status, body["error_code"]) == (404, "UnknownOutputEndpoint")
    status, body = curl(server, "addressed/views/v/connectors/out/stats", "GET")
    assert (status, body["endpoint_name"]) == (200, "v.out")


def test_connector_of_a_pipeline_that_is_not_deployed(server: Server) -> None:
    PipelineBuilder(server.client(), "idle", CASES).create_or_replace()
    status, body = curl(server, "idle/tables/numbers1/connectors/c1/start")
    assert (status, body["error_code"]) == (503, "PipelineInteractionNotDeployed")
    assert set(body["details"]) == {"pipeline_name", "status", "desired_status"}


def test_finished_connector_accepts_control_and_reads_nothing_again(server: Server, addressed: Pipeline) -> None:
    def status() -> dict[str, Any]:
        return dict(curl(server, "addressed/tables/numbers1/connectors/c1/stats", "GET")[1])

    wait_for("the end of input", lambda: status()["metrics"]["end_of_input"])
    for action, paused in (("pause", True), ("start", False), ("start", False)):
        assert curl(server, f"addressed/tables/numbers1/connectors/c1/{action}") == (200, "")
        assert status()["paused"] is paused
    assert status()["metrics"]["total_records"] == 3


def test_concurrent_control_never_deadlocks(pipeline: Pipeline) -> None:
    pipeline.start()

    def toggle() -> None:
        client = FelderaClient(pipeline.client.config.url)
        for _ in range(15):
            client.pause_input_connector("control", "numbers", "a")
            client.start_input_connector("control", "numbers", "a")

    threads = [threading.Thread(target=toggle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert connector(pipeline, "a")["paused"] is False
    grows(pipeline, "a")
