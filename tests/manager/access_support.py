"""An application with authentication, called without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from millstream.manager.app import create_app
from millstream.manager.services import Services


class Caller:
    """A blocking client of the application, with an event loop that stays between requests."""

    def __init__(self, services: Services) -> None:
        transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://server")
        self._services = services
        self.runner = asyncio.Runner()

    def __call__(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a request; `token` goes into a bearer header."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.runner.run(self._client.request(method, path, headers=headers, **options))

    def close(self) -> None:
        """End it and the services."""
        with self.runner:
            self.runner.run(self._services.client.aclose())
            if self._services.login_client is not None:
                self.runner.run(self._services.login_client.aclose())
        self._services.store.close()
