"""Starting and pausing input connectors (connectors.md §4): the heart of the product."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from millstream.errors import MillstreamError
from tests.pipeline.support import (
    ScriptedInput,
    copy_view,
    empty_input,
    file_input,
    ids,
    metrics,
    ndjson,
    program,
    rows,
    running,
    scripted,
    simple_program,
    table,
    totals,
    wait,
    wait_processed,
    wait_refused,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")

C = "t.c"


@pytest.mark.parametrize("pipeline_runs", [False, True])
@pytest.mark.parametrize("connector_runs", [False, True])
def test_a_connector_reads_only_if_pipeline_and_connector_run(pipeline_runs: bool, connector_runs: bool) -> None:
    initial = "running" if pipeline_runs else "paused"
    with running(simple_program({"c": scripted(paused=not connector_runs)}), initial=initial) as controller:
        connector = ScriptedInput.instances[C]
        connector.offer(rows(0, 5))
        if pipeline_runs and connector_runs:
            wait_processed(controller, 5)
        else:
            wait_refused(controller, C)
            assert metrics(controller, C)["total_records"] == 0
        # The flag is the user's and says nothing about the pipeline.
        assert metrics(controller, C)["paused"] is not connector_runs
        assert controller.state == ("Running" if pipeline_runs else "Paused")
        # The missing half makes it read.
        controller.resume()
        controller.start_connector(C)
        wait_processed(controller, 5)
        assert ids(controller) == Counter(range(5))


def test_pausing_and_starting_one_connector_leaves_others_alone() -> None:
    with running(simple_program({"a": scripted(), "b": scripted()})) as controller:
        controller.pause_connector("t.a")
        ScriptedInput.instances["t.a"].offer(rows(0, 1))
        ScriptedInput.instances["t.b"].offer(rows(10, 1))
        wait_processed(controller, 1)
        wait_refused(controller, "t.a")
        assert ids(controller) == Counter([10])
        controller.start_connector("t.a")
        controller.pause_connector("t.b")
        ScriptedInput.instances["t.b"].offer(rows(11, 1))
        wait_processed(controller, 2)
        wait_refused(controller, "t.b")
        assert ids(controller) == Counter([0, 10])


def test_pause_is_idempotent_and_neither_direction_causes_a_step() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        steps = totals(controller)["total_initiated_steps"]
        for _ in range(3):
            controller.start_connector(C)
        assert metrics(controller, C)["paused"] is False
        for _ in range(3):
            controller.pause_connector(C)
        assert metrics(controller, C)["paused"] is True
        wait_refused(controller, C)
        assert totals(controller)["total_initiated_steps"] == steps


def test_what_was_queued_before_a_pause_is_still_processed() -> None:
    from_queue = rows(0, 100)
    options = scripted(max_batch_size=1)
    with running(simple_program({"c": options}), initial="running") as controller:
        connector = ScriptedInput.instances[C]
        connector.offer(from_queue)
        wait(controller, lambda: metrics(controller, C)["total_records"] == 100)
        controller.pause_connector(C)
        controller.pause()
        connector.offer(rows(100, 1))
        wait(controller, lambda: metrics(controller, C)["buffered_records"] == 0)
        wait_refused(controller, C)
        assert metrics(controller, C)["total_records"] == 100
        assert ids(controller) == Counter(range(100))


def test_pausing_in_the_middle_of_a_file_keeps_the_position(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 5000))
    options = file_input(path, max_queued_records=1, paused=True)
    options["transport"]["config"]["buffer_size_bytes"] = 1000
    with running(simple_program({"c": options})) as controller:
        pauses = 0
        while not metrics(controller, C)["end_of_input"]:
            seen = metrics(controller, C)["total_records"]

            def got_further(seen: int = seen) -> bool:
                now = metrics(controller, C)
                return now["total_records"] > seen or now["end_of_input"]

            controller.start_connector(C)
            wait(controller, got_further)
            controller.pause_connector(C)
            wait(controller, lambda: metrics(controller, C)["buffered_records"] == 0)
            pauses += 1
        assert pauses > 5
        wait_processed(controller, 5000)
        assert ids(controller) == Counter(range(5000))


def test_a_finished_connector_may_be_paused_and_started_and_does_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 10))
    with running(simple_program({"c": file_input(path), "other": scripted()})) as controller:
        wait(controller, lambda: metrics(controller, C)["end_of_input"])
        controller.pause_connector(C)
        assert metrics(controller, C)["paused"] is True
        controller.start_connector(C)
        assert metrics(controller, C)["paused"] is False
        ScriptedInput.instances["t.other"].offer(rows(100, 1))
        wait_processed(controller, 11)
        assert ids(controller) == Counter([*range(10), 100])
        assert metrics(controller, C)["end_of_input"] is True


def test_a_failed_connector_stays_listed_and_controllable_and_the_pipeline_goes_on() -> None:
    with running(simple_program({"c": scripted(), "other": scripted()})) as controller:
        connector = ScriptedInput.instances[C]
        connector.offer(rows(0, 3))
        connector.offer(ValueError("the source is gone"))
        wait(controller, lambda: metrics(controller, C)["fatal_error"] is not None)
        assert "the source is gone" in metrics(controller, C)["fatal_error"]
        assert metrics(controller, C)["num_transport_errors"] == 1
        controller.pause_connector(C)
        controller.start_connector(C)
        ScriptedInput.instances["t.other"].offer(rows(10, 1))
        wait_processed(controller, 4)
        assert controller.state == "Running"
        assert ids(controller) == Counter([0, 1, 2, 10])


@pytest.mark.parametrize("name", ["t.C", "t.nope", "nope.c", "c", "v.out", ""])
def test_an_unknown_connector_is_told_apart(name: str) -> None:
    outputs = {"out": {"transport": {"name": "null_output"}, "format": {"name": "json"}}}
    with running(simple_program({"c": scripted()}, outputs)) as controller:
        for call in (
            controller.start_connector,
            controller.pause_connector,
            controller.input_stats,
            controller.completion_token,
        ):
            with pytest.raises(MillstreamError) as caught:
                call(name)
            assert caught.value.error_code == "UnknownInputEndpoint"
            assert caught.value.message == f"unknown input endpoint name '{name}'"
            assert caught.value.details == {"endpoint_name": name}
            assert caught.value.status == 404


def test_names_with_capitals_and_special_characters() -> None:
    odd = "numbers +C0_-,.!%()&/"
    tables = [table(name, {"c1": scripted(paused=True)}) for name in ("numbers", "Numbers", odd)]
    with running(program(*tables, copy_view(of="numbers"))) as controller:
        controller.start_connector(f"{odd}.c1")
        assert metrics(controller, f"{odd}.c1")["paused"] is False
        assert metrics(controller, "numbers.c1")["paused"] is True
        controller.start_connector("Numbers.c1")
        assert metrics(controller, "Numbers.c1")["paused"] is False
        assert metrics(controller, "numbers.c1")["paused"] is True


def test_connector_flags_change_while_the_pipeline_is_paused_and_survive_its_pause() -> None:
    with running(simple_program({"a": scripted(paused=True), "b": scripted()}), initial="paused") as controller:
        controller.start_connector("t.a")
        controller.pause_connector("t.b")
        for name in ("t.a", "t.b"):
            ScriptedInput.instances[name].offer(rows(ord(name[-1]), 1))
        wait_refused(controller, "t.a")
        controller.resume()
        wait_processed(controller, 1)
        wait_refused(controller, "t.b")
        assert ids(controller) == Counter([ord("a")])
        controller.pause()
        controller.resume()
        assert metrics(controller, "t.a")["paused"] is False
        assert metrics(controller, "t.b")["paused"] is True


def test_control_before_start_and_after_stop_is_refused() -> None:
    from millstream.pipeline.controller import Controller

    controller = Controller(simple_program({"c": scripted()}))
    with pytest.raises(MillstreamError, match="initializing") as early:
        controller.start_connector(C)
    assert early.value.status == 503
    controller.start()
    controller.stop()
    with pytest.raises(MillstreamError, match="terminating") as late:
        controller.pause_connector(C)
    assert late.value.status == 410
    assert controller.state == "Terminated"
    assert ScriptedInput.instances[C].closed


def test_many_callers_may_start_and_pause_at_once_and_the_last_one_wins() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        connector = ScriptedInput.instances[C]
        go = threading.Barrier(6)

        def toggle(start: bool) -> None:
            go.wait()
            for _ in range(200):
                (controller.start_connector if start else controller.pause_connector)(C)

        callers = [threading.Thread(target=toggle, args=(i % 2 == 0,)) for i in range(5)]
        for caller in callers:
            caller.start()
        go.wait()
        for chunk in range(50):
            connector.offer(rows(chunk * 10, 10))
        for caller in callers:
            caller.join()
        controller.pause_connector(C)
        assert metrics(controller, C)["paused"] is True
        controller.start_connector(C)
        wait_processed(controller, 500)
        assert ids(controller) == Counter(range(500))


def test_an_empty_input_ends_only_once_it_may_read() -> None:
    with running(simple_program({"c": empty_input(paused=True)})) as controller:
        assert metrics(controller, C)["end_of_input"] is False
        assert totals(controller)["pipeline_complete"] is False
        controller.start_connector(C)
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        assert metrics(controller, C)["end_of_input"] is True
