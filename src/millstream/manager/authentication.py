"""Who is calling: every request to `/v0` is asked for a credential before it is routed (api.md §4.2-§4.5).

`Authenticate` is an ASGI layer in front of the routes. It turns a credential into a `Principal`, or answers 401 itself.
What the principal may do is decided after routing and before a body is read, by the dependency `authorize` of all
routes. Nothing here shows or keeps a credential: answers and logs name API keys and subjects only.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from millstream.errors import MillstreamError
from millstream.manager import errors
from millstream.manager.access import TENANT_ID, TENANT_NAME, Access
from millstream.manager.keys import KEY_PREFIX, ApiKeys
from millstream.manager.oidc import BadTokenError, KeysUnavailableError, LoginVerifier
from millstream.manager.roles import Role, allows, least_role

log = logging.getLogger("millstream.auth")

GUARDED = "/v0"
SESSION_ROUTE = "/v0/config/session"
TENANT_HEADER = "feldera-tenant"
WEBSOCKET_PROTOCOL = "feldera-ws-v1"
RETRY_AFTER_S = 5

_BEARER_PROTOCOL = "feldera-bearer."
_TENANT_PROTOCOL = "feldera-tenant."
_SCOPE_KEY = "millstream.principal"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `role` is None, with the reason in `refusal`, if it is known but has no place in the tenant that it
    asks for. `is_login`: a person, who is a member of the tenant."""

    name: str
    role: Role | None
    is_login: bool = False
    refusal: MillstreamError | None = None

    def session(self) -> dict[str, Any]:
        """The answer of `GET /v0/config/session`."""
        if self.role is None:
            return {"tenant_id": None, "tenant_name": None, "role": None, "memberships": []}
        member = {"tenant_id": TENANT_ID, "name": TENANT_NAME, "role": self.role}
        return {
            "tenant_id": TENANT_ID,
            "tenant_name": TENANT_NAME,
            "role": self.role,
            "memberships": [member] if self.is_login and self.role != "owner" else [],
        }


ANYBODY = Principal("anybody", "admin")
"""Every caller of a server without authentication."""


class RefusedError(Exception):
    """A request without a credential that holds; `response` is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


def _refused(text: str, *, description: str | None = None) -> RefusedError:
    """401 in plain text. The challenge names an error only if there was a credential (RFC 6750 §3.1)."""
    challenge = "Bearer"
    if description is not None:
        quoted = description.replace("\\", "'").replace('"', "'")
        challenge += f' error="invalid_token", error_description="{quoted}"'
    return RefusedError(Response(text, 401, {"WWW-Authenticate": challenge}, media_type="text/plain"))


def _failed(text: str, status: int = 401) -> RefusedError:
    """The two-field body of api.md §4.4, which is no error object."""
    body = orjson.dumps({"message": text, "error_code": "AuthenticationFailed"})
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": str(RETRY_AFTER_S)}
    return RefusedError(Response(body, status, headers, media_type="text/plain"))


class Authenticator:
    """Finds the principal of a request."""

    def __init__(self, access: Access, keys: ApiKeys, logins: LoginVerifier | None) -> None:
        self._access = access
        self._keys = keys
        self._logins = logins

    async def principal(self, headers: Headers) -> Principal:
        """Who sends a request with these headers. Raises `RefusedError`."""
        if self._access.open:
            return ANYBODY
        token = _bearer(headers)
        if token.startswith(KEY_PREFIX):
            key = await self._keys.find(token)
            if key is None:
                raise _failed("Unauthorized API key")
            return Principal(f"API key '{key.name}'", key.role)
        if self._logins is None:
            text = "only API keys ('apikey:...') are taken by this server"
            raise _refused(text, description=text)
        return await self._login(self._logins, token, headers.get(TENANT_HEADER))

    async def _login(self, logins: LoginVerifier, token: str, selector: str | None) -> Principal:
        try:
            claims = await logins.verify(token)
        except BadTokenError as bad:
            raise _refused(f"invalid token: {bad}", description=str(bad)) from None
        except KeysUnavailableError as unavailable:
            log.warning("logins cannot be checked: %s", unavailable)
            raise _failed("The login provider's keys cannot be had at present", 503) from None
        access, subject = self._access, claims["sub"]
        if access.authorized_groups and not set(access.authorized_groups).intersection(_names(claims.get("groups"))):
            raise _failed("The user is in none of the groups that may use this server")
        selected = selector in (None, "", TENANT_ID, TENANT_NAME)
        if _is_owner(claims, access):
            refusal = None if selected else errors.unknown_tenant_name(selector or "")
            return Principal(subject, "owner" if selected else None, True, refusal)
        claimed = _names(claims.get("tenants")) or _names(claims.get("tenant"))
        if not selected:
            return Principal(subject, None, True, errors.not_a_tenant_member(selector or ""))
        if claimed and TENANT_NAME not in claimed:
            return Principal(subject, None, True, errors.no_tenant_memberships())
        return Principal(subject, access.default_role, True)


def _bearer(headers: Headers) -> str:
    given = headers.getlist("authorization")
    scheme, _, token = (given[0] if len(given) == 1 else "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused("authentication is needed: send 'Authorization: Bearer' with an API key or a token")
    return token.strip()


def _names(claim: Any) -> list[str]:
    """A claim that is a list of names, or one text with commas between them."""
    parts: Iterable[Any] = claim.split(",") if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return [part.strip() for part in parts if isinstance(part, str) and part.strip()]


def _is_owner(claims: dict[str, Any], access: Access) -> bool:
    names = {claims["sub"], f"{claims['iss']} {claims['sub']}"}
    if claims.get("email_verified") is True and isinstance(claims.get("email"), str):
        names.add(claims["email"])
    return not names.isdisjoint(access.owners)


class Authenticate:
    """The ASGI layer. See the module."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or not (path == GUARDED or path.startswith(GUARDED + "/")):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            scope, send = _promoted(scope, send)
        try:
            principal = await self._authenticator.principal(Headers(scope=scope))
        except RefusedError as refused:
            if scope["type"] == "websocket":
                await receive()
                if "websocket.http.response" not in scope.get("extensions", {}):
                    await send({"type": "websocket.close", "code": 1008})
                    return
            await refused.response(scope, receive, send)
            return
        await self._app({**scope, _SCOPE_KEY: principal}, receive, send)


def _promoted(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """A WebSocket handshake with its credential where other requests have it. Browsers can only send it as a
    subprotocol, which goes no further than here; the protocol that is agreed upon never shows it."""
    offered = scope.get("subprotocols", ())
    headers = list(scope["headers"])
    if not any(name == b"authorization" for name, _ in headers):
        for prefix, name, start in (
            (_BEARER_PROTOCOL, b"authorization", b"Bearer "),
            (_TENANT_PROTOCOL, TENANT_HEADER.encode(), b""),
        ):
            values = [_decoded(text.removeprefix(prefix)) for text in offered if text.startswith(prefix)]
            headers += [(name, start + value) for value in values if value]
    others = [text for text in offered if not text.startswith((_BEARER_PROTOCOL, _TENANT_PROTOCOL))]
    kept = [header for header in headers if header[0] != b"sec-websocket-protocol"]

    async def agree(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol") and WEBSOCKET_PROTOCOL in others:
            message = {**message, "subprotocol": WEBSOCKET_PROTOCOL}
        await send(message)

    return {**scope, "headers": kept, "subprotocols": others}, agree


def _decoded(text: str) -> bytes:
    """Base64url without padding; empty if it is not that."""
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return value if value.isascii() and value.decode("ascii").isprintable() else b""


async def authorize(connection: HTTPConnection) -> None:
    """Dependency of all routes: raises what a caller gets whose role is too low (api.md §4.5)."""
    scope = connection.scope
    path: str = scope["route"].path
    if not path.startswith(GUARDED + "/"):
        return
    principal: Principal | None = scope.get(_SCOPE_KEY)
    if principal is None:
        raise HTTPException(403, "nobody is known to have sent this request")
    if principal.role is None:
        if path == SESSION_ROUTE and principal.refusal is not None and principal.refusal.status == 403:
            return
        assert principal.refusal is not None
        raise principal.refusal
    required = least_role(scope.get("method", "GET"), path)
    if required is None:
        raise errors.open_to_nobody()
    if not allows(principal.role, required):
        raise errors.insufficient_permissions(required, principal.role)


def principal_of(connection: HTTPConnection) -> Principal:
    """The caller of a request to `/v0`."""
    principal: Principal = connection.scope[_SCOPE_KEY]
    return principal
