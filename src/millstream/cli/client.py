"""A thin HTTP client of the REST API; the server's error objects become MillstreamError."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from millstream.errors import MillstreamError

TIMEOUT_S = 60.0

connections = ExitStack()
"""What the running command has open; closed at its end."""


class Client:
    """Talks to one server. `api_key` is sent as a bearer token when given."""

    def __init__(self, server: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = connections.enter_context(
            httpx.Client(base_url=server.rstrip("/"), headers=headers, timeout=TIMEOUT_S, verify=_verification())
        )

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


def _verification() -> ssl.SSLContext | bool:
    """How the server's certificate is checked, by the variables that the official client reads: a file of certificates
    to trust, or not at all."""
    file = os.environ.get("FELDERA_HTTPS_TLS_CERT")
    if file:
        try:
            return ssl.create_default_context(cafile=file)
        except OSError as error:
            text = f"cannot use the certificates in '{file}' (FELDERA_HTTPS_TLS_CERT): {error.strerror or error}"
            raise MillstreamError("InvalidTlsSettings", text) from None
    return os.environ.get("FELDERA_TLS_INSECURE", "").strip().lower() not in ("1", "true", "yes")


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
