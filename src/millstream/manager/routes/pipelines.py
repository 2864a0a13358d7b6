"""Pipelines as records: list, create, read, replace, change, delete (api.md §5, §6)."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from millstream.manager import edits, errors
from millstream.manager.edits import Edit, PatchBody, PostPutBody
from millstream.manager.ids import timestamp, uuid7
from millstream.manager.models import Pipeline, Selector, pipeline_info, selected_info
from millstream.manager.platform import API_VERSION
from millstream.manager.routes.common import (
    Named,
    Segment,
    Server,
    body_schema,
    decode_body,
    empty_response,
    json_response,
)
from millstream.manager.store import Store

router = APIRouter(prefix="/v0", tags=["Pipelines"])


@router.get("/pipelines")
async def list_pipelines(services: Server, selector: Selector = "all") -> Response:
    """All pipelines in the order of their creation."""
    return json_response([selected_info(p, selector) for p in services.store.all()])


@router.post("/pipelines", status_code=201, openapi_extra=body_schema(PostPutBody))
async def create_pipeline(request: Request, services: Server) -> Response:
    """Create a pipeline; its program is then compiled."""
    edit = edits.parse_post_put(await decode_body(request, PostPutBody))
    p = await asyncio.to_thread(_create, services.store, edit)
    return json_response(pipeline_info(p), 201)


def _create(store: Store, edit: Edit) -> Pipeline:
    return store.insert(edits.create(edit, str(uuid7()), API_VERSION, timestamp()))


@router.get("/pipelines/{pipeline_name}")
async def get_pipeline(p: Named, selector: Selector = "all") -> Response:
    """One pipeline."""
    return json_response(selected_info(p, selector))


@router.put("/pipelines/{pipeline_name}", openapi_extra=body_schema(PostPutBody))
async def put_pipeline(pipeline_name: Segment, request: Request, services: Server) -> Response:
    """Create a pipeline, or replace all that its user can set."""
    edit = edits.parse_post_put(await decode_body(request, PostPutBody))
    p, created = await asyncio.to_thread(_put, services.store, pipeline_name, edit)
    return json_response(pipeline_info(p), 201 if created else 200)


def _put(store: Store, name: str, edit: Edit) -> tuple[Pipeline, bool]:
    if store.find(name) is None:
        if edit.name != name:
            raise errors.cannot_rename_missing()
        return _create(store, edit), True
    return store.apply(name, lambda p: edits.edit_pipeline(p, edit, API_VERSION, timestamp())), False


@router.patch("/pipelines/{pipeline_name}", openapi_extra=body_schema(PatchBody))
async def patch_pipeline(pipeline_name: Segment, request: Request, services: Server) -> Response:
    """Change what the body names."""
    edit = edits.parse_patch(await decode_body(request, PatchBody))
    p = await asyncio.to_thread(
        services.store.apply, pipeline_name, lambda p: edits.edit_pipeline(p, edit, API_VERSION, timestamp())
    )
    return json_response(pipeline_info(p))


@router.delete("/pipelines/{pipeline_name}")
async def delete_pipeline(pipeline_name: Segment, services: Server) -> Response:
    """Delete a pipeline that is stopped and has no storage."""
    await asyncio.to_thread(services.store.delete, pipeline_name, edits.check_delete)
    return empty_response()


@router.post("/pipelines/{pipeline_name}/update_runtime")
async def update_runtime(pipeline_name: Segment, services: Server) -> Response:
    """Compile the program again with this version."""
    edit = Edit(platform_version=API_VERSION)
    p = await asyncio.to_thread(
        services.store.apply, pipeline_name, lambda p: edits.edit_pipeline(p, edit, API_VERSION, timestamp())
    )
    return json_response(pipeline_info(p))
