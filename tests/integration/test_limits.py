"""A server among clients that are many, slow, or gone without a word (api.md §2, §16, §17)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from millstream.pipeline.routes.common import MAX_CONNECTIONS
from tests.integration.conftest import Create, Server
from tests.integration.rest import Rest, wait_for

PROGRAM = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY) WITH ('materialized' = 'true');
CREATE MATERIALIZED VIEW v AS SELECT n, REPEAT('x', 1000) AS s FROM t;"""


@pytest.fixture(scope="module")
def busy(rest: Rest) -> Iterator[str]:
    """A running pipeline."""
    rest.create("busy", PROGRAM)
    rest.start("busy")
    yield "busy"
    rest.remove("busy")


def send(server: Server, text: str) -> socket.socket:
    """A connection on which something was sent."""
    connected = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connected.sendall(text.encode())
    return connected


def subscribe(server: Server, name: str, parameters: str = "format=json") -> socket.socket:
    return send(
        server,
        f"POST /v0/pipelines/{name}/egress/v?{parameters} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n",
    )


def status(connected: socket.socket) -> int:
    """The status of the answer that comes."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connected.recv(4096)
        assert part, "the connection was closed"
        received += part
    return int(received.split()[1])


def subscriptions(rest: Rest, name: str) -> int:
    outputs = rest.http.get(f"/pipelines/{name}/stats").json()["outputs"]
    return sum(".api-" in output["endpoint_name"] for output in outputs)


def test_data_connections_are_limited(server: Server, rest: Rest, busy: str) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(subscribe(server, busy)) for _ in range(MAX_CONNECTIONS)]
        assert {status(one) for one in opened} == {200}
        refused = rest.http.post(f"/pipelines/{busy}/egress/v?format=json")
        assert (refused.status_code, refused.json()["error_code"]) == (429, "ApiConnectionLimit")
        assert rest.push(busy, 1).status_code == 429
        # Everything else is served as before, and a place that becomes free is given again.
        assert rest.http.get(f"/pipelines/{busy}/stats").status_code == 200
        opened[0].close()
        wait_for("a free place", lambda: rest.push(busy, 1).status_code == 200)
    wait_for("the places to be given back", lambda: subscriptions(rest, busy) == 0)


def test_requests_that_never_end_hold_up_nobody(server: Server, rest: Rest, busy: str) -> None:
    pieces = (
        "",
        "GET /v0/pip",
        "GET /v0/pipelines HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        "POST /v0/pipelines HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
        f"POST /v0/pipelines/{busy}/ingress/t?format=json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        'Content-Length: 1000\r\n\r\n{"insert": ',
    )
    with ExitStack() as stack:
        for piece in pieces * 10:
            stack.enter_context(send(server, piece))
        assert rest.http.get("/pipelines").status_code == 200
        assert rest.push(busy, 2).status_code == 200
        # A body that ends with its connection gives no error on the server, and its place is free again.
    wait_for("the connections to be forgotten", lambda: rest.push(busy, 3).status_code == 200)
    assert "Traceback" not in (server.data_dir / "server.log").read_text()


def test_a_subscriber_that_does_not_read_holds_up_nobody(create: Create, server: Server, rest: Rest) -> None:
    create("unread", PROGRAM, "running")
    with subscribe(server, "unread") as silent:
        assert status(silent) == 200
        for block in range(40):
            assert rest.push("unread", *range(block * 500, block * 500 + 500)).status_code == 200
        total = 20_000
        wait_for("all rows", lambda: _processed(rest, "unread") == total)
    wait_for("the subscription to end", lambda: subscriptions(rest, "unread") == 0)


def _processed(rest: Rest, name: str) -> int:
    return int(rest.http.get(f"/pipelines/{name}/stats").json()["global_metrics"]["total_processed_records"])


def test_bytes_that_are_no_request_are_refused(server: Server, rest: Rest) -> None:
    for text in ("\x00\x01\x02\r\n\r\n", "nonsense\r\n\r\n", "GET /v0/pipelines HTTP/9.9\r\n\r\n"):
        with send(server, text) as connected:
            assert connected.recv(4096)[:12] in (b"HTTP/1.1 400", b"")
    with send(server, "GET /" + "a" * 200_000 + " HTTP/1.1\r\nHost: x\r\n\r\n") as connected:
        assert connected.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 414", b"HTTP/1.1 431", b"")
    assert rest.http.get("/pipelines").status_code == 200


def test_a_server_that_ends_ends_its_answers(server: Server, rest: Rest, busy: str) -> None:
    with subscribe(server, busy) as stream, send(server, "GET /v0/pip") as half:
        assert status(stream) == 200
        logs = send(server, f"GET /v0/pipelines/{busy}/logs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert status(logs) == 200
        assert server.process is not None
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 15
        for connected in (stream, logs, half):
            while connected.recv(65536):
                pass
        logs.close()
    server.start()
    assert rest.state(busy)["deployment_status"] == "Running"
