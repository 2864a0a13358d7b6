"""The compiler service: takes pending programs one after the other through the states of `program.py`.

Programs are checked in a worker process that is started ahead of time and kept. So a program of fifty lines is checked
in milliseconds, while one that takes for ever, or brings the compiler down, harms neither the API nor the pipelines:
the worker is killed (after `timeout_s`, or at once when the program that it works on is edited or deleted) and
replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from millstream.manager import errors, program
from millstream.manager.framing import LENGTH
from millstream.manager.ids import timestamp
from millstream.manager.models import Pipeline
from millstream.manager.program import CompileOutcome
from millstream.manager.settings import DEFAULTS
from millstream.manager.store import Change, Store

log = logging.getLogger("millstream.compiler")

PROGRAMS_REMEMBERED = 64
"""Programs whose outcome is kept: one that comes again is not checked again."""
START_TIMEOUT_S = 120.0
"""How long a worker may take to come up (a first start on a machine may compile kernels)."""


class WorkerLost(Exception):  # noqa: N818 - a signal, handled here
    """The worker process ended while it worked."""


class CompilerTimeout(Exception):  # noqa: N818 - a signal, handled here and by the routes
    """The program took longer than it may."""


class Worker:
    """One worker process at a time, replaced when it was killed or died. Serves one request at a time."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def warm(self) -> None:
        """Have a process ready."""
        async with self._lock:
            await self._ready_process()

    async def check(
        self,
        text: str,
        *,
        udf_python: str | None = None,
        dataflow: bool = False,
        baseline: tuple[str, str] | None = None,
    ) -> CompileOutcome:
        """Check a program; on request with its graph, and with what differs from the program `baseline`.

        `udf_python`: the code of its Python functions; None: do not look at them. `baseline`: text and Python code.
        Raises `CompilerTimeout` and `WorkerLost`; the worker is gone then, and on cancellation.
        """
        async with self._lock:
            process = await self._ready_process()
            answer: dict[str, Any] | None = None
            try:
                request = {"text": text, "udf_python": udf_python, "dataflow": dataflow, "baseline": baseline}
                body = orjson.dumps(request)
                async with asyncio.timeout(self.timeout_s):
                    assert process.stdin is not None
                    process.stdin.write(LENGTH.pack(len(body)) + body)
                    await process.stdin.drain()
                    answer = await _receive(process)
            except TimeoutError:
                raise CompilerTimeout from None
            except (asyncio.IncompleteReadError, OSError):
                await process.wait()
                raise WorkerLost(_ending(process.returncode)) from None
            finally:
                if answer is None:
                    self._kill()
        return CompileOutcome(
            messages=tuple(answer.get("messages") or ()),
            info=answer.get("info"),
            system_error=answer.get("system_error"),
            dataflow=answer.get("dataflow"),
            differences=answer.get("differences"),
        )

    @property
    def healthy(self) -> bool:
        """Whether a process is there."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> None:
        """Return when there is no process any more."""
        if self._process is not None:
            await self._process.wait()

    async def _ready_process(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._kill()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "millstream.manager.compile_worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._process = process
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _receive(process)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            self._kill()
            raise WorkerLost("it could not be started") from None
        except BaseException:
            self._kill()
            raise
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        ending = asyncio.create_task(_bury(process))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End the process."""
        self._kill()
        await asyncio.gather(*self._ending)


async def _bury(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a process, and of what connects it to this one."""
    with contextlib.suppress(OSError):
        await process.communicate()


async def _receive(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    header = await process.stdout.readexactly(LENGTH.size)
    body = await process.stdout.readexactly(LENGTH.unpack(header)[0])
    answer: dict[str, Any] = orjson.loads(body)
    return answer


def _ending(code: int | None) -> str:
    return f"it was killed by signal {-code}" if code is not None and code < 0 else f"it ended with status {code}"


@dataclass(frozen=True, slots=True)
class _Job:
    pipeline_id: str
    version: int


class Compiler:
    """Compiles what is pending, in the order in which it became so. Lives on the event loop."""

    def __init__(self, store: Store, *, timeout_s: float = DEFAULTS.compilation_timeout_s) -> None:
        self._store = store
        self.worker = Worker(timeout_s)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost = False
        #: What the latest programs gave, by text and Python code; the least recently used one goes first.
        self._known: OrderedDict[tuple[str, str], CompileOutcome] = OrderedDict()
        self._job: _Job | None = None
        self._working: asyncio.Task[CompileOutcome] | None = None

    async def start(self) -> None:
        """Put back what a previous server left half-done, and begin to work."""
        loop = asyncio.get_running_loop()
        for p in self._store.all():
            await self._apply(p.id, lambda p: program.recover(p, timestamp()))
        self._store.listen(lambda _before, _after: loop.call_soon_threadsafe(self._on_change))
        self._task = asyncio.create_task(self._run(), name="compiler")

    async def close(self) -> None:
        """Stop working; a program that is being checked is checked again by the next server."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.worker.close()

    async def look_at(self, text: str, **asked: Any) -> CompileOutcome:
        """What `Worker.check` finds, on behalf of a request. Raises the API's `CompilerTimeout` and
        `CompilerUnavailable`."""
        try:
            return await self.worker.check(text, **asked)
        except CompilerTimeout:
            raise errors.compiler_timeout(self.worker.timeout_s) from None
        except WorkerLost as lost:
            raise errors.compiler_unavailable(str(lost)) from None

    @property
    def healthy(self) -> bool:
        """Whether programs are being taken, also while a worker comes up."""
        return self._task is not None and not self._task.done() and not self._lost

    def _on_change(self) -> None:
        self._wake.set()
        if self._job is None or self._working is None:
            return
        p = self._store.get(self._job.pipeline_id)
        if p is None or p.program_version != self._job.version:
            self._working.cancel()  # nobody wants to know any more

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            p = self._next()
            try:
                if p is not None:
                    await self._compile(p)
                    continue
                if not self.worker.healthy:
                    await self.worker.warm()
                self._lost = False
            except WorkerLost as lost:
                log.error("the compiler process is lost: %s", lost)
                self._lost = True
                await asyncio.sleep(1.0)
                continue
            await self._idle()

    async def _idle(self) -> None:
        """Wait for work, or for the worker to be lost."""
        waiting = {asyncio.create_task(self._wake.wait()), asyncio.create_task(self.worker.ended())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def _next(self) -> Pipeline | None:
        waiting = [p for p in self._store.all() if p.program_status in ("Pending", "SqlCompiled")]
        return min(waiting, key=lambda p: (p.program_status_since, p.id), default=None)

    async def _compile(self, p: Pipeline) -> None:
        version = p.program_version
        if p.program_status == "Pending":
            await self._apply(p.id, lambda p: program.begin_sql(p, version, timestamp()))
            outcome = self._remembered(p) or await self._check(p)
            if outcome is None:
                return
            self._remember(p, outcome)
            await self._apply(p.id, lambda p: program.finish_sql(p, version, outcome, timestamp()))
        await self._apply(p.id, lambda p: program.begin_rust(p, version, timestamp()))
        await self._apply(p.id, lambda p: program.finish_rust(p, version, timestamp()))

    def _remembered(self, p: Pipeline) -> CompileOutcome | None:
        """What the same program gave before, unless its configuration says not to use that."""
        return self._known.get((p.program_code, p.udf_python)) if p.program_config["cache"] else None

    def _remember(self, p: Pipeline, outcome: CompileOutcome) -> None:
        if outcome.system_error is not None:
            return  # it says nothing of the program
        key = (p.program_code, p.udf_python)
        self._known[key] = outcome
        self._known.move_to_end(key)
        while len(self._known) > PROGRAMS_REMEMBERED:
            self._known.popitem(last=False)

    async def _check(self, p: Pipeline) -> CompileOutcome | None:
        """The outcome; None if the program was edited or deleted meanwhile. A worker that dies is tried once more:
        it may have been killed for reasons that have nothing to do with this program."""
        self._job = _Job(p.id, p.program_version)
        try:
            for attempt in (1, 2):
                self._working = asyncio.create_task(self.worker.check(p.program_code, udf_python=p.udf_python))
                try:
                    return await self._working
                except asyncio.CancelledError:
                    current = asyncio.current_task()
                    if current is not None and current.cancelling():
                        self._working.cancel()
                        raise
                    return None
                except CompilerTimeout:
                    return CompileOutcome(
                        system_error=f"The compilation took longer than {self.worker.timeout_s:g} s and was ended"
                    )
                except WorkerLost as lost:
                    log.warning("the compiler process was lost while it checked a program: %s", lost)
                    if attempt == 2:
                        return CompileOutcome(system_error=f"The compiler process was lost: {lost}")
            return None
        finally:
            self._job = self._working = None

    async def _apply(self, pipeline_id: str, change: Change) -> None:
        await asyncio.to_thread(self._store.apply_by_id, pipeline_id, change)
