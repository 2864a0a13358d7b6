"""Connectors that start after others (connectors.md §4.5, decisions D2, D3, D23)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline.controller import Controller
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


def paused(controller: Controller, name: str) -> bool:
    return bool(metrics(controller, name)["paused"])


def finish(controller: Controller, name: str) -> None:
    """Let a scripted connector end, and wait until that has been noticed."""
    ScriptedInput.instances[name].offer(None)
    wait(controller, lambda: metrics(controller, name)["end_of_input"])


def test_a_chain_of_files_is_read_in_order_across_tables(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.json").write_bytes(ndjson(i * 1000, 1000))
    first = table("a", {"c": file_input(tmp_path / "0.json", labels=["one"])})
    second = table("b", {"c": file_input(tmp_path / "1.json", labels=["two"], start_after="one")})
    third = table("t", {"c": file_input(tmp_path / "2.json", start_after=["one", "two"])})
    log: list[str] = []
    with running(program(third, second, first, copy_view()), log=log.append) as controller:
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        assert ids(controller) == Counter(range(2000, 3000))
        assert not any(paused(controller, name) for name in ("a.c", "b.c", "t.c"))
    started = [line for line in log if line.startswith("starting connector")]
    assert ["'b.c'" in started[0], "'t.c'" in started[1]] == [True, True]


def test_a_condition_holds_only_when_every_carrier_of_every_label_has_finished() -> None:
    sources = {
        "a": scripted(labels=["x"]),
        "b": scripted(labels=["x", "y"]),
        "c": scripted(labels=["z"]),
        "d": scripted(start_after=["x", "z"]),
    }
    with running(simple_program(sources)) as controller:
        assert paused(controller, "t.d")
        for name in ("t.a", "t.c"):
            finish(controller, name)
            assert paused(controller, "t.d")
        finish(controller, "t.b")
        wait(controller, lambda: not paused(controller, "t.d"))


def test_finished_means_that_nothing_is_buffered() -> None:
    sources = {"a": scripted(labels=["x"], max_batch_size=10), "b": scripted(start_after="x")}
    with running(simple_program(sources), manual_stepping=True) as controller:
        ScriptedInput.instances["t.a"].offer(rows(0, 30))
        finish(controller, "t.a")
        for left in (20, 10):
            controller.step()
            assert metrics(controller, "t.a")["buffered_records"] == left
            assert paused(controller, "t.b")
        controller.step()
        assert not paused(controller, "t.b")


def test_an_ended_connector_with_buffered_records_still_blocks_its_labels() -> None:
    sources = {"a": scripted(labels=["x"], max_batch_size=1), "other": scripted(), "b": scripted(start_after="x")}
    with running(simple_program(sources), manual_stepping=True) as controller:
        ScriptedInput.instances["t.a"].offer(rows(0, 1))
        finish(controller, "t.a")
        finish(controller, "t.other")
        assert paused(controller, "t.b")
        controller.step()
        assert not paused(controller, "t.b")


def test_start_after_wins_over_paused_and_over_a_pause_before_it_fires() -> None:
    sources = {"a": scripted(labels=["x"]), "b": scripted(start_after="x", paused=True), "c": scripted(start_after="x")}
    with running(simple_program(sources)) as controller:
        controller.start_connector("t.c")
        controller.pause_connector("t.c")
        finish(controller, "t.a")
        assert not paused(controller, "t.b")
        assert not paused(controller, "t.c")


def test_a_pause_after_the_condition_fired_sticks() -> None:
    sources = {"a": scripted(labels=["x"]), "b": scripted(start_after="x"), "other": scripted()}
    with running(simple_program(sources)) as controller:
        finish(controller, "t.a")
        controller.pause_connector("t.b")
        finish(controller, "t.other")
        assert paused(controller, "t.b")
        ScriptedInput.instances["t.b"].offer(rows(0, 1))
        wait_refused(controller, "t.b")
        controller.start_connector("t.b")
        wait_processed(controller, 1)


def test_a_connector_may_be_started_by_hand_before_its_condition_holds() -> None:
    sources = {"a": scripted(labels=["x"]), "b": scripted(start_after="x")}
    with running(simple_program(sources)) as controller:
        controller.start_connector("t.b")
        ScriptedInput.instances["t.b"].offer(rows(0, 1))
        wait_processed(controller, 1)
        finish(controller, "t.a")
        assert not paused(controller, "t.b")


def test_a_label_that_nobody_carries_is_satisfied_when_something_finishes() -> None:
    log: list[str] = []
    sources = {"a": scripted(), "b": scripted(start_after="nobody")}
    with running(simple_program(sources), log=log.append) as controller:
        assert any("t.b" in line and "nobody" in line for line in log)
        ScriptedInput.instances["t.b"].offer(rows(0, 1))
        wait_refused(controller, "t.b")
        finish(controller, "t.a")
        wait_processed(controller, 1)


def test_a_failed_connector_blocks_its_dependents_and_says_so() -> None:
    log: list[str] = []
    sources = {"a": scripted(labels=["x"]), "b": scripted(start_after="x"), "other": scripted()}
    with running(simple_program(sources), log=log.append) as controller:
        ScriptedInput.instances["t.a"].offer(ValueError("gone"))
        wait(controller, lambda: metrics(controller, "t.a")["fatal_error"] is not None)
        assert any("t.b" in line and "t.a" in line and "will not start" in line for line in log)
        finish(controller, "t.other")
        assert paused(controller, "t.b")


def test_an_empty_input_starts_its_dependents_at_once_but_not_in_a_paused_pipeline() -> None:
    sources = {"a": empty_input(labels=["x"]), "b": scripted(start_after="x")}
    with running(simple_program(sources), initial="paused") as controller:
        wait_refused(controller, "t.b")
        assert paused(controller, "t.b")
        controller.resume()
        wait(controller, lambda: not paused(controller, "t.b"))


@pytest.mark.parametrize(
    "sources",
    [
        {"a": scripted(labels=["x"], start_after="x")},
        {"a": scripted(labels=["x"], start_after="y"), "b": scripted(labels=["y"], start_after="x")},
        {
            "root": scripted(labels=["r"], start_after="x"),
            "a": scripted(labels=["x"], start_after=["q", "y"]),
            "b": scripted(labels=["y"], start_after="z"),
            "c": scripted(labels=["z", "w"], start_after="x"),
        },
    ],
)
def test_a_cycle_is_rejected_at_start_and_spelled_out(sources: dict[str, dict[str, object]]) -> None:
    controller = Controller(simple_program(sources))
    with pytest.raises(MillstreamError, match="waits for endpoint") as caught:
        controller.start()
    assert caught.value.error_code == "ConfigError.CyclicDependency"
    cycle = caught.value.details["cycle"]
    for (name, label), (_, following) in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        source = sources[name.removeprefix("t.")]
        assert label in source["labels"]  # type: ignore[operator]  # the configuration is plain JSON
        assert following in source["start_after"]  # type: ignore[operator]  # the configuration is plain JSON
        assert f"endpoint '{name}' with label '{label}'" in caught.value.message
    assert all(connector.closed for connector in ScriptedInput.instances.values())


def test_sharing_labels_without_a_cycle_is_fine() -> None:
    sources = {
        "a": scripted(labels=["x", "y"]),
        "b": scripted(labels=["z"], start_after=["x", "y"]),
        "c": scripted(labels=["w"], start_after=["x", "z"]),
        "d": scripted(start_after=["w", "z", "x"]),
    }
    with running(simple_program(sources)) as controller:
        for name in ("t.a", "t.b", "t.c"):
            assert paused(controller, "t.d")
            finish(controller, name)
        assert not paused(controller, "t.d")


@pytest.mark.parametrize(
    ("value", "code"),
    [([], "ConfigError.EmptyStartAfter"), (7, "ConfigError.PipelineConfigParseError")],
)
def test_a_bad_start_after_fails_the_start(value: object, code: str) -> None:
    with pytest.raises(MillstreamError, match="start_after") as caught:
        Controller(simple_program({"a": scripted(start_after=value)})).start()
    assert caught.value.error_code == code
