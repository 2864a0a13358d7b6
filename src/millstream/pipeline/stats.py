"""What a pipeline tells about itself: frozen snapshots, and exactly the JSON of `GET /stats` (api.md §12).

A snapshot is taken under the control lock, so its numbers fit together; it is turned into JSON outside.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from millstream.pipeline.completion import Frontier
from millstream.pipeline.error_log import LoggedError


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a connector does its work; if not, why."""

    healthy: bool
    description: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"status": "Healthy" if self.healthy else "Unhealthy", "description": self.description}


@dataclass(frozen=True, slots=True)
class InputMetrics:
    """`inputs[].metrics`; `total` = `buffered` + what steps have consumed."""

    total_bytes: int
    total_records: int
    buffered_records: int
    buffered_bytes: int
    num_transport_errors: int
    num_parse_errors: int
    end_of_input: bool
    processing_latency_p99_micros: int | None


@dataclass(frozen=True, slots=True)
class InputStatus:
    """One element of `inputs[]`. `paused` is the user's flag, whatever else keeps the connector from reading; `health`
    is None for what is no connector, `completed_frontier` until a position of the source is complete."""

    endpoint_name: str
    stream: str
    metrics: InputMetrics
    fatal_error: str | None
    paused: bool
    health: Health | None = None
    completed_frontier: Frontier | None = None
    parse_errors: tuple[LoggedError, ...] = ()
    transport_errors: tuple[LoggedError, ...] = ()

    def to_json(self, include_errors: bool) -> dict[str, Any]:
        status: dict[str, Any] = {
            "endpoint_name": self.endpoint_name,
            "config": {"stream": self.stream},
            "metrics": asdict(self.metrics),
            "fatal_error": self.fatal_error,
            "health": None if self.health is None else self.health.to_json(),
            "paused": self.paused,
            "barrier": False,
            "completed_frontier": None if self.completed_frontier is None else self.completed_frontier.to_json(),
        }
        if include_errors:
            status["parse_errors"] = [error.to_json() for error in self.parse_errors]
            status["transport_errors"] = [error.to_json() for error in self.transport_errors]
        return status


@dataclass(frozen=True, slots=True)
class OutputMetrics:
    """`outputs[].metrics`; records and batches wait in the queue, then (if configured) in the output buffer."""

    transmitted_records: int
    transmitted_bytes: int
    queued_records: int
    queued_batches: int
    buffered_records: int
    buffered_batches: int
    num_encode_errors: int
    num_transport_errors: int
    total_processed_input_records: int
    total_processed_steps: int
    memory: int
    batch_records_written: int


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """One element of `outputs[]`."""

    endpoint_name: str
    stream: str
    metrics: OutputMetrics
    fatal_error: str | None
    health: Health | None = None
    encode_errors: tuple[LoggedError, ...] = ()
    transport_errors: tuple[LoggedError, ...] = ()

    def to_json(self, include_errors: bool) -> dict[str, Any]:
        status: dict[str, Any] = {
            "endpoint_name": self.endpoint_name,
            "config": {"stream": self.stream},
            "metrics": asdict(self.metrics),
            "fatal_error": self.fatal_error,
            "health": None if self.health is None else self.health.to_json(),
        }
        if include_errors:
            status["encode_errors"] = [error.to_json() for error in self.encode_errors]
            status["transport_errors"] = [error.to_json() for error in self.transport_errors]
        return status


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """The transaction part of the global metrics. `initiated_by_connectors`: phase and label by endpoint."""

    status: str
    transaction_id: int = 0
    msecs: int | None = None
    records: int | None = None
    initiated_by_api: str | None = None
    initiated_by_connectors: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)

    def initiators(self) -> dict[str, Any]:
        return {
            "transaction_id": self.transaction_id or None,
            "initiated_by_api": self.initiated_by_api,
            "initiated_by_connectors": {
                name: {"phase": phase, "label": label} for name, (phase, label) in self.initiated_by_connectors.items()
            },
        }


@dataclass(frozen=True, slots=True)
class GlobalMetrics:
    """`global_metrics`: counts over all endpoints, removed ones included; times in milliseconds as named, instants in
    unix seconds."""

    state: str
    transaction: TransactionStatus
    rss_bytes: int
    cpu_msecs: int
    uptime_msecs: int
    runtime_elapsed_msecs: int
    start_time: int
    incarnation_uuid: uuid.UUID
    storage_bytes: int
    storage_mb_secs: int
    memory_pressure: str
    memory_pressure_epoch: int
    buffered_input_records: int
    buffered_input_bytes: int
    total_input_records: int
    total_input_bytes: int
    total_processed_records: int
    total_processed_bytes: int
    total_completed_records: int
    output_stall_msecs: int
    total_initiated_steps: int
    total_completed_steps: int
    pipeline_complete: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "bootstrap_in_progress": False,
            "concurrent_bootstrap_phase": "Inactive",
            "concurrent_bootstrap_progress": None,
            "transaction_status": self.transaction.status,
            "transaction_id": self.transaction.transaction_id,
            "transaction_msecs": self.transaction.msecs,
            "transaction_records": self.transaction.records,
            "commit_progress": None,
            "transaction_initiators": self.transaction.initiators(),
            "rss_bytes": self.rss_bytes,
            "cpu_msecs": self.cpu_msecs,
            "uptime_msecs": self.uptime_msecs,
            "runtime_elapsed_msecs": self.runtime_elapsed_msecs,
            "start_time": self.start_time,
            "initial_start_time": self.start_time,
            "incarnation_uuid": str(self.incarnation_uuid),
            "storage_bytes": self.storage_bytes,
            "storage_mb_secs": self.storage_mb_secs,
            "memory_pressure": self.memory_pressure,
            "memory_pressure_epoch": self.memory_pressure_epoch,
            "buffered_input_records": self.buffered_input_records,
            "buffered_input_bytes": self.buffered_input_bytes,
            "total_input_records": self.total_input_records,
            "total_input_bytes": self.total_input_bytes,
            "total_processed_records": self.total_processed_records,
            "total_processed_bytes": self.total_processed_bytes,
            "total_completed_records": self.total_completed_records,
            "output_stall_msecs": self.output_stall_msecs,
            "total_initiated_steps": self.total_initiated_steps,
            "total_completed_steps": self.total_completed_steps,
            "pipeline_complete": self.pipeline_complete,
        }


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """A consistent snapshot of everything."""

    global_metrics: GlobalMetrics
    inputs: tuple[InputStatus, ...]
    outputs: tuple[OutputStatus, ...]

    def to_json(self, include_errors: bool) -> dict[str, Any]:
        """The answer of `GET /stats`. State lives in memory only, so a checkpoint is permanently impossible."""
        return {
            "global_metrics": self.global_metrics.to_json(),
            "suspend_error": {"Permanent": ["StorageRequired"]},
            "checkpoint_activity": {"status": "idle"},
            "permanent_checkpoint_errors": ["StorageRequired"],
            "inputs": [status.to_json(include_errors) for status in self.inputs],
            "outputs": [status.to_json(include_errors) for status in self.outputs],
        }

    def error_counts(self) -> dict[str, Any]:
        """The answer of `GET /stats/errors`: how many errors each connector has had."""
        inputs = ("num_transport_errors", "num_parse_errors")
        outputs = ("num_encode_errors", "num_transport_errors")
        return {
            "inputs": [_counts(status, inputs) for status in self.inputs],
            "outputs": [_counts(status, outputs) for status in self.outputs],
        }


def _counts(status: InputStatus | OutputStatus, names: tuple[str, ...]) -> dict[str, Any]:
    counts = {name: getattr(status.metrics, name) for name in names}
    return {"metrics": {"endpoint_name": status.endpoint_name, **counts}}
