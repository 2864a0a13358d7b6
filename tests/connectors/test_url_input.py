"""`url_input` against a real server: whole documents, pauses, ranges, and what servers get wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.connectors import url_input
from millstream.connectors.url_input import shown_url
from millstream.errors import MillstreamError

from .http_server import PIECE, Server, serving
from .support import MemorySink, make_input, refusal, run

DOCUMENT = b"".join(b"%d,line %d\n" % (i, i) for i in range(40))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    with serving(DOCUMENT) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    shared_server.requests.clear()
    yield shared_server
    shared_server.gate.set()


def _read(server: Server, path: str, sink: MemorySink | None = None, **options: object) -> MemorySink:
    return run(make_input("url_input", {"path": server.url(path), **options}), sink)


def _failure(sink: MemorySink) -> str:
    assert (sink.inputs_ended, sink.byte_stream_ended) == (0, 0)
    ((tag, message, fatal),) = sink.errors
    assert (tag, fatal) == ("url_input", True)
    return message


@pytest.mark.parametrize("path", ["/ranges", "/no-ranges", "/chunked", "/dripping", "/partial", "/ranges?x=1"])
def test_a_document_is_read_to_its_end(server: Server, path: str) -> None:
    sink = _read(server, path)
    assert (sink.data, sink.errors) == (DOCUMENT, [])
    assert (sink.byte_stream_ended, sink.inputs_ended) == (1, 1)


def test_an_empty_document() -> None:
    with serving(b"") as server:
        sink = _read(server, "/ranges")
    assert (sink.data, sink.inputs_ended, sink.errors) == (b"", 1, [])


def test_a_short_pause_keeps_the_connection(server: Server) -> None:
    sink = _read(server, "/dripping", MemorySink(activity=[True, True, True, False, True, True, False, True]))
    assert sink.data == DOCUMENT
    assert server.requests == [None]


def test_the_connector_waits_before_its_first_request(server: Server) -> None:
    sink = MemorySink(activity=[False] * 5)
    _read(server, "/ranges", sink)
    assert (sink.data, server.requests) == (DOCUMENT, [None])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    activity=st.lists(st.sampled_from([True, True, True, False]), max_size=150),
    path=st.sampled_from(["/ranges", "/no-ranges", "/dripping", "/partial", "/chunked"]),
)
def test_pausing_at_any_moment_loses_and_repeats_nothing(
    shared_server: Server, activity: list[bool], path: str
) -> None:
    sink = _read(shared_server, path, MemorySink(activity=activity))
    assert (sink.data, sink.inputs_ended, sink.errors) == (DOCUMENT, 1, [])


def test_a_paused_connector_keeps_its_connection_for_the_time_that_was_asked_for(server: Server) -> None:
    asked: list[float | None] = []

    class Sink(MemorySink):
        def wait_until_active(self, timeout: float | None = None) -> bool:
            asked.append(timeout)
            return super().wait_until_active(timeout)

    _read(server, "/ranges", Sink(activity=[True, False, True]), pause_timeout=7)
    assert 7.0 in asked
    asked.clear()
    _read(server, "/ranges", Sink(activity=[True, False, True]))
    assert 60.0 in asked


def test_a_range_beyond_the_end_is_the_end(server: Server) -> None:
    connector = make_input("url_input", {"path": server.url("/ranges")})
    connector.offset = len(DOCUMENT)  # type: ignore[attr-defined]
    sink = run(connector)
    assert (sink.data, sink.inputs_ended, sink.errors) == (b"", 1, [])


@pytest.mark.parametrize(
    "path, reason",
    [
        ("/missing", "HTTP status 404 Not Found"),
        ("/redirect", "HTTP status 302 Found; redirects are not followed, use the target `/ranges` as `path`"),
        ("/truncated", "RemoteProtocolError: peer closed connection without sending complete message body"),
        ("/packed", "the server sends the document with the encoding `gzip`"),
        (
            "/wrong-range",
            "asked for the bytes from 0 on, but its partial response has the Content-Range `bytes 7-7/100`",
        ),
        ("/stuck", "without any new data"),
    ],
)
def test_unusable_responses_are_fatal(server: Server, path: str, reason: str) -> None:
    message = _failure(_read(server, path + "?password=hidden"))
    assert reason in message
    assert message.startswith(f"cannot read `{server.url(path)}`: ")
    assert "hidden" not in message


def test_a_document_that_shrank_is_noticed(server: Server) -> None:
    connector = make_input("url_input", {"path": server.url("/shrunk")})
    connector.offset = 10  # type: ignore[attr-defined]
    assert "shorter than the 10 bytes that were already read" in _failure(run(connector))


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sink = run(make_input("url_input", {"path": f"http://127.0.0.1:{port}/x"}))
    assert "ConnectError" in _failure(sink)


def test_a_response_must_begin_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_input, "HEADERS_TIMEOUT_SECONDS", 0.2)
    server.gate.clear()
    assert "no response within 0.2 seconds" in _failure(_read(server, "/silent"))


@pytest.mark.parametrize("path", ["/silent", "/dripping"])
def test_stopping_does_not_wait_for_a_slow_server(server: Server, path: str) -> None:
    server.gate.clear()
    sink = MemorySink()
    connector = make_input("url_input", {"path": server.url(path)})
    thread = threading.Thread(target=run, args=(connector, sink))
    thread.start()
    deadline = time.monotonic() + 10
    while len(sink.data) < len(DOCUMENT) // 2 - PIECE if path == "/dripping" else not server.requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # the connector has no event for what has arrived
    sink.closing = True
    thread.join(5)
    assert not thread.is_alive()
    assert (sink.errors, sink.inputs_ended) == ([], 0)


def test_a_long_pause_drops_the_connection_and_goes_on_where_it_was(server: Server) -> None:
    server.gate.clear()

    class Sink(MemorySink):
        """Paused once half of the document has come, while the server is silent, and for long."""

        paused_at = -1

        @property
        def active(self) -> bool:
            return self.paused_at >= 0 or len(self.data) < len(DOCUMENT) // 2 - PIECE

        def wait_until_active(self, timeout: float | None = None) -> bool:
            if not self.active:
                self.paused_at = len(self.data)
                server.gate.set()
                return False
            return True

    sink = Sink()
    _read(server, "/dripping", sink)
    assert sink.data == DOCUMENT
    assert 0 < sink.paused_at < len(DOCUMENT)
    assert server.requests == [None, f"bytes={sink.paused_at}-"]


@pytest.mark.parametrize(
    "config, reason",
    [
        ({}, "missing option `path`"),
        ({"path": "ftp://x/y"}, "option `path` is `ftp://x/y`; it must be an http:// or https:// URL"),
        ({"path": "http:///y"}, "must be an http:// or https:// URL"),
        ({"path": "http://x:99999/y"}, "must be an http:// or https:// URL"),
        ({"path": "/local/file"}, "must be an http:// or https:// URL"),
        ({"path": "http://x/", "pause_timeout": -1}, "option `pause_timeout` is -1; it must be in 0..4294967295"),
        ({"path": "http://x/", "pause_timeout": "5"}, "option `pause_timeout` must be an integer, not '5'"),
        ({"path": "http://x/", "timeout": 5}, "unknown option `timeout`; did you mean `pause_timeout`?"),
    ],
)
def test_wrong_options_are_explained(config: object, reason: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        make_input("url_input", config)
    assert reason in refusal(caught.value)


def test_secrets_in_urls_are_not_shown() -> None:
    assert shown_url("https://user:pass@host:8080/a/b?token=x#y") == "https://host:8080/a/b"
    assert shown_url("not a url?x") == "not a url"
