"""NOW(): ticks of wall time, an HTTP-driven clock, pausing (connectors.md §11.15)."""

from __future__ import annotations

import pytest

from millstream.errors import MillstreamError
from millstream.expressions.registry import build_call
from millstream.pipeline.clock import ManualClock
from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.nodes import Column, Values
from millstream.plan.program import Program, View
from tests.pipeline.support import metrics, program, rows, running, simple_program, table, totals, wait

START = 1_700_000_000


def clock_program() -> Program:
    """`SELECT NOW()`."""
    now = build_call("NOW", [])
    schema = (Column("ts", now.type),)
    return program(table(), View("v", schema, Values(schema, ((now,),)), materialized=True), uses_now=True)


def now_us(controller: Controller) -> int:
    (value,) = controller.snapshot().table("v").column(0).cast("int64").to_pylist()
    return int(value)


def test_now_ticks_with_the_resolution_and_counts_a_record_per_tick() -> None:
    clock = ManualClock(START + 0.7)
    with running(clock_program(), clock=clock) as controller:
        assert now_us(controller) == START * 1_000_000
        assert metrics(controller, "now")["total_records"] == 0
        clock.advance(0.2)
        clock.advance(0.2)
        wait(controller, lambda: now_us(controller) == (START + 1) * 1_000_000)
        clock.advance(5)
        wait(controller, lambda: now_us(controller) == (START + 6) * 1_000_000)
        assert metrics(controller, "now")["total_records"] == 2
        assert totals(controller)["pipeline_complete"] is False


def test_now_stands_still_while_the_pipeline_is_paused() -> None:
    clock = ManualClock(START)
    with running(clock_program(), clock=clock) as controller:
        controller.pause()
        clock.advance(10)
        controller.push("t", rows(0, 1))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 1)
        assert now_us(controller) == START * 1_000_000
        controller.resume()
        wait(controller, lambda: now_us(controller) == (START + 10) * 1_000_000)


def test_an_http_driven_clock_moves_only_when_told() -> None:
    clock = ManualClock(START)
    with running(clock_program(), RuntimeConfig(now_http_driven=True), clock=clock) as controller:
        clock.advance(100)
        assert controller.advance_clock(0) == START * 1000
        for delta_ms, seconds in ((None, 1), (1, 2), (1000, 3), (2500, 6)):
            assert controller.advance_clock(delta_ms) == (START + seconds) * 1000
            wait(controller, lambda s=seconds: now_us(controller) == (START + s) * 1_000_000)  # type: ignore[misc]  # a default binds the loop's value
        assert metrics(controller, "now")["total_records"] == 4
        with pytest.raises(MillstreamError, match="negative"):
            controller.advance_clock(-1)
        wait(controller, lambda: totals(controller)["pipeline_complete"])


def test_a_clock_that_is_not_http_driven_cannot_be_advanced() -> None:
    for relations in (clock_program(), simple_program()):
        with running(relations, clock=ManualClock(START)) as controller:
            with pytest.raises(MillstreamError) as caught:
                controller.advance_clock(None)
            assert (caught.value.error_code, caught.value.status) == ("InvalidParam", 400)


def test_the_start_of_time_and_the_time_zone_can_be_set() -> None:
    config = RuntimeConfig.from_json(
        {"dev_tweaks": {"now_offset": "1969-12-31T23:59:58.5Z"}, "clock_timezone_offset": "+01:30"}
    )
    clock = ManualClock(START)
    with running(clock_program(), config, clock=clock) as controller:
        zone = 90 * 60_000_000
        assert now_us(controller) == -2_000_000 + zone
        clock.advance(1)
        wait(controller, lambda: now_us(controller) == -1_000_000 + zone)


def test_without_resolution_now_advances_with_data() -> None:
    clock = ManualClock(START)
    with running(clock_program(), RuntimeConfig(clock_resolution_us=None), clock=clock) as controller:
        clock.advance(1.5)
        assert now_us(controller) == START * 1_000_000
        controller.push("t", rows(0, 1))
        wait(controller, lambda: now_us(controller) == START * 1_000_000 + 1_500_000)
        assert [status["endpoint_name"] for status in controller.stats()["inputs"]] == ["t.push"]


def test_manual_steps_see_the_current_time() -> None:
    clock = ManualClock(START)
    with running(clock_program(), clock=clock, manual_stepping=True) as controller:
        clock.advance(3.9)
        controller.step()
        assert now_us(controller) == (START + 3) * 1_000_000
