"""Forwards requests to pipeline processes, streaming both ways.

The path and query go on byte for byte as they came: table names may contain encoded slashes. Bodies are passed through
in pieces as they arrive, never collected; a slow reader slows the writer. If the client goes away, the request to the
process is dropped, which the process notices.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from millstream.errors import MillstreamError
from millstream.manager import errors
from millstream.manager.models import Pipeline
from millstream.manager.tokens import PROOF_HEADER, TOKEN_HEADER, DeploymentTokens

DEFAULT_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0

#: Headers that belong to one connection, that each side sets itself, or that tell who the caller is.
_NOT_FORWARDED = frozenset(
    (
        b"accept-encoding", b"authorization", b"connection", b"cookie", b"date", b"expect", b"feldera-tenant", b"host",
        b"keep-alive", b"origin", b"proxy-authorization", b"sec-websocket-protocol", b"server", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", TOKEN_HEADER.lower().encode(),
        PROOF_HEADER.lower().encode(),
    )
)  # fmt: skip


REFUSED = "the connection to the pipeline was refused: its process has ended, or does not listen yet"
IMPOSTOR = "the process of the pipeline has ended, and another program listens on its port"
DISCONNECTED = (
    "the pipeline disconnected while it was processing this HTTP request. This could be because the pipeline either "
    "(a) encountered a fatal error or panic, (b) was stopped, or (c) experienced network issues -- retrying might help "
    "in the last case. Alternatively, check the pipeline logs."
)


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask which pipeline. `timeout_s` bounds each wait for the process (None: no bound); `endless` answers have
    no end of their own, so that a process that ends is how they end."""

    pipeline: Pipeline
    target: str
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    endless: bool = False

    @property
    def shown(self) -> str:
        """The path without the query, for messages."""
        return self.target.split("?", 1)[0]


def require_deployed(p: Pipeline) -> dict[str, Any]:
    """How to reach the pipeline's process; raises what a request gets while there is none (api.md §3.2)."""
    if p.resources_status != "Provisioned" or p.process is None:
        raise errors.not_deployed(p.name, p.id, p.resources_status, p.resources_desired_status)
    if p.runtime_status == "Unavailable":
        raise errors.unavailable(p.name, p.id)
    return p.process


class Proxy:
    """The client side. One for the whole server."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, tokens: DeploymentTokens, on_unreachable: Callable[[Pipeline], None]
    ) -> None:
        # Without the client around it, which looks for cookies, redirects and credentials.
        self._transport = transport
        self._tokens = tokens
        self._on_unreachable = on_unreachable
        #: Set when the server ends: endless answers end with it.
        self.closing = asyncio.Event()

    def credentials(self, p: Pipeline) -> dict[str, str]:
        """The header that the pipeline's process wants to see."""
        return {TOKEN_HEADER: self._tokens.of(p.deployment_id or "")}

    def proves(self, headers: Mapping[str, str], p: Pipeline) -> bool:
        """Whether an answer comes from the pipeline's process."""
        return self._tokens.proves(headers, p.deployment_id or "")

    async def send(
        self,
        to: Target,
        method: str,
        headers: list[tuple[bytes, bytes]] | None = None,
        content: AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        """Send a request and return the answer with its body still to be read (close it!).

        Raises `PipelineInteractionUnreachable` and what `require_deployed` raises.
        """
        process = require_deployed(to.pipeline)
        timeout = httpx.Timeout(to.timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            method,
            f"http://127.0.0.1:{process['port']}/",
            headers=[*(headers or ()), *((k.encode(), v.encode()) for k, v in self.credentials(to.pipeline).items())],
            content=content,
            extensions={"target": to.target.encode("ascii"), "timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise self.unreachable(to, _timed_out(to, error)) from None
        except httpx.ConnectError:
            raise self.unreachable(to, REFUSED) from None
        except httpx.TransportError:
            raise self.unreachable(to, DISCONNECTED) from None
        if not self.proves(response.headers, to.pipeline):
            await response.aclose()
            raise self.unreachable(to, IMPOSTOR)
        return response

    async def call(self, to: Target, method: str) -> Any:
        """The JSON of an answer. Raises the error that an error answer carries, and what `send` raises."""
        body = await self.fetch(to, method)
        return _decoded(body)

    async def fetch(self, to: Target, method: str) -> bytes:
        """The bytes of an answer. Raises like `call`."""
        response = await self.send(to, method)
        try:
            body = await response.aread()
        except httpx.TimeoutException as error:
            raise self.unreachable(to, _timed_out(to, error)) from None
        except httpx.TransportError:
            raise self.unreachable(to, DISCONNECTED) from None
        finally:
            await response.aclose()
        if not response.is_error:
            return body
        content = _decoded(body)
        if isinstance(content, dict) and "error_code" in content:
            raise MillstreamError(
                content["error_code"], content["message"], content.get("details"), response.status_code
            )
        raise self.unreachable(to, f"unexpected answer with status {response.status_code}: {content}")

    def forward(self, request: Request, to: Target) -> Response:
        """The response that carries the request to the process and its answer back."""
        require_deployed(to.pipeline)
        return _Forwarded(self, request, to)

    def unreachable(self, to: Target, reason: str) -> MillstreamError:
        """The error of a request that did not get through; the runner looks at the process at once."""
        self._on_unreachable(to.pipeline)
        return errors.unreachable(to.pipeline.name, to.pipeline.id, to.shown, reason)


def _decoded(body: bytes) -> Any:
    """The JSON of a body, else its text."""
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


_END = {"type": "http.response.body", "body": b"", "more_body": False}


class _Forwarded(Response):
    """A request under way. See the module."""

    def __init__(self, proxy: Proxy, request: Request, to: Target) -> None:
        super().__init__()
        self._proxy = proxy
        self._request = request
        self._to = to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body_read = asyncio.Event()
        headers = [(name, value) for name, value in self._request.headers.raw if name not in _NOT_FORWARDED]
        sending = self._proxy.send(self._to, self._request.method, headers, self._content(body_read))
        try:
            response = await self._unless_over(receive, body_read, sending)
        except ClientDisconnect:
            return
        if response is None:
            return
        try:
            answered = await self._unless_over(receive, body_read, self._answer(response, send))
            if not answered and self._proxy.closing.is_set():
                await send(_END)
        finally:
            with contextlib.suppress(httpx.HTTPError):
                await response.aclose()

    def _content(self, read: asyncio.Event) -> AsyncIterator[bytes] | None:
        """The body of the request; None if it has none."""
        headers = self._request.headers
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            read.set()
            return None
        return self._body(read)

    async def _body(self, read: asyncio.Event) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            if chunk:
                yield chunk
        read.set()

    async def _unless_over(
        self, receive: Receive, body_read: asyncio.Event, work: Coroutine[Any, Any, _T]
    ) -> _T | None:
        """The result of `work`; None, with the work dropped, if the client goes away before or the server ends."""
        working = asyncio.create_task(work)
        gone = asyncio.create_task(_disconnected(receive, body_read))
        closing = asyncio.create_task(self._proxy.closing.wait())
        try:
            watched = {working, gone, closing} if self._to.endless else {working, gone}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            for task in (working, gone, closing):
                task.cancel()
            await asyncio.gather(working, gone, closing, return_exceptions=True)

    async def _answer(self, response: httpx.Response, send: Send) -> bool:
        """Pass the answer on; whether it was complete."""
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        kept = [(name, value) for name, value in headers if name not in _NOT_FORWARDED]
        await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
        try:
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.TransportError:
            if not self._to.endless:
                return False  # the connection is then closed, so that the client sees that the answer is not complete
        await send(_END)
        return True


_T = TypeVar("_T")


async def _disconnected(receive: Receive, body_read: asyncio.Event) -> None:
    """Return when the client has closed the connection; its request is read by somebody else before that."""
    await body_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _timed_out(to: Target, error: httpx.TimeoutException) -> str:
    seconds = CONNECT_TIMEOUT_S if isinstance(error, httpx.ConnectTimeout) else to.timeout_s or 0
    return (
        f"timeout ({seconds:g}s) was reached: this means the pipeline took too long to respond -- this can simply be "
        "because the request was too difficult to process in time, or other reasons (e.g., deadlock): the pipeline "
        "logs might contain additional information"
    )
