"""A real HTTP server whose paths behave well and badly in the ways that `url_input` must cope with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 16  # bytes that `/dripping` sends at a time, and that `/partial` sends per response


class Server(ThreadingHTTPServer):
    """Serves `document`; `requests` are the `Range` headers so far. `gate` holds `/dripping` after its first half."""

    daemon_threads = True

    def __init__(self, document: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.document = document
        self.requests: list[str | None] = []
        self.gate = threading.Event()
        self.gate.set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        serve = getattr(self, "serve_" + self.path.partition("?")[0].strip("/").replace("-", "_"))
        with suppress(BrokenPipeError, ConnectionResetError):  # the client may go away
            serve(asked)

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def respond(self, asked: str | None, limit: int | None = None) -> bytes:
        """The head of an answer to a `Range` request; the body that belongs to it."""
        document = self.server.document
        if asked is None and limit is None:
            self.head(200, len(document))
            return document
        first = 0 if asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))
        if first >= len(document):
            self.head(416, 0, Content_Range=f"bytes */{len(document)}")
            return b""
        body = document[first:] if limit is None else document[first : first + limit]
        self.head(206, len(body), Content_Range=f"bytes {first}-{first + len(body) - 1}/{len(document)}")
        return body

    def serve_ranges(self, asked: str | None) -> None:
        self.wfile.write(self.respond(asked))

    def serve_no_ranges(self, asked: str | None) -> None:
        self.wfile.write(self.respond(None))

    def serve_partial(self, asked: str | None) -> None:
        self.wfile.write(self.respond(asked, PIECE))

    def serve_dripping(self, asked: str | None) -> None:
        body = self.respond(asked)
        for start in range(0, len(body), PIECE):
            if start * 2 >= len(body):
                self.server.gate.wait(20)
            self.wfile.write(body[start : start + PIECE])
            self.wfile.flush()

    def serve_chunked(self, asked: str | None) -> None:
        self.head(200, None, Transfer_Encoding="chunked")
        for start in range(0, len(self.server.document), PIECE):
            piece = self.server.document[start : start + PIECE]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def serve_truncated(self, asked: str | None) -> None:
        self.head(200, len(self.server.document) + 10)
        self.wfile.write(self.server.document)

    def serve_redirect(self, asked: str | None) -> None:
        self.head(302, 0, Location="/ranges?token=hidden")

    def serve_missing(self, asked: str | None) -> None:
        self.head(404, 0)

    def serve_packed(self, asked: str | None) -> None:
        self.head(200, 3, Content_Encoding="gzip")
        self.wfile.write(b"\x1f\x8b\x08")

    def serve_wrong_range(self, asked: str | None) -> None:
        self.head(206, 1, Content_Range="bytes 7-7/100")
        self.wfile.write(b"x")

    def serve_shrunk(self, asked: str | None) -> None:
        body = self.server.document if asked is None else self.server.document[:1]
        self.head(200, len(body))
        self.wfile.write(body)

    def serve_stuck(self, asked: str | None) -> None:
        self.head(206, 0, Content_Range=f"bytes 0-0/{len(self.server.document)}")

    def serve_silent(self, asked: str | None) -> None:
        self.server.gate.wait(20)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


@contextmanager
def serving(document: bytes) -> Iterator[Server]:
    """A server in threads of its own."""
    server = Server(document)
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
