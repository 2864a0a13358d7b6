"""The engine: decides when a step runs, runs it, and hands its results over.

A step takes at most each endpoint's limit from its queue (paused endpoints included: what is queued is always
consumed), runs the circuit, and publishes: counters, snapshot and deltas change together under the control lock, so
whoever subscribes or reads statistics sees either all of a step or none of it. The circuit itself runs without the
lock. Steps are run by the engine thread, or one at a time by callers (`step`) when there is none.

When a step is due (connectors.md §3.4), unless an output is too far behind:
    a commit is in progress; a step was requested; more than `min_batch_size_records` records are buffered; the oldest
    has waited for `max_buffering_delay`.
Whether the pipeline is paused does not matter here: pausing stops readers, not steps.

An error in the circuit is fatal: its state is undefined from then on. Nothing else is.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from millstream.circuit.circuit import Circuit, StepResult
from millstream.circuit.snapshot import CircuitSnapshot
from millstream.errors import MillstreamError
from millstream.pipeline.control import Control, PipelineState
from millstream.pipeline.histogram import Histogram
from millstream.pipeline.input_endpoint import InputEndpoint, InputKind
from millstream.pipeline.limits import STALL_LOG_SECONDS
from millstream.pipeline.now import ProgramClock
from millstream.pipeline.orchestration import fire_conditions, warn_about_failure
from millstream.pipeline.output_endpoint import Mark, OutputEndpoint, count_records
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.pipeline.transactions import Phase, Transaction
from millstream.zset.changes import ChangeBatch
from millstream.zset.delta import Delta

Listener = Callable[[int, Delta], None]


@dataclass(slots=True)
class _Work:
    """What one turn of the engine does: a step over `changes`, or (`step` None) only taking input in."""

    step: int | None
    changes: Mapping[str, Sequence[ChangeBatch]] = field(default_factory=dict)
    now_us: int | None = None
    commit: bool = False


class _Changes:
    """A step's changes of relations, with the number of records in each.

    The circuit consolidates a change when it is first asked for. The engine asks before it takes the lock, for what
    somebody listens to; only who subscribed during the step makes it ask under the lock."""

    def __init__(self, result: StepResult) -> None:
        self._result = result
        self._known: dict[str, tuple[Delta | None, int]] = {}

    def of(self, relation: str) -> tuple[Delta | None, int]:
        known = self._known.get(relation)
        if known is None:
            delta = self._result.deltas.get(relation)
            known = self._known[relation] = (delta, 0 if delta is None else count_records(delta))
        return known


class Engine:
    """Registries of endpoints and the step loop. Attributes are used under `control.lock`, unless said otherwise."""

    def __init__(
        self,
        control: Control,
        circuit: Circuit,
        config: RuntimeConfig,
        *,
        on_failure: Callable[[MillstreamError], None],
        manual: bool,
    ) -> None:
        self.inputs: dict[str, InputEndpoint] = {}
        self.outputs: dict[str, OutputEndpoint] = {}
        self.listeners: dict[str, list[Listener]] = {}
        self.transaction = Transaction(control.clock)
        self.clock: ProgramClock | None = None
        self.manual = manual
        #: Contents after the last published step; replaced, never changed.
        self.snapshot: CircuitSnapshot | None = None
        self.error: MillstreamError | None = None
        self._stall_seconds = 0.0
        self._stalled_since: float | None = None
        self.step_seconds = 0.0
        self.step_latency = Histogram()
        self._control = control
        self._circuit = circuit
        self._config = config
        self._on_failure = on_failure
        self._stepping = False
        #: Callers that wait for the running step to end, before another may begin.
        self._holding = 0
        #: One step at a time, also among callers of `step`. Taken before the control lock.
        self._step_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        control.input_finished = self._input_finished
        control.input_failed = self._input_failed
        control.output_progressed = self.refresh_completed

    def start(self) -> None:
        """Run steps in a thread from now on. Once."""
        self.manual = False
        self._thread.start()

    def join(self) -> None:
        """Wait for the engine thread to end, after `control.closing` was set."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def profile(self) -> list[dict[str, Any]]:
        """The circuit's profile. Without lock."""
        return self._circuit.profile()

    @property
    def late_records(self) -> int:
        """Rows of tables and views that came late. Without lock."""
        return self._circuit.num_late_rows

    # ---- one step -----------------------------------------------------------------------------------------------

    def step(self) -> StepResult | None:
        """Run one step now, with or without input, in the caller's thread. None inside a transaction. Raises what
        the circuit raised, after the pipeline has been terminated."""
        with self._step_lock:
            with self._control.lock:
                self._control.take_step_request()
                if self.clock is not None and self.manual:
                    self.clock.follow_wall_time()
                work = self._take_work()
            return None if work.step is None else self._execute(work)

    def _take_work(self) -> _Work:
        """Drain the queues. Under the lock."""
        transaction = self.transaction
        self._stepping = True
        if transaction.phase is Phase.COMMITTING:
            return self._commit_work()
        changes = self._drain()
        if transaction.phase is Phase.NONE:
            return _Work(self._next_step(), changes, self._now_us())
        for table, batches in changes.items():
            transaction.hold(table, batches)
        self._settle()
        if transaction.agreed:
            transaction.begin_commit()
            return self._commit_work()
        self._finished_turn()
        return _Work(None)

    def _commit_work(self) -> _Work:
        return _Work(self._next_step(), self.transaction.take(), self._now_us(), commit=True)

    def _drain(self, *, everything: bool = False) -> dict[str, list[ChangeBatch]]:
        """What a turn takes from the queues, by table."""
        changes: dict[str, list[ChangeBatch]] = {}
        for endpoint in self.inputs.values():
            batches = endpoint.take(self.transaction, everything=everything)
            if not batches:
                continue
            if endpoint.kind is InputKind.CLOCK:
                assert self.clock is not None
                self.clock.consumed(len(batches))
            else:
                changes.setdefault(endpoint.relation, []).extend(batches)
        return changes

    def _next_step(self) -> int:
        self._control.totals.initiated_steps += 1
        return self._control.totals.initiated_steps

    def _now_us(self) -> int | None:
        return self.clock.value_us if self.clock is not None else None

    def _execute(self, work: _Work) -> StepResult:
        assert work.step is not None
        started = time.perf_counter()
        try:
            result = self._circuit.step(work.changes, work.now_us)
            snapshot = self._circuit.snapshot()
        except MillstreamError as error:
            self._fail(error)
            raise
        except Exception as error:
            self._control.log(traceback.format_exc())
            raise self._fail(_broken(error)) from error
        changes = _Changes(result)
        with self._control.lock:
            wanted = {output.relation for output in self.outputs.values()}
            wanted.update(name for name, listeners in self.listeners.items() if listeners)
        for name in wanted:
            changes.of(name)
        with self._control.lock:
            seconds = time.perf_counter() - started
            self.step_seconds += seconds
            self.step_latency.add([seconds])
            self.snapshot = snapshot
            self._publish(work, changes)
            told = [(listener, name) for name, listeners in self.listeners.items() for listener in listeners]
        for listener, name in told:
            delta, _ = changes.of(name)
            if delta is not None:
                self._tell(listener, work.step, delta)
        return result

    def _publish(self, work: _Work, changes: _Changes) -> None:
        """Make the step's outcome visible, all at once. Under the lock."""
        assert work.step is not None
        totals = self._control.totals
        if work.commit:
            self.transaction.end()
        else:
            self._settle()
        totals.published_records = totals.processed_records
        totals.published_steps = work.step
        for endpoint in self.inputs.values():
            endpoint.assign_step(work.step, totals.completed_steps)
        mark = Mark(work.step, totals.published_records)
        for output in self.outputs.values():
            output.enqueue(*changes.of(output.relation), mark)
        self.refresh_completed()
        self._finished_turn()

    def _settle(self) -> None:
        for endpoint in self.inputs.values():
            endpoint.settle()

    def _finished_turn(self) -> None:
        self._stepping = False
        self._control.progress.notify_all()

    def _tell(self, listener: Listener, step: int, delta: Delta) -> None:
        try:
            listener(step, delta)
        except Exception:  # noqa: BLE001 - a listener's failure is its own
            self._control.log(f"a listener failed: {traceback.format_exc()}")

    def _fail(self, failure: MillstreamError) -> MillstreamError:
        """Terminate the pipeline and tell everybody."""
        with self._control.lock:
            self.error = failure
            self._control.state = PipelineState.TERMINATED
            self._control.closing = True
            self._stepping = False
            for output in self.outputs.values():
                output.request_close()
            self.wake_all()
        self._on_failure(failure)
        return failure

    # ---- the loop -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait_until_due():
                self.step()
        except MillstreamError as error:
            if self.error is None:
                self._fail(error)
        except Exception as error:  # noqa: BLE001 - a pipeline whose engine is gone must not look alive
            self._control.log(traceback.format_exc())
            self._fail(_broken(error))

    def _wait_until_due(self) -> bool:
        """Sleep until a step is due; False when the pipeline is closing."""
        control = self._control
        with control.lock:
            while not control.closing:
                if self._holding:
                    control.engine_wakeup.wait()
                    continue
                if any(output.stalls for output in self.outputs.values()):
                    self._wait_for_outputs()
                    continue
                if self.clock is not None:
                    self.clock.tick()
                left = self._seconds_to_step(control.clock.monotonic())
                if left is not None and left <= 0:
                    return True
                control.clock.wait(control.engine_wakeup, left)
        return False

    def _wait_for_outputs(self) -> None:
        """Sleep while some output is too far behind; account for the time. Under the lock."""
        control = self._control
        began = control.clock.monotonic()
        self._stalled_since = began
        logged = False
        while not control.closing and (slow := [o.name for o in self.outputs.values() if o.stalls]):
            left = None if logged else began + STALL_LOG_SECONDS - control.clock.monotonic()
            if left is not None and left <= 0:
                control.log(f"steps wait for slow output connectors: {', '.join(slow)}")
                logged = True
                continue
            control.clock.wait(control.engine_wakeup, left)
        self._stalled_since = None
        self._stall_seconds += control.clock.monotonic() - began

    @property
    def stall_seconds(self) -> float:
        """How long steps have waited for outputs, including right now."""
        since = self._stalled_since
        return self._stall_seconds + (0.0 if since is None else self._control.clock.monotonic() - since)

    def _seconds_to_step(self, now: float) -> float | None:
        """0: a step is due; otherwise when to look again (None: when something changes)."""
        control = self._control
        if self.transaction.phase is Phase.COMMITTING or control.step_requested:
            return 0.0
        waits: list[float] = []
        withheld = self.transaction.committed_endpoints
        waiting = control.totals.buffered_records - sum(self.inputs[name].buffered_records for name in withheld)
        if waiting > 0:
            if waiting > self._config.min_batch_size_records:
                return 0.0
            delay = self._config.max_buffering_delay_us / 1e6
            sources = [endpoint for name, endpoint in self.inputs.items() if name not in withheld]
            queued = [t for endpoint in sources if (t := endpoint.oldest_queued_at) is not None]
            waits.extend(max(0.0, queued_at + delay - now) for queued_at in queued)
        tick = None if self.clock is None else self.clock.seconds_to_tick()
        if tick is not None:
            waits.append(tick)
        return min(waits, default=None)

    def wake_all(self) -> None:
        """Let every waiting thread look at the state again. Under the lock."""
        self._control.engine_wakeup.notify_all()
        self._control.progress.notify_all()
        for endpoint in self.inputs.values():
            endpoint.activity.notify_all()

    # ---- transactions (under the lock) --------------------------------------------------------------------------

    def start_transaction(self) -> int:
        """Open a transaction, or take part in one that connectors have opened. A step under way is waited for, it
        belongs to the time before; so is the commit of connectors' transactions."""
        control, transaction = self._control, self.transaction
        self._holding += 1
        try:
            while self._stepping and not transaction.concerns_api and not control.closing:
                control.progress.wait()
        finally:
            self._holding -= 1
            control.engine_wakeup.notify()
        control.check_alive()
        return self.transaction.begin()

    def commit_transaction(self) -> None:
        """Take in what is queued, and make the commit's step due unless connectors have yet to commit."""
        transaction = self.transaction
        transaction.commit_by_api()
        for table, batches in self._drain(everything=True).items():
            transaction.hold(table, batches)
        self._settle()
        if transaction.agreed:
            self._begin_commit()
        self._control.engine_wakeup.notify()
        self._control.progress.notify_all()

    def _begin_commit(self) -> None:
        transaction = self.transaction
        transaction.begin_commit()
        if transaction.empty:
            transaction.end()
            if self._control.totals.processed_records > self._control.totals.published_records:
                self._control.request_step()  # ticks of the clock were taken in

    # ---- reactions (under the lock) -----------------------------------------------------------------------------

    def _input_finished(self) -> None:
        fire_conditions(list(self.inputs.values()), self._control.log)

    def _input_failed(self, name: str) -> None:
        self._control.log(f"input endpoint '{name}' has failed; the pipeline goes on without it")
        warn_about_failure(self.inputs[name], self.inputs.values(), self._control.log)

    @property
    def complete(self) -> bool:
        """Whether all input has ended and its effects have been delivered everywhere."""
        http_driven = self.clock is not None and self.clock.http_driven
        awaited = {InputKind.CONNECTOR} if http_driven else {InputKind.CONNECTOR, InputKind.CLOCK}
        unfinished = any(not e.finished for e in self.inputs.values() if e.kind in awaited)
        totals = self._control.totals
        return not unfinished and totals.completed_records == totals.input_records

    def refresh_completed(self) -> None:
        """Completed is what every output has caught up with."""
        totals = self._control.totals
        marks = [output.reached for output in self.outputs.values()]
        step = min((mark.step for mark in marks), default=totals.published_steps)
        records = min((mark.input_records for mark in marks), default=totals.published_records)
        totals.completed_steps = max(totals.completed_steps, step)
        totals.completed_records = max(totals.completed_records, records)
        for endpoint in self.inputs.values():
            endpoint.complete(totals.completed_steps)
        self._control.progress.notify_all()


def _broken(error: Exception) -> MillstreamError:
    """What users are told of an exception that should not be."""
    text = f"{type(error).__name__}: {error}"
    return MillstreamError(
        "RuntimeError.WorkerPanic", text, {"panic_info": [[0, "Foreground", {"message": text}]]}, 500
    )
