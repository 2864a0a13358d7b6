"""A blocking client of the manager's application without a server, and how its answers are read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from millstream.manager.app import create_app
from millstream.manager.services import Services

PREFIX = "/v0/pipelines"


class Http:
    """A blocking client of the application, with an event loop that stays between requests."""

    def __init__(self, services: Services) -> None:
        self._app = create_app(services)
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://server")
        self.runner = asyncio.Runner()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.runner.run(self._client.request(method, path, **options))

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def refused_socket(self, path: str) -> tuple[int, Any]:
        """Status and JSON of the answer to a WebSocket handshake that is refused."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"server")],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self.runner.run(self._app(scope, receive, send))
        start, *bodies = sent
        assert start["type"] == "websocket.http.response.start"
        return start["status"], json.loads(b"".join(part["body"] for part in bodies))


def error(response: Any) -> tuple[int, str, Any]:
    """Status, code and details of an error in the API's shape."""
    body = response.json()
    assert set(body) == {"message", "error_code", "details"}
    assert body["message"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["error_code"], body["details"]


def plain(response: Any) -> tuple[int, str]:
    """Status and text of an error that the framework gives."""
    assert response.headers["content-type"].startswith("text/plain")
    return response.status_code, response.text
