"""What is forwarded to pipeline processes: data in and out, queries, connector control, statistics (api.md §11-§18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from millstream.errors import MillstreamError
from millstream.manager import errors
from millstream.manager.models import Pipeline
from millstream.manager.proxy import DEFAULT_TIMEOUT_S, Target, require_deployed
from millstream.manager.routes.common import Named, Segment, Server, empty_response
from millstream.manager.services import Services
from millstream.manager.socket_proxy import forward_socket

PREFIX = "/v0/pipelines/"
INGRESS_TIMEOUT_S = 30.0
PROFILE_TIMEOUT_S = 120.0

router = APIRouter(prefix="/v0/pipelines/{pipeline_name}", tags=["Data"])


class Forwarded(NamedTuple):
    """A route of the process that the API shows. `timeout_s` None: as long as it takes."""

    method: str
    path: str
    summary: str
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    endless: bool = False


_INPUT = "/tables/{table_name}/connectors/{connector_name}"
_OUTPUT = "/views/{view_name}/connectors/{connector_name}"

#: What is asked for most often comes first: routes are tried in this order.
FORWARDED = (
    Forwarded("GET", "/stats", "Statistics of the pipeline and its connectors"),
    Forwarded("POST", "/ingress/{table_name}", "Push data into a table", INGRESS_TIMEOUT_S),
    Forwarded("POST", "/egress/{table_name}", "Follow the changes of a table or view", None, True),
    Forwarded("GET", "/query", "Run an ad-hoc query", None),
    Forwarded("GET", "/completion_status", "Tell whether what a token stands for is processed"),
    Forwarded("GET", _INPUT + "/completion_token", "A token for what a connector has received"),
    Forwarded("GET", _INPUT + "/stats", "Statistics of an input connector"),
    Forwarded("GET", _OUTPUT + "/stats", "Statistics of an output connector"),
    Forwarded("GET", "/metrics", "Metrics of the pipeline"),
    Forwarded("GET", "/time_series", "Measurements of the last minute"),
    Forwarded("GET", "/time_series_stream", "Measurements as they are made", None, True),
    Forwarded("POST", "/start_transaction", "Start a transaction"),
    Forwarded("POST", "/commit_transaction", "Commit the transaction"),
    Forwarded("POST", "/clock/advance", "Move the clock of the pipeline"),
    Forwarded("GET", "/circuit_profile", "Profile of the operators, as an archive", PROFILE_TIMEOUT_S),
    Forwarded("GET", "/circuit_json_profile", "Profile of the operators", PROFILE_TIMEOUT_S),
    Forwarded("GET", "/heap_profile", "Profile of the memory, which this engine does not have"),
    Forwarded("POST", "/samply_profile", "Take a profile of the processor time of threads"),
    Forwarded("GET", "/samply_profile", "The last such profile", None),
)


def forward(request: Request, p: Pipeline, services: Services, route: Forwarded) -> Response:
    """Forward a request whose path is `PREFIX`, the pipeline's name, and the path that the process knows."""
    raw_path: bytes = request.scope["raw_path"]
    _, _, rest = raw_path.decode("ascii").removeprefix(PREFIX).partition("/")
    query: bytes = request.scope["query_string"]
    target = f"/{rest}?{query.decode('ascii')}" if query else f"/{rest}"
    return services.proxy.forward(request, Target(p, target, route.timeout_s, route.endless))


def _endpoint(route: Forwarded) -> Callable[[Request, Pipeline, Services], Awaitable[Response]]:
    async def endpoint(request: Request, p: Named, services: Server) -> Response:
        return forward(request, p, services, route)

    return endpoint


@router.post(_INPUT + "/{action}", summary="Start or pause an input connector")
async def connector_action(request: Request, pipeline_name: Segment, action: Segment, services: Server) -> Response:
    """`action` is `start` or `pause`, which is checked before anything else."""
    if action not in ("start", "pause"):
        raise errors.invalid_connector_action(action)
    p = services.store.named(pipeline_name)
    return forward(request, p, services, Forwarded("POST", _INPUT + "/{action}", ""))


for _route in FORWARDED:
    router.add_api_route(
        _route.path,
        _endpoint(_route),
        methods=[_route.method],
        summary=_route.summary,
        operation_id=f"{_route.method.lower()}_{_route.path.strip('/').replace('/', '_')}",
    )


@router.get("/stats/errors", include_in_schema=False)
async def error_counts(request: Request, p: Named, services: Server) -> Response:
    """How many errors each connector has had: a part of `/stats` that is cheap to poll."""
    return forward(request, p, services, Forwarded("GET", "/stats/errors", ""))


@router.websocket("/query")
async def query_socket(socket: WebSocket, p: Named, services: Server) -> None:
    """Ad-hoc queries, many on one connection."""
    await forward_socket(socket, p, "/query", services.proxy)


# What engines of other kinds have.


@router.post("/start_compaction", include_in_schema=False)
@router.post("/rebalance", include_in_schema=False)
async def nothing_to_do(p: Named) -> Response:
    """Accepted without effect: the engine does this by itself."""
    require_deployed(p)
    return empty_response()


@router.post(_OUTPUT + "/start", include_in_schema=False)
@router.post(_OUTPUT + "/pause", include_in_schema=False)
async def output_action(p: Named) -> Response:
    """Output connectors have no state of their own: later versions of the API pause them, too."""
    raise errors.not_supported("Pausing an output connector on its own")


@router.post(_OUTPUT + "/command", include_in_schema=False)
async def output_command(p: Named) -> Response:
    """No output connector here takes commands."""
    require_deployed(p)
    raise MillstreamError("InvalidParam", "the connector does not support commands", {"error": "no commands"}, 400)
