"""Takes one pipeline from what it is to what its user wants: the runner's part of the machines in `lifecycle.py`.

A driver is a loop that looks at the pipeline's record, does the next thing, and looks again; it ends when nothing is
left to do. All it needs is in the record and in the pipeline's directory, so a driver of a new server goes on where
that of a killed one was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from millstream.manager import errors, lifecycle
from millstream.manager.ids import timestamp
from millstream.manager.logs import LogBuffer
from millstream.manager.models import FAILED_PROGRAM, Pipeline
from millstream.manager.process import (
    ENDPOINT_FILE,
    ERROR_FILE,
    PROCESS_FILE,
    SPEC_FILE,
    Child,
    ProcessHandle,
    Spares,
    describe_exit,
    read_json,
    write_json,
)
from millstream.manager.program import failure_text
from millstream.manager.proxy import IMPOSTOR
from millstream.manager.store import Store
from millstream.manager.tokens import TOKEN_HEADER, DeploymentTokens

log = logging.getLogger("millstream.runner")

DEFAULT_PROVISIONING_TIMEOUT_S = 60.0
ENDPOINT_INTERVAL_S = 0.01
INITIALIZING_INTERVAL_S = 0.02
STATUS_INTERVAL_S = 1.0
STATUS_TIMEOUT_S = 5.0
UNAVAILABLE_AFTER_S = 20.0
DETAILS_INTERVAL_S = 10.0
"""Details that change alone are stored at most so often (api.md §5.2)."""
SHUTDOWN_GRACE_S = 1.0
"""How long a process that is stopped may take to close its connectors before it is killed."""
SPARE_DELAY_S = 0.5
"""The next spare process warms up so long after a pipeline runs, not while it starts."""


_Error = dict[str, Any] | None
"""An error object, or None if all is well."""


class Driver:
    """Drives one pipeline. Lives on the event loop; `run` is its task."""

    def __init__(
        self,
        pipeline_id: str,
        directory: Path,
        store: Store,
        spares: Spares,
        client: httpx.AsyncClient,
        logs: LogBuffer,
        tokens: DeploymentTokens,
    ) -> None:
        self._id = pipeline_id
        self._directory = directory
        self._store = store
        self._spares = spares
        self._client = client
        self._logs = logs
        self._tokens = tokens
        self._wake = asyncio.Event()
        self._child: Child | None = None
        self._handle: ProcessHandle | None = None
        self._gentle = False

    def wake(self) -> None:
        """Something has changed: look again."""
        self._wake.set()

    async def run(self) -> None:
        """Drive until there is nothing to do."""
        while True:
            self._wake.clear()
            p = self._store.get(self._id)
            if p is None:
                return
            try:
                if not await self._advance(p):
                    return
            except Exception as error:  # a defect here must not leave the pipeline without anyone who watches it
                log.exception("driving pipeline %s failed", self._id)
                await self._fail(errors.check_failed(f"{type(error).__name__}: {error}").to_json())
                await asyncio.sleep(1.0)

    async def _advance(self, p: Pipeline) -> bool:
        """Take the next step; False if there is none."""
        if p.resources_status == "Provisioning":
            await self._come_up(p)
        elif p.resources_status == "Provisioned":
            await self._watch(p)
        elif p.resources_status == "Stopping":
            await self._take_down(p)
        elif p.storage_status == "Clearing":
            await asyncio.to_thread(shutil.rmtree, self._directory / "storage", ignore_errors=True)
            await self._apply(lifecycle.cleared)
        elif p.resources_desired_status == "Stopped":
            return False
        elif p.program_status in FAILED_PROGRAM:
            await self._apply(lambda p: lifecycle.fail_early_start(p, failure_text(p), timestamp()))
        elif p.program_status == "Success":
            await self._apply(lifecycle.use_storage)
            deployment_id = str(uuid.uuid4())
            await self._apply(lambda p: lifecycle.provisioning(p, deployment_id, timestamp()))
        else:
            await self._wake.wait()
        return True

    async def _apply(self, change: Callable[[Pipeline], Pipeline]) -> Pipeline | None:
        return await asyncio.to_thread(self._store.apply_by_id, self._id, change)

    # Coming up.

    async def _come_up(self, p: Pipeline) -> None:
        """Provisioning: start a process, or find the one that a previous server started, and wait for its endpoint."""
        timeout = p.runtime_config.get("provisioning_timeout_secs") or DEFAULT_PROVISIONING_TIMEOUT_S
        deadline = time.monotonic() + timeout
        if p.resources_desired_status == "Provisioned" and self._handle is None:
            self._handle = self._find(p)
            if self._handle is None:
                try:
                    self._launch(p)
                except OSError as failure:
                    await self._fail(errors.provision_failed(str(failure)).to_json())
                    return
        while True:
            self._wake.clear()
            current = self._store.get(self._id)
            if current is None or current.resources_desired_status != "Provisioned" or self._handle is None:
                await self._apply(lambda p: lifecycle.stopping(p, None, timestamp()))
                return
            endpoint = read_json(self._directory / ENDPOINT_FILE)
            if endpoint is not None and endpoint.get("pid") == self._handle.pid:
                await self._provisioned(endpoint)
                return
            if not self._handle.alive:
                error = read_json(self._directory / ERROR_FILE)
                await self._fail(error or errors.provision_failed(describe_exit(self._reap())).to_json())
                return
            if time.monotonic() > deadline:
                await self._fail(errors.provisioning_timeout(timeout).to_json())
                return
            await self._pause(ENDPOINT_INTERVAL_S)

    def _launch(self, p: Pipeline) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._directory / ENDPOINT_FILE).unlink(missing_ok=True)
        (self._directory / ERROR_FILE).unlink(missing_ok=True)
        assert p.deployment_id is not None
        spec = {
            "pipeline_id": p.id,
            "pipeline_name": p.name,
            "program_code": p.program_code,
            "udf_python": p.udf_python,
            "runtime_config": p.runtime_config,
            "initial": (p.deployment_initial or "Running").lower(),
            "deployment_id": p.deployment_id,
            "directory": str(self._directory),
        }
        write_json(self._directory / SPEC_FILE, spec)
        self._logs.next_file()
        self._child = self._spares.take()
        self._handle = self._child.handle
        token, proof = self._tokens.of(p.deployment_id), self._tokens.proof_of(p.deployment_id)
        self._child.assign(self._directory, {"deployment_id": p.deployment_id}, token, proof)
        self._logs.restart_file()
        self._logs.note("INFO", f"Pipeline starts as process {self._handle.pid}", p.name)

    def _find(self, p: Pipeline) -> ProcessHandle | None:
        """The process of this deployment if it still runs."""
        content = read_json(self._directory / PROCESS_FILE)
        if content is None or content.get("deployment_id") != p.deployment_id:
            return None
        handle = ProcessHandle.from_json(content)
        return handle if handle is not None and handle.alive else None

    async def _provisioned(self, endpoint: dict[str, Any]) -> None:
        assert self._handle is not None
        process = {
            **self._handle.to_json(),
            "port": endpoint["port"],
            "incarnation_uuid": endpoint["incarnation_uuid"],
        }
        details = {"pid": self._handle.pid}
        await self._apply(lambda p: lifecycle.provisioned(p, process, details, timestamp()))

    # Running.

    async def _watch(self, p: Pipeline) -> None:
        """Provisioned: follow what the process says of itself until it ends or is to be stopped."""
        handle = self._handle = self._handle or ProcessHandle.from_json(p.process)
        assert handle is not None
        ended = asyncio.create_task(handle.ended())
        self._answered = time.monotonic()
        self._details_stored = 0.0
        try:
            while True:
                self._wake.clear()
                current = self._store.get(self._id)
                if current is None:
                    return
                if current.resources_desired_status == "Stopped":
                    self._gentle = True
                    await self._apply(lambda p: lifecycle.stopping(p, None, timestamp()))
                    return
                if ended.done():
                    error = read_json(self._directory / ERROR_FILE)
                    await self._fail(error or errors.terminated(describe_exit(self._reap())).to_json())
                    return
                failure = await self._unless_over(asyncio.create_task(self._look(current)), ended)
                if failure is not None:
                    await self._fail(failure)
                    return
                self._logs.catch_up()
                initializing = current.runtime_status == "Initializing"
                await self._pause(INITIALIZING_INTERVAL_S if initializing else STATUS_INTERVAL_S, ended)
        finally:
            ended.cancel()

    async def _unless_over(self, look: asyncio.Task[_Error], ended: asyncio.Task[None]) -> _Error:
        """The result of `look`; dropped, if the pipeline is to be stopped or has ended: it may not answer for long."""
        try:
            while not look.done():
                self._wake.clear()
                p = self._store.get(self._id)
                if ended.done() or p is None or p.resources_desired_status == "Stopped":
                    self._wake.set()
                    return None
                await self._pause(STATUS_TIMEOUT_S, look, ended)
            return look.result()
        finally:
            look.cancel()

    async def _look(self, p: Pipeline) -> _Error:
        """Ask the process how it is and record it; the error object if it has failed."""
        try:
            status = await self._ask("GET", "/status", p)
        except (httpx.HTTPError, ValueError):
            silence = time.monotonic() - self._answered
            if silence > UNAVAILABLE_AFTER_S and p.runtime_status != "Unavailable":
                details = dict(p.runtime_status_details or {})
                await self._apply(lambda p: lifecycle.observe_runtime(p, "Unavailable", details, timestamp()))
            return None
        self._answered = time.monotonic()
        error: dict[str, Any] | None = status["error"]
        if error is not None:
            return error
        details = {"connector_stats": {"num_errors": status["num_errors"]}}
        if status["runtime_status"] == "Initializing":
            return None
        changed = p.runtime_status != status["runtime_status"]
        if not changed and time.monotonic() - self._details_stored < DETAILS_INTERVAL_S:
            return None
        seen = p.refresh_version

        def observe(p: Pipeline) -> Pipeline:
            if p.refresh_version != seen:  # paused or resumed while the answer was under way: it may be outdated
                return p
            return lifecycle.observe_runtime(p, status["runtime_status"], details, timestamp())

        self._details_stored = time.monotonic()
        await self._apply(observe)
        if p.runtime_status == "Initializing":
            self._logs.note("INFO", f"Pipeline is {status['runtime_status'].lower()}", p.name)
            self._spares.prepare_later(SPARE_DELAY_S)
        return None

    async def _ask(self, method: str, path: str, p: Pipeline) -> dict[str, Any]:
        process = p.process or {}
        response = await self._client.request(
            method,
            f"http://127.0.0.1:{process['port']}{path}",
            headers={TOKEN_HEADER: self._tokens.of(p.deployment_id or "")},
            timeout=STATUS_TIMEOUT_S,
        )
        response.raise_for_status()
        if not self._tokens.proves(response.headers, p.deployment_id or ""):
            raise httpx.RemoteProtocolError(IMPOSTOR)
        content = response.json()
        if not isinstance(content, dict):
            return {}
        return content

    async def _pause(self, seconds: float, *others: asyncio.Task[Any]) -> None:
        """Wait, but not longer than until this driver is woken or one of `others` is done."""
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({woken, *others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    # Going down.

    async def _fail(self, error: dict[str, Any]) -> None:
        """Stop because of an error."""
        self._gentle = False
        self._logs.catch_up()
        p = await self._apply(lambda p: lifecycle.give_up(p, timestamp()))
        self._logs.note("ERROR", f"Pipeline failed: {error.get('message')}", None if p is None else p.name)
        await self._apply(lambda p: lifecycle.stopping(p, error, timestamp()))

    async def _take_down(self, p: Pipeline) -> None:
        """Stopping: end the process and its group, forget what belonged to it."""
        handle = self._handle or ProcessHandle.from_json(p.process)
        if handle is None:
            handle = ProcessHandle.from_json(read_json(self._directory / PROCESS_FILE))
        if handle is not None:
            if self._gentle and p.process is not None:
                with contextlib.suppress(httpx.HTTPError, ValueError, TimeoutError):
                    async with asyncio.timeout(SHUTDOWN_GRACE_S):
                        await self._ask("POST", "/shutdown", p)
                        await handle.ended()
            handle.kill_group()
            await asyncio.to_thread(self._reap)
            await handle.ended()
        self._logs.next_file()
        for name in (PROCESS_FILE, ENDPOINT_FILE, SPEC_FILE, ERROR_FILE):
            with contextlib.suppress(OSError):  # the next start overwrites what stays
                (self._directory / name).unlink(missing_ok=True)
        self._handle, self._gentle = None, False
        self._logs.note("INFO", "Pipeline is stopped", p.name)
        await self._apply(lambda p: lifecycle.stopped(p, timestamp()))
        self._spares.prepare()

    def _reap(self) -> int | None:
        child, self._child = self._child, None
        return None if child is None else child.reap()
