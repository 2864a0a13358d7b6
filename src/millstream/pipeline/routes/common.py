"""What the endpoint files share: path segments, query parameters, JSON answers, the connection limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from millstream.errors import MillstreamError
from millstream.pipeline.host import Host, Ready
from millstream.sql.identifiers import canonical_name

MAX_CONNECTIONS = 100
"""Concurrent ingress and egress connections to one pipeline."""


def host_of(request: Request) -> Host:
    """The pipeline host behind this server."""
    host: Host = request.app.state.host
    return host


def ready(request: Request) -> Ready:
    """The running pipeline; raises what the request gets instead while there is none."""
    return host_of(request).ready()


def segment(request: Request, name: str) -> str:
    """A path segment, percent-decoded."""
    return unquote(request.path_params[name])


def relation_segment(request: Request, name: str) -> str:
    """A path segment that is a SQL identifier, as the canonical name of a relation. Text that is no identifier stands
    for itself: it names nothing, and the error quotes it."""
    text = segment(request, name)
    return canonical_name(text) or text


def json_response(content: Any, status: int = 200) -> Response:
    """JSON that is not to be cached."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-cache"},
    )


def bool_parameter(request: Request, name: str, default: bool = False) -> bool:
    """`true` or `false`; anything else is rejected by the framework (400, plain text)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise HTTPException(400, f"query parameter '{name}' must be 'true' or 'false', not '{text}'")
    return text == "true"


def choice_parameter(request: Request, name: str, choices: tuple[str, ...], default: str) -> str:
    """One of `choices`; anything else is rejected by the framework (400, plain text)."""
    text = request.query_params.get(name, default)
    if text not in choices:
        raise HTTPException(400, f"query parameter '{name}' must be one of {', '.join(choices)}, not '{text}'")
    return text


@contextmanager
def connection(request: Request) -> Iterator[None]:
    """Count a data connection; beyond the limit the request is refused with 429."""
    state = request.app.state
    if state.connections >= MAX_CONNECTIONS:
        raise MillstreamError(
            "ApiConnectionLimit",
            f"The pipeline already serves {MAX_CONNECTIONS} data connections; close some, or try again later",
            None,
            429,
        )
    state.connections += 1
    try:
        yield
    finally:
        state.connections -= 1
