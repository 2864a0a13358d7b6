"""An input endpoint: the bounded queue between one source of records and the steps, and who may fill it.

Problem: a source (connector thread, HTTP request, ad-hoc INSERT, embedded program) delivers batches at its own pace;
steps take them at theirs. Any number of callers start and pause the source meanwhile. No record may be lost or taken
twice, and every count must be right at every instant.

Representation: a FIFO of (batch, bytes, time of arrival), and between them the bounds of the source's transactions.
`take` removes at most `step_limit` records for a step, and splits the last batch if need be; they stay counted as
buffered until `settle` says that the step has happened. All methods take the control lock themselves, except those
said to run under it.

Who may read: the pipeline runs, the user has not paused the endpoint, and the queue is below its thresholds. These are
four independent facts; `active` is their conjunction and nothing else. The queue is drained in every state:
connectors.md §4.4.

Invariants: total = buffered + processed, for records and bytes; a finished endpoint stays finished.
Cost: O(1) per batch.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from millstream.formats.base import ParseError
from millstream.pipeline.completion import Completion, Position
from millstream.pipeline.connector_config import ConnectorConfig
from millstream.pipeline.control import Control
from millstream.pipeline.error_log import ErrorLog
from millstream.pipeline.histogram import HistogramSnapshot
from millstream.pipeline.latency import LatencySamples
from millstream.pipeline.limits import COMPLETED_STEPS_KEPT, MAX_ERRORS_PER_TAG, MAX_PENDING_STEPS
from millstream.pipeline.stats import Health, InputMetrics, InputStatus
from millstream.pipeline.transactions import Transaction
from millstream.zset.changes import ChangeBatch


class InputKind(Enum):
    """Where an endpoint's records come from. Only connectors and the clock ever count as unfinished input."""

    CONNECTOR = auto()
    INGRESS = auto()
    ADHOC = auto()
    PUSH = auto()
    CLOCK = auto()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """Queued rows, the raw bytes attributed to them, when they came (monotonic seconds), and where in the source they
    end, if the transport has told."""

    batch: ChangeBatch
    num_bytes: int
    queued_at: float
    position: Position | None = None

    def split(self, rows: int) -> tuple[QueueEntry, QueueEntry]:
        """The first `rows` rows and the others; no values are copied."""
        total = self.batch.num_rows
        head_bytes = self.num_bytes * rows // total
        return (
            QueueEntry(self.batch.slice(0, rows), head_bytes, self.queued_at),
            QueueEntry(
                self.batch.slice(rows, total - rows), self.num_bytes - head_bytes, self.queued_at, self.position
            ),
        )


@dataclass(frozen=True, slots=True)
class TransactionBound:
    """Here a transaction of the source begins, or (`begins` false) ends."""

    begins: bool
    label: str | None = None


class InputEndpoint:
    """One input endpoint; see the module's text. Attributes without `_` may be read under the control lock."""

    def __init__(
        self,
        control: Control,
        endpoint_id: int,
        name: str,
        relation: str,
        config: ConnectorConfig,
        step_limit: int | None,
        kind: InputKind = InputKind.CONNECTOR,
    ) -> None:
        self.endpoint_id = endpoint_id
        self.name = name
        self.relation = relation
        self.config = config
        self.kind = kind
        #: Records per step; None: all that is queued.
        self.step_limit = step_limit
        #: Notified when `active` or `closing` may have changed.
        self.activity = threading.Condition(control.lock)
        self.paused = config.initially_paused
        self.start_condition_fired = False
        self.end_of_input = False
        self.finished = False
        self.removed = False
        self.fatal_error: str | None = None
        self.total_records = 0
        self.total_bytes = 0
        self.buffered_records = 0
        self.buffered_bytes = 0
        self._control = control
        self._queue: deque[QueueEntry | TransactionBound] = deque()
        #: The source is inside a transaction of its own; steps may not have come so far.
        self._transaction_open = False
        self._taken: list[QueueEntry] = []
        self._parse_errors = ErrorLog(f"input endpoint '{name}'", control.clock, control.log, control.redact)
        self._transport_errors = ErrorLog(f"input endpoint '{name}'", control.clock, control.log, control.redact)
        self._latencies = LatencySamples()
        self._completion = Completion(control.clock)
        #: What keeps the source from delivering, until it delivers again.
        self._trouble: str | None = None
        #: (processed records after it, step) of recent steps, both ascending.
        self._assigned: deque[tuple[int, int]] = deque()
        self._forgotten_records = 0

    # ---- who may read -------------------------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether the source must stop. Without lock."""
        return self.removed or self._control.closing

    @property
    def below_thresholds(self) -> bool:
        """Whether the queue takes more (§3.3). Without lock."""
        return (
            self.buffered_records < self.config.max_queued_records
            and self.buffered_bytes < self.config.max_queued_bytes
        )

    @property
    def active(self) -> bool:
        """Whether the source may read now (§4.4). Without lock."""
        return self._control.running and not self.paused and self.below_thresholds and not self.closing

    def set_paused(self, paused: bool) -> bool:
        """Set the user's flag; whether it changed. Under the lock."""
        if self.paused == paused:
            return False
        self.paused = paused
        self.activity.notify_all()
        self._control.progress.notify_all()
        return True

    def wait_until_accepting(
        self, force: bool, timeout: float | None = None, cancelled: Callable[[], bool] = lambda: False
    ) -> bool:
        """Block until records may be queued; False when `timeout` seconds passed, the endpoint is closing, or
        `cancelled()` (looked at when `activity` is notified). `force` ignores both pauses, but not the thresholds."""
        clock = self._control.clock
        deadline = None if timeout is None else clock.monotonic() + timeout
        with self._control.lock:
            while not self.closing and not cancelled():
                if self.below_thresholds if force else self.active:
                    return True
                left = None if deadline is None else deadline - clock.monotonic()
                if left is not None and left <= 0:
                    return False
                clock.wait(self.activity, left)
            return False

    # ---- filling ------------------------------------------------------------------------------------------------

    def enqueue(
        self,
        batches: Sequence[tuple[ChangeBatch, int]],
        num_bytes: int | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> None:
        """Queue batches with their bytes. `num_bytes`: the bytes received, if more than those of the batches (what
        held no good record counts as processed at once). `position`: where in the source they end. Dropped when the
        endpoint is closing."""
        now = self._control.clock.monotonic()
        records = sum(batch.num_rows for batch, _ in batches)
        attributed = sum(size for batch, size in batches if batch.num_rows)
        received = attributed if num_bytes is None else num_bytes
        with self._control.lock:
            if self.closing:
                return
            totals = self._control.totals
            entries = [QueueEntry(batch, size, now) for batch, size in batches if batch.num_rows]
            if entries and position is not None:
                entries[-1] = replace(entries[-1], position=Position(position, now))
            self._queue.extend(entries)
            self._trouble = None
            self.total_records += records
            self.total_bytes += received
            self.buffered_records += records
            self.buffered_bytes += attributed
            totals.input_records += records
            totals.input_bytes += received
            totals.processed_bytes += received - attributed
            if records:
                self._control.engine_wakeup.notify()
            self._control.progress.notify_all()

    def add_parse_errors(self, errors: Sequence[ParseError]) -> None:
        """Count errors and keep the latest."""
        if not errors:
            return
        by_tag: dict[str, list[ParseError]] = {}
        for error in errors:
            by_tag.setdefault(error.tag, []).append(error)
        with self._control.lock:
            for tag, group in by_tag.items():
                latest = [describe(error) for error in group[-MAX_ERRORS_PER_TAG:]]
                self._parse_errors.add_many(tag, latest, len(group))
            self._control.progress.notify_all()

    def add_error(self, tag: str, message: str, fatal: bool) -> None:
        """Record a transport error; a fatal one says that the source has stopped for good."""
        with self._control.lock:
            self._transport_errors.add(tag, message)
            self._trouble = self._control.redact(message)
            if fatal and self.fatal_error is None:
                self.fatal_error = self._control.redact(message)
                self._end_transaction()
                self._control.input_failed(self.name)
            self._control.progress.notify_all()

    def set_end_of_input(self) -> None:
        """All data has been queued."""
        with self._control.lock:
            if self.end_of_input or self.closing:
                return
            self.end_of_input = True
            self._trouble = None
            self._end_transaction()
            self._finish_if_drained()
            self._control.progress.notify_all()

    def start_transaction(self, label: str | None) -> None:
        """What is queued from now on is one transaction of the source. Inside of one: a transport error."""
        with self._control.lock:
            if self._transaction_open:
                self.add_error("connector_start_transaction", "the connector already is in a transaction", False)
            elif not self.closing:
                self._transaction_open = True
                self._queue.append(TransactionBound(True, label))

    def commit_transaction(self) -> None:
        """The source's transaction is complete. Outside of one: a transport error."""
        with self._control.lock:
            if not self._transaction_open and not self.closing:
                self.add_error("connector_commit_transaction", "the connector is in no transaction", False)
            self._end_transaction()

    def _end_transaction(self) -> None:
        if not self._transaction_open:
            return
        self._transaction_open = False
        last = self._queue[-1] if self._queue else None
        if isinstance(last, TransactionBound) and last.begins:
            self._queue.pop()  # it is empty
            return
        self._queue.append(TransactionBound(False))
        if last is None:
            self._control.request_step()  # no record will make the engine look at the queue

    # ---- draining (under the lock) ------------------------------------------------------------------------------

    @property
    def oldest_queued_at(self) -> float | None:
        """When the first waiting record came."""
        return next((entry.queued_at for entry in self._queue if isinstance(entry, QueueEntry)), None)

    def take(self, transaction: Transaction, *, everything: bool = False) -> list[ChangeBatch]:
        """Batches for the next step or the open transaction, at most `step_limit` records; `settle` must follow. Where
        the source begins a transaction, it becomes a participant; where it ends one, nothing is taken until that is
        over. `everything`: without limit, but only to the begin of a transaction."""
        if transaction.has_committed(self.name):
            return []
        left = self.step_limit if self.step_limit is not None and not everything else self.buffered_records
        while self._queue:
            entry = self._queue[0]
            if isinstance(entry, TransactionBound):
                if entry.begins and (everything or self._taken):
                    break
                self._queue.popleft()
                if not entry.begins:
                    transaction.commit_by_connector(self.name)
                    break
                transaction.join(self.name, entry.label)
                continue
            if left <= 0:
                break
            self._queue.popleft()
            if entry.batch.num_rows > left:
                entry, rest = entry.split(left)
                self._queue.appendleft(rest)
            left -= entry.batch.num_rows
            self._taken.append(entry)
        return [entry.batch for entry in self._taken]

    def settle(self) -> None:
        """What was taken has been consumed: by a step, or by an open transaction."""
        if not self._taken:
            return
        records = sum(entry.batch.num_rows for entry in self._taken)
        size = sum(entry.num_bytes for entry in self._taken)
        queued_at = [entry.queued_at for entry in self._taken]
        self._latencies.add(queued_at, self._control.clock.monotonic())
        positions = (entry.position for entry in reversed(self._taken) if entry.position is not None)
        self._completion.consume(queued_at, next(positions, None))
        self._taken.clear()
        was_full = not self.below_thresholds
        self.buffered_records -= records
        self.buffered_bytes -= size
        self._control.totals.processed_records += records
        self._control.totals.processed_bytes += size
        if was_full and self.below_thresholds:
            self.activity.notify_all()
        self._finish_if_drained()

    def discard(self) -> None:
        """The endpoint is removed: what it has queued will never be consumed, and counts as if it had been."""
        self.removed = True
        self._queue.clear()
        self._control.totals.processed_records += self.buffered_records
        self._control.totals.processed_bytes += self.buffered_bytes
        self.buffered_records = self.buffered_bytes = 0
        self.activity.notify_all()

    def assign_step(self, step: int, completed_steps: int) -> None:
        """All records consumed so far belong to steps up to `step`, whose output has been handed over."""
        self._forget(completed_steps)
        self._completion.assign(step)
        processed = self.total_records - self.buffered_records
        last = self._assigned[-1][0] if self._assigned else self._forgotten_records
        if processed > last:
            if len(self._assigned) == MAX_PENDING_STEPS:
                self._assigned.pop()
            self._assigned.append((processed, step))

    def complete(self, completed_steps: int) -> None:
        """All steps up to this one have been delivered by every output."""
        self._completion.complete(completed_steps)

    def step_of(self, count: int, completed_steps: int) -> tuple[bool, int | None]:
        """Whether the first `count` records are complete, and the step of the last of them (None: not stepped yet, or
        long ago)."""
        self._forget(completed_steps)
        if count <= self._forgotten_records:
            return True, None
        position = bisect_left(self._assigned, (count, 0))
        if position == len(self._assigned):
            return False, None
        step = self._assigned[position][1]
        return step <= completed_steps, step

    def _forget(self, completed_steps: int) -> None:
        while len(self._assigned) > COMPLETED_STEPS_KEPT and self._assigned[0][1] <= completed_steps:
            self._forgotten_records = self._assigned.popleft()[0]

    @property
    def processing_latency(self) -> HistogramSnapshot:
        """How long records have waited for the end of their step. Under the lock."""
        return self._latencies.histogram.snapshot()

    @property
    def completion_latency(self) -> HistogramSnapshot:
        """How long records have waited until every output had delivered their step. Under the lock."""
        return self._completion.latency.snapshot()

    @property
    def _health(self) -> Health | None:
        if self.kind is not InputKind.CONNECTOR:
            return None
        trouble = self._trouble if self.fatal_error is None else self.fatal_error
        return Health(trouble is None, trouble)

    @property
    def num_errors(self) -> int:
        return self._parse_errors.count + self._transport_errors.count

    def status(self, include_errors: bool) -> InputStatus:
        """A snapshot for the statistics."""
        return InputStatus(
            self.name,
            self.relation,
            InputMetrics(
                self.total_bytes,
                self.total_records,
                self.buffered_records,
                self.buffered_bytes,
                self._transport_errors.count,
                self._parse_errors.count,
                self.end_of_input,
                self._latencies.p99_micros(self._control.clock.monotonic()),
            ),
            self.fatal_error,
            self.paused,
            self._health,
            self._completion.frontier,
            self._parse_errors.latest() if include_errors else (),
            self._transport_errors.latest() if include_errors else (),
        )

    def _finish_if_drained(self) -> None:
        if self.end_of_input and not self.buffered_records and not self.finished:
            self.finished = True
            self._control.input_finished()


def describe(error: ParseError) -> str:
    """A parse error as the text of an error list."""
    where = "" if error.event_number is None else f" (event #{error.event_number})"
    field = "" if error.field is None else f", field '{error.field}'"
    invalid = "" if error.invalid_text is None else f"\nInvalid fragment: '{error.invalid_text}'"
    suggestion = "" if error.suggestion is None else f"\nSuggestion: {error.suggestion}"
    return f"Parse error{where}{field}: {error.description}{invalid}{suggestion}"
