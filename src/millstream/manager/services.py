"""What the routes work with: the store and the services of one server, made and ended together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from millstream.manager import demos, errors
from millstream.manager.access import Access
from millstream.manager.authentication import Authenticator
from millstream.manager.compiler import Compiler
from millstream.manager.health import Health
from millstream.manager.keys import ApiKeys, KeyRole
from millstream.manager.models import Pipeline
from millstream.manager.oidc import LoginVerifier, fetcher
from millstream.manager.proxy import Proxy
from millstream.manager.runner import Runner
from millstream.manager.settings import Settings
from millstream.manager.store import Store, open_database
from millstream.manager.support import Support
from millstream.manager.tokens import DeploymentTokens

DATABASE_FILE = "millstream.db"
SECRET_FILE = "secret"
IDLE_CONNECTION_S = 30.0
"""Connections to pipeline processes are closed after so long without use, well before the processes close them."""


class Services:
    """See the module. To be made on the event loop."""

    def __init__(
        self,
        data_dir: Path,
        access: Access | None = None,
        more_demos: tuple[demos.Demo, ...] = (),
        settings: Settings | None = None,
    ) -> None:
        self.settings = Settings() if settings is None else settings
        self.engine: Engine = open_database(data_dir / DATABASE_FILE)
        self.store = Store(self.engine, self.settings.events_kept)
        limits = httpx.Limits(max_connections=None, keepalive_expiry=IDLE_CONNECTION_S)
        transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        self.client = httpx.AsyncClient(transport=transport, trust_env=False)
        tokens = DeploymentTokens(data_dir / SECRET_FILE)
        self.runner = Runner(self.store, data_dir, self.client, tokens)
        self.compiler = Compiler(self.store, timeout_s=self.settings.compilation_timeout_s)
        self.proxy = Proxy(transport, tokens, self.runner.nudge)
        self.keys = ApiKeys(self.engine)
        self.support = Support(self.store, self.runner, self.proxy, data_dir, self.dataflow, self.settings)
        #: Programs to try, those of the operator last.
        self.demos = (*demos.packaged(), *more_demos)
        self.access = access or Access()
        #: Talks to the login provider, through the proxy that the environment names, if any.
        self.login_client = _login_client(self.access)
        logins = None if self.login_client is None else LoginVerifier(self.access, fetcher(self.login_client))
        self.authenticator = Authenticator(self.access, self.keys, logins)
        self.health = Health(
            self.engine,
            {
                "api": lambda: (True, ""),
                "compiler": lambda: _said(self.compiler.healthy, "the compiler process is not there"),
                "runner": lambda: _said(self.runner.healthy, "the runner is not at work"),
            },
        )
        #: Pausing and resuming one pipeline happens in turn, so that the record tells of the last one.
        self.turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Start the services, pipelines first."""
        await self.runner.start()
        await self.compiler.start()
        await self.health.start()
        self.support.start()

    async def dataflow(self, p: Pipeline) -> dict[str, Any]:
        """The graph of a pipeline's program. Raises `ProgramInfoMissesDataflow` if that is not compiled,
        `CompilerTimeout` and `CompilerUnavailable`."""
        if p.program_info is None:
            raise errors.misses_dataflow(p.name)
        outcome = await self.compiler.look_at(p.program_code, dataflow=True)
        if outcome.dataflow is None:
            raise errors.misses_dataflow(p.name)
        return outcome.dataflow

    def end_streams(self) -> None:
        """End all endless answers, so that the HTTP server can end."""
        self.proxy.closing.set()
        self.runner.close_logs()

    async def close(self) -> None:
        """End the services. Pipelines go on running."""
        self.end_streams()
        await self.support.close()
        await self.health.close()
        await self.compiler.close()
        await self.runner.close()
        await self.client.aclose()
        if self.login_client is not None:
            await self.login_client.aclose()


def create_key_offline(data_dir: Path, name: str, role: KeyRole) -> str:
    """Make an API key without a server, which need not be running; returns its secret."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_database(data_dir / DATABASE_FILE)
    try:
        secret: str = ApiKeys(engine).create(name, role)["api_key"]
        return secret
    finally:
        engine.dispose()


def _login_client(access: Access) -> httpx.AsyncClient | None:
    if not access.has_logins:
        return None
    context = httpx.create_ssl_context()
    if access.ca_file is not None:
        context.load_verify_locations(access.ca_file)
    return httpx.AsyncClient(verify=context)


def _said(healthy: bool, problem: str) -> tuple[bool, str]:
    return healthy, "" if healthy else problem
