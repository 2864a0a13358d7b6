"""A real server, driven over HTTP: one a test module, on a free port, with a data directory of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from feldera import FelderaClient, Pipeline

from tests.integration.rest import Rest, wait_for

__all__ = ["Create", "Rest", "Server", "wait_for"]

Create = Callable[..., Pipeline]


class Server:
    """A server process that can be killed and started again on the same data. `options` are further arguments of
    `millstream serve`; `api_key` is what its clients send."""

    def __init__(self, data_dir: Path, *options: str, api_key: str | None = None, scheme: str = "http") -> None:
        self.data_dir = data_dir
        self.options = options
        self.api_key = api_key
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "millstream.cli.main", "serve", "--port", str(self.port),
                   "--data-dir", str(self.data_dir), *self.options]  # fmt: skip
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        wait_for("the server to answer", self._healthy)

    def _healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.data_dir / "server.log").read_text()
        with contextlib.suppress(httpx.HTTPError):
            # What is asked for here is no secret, and only some tests have a certificate to check.
            return httpx.get(f"{self.url}/healthz", timeout=5, verify=False).status_code == 200
        return False

    def kill(self) -> None:
        """kill -9: no chance to clean up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """Stop it and whatever pipeline processes it left."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        for process in self.pipeline_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def pipeline_processes(self) -> list[psutil.Process]:
        """Processes that run pipelines of this server."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(str(self.data_dir) in part for part in [*process.cmdline(), process.cwd()]) and (
                    self.process is None or process.pid != self.process.pid
                ):
                    found.append(process)
        return found

    def helpers(self, module: str) -> list[psutil.Process]:
        """The processes that the server has started to run a module."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if module in child.cmdline()]

    def client(self) -> FelderaClient:
        """The official client."""
        return FelderaClient(self.url, api_key=self.api_key)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def client(server: Server) -> FelderaClient:
    return server.client()


@pytest.fixture(scope="module")
def rest(server: Server) -> Iterator[Rest]:
    made = Rest(server)
    yield made
    made.http.close()


@pytest.fixture
def create(client: FelderaClient, rest: Rest) -> Iterator[Create]:
    """Creates, and starts if told so, pipelines by name and program; they are gone after the test."""
    made: list[str] = []

    def build(name: str, sql: str, start: str | None = None) -> Pipeline:
        made.append(name)
        rest.create(name, sql)
        if start is not None:
            rest.start(name, start)
        return Pipeline.get(name, client)

    yield build
    for name in made:
        rest.remove(name)
