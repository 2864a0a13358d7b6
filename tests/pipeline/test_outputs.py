"""Output connectors: what they get, buffering, snapshots, errors, and what counts as completed."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline.clock import ManualClock
from millstream.pipeline.controller import Controller
from millstream.pipeline.output_endpoint import OutputEndpoint
from millstream.zset.changes import ChangeBatch
from tests.pipeline.support import (
    ScriptedOutput,
    copy_view,
    count_view,
    program,
    rows,
    running,
    scripted_output,
    simple_program,
    table,
    totals,
    wait,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")

OUT = "v.out"


def deleted(batch: ChangeBatch) -> ChangeBatch:
    """The same rows as deletions."""
    import numpy as np

    return ChangeBatch(batch.columns, batch.num_rows, np.full(batch.num_rows, -1, np.int8))


def events(data: bytes) -> list[tuple[str, int]]:
    """(insert or delete, id) of every JSON line."""
    return [(kind, row["id"]) for line in data.splitlines() for kind, row in json.loads(line).items()]


def out(controller: Controller) -> dict[str, Any]:
    metrics: dict[str, Any] = controller.output_stats(OUT)["metrics"]
    return metrics


def wait_completed(controller: Controller, count: int) -> None:
    wait(controller, lambda: totals(controller)["total_completed_records"] == count)


def test_a_file_gets_every_change_deletes_first(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    sink = {"transport": {"name": "file_output", "config": {"path": str(path)}}, "format": {"name": "json"}}
    with running(simple_program(None, {"out": sink}), manual_stepping=True) as controller:
        controller.push("t", rows(0, 3))
        controller.step()
        controller.push("t", [rows(3, 1), deleted(rows(0, 2))])
        controller.step()
        wait_completed(controller, 6)
        found = out(controller)
        assert (found["transmitted_records"], found["queued_records"], found["queued_batches"]) == (6, 0, 0)
        assert found["transmitted_bytes"] == path.stat().st_size
        assert found["total_processed_input_records"] == 6
        assert found["total_processed_steps"] == totals(controller)["total_completed_steps"] == 3
    found_events = events(path.read_bytes())
    assert Counter(found_events[:3]) == Counter([("insert", 0), ("insert", 1), ("insert", 2)])
    assert Counter(found_events[3:5]) == Counter([("delete", 0), ("delete", 1)])
    assert found_events[5:] == [("insert", 3)]


def test_a_step_is_a_batch_and_steps_without_changes_send_nothing() -> None:
    with running(simple_program(None, {"out": scripted_output()}), manual_stepping=True) as controller:
        for batch in (rows(0, 2), [rows(5, 1), deleted(rows(5, 1))], rows(2, 1)):
            controller.push("t", batch)
            controller.step()
        wait_completed(controller, 5)
        assert [step for step, _ in ScriptedOutput.instances[OUT].batches] == [2, 4]
        assert out(controller)["total_processed_steps"] == 4


def test_completed_is_the_minimum_over_all_outputs() -> None:
    outputs = {"out": scripted_output(blocked=True), "fast": scripted_output()}
    with running(simple_program(None, outputs), manual_stepping=True) as controller:
        controller.push("t", rows(0, 5))
        controller.step()
        wait(
            controller,
            lambda: controller.output_stats("v.fast")["metrics"]["total_processed_input_records"] == 5,
        )
        found = totals(controller)
        assert (found["total_processed_records"], found["total_completed_records"]) == (5, 0)
        assert (found["total_initiated_steps"], found["total_completed_steps"]) == (2, 1)
        assert found["pipeline_complete"] is False
        ScriptedOutput.instances[OUT].open_gate.set()
        wait_completed(controller, 5)
        assert totals(controller)["total_completed_steps"] == 2
        assert totals(controller)["pipeline_complete"] is True


def test_a_failing_sink_loses_its_batch_is_counted_and_goes_on() -> None:
    with running(simple_program(None, {"out": scripted_output()}), manual_stepping=True) as controller:
        sink = ScriptedOutput.instances[OUT]
        sink.failure = OSError("disk full")
        controller.push("t", rows(0, 1))
        controller.step()
        wait_completed(controller, 1)
        sink.failure = None
        controller.push("t", rows(1, 1))
        controller.step()
        wait_completed(controller, 2)
        assert events(sink.data) == [("insert", 1)]
        status = controller.output_stats(OUT)
        assert status["metrics"]["num_transport_errors"] == 1
        (error,) = status["transport_errors"]
        assert "disk full" in error["message"]
        assert controller.num_errors == 1
        assert controller.state == "Running"


def test_the_output_buffer_merges_until_time_is_up() -> None:
    clock = ManualClock()
    options = scripted_output(enable_output_buffer=True, max_output_buffer_time_millis=10_000)
    with running(simple_program(None, {"out": options}), clock=clock, manual_stepping=True) as controller:
        sink = ScriptedOutput.instances[OUT]
        for batch in (rows(0, 4), deleted(rows(1, 2)), rows(9, 1)):
            controller.push("t", batch)
            controller.step()
        wait(controller, lambda: out(controller)["buffered_batches"] == 3)
        found = out(controller)
        assert 3 <= found["buffered_records"] <= 7  # merging is amortised
        assert found["queued_records"] == 0
        assert found["memory"] > 0
        # Buffered output is not completed.
        assert totals(controller)["total_completed_records"] == 0
        clock.advance(9.9)
        assert sink.batches == []
        clock.advance(0.2)
        wait_completed(controller, 7)
        assert len(sink.batches) == 1
        assert Counter(events(sink.data)) == Counter([("insert", 0), ("insert", 3), ("insert", 9)])
        assert out(controller)["buffered_records"] == 0


def test_the_output_buffer_flushes_by_size_and_at_stop() -> None:
    options = scripted_output(enable_output_buffer=True, max_output_buffer_size_records=10)
    with running(simple_program(None, {"out": options}), manual_stepping=True) as controller:
        sink = ScriptedOutput.instances[OUT]
        for first in range(0, 16, 4):
            controller.push("t", rows(first, 4))
            controller.step()
        wait_completed(controller, 12)
        assert len(sink.batches) == 1
        assert Counter(events(sink.data)) == Counter(("insert", i) for i in range(12))
    assert Counter(events(sink.data)) == Counter(("insert", i) for i in range(16))
    assert sink.closed


def test_a_stop_delivers_what_is_queued_behind_a_buffer_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    options = scripted_output(blocked=True, enable_output_buffer=True, max_output_buffer_time_millis=0)
    with running(simple_program(None, {"out": options}), manual_stepping=True) as controller:
        sink = ScriptedOutput.instances[OUT]
        for first in range(3):
            controller.push("t", rows(first, 1))
            controller.step()

        def close_and_open_the_gate(endpoint: OutputEndpoint) -> None:
            request_close(endpoint)
            sink.open_gate.set()

        request_close = OutputEndpoint.request_close
        monkeypatch.setattr(OutputEndpoint, "request_close", close_and_open_the_gate)
    assert Counter(events(sink.data)) == Counter(("insert", i) for i in range(3))


def test_changes_that_cancel_in_the_buffer_are_never_sent_but_complete() -> None:
    clock = ManualClock()
    options = scripted_output(enable_output_buffer=True, max_output_buffer_time_millis=1000)
    with running(simple_program(None, {"out": options}), clock=clock, manual_stepping=True) as controller:
        for batch in (rows(0, 4), deleted(rows(0, 4))):
            controller.push("t", batch)
            controller.step()
        wait(controller, lambda: out(controller)["buffered_batches"] == 2)
        clock.advance(1.1)
        wait_completed(controller, 8)
        assert ScriptedOutput.instances[OUT].batches == []


def test_send_snapshot_sends_the_contents_once_before_all_changes() -> None:
    options = scripted_output(send_snapshot=True, enable_output_buffer=True)
    views = [copy_view(connectors={"out": options})]
    with running(program(table(), *views), manual_stepping=True) as controller:
        controller.push("t", rows(0, 2))
        controller.step()
    assert events(ScriptedOutput.instances[OUT].data) == [("insert", 0), ("insert", 1)]


def test_the_snapshot_includes_the_first_step_which_is_not_sent_again() -> None:
    options = {"n.plain": scripted_output(), "n.full": scripted_output(send_snapshot=True)}
    view = dataclasses.replace(count_view(), connectors=options)
    with running(program(table(), view), manual_stepping=True) as controller:
        controller.push("t", rows(0, 2))
        controller.step()
    expected = [b'{"insert":{"c":0}}', b'{"delete":{"c":0}}', b'{"insert":{"c":2}}']
    for name in options:
        assert ScriptedOutput.instances[name].data.splitlines() == expected


def test_send_snapshot_needs_a_materialized_view() -> None:
    view = copy_view(connectors={"out": scripted_output(send_snapshot=True)}, materialized=False)
    with pytest.raises(MillstreamError, match="'send_snapshot: true' requires a materialized output view") as caught:
        Controller(program(table(), view)).start()
    assert caught.value.error_code == "ConfigError.InvalidTransportConfig"


def test_a_sink_may_be_attached_to_a_view_that_is_not_materialized() -> None:
    view = copy_view(connectors={"out": scripted_output()}, materialized=False)
    with running(program(table(), view)) as controller:
        controller.push("t", rows(0, 2))
        wait_completed(controller, 2)
        assert len(events(ScriptedOutput.instances[OUT].data)) == 2


def test_an_unknown_output_connector_is_told_apart() -> None:
    with running(simple_program(None, {"out": scripted_output()})) as controller:
        for name in ("v.nope", "t.out", ""):
            with pytest.raises(MillstreamError) as caught:
                controller.output_stats(name)
            assert (caught.value.error_code, caught.value.status) == ("UnknownOutputEndpoint", 404)
