"""HTTP egress: the changes of a relation as an endless stream of chunks (api.md §17)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from millstream.errors import MillstreamError
from millstream.pipeline.connector_config import parse_connector_config
from millstream.pipeline.egress import Subscription
from millstream.pipeline.routes.common import bool_parameter, connection, ready, relation_segment

KEEP_ALIVE_S = 3.0
"""Silence after which an empty chunk is sent."""
FORMATS = ("csv", "json")
_BODY_KEYS = ("format", "backpressure")
_NOT_FOLLOWED = ("enable_output_buffer", "index")
"""What a connector may have, but not a subscription."""
_HEADERS = {"Cache-Control": "no-cache"}


class EgressOptions(NamedTuple):
    """What a subscriber asked for."""

    format: str
    format_config: dict[str, Any]
    backpressure: bool
    send_snapshot: bool


async def options_of(request: Request) -> EgressOptions:
    """From the query string, or from a JSON body that is a connector configuration; not from both."""
    body = await request.body()
    if not body.strip() or body.strip() == b"null":
        return _from_query(request)
    mixed = [key for key in _BODY_KEYS if key in request.query_params]
    if mixed:
        raise _invalid(f"query parameter '{mixed[0]}' cannot be combined with a request body; put it into the body")
    try:
        config = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the request body is not valid JSON: {error}") from None
    return _from_body(config, bool_parameter(request, "send_snapshot"))


def _from_query(request: Request) -> EgressOptions:
    format_name = request.query_params.get("format", "csv")
    if format_name not in FORMATS:
        raise MillstreamError(
            "ConfigError.UnknownOutputFormat",
            f"unknown output format '{format_name}'; HTTP egress supports csv and json",
            {"endpoint_name": "api", "format_name": format_name},
        )
    config: dict[str, Any] = {}
    bool_parameter(request, "array")  # JSON comes in arrays whatever is asked for
    if format_name == "json":
        config = {k: request.query_params[k] for k in ("update_format", "json_flavor") if k in request.query_params}
        config["array"] = True
    return EgressOptions(
        format_name, config, bool_parameter(request, "backpressure"), bool_parameter(request, "send_snapshot")
    )


def _from_body(source: Any, send_snapshot: bool) -> EgressOptions:
    if not isinstance(source, dict) or not isinstance(source.get("format"), dict):
        raise _invalid("the request body must be a connector configuration with a 'format'")
    transport = source.get("transport") or {"name": "http_output"}
    if not isinstance(transport, dict) or transport.get("name") != "http_output":
        named = transport.get("name") if isinstance(transport, dict) else transport
        raise _invalid(f"the 'transport' of an egress request is {{\"name\": \"http_output\"}}, not '{named}'")
    name = source["format"].get("name")
    settings = source["format"].get("config") or {}
    if name not in FORMATS:
        raise _invalid(f"HTTP egress supports the formats csv and json, not '{name}'")
    if not isinstance(settings, dict):
        raise _invalid("the 'config' of the format must be an object")
    if name == "json" and settings.get("array") is not True:
        raise _invalid('the json format of an egress request needs "array": true')
    for key in _NOT_FOLLOWED:
        if source.get(key):
            raise _invalid(f"'{key}' cannot be used in an egress request")
    generic = parse_connector_config("api", {**source, "transport": transport}, output=True)
    return EgressOptions(name, settings, _backpressure(transport), send_snapshot or generic.send_snapshot)


def _backpressure(transport: dict[str, Any]) -> bool:
    config = transport.get("config") or {}
    if not isinstance(config, dict) or set(config) - {"backpressure"}:
        raise _invalid("the 'config' of the transport 'http_output' is an object that may hold 'backpressure' only")
    value = config.get("backpressure", False)
    if not isinstance(value, bool):
        raise _invalid(f"'backpressure' must be true or false, not {value!r}")
    return value


def _invalid(message: str) -> MillstreamError:
    return MillstreamError("InvalidParam", message, {"error": message}, 400)


class EgressResponse(StreamingResponse):
    """The endless answer. However it ends, the subscription is closed and its connection given back."""

    def __init__(self, subscription: Subscription, held: contextlib.ExitStack) -> None:
        super().__init__(chunk_lines(subscription), media_type="application/json", headers=_HEADERS)
        self._subscription = subscription
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._held.close()
            await asyncio.shield(asyncio.to_thread(self._subscription.close))


async def egress(request: Request) -> Response:
    controller = ready(request).controller
    options = await options_of(request)
    relation = relation_segment(request, "table")
    with contextlib.ExitStack() as opening:
        opening.enter_context(connection(request))
        subscription = await asyncio.to_thread(
            controller.subscribe,
            relation,
            send_snapshot=options.send_snapshot,
            backpressure=options.backpressure,
            format=options.format,
            format_config=options.format_config,
        )
        return EgressResponse(subscription, opening.pop_all())


async def chunk_lines(subscription: Subscription) -> AsyncIterator[bytes]:
    """Chunks as they come, and an empty one after every `KEEP_ALIVE_S` of silence."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    subscription.notify(lambda: loop.call_soon_threadsafe(arrived.set))
    while True:
        arrived.clear()
        chunk = subscription.get(0)
        while chunk is not None:
            yield chunk.to_line()
            chunk = subscription.get(0)
        if subscription.closed:
            return
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                await arrived.wait()
        except TimeoutError:
            yield subscription.keep_alive()


ROUTES = [Route("/egress/{table}", egress, methods=["POST"])]
