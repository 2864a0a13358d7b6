"""Watching pipelines: logs, events, metrics of all of them (api.md §13, §22)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from millstream.errors import MillstreamError
from millstream.manager import errors
from millstream.manager.logs import LogBuffer, Position
from millstream.manager.models import Pipeline
from millstream.manager.proxy import Target
from millstream.manager.routes.common import NO_CACHE, Bool, Named, Segment, Server, json_response
from millstream.manager.services import Services
from millstream.manager.support import PARTS

router = APIRouter(prefix="/v0", tags=["Observation"])

EventSelector = Literal["status", "all"]
_STATUS_KEYS = (
    "event_id",
    "recorded_at",
    "deployment_resources_status",
    "deployment_resources_desired_status",
    "deployment_runtime_status",
    "deployment_runtime_desired_status",
    "deployment_has_error",
    "program_status",
    "storage_status",
)


@router.get("/pipelines/{pipeline_name}/logs")
async def logs(p: Named, services: Server, cursor: str | None = None) -> Response:
    """The log from the beginning, or from a cursor, and then what is added to it; ends with the pipeline's deletion."""
    buffer = services.runner.logs(p)
    position = buffer.position(cursor)
    headers = {
        **NO_CACHE,
        "content-type": "text/plain",
        "content-encoding": "identity",
        "feldera-logs-epoch": buffer.epoch,
        "feldera-logs-seq": str(position.seq),
        "feldera-logs-gap": str(position.gap),
    }
    return StreamingResponse(_lines(buffer, position, with_notice=cursor is None), headers=headers)


async def _lines(buffer: LogBuffer, position: Position, *, with_notice: bool) -> AsyncIterator[bytes]:
    if with_notice and position.seq:
        yield buffer.discarded_notice()
    async for lines in buffer.follow(position.seq):
        yield lines


@router.get("/pipelines/{pipeline_name}/events")
async def events(p: Named, services: Server, selector: EventSelector = "status") -> Response:
    """What happened to the pipeline, newest first."""
    found = await asyncio.to_thread(services.store.events, p)
    return json_response([_selected(event, selector) for event in found])


@router.get("/pipelines/{pipeline_name}/events/{event_id}")
async def event(p: Named, event_id: Segment, services: Server, selector: EventSelector = "status") -> Response:
    """One event, or the `latest`."""
    wanted = event_id if event_id == "latest" else check_uuid(event_id)
    found = await asyncio.to_thread(services.store.event, p, wanted)
    if found is None:
        raise errors.no_pipeline_events() if event_id == "latest" else errors.unknown_pipeline_event(event_id)
    return json_response(_selected(found, selector))


def _selected(event: dict[str, Any], selector: EventSelector) -> dict[str, Any]:
    return event if selector == "all" else {key: event[key] for key in _STATUS_KEYS}


def check_uuid(text: str) -> str:
    """The identifier in its usual spelling. Raises `InvalidUuidParam`."""
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise errors.invalid_uuid(text, str(error)) from None


@router.get("/metrics")
async def metrics(services: Server) -> Response:
    """The metrics of all pipelines that run or are paused; one that does not answer is left out."""
    active = [p for p in services.store.all() if p.deployment_status in ("Running", "Paused")]
    texts = await asyncio.gather(*(_metrics_of(services, p) for p in active))
    return Response("\n".join(filter(None, texts)), headers={"content-type": "text/plain"})


async def _metrics_of(services: Services, p: Pipeline) -> str:
    try:
        return str(await services.proxy.call(Target(p, "/metrics"), "GET"))
    except MillstreamError:
        return ""


@router.get("/pipelines/{pipeline_name}/support_bundle")
async def support_bundle(
    p: Named,
    services: Server,
    collect: Bool = "true",
    limit: Annotated[int | None, Query(ge=0)] = None,
    circuit_profile: Bool = "true",
    heap_profile: Bool = "true",
    metrics: Bool = "true",
    logs: Bool = "true",
    stats: Bool = "true",
    pipeline_config: Bool = "true",
    system_config: Bool = "true",
    dataflow_graph: Bool = "true",
    pipeline_events: Bool = "true",
) -> Response:
    """What is known of the pipeline now, and was at some earlier moments, in one archive."""
    if limit == 0:
        raise errors.invalid_bundle_parameter("'limit' must be at least 1")
    switches = (
        circuit_profile, heap_profile, metrics, logs, stats, pipeline_config, system_config, dataflow_graph,
        pipeline_events,
    )  # fmt: skip
    parts = [part for part, switch in zip(PARTS, switches, strict=True) if switch == "true"]
    content = await services.support.bundle(p, parts, collect=collect == "true", limit=limit)
    name = f"support-bundle-{p.name}.zip"
    headers = {
        **NO_CACHE,
        "content-encoding": "identity",
        "content-disposition": f'attachment; filename="{name}"',
    }
    return Response(content, media_type="application/zip", headers=headers)
