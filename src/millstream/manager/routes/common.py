"""What the route modules share: access to the services, path segments, query parameters, bodies, answers."""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote

import msgspec
import orjson
from fastapi import Depends, HTTPException, Request
from pydantic import AfterValidator
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from millstream.errors import MillstreamError
from millstream.manager.models import Pipeline
from millstream.manager.services import Services

MAX_BODY_BYTES = 64 << 20
"""Largest JSON body; a program of this size is beyond anything that makes sense."""

NO_CACHE = {"Cache-Control": "no-cache"}

#: A path segment. Routing works on the raw path, so that it arrives still percent-encoded.
Segment = Annotated[str, AfterValidator(unquote)]

#: A boolean query parameter: only these two spellings.
Bool = Literal["true", "false"]


# Dependencies are coroutines, though they wait for nothing: others would be called in a thread.
async def _services(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


Server = Annotated[Services, Depends(_services)]


async def _pipeline(pipeline_name: Segment, services: Server) -> Pipeline:
    return services.store.named(pipeline_name)


#: The pipeline that the path names; 404 `UnknownPipelineName` if there is none.
Named = Annotated[Pipeline, Depends(_pipeline)]


def json_response(content: Any, status: int = 200) -> Response:
    """A JSON answer that is not to be cached."""
    body = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, media_type="application/json", headers=NO_CACHE)


def empty_response() -> Response:
    """200 with a body of no bytes."""
    return Response(status_code=200)


async def read_body(request: Request) -> bytes:
    """The whole body. Raises 413 `PayloadTooLarge` as soon as it is clear that it is too large."""
    parts, size = [], 0
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            parts.append(part)
    except ClientDisconnect:  # nobody reads the answer
        raise HTTPException(400, "the client closed the connection before the end of the request") from None
    return b"".join(parts)


def _too_large() -> MillstreamError:
    return MillstreamError(
        "PayloadTooLarge",
        f"The request body is larger than {MAX_BODY_BYTES} bytes",
        {"maximum": MAX_BODY_BYTES},
        413,
    )


_T = TypeVar("_T")

_LONG_NUMBER = re.compile(rb"[0-9]{19}")


async def decode_body(request: Request, kind: type[_T] | UnionType) -> _T:
    """The JSON body as `kind`; what is not JSON, or not of that form, is rejected with 400 and a plain explanation."""
    body = await read_body(request) or b"null"
    try:
        decoded = msgspec.json.decode(body, type=kind)
        if _LONG_NUMBER.search(body) is None:
            return decoded
        # Integers beyond 64 bits become floats, as with Feldera's server: as they are, nothing could store them.
        return msgspec.convert(orjson.loads(body), type=kind)
    except msgspec.DecodeError as error:
        raise HTTPException(400, f"Json deserialize error: {error}") from None


def body_schema(kind: type) -> dict[str, Any]:
    """The part of a route's documentation that describes a body of `kind`."""
    _, components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    content = {"application/json": {"schema": components[kind.__name__]}}
    return {"requestBody": {"required": True, "content": content}}
