"""Web pages: which may use the API, how WebSockets of browsers carry credentials, and what is turned away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from millstream.manager.access import Access
from millstream.manager.authentication import WEBSOCKET_PROTOCOL, Authenticate, principal_of
from millstream.manager.services import Services
from tests.manager.access_support import Caller

CONSOLE = "https://console.example"
PREFLIGHT = {
    "Origin": CONSOLE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization",
}

Make = Callable[..., Caller]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    callers: list[Caller] = []

    def build(**settings: Any) -> Caller:
        callers.append(Caller(Services(tmp_path, Access(**settings))))
        return callers[-1]

    yield build
    for caller in callers:
        caller.close()


def test_pages_of_listed_origins_may_use_the_api(make: Make) -> None:
    call = make(provider="api-keys", allowed_origins=(CONSOLE,))
    allowed = call("OPTIONS", "/v0/pipelines", headers=PREFLIGHT)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == CONSOLE
    assert allowed.headers["access-control-allow-credentials"] == "true"
    refused = call("GET", "/v0/pipelines", headers={"Origin": CONSOLE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, CONSOLE)
    assert call("GET", "/config/authentication", headers={"Origin": CONSOLE}).headers["access-control-allow-origin"]
    other = {**PREFLIGHT, "Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in call("OPTIONS", "/v0/pipelines", headers=other).headers
    assert "access-control-allow-origin" not in call("GET", "/healthz", headers={"Origin": CONSOLE}).headers


def test_no_origin_is_allowed_unless_listed(make: Make) -> None:
    call = make(provider="api-keys")
    assert call("OPTIONS", "/v0/pipelines", headers=PREFLIGHT).status_code == 401
    answer = call("GET", "/config/authentication", headers={"Origin": CONSOLE})
    assert "access-control-allow-origin" not in answer.headers


def test_developers_may_open_the_api_to_all_pages(make: Make) -> None:
    call = make(any_origin=True)
    answer = call("GET", "/v0/pipelines", headers={"Origin": "http://localhost:5173"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "http://localhost:5173")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Origin": "http://server"}, True),
        ({"Origin": "http://server:81"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": CONSOLE, "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://server"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
    ],
)
def test_other_pages_cannot_drive_a_server_without_authentication(
    make: Make, headers: dict[str, str], passes: bool
) -> None:
    call = make(allowed_origins=(CONSOLE,))
    body = b'{"name": "p", "program_code": ""}'
    answer = call("POST", "/v0/pipelines", headers=headers, content=body)
    assert answer.status_code == (201 if passes else 403)
    assert passes or "--allowed-origins" in answer.text
    assert call("GET", "/v0/pipelines").json() == [] or passes
    assert call("GET", "/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("app.localhost", True),
        ("machine.example", True),
        ("MACHINE.example:8080", True),
        ("rebound.example:8080", False),
        ("192.0.2.1", False),
        ("[x", False),
    ],
)
def test_names_that_lead_to_a_server_without_authentication(make: Make, host: str, passes: bool) -> None:
    """A page can make its own name lead to the loopback address; its requests then seem to have the right origin."""
    call = make(host_names=frozenset(("machine.example",)))
    answer = call("GET", "/v0/pipelines", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == (200 if passes else 403)
    assert passes or "--allow-unauthenticated" in answer.text


# WebSockets.


def protocol(prefix: str, value: str) -> str:
    return prefix + base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()


async def handshake(
    services: Services, protocols: list[str], headers: dict[str, str], *, can_deny: bool = True
) -> tuple[list[Message], list[Scope]]:
    """What the server sends, and what reached the application, in a handshake for a query."""
    sent: list[Message] = []
    reached: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)
        await receive()
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(b"sec-websocket-protocol", ", ".join(protocols).encode())]
    raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {
        "type": "websocket", "path": "/v0/pipelines/p/query", "headers": raw, "subprotocols": protocols,
        "extensions": {"websocket.http.response": {}} if can_deny else {},
    }  # fmt: skip
    await Authenticate(app, services.authenticator)(scope, receive, send)
    return sent, reached


def test_a_websocket_carries_its_credential_as_a_subprotocol(tmp_path: Path) -> None:
    services = Services(tmp_path, Access(provider="api-keys"))
    key = services.keys.create("k", "write")["api_key"]
    wrong = "apikey:" + "x" * 128

    def shake(protocols: list[str], headers: dict[str, str] | None = None, **options: Any) -> Any:
        return asyncio.run(handshake(services, protocols, headers or {}, **options))

    offered = [WEBSOCKET_PROTOCOL, protocol("feldera-bearer.", key), protocol("feldera-tenant.", "default")]
    sent, (reached,) = shake(offered)
    assert sent == [{"type": "websocket.accept", "subprotocol": WEBSOCKET_PROTOCOL}]
    assert reached["subprotocols"] == [WEBSOCKET_PROTOCOL]  # the credential goes no further
    assert dict(reached["headers"])[b"feldera-tenant"] == b"default"
    assert not any(name == b"sec-websocket-protocol" for name, _ in reached["headers"])

    class Connection:
        scope = reached

    assert principal_of(Connection()).role == "write"  # type: ignore[arg-type]

    assert shake([], {"Authorization": f"Bearer {key}"})[0] == [{"type": "websocket.accept"}]
    for protocols, headers in (
        ([WEBSOCKET_PROTOCOL], {}),
        ([protocol("feldera-bearer.", wrong)], {}),
        (["feldera-bearer.!!!"], {}),
        ([protocol("feldera-bearer.", key)], {"Authorization": f"Bearer {wrong}"}),  # the header counts
    ):
        sent, reached_app = shake(protocols, headers)
        assert (sent[0]["type"], sent[0]["status"], reached_app) == ("websocket.http.response.start", 401, [])
        assert shake(protocols, headers, can_deny=False)[0] == [{"type": "websocket.close", "code": 1008}]
    asyncio.run(services.client.aclose())
    services.store.close()
