"""One pipeline process's life: compile, open, run, fail or stop; and the answer to "may this request be served now?".

The HTTP server starts before the pipeline does, so that its status can be watched while connectors open. A failure
(bad configuration, run-time error) leaves the process alive just long enough for the manager to read why; the error
is also written to `error.json`, for a manager that comes later.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pyarrow as pa

from millstream import no_pandas
from millstream.errors import MillstreamError
from millstream.pipeline.adhoc import AdhocEngine, datafusion_module
from millstream.pipeline.controller import Controller
from millstream.pipeline.profile import Sampler
from millstream.pipeline.resources import MemoryWatch, limit_processors
from millstream.pipeline.rows import changes_from_table
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.pipeline.storage import build_keeper
from millstream.pipeline.time_series import TimeSeries
from millstream.plan.program import Program, Table
from millstream.sql.compile import compile_program
from millstream.udf.library import NO_LIBRARY, Library, SourceError, load_source
from millstream.zset.hashing import random_seeds

log = logging.getLogger("millstream.pipeline")

ERROR_LINGER_S = 10.0
"""How long a failed process goes on answering `/status`."""


class Spec(msgspec.Struct, frozen=True):
    """What the manager tells a pipeline process (a JSON file)."""

    pipeline_id: str
    pipeline_name: str
    program_code: str
    runtime_config: dict[str, Any]
    initial: str
    deployment_id: str
    directory: str
    udf_python: str = ""


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Write JSON so that a reader sees all of it or nothing."""
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_bytes(orjson.dumps(content))
    scratch.replace(path)


@dataclass(frozen=True, slots=True)
class Ready:
    """A pipeline that finished initialising."""

    program: Program
    controller: Controller
    adhoc: AdhocEngine
    time_series: TimeSeries


class Host:
    """Owns the controller of one pipeline process. Thread-safe; `exit_requested` is set when the process should end."""

    def __init__(self, spec: Spec, *, on_exit: Callable[[int], None]) -> None:
        self.spec = spec
        self.incarnation = uuid.uuid4()
        self.sampler = Sampler()
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._ready: Ready | None = None
        self._error: MillstreamError | None = None
        self._initial = spec.initial
        self._terminating = False

    # Starting and ending.

    def initialize(self) -> None:
        """Compile the program, open the connectors and start; runs in a thread of its own."""
        started = time.perf_counter()
        try:
            ready = self._build()
            with self._lock:
                if self._terminating:
                    return
                initial = self._initial
            ready.controller.start(initial)
            with self._lock:
                self._ready = ready
                changed = self._initial != initial
            if changed:  # paused or resumed while connectors were opening
                self.set_running(self._initial == "running")
        except MillstreamError as error:
            self.fail(error)
        except Exception as error:  # the process must say why it ends, whatever it was
            log.exception("initialisation failed")
            self.fail(MillstreamError("InitializationError", f"Pipeline failed to initialize: {error}",
                                      {"error": str(error)}, 500))  # fmt: skip
        else:
            log.info("pipeline is ready after %.0f ms", (time.perf_counter() - started) * 1e3)
            ready.time_series.start()
            datafusion_module()  # loads in this thread what the first ad-hoc query would otherwise wait for

    def _build(self) -> Ready:
        result = compile_program(self.spec.program_code, udf=self._library())
        if result.program is None:
            texts = "\n".join(m.message for m in result.messages if not m.warning)
            raise MillstreamError(
                "InitializationError", f"the program does not compile: {texts}", {"error": texts}, 500
            )
        config = RuntimeConfig.from_json(self.spec.runtime_config)
        self._limit_resources(config)
        controller = Controller(
            result.program,
            config,
            log=log.info,
            incarnation=self.incarnation,
            seeds=random_seeds(),
            keeper=build_keeper(config, Path(self.spec.directory) / "storage", log.warning),
        )
        controller.on_failure = self.fail
        log.info("workers: %d in use, %d configured", controller.workers, config.workers)

        def insert(table: Table, rows: pa.Table) -> int:
            return controller.insert(table.name, changes_from_table(table, rows))

        return Ready(result.program, controller, AdhocEngine(result.program, insert), TimeSeries(controller))

    def _limit_resources(self, config: RuntimeConfig) -> None:
        if config.cpu_cores_max is not None:
            count = limit_processors(config.cpu_cores_max)
            log.info("resources.cpu_cores_max: %s", "no effect on this system" if count is None else f"{count} in use")
        if config.memory_mb_max is not None:
            MemoryWatch(config.memory_mb_max, lambda error: self.fail(error, linger_s=0)).start()

    def _library(self) -> Library:
        """The code of the program's Python functions."""
        if not self.spec.udf_python.strip():
            return NO_LIBRARY
        no_pandas.allow()
        try:
            return load_source(self.spec.udf_python)
        except SourceError as error:
            text = f"the code of functions cannot be loaded: {error.message}"
            raise MillstreamError("InitializationError", text, {"error": error.message}, 500) from None

    def fail(self, error: MillstreamError, linger_s: float = ERROR_LINGER_S) -> None:
        """Record a fatal error and end the process after `linger_s` seconds."""
        with self._lock:
            if self._error is not None or self._terminating:
                return
            self._error = error
        log.error("pipeline failed: %s: %s", error.error_code, error.message)
        write_atomically(Path(self.spec.directory) / "error.json", error.to_json())
        threading.Thread(target=self._linger, args=(linger_s,), name="linger", daemon=True).start()

    def _linger(self, seconds: float) -> None:
        time.sleep(seconds)
        self._on_exit(1)

    def shutdown(self) -> None:
        """Stop the pipeline and end the process."""
        with self._lock:
            self._terminating = True
            ready = self._ready
        if ready is not None:
            ready.time_series.stop()
            ready.controller.stop()
        log.info("pipeline stopped")
        self._on_exit(0)

    # Being asked.

    @property
    def runtime_status(self) -> str:
        """`Initializing`, `Running` or `Paused`."""
        ready = self._ready
        if ready is None:
            return "Initializing"
        return "Paused" if ready.controller.state == "Paused" else "Running"

    def status(self) -> dict[str, Any]:
        """The body of `GET /status`, read by the manager."""
        ready, error = self._ready, self._error
        return {
            "runtime_status": self.runtime_status,
            "error": None if error is None else error.to_json(),
            "num_errors": 0 if ready is None else ready.controller.num_errors,
            "incarnation_uuid": str(self.incarnation),
        }

    def ready(self) -> Ready:
        """The running pipeline, or the error that a request gets instead (api.md §3.3)."""
        if self._terminating:
            raise MillstreamError("Terminating", "The pipeline is terminating", None, 410)
        if self._error is not None:
            if self._ready is not None and self._error.error_code.startswith("RuntimeError"):
                raise MillstreamError("Terminating", f"The pipeline is terminating: {self._error.message}", None, 410)
            raise MillstreamError(
                "InitializationError",
                f"Pipeline failed to initialize: {self._error.message}",
                {"error": self._error.to_json()},
                500,
            )
        if self._ready is None:
            raise MillstreamError("Initializing", "The pipeline is initializing; try again later", None, 503)
        return self._ready

    def set_running(self, running: bool) -> tuple[str, str]:
        """Pause or resume; while initialising, change what the pipeline becomes. Returns (old, new) status."""
        new = "Running" if running else "Paused"
        with self._lock:
            ready = self._ready
            if ready is None and self._error is None and not self._terminating:
                self._initial = "running" if running else "paused"
                return "Initializing", new
        ready = self.ready()
        old = self.runtime_status
        if running:
            ready.controller.resume()
        else:
            ready.controller.pause()
        return old, new
