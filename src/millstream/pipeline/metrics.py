"""Prometheus metrics, derived from the statistics tree (api.md §13)."""

from __future__ import annotations

import math
import resource
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from millstream.pipeline.histogram import BOUNDS_S, HistogramSnapshot
from millstream.pipeline.measurements import Measurements

Value = int | float | HistogramSnapshot


@dataclass(slots=True)
class Family:
    """A metric: name, type (`counter`, `gauge` or `histogram`), help text, and samples as (labels, value)."""

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
    ("dbsp_runtime_elapsed_seconds_total", "counter", "Time spent in steps.", "runtime_elapsed_msecs"),
    ("storage_byte_seconds_total", "counter", "Bytes of storage in use, over time.", "storage_mb_secs"),
    ("storage_usage_bytes", "gauge", "Bytes of storage in use.", "storage_bytes"),
)
_INPUT = (
    ("input_connector_records_total", "counter", "Records received.", "total_records"),
    ("input_connector_bytes_total", "counter", "Bytes received.", "total_bytes"),
    ("input_connector_buffered_records", "gauge", "Records queued.", "buffered_records"),
    ("input_connector_buffered_records_bytes", "gauge", "Bytes queued.", "buffered_bytes"),
    ("input_connector_errors_parse_total", "counter", "Records that could not be parsed.", "num_parse_errors"),
    ("input_connector_errors_transport_total", "counter", "Transport errors.", "num_transport_errors"),
    ("input_connector_barrier", "gauge", "1 while the connector holds up checkpoints.", "barrier"),
    ("input_connector_end_of_input", "gauge", "1 when the connector has reached its end.", "end_of_input"),
)
_OUTPUT = (
    ("output_connector_records_total", "counter", "Records sent.", "transmitted_records"),
    ("output_connector_bytes_total", "counter", "Bytes sent.", "transmitted_bytes"),
    ("output_connector_buffered_records", "gauge", "Records in the output buffer.", "buffered_records"),
    ("output_connector_queued_records", "gauge", "Records waiting to be encoded.", "queued_records"),
    ("output_connector_queued_batches", "gauge", "Batches waiting to be encoded.", "queued_batches"),
    ("output_connector_extra_memory_bytes", "gauge", "Memory of the connector itself.", "memory"),
    (
        "output_connector_batch_records_written",
        "gauge",
        "Records written of a batch.",
        "batch_records_written",
    ),
    ("output_connector_errors_encode_total", "counter", "Records that could not be encoded.", "num_encode_errors"),
    ("output_connector_errors_transport_total", "counter", "Transport errors.", "num_transport_errors"),
)


_SCALES = {"runtime_elapsed_msecs": 1e-3, "storage_mb_secs": 1e6}
"""From the unit of a statistic to that of its metric."""
_PRESSURES = {"low": 0, "moderate": 1, "high": 2, "critical": 3}
_TRANSACTIONS = {"NoTransaction": 0, "TransactionInProgress": 1, "CommitInProgress": 2}


def collect(stats: Mapping[str, Any], measured: Measurements) -> list[Family]:
    """All metric families for a statistics tree (the body of `/stats`)."""
    metrics = stats["global_metrics"]
    families = [Family(n, k, h, [({}, _number(metrics[key]) * _SCALES.get(key, 1))]) for n, k, h, key in _GLOBAL]
    families += _per_endpoint(_INPUT, stats["inputs"])
    running = Family("input_connector_running", "gauge", "1 when the connector is not paused by the user.")
    running.samples = [({"endpoint": i["endpoint_name"]}, int(not i["paused"])) for i in stats["inputs"]]
    families += [running, *_per_endpoint(_OUTPUT, stats["outputs"])]
    return families + _measured(stats, measured) + _process(metrics)


def _per_endpoint(table: tuple[tuple[str, str, str, str], ...], endpoints: list[dict[str, Any]]) -> list[Family]:
    families = []
    for name, kind, text, key in table:
        values = [(e["endpoint_name"], e["metrics"].get(key, e.get(key))) for e in endpoints]
        samples = [({"endpoint": endpoint}, _number(value)) for endpoint, value in values if value is not None]
        families.append(Family(name, kind, text, list(samples)))
    return families


def _measured(stats: Mapping[str, Any], measured: Measurements) -> list[Family]:
    metrics = stats["global_metrics"]
    waiting = sum(o["metrics"]["queued_batches"] + o["metrics"]["buffered_batches"] for o in stats["outputs"])
    return [
        Family("records_late_total", "counter", "Records left out as late.", [({}, measured.late_records)]),
        Family("workers", "gauge", "Threads that compute steps together.", [({}, measured.workers)]),
        Family("output_buffered_batches", "gauge", "Batches that outputs have not written yet.", [({}, waiting)]),
        Family("max_rss_bytes", "gauge", "Limit of the resident memory, if there is one.",
               [({}, measured.max_rss_mb * 10**6)] if measured.max_rss_mb else []),
        Family("memory_pressure", "gauge", "0 low, 1 moderate, 2 high, 3 critical.",
               [({}, _PRESSURES[metrics["memory_pressure"]])]),
        Family("transaction_state", "gauge", "0 none, 1 open, 2 committing.",
               [({}, _TRANSACTIONS[metrics["transaction_status"]])]),
        Family("dbsp_step_latency_seconds", "histogram", "Durations of steps.", [({}, measured.step_latency)]),
        Family("transaction_ingest_seconds", "histogram", "How long transactions were open.",
               [({}, measured.transaction_ingest)]),
        Family("transaction_commit_seconds", "histogram", "Durations of commits.",
               [({}, measured.transaction_commit)]),
        Family("input_connector_processing_latency_seconds", "histogram",
               "From the arrival of records to the end of the step that processes them.",
               [({"endpoint": name}, value) for name, value in measured.processing_latency.items()]),
        Family("input_connector_completion_latency_seconds", "histogram",
               "From the arrival of records until every output has delivered what they changed.",
               [({"endpoint": name}, value) for name, value in measured.completion_latency.items()]),
    ]  # fmt: skip


def _process(metrics: Mapping[str, Any]) -> list[Family]:
    process = psutil.Process()
    memory = process.memory_info()
    return [
        Family("process_cpu_seconds_total", "counter", "CPU time used.", [({}, metrics["cpu_msecs"] / 1e3)]),
        Family("process_resident_memory_bytes", "gauge", "Resident memory.", [({}, memory.rss)]),
        Family("process_virtual_memory_bytes", "gauge", "Virtual memory.", [({}, memory.vms)]),
        Family("process_open_fds", "gauge", "Open file descriptors.", [({}, process.num_fds())]),
        Family("process_max_fds", "gauge", "Limit of open file descriptors.",
               [({}, resource.getrlimit(resource.RLIMIT_NOFILE)[0])]),
        Family("process_threads", "gauge", "Threads of the process.", [({}, threading.active_count())]),
        Family("process_start_time_seconds", "gauge", "Unix time at which the process started.",
               [({}, process.create_time())]),
        Family("process_panics_total", "counter", "Panics; the first one ends the process.", [({}, 0)]),
    ]  # fmt: skip


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, bool) else value


def to_prometheus(families: list[Family], labels: Mapping[str, str]) -> str:
    """Text exposition format; `labels` go on every sample."""
    blocks = []
    for family in families:
        lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        for extra, value in family.samples:
            pairs = ",".join(f'{k}="{_escape(v)}"' for k, v in {**labels, **extra}.items())
            if isinstance(value, HistogramSnapshot):
                lines += _buckets(family.name, pairs, value)
            else:
                lines.append(f"{family.name}{{{pairs}}} {value}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _buckets(name: str, pairs: str, value: HistogramSnapshot) -> list[str]:
    """A histogram in the exposition format: counts up to each bound."""
    lines, total = [], 0
    for bound, count in zip([*BOUNDS_S, math.inf], value.counts, strict=True):
        total += count
        shown = "+Inf" if bound == math.inf else f"{bound:g}"
        lines.append(f'{name}_bucket{{{pairs},le="{shown}"}} {total}')
    return [*lines, f"{name}_sum{{{pairs}}} {value.sum_s}", f"{name}_count{{{pairs}}} {total}"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def to_json(families: list[Family]) -> list[dict[str, Any]]:
    """The JSON form of the same families."""
    return [
        {
            "key": family.name,
            "type": family.kind,
            "description": family.help,
            "values": [{"labels": labels, "value": _json_value(value)} for labels, value in family.samples],
        }
        for family in families
    ]


def _json_value(value: Value) -> Any:
    """A number, or `{"buckets": [{"gt"?, "le"?, "count"}], "sum", "count"}` without empty buckets."""
    if not isinstance(value, HistogramSnapshot):
        return value
    buckets = []
    for index, count in enumerate(value.counts):
        if count:
            above = {"gt": BOUNDS_S[index - 1]} if index else {}
            up_to = {"le": BOUNDS_S[index]} if index < len(BOUNDS_S) else {}
            buckets.append({**above, **up_to, "count": count})
    return {"buckets": buckets, "sum": value.sum_s, "count": value.count}
