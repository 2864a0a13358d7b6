"""Watching a pipeline: statistics, metrics, time series."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from millstream.pipeline.metrics import collect, to_json, to_prometheus
from millstream.pipeline.routes.common import bool_parameter, choice_parameter, host_of, json_response, ready


async def stats(request: Request) -> Response:
    return json_response(ready(request).controller.stats(bool_parameter(request, "include_connector_errors")))


async def error_counts(request: Request) -> Response:
    return json_response(ready(request).controller.snapshot_stats().error_counts())


async def metrics(request: Request) -> Response:
    form = choice_parameter(request, "format", ("prometheus", "json"), "prometheus")
    spec = host_of(request).spec
    controller = ready(request).controller
    families = collect(controller.stats(False), controller.measurements())
    if form == "json":
        return json_response(to_json(families))
    labels = {"pipeline": f"pipeline-{spec.pipeline_id}", "pipeline_name": spec.pipeline_name}
    response = Response(to_prometheus(families, labels))
    response.headers["content-type"] = "text/plain"  # exactly: clients compare the whole value
    return response


async def time_series(request: Request) -> Response:
    return json_response(ready(request).time_series.to_json())


async def time_series_stream(request: Request) -> Response:
    series = ready(request).time_series

    async def lines() -> AsyncIterator[bytes]:
        last: str | None = None
        while not series.stopped:
            for sample in await asyncio.to_thread(series.after, last, 5.0):
                last = sample["t"]
                yield orjson.dumps(sample) + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


ROUTES = [
    Route("/stats", stats),
    Route("/stats/errors", error_counts),
    Route("/metrics", metrics),
    Route("/time_series", time_series),
    Route("/time_series_stream", time_series_stream),
]
