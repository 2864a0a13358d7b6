"""What web pages may do with the API.

`cors` lets pages of listed origins use it (api.md §1.1). `PageGuard` keeps all other pages away from a server without
authentication: any page that a person on this machine opens could otherwise send requests to it, in which a pipeline
reads files or a query inserts rows, or even read answers after making its own name resolve to the server's address
("DNS rebinding"). Programs that are no browsers notice nothing of this.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from millstream.manager.access import Access, is_loopback_name

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS = ("Authorization", "Accept", "Content-Type", "Feldera-Tenant")
_ANSWER_HEADERS = ("Feldera-Logs-Epoch", "Feldera-Logs-Seq", "Feldera-Logs-Gap", "Retry-After")


def cors(app: ASGIApp, access: Access) -> ASGIApp:
    """`app` with answers to pages of the allowed origins on `/v0` and `/config`."""
    if not (access.allowed_origins or access.any_origin):
        return app
    shared = CORSMiddleware(
        app,
        allow_origins=access.allowed_origins,
        allow_origin_regex=".*" if access.any_origin else None,
        allow_credentials=True,
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_ANSWER_HEADERS,
    )

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        covered = scope["type"] == "http" and scope["path"].startswith(("/v0/", "/config/"))
        await (shared if covered else app)(scope, receive, send)

    return choose


class PageGuard:
    """ASGI layer that turns away what pages of other sites send to a server without authentication."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = None
        if scope["type"] in ("http", "websocket") and scope["path"].startswith("/v0"):
            problem = self._problem(Headers(scope=scope))
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(problem, 403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def _problem(self, headers: Headers) -> str | None:
        access, host = self._access, headers.get("host", "")
        if access.host_names is not None:
            name = _host_name(host)
            if name not in access.host_names and not is_loopback_name(name):
                return (
                    f"this server has no authentication and does not answer to the name '{name}': use the name given "
                    "by --host, or start it with authentication or with --allow-unauthenticated"
                )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
        if access.any_origin or origin in access.allowed_origins:
            return None
        # The same test as in Go's net/http.CrossOriginProtection: the newer header first, then Origin against Host.
        foreign = (
            site not in ("same-origin", "none") if site else origin is not None and urlsplit(origin).netloc != host
        )
        if foreign:
            return "requests of web pages of other origins are turned away: list their origins with --allowed-origins"
        return None


def _host_name(host: str) -> str:
    """The host without its port, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
