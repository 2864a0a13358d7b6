"""An output endpoint: the bounded queue between the steps and one sink, and the thread that empties it.

Problem: sinks are slow, fail, and buffer; steps must not wait for them until a bound is reached, and "completed" must
mean that every sink has got what belongs to a step.

Representation: a FIFO of snapshots and deltas, each with its mark: the step, and how many input records all steps up
to it have consumed. A step that does not change the relation leaves only its mark (`_seen`), which counts once
everything before it has been delivered. `_reached` is the mark up to which the sink has caught up; the controller
takes the minimum over all outputs.

The thread: snapshot -> encode, write; delta -> merge into the output buffer if there is one, else encode, write. An
error loses the rest of its batch for this sink, is counted, and nothing else.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from millstream.connectors.base import OutputConnector
from millstream.errors import MillstreamError
from millstream.formats.base import EncodedBuffer, Encoder
from millstream.pipeline.connector_config import ConnectorConfig
from millstream.pipeline.control import Control
from millstream.pipeline.error_log import ErrorLog
from millstream.pipeline.limits import OUTPUT_DRAIN_SECONDS, UNBOUNDED_MILLIS
from millstream.pipeline.output_buffer import Buffered, OutputBuffer
from millstream.pipeline.stats import Health, OutputMetrics, OutputStatus
from millstream.zset.delta import Delta


class Mark(NamedTuple):
    """A step and the input records consumed up to its end."""

    step: int
    input_records: int


@dataclass(frozen=True, slots=True)
class OutputItem:
    """A delta, or (`snapshot`) contents that are fetched in the output's thread."""

    fetch: Callable[[], Delta]
    num_records: int
    mark: Mark
    snapshot: bool = False


class OutputEndpoint:
    """One output endpoint; see the module's text."""

    def __init__(
        self,
        control: Control,
        name: str,
        relation: str,
        config: ConnectorConfig,
        connector: OutputConnector,
        encoder: Encoder,
        mark: Mark,
        *,
        may_drop: bool = False,
    ) -> None:
        self.name = name
        self.relation = relation
        self.config = config
        #: Deltas are dropped instead of stalling the pipeline.
        self.may_drop = may_drop
        #: How long `stop` lets it drain.
        self.drain_seconds = OUTPUT_DRAIN_SECONDS
        self.fatal_error: str | None = None
        self._control = control
        self._connector = connector
        self._encoder = encoder
        self._wakeup = threading.Condition(control.lock)
        self._queue: deque[OutputItem] = deque()
        self._queued_records = 0
        self._buffer = OutputBuffer(config.max_output_buffer_size_records) if config.enable_output_buffer else None
        self._seen = mark
        #: What the buffer holds, as the statistics tell it: changes together with the queue, under the lock.
        self._buffered = Buffered()
        self._buffered_mark = mark
        self._reached = mark
        self._closing = False
        self._closed = False
        #: Steps before the snapshot are part of it.
        self._awaits_snapshot = config.send_snapshot
        self._transmitted_records = 0
        self._transmitted_bytes = 0
        self._batch_records = 0
        #: Why the last batch did not get through.
        self._trouble: str | None = None
        self._encode_errors = ErrorLog(f"output endpoint '{name}'", control.clock, control.log, control.redact)
        self._transport_errors = ErrorLog(f"output endpoint '{name}'", control.clock, control.log, control.redact)
        self._thread = threading.Thread(target=self._run, name=f"out-{name}", daemon=True)

    # ---- under the control lock ---------------------------------------------------------------------------------

    @property
    def reached(self) -> Mark:
        """The step and input position that the sink has caught up to."""
        return self._reached

    @property
    def stalls(self) -> bool:
        """Whether steps must wait for this sink (§3.4)."""
        return not self.may_drop and self._queued_records >= self.config.max_queued_records

    def enqueue_snapshot(self, fetch: Callable[[], Delta], mark: Mark) -> None:
        """Send the relation's contents as of `mark`; `fetch` is called in the output's thread."""
        self._seen = mark
        self._awaits_snapshot = False
        self._queue.append(OutputItem(fetch, 0, mark, snapshot=True))
        self._wakeup.notify_all()

    def enqueue(self, delta: Delta | None, num_records: int, mark: Mark) -> None:
        """The relation's change in the step of `mark`; None: unchanged. `num_records` counts copies of rows."""
        if self._awaits_snapshot:
            return
        self._seen = mark
        if self.fatal_error is not None:
            self._reach(mark)
            return
        if delta is not None and delta.num_rows:
            if not (self.may_drop and self._queued_records >= self.config.max_queued_records):
                self._queue.append(OutputItem(lambda: delta, num_records, mark))
                self._queued_records += num_records
                self._wakeup.notify_all()
                return
            self._dropped()
        self._advance()

    def request_close(self) -> None:
        """Deliver what is queued and buffered, then end."""
        self._closing = True
        self._wakeup.notify_all()

    def abort(self) -> None:
        """Stop waiting for a sink that takes nothing."""

    @property
    def num_errors(self) -> int:
        return self._encode_errors.count + self._transport_errors.count

    def status(self, include_errors: bool) -> OutputStatus:
        """A snapshot for the statistics."""
        buffered = self._buffered
        return OutputStatus(
            self.name,
            self.relation,
            OutputMetrics(
                self._transmitted_records,
                self._transmitted_bytes,
                self._queued_records,
                len(self._queue),
                buffered.records,
                buffered.batches,
                self._encode_errors.count,
                self._transport_errors.count,
                self._reached.input_records,
                self._reached.step,
                buffered.bytes,
                self._batch_records,
            ),
            self.fatal_error,
            self.health,
            self._encode_errors.latest() if include_errors else (),
            self._transport_errors.latest() if include_errors else (),
        )

    @property
    def health(self) -> Health | None:
        """Whether the sink takes what it is given."""
        trouble = self._trouble if self.fatal_error is None else self.fatal_error
        return Health(trouble is None, trouble)

    def _advance(self) -> None:
        """Everything before the queue's head that is not in the buffer has been delivered."""
        if self._queue:
            return
        if self._buffer is None or self._buffer.since is None:
            self._reach(self._seen)

    def _reach(self, mark: Mark) -> None:
        if mark.step > self._reached.step:
            self._reached = mark
            self._control.output_progressed()

    def _dropped(self) -> None:
        """A delta was dropped; subclasses account for it."""

    # ---- the thread ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended. One that never started only closes its connector."""
        if self._thread.ident is None:
            self._close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._next():
                pass
        except Exception as error:  # noqa: BLE001 - a broken sink must not take the pipeline with it
            self._control.log(f"output endpoint '{self.name}': {traceback.format_exc()}")
            with self._control.lock:
                self.fatal_error = self._control.redact(f"{type(error).__name__}: {error}")
                self._queue.clear()
                self._queued_records = 0
                self._reach(self._seen)
        finally:
            self._close()

    def _next(self) -> bool:
        """Wait for something to do and do it; False when there will be nothing more."""
        with self._control.lock:
            item = self._wait()
            ending = self._closing and not self._queue
        if item is None:
            self._flush()
            return not ending
        delta = self._fetch(item)
        if self._buffer is not None and not item.snapshot:
            if delta is not None:
                self._buffer.add(delta, self._control.clock.monotonic())
        elif delta is not None:
            self._deliver(delta, item)
        with self._control.lock:
            self._queue.popleft()
            self._queued_records -= item.num_records
            self._count_buffered()
            if self._buffer is None or self._buffer.since is None:
                self._reach(item.mark)
            else:
                self._buffered_mark = item.mark
            self._advance()
            self._control.engine_wakeup.notify()
            self._control.progress.notify_all()
        if self._buffer is not None and self._buffer.full:
            self._flush()
        return True

    def _wait(self) -> OutputItem | None:
        """The head of the queue (which stays there), or None when the buffer is due or the endpoint closing."""
        clock = self._control.clock
        while True:
            left = None
            if self._buffer is not None and self._buffer.since is not None:
                millis = self.config.max_output_buffer_time_millis
                if millis < UNBOUNDED_MILLIS:
                    left = self._buffer.since + millis / 1000 - clock.monotonic()
                    if left <= 0:
                        return None
            if self._queue:
                return self._queue[0]
            if self._closing:
                return None
            clock.wait(self._wakeup, left)

    def _count_buffered(self) -> None:
        if self._buffer is not None:
            self._buffered = self._buffer.size

    def _flush(self) -> None:
        buffer = self._buffer
        if buffer is None or buffer.since is None:
            return
        # Only this thread adds to the buffer, so the mark of the last merged item is the mark of the flush.
        mark = self._buffered_mark
        delta = buffer.take()
        if delta.num_rows:
            self._deliver(delta, OutputItem(lambda: delta, delta.num_rows, mark))
        with self._control.lock:
            self._count_buffered()
            self._reach(mark)
            self._advance()

    def _fetch(self, item: OutputItem) -> Delta | None:
        try:
            delta = item.fetch()
        except MillstreamError as error:
            self._add_encode_error(error.message)
            return None
        return delta if delta.num_rows else None

    def _deliver(self, delta: Delta, item: OutputItem) -> None:
        """Encode and write one batch."""
        try:
            self._connector.batch_start(item.mark.step)
            for buffer in self._encoded(delta):
                self._connector.write(buffer.data, buffer.num_records)
                with self._control.lock:
                    self._transmitted_records += buffer.num_records
                    self._transmitted_bytes += len(buffer.data)
                    self._batch_records += buffer.num_records
            self._connector.batch_end()
            self._trouble = None
        except Exception as error:  # noqa: BLE001 - whatever a transport raises is that sink's error
            text = error.message if isinstance(error, MillstreamError) else f"{type(error).__name__}: {error}"
            with self._control.lock:
                self._transport_errors.add("outprobe_push_buf", text)
                self._trouble = self._control.redact(text)
                self._control.progress.notify_all()
        self._batch_records = 0

    def _encoded(self, delta: Delta) -> Iterator[EncodedBuffer]:
        """The encoder's buffers; ends early at an encode error, which costs the rest of the batch."""
        buffers = self._encoder.encode(delta)
        while True:
            try:
                buffer = next(buffers, None)
            except MillstreamError as error:
                self._add_encode_error(error.message)
                return
            if buffer is None:
                return
            yield buffer

    def _add_encode_error(self, message: str) -> None:
        with self._control.lock:
            self._encode_errors.add("encoder_error", message)
            self._control.progress.notify_all()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._connector.close()
        except Exception as error:  # noqa: BLE001 - closing is best effort
            self._control.log(f"output endpoint '{self.name}': error while closing: {error}")
        with self._control.lock:
            self._control.progress.notify_all()


def count_records(delta: Delta) -> int:
    """Rows as a sink sees them: a weight of n is n records."""
    return int(np.abs(delta.weights).sum())
