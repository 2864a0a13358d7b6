"""The data-plane HTTP server of a pipeline process: the manager proxies `/v0/pipelines/{name}/<path>` to `/<path>`.

Routing works on the raw, still percent-encoded path, because table names may contain an encoded slash; handlers decode
their segments. Blocking work (waiting for queues, queries) runs in worker threads, never on the event loop.
"""

from __future__ import annotations

import secrets

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from millstream.errors import MillstreamError
from millstream.pipeline.host import Host
from millstream.pipeline.routes import (
    connectors,
    control,
    egress,
    ingress,
    profiles,
    query,
    query_socket,
    statistics,
)

TOKEN_HEADER, PROOF_HEADER = b"x-millstream-token", b"x-millstream-proof"


class RawPath:
    """ASGI layer: route on the raw path, and turn away callers without this deployment's token: every user of the
    machine can reach the port. Answers to the others carry the proof that they come from here."""

    def __init__(self, app: Starlette, token: str, proof: str) -> None:
        self._app = app
        self._token = token.encode()
        self._proof = (PROOF_HEADER, proof.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = dict(scope, path=scope["raw_path"].decode("ascii").split("?", 1)[0])
            given = dict(scope["headers"]).get(TOKEN_HEADER, b"")
            if not secrets.compare_digest(given, self._token):
                await _turn_away(scope, receive, send)
                return

        async def prove(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), self._proof]
            await send(message)

        await self._app(scope, receive, prove)


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await PlainTextResponse("this port is for the pipeline manager only", 403)(scope, receive, send)


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, MillstreamError)
    return Response(orjson.dumps(error.to_json()), error.status, media_type="application/json")


def create_app(host: Host, token: str, proof: str) -> RawPath:
    """The ASGI application that serves `host` to who sends `token` along, with `proof` in its answers."""
    rooms = (control, connectors, statistics, profiles, ingress, egress, query, query_socket)
    app = Starlette(
        routes=[route for room in rooms for route in room.ROUTES], exception_handlers={MillstreamError: _on_error}
    )
    app.state.host = host
    app.state.connections = 0
    return RawPath(app, token, proof)
