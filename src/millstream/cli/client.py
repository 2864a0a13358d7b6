"""A thin HTTP client of the REST API; the server's error objects become MillstreamError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from millstream.errors import MillstreamError

TIMEOUT_S = 60.0


class Client:
    """Talks to one server. `api_key` is sent as a bearer token when given."""

    def __init__(self, server: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=server.rstrip("/"), headers=headers, timeout=TIMEOUT_S)

    def call(self, method: str, path: str, **parameters: Any) -> Any:
        """The JSON of an answer (None when it is empty). Raises MillstreamError for error answers."""
        response = self._http.request(method, "/v0" + path, params=parameters)
        check(response)
        return response.json() if response.content else None

    def send(self, method: str, path: str, body: Any) -> Any:
        """Like `call`, with a JSON body."""
        response = self._http.request(method, "/v0" + path, json=body)
        check(response)
        return response.json() if response.content else None

    @contextmanager
    def stream(self, path: str, *, silence: float | None = None, **parameters: Any) -> Iterator[httpx.Response]:
        """A streamed answer; `silence` seconds without data raise httpx.ReadTimeout (None: wait for ever)."""
        timeout = httpx.Timeout(TIMEOUT_S, read=silence)
        with self._http.stream("GET", "/v0" + path, params=parameters, timeout=timeout) as response:
            if response.is_error:
                response.read()
            check(response)
            yield response


def check(response: httpx.Response) -> None:
    """Raise the MillstreamError that an error answer carries."""
    if not response.is_error:
        return
    try:
        body = response.json()
        code, message, details = body["error_code"], body["message"], body.get("details")
    except (ValueError, KeyError, TypeError):
        code, message, details = f"HTTP {response.status_code}", response.text or response.reason_phrase, None
    raise MillstreamError(code, message, details, response.status_code)


def path(*segments: str) -> str:
    """A URL path of percent-encoded segments."""
    return "".join("/" + quote(segment, safe="") for segment in segments)
