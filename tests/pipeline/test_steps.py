"""When steps run, how much they take, back-pressure, and what happens when one fails."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest
from feldera.stats import InputEndpointStatus, OutputEndpointStatus, PipelineStatistics

from millstream.errors import MillstreamError
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.pipeline.clock import ManualClock
from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.nodes import Column, Project, Scan
from millstream.plan.program import Program, View
from millstream.types.sql_type import BIGINT
from tests.pipeline.support import (
    SCHEMA,
    ScriptedInput,
    ScriptedOutput,
    file_input,
    ids,
    metrics,
    ndjson,
    program,
    rows,
    running,
    scripted,
    scripted_output,
    simple_program,
    table,
    totals,
    wait,
    wait_processed,
    wait_refused,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")

C = "t.c"


def dividing_program() -> Program:
    """A view that fails when a row has id 0."""
    ratio = build_call("/", [ColumnRef(BIGINT, 0), ColumnRef(BIGINT, 0)])
    schema = (Column("r", ratio.type),)
    view = View("q", schema, Project(schema, Scan(SCHEMA, "t"), (ratio,)), materialized=True)
    return program(table(connectors={"c": scripted(), "idle": scripted()}), view)


def test_one_step_runs_during_start_and_constant_views_exist_afterwards() -> None:
    with running(simple_program(), initial="paused") as controller:
        assert totals(controller)["total_completed_steps"] == 1
        assert controller.snapshot().table("n").column(0).to_pylist() == [0]
        assert ids(controller) == Counter()


@pytest.mark.parametrize(
    ("options", "workers", "expected"),
    [
        ({"max_batch_size": 7}, 8, 7),
        ({"max_worker_batch_size": 5}, 3, 15),
        ({"max_batch_size": 9, "max_worker_batch_size": 5}, 3, 9),
        ({}, 1, 10_000),
        ({}, 8, 80_000),
    ],
)
def test_a_step_takes_at_most_the_limit_of_each_connector(options: dict[str, int], workers: int, expected: int) -> None:
    sources = {"c": scripted(**options)}
    with running(simple_program(sources), RuntimeConfig(workers=workers), manual_stepping=True) as controller:
        ScriptedInput.instances[C].offer(rows(0, 100_000))
        wait(controller, lambda: metrics(controller, C)["buffered_records"] == 100_000)
        controller.step()
        assert totals(controller)["total_processed_records"] == expected
        assert metrics(controller, C)["buffered_records"] == 100_000 - expected
        assert ids(controller) == Counter(range(expected))


def test_a_step_takes_from_every_connector_paused_ones_included() -> None:
    sources = {"a": scripted(max_batch_size=2), "b": scripted(max_batch_size=3)}
    with running(simple_program(sources), manual_stepping=True) as controller:
        ScriptedInput.instances["t.a"].offer(rows(0, 10))
        ScriptedInput.instances["t.b"].offer(rows(100, 10))
        wait(controller, lambda: totals(controller)["buffered_input_records"] == 20)
        controller.pause_connector("t.a")
        controller.pause()
        controller.step()
        assert ids(controller) == Counter([0, 1, 100, 101, 102])


def test_a_batch_below_the_minimum_waits_for_more_or_for_the_delay() -> None:
    clock = ManualClock()
    config = RuntimeConfig(min_batch_size_records=10, max_buffering_delay_us=5_000_000)
    with running(simple_program({"c": scripted()}), config, clock=clock) as controller:
        connector = ScriptedInput.instances[C]
        steps = totals(controller)["total_initiated_steps"]
        # The threshold is strict: 10 are not enough.
        connector.offer(rows(0, 10))
        connector.offer(None)
        wait(controller, lambda: metrics(controller, C)["end_of_input"])
        clock.advance(4.9)
        assert totals(controller)["total_initiated_steps"] == steps
        controller.push("t", rows(10, 1))
        wait_processed(controller, 11)
        controller.push("t", rows(11, 1))
        clock.advance(4.9)
        assert totals(controller)["total_processed_records"] == 11
        clock.advance(0.2)
        wait_processed(controller, 12)
        assert totals(controller)["total_initiated_steps"] == steps + 2


@pytest.mark.parametrize("option", ["max_queued_records", "max_queued_bytes"])
def test_a_full_queue_stops_the_reader_within_one_chunk_until_it_is_drained(option: str) -> None:
    with running(simple_program({"c": scripted(**{option: 12})}), manual_stepping=True) as controller:
        connector = ScriptedInput.instances[C]
        rows_per_chunk = 5 if option == "max_queued_records" else 1  # a scripted row counts 8 bytes
        for chunk in range(10):
            connector.offer(rows(chunk * rows_per_chunk, rows_per_chunk))
        for drained in range(1, 4):
            chunks = 3 * drained if option == "max_queued_records" else 2 * drained
            wait(controller, lambda chunks=chunks: connector.chunks_read == chunks)  # type: ignore[misc]  # a default binds the loop's value
            wait_refused(controller, C)
            assert connector.chunks_read == chunks
            # Back-pressure is not a pause.
            assert metrics(controller, C)["paused"] is False
            assert metrics(controller, C)["total_records"] == chunks * rows_per_chunk
            controller.step()


def test_tiny_queues_lose_nothing_and_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 3000))
    options = file_input(path, max_queued_records=10, max_batch_size=3)
    options["transport"]["config"]["buffer_size_bytes"] = 400  # about 20 rows
    seen: list[int] = []
    with running(simple_program({"c": options})) as controller:

        def finished() -> bool:
            seen.append(metrics(controller, C)["buffered_records"])
            return bool(totals(controller)["pipeline_complete"])

        wait(controller, finished)
        assert ids(controller) == Counter(range(3000))
    assert max(seen) < 10 + 40


def test_a_slow_output_stalls_the_steps_and_the_readers_behind_it() -> None:
    sources = {"c": scripted(max_queued_records=10)}
    outputs = {"out": scripted_output(blocked=True, max_queued_records=20)}
    with running(simple_program(sources, outputs)) as controller:
        connector, sink = ScriptedInput.instances[C], ScriptedOutput.instances["v.out"]
        for chunk in range(20):
            connector.offer(rows(chunk * 10, 10))
        wait(controller, lambda: controller.output_stats("v.out")["metrics"]["queued_records"] >= 20)
        wait_refused(controller, C)
        before = totals(controller)
        assert before["total_processed_records"] < 200
        assert before["total_completed_records"] == 0
        sink.open_gate.set()
        wait(controller, lambda: totals(controller)["total_completed_records"] == 200)
        assert ids(controller) == Counter(range(200))


def test_a_run_time_error_terminates_the_pipeline_and_is_reported_once() -> None:
    failures: list[MillstreamError] = []
    failed = threading.Event()
    controller = Controller(dividing_program())

    def remember(error: MillstreamError) -> None:
        failures.append(error)
        failed.set()

    controller.on_failure = remember
    controller.start()
    connector = ScriptedInput.instances[C]
    subscription = controller.subscribe("q", format="json")
    connector.offer(rows(1, 3))
    wait_processed(controller, 3)
    connector.offer(rows(0, 1))
    assert failed.wait(20)
    # What earlier steps produced still arrives, then the stream ends.
    assert len(list(subscription)) == 1
    assert controller.state == "Terminated"
    assert controller.error is failures[0]
    assert controller.error.error_code == "RuntimeError.WorkerPanic"
    assert totals(controller)["state"] == "Terminated"
    assert totals(controller)["total_completed_steps"] < totals(controller)["total_initiated_steps"]
    for call in (controller.pause, controller.resume, lambda: controller.start_connector(C)):
        with pytest.raises(MillstreamError, match="terminating"):
            call()
    controller.stop()
    controller.stop()
    assert len(failures) == 1
    assert ScriptedInput.instances["t.idle"].closed


def test_a_manual_step_raises_the_run_time_error() -> None:
    with running(dividing_program(), manual_stepping=True) as controller:
        controller.push("t", rows(0, 1))
        with pytest.raises(MillstreamError) as caught:
            controller.step()
        assert caught.value.error_code == "RuntimeError.WorkerPanic"
        assert controller.state == "Terminated"


def test_manual_steps_return_their_deltas_and_tell_listeners() -> None:
    controller = Controller(simple_program(), manual_stepping=True)
    heard: list[tuple[int, list[int], list[int]]] = []
    end = controller.listen("n", lambda step, d: heard.append((step, d.columns[0].to_pylist(), d.weights.tolist())))
    controller.start()
    controller.push("t", rows(0, 3))
    result = controller.step()
    assert result is not None
    assert sorted(result.deltas["v"].columns[0].to_pylist()) == [0, 1, 2]
    controller.push("t", [rows(3, 1), rows(4, 1)])
    controller.step()
    end()
    controller.push("t", rows(5, 1))
    controller.step()
    controller.stop()
    heard = [(step, sorted(zip(values, weights, strict=True))) for step, values, weights in heard]  # type: ignore[misc]
    assert heard == [(1, [(0, 1)]), (2, [(0, -1), (3, 1)]), (3, [(3, -1), (5, 1)])]


def test_a_failing_listener_does_not_harm_the_pipeline() -> None:
    log: list[str] = []
    with running(simple_program(), log=log.append) as controller:
        controller.listen("v", lambda *_: 1 / 0)
        controller.push("t", rows(0, 1))
        wait(controller, lambda: any("ZeroDivisionError" in line for line in log) or ids(controller) == Counter([0]))
        controller.push("t", rows(1, 1))
        wait_processed(controller, 2)
        assert ids(controller) == Counter([0, 1])
    assert any("ZeroDivisionError" in line for line in log)


def test_unknown_tables_and_relations_are_told_apart() -> None:
    with running(simple_program()) as controller:
        with pytest.raises(MillstreamError, match="nope") as pushed:
            controller.push("nope", rows(0, 1))
        assert (pushed.value.error_code, pushed.value.status) == ("ConfigError.UnknownInputStream", 404)
        with pytest.raises(MillstreamError, match="nope") as listened:
            controller.listen("nope", lambda *_: None)
        assert (listened.value.error_code, listened.value.status) == ("ConfigError.UnknownOutputStream", 404)


def test_counters_fit_together_in_every_snapshot() -> None:
    sources = {"a": scripted(max_batch_size=7), "b": scripted(max_batch_size=3, max_queued_records=20)}
    with running(simple_program(sources, {"out": scripted_output()})) as controller:
        for chunk in range(60):
            ScriptedInput.instances["t.a"].offer(rows(chunk * 10, 10))
            ScriptedInput.instances["t.b"].offer(rows(10_000 + chunk * 10, 10))

        def consistent() -> bool:
            snapshot = controller.snapshot_stats()
            total = snapshot.global_metrics
            assert total.total_input_records == total.total_processed_records + total.buffered_input_records
            assert total.total_input_bytes == total.total_processed_bytes + total.buffered_input_bytes
            assert total.total_input_records == sum(i.metrics.total_records for i in snapshot.inputs)
            assert total.buffered_input_records == sum(i.metrics.buffered_records for i in snapshot.inputs)
            assert total.total_completed_records <= total.total_processed_records
            assert total.total_completed_steps <= total.total_initiated_steps
            return total.total_completed_records == 1200

        wait(controller, consistent)


def test_the_statistics_have_exactly_the_documented_keys() -> None:
    with running(simple_program({"c": scripted()}, {"out": scripted_output()})) as controller:
        stats = controller.stats()
        assert set(stats) == {
            "checkpoint_activity", "global_metrics", "inputs", "outputs", "permanent_checkpoint_errors",
            "suspend_error",
        }  # fmt: skip
        (source,) = stats["inputs"]
        assert set(source) == {
            "endpoint_name", "config", "metrics", "fatal_error", "health", "paused", "barrier", "completed_frontier",
        }  # fmt: skip
        assert source["config"] == {"stream": "t"}
        (sink,) = stats["outputs"]
        assert set(sink) == {"endpoint_name", "config", "metrics", "fatal_error", "health"}
        detailed = controller.stats(True)
        assert set(detailed["inputs"][0]) == set(source) | {"parse_errors", "transport_errors"}
        assert set(detailed["outputs"][0]) == set(sink) | {"encode_errors", "transport_errors"}
        assert stats["global_metrics"]["incarnation_uuid"] == str(controller.incarnation)


def test_errors_are_counted_by_kind_and_listed_only_on_request() -> None:
    with running(simple_program({"c": scripted()}, {"out": scripted_output()})) as controller:
        request = controller.ingress_endpoint("t", "json", {"update_format": "raw"})
        request.push(b'{"id":"x"}\n{"id":"y"}\n', end=True)
        ScriptedInput.instances[C].offer(ValueError("gone"))
        wait(controller, lambda: metrics(controller, C)["fatal_error"] is not None)
        assert controller.snapshot_stats().error_counts() == {
            "inputs": [
                {"metrics": {"endpoint_name": C, "num_transport_errors": 1, "num_parse_errors": 0}},
                {"metrics": {"endpoint_name": request.name, "num_transport_errors": 0, "num_parse_errors": 2}},
            ],
            "outputs": [
                {"metrics": {"endpoint_name": "v.out", "num_encode_errors": 0, "num_transport_errors": 0}},
            ],
        }
        assert controller.num_errors == 3
        assert "transport_errors" not in controller.stats()["inputs"][0]
        (error,) = controller.stats(True)["inputs"][0]["transport_errors"]
        assert set(error) == {"timestamp", "index", "tag", "message"}
        assert error["index"] == 1
        assert "gone" in error["message"]


def test_the_official_client_understands_the_statistics() -> None:
    with running(simple_program({"c": scripted(paused=True)}, {"out": scripted_output()})) as controller:
        ScriptedInput.instances[C].offer(ValueError("gone"))
        controller.start_connector(C)
        wait(controller, lambda: metrics(controller, C)["fatal_error"] is not None)
        parsed = PipelineStatistics.from_dict(json.loads(json.dumps(controller.stats(True))))
        assert parsed.global_metrics.incarnation_uuid == controller.incarnation
        assert parsed.inputs[0].transport_errors[0].index == 1
        assert InputEndpointStatus.from_dict(controller.input_stats(C)).paused is False
        assert OutputEndpointStatus.from_dict(controller.output_stats("v.out")).endpoint_name == "v.out"


def test_a_stopped_pipeline_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_bytes(ndjson(0, 10))
    followed = file_input(tmp_path / "in.json")
    followed["transport"]["config"]["follow"] = True
    endless = {"transport": {"name": "datagen", "config": {}}, "max_queued_records": 10}
    before = set(threading.enumerate())
    with running(simple_program({"a": followed, "b": endless, "c": scripted(paused=True)}, {"out": scripted_output()})):
        assert len(set(threading.enumerate()) - before) == 5
    assert set(threading.enumerate()) - before == set()
