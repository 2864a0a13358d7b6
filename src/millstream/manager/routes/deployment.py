"""What users want of a deployment: start, stop, pause, resume, clear, dismiss an error (api.md §10)."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from starlette.responses import Response

from millstream.manager import edits, errors, lifecycle
from millstream.manager.ids import timestamp
from millstream.manager.lifecycle import StartRequest
from millstream.manager.models import BootstrapPolicy, Pipeline, RuntimeDesired
from millstream.manager.proxy import Target
from millstream.manager.routes.common import Bool, Named, Segment, Server, empty_response, json_response
from millstream.manager.services import Services

router = APIRouter(prefix="/v0/pipelines/{pipeline_name}", tags=["Deployment"])

_INITIAL: dict[str, RuntimeDesired] = {"running": "Running", "paused": "Paused", "standby": "Standby"}


@router.post("/start", status_code=202)
async def start(
    pipeline_name: Segment,
    services: Server,
    initial: str = "running",
    bootstrap_policy: BootstrapPolicy = "await_approval",
    silent_bootstrap: Bool = "false",
    concurrent_bootstrap: Bool = "false",
    dismiss_error: Bool = "true",
) -> Response:
    """Start the pipeline; follow its status to see it get there."""
    services.store.named(pipeline_name)
    if initial not in _INITIAL:
        reason = f"'{initial}' is not a status to start in; use 'running', 'paused' or 'standby'"
        raise errors.unsupported_action("start", reason)
    if silent_bootstrap == concurrent_bootstrap == "true":
        raise errors.bad_bootstrap()
    request = StartRequest(
        initial=_INITIAL[initial],
        bootstrap_policy=bootstrap_policy,
        silent_bootstrap=silent_bootstrap == "true",
        concurrent_bootstrap=concurrent_bootstrap == "true",
        dismiss_error=dismiss_error == "true",
    )
    await _apply(services, pipeline_name, lambda p: lifecycle.start(p, request, timestamp()))
    return json_response("Pipeline is starting", 202)


@router.post("/stop", status_code=202)
async def stop(p: Named, services: Server, force: Bool = "false") -> Response:
    """Stop the pipeline. With `force=false` its state would be saved first, which is not there yet."""
    if force == "false" and p.resources_status == "Provisioned" and p.resources_desired_status == "Provisioned":
        raise errors.enterprise_feature("stop without 'force=true'")
    await _apply(services, p.name, lambda p: lifecycle.stop(p, timestamp()))
    return json_response("Pipeline is forcefully stopping", 202)


@router.post("/pause", status_code=202)
async def pause(p: Named, services: Server) -> Response:
    """Pause the pipeline: all inputs stop reading."""
    return await _transition(services, p, "Paused", "/pause")


@router.post("/resume", status_code=202)
async def resume(p: Named, services: Server) -> Response:
    """Resume the pipeline."""
    return await _transition(services, p, "Running", "/resume")


async def _transition(services: Services, p: Pipeline, wanted: RuntimeDesired, path: str) -> Response:
    async with services.turns[p.id]:
        current = services.store.named(p.name)
        text = await services.proxy.call(Target(current, path), "POST")
        applied = "from Initializing" not in text
        await _apply(services, p.name, lambda p: lifecycle.set_runtime_desired(p, wanted, applied, timestamp()))
    return json_response(text, 202)


@router.post("/clear", status_code=202)
async def clear(pipeline_name: Segment, services: Server) -> Response:
    """Delete the pipeline's storage."""
    await _apply(services, pipeline_name, lifecycle.clear)
    return json_response("Pipeline storage is being cleared", 202)


@router.post("/dismiss_error")
async def dismiss_error(pipeline_name: Segment, services: Server) -> Response:
    """Forget the deployment error."""
    await _apply(services, pipeline_name, lifecycle.dismiss_error)
    return json_response("Deployment error is dismissed")


@router.post("/activate")
async def activate(_p: Named, initial: Literal["running", "paused"] = "running") -> Response:
    """Leave standby: not in this edition."""
    raise errors.enterprise_feature("activate")


@router.post("/approve")
async def approve(_p: Named) -> Response:
    """Approve a changed program: not in this edition."""
    raise errors.enterprise_feature("approve")


@router.post("/testing")
async def set_for_tests(p: Named, services: Server, set_platform_version: str | None = None) -> Response:
    """Set the version that compiled the program. For tests: needs the unstable feature `testing`."""
    if "testing" not in services.settings.unstable_features:
        raise errors.unsupported_action("testing", "the unstable feature 'testing' is not enabled")
    if set_platform_version is not None:
        await _apply(services, p.name, lambda p: edits.set_platform_version(p, set_platform_version))
    return empty_response()


_CHECKPOINTS: dict[str, str] = {
    "/checkpoint": "POST",
    "/checkpoint/sync": "POST",
    "/checkpoint_status": "GET",
    "/checkpoint/sync_status": "GET",
    "/checkpoints": "GET",
    "/checkpoints/remote": "GET",
}


async def checkpoints(_p: Named) -> Response:
    """Checkpoints: not in this edition."""
    raise errors.enterprise_feature("checkpoint")


for _path, _method in _CHECKPOINTS.items():
    router.add_api_route(_path, checkpoints, methods=[_method])


async def _apply(services: Services, name: str, change: Any) -> Pipeline:
    return await asyncio.to_thread(services.store.apply, name, change)
