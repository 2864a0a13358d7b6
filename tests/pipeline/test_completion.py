"""How far inputs have come, and whether connectors are well (connectors.md §5.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from millstream.connectors.base import InputSink
from millstream.pipeline import completion
from millstream.pipeline.clock import ManualClock
from millstream.pipeline.controller import Controller
from millstream.pipeline.metrics import collect, to_json
from millstream.pipeline.resources import BYTES_PER_MB, MemoryPressure
from tests.pipeline.support import (
    ScriptedInput,
    ScriptedOutput,
    file_input,
    ids,
    ndjson,
    rows,
    running,
    scripted,
    scripted_output,
    simple_program,
    totals,
    wait,
    wait_processed,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")


def at(first: int, count: int, position: Any) -> Any:
    """An offer of rows that end at a position."""

    def push(sink: InputSink) -> None:
        sink.push_batch(rows(first, count), 8 * count, position)

    return push


def frontier(controller: Controller, endpoint: str = "t.c") -> Any:
    return controller.input_stats(endpoint)["completed_frontier"]


def health(controller: Controller) -> Any:
    return controller.input_stats("t.c")["health"]


def completions(controller: Controller) -> int:
    values = {
        entry["key"]: entry["values"] for entry in to_json(collect(controller.stats(), controller.measurements()))
    }
    (found,) = values["input_connector_completion_latency_seconds"]
    assert found["labels"] == {"endpoint": "t.c"}
    return int(found["value"]["count"])


def test_a_position_is_complete_when_every_output_has_delivered_it() -> None:
    began = datetime.now(UTC)
    program = simple_program({"c": scripted()}, {"o": scripted_output(blocked=True)})
    with running(program) as controller:
        ScriptedInput.instances["t.c"].offer(at(0, 2, {"version": 7}))
        wait_processed(controller, 2)
        wait(controller, lambda: totals(controller)["total_initiated_steps"] == 2)
        assert (frontier(controller), completions(controller)) == (None, 0)
        ScriptedOutput.instances["v.o"].open_gate.set()
        wait(controller, lambda: frontier(controller) is not None)
        found = frontier(controller)
        assert found.pop("metadata") == {"version": 7}
        times = [datetime.fromisoformat(found[key]) for key in ("ingested_at", "processed_at", "completed_at")]
        order = [began, *times, datetime.now(UTC)]
        assert order == sorted(order)
        assert completions(controller) == 1


def test_a_step_that_splits_what_a_position_ends_does_not_complete_it() -> None:
    program = simple_program({"c": scripted(max_batch_size=2)})
    with running(program, manual_stepping=True) as controller:
        ScriptedInput.instances["t.c"].offer(at(0, 2, {"n": 1}))
        ScriptedInput.instances["t.c"].offer(at(2, 3, {"n": 2}))
        wait(controller, lambda: totals(controller)["total_input_records"] == 5)
        seen = []
        for _ in range(3):
            controller.step()
            seen.append(frontier(controller)["metadata"]["n"])
        assert seen == [1, 1, 2]


def test_rows_without_a_position_leave_the_frontier_where_it_is() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        ScriptedInput.instances["t.c"].offer(at(0, 1, {"n": 1}))
        wait(controller, lambda: frontier(controller) is not None)
        ScriptedInput.instances["t.c"].offer(rows(1, 1))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 2)
        assert frontier(controller)["metadata"] == {"n": 1}


def test_in_a_transaction_nothing_completes_before_the_commit() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        controller.start_transaction()
        ScriptedInput.instances["t.c"].offer(at(0, 1, {"n": 1}))
        wait_processed(controller, 1)
        assert (frontier(controller), completions(controller)) == (None, 0)
        controller.commit_transaction()
        wait(controller, lambda: frontier(controller) is not None)
        assert completions(controller) == 1


def test_the_position_in_a_file_is_what_was_parsed(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 100) + b'{"id": 100,')
    source = file_input(path)
    source["transport"]["config"]["follow"] = True
    with running(simple_program({"c": source})) as controller:
        wait(controller, lambda: len(ids(controller)) == 100)
        wait(controller, lambda: frontier(controller) is not None)
        assert frontier(controller)["metadata"] == {"offsets": {"start": 0, "end": len(ndjson(0, 100).rstrip())}}


def test_a_connector_is_well_until_an_error_and_again_when_it_delivers() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        connector = ScriptedInput.instances["t.c"]
        assert health(controller) == {"status": "Healthy", "description": None}
        connector.offer(lambda sink: sink.error("net", "no answer"))
        wait(controller, lambda: health(controller) == {"status": "Unhealthy", "description": "no answer"})
        connector.offer(rows(0, 1))
        wait(controller, lambda: health(controller)["status"] == "Healthy")
        connector.offer(OSError("gone"))
        wait(controller, lambda: health(controller) == {"status": "Unhealthy", "description": "OSError: gone"})
        controller.push("t", rows(1, 1))
        assert controller.input_stats("t.push")["health"] is None, "nobody's connector"


def test_a_sink_is_well_again_when_a_batch_gets_through() -> None:
    with running(simple_program({}, {"o": scripted_output()})) as controller:
        sink = ScriptedOutput.instances["v.o"]

        def status() -> Any:
            return controller.output_stats("v.o")["health"]["status"]

        sink.failure = OSError("full")
        controller.push("t", rows(0, 1))
        wait(controller, lambda: status() == "Unhealthy")
        assert controller.output_stats("v.o")["health"]["description"] == "OSError: full"
        sink.failure = None
        controller.push("t", rows(1, 1))
        wait(controller, lambda: status() == "Healthy")
        with controller.subscribe("v") as subscription:
            assert controller.output_stats(subscription.name)["health"] is None


def test_the_progress_of_a_batch_shows_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    with running(simple_program({}, {"o": scripted_output()})) as controller:

        def progress() -> int:
            return int(controller.output_stats("v.o")["metrics"]["batch_records_written"])

        monkeypatch.setattr(ScriptedOutput, "batch_end", lambda _: seen.append(progress()), raising=False)
        controller.push("t", rows(0, 3))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 3)
        assert (seen, progress()) == ([3], 0)


def test_memory_pressure_counts_its_changes() -> None:
    pressure = MemoryPressure(1000)
    used = [100, 850, 860, 920, 960, 500, 799, 800]
    levels = [(pressure.observe(mb * BYTES_PER_MB), pressure.epoch) for mb in used]
    assert levels == [
        ("low", 0), ("moderate", 1), ("moderate", 1), ("high", 2), ("critical", 3), ("low", 4), ("low", 4),
        ("moderate", 5),
    ]  # fmt: skip
    unlimited = MemoryPressure(None)
    assert (unlimited.observe(10**15), unlimited.epoch) == ("low", 0)


def test_of_too_much_that_waits_for_an_output_the_first_times_and_the_last_position_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completion, "MAX_PENDING_STEPS", 2)
    monkeypatch.setattr(completion, "MAX_ARRIVALS_PER_STEP", 3)
    followed = completion.Completion(ManualClock())
    for step in range(1, 6):
        followed.consume([0.0] * 2, completion.Position({"n": step}, 0.0))
        followed.consume([0.0] * 2, None)
        followed.assign(step)
    seen = []
    for step in (1, 4, 5):
        followed.complete(step)
        assert followed.frontier is not None
        seen.append((followed.latency.snapshot().count, followed.frontier.metadata["n"]))
    assert seen == [(3, 1), (3, 1), (6, 5)]
