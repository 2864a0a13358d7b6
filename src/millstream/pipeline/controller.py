"""The controller: one running pipeline, and everything that can be asked of it.

It opens the connectors, owns the engine, and is the only place where states change: of the pipeline (running, paused)
and, independently, of every input connector (connectors.md §4). All methods may be called from any thread at any time;
none waits for a step, except those whose purpose is to wait (`insert`, ingress, `start_transaction`, `step`, `stop`).

Order of locks: the engine's step lock, then the control lock. Threads: one for the engine (none with
`manual_stepping`), one per input connector, one per output connector and subscription.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.circuit.circuit import Circuit, StepResult
from millstream.circuit.snapshot import CircuitSnapshot
from millstream.circuit.workers import Workers, effective_workers
from millstream.connectors.base import InputConnector, OutputConnector
from millstream.connectors.references import References
from millstream.errors import MillstreamError
from millstream.formats import build_encoder
from millstream.pipeline import inlets
from millstream.pipeline.clock import Clock, SystemClock
from millstream.pipeline.control import Control, PipelineState, initializing
from millstream.pipeline.egress import ChunkQueue, EgressEndpoint, Subscription
from millstream.pipeline.engine import Engine, Listener
from millstream.pipeline.factory import BuiltOutput, build_inputs, build_outputs, open_all, snapshot_not_materialized
from millstream.pipeline.ingress import IngressEndpoint
from millstream.pipeline.inlets import Changes
from millstream.pipeline.input_endpoint import InputKind
from millstream.pipeline.limits import EGRESS_MAX_QUEUED_RECORDS, OUTPUT_DRAIN_SECONDS, READER_STOP_SECONDS
from millstream.pipeline.measurements import Measurements
from millstream.pipeline.now import CLOCK_ENDPOINT, ProgramClock
from millstream.pipeline.orchestration import check_conditions
from millstream.pipeline.output_endpoint import Mark, OutputEndpoint
from millstream.pipeline.reader import Reader
from millstream.pipeline.registry import Registry, transient
from millstream.pipeline.resources import MemoryPressure, memory_in_use
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.pipeline.stats import GlobalMetrics, PipelineStats
from millstream.pipeline.storage import StorageMeter
from millstream.pipeline.tokens import decode_token
from millstream.plan.program import Program
from millstream.zset.hashing import DEFAULT_SEEDS, Seeds
from millstream.zset.keeper import Keeper, keeping


class Controller:
    """A pipeline: `start` once, `stop` once. See the module's text.

    `manual_stepping`: no engine thread; steps run in the callers of `step` (embedded use) until `run_steps`. `log`
    takes one line of text. `on_failure` is called once, from the thread that ran the failing step. `seeds` of the row
    hashes decide the order of rows without ORDER BY; random ones protect against input made to collide. `keeper` merges
    and stores state (None: in the steps, in memory); it is closed with the pipeline.
    """

    def __init__(
        self,
        program: Program,
        config: RuntimeConfig | None = None,
        *,
        clock: Clock | None = None,
        log: Callable[[str], None] | None = None,
        incarnation: uuid.UUID | None = None,
        manual_stepping: bool = False,
        seeds: Seeds = DEFAULT_SEEDS,
        keeper: Keeper | None = None,
    ) -> None:
        self.program = program
        self.config = RuntimeConfig() if config is None else config
        self.incarnation = uuid.uuid4() if incarnation is None else incarnation
        #: The workers of the circuit: as many as are configured, but no more than processors.
        self.workers = effective_workers(self.config.circuit_workers, self.config.cpu_cores_max)
        self.on_failure: Callable[[MillstreamError], None] = lambda _: None
        self._control = Control(SystemClock() if clock is None else clock, log or (lambda _: None))
        self._start_time = self._control.clock.now()
        self._started_at = self._control.clock.monotonic()
        self._keeper = Keeper() if keeper is None else keeper
        self._storage = StorageMeter(self._keeper)
        with keeping(self._keeper):
            circuit = Circuit(program, seeds, Workers(self.workers))
        self._engine = Engine(
            self._control,
            circuit,
            self.config,
            on_failure=lambda error: self.on_failure(error),
            manual=manual_stepping,
        )
        self._registry = Registry(self._control, self._engine, program, self.config.workers, self.incarnation)
        self._memory_pressure = MemoryPressure(self.config.memory_budget_mb)
        self._readers: dict[str, Reader] = {}
        self._begun = False

    # ---- life ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """`Initializing`, `Paused`, `Running` or `Terminated`."""
        return self._control.state.value

    @property
    def error(self) -> MillstreamError | None:
        """Why a terminated pipeline failed; None if it did not."""
        return self._engine.error

    def start(self, initial: str = "running") -> None:
        """Open all connectors, run one step without input, then begin to read and step. `initial`: `running` or
        `paused`. Raises the configuration error, or the run-time error of the first step; the pipeline is terminated
        then."""
        with self._control.lock:
            assert not self._begun, "a controller starts once"
            self._begun = True
        try:
            self._prepare()
            self._engine.step()
            self._go(PipelineState.PAUSED if initial == "paused" else PipelineState.RUNNING)
        except BaseException:
            self.stop()
            raise

    def _prepare(self) -> None:
        """Build and open the connectors and register their endpoints."""
        references = References({**os.environ, **self.config.env})
        self._control.redact = references.redactor.redact
        try:
            self._connect(references)
        except MillstreamError as error:
            raise references.redactor.redact_error(error) from None

    def _connect(self, references: References) -> None:
        inputs = build_inputs(self.program, self._registry.tables, references)
        outputs = build_outputs(self.program, self._registry.outputs, references)
        for built in inputs:
            endpoint = self._registry.add_input(built.name, built.relation, built.config)
            self._readers[built.name] = Reader(self._control, endpoint, built.connector, built.parser)
        check_conditions(list(self._engine.inputs.values()), self._control.log)
        for output in outputs:
            self._add_output(output)
        every: list[tuple[str, InputConnector | OutputConnector]] = [(i.name, i.connector) for i in inputs]
        every.extend((o.name, o.connector) for o in outputs)
        open_all(every, self.config.max_parallel_connector_init)
        self._add_clock()

    def _go(self, state: PipelineState) -> None:
        """Outputs that begin with a snapshot get it; threads start."""
        with self._control.lock:
            self._control.check_alive()
            outputs = list(self._engine.outputs.values())
            for output in outputs:
                if output.config.send_snapshot:
                    self._registry.send_snapshot(output)
            self._control.state = state
            self._registry.ready = True
            self._engine.wake_all()
        for output in outputs:
            output.start()
        for reader in self._readers.values():
            reader.start()
        if not self._engine.manual:
            self._engine.start()

    def pause(self) -> None:
        """Stop all readers; connectors' own flags stay as they are. Idempotent."""
        self._set_state(PipelineState.PAUSED)

    def resume(self) -> None:
        """Let those readers read whose connectors are not paused. Idempotent."""
        self._set_state(PipelineState.RUNNING)

    def run_steps(self) -> None:
        """End manual stepping: from now on steps run in the engine's thread as input arrives. Idempotent."""
        with self._control.lock:
            self._registry.check_ready()
            if self._engine.manual:
                self._engine.start()

    def _set_state(self, state: PipelineState) -> None:
        with self._control.lock:
            self._registry.check_ready()
            if self._control.state is not state:
                self._control.state = state
                self._engine.wake_all()

    def stop(self) -> None:
        """Stop reading and stepping, let outputs deliver what they have, release everything. Idempotent. Waits for
        a step that is running, at most READER_STOP_SECONDS for readers and OUTPUT_DRAIN_SECONDS for outputs."""
        with self._control.lock:
            self._control.closing = True
            self._engine.wake_all()
        self._engine.join()
        deadline = time.monotonic() + READER_STOP_SECONDS
        for name, reader in list(self._readers.items()):
            if not reader.join(max(0.0, deadline - time.monotonic())):
                self._control.log(f"input endpoint '{name}': the reader does not stop; it is abandoned")
        with self._control.lock:
            outputs = list(self._engine.outputs.values())
            for output in outputs:
                output.request_close()
        self._drain(outputs)
        with self._control.lock:
            self._control.state = PipelineState.TERMINATED
            self._engine.wake_all()
        self._keeper.close()

    def _drain(self, outputs: Sequence[OutputEndpoint]) -> None:
        deadline = time.monotonic() + OUTPUT_DRAIN_SECONDS
        for output in outputs:
            if output.join(max(0.0, min(deadline - time.monotonic(), output.drain_seconds))):
                continue
            output.abort()
            if not output.join(1.0):
                self._control.log(f"output endpoint '{output.name}': still writing; it is abandoned")

    def _add_clock(self) -> None:
        if not self.program.uses_now:
            return
        endpoint = None
        if self.config.clock_resolution_us is not None:
            endpoint = self._registry.add_input(CLOCK_ENDPOINT, CLOCK_ENDPOINT, transient("clock"), InputKind.CLOCK)
        self._engine.clock = ProgramClock(self._control, self.config, endpoint)

    def _add_output(self, built: BuiltOutput) -> None:
        self._engine.outputs[built.name] = OutputEndpoint(
            self._control, built.name, built.relation, built.config, built.connector, built.encoder, Mark(0, 0)
        )

    # ---- control of input connectors ----------------------------------------------------------------------------

    def start_connector(self, endpoint_name: str) -> None:
        """Clear the connector's pause flag. It reads iff the pipeline runs, too. Idempotent; works in every state of
        the connector (finished and failed ones ignore it). Raises `UnknownInputEndpoint` (404)."""
        self._set_connector_paused(endpoint_name, False)

    def pause_connector(self, endpoint_name: str) -> None:
        """Set the connector's pause flag: it stops reading at once and keeps its position; what it has queued is
        still processed. Idempotent. Raises `UnknownInputEndpoint` (404)."""
        self._set_connector_paused(endpoint_name, True)

    def _set_connector_paused(self, endpoint_name: str, paused: bool) -> None:
        with self._control.lock:
            self._registry.check_ready()
            if self._registry.input(endpoint_name).set_paused(paused):
                self._control.log(f"connector '{endpoint_name}' {'paused' if paused else 'started'}")
                # A clock that may tick again must be looked at.
                self._control.engine_wakeup.notify()

    # ---- input --------------------------------------------------------------------------------------------------

    def ingress_endpoint(self, table_name: str, format_name: str, config: Mapping[str, Any]) -> IngressEndpoint:
        """One HTTP request's way into a table (canonical name). Raises `ConfigError.UnknownInputStream` (404), the
        errors of a bad format configuration, `ApiConnectionLimit` (429)."""
        return inlets.open_ingress(self._registry, table_name, format_name, config)

    def insert(self, table_name: str, changes: Changes) -> int:
        """Ad-hoc INSERT: waits until the pipeline runs, and until a step has consumed the rows (inside a transaction:
        until it has taken them in). The number of rows. Raises `Terminating` (410) when the pipeline stops first."""
        return inlets.insert(self._registry, table_name, changes)

    def push(self, table_name: str, changes: Changes) -> None:
        """Queue rows for a table, unconditionally: the caller (an embedding program) is its own back-pressure.
        Pausing does not hold them back."""
        inlets.push(self._registry, table_name, changes)

    def step(self) -> StepResult | None:
        """Run one step now in the caller's thread, over what is queued (each connector's step limit applies). None
        inside an open transaction. Raises the run-time error that terminated the pipeline."""
        with self._control.lock:
            self._registry.check_ready()
        return self._engine.step()

    def completion_token(self, endpoint_name: str) -> str:
        """A token for everything that the input endpoint has received so far."""
        with self._control.lock:
            self._registry.check_ready()
            return self._registry.token(self._registry.input(endpoint_name))

    def completion_status(self, token: str) -> dict[str, Any]:
        """`{"status": "complete"|"inprogress", "step"}`: complete when every output has delivered what belongs to the
        token's records. Raises `InvalidParam` (400), `PipelineRestarted`, `UnknownEndpointInCompletionToken` (410)."""
        wanted = decode_token(self.incarnation, token)
        with self._control.lock:
            for endpoint in self._engine.inputs.values():
                if endpoint.endpoint_id == wanted.endpoint_id:
                    done, step = endpoint.step_of(wanted.records, self._control.totals.completed_steps)
                    return {"status": "complete" if done else "inprogress", "step": step}
        raise MillstreamError(
            "UnknownEndpointInCompletionToken",
            f"completion token refers to the unknown endpoint {wanted.endpoint_id}",
            {"endpoint_id": wanted.endpoint_id},
            410,
        )

    # ---- transactions and time ----------------------------------------------------------------------------------

    def start_transaction(self) -> int:
        """Open a transaction; its id. Waits for a step that is running. Raises `TransactionInProgress` (409)."""
        with self._control.lock:
            self._registry.check_ready()
            return self._engine.start_transaction()

    def commit_transaction(self) -> None:
        """Begin the commit of what was queued until now; the end shows in the statistics. Raises
        `NoTransactionInProgress`."""
        with self._control.lock:
            self._registry.check_ready()
            self._engine.commit_transaction()

    def advance_clock(self, delta_ms: int | None) -> int:
        """Move NOW() of an HTTP-driven clock (`dev_tweaks.now_http_driven`); the new time in milliseconds since the
        epoch. None: one resolution step, 0: only read, otherwise rounded up to the resolution."""
        with self._control.lock:
            self._registry.check_ready()
            clock = self._engine.clock
            if clock is None or not clock.http_driven:
                error = "the clock of this pipeline is not driven over HTTP (set dev_tweaks.now_http_driven)"
                raise MillstreamError("InvalidParam", error, {"error": error})
            if delta_ms is not None and delta_ms < 0:
                error = "delta_ms must not be negative"
                raise MillstreamError("InvalidParam", error, {"error": error})
            return clock.advance(delta_ms)

    # ---- output -------------------------------------------------------------------------------------------------

    def snapshot(self) -> CircuitSnapshot:
        """The contents of all relations after the last step. O(1); never waits."""
        snapshot = self._engine.snapshot
        if snapshot is None:
            raise initializing()
        return snapshot

    def subscribe(
        self,
        relation: str,
        *,
        send_snapshot: bool = False,
        backpressure: bool = False,
        format: str = "csv",
        format_config: Mapping[str, Any] | None = None,
    ) -> Subscription:
        """The changes of a view or table (canonical name) as chunks, from the next step on; with `send_snapshot` its
        present contents first. Raises `ConfigError.UnknownOutputStream` (404), the errors of a bad format,
        `ApiConnectionLimit` (429)."""
        registry = self._registry
        name = f"{relation}.api-{uuid.uuid4()}"
        shape = registry.output_relation(relation, name)
        if send_snapshot and not registry.materialized(relation):
            raise snapshot_not_materialized(name)
        settings = {**(format_config or {}), "array": True} if format == "json" else dict(format_config or {})
        encoder = build_encoder(format, settings, shape, name, for_egress=True)
        chunks = ChunkQueue(name, {"backpressure": backpressure, "format": format}, shape)
        config = transient("http_output", EGRESS_MAX_QUEUED_RECORDS)
        with self._control.lock:
            registry.check_ready()
            registry.check_connection_limit()
            endpoint = EgressEndpoint(
                self._control, name, relation, config, chunks, encoder, registry.mark(), may_drop=not backpressure
            )
            if send_snapshot:
                registry.send_snapshot(endpoint)
            self._engine.outputs[name] = endpoint
        endpoint.start()
        return Subscription(name, chunks, lambda: registry.remove_output(name))

    def listen(self, relation: str, listener: Listener) -> Callable[[], None]:
        """Call `listener(step, delta)` after every step that changes the relation, in the thread that runs the step
        (it should return soon, and must not run steps itself). May be called before `start`. The result ends it."""
        self._registry.output_relation(relation, relation)
        with self._control.lock:
            listeners = self._engine.listeners.setdefault(relation, [])
            listeners.append(listener)

        def end() -> None:
            with self._control.lock:
                if listener in listeners:
                    listeners.remove(listener)

        return end

    # ---- being watched ------------------------------------------------------------------------------------------

    def stats(self, include_connector_errors: bool = False) -> dict[str, Any]:
        """`GET /stats`: one consistent snapshot. Costs microseconds per endpoint; never waits for a step."""
        return self.snapshot_stats(include_connector_errors).to_json(include_connector_errors)

    def snapshot_stats(self, include_connector_errors: bool = False) -> PipelineStats:
        """The same as typed values."""
        rss, held = memory_in_use()
        cpu = int(time.process_time() * 1000)
        storage = self._storage.read()
        with self._control.lock:
            return PipelineStats(
                self._global_metrics(rss, held, cpu, storage),
                tuple(endpoint.status(include_connector_errors) for endpoint in self._engine.inputs.values()),
                tuple(endpoint.status(include_connector_errors) for endpoint in self._engine.outputs.values()),
            )

    def input_stats(self, endpoint_name: str) -> dict[str, Any]:
        """One element of `inputs[]`, errors included. Raises `UnknownInputEndpoint` (404)."""
        with self._control.lock:
            status = self._registry.input(endpoint_name).status(True)
        return status.to_json(True)

    def output_stats(self, endpoint_name: str) -> dict[str, Any]:
        """One element of `outputs[]`, errors included. Raises `UnknownOutputEndpoint` (404)."""
        with self._control.lock:
            status = self._registry.output(endpoint_name).status(True)
        return status.to_json(True)

    @property
    def num_errors(self) -> int:
        """Errors of all kinds of all connectors."""
        with self._control.lock:
            inputs = sum(endpoint.num_errors for endpoint in self._engine.inputs.values())
            return inputs + sum(endpoint.num_errors for endpoint in self._engine.outputs.values())

    def measurements(self) -> Measurements:
        """What metrics tell beyond the statistics."""
        engine = self._engine
        late_records = engine.late_records
        with self._control.lock:
            return Measurements(
                late_records,
                self.workers,
                self.config.memory_budget_mb,
                engine.step_latency.snapshot(),
                engine.transaction.ingest.snapshot(),
                engine.transaction.commit.snapshot(),
                {name: endpoint.processing_latency for name, endpoint in engine.inputs.items()},
                {name: endpoint.completion_latency for name, endpoint in engine.inputs.items()},
            )

    def profile(self) -> list[dict[str, Any]]:
        """What each operator of the circuit has done so far."""
        return self._engine.profile()

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait (in real time) until `condition()` holds, which may ask this controller anything; it is looked at
        whenever something changed. Its last value."""
        with self._control.lock:
            return self._control.progress.wait_for(condition, timeout)

    def _global_metrics(self, rss: int, held: int, cpu: int, storage: tuple[int, int]) -> GlobalMetrics:
        """Under the lock."""
        totals = self._control.totals
        pressure = self._memory_pressure.observe(held)
        uptime = int((self._control.clock.monotonic() - self._started_at) * 1000)
        return GlobalMetrics(
            state=self.state,
            transaction=self._engine.transaction.status(),
            rss_bytes=rss,
            cpu_msecs=cpu,
            uptime_msecs=uptime,
            runtime_elapsed_msecs=int(self._engine.step_seconds * 1000),
            start_time=int(self._start_time),
            incarnation_uuid=self.incarnation,
            storage_bytes=storage[0],
            storage_mb_secs=storage[1],
            memory_pressure=pressure,
            memory_pressure_epoch=self._memory_pressure.epoch,
            buffered_input_records=totals.buffered_records,
            buffered_input_bytes=totals.buffered_bytes,
            total_input_records=totals.input_records,
            total_input_bytes=totals.input_bytes,
            total_processed_records=totals.processed_records,
            total_processed_bytes=totals.processed_bytes,
            total_completed_records=totals.completed_records,
            output_stall_msecs=int(self._engine.stall_seconds * 1000),
            total_initiated_steps=totals.initiated_steps,
            total_completed_steps=totals.completed_steps,
            pipeline_complete=self._engine.complete,
        )
