"""State of the whole pipeline: status, pause, resume, shutdown, transactions, completion tokens, clock."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from millstream.pipeline.routes.common import host_of, json_response, ready


async def status(request: Request) -> Response:
    return json_response(host_of(request).status())


async def pause(request: Request) -> Response:
    return await _transition(request, running=False)


async def resume(request: Request) -> Response:
    return await _transition(request, running=True)


async def _transition(request: Request, *, running: bool) -> Response:
    old, new = await asyncio.to_thread(host_of(request).set_running, running)
    return json_response(f"Pipeline transitioning from {old} to {new}", 202)


async def shutdown(request: Request) -> Response:
    host = host_of(request)
    asyncio.get_running_loop().run_in_executor(None, host.shutdown)
    return json_response("Pipeline is stopping", 202)


async def start_transaction(request: Request) -> Response:
    return json_response({"transaction_id": await asyncio.to_thread(ready(request).controller.start_transaction)})


async def commit_transaction(request: Request) -> Response:
    await asyncio.to_thread(ready(request).controller.commit_transaction)
    return json_response("Transaction commit initiated")


async def completion_status(request: Request) -> Response:
    controller = ready(request).controller
    token = request.query_params.get("token")
    if token is None:
        raise HTTPException(400, "query parameter 'token' is missing")
    return json_response(controller.completion_status(token))


ROUTES = [
    Route("/status", status),
    Route("/pause", pause, methods=["POST"]),
    Route("/resume", resume, methods=["POST"]),
    Route("/shutdown", shutdown, methods=["POST"]),
    Route("/start_transaction", start_transaction, methods=["POST"]),
    Route("/commit_transaction", commit_transaction, methods=["POST"]),
    Route("/completion_status", completion_status),
]
