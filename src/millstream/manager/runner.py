"""The runner service: has a driver at work for every pipeline that is, or is to become, something else than stopped.

When the server starts, it first looks for processes that a previous server left: those of a deployment on record go on
being managed, all others are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

import httpx

from millstream.manager.driver import Driver
from millstream.manager.logs import LogBuffer
from millstream.manager.models import Pipeline
from millstream.manager.process import LOG_FILE, PROCESS_FILE, ProcessHandle, Spares, read_json
from millstream.manager.store import Store
from millstream.manager.tokens import DeploymentTokens

log = logging.getLogger("millstream.runner")


class Runner:
    """See the module. Lives on the event loop."""

    def __init__(self, store: Store, data_dir: Path, client: httpx.AsyncClient, tokens: DeploymentTokens) -> None:
        self._store = store
        self._tokens = tokens
        self._directory = data_dir / "pipelines"
        self._client = client
        self._spares = Spares(data_dir / "spare")
        self._drivers: dict[str, tuple[Driver, asyncio.Task[None]]] = {}
        self._logs: dict[str, LogBuffer] = {}
        self._cleaning: set[asyncio.Task[None]] = set()
        self._started = False

    async def start(self) -> None:
        """Find what is running, then drive whatever needs it."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._clean_up)
        loop = asyncio.get_running_loop()
        self._store.listen(lambda before, after: loop.call_soon_threadsafe(self._on_change, before, after))
        for p in self._store.all():
            self._drive(p)
        self._spares.prepare()
        self._started = True

    async def close(self) -> None:
        """Stop driving. Pipelines go on running: the next server finds them."""
        self.close_logs()
        tasks = [task for _, task in self._drivers.values()]
        for task in tasks:
            task.cancel()
        for task in [*tasks, *self._cleaning]:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._spares.close()

    def close_logs(self) -> None:
        """End everybody's reading of logs."""
        for log_buffer in self._logs.values():
            log_buffer.close()

    @property
    def healthy(self) -> bool:
        """Whether pipelines are being driven."""
        return self._started

    def running(self) -> list[Pipeline]:
        """Pipelines that have a process."""
        return [p for p in self._store.all() if p.resources_status in ("Provisioning", "Provisioned")]

    def logs(self, p: Pipeline) -> LogBuffer:
        """The log of a pipeline."""
        found = self._logs.get(p.id)
        if found is None:
            found = self._logs[p.id] = LogBuffer(self._directory / p.id / LOG_FILE, p.id)
        return found

    def nudge(self, p: Pipeline) -> None:
        """A request did not get through to the process: look at it now."""
        driver = self._drivers.get(p.id)
        if driver is not None:
            driver[0].wake()

    def _on_change(self, _before: Pipeline | None, after: Pipeline | None) -> None:
        if after is not None:
            self._drive(after)
        elif _before is not None:
            self._forget(_before)

    def _drive(self, p: Pipeline) -> None:
        found = self._drivers.get(p.id)
        if found is not None and not found[1].done():
            found[0].wake()
            return
        if p.fully_stopped and p.storage_status != "Clearing":
            self._drivers.pop(p.id, None)
            return
        directory, logs = self._directory / p.id, self.logs(p)
        driver = Driver(p.id, directory, self._store, self._spares, self._client, logs, self._tokens)
        self._drivers[p.id] = (driver, asyncio.create_task(driver.run(), name=f"pipeline {p.id}"))

    def _forget(self, p: Pipeline) -> None:
        """A deleted pipeline: its directory and log go, too."""
        log_buffer = self._logs.pop(p.id, None)
        if log_buffer is not None:
            log_buffer.close()
        task = asyncio.create_task(asyncio.to_thread(shutil.rmtree, self._directory / p.id, ignore_errors=True))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    def _clean_up(self) -> None:
        """End processes, and remove directories, that belong to nothing on record."""
        for directory in self._directory.iterdir():
            content = read_json(directory / PROCESS_FILE)
            handle = ProcessHandle.from_json(content)
            p = self._store.get(directory.name)
            wanted = p is not None and p.resources_status != "Stopped" and p.deployment_id is not None
            if handle is not None and handle.alive and p is not None and wanted:
                assert content is not None
                wanted = content.get("deployment_id") == p.deployment_id
                if wanted:
                    log.info("pipeline '%s' is found again as process %d", p.name, handle.pid)
            if handle is not None and handle.alive and not wanted:
                log.warning("ending process %d, which belongs to no pipeline on record", handle.pid)
                handle.kill_group()
            if p is None:
                shutil.rmtree(directory, ignore_errors=True)
