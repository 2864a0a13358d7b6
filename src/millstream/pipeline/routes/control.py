"""State of the whole pipeline: status, pause, resume, shutdown, transactions, completion tokens, clock."""

from __future__ import annotations

import asyncio
import datetime

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from millstream.pipeline.routes.common import host_of, json_response, ready

MAX_DELTA_MS = 1_000 * 365 * 86_400_000
"""A thousand years: further the clock cannot be moved at once."""


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


async def advance_clock(request: Request) -> Response:
    """Body: `{"delta_ms": u64 | null}`, `{}` or nothing."""
    body = await request.body()
    try:
        asked = orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the request body is not valid JSON: {error}") from None
    delta = asked.get("delta_ms") if isinstance(asked, dict) else asked
    if delta is not None and (isinstance(delta, bool) or not isinstance(delta, int) or not 0 <= delta <= MAX_DELTA_MS):
        shown = orjson.dumps(delta).decode()
        raise HTTPException(400, f"'delta_ms' must be null or an integer between 0 and {MAX_DELTA_MS}, not {shown}")
    now_ms = await asyncio.to_thread(ready(request).controller.advance_clock, delta)
    now = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=now_ms)
    return json_response({"now_ms": now_ms, "now": now.isoformat().replace("+00:00", "Z")})


ROUTES = [
    Route("/status", status),
    Route("/pause", pause, methods=["POST"]),
    Route("/resume", resume, methods=["POST"]),
    Route("/shutdown", shutdown, methods=["POST"]),
    Route("/start_transaction", start_transaction, methods=["POST"]),
    Route("/commit_transaction", commit_transaction, methods=["POST"]),
    Route("/completion_status", completion_status),
    Route("/clock/advance", advance_clock, methods=["POST"]),
]
