"""Ad-hoc queries over HTTP (api.md §18.1)."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Iterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from millstream.pipeline.results import FORMATS, encode_result
from millstream.pipeline.routes.common import choice_parameter, ready

_CONTENT_TYPES = {
    "text": "text/plain",
    "hash": "text/plain",
    "json": "application/json",
    "parquet": "application/octet-stream",
    "arrow_ipc": "application/octet-stream",
}


async def query(request: Request) -> Response:
    pipeline = ready(request)
    sql = request.query_params.get("sql")
    if sql is None:
        raise HTTPException(400, "query parameter 'sql' is missing")
    form = choice_parameter(request, "format", FORMATS, "text")
    result = await asyncio.to_thread(pipeline.adhoc.execute, sql, pipeline.controller.snapshot())
    pieces = encode_result(result, form)
    first = await asyncio.to_thread(next, pieces, b"")  # an error before the first row is an error response

    async def body() -> AsyncIterator[bytes]:
        yield first
        while (piece := await asyncio.to_thread(_next, pieces)) is not None:
            yield piece

    headers = {"content-type": _CONTENT_TYPES[form]}  # exactly: clients compare the whole value
    if form == "parquet":
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S")
        headers["content-disposition"] = f'attachment; filename="results_{now}.parquet"'
    return StreamingResponse(body(), headers=headers)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


ROUTES = [Route("/query", query)]
