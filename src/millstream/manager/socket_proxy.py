"""Forwards a WebSocket to a pipeline process, frame by frame in both directions (api.md §18.2)."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from millstream.manager import errors
from millstream.manager.models import Pipeline
from millstream.manager.proxy import CONNECT_TIMEOUT_S, IMPOSTOR, Proxy, require_deployed

GOING_AWAY, ABNORMAL = 1001, 1011
MAX_FRAME_BYTES = 64 << 20
"""Largest frame from the process; it sends none above a thirtieth of this."""


async def forward_socket(socket: WebSocket, p: Pipeline, path: str, proxy: Proxy) -> None:
    """Connect to the process, then accept the client's socket and pass everything on until either side closes, or the
    server ends. Raises `UnableToConnect`, and what `require_deployed` raises, before accepting."""
    process = require_deployed(p)
    try:
        upstream = await connect(
            f"ws://127.0.0.1:{process['port']}{path}",
            additional_headers=proxy.credentials(p),
            open_timeout=CONNECT_TIMEOUT_S,
            ping_interval=None,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise errors.unable_to_connect(f"{type(error).__name__}: {error}") from None
    async with upstream:
        if upstream.response is None or not proxy.proves(upstream.response.headers, p):
            raise errors.unable_to_connect(IMPOSTOR)
        await socket.accept()
        code = await _pass_on(socket, upstream, proxy.closing)
    if code is not None:
        await socket.close(code)


async def _pass_on(socket: WebSocket, upstream: ClientConnection, closing: asyncio.Event) -> int | None:
    """Both directions at once; the code to close the client's socket with, None if the client has closed it."""
    up = asyncio.create_task(_to_process(socket, upstream))
    down = asyncio.create_task(_to_client(socket, upstream))
    ending = asyncio.create_task(closing.wait())
    try:
        await asyncio.wait({up, down, ending}, return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            return await down
        return GOING_AWAY if ending.done() else None
    finally:
        for task in (up, down, ending):
            task.cancel()
        await asyncio.gather(up, down, ending, return_exceptions=True)


async def _to_process(socket: WebSocket, upstream: ClientConnection) -> None:
    while (message := await socket.receive())["type"] == "websocket.receive":
        text = message.get("text")
        try:
            await upstream.send(message["bytes"] if text is None else text)
        except ConnectionClosed:
            await asyncio.Event().wait()  # the other direction learns how it was closed, and ends both


async def _to_client(socket: WebSocket, upstream: ClientConnection) -> int | None:
    try:
        async for frame in upstream:
            await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
    except ConnectionClosed:
        pass
    except (WebSocketDisconnect, RuntimeError):
        return None
    return upstream.close_code if upstream.close_code in (1000, 1011) else ABNORMAL
