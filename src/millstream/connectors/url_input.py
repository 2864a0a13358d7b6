"""`url_input`: reads a document over HTTP, once (connectors.md §11.2).

The document is streamed: bytes are pushed as they arrive, and while the connector may not read, nothing is taken from
the network, so the server is held back by TCP. A pause of more than `pause_timeout` seconds drops the connection; the
next request asks for the rest with `Range`. A server that ignores `Range` sends all again, and what was read already
is skipped.

The HTTP client is asynchronous only so that a read that waits for a slow server can be given up when the connector has
to stop; everything runs in the reader's thread, on a loop of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from millstream.connectors.base import InputConnector, InputSink
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation

if TYPE_CHECKING:
    import httpx

DEFAULT_PAUSE_TIMEOUT_SECONDS = 60
MAX_UNSIGNED_32 = 2**32 - 1
#: The time for connecting, and for the head of the response.
HEADERS_TIMEOUT_SECONDS = 10.0
#: How often a read that waits for data looks whether it must stop or pause.
CHECK_INTERVAL_SECONDS = 0.1

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_T = TypeVar("_T")


class _FetchError(Exception):
    """The document cannot be read; `str()` says why."""


class _StopReading(Exception):  # noqa: N818 - not an error
    """The connector must stop."""


class _LongPause(Exception):  # noqa: N818 - not an error
    """The connector was paused for so long that the connection is dropped."""


class UrlInput(InputConnector):
    """Options: `path` (required, the URL), `pause_timeout` (60 s)."""

    name = "url_input"
    single_stream = True

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        try:
            options = Options(config)
            self.url = _checked_url(options.required_text("path"))
            self.pause_timeout = options.sure_integer(
                "pause_timeout", DEFAULT_PAUSE_TIMEOUT_SECONDS, maximum=MAX_UNSIGNED_32
            )
            options.finish()
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error
        #: Bytes of the document that were pushed.
        self.offset = 0

    def run(self, sink: InputSink) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._read(sink))
        except _StopReading:
            return
        except _FetchError as error:
            sink.error(self.name, f"cannot read `{shown_url(self.url)}`: {error}", fatal=True)
            return
        sink.push_bytes(b"", end=True)
        sink.end_of_input()

    async def _read(self, sink: InputSink) -> None:
        """Push the document; returns at its end."""
        # Imported here because it takes a quarter of a second, and most pipelines read no URL.
        import httpx

        timeout = httpx.Timeout(HEADERS_TIMEOUT_SECONDS, read=None)
        async with httpx.AsyncClient(timeout=timeout, follow_redirects=False) as client:
            complete = False
            while not complete:
                _check_closing(sink)
                if sink.wait_until_active():
                    try:
                        complete = await self._request(client, sink)
                    except (httpx.HTTPError, httpx.InvalidURL) as error:
                        raise _FetchError(f"{type(error).__name__}: {error}") from error

    async def _request(self, client: httpx.AsyncClient, sink: InputSink) -> bool:
        """One request, from `offset` on; whether the document's end was reached (else: a long pause)."""
        # Offsets count bytes of the document itself, so it must not come compressed. Connections serve one request:
        # a kept one may be closed by the server just when the next request is sent.
        headers = {"Accept-Encoding": "identity", "Connection": "close"}
        if self.offset:
            headers["Range"] = f"bytes={self.offset}-"
        request = client.build_request("GET", self.url, headers=headers)
        sending = client.send(request, stream=True)
        response = await _patiently(sending, lambda: _check_closing(sink), HEADERS_TIMEOUT_SECONDS)
        try:
            if response.status_code == 416 and self.offset:
                return True
            skip, end = self._plan(response)
            asked_at = self.offset
            await self._push_all(response.aiter_raw(), skip, sink)
        except _LongPause:
            return False
        finally:
            await response.aclose()
        if end is None or self.offset >= end:
            return True
        if self.offset == asked_at:
            raise _FetchError(f"the response ends at byte {self.offset} of {end} without any new data")
        return False

    def _plan(self, response: httpx.Response) -> tuple[int, int | None]:
        """How many leading bytes of the body were read before, and the size of the document if the body may be only
        a part of it. Raises _FetchError for responses that cannot be used."""
        if not response.is_success:
            location = response.headers.get("location")
            hint = ""
            if response.is_redirect and location is not None:
                hint = f"; redirects are not followed, use the target `{shown_url(location)}` as `path`"
            raise _FetchError(f"HTTP status {response.status_code} {response.reason_phrase}{hint}")
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise _FetchError(f"the server sends the document with the encoding `{encoding}`, which was not asked for")
        if response.status_code != 206:
            return self.offset, None
        content_range = response.headers.get("content-range", "")
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None or int(match[1]) != self.offset:
            raise _FetchError(
                f"the server was asked for the bytes from {self.offset} on, but its partial response has the "
                f"Content-Range `{content_range}`"
            )
        return 0, None if match[3] == "*" else int(match[3])

    async def _push_all(self, chunks: AsyncIterator[bytes], skip: int, sink: InputSink) -> None:
        """Push all chunks but the first `skip` bytes. Raises _LongPause; `offset` says what was pushed before it."""
        while True:
            self._hold(sink)
            chunk = await _patiently(_next(chunks), lambda: self._hold(sink))
            if chunk is None:
                if skip:
                    raise _FetchError(f"the document is shorter than the {self.offset} bytes that were already read")
                return
            skipped = min(skip, len(chunk))
            skip -= skipped
            if skipped < len(chunk):
                # A pause may have come while the chunk was on its way; it does not count as read before it is pushed.
                self._hold(sink)
                sink.push_bytes(chunk[skipped:])
                self.offset += len(chunk) - skipped

    def _hold(self, sink: InputSink) -> None:
        """Wait as long as the connector may not read. Raises _LongPause when that takes longer than the connection
        is kept, _StopReading when the connector must stop."""
        if not sink.active:
            may_read = sink.wait_until_active(float(self.pause_timeout))
            _check_closing(sink)
            if not may_read:
                raise _LongPause


def _check_closing(sink: InputSink) -> None:
    if sink.closing:
        raise _StopReading


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _patiently(work: Coroutine[Any, Any, _T], check: Callable[[], None], timeout: float | None = None) -> _T:
    """The result of `work`. Meanwhile `check` is called now and then; what it raises ends the work. Raises _FetchError
    after `timeout` seconds."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=CHECK_INTERVAL_SECONDS)
            if done:
                return task.result()
            check()
            if deadline is not None and loop.time() >= deadline:
                raise _FetchError(f"no response within {timeout:g} seconds")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _checked_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise OptionError(f"option `path` is `{shown_url(text)}`; it must be an http:// or https:// URL")
    return text


def shown_url(text: str) -> str:
    """The URL for messages: without user, password and query, which may be secret."""
    head = text.partition("?")[0].partition("#")[0]
    scheme, separator, rest = head.partition("://")
    if not separator:
        return head
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
