"""Control of single connectors: start, pause, statistics, completion tokens (connectors.md §4)."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from millstream.errors import MillstreamError
from millstream.pipeline.routes.common import json_response, ready, relation_segment, segment


def _endpoint(request: Request, relation: str) -> str:
    return f"{relation_segment(request, relation)}.{segment(request, 'connector')}"


async def input_action(request: Request) -> Response:
    action = segment(request, "action")
    if action not in ("start", "pause"):
        raise MillstreamError(
            "InvalidConnectorAction",
            f"Invalid connector action '{action}'; valid actions are: 'start' or 'pause'",
            {"action": action},
            400,
        )
    controller = ready(request).controller
    change = controller.start_connector if action == "start" else controller.pause_connector
    await asyncio.to_thread(change, _endpoint(request, "table"))
    return Response(status_code=200)


async def input_stats(request: Request) -> Response:
    return json_response(ready(request).controller.input_stats(_endpoint(request, "table")))


async def completion_token(request: Request) -> Response:
    return json_response({"token": ready(request).controller.completion_token(_endpoint(request, "table"))})


async def output_stats(request: Request) -> Response:
    return json_response(ready(request).controller.output_stats(_endpoint(request, "view")))


_INPUT = "/tables/{table}/connectors/{connector}"
ROUTES = [
    Route(_INPUT + "/stats", input_stats, methods=["GET"]),
    Route(_INPUT + "/completion_token", completion_token, methods=["GET"]),
    Route(_INPUT + "/{action}", input_action, methods=["POST"]),
    Route("/views/{view}/connectors/{connector}/stats", output_stats),
]
