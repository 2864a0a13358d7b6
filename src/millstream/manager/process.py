"""Pipeline processes as the operating system knows them: starting them, recognising them later, ending them.

A process is started ahead of time (`python -m millstream.pipeline --wait`) and told on its standard input which spec
file to run. It is the leader of a session and process group of its own, so that it outlives the server and signals to
the server's terminal do not reach it; a process that was never given a spec ends when the server does, because its
input ends. Its working directory is the server's, so that is what relative paths in connectors are relative to.

A process is recognised by its identifier together with its start, since identifiers are used again. Before a
process learns its spec, its identity is written to `process.json` in the pipeline's directory: whatever happens to the
server, the next one finds every process that may run a pipeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import psutil

log = logging.getLogger("millstream.runner")

LOG_FILE = "pipeline.log"
PROCESS_FILE = "process.json"
ENDPOINT_FILE = "endpoint.json"
ERROR_FILE = "error.json"
SPEC_FILE = "spec.json"

ALIVE_INTERVAL_S = 0.25
"""How often the end of a process is looked for where the system cannot announce it."""


def write_json(path: Path, content: Any, mode: int = 0o600) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(content))
    scratch.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None if there is no such file, or no object in it."""
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def _start_mark(pid: int) -> str | None:
    """When the process with this identifier started, in a form that neither changes of the clock nor a restart of the
    machine can make equal to that of another process; None if there is none, or only a zombie."""
    try:
        # The name in parentheses may contain anything; behind it come the state and 18 fields before the start time.
        state, *values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else f"{_boot_id()}:{values[18]}"
    except (OSError, IndexError, ValueError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class ProcessHandle:
    """A process that may run a pipeline: its identifier, which is also that of its group, and the mark of its start,
    which no other process shares with that identifier."""

    pid: int
    started: str

    @staticmethod
    def of(pid: int) -> ProcessHandle:
        """The process that has this identifier now."""
        return ProcessHandle(pid, _start_mark(pid) or "")

    @staticmethod
    def from_json(content: dict[str, Any] | None) -> ProcessHandle | None:
        """What `to_json` gave; None if it is not that."""
        if content is None:
            return None
        pid, started = content.get("pid"), content.get("started")
        return ProcessHandle(pid, started) if isinstance(pid, int) and isinstance(started, str) else None

    def to_json(self) -> dict[str, Any]:
        """`{"pid", "started"}`."""
        return {"pid": self.pid, "started": self.started}

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return _start_mark(self.pid) == self.started != ""

    def kill_group(self) -> None:
        """End the process and all of its group, at once. Without effect if the process has ended."""
        if not self.alive:
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Return when the process has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except (OSError, AttributeError):
            while self.alive:
                await asyncio.sleep(ALIVE_INTERVAL_S)
            return
        try:
            if self.alive:  # the descriptor is of this process, not of a later one with its identifier
                await _readable(descriptor)
        finally:
            os.close(descriptor)


async def _readable(descriptor: int) -> None:
    """Wait until a process descriptor becomes readable: the process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        if not select.select([descriptor], [], [], 0)[0]:
            await ready.wait()
    finally:
        loop.remove_reader(descriptor)


class Child:
    """A process that this server has started. Its output goes to a file that `assign` moves to the pipeline."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._log = scratch / f"{uuid.uuid4()}.log"
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._popen = subprocess.Popen(
                # The option is without effect: it shows in lists of processes whose server this one belongs to.
                [sys.executable, "-X", f"millstream={scratch.parent}", "-m", "millstream.pipeline", "--wait"],
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self.handle = ProcessHandle.of(self._popen.pid)

    @property
    def exit_code(self) -> int | None:
        """The exit status if the process has ended (-n: by signal n), else None."""
        return self._popen.poll()

    def assign(self, directory: Path, identity: dict[str, Any], token: str, proof: str) -> None:
        """Make the process run the spec in `directory` for those who show `token`, with `proof` in its answers. Its
        output appears there as `pipeline.log`. `identity` is kept in `process.json` along with the process.
        Raises OSError if the process has ended."""
        self._log.replace(directory / LOG_FILE)
        write_json(directory / PROCESS_FILE, {**identity, **self.handle.to_json()})
        assert self._popen.stdin is not None
        with self._popen.stdin as pipe:
            pipe.write(os.fsencode(directory / SPEC_FILE) + b"\n" + f"{token}\n{proof}\n".encode())

    def discard(self) -> None:
        """End a process that was never assigned, and remove what it wrote."""
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
        self._popen.kill()
        self._popen.wait()
        self._log.unlink(missing_ok=True)

    def reap(self) -> int | None:
        """End the whole group of this process, and the process itself for the system; its exit status."""
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)  # still ours: it has not been waited for
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(10.0)
        return self._popen.returncode


class Spares:
    """Keeps one process warm. Lives on the event loop."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._spare: Child | None = None
        self._refill: asyncio.TimerHandle | None = None
        for leftover in scratch.glob("*.log"):  # of a server that was killed; its spare ended with it
            leftover.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Have a process warm up unless one is there."""
        if self._spare is not None and self._spare.exit_code is None:
            return
        if self._spare is not None:
            self._spare.discard()
        self._spare = Child(self._scratch)

    def prepare_later(self, delay_s: float) -> None:
        """Like `prepare`, but not now: a pipeline that is starting needs the processor."""
        if self._refill is not None:
            self._refill.cancel()
        self._refill = asyncio.get_running_loop().call_later(delay_s, self.prepare)

    def take(self) -> Child:
        """A process to assign: the warm one, or a new one."""
        child, self._spare = self._spare, None
        if child is not None and child.exit_code is None:
            return child
        if child is not None:
            child.discard()
        return Child(self._scratch)

    def close(self) -> None:
        """End the spare process."""
        if self._refill is not None:
            self._refill.cancel()
        if self._spare is not None:
            self._spare.discard()
            self._spare = None


def describe_exit(code: int | None) -> str:
    """How a process ended, for a message."""
    if code is None:
        return "it is gone"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"it was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"it was killed by signal {-code}"
    return f"it exited with status {code}"
