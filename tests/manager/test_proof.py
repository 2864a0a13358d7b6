"""Who answers for a pipeline must prove that it is the pipeline's process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from millstream.errors import MillstreamError
from millstream.manager.models import Pipeline
from millstream.manager.proxy import IMPOSTOR, Proxy, Target
from millstream.manager.tokens import DeploymentTokens
from tests.manager.support import compiled, new_pipeline, running


async def answering(head: str, ask: Callable[[int], Awaitable[Any]]) -> Any:
    """What `ask(port)` gives while a listener on that port answers everything with these header lines and `{}`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{head}\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        return await ask(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize("whose", ["nobody's", "another deployment's", "its own"])
def test_only_the_process_itself_is_believed(tmp_path: Path, whose: str) -> None:
    tokens = DeploymentTokens(tmp_path / "secret")
    p = running(compiled(new_pipeline()))
    assert p.deployment_id is not None
    head = {
        "nobody's": f"X-Millstream-Proof: {tokens.of(p.deployment_id)}\r\n",  # the token is what an impostor is sent
        "another deployment's": f"X-Millstream-Proof: {tokens.proof_of('other')}\r\n",
        "its own": f"X-Millstream-Proof: {tokens.proof_of(p.deployment_id)}\r\n",
    }[whose]
    told: list[Pipeline] = []

    async def ask(port: int) -> Any:
        assert p.process is not None
        there = replace(p, process={**p.process, "port": port})
        async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
            return await Proxy(transport, tokens, told.append).call(Target(there, "/stats"), "GET")

    if whose == "its own":
        assert asyncio.run(answering(head, ask)) == {}
        return
    with pytest.raises(MillstreamError) as caught:
        asyncio.run(answering(head, ask))
    assert (caught.value.error_code, caught.value.status) == ("PipelineInteractionUnreachable", 503)
    assert IMPOSTOR in caught.value.message
    assert len(told) == 1, "the runner looks at the process"
