"""`GET /stats` over HTTP: exactly the documented keys, each of its type, whatever the pipeline does (api.md §12)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.rest import Rest, wait_for

SQL = """
CREATE TABLE t (n BIGINT NOT NULL) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "five", "transport": {"name": "datagen", "config": {"plan": [{"limit": 5}]}}},
  {"name": "held", "paused": true, "transport": {"name": "datagen", "config": {"plan": [{"limit": 5}]}}}]');
CREATE MATERIALIZED VIEW v WITH ('connectors' = '[{"name": "sink", "transport": {"name": "null_output"},
  "format": {"name": "json"}}]') AS SELECT COUNT(*) AS n FROM t;
CREATE VIEW recent AS SELECT n FROM t WHERE TIMESTAMP '2000-01-01 00:00:00' < NOW();
"""

Check = Callable[[Any], bool]


def count(value: Any) -> bool:
    return type(value) is int and value >= 0


def flag(value: Any) -> bool:
    return type(value) is bool


def text(value: Any) -> bool:
    return type(value) is str and value != ""


def optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def one_of(*values: str) -> Check:
    return lambda value: value in values


def listed(check: Check) -> Check:
    return lambda value: type(value) is list and all(map(check, value))


def shaped(shape: dict[str, Check]) -> Check:
    """An object with exactly these keys; what is wrong is named in the failure."""

    def check(value: Any) -> bool:
        assert type(value) is dict, value
        assert set(value) == set(shape)
        wrong = {key: value[key] for key, holds in shape.items() if not holds(value[key])}
        assert wrong == {}
        return True

    return check


progress = shaped(dict.fromkeys(
    ("completed", "in_progress", "remaining", "in_progress_processed_records", "in_progress_total_records"), count
))  # fmt: skip
initiators = shaped({
    "transaction_id": optional(count),
    "initiated_by_api": optional(one_of("Started", "Committed")),
    "initiated_by_connectors": lambda value: value == {},
})  # fmt: skip
GLOBAL: dict[str, Check] = {
    "state": one_of("Paused", "Running", "Terminated"),
    "bootstrap_in_progress": flag,
    "concurrent_bootstrap_phase": one_of("Inactive", "ConcurrentBootstrapping", "Synchronizing"),
    "concurrent_bootstrap_progress": optional(progress),
    "commit_progress": optional(progress),
    "transaction_status": one_of("NoTransaction", "TransactionInProgress", "CommitInProgress"),
    "transaction_id": count,
    "transaction_msecs": optional(count),
    "transaction_records": optional(count),
    "transaction_initiators": initiators,
    "incarnation_uuid": lambda value: str(uuid.UUID(value)) == value,
    "memory_pressure": one_of("low", "moderate", "high", "critical"),
    "pipeline_complete": flag,
    **dict.fromkeys(
        (
            "rss_bytes", "cpu_msecs", "uptime_msecs", "runtime_elapsed_msecs", "start_time", "initial_start_time",
            "storage_bytes", "storage_mb_secs", "memory_pressure_epoch", "buffered_input_records",
            "buffered_input_bytes", "total_input_records", "total_input_bytes", "total_processed_records",
            "total_processed_bytes", "total_completed_records", "total_initiated_steps", "total_completed_steps",
            "output_stall_msecs",
        ),
        count,
    ),
}  # fmt: skip
INPUT_METRICS: dict[str, Check] = {
    **dict.fromkeys(
        ("total_bytes", "total_records", "buffered_records", "buffered_bytes", "num_transport_errors",
         "num_parse_errors"),
        count,
    ),
    "end_of_input": flag,
    "processing_latency_p99_micros": optional(count),
}  # fmt: skip
OUTPUT_METRICS: dict[str, Check] = {
    **dict.fromkeys(
        ("transmitted_records", "transmitted_bytes", "queued_records", "queued_batches", "buffered_records",
         "buffered_batches", "num_encode_errors", "num_transport_errors", "total_processed_input_records",
         "total_processed_steps", "memory"),
        count,
    ),
    "batch_records_written": count,
}  # fmt: skip
health = shaped({"status": one_of("Healthy", "Unhealthy"), "description": optional(text)})
frontier = shaped({
    "metadata": lambda value: type(value) is dict, "ingested_at": text, "processed_at": text, "completed_at": text
})  # fmt: skip
ENDPOINT: dict[str, Check] = {
    "endpoint_name": text,
    "config": shaped({"stream": text}),
    "fatal_error": optional(text),
    "health": optional(health),
}
INPUT: dict[str, Check] = {
    **ENDPOINT,
    "metrics": shaped(INPUT_METRICS),
    "paused": flag,
    "barrier": flag,
    "completed_frontier": optional(frontier),
}
OUTPUT: dict[str, Check] = {**ENDPOINT, "metrics": shaped(OUTPUT_METRICS)}
errors = listed(shaped({"index": count, "timestamp": text, "tag": optional(text), "message": text}))
reasons = listed(lambda reason: text(reason) or set(reason) == {"UnsupportedInputEndpoint"})
STATS: dict[str, Check] = {
    "suspend_error": optional(lambda error: set(error) <= {"Permanent", "Temporary"} and len(error) == 1),
    "permanent_checkpoint_errors": optional(reasons),
    "checkpoint_activity": shaped({"status": one_of("idle")}),
    "global_metrics": shaped(GLOBAL),
    "inputs": listed(shaped(INPUT)),
    "outputs": listed(shaped(OUTPUT)),
}
WITH_ERRORS: dict[str, Check] = {
    **STATS,
    "inputs": listed(shaped({**INPUT, "parse_errors": errors, "transport_errors": errors})),
    "outputs": listed(shaped({**OUTPUT, "encode_errors": errors, "transport_errors": errors})),
}


@pytest.fixture(scope="module")
def counted(rest: Rest) -> Iterator[str]:
    rest.create("counted", SQL)
    rest.start("counted", "paused")
    yield "/pipelines/counted"
    rest.remove("counted")


def checked(rest: Rest, path: str) -> dict[str, Any]:
    """The statistics, both ways of asking having the right shape."""
    detailed = rest.http.get(f"{path}/stats", params={"include_connector_errors": "true"}).json()
    assert shaped(WITH_ERRORS)(detailed)
    stats: dict[str, Any] = rest.http.get(f"{path}/stats").json()
    assert shaped(STATS)(stats)
    return stats


def named(stats: dict[str, Any], kind: str) -> dict[str, Any]:
    return {endpoint["endpoint_name"]: endpoint for endpoint in stats[kind]}


def test_every_key_in_every_state(rest: Rest, counted: str) -> None:
    paused = checked(rest, counted)
    assert paused["global_metrics"]["state"] == "Paused"
    assert set(named(paused, "inputs")) == {"t.five", "t.held", "now"}
    assert set(named(paused, "outputs")) == {"v.sink"}
    assert {n: e["paused"] for n, e in named(paused, "inputs").items()} == {
        "t.five": False,
        "t.held": True,
        "now": False,
    }
    assert named(paused, "inputs")["t.five"]["metrics"]["total_records"] == 0

    assert rest.http.post(f"{counted}/resume").is_success
    five: dict[str, Any] = {}

    def finished() -> bool:
        five.update(named(checked(rest, counted), "inputs")["t.five"]["metrics"])
        return bool(five["end_of_input"] and not five["buffered_records"])

    wait_for("the five records", finished)
    assert (five["total_records"], five["total_bytes"]) == (5, 40)
    done = named(checked(rest, counted), "inputs")["t.five"]
    assert done["completed_frontier"]["metadata"] == {"rows": {"start": 0, "end": 5}}
    assert done["health"] == {"status": "Healthy", "description": None}
    bad = rest.http.post(f"{counted}/ingress/t", params={"format": "json"}, content=b'{"insert": {"n": "x"}}')
    assert bad.status_code == 400
    running = checked(rest, counted)
    assert running["global_metrics"]["state"] == "Running"
    assert running["global_metrics"]["pipeline_complete"] is False  # one connector is still held
    (pushed,) = (e for n, e in named(running, "inputs").items() if ".api-ingress-" in n)
    assert pushed["metrics"]["num_parse_errors"] == 1

    assert rest.http.post(f"{counted}/start_transaction").is_success
    inside = checked(rest, counted)["global_metrics"]
    assert inside["transaction_status"] == "TransactionInProgress"
    assert inside["transaction_initiators"]["initiated_by_api"] == "Started"
    assert inside["transaction_initiators"]["transaction_id"] == inside["transaction_id"] > 0
    assert rest.http.post(f"{counted}/commit_transaction").is_success
    wait_for("the commit", lambda: checked(rest, counted)["global_metrics"]["transaction_status"] == "NoTransaction")


def test_a_subscriber_is_an_output_until_it_leaves(rest: Rest, counted: str) -> None:
    with rest.http.stream("POST", f"{counted}/egress/v?format=json"):
        (subscriber,) = named(checked(rest, counted), "outputs").keys() - {"v.sink"}
        assert subscriber.startswith("v.api-")
    wait_for("it to leave", lambda: set(named(checked(rest, counted), "outputs")) == {"v.sink"})


@pytest.mark.parametrize("value", ["1", "yes", ""])
def test_a_switch_is_true_or_false(rest: Rest, counted: str, value: str) -> None:
    answer = rest.http.get(f"{counted}/stats", params={"include_connector_errors": value})
    assert answer.status_code == 400
    assert "include_connector_errors" in answer.text
