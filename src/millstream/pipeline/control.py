"""What all parts of a running pipeline share: one lock, the pipeline's state and its totals.

Problem: the engine, the readers, the outputs and any number of API callers change and read the same few facts: who
may read, what is queued, what was processed. Numbers that are read together must fit together.

Representation: one re-entrant lock guards all of it. Three kinds of conditions hang on that lock: the engine's, one
per endpoint, and `progress` for whoever waits for an outcome. Under the lock there is only bookkeeping, O(endpoints)
at most: parsing, stepping, encoding and sending happen outside. So nobody is ever blocked for long, there is no
second lock to take in the wrong order, and every snapshot of the counters is consistent.

Invariants, at every instant when the lock is free:
    input_records = processed_records + records buffered in endpoints   (the same for bytes, and per endpoint)
    completed_records <= published_records <= processed_records
    completed_steps <= published_steps <= initiated_steps
`published` is `processed` as of the last step whose deltas were handed to the outputs; it differs from `processed`
only inside a transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from millstream.errors import MillstreamError
from millstream.pipeline.clock import Clock


class PipelineState(StrEnum):
    """The state that the pipeline reports."""

    INITIALIZING = "Initializing"
    PAUSED = "Paused"
    RUNNING = "Running"
    TERMINATED = "Terminated"


@dataclass(slots=True)
class Totals:
    """Counters over all endpoints, including removed ones."""

    input_records: int = 0
    input_bytes: int = 0
    processed_records: int = 0
    processed_bytes: int = 0
    published_records: int = 0
    completed_records: int = 0
    initiated_steps: int = 0
    published_steps: int = 0
    completed_steps: int = 0

    @property
    def buffered_records(self) -> int:
        return self.input_records - self.processed_records

    @property
    def buffered_bytes(self) -> int:
        return self.input_bytes - self.processed_bytes


class Control:
    """The shared lock, state and totals. Attributes are read and written under `lock`, unless said otherwise."""

    def __init__(self, clock: Clock, log: Callable[[str], None]) -> None:
        self.clock = clock
        self._log = log
        #: Takes what references of connectors stand for out of a text; set before there are endpoints.
        self.redact: Callable[[str], str] = lambda text: text
        self.lock = threading.RLock()
        #: Something changed that may make a step due.
        self.engine_wakeup = threading.Condition(self.lock)
        #: Something changed that somebody may be waiting for.
        self.progress = threading.Condition(self.lock)
        #: May be read without the lock: a single reference.
        self.state = PipelineState.INITIALIZING
        #: The pipeline is being stopped or has failed: readers return, waits end.
        self.closing = False
        self.totals = Totals()
        self._step_requested = False
        #: Called under the lock when an input endpoint has become finished.
        self.input_finished: Callable[[], None] = _nothing
        #: Called under the lock when an input endpoint has failed, with its name.
        self.input_failed: Callable[[str], None] = lambda _: None
        #: Called under the lock when an output endpoint got further or was removed.
        self.output_progressed: Callable[[], None] = _nothing

    def log(self, line: str) -> None:
        """Write a line to the pipeline's log. Needs no lock."""
        self._log(self.redact(line))

    @property
    def running(self) -> bool:
        return self.state is PipelineState.RUNNING

    def request_step(self) -> None:
        """Make the next step due even if nothing is queued."""
        with self.lock:
            self._step_requested = True
            self.engine_wakeup.notify()

    def take_step_request(self) -> bool:
        """Whether a step was requested; forgets the request. Under the lock."""
        requested, self._step_requested = self._step_requested, False
        return requested

    @property
    def step_requested(self) -> bool:
        return self._step_requested

    def check_alive(self) -> None:
        """Raise what an API caller of a stopped or failed pipeline is told."""
        if self.closing or self.state is PipelineState.TERMINATED:
            raise terminating()


def terminating() -> MillstreamError:
    """The answer to requests that came too late."""
    return MillstreamError("Terminating", "the pipeline is terminating", None, 410)


def initializing() -> MillstreamError:
    """The answer to requests that came too early."""
    return MillstreamError("Initializing", "the pipeline is still initializing", None, 503)


def _nothing() -> None:
    pass
