"""Ad-hoc queries over a WebSocket, through the server (api.md §18.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from millstream.pipeline.routes.query_socket import MAX_FRAME_BYTES
from tests.integration.conftest import Server
from tests.integration.rest import Rest, wait_for

PROGRAM = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY, s VARCHAR) WITH ('materialized' = 'true');
CREATE VIEW hidden AS SELECT n FROM t;"""


@pytest.fixture(scope="module")
def url(server: Server, rest: Rest) -> Iterator[str]:
    """The address of a pipeline's socket; its table has three rows."""
    rest.create("asked", PROGRAM)
    rest.start("asked")
    token = rest.push("asked", 1, 2, 3).json()["token"]
    wait_for("the rows", lambda: rest.completed("asked", token))
    yield server.url.replace("http", "ws") + "/v0/pipelines/asked/query"
    rest.remove("asked")


def frames(socket: ClientConnection) -> tuple[list[str | bytes], int | None]:
    """Everything until the server closes, and the code that it closes with."""
    received: list[str | bytes] = []
    try:
        while True:
            received.append(socket.recv(timeout=60))
    except ConnectionClosed as closed:
        return received, None if closed.rcvd is None else closed.rcvd.code


def ask(url: str, *queries: Any) -> tuple[list[str | bytes], int | None]:
    """What comes for queries that are sent at once."""
    with connect(url, max_size=None) as socket:
        for query in queries:
            socket.send(query if isinstance(query, str | bytes) else json.dumps(query))
        return frames(socket)


def joined(received: list[str | bytes]) -> bytes:
    return b"".join(part.encode() if isinstance(part, str) else part for part in received)


COUNT = "SELECT COUNT(*) AS n FROM t"


def test_the_text_formats_come_in_text_frames(url: str) -> None:
    received, code = ask(url, {"sql": COUNT})
    assert code == 1000
    assert all(isinstance(part, str) for part in received)
    assert b"| 3 |" in joined(received)
    received, code = ask(url, {"sql": "SELECT n FROM t ORDER BY n", "format": "json"})
    assert [json.loads(line) for line in joined(received).splitlines()] == [{"n": 1}, {"n": 2}, {"n": 3}]
    (digest,), code = ask(url, {"sql": COUNT, "format": "hash"})
    assert (len(digest), code) == (64, 1000)


def test_the_binary_formats_come_in_binary_frames(url: str) -> None:
    received, _ = ask(url, {"sql": COUNT, "format": "arrow_ipc"})
    assert all(isinstance(part, bytes) for part in received)
    assert pa.ipc.open_stream(joined(received)).read_all().to_pylist() == [{"n": 3}]
    received, _ = ask(url, {"sql": COUNT, "format": "parquet"})
    assert pq.read_table(pa.BufferReader(joined(received))).to_pylist() == [{"n": 3}]


def test_many_queries_on_one_connection_are_answered_in_order(url: str) -> None:
    received, code = ask(url, *({"sql": f"SELECT {i} AS i", "format": "json"} for i in range(20)))
    assert code == 1000
    assert [json.loads(line)["i"] for line in joined(received).splitlines()] == list(range(20))


def test_large_results_come_in_frames_of_bounded_size(url: str) -> None:
    text = "SELECT repeat('ä', 3000000) AS s"
    received, code = ask(url, {"sql": text, "format": "json"})
    assert code == 1000
    assert len(received) >= 3
    assert max(len(joined([part])) for part in received) <= MAX_FRAME_BYTES
    assert json.loads(joined(received)) == {"s": "ä" * 3_000_000}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"sql": "SELECT * FROM nowhere"}, "nowhere"),
        ({"sql": "SELECT * FROM hidden"}, "materialized"),
        ({"sql": "SELECT 1", "format": "yaml"}, "yaml"),
        ({"format": "json"}, "sql"),
        ("SELECT 1", "JSON"),
        (b"\xff\xfe", "JSON"),
        ({"sql": ""}, "empty"),
    ],
)
def test_a_failure_is_a_frame_with_the_error_and_then_the_end(url: str, query: Any, named: str) -> None:
    received, code = ask(url, query)
    assert code == 1011
    error = json.loads(received[-1])
    assert (set(error), error["error_code"]) == ({"message", "error_code", "details"}, "AdHocQueryError")
    assert named in error["message"]


def test_what_was_asked_before_a_failure_is_answered(url: str) -> None:
    received, code = ask(url, {"sql": "SELECT 1 AS i", "format": "json"}, {"sql": "nonsense"}, {"sql": "SELECT 2"})
    assert (code, json.loads(received[0])) == (1011, {"i": 1})
    assert json.loads(received[-1])["error_code"] == "AdHocQueryError"


def test_a_socket_to_nowhere_is_refused_in_the_handshake(server: Server, url: str, rest: Rest) -> None:
    rest.create("idle_socket", PROGRAM)
    for name, status, code in (
        ("nobody", 404, "UnknownPipelineName"),
        ("idle_socket", 503, "PipelineInteractionNotDeployed"),
    ):
        with pytest.raises(InvalidStatus) as refused, connect(url.replace("asked", name)):
            pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error_code"] == code
    rest.remove("idle_socket")


def test_a_client_that_goes_away_leaves_the_pipeline_alone(url: str, rest: Rest) -> None:
    for _ in range(5):
        with connect(url) as socket:
            socket.send(json.dumps({"sql": "SELECT COUNT(*) FROM range(1, 100000000)", "format": "json"}))
    assert ask(url, {"sql": COUNT, "format": "json"})[1] == 1000
    assert rest.state("asked")["deployment_status"] == "Running"
