"""Metrics in both forms, with every name of api.md §13 that this engine has."""

from __future__ import annotations

import re
from typing import Any

from millstream.pipeline.histogram import BOUNDS_S, Histogram
from millstream.pipeline.metrics import collect, to_json, to_prometheus
from tests.pipeline.support import empty_input, rows, running, simple_program, totals, wait, wait_processed

NAMES = """records_input_total records_input_bytes_total records_input_buffered records_input_buffered_bytes
records_processed_total records_processed_bytes_total records_late_total output_buffered_batches pipeline_complete
workers pipeline_start_time_seconds process_cpu_seconds_total process_resident_memory_bytes process_virtual_memory_bytes
process_open_fds process_max_fds process_threads process_start_time_seconds process_panics_total max_rss_bytes
memory_pressure storage_usage_bytes storage_byte_seconds_total dbsp_steps_total dbsp_step_latency_seconds
dbsp_runtime_elapsed_seconds_total transaction_state transaction_ingest_seconds transaction_commit_seconds
input_connector_bytes_total input_connector_records_total input_connector_buffered_records
input_connector_buffered_records_bytes input_connector_errors_parse_total input_connector_errors_transport_total
input_connector_end_of_input input_connector_barrier input_connector_running
input_connector_processing_latency_seconds input_connector_completion_latency_seconds
output_connector_bytes_total output_connector_records_total
output_connector_buffered_records output_connector_queued_records output_connector_queued_batches
output_connector_errors_encode_total output_connector_errors_transport_total output_connector_extra_memory_bytes
output_connector_batch_records_written"""
LABELS = {"pipeline": "pipeline-1", "pipeline_name": 'a"b'}
_SAMPLE = re.compile(r'[a-z_]+\{pipeline="pipeline-1",pipeline_name="a\\"b"(,[a-z]+="[^"]*")*\} -?[0-9.e+-]+')


def families() -> Any:
    """The metrics of a pipeline that has processed three records, two of them in a transaction."""
    with running(
        simple_program(
            {"c": empty_input()},
            {"o": {"transport": {"name": "file_output", "config": {"path": "/dev/null"}}, "format": {"name": "csv"}}},
        )
    ) as controller:
        controller.push("t", rows(0, 1))
        wait_processed(controller, 1)
        controller.start_transaction()
        controller.push("t", rows(1, 2))
        wait_processed(controller, 3)
        controller.commit_transaction()
        wait(controller, lambda: totals(controller)["transaction_status"] == "NoTransaction")
        wait(controller, lambda: totals(controller)["total_completed_records"] == 3)
        return collect(controller.stats(), controller.measurements())


def test_every_name_is_there_in_both_forms() -> None:
    collected = families()
    assert {family.name for family in collected} == set(NAMES.split())
    assert {entry["key"] for entry in to_json(collected)} == set(NAMES.split())
    text = to_prometheus(collected, LABELS)
    for family in collected:
        assert f"# TYPE {family.name} {family.kind}\n" in text
        assert f"# HELP {family.name} " in text
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in samples), samples


def test_values() -> None:
    values = {entry["key"]: entry["values"] for entry in to_json(families())}
    assert values["records_processed_total"] == [{"labels": {}, "value": 3}]
    assert values["transaction_state"][0]["value"] == 0
    assert [values[f"transaction_{part}_seconds"][0]["value"]["count"] for part in ("ingest", "commit")] == [1, 1]
    steps = values["dbsp_step_latency_seconds"][0]["value"]
    assert steps["count"] == values["dbsp_steps_total"][0]["value"] == sum(b["count"] for b in steps["buckets"])
    assert values["input_connector_running"][0]["labels"]["endpoint"].startswith("t.")


def test_histograms() -> None:
    histogram = Histogram()
    histogram.add([])
    histogram.add([0.0, BOUNDS_S[0], BOUNDS_S[1], 0.5, 1e9])
    taken = histogram.snapshot()
    assert (taken.count, taken.counts[0], taken.counts[1], taken.counts[-1]) == (5, 2, 1, 1)
    histogram.add([1.0])
    assert taken.count == 5, "a snapshot does not change"
    assert histogram.snapshot().count == 6
