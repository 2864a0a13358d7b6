"""Ad-hoc queries over a WebSocket (api.md §18.2).

The client sends a text frame `{"sql", "format"}` a query. Results come in frames of at most `MAX_FRAME_BYTES`: text for
`text`, `json` and `hash`, binary for the others. When every query that has arrived is answered, the socket is closed,
which is how a client sees the end; so one that has several sends them without waiting. A failure is a frame with the
error object, after which the socket is closed with code 1011.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from millstream.errors import MillstreamError
from millstream.pipeline.adhoc import query_error
from millstream.pipeline.host import Host
from millstream.pipeline.limits import MAX_WAITING_QUERIES
from millstream.pipeline.results import FORMATS, encode_result

MAX_FRAME_BYTES = 2 << 20
NORMAL, FAILED = 1000, 1011
_TEXT_FORMATS = frozenset({"text", "json", "hash"})
_CONTINUES = 0b1000_0000
"""The two top bits of a byte inside a UTF-8 character are 10."""


class QueryFrame(msgspec.Struct):
    """What a client sends."""

    sql: str
    format: str = "text"


async def query_socket(socket: WebSocket) -> None:
    await socket.accept()
    queries: asyncio.Queue[str | bytes | None] = asyncio.Queue(MAX_WAITING_QUERIES)
    receiving = asyncio.create_task(_receive(socket, queries))
    answering = asyncio.create_task(_answer_all(socket, queries))
    try:
        await asyncio.wait({receiving, answering}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        receiving.cancel()
        answering.cancel()
        await asyncio.gather(receiving, answering, return_exceptions=True)


async def _receive(socket: WebSocket, queries: asyncio.Queue[str | bytes | None]) -> None:
    """Take in queries until the client goes away: that ends the one that is being answered, too."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        text = message.get("text")
        await queries.put(message["bytes"] if text is None else text)


async def _answer_all(socket: WebSocket, queries: asyncio.Queue[str | bytes | None]) -> None:
    code = NORMAL
    try:
        query = await queries.get()
        while query is not None:
            await _answer(socket, query)
            query = None if queries.empty() else queries.get_nowait()
    except MillstreamError as error:
        code = FAILED
        await socket.send_text(orjson.dumps(error.to_json()).decode())
    except (WebSocketDisconnect, RuntimeError):  # the client has gone
        return
    await socket.close(code)


async def _answer(socket: WebSocket, message: str | bytes) -> None:
    try:
        asked = msgspec.json.decode(message, type=QueryFrame)
    except msgspec.DecodeError as error:
        raise query_error(f'a query is a JSON object {{"sql": ..., "format": ...}}: {error}') from None
    if asked.format not in FORMATS:
        raise query_error(f"unknown format '{asked.format}'; use one of {', '.join(FORMATS)}")
    host: Host = socket.app.state.host
    pipeline = host.ready()
    result = await asyncio.to_thread(pipeline.adhoc.execute, asked.sql, pipeline.controller.snapshot())
    pieces = encode_result(result, asked.format)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if asked.format in _TEXT_FORMATS:
            for part in text_frames(piece):
                await socket.send_text(part)
        else:
            for block in binary_frames(piece):
                await socket.send_bytes(block)


def binary_frames(piece: bytes) -> Iterator[bytes]:
    """The bytes in frames."""
    for start in range(0, len(piece), MAX_FRAME_BYTES):
        yield piece[start : start + MAX_FRAME_BYTES]


def text_frames(piece: bytes) -> Iterator[str]:
    """UTF-8 text in frames: they end with a line if one fits, and never within a character."""
    start = 0
    while start < len(piece):
        end = start + MAX_FRAME_BYTES
        if end < len(piece):
            line_end = piece.rfind(b"\n", start, end)
            if line_end >= start:
                end = line_end + 1
            while piece[end] & 0b1100_0000 == _CONTINUES:
                end -= 1
        yield piece[start:end].decode()
        start = end


ROUTES = [WebSocketRoute("/query", query_socket)]
