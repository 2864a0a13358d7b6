"""Prometheus metrics, derived from the statistics tree (api.md §13)."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

Value = int | float


@dataclass(slots=True)
class Family:
    """A metric: name, type (`counter` or `gauge`), help text, and samples as (labels, value)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[dict[str, str], Value]] = field(default_factory=list)


_GLOBAL = (
    ("records_input_total", "counter", "Records received from all input connectors.", "total_input_records"),
    ("records_input_bytes_total", "counter", "Bytes received from all input connectors.", "total_input_bytes"),
    ("records_input_buffered", "gauge", "Records received and not yet processed.", "buffered_input_records"),
    ("records_input_buffered_bytes", "gauge", "Bytes received and not yet processed.", "buffered_input_bytes"),
    ("records_processed_total", "counter", "Records processed by the circuit.", "total_processed_records"),
    ("records_processed_bytes_total", "counter", "Bytes processed by the circuit.", "total_processed_bytes"),
    ("pipeline_complete", "gauge", "1 when all input has been processed and delivered.", "pipeline_complete"),
    ("pipeline_start_time_seconds", "gauge", "Unix time at which the pipeline started.", "start_time"),
    ("dbsp_steps_total", "counter", "Steps completed.", "total_completed_steps"),
    ("storage_usage_bytes", "gauge", "Bytes of storage in use.", "storage_bytes"),
)
_INPUT = (
    ("input_connector_records_total", "counter", "Records received.", "total_records"),
    ("input_connector_bytes_total", "counter", "Bytes received.", "total_bytes"),
    ("input_connector_buffered_records", "gauge", "Records queued.", "buffered_records"),
    ("input_connector_buffered_records_bytes", "gauge", "Bytes queued.", "buffered_bytes"),
    ("input_connector_errors_parse_total", "counter", "Records that could not be parsed.", "num_parse_errors"),
    ("input_connector_errors_transport_total", "counter", "Transport errors.", "num_transport_errors"),
    ("input_connector_end_of_input", "gauge", "1 when the connector has reached its end.", "end_of_input"),
)
_OUTPUT = (
    ("output_connector_records_total", "counter", "Records sent.", "transmitted_records"),
    ("output_connector_bytes_total", "counter", "Bytes sent.", "transmitted_bytes"),
    ("output_connector_buffered_records", "gauge", "Records in the output buffer.", "buffered_records"),
    ("output_connector_queued_records", "gauge", "Records waiting to be encoded.", "queued_records"),
    ("output_connector_queued_batches", "gauge", "Batches waiting to be encoded.", "queued_batches"),
    ("output_connector_errors_encode_total", "counter", "Records that could not be encoded.", "num_encode_errors"),
    ("output_connector_errors_transport_total", "counter", "Transport errors.", "num_transport_errors"),
)


def collect(stats: Mapping[str, Any], late_records: int) -> list[Family]:
    """All metric families for a statistics tree (the body of `/stats`), and what it has no place for."""
    metrics = stats["global_metrics"]
    families = [Family(n, k, h, [({}, _number(metrics[key]))]) for n, k, h, key in _GLOBAL]
    families.append(Family("records_late_total", "counter", "Records left out as late.", [({}, late_records)]))
    families += _per_endpoint(_INPUT, stats["inputs"])
    running = Family("input_connector_running", "gauge", "1 when the connector is not paused by the user.")
    running.samples = [({"endpoint": i["endpoint_name"]}, int(not i["paused"])) for i in stats["inputs"]]
    families += [running, *_per_endpoint(_OUTPUT, stats["outputs"]), *_process(metrics)]
    return families


def _per_endpoint(table: tuple[tuple[str, str, str, str], ...], endpoints: list[dict[str, Any]]) -> list[Family]:
    return [
        Family(n, k, h, [({"endpoint": e["endpoint_name"]}, _number(e["metrics"][key])) for e in endpoints])
        for n, k, h, key in table
    ]


def _process(metrics: Mapping[str, Any]) -> list[Family]:
    memory = psutil.Process().memory_info()
    states = {"NoTransaction": 0, "TransactionInProgress": 1, "CommitInProgress": 2}
    return [
        Family("process_cpu_seconds_total", "counter", "CPU time used.", [({}, metrics["cpu_msecs"] / 1e3)]),
        Family("process_resident_memory_bytes", "gauge", "Resident memory.", [({}, memory.rss)]),
        Family("process_virtual_memory_bytes", "gauge", "Virtual memory.", [({}, memory.vms)]),
        Family("process_open_fds", "gauge", "Open file descriptors.", [({}, len(os.listdir("/proc/self/fd")))])
        if os.path.isdir("/proc/self/fd")
        else Family("process_open_fds", "gauge", "Open file descriptors."),
        Family("process_threads", "gauge", "Threads of the process.", [({}, threading.active_count())]),
        Family("transaction_state", "gauge", "0 none, 1 open, 2 committing.",
               [({}, states[metrics["transaction_status"]])]),
    ]  # fmt: skip


def _number(value: Any) -> Value:
    return int(value) if isinstance(value, bool) else value


def to_prometheus(families: list[Family], labels: Mapping[str, str]) -> str:
    """Text exposition format; `labels` go on every sample."""
    blocks = []
    for family in families:
        lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        for extra, value in family.samples:
            pairs = ",".join(f'{k}="{_escape(v)}"' for k, v in {**labels, **extra}.items())
            lines.append(f"{family.name}{{{pairs}}} {value}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def to_json(families: list[Family]) -> list[dict[str, Any]]:
    """The JSON form of the same families."""
    return [
        {
            "key": family.name,
            "type": family.kind,
            "description": family.help,
            "values": [{"labels": labels, "value": value} for labels, value in family.samples],
        }
        for family in families
    ]
