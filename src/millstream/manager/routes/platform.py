"""The server itself: health, configuration, API keys, what belongs to tenants (api.md §1.1, §22.3, §24, §25)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from millstream.manager import errors
from millstream.manager.authentication import principal_of
from millstream.manager.keys import KeyRole
from millstream.manager.platform import configuration
from millstream.manager.routes.common import Segment, Server, body_schema, decode_body, empty_response, json_response
from millstream.manager.routes.observe import check_uuid
from millstream.manager.services import Services

log = logging.getLogger("millstream.auth")

router = APIRouter(tags=["Server"])

_CLUSTER_STATUS_KEYS = ("id", "recorded_at", "all_healthy", "api_status", "compiler_status", "runner_status")


@router.get("/healthz")
async def healthz(services: Server) -> Response:
    """Whether the server can work at all."""
    if await asyncio.to_thread(_database_answers, services):
        return json_response({"status": "healthy"})
    status = "unhealthy: unable to reach database (see logs for further details)"
    return json_response({"status": status}, 500)


def _database_answers(services: Services) -> bool:
    try:
        with services.engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


@router.get("/robots.txt")
async def robots() -> Response:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


@router.get("/config/authentication")
async def authentication(services: Server) -> Response:
    """How to log in; nothing if there is no login."""
    return json_response(services.access.configuration())


@router.get("/v0/config")
async def config(services: Server) -> Response:
    """Versions and edition."""
    return json_response(configuration(services.settings.unstable_features))


@router.get("/v0/config/demos")
async def config_demos(services: Server) -> Response:
    """Programs to try."""
    return json_response(services.demos)


@router.get("/v0/config/session")
async def config_session(request: Request) -> Response:
    """Who the caller is."""
    return json_response(principal_of(request).session())


@router.get("/v0/cluster_healthz")
async def cluster_healthz(services: Server) -> Response:
    """The health of each service."""
    await services.health.check()
    report = services.health.report()
    return json_response(report, 200 if report["all_healthy"] else 503)


@router.get("/v0/cluster/events")
async def cluster_events(services: Server) -> Response:
    """Changes of the health of services, newest first."""
    found = await asyncio.to_thread(services.health.events)
    return json_response([_status_of(event) for event in found])


@router.get("/v0/cluster/events/{event_id}")
async def cluster_event(event_id: Segment, services: Server, selector: Literal["status", "all"] = "status") -> Response:
    """One of these changes, or the `latest`."""
    wanted = event_id if event_id == "latest" else check_uuid(event_id)
    for event in await asyncio.to_thread(services.health.events):
        if wanted in ("latest", event["id"]):
            return json_response(event if selector == "all" else _status_of(event))
    raise errors.no_cluster_events() if wanted == "latest" else errors.unknown_cluster_event(event_id)


def _status_of(event: dict[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in _CLUSTER_STATUS_KEYS}


class ApiKeyBody(msgspec.Struct, kw_only=True):
    """Body of POST /api_keys."""

    name: str
    role: KeyRole | None = None


@router.get("/v0/api_keys")
async def list_api_keys(services: Server) -> Response:
    """All API keys, without their secret."""
    return json_response(await asyncio.to_thread(services.keys.all))


@router.post("/v0/api_keys", status_code=201, openapi_extra=body_schema(ApiKeyBody))
async def create_api_key(request: Request, services: Server) -> Response:
    """Make an API key; the answer is the only time that it is shown."""
    body = await decode_body(request, ApiKeyBody)
    made = await asyncio.to_thread(services.keys.create, body.name, body.role or "read")
    log.info("%r made the API key '%s' with the role '%s'", principal_of(request).name, body.name, body.role or "read")
    return json_response(made, 201)


@router.get("/v0/api_keys/{api_key_name}")
async def get_api_key(api_key_name: Segment, services: Server) -> Response:
    """One API key, in a list."""
    return json_response([await asyncio.to_thread(services.keys.get, api_key_name)])


@router.delete("/v0/api_keys/{api_key_name}")
async def delete_api_key(api_key_name: Segment, request: Request, services: Server) -> Response:
    """Delete an API key."""
    await asyncio.to_thread(services.keys.delete, api_key_name)
    log.info("%r deleted the API key '%s'", principal_of(request).name, api_key_name)
    return empty_response()


@router.get("/v0/config/owners")
async def config_owners(services: Server) -> Response:
    """Who owns the platform, by its settings."""
    return json_response({"owners": list(services.access.owners), "owner_trusts": []})


@router.api_route("/v0/tenants", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/v0/tenants/{tenant_id}", methods=["GET", "PATCH", "DELETE"], include_in_schema=False)
async def tenants() -> Response:
    """A server has one tenant."""
    raise errors.not_supported("Managing tenants")


@router.api_route("/v0/tenant/users", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/v0/tenant/users/{user_id}", methods=["PUT", "DELETE"], include_in_schema=False)
@router.api_route("/v0/oidc_trust", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/v0/oidc_trust/{name}", methods=["GET", "DELETE"], include_in_schema=False)
async def for_many_users() -> Response:
    """Users and trust in other issuers: not there yet."""
    raise errors.not_supported("Managing users and trusted issuers")
