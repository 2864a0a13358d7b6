"""HTTP ingress: a request body into a table (api.md §16)."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from millstream.errors import MillstreamError
from millstream.pipeline.ingress import IngressEndpoint
from millstream.pipeline.limits import READ_AHEAD_CHUNKS
from millstream.pipeline.routes.common import bool_parameter, connection, json_response, ready, relation_segment

PARSE_BYTES = 4 << 20
"""Chunks that have arrived are parsed together up to this size: parsers work best on large blocks."""

_JSON_OPTIONS = ("update_format", "json_flavor", "lines")
_NOT_OPTIONS = {"format", "force", "pipeline_name"}


def format_config(request: Request, format_name: str) -> dict[str, Any]:
    """The parser configuration in the query string; CSV and Parquet take none, whatever is given."""
    if format_name in ("csv", "parquet"):
        return {}
    if format_name == "json":
        config: dict[str, Any] = {k: request.query_params[k] for k in _JSON_OPTIONS if k in request.query_params}
        if "array" in request.query_params:
            config["array"] = bool_parameter(request, "array")
        return config
    return {k: v for k, v in request.query_params.items() if k not in _NOT_OPTIONS}


async def ingress(request: Request) -> Response:
    controller = ready(request).controller
    if "connector_metadata" in request.query_params:
        error = "the parameter 'connector_metadata' is not supported yet"
        raise MillstreamError("InvalidParam", error, {"error": error})
    format_name = request.query_params.get("format", "csv")
    force = bool_parameter(request, "force")
    config = format_config(request, format_name)
    table = relation_segment(request, "table")
    endpoint = await asyncio.to_thread(controller.ingress_endpoint, table, format_name, config)
    with connection(request):
        try:
            await _feed(request, endpoint, force)
        except ClientDisconnect:
            endpoint.abandon()
            raise HTTPException(400, "the client closed the connection before the end of the request") from None
    result = await asyncio.to_thread(endpoint.finish)
    if result.errors:
        raise result.errors.to_error()
    return json_response({"token": result.token})


async def _feed(request: Request, endpoint: IngressEndpoint, force: bool) -> None:
    """Parse what has arrived while more arrives."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue(READ_AHEAD_CHUNKS)

    async def read() -> None:
        async for chunk in request.stream():
            if chunk:
                await chunks.put(chunk)
        await chunks.put(b"")

    reader = asyncio.create_task(read())
    try:
        ended = False
        while not ended:
            first = await _next_chunk(chunks, reader)
            parts, size, ended = [first], len(first), not first
            while not ended and size < PARSE_BYTES and not chunks.empty():
                parts.append(chunks.get_nowait())
                size += len(parts[-1])
                ended = not parts[-1]
            await _push(endpoint, b"".join(parts), ended, force, reader)
    finally:
        reader.cancel()


async def _next_chunk(chunks: asyncio.Queue[bytes], reader: asyncio.Task[None]) -> bytes:
    """The next chunk of the body; raises what the reader died of."""
    waiting = asyncio.ensure_future(chunks.get())
    await asyncio.wait({waiting, reader}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done() and reader.done() and chunks.empty():
        waiting.cancel()
        reader.result()
    return await waiting


async def _push(endpoint: IngressEndpoint, data: bytes, ended: bool, force: bool, reader: asyncio.Task[None]) -> None:
    """Push in a worker thread; give up when the client goes away while the push is blocked."""
    pushing = asyncio.ensure_future(asyncio.to_thread(endpoint.push, data, ended, force))
    while not pushing.done():
        await asyncio.wait({pushing} if reader.done() else {pushing, reader}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and not reader.cancelled() and reader.exception() is not None:
            endpoint.abandon()
            reader.result()
    pushing.result()


ROUTES = [Route("/ingress/{table}", ingress, methods=["POST"])]
