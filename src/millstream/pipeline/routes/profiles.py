"""Profiles of the pipeline (api.md §23)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from millstream.errors import MillstreamError
from millstream.pipeline.profile import (
    DEFAULT_SAMPLING_S,
    MAX_SAMPLING_S,
    Sampler,
    circuit_profile,
    circuit_profile_archive,
)
from millstream.pipeline.routes.common import bool_parameter, host_of, ready


async def archive(request: Request) -> Response:
    pipeline = ready(request)
    content = await asyncio.to_thread(
        circuit_profile_archive, circuit_profile(pipeline.controller.profile()), pipeline.program
    )
    return _attachment(content, "application/zip", "profile.zip")


async def json_profile(request: Request) -> Response:
    profile = circuit_profile(ready(request).controller.profile())
    content = orjson.dumps(profile, option=orjson.OPT_NON_STR_KEYS)
    return _attachment(content, "application/json", "profile.json")


def _attachment(content: bytes, media_type: str, name: str) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield content

    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "content-encoding": "identity",
        "content-type": media_type,
    }
    return StreamingResponse(body(), headers=headers)


async def heap_profile(request: Request) -> Response:
    ready(request)
    text = "heap profiles are not available: the engine does not run on an allocator that takes them"
    raise MillstreamError("HeapProfilerError", text, {"error": text}, 400)


def _sampler(request: Request) -> Sampler:
    ready(request)
    return host_of(request).sampler


async def start_sampling(request: Request) -> Response:
    sampler = _sampler(request)
    text = request.query_params.get("duration_secs", str(int(DEFAULT_SAMPLING_S)))
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_SAMPLING_S):
        limit = int(MAX_SAMPLING_S)
        raise HTTPException(400, f"query parameter 'duration_secs' must be an integer from 1 to {limit}, not '{text}'")
    sampler.start(float(text))
    return Response(status_code=202)


async def last_samples(request: Request) -> Response:
    sampler = _sampler(request)
    left = sampler.seconds_left
    if left is not None and bool_parameter(request, "latest"):
        return Response(status_code=204, headers={"Retry-After": str(math.ceil(left) + 1)})
    return _attachment(sampler.last(), "application/gzip", "profile.json.gz")


ROUTES = [
    Route("/circuit_profile", archive),
    Route("/circuit_json_profile", json_profile),
    Route("/heap_profile", heap_profile),
    Route("/samply_profile", start_sampling, methods=["POST"]),
    Route("/samply_profile", last_samples, methods=["GET"]),
]
