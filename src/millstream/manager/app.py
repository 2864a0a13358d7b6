"""The HTTP application: routes, error answers, and routing on the raw path.

Routing works on the path as it came, still percent-encoded, because names may contain an encoded slash; route functions
decode their segments. Every error has the API's object as its body, except what api.md §2 leaves to the framework: an
unknown route and a request whose form is wrong get a line of plain text (`framework_error`).
"""

from __future__ import annotations

import logging

import orjson
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from millstream import __version__
from millstream.errors import MillstreamError
from millstream.manager.authentication import Authenticate, authorize
from millstream.manager.browsers import PageGuard, cors
from millstream.manager.openapi import document
from millstream.manager.routes import dataplane, deployment, observe, pipelines, platform, programs
from millstream.manager.services import Services

log = logging.getLogger("millstream.api")

RETRY_AFTER_S = 5
"""What a client is told to wait after a 503 (api.md §2)."""


#: In this order they are asked whether a request is theirs, so those that are polled and pushed to come first.
ROUTERS = tuple(room.router for room in (dataplane, observe, deployment, pipelines, programs, platform))
"""All routes of the API."""


class RawPath:
    """ASGI layer: route on the raw path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = dict(scope, path=scope["raw_path"].decode("ascii").split("?", 1)[0])
        await self._app(scope, receive, send)


def error_response(error: MillstreamError) -> Response:
    """The answer that carries an error."""
    headers = {"Cache-Control": "no-cache"}
    if error.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    body = orjson.dumps(error.to_json(), option=orjson.OPT_NON_STR_KEYS)
    return Response(body, error.status, media_type="application/json", headers=headers)


def framework_error(status: int, text: str) -> Response:
    """The answer to a request that never reached the API proper: unknown route (also for a method that a path does not
    have), malformed parameter or body."""
    return PlainTextResponse(text, 404 if status == 405 else status)


async def _on_error(connection: Request | WebSocket, error: Exception) -> Response | None:
    assert isinstance(error, MillstreamError)
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(error_response(error))
        return None
    return error_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405):
        return framework_error(error.status_code, f"there is no {request.method} {request.scope['path']}")
    return framework_error(error.status_code, str(error.detail))


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    texts = [f"{part['loc'][0]} parameter '{part['loc'][-1]}': {part['msg']}" for part in error.errors()]
    return framework_error(400, "; ".join(texts))


async def _on_defect(_request: Request, error: Exception) -> Response:
    text = f"The server failed to answer this request: {type(error).__name__}. Its log tells more."
    return error_response(MillstreamError("InternalError", text, None, 500))


def create_app(services: Services) -> RawPath:
    """The ASGI application on these services."""
    app = FastAPI(
        title="Millstream",
        version=__version__,
        description="Incremental SQL pipelines with input connectors that start and pause on their own.",
        redirect_slashes=False,
        dependencies=[Depends(authorize)],
        exception_handlers={
            MillstreamError: _on_error,  # type: ignore[dict-item] # the declared type leaves WebSockets out
            HTTPException: _on_http_exception,
            RequestValidationError: _on_invalid,
            Exception: _on_defect,
        },
    )
    for router in ROUTERS:
        app.include_router(router)
    app.state.services = services
    described = document(app.title, app.description, ROUTERS)
    app.openapi = lambda: described  # type: ignore[method-assign] # how FastAPI wants to be told
    guarded = cors(Authenticate(app, services.authenticator), services.access)
    return RawPath(PageGuard(guarded, services.access) if services.access.open else guarded)
