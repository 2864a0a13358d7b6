"""Subscriptions to the changes of a relation."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline.egress import Chunk, Subscription
from tests.pipeline.support import (
    copy_view,
    program,
    rows,
    running,
    simple_program,
    table,
    totals,
    wait,
)

TIMEOUT = 60.0


def next_chunk(subscription: Subscription) -> Chunk:
    chunk = subscription.get(TIMEOUT)
    assert chunk is not None
    return chunk


def changes(chunk: Chunk) -> Counter[tuple[str, int]]:
    found: list[dict[str, Any]] = chunk.to_json()["json_data"]
    return Counter((kind, row["id"]) for event in found for kind, row in event.items())


def test_chunks_carry_the_changes_of_each_step() -> None:
    with running(simple_program()) as controller, controller.subscribe("v", format="json") as subscription:
        for number in range(3):
            controller.push("t", rows(number, 1))
            chunk = next_chunk(subscription)
            assert (chunk.sequence_number, chunk.snapshot) == (number, False)
            assert changes(chunk) == Counter([("insert", number)])
        line = chunk.to_line()
        assert line.endswith(b"}\r\n")
        assert json.loads(line) == chunk.to_json()


def test_csv_chunks_are_text_with_weights() -> None:
    with running(simple_program()) as controller, controller.subscribe("v") as subscription:
        controller.push("t", rows(0, 1))
        chunk = next_chunk(subscription)
        assert chunk.to_json() == {"sequence_number": 0, "snapshot": False, "text_data": "0,s0,1\n"}
        assert json.loads(chunk.to_line()) == chunk.to_json()


def test_a_snapshot_comes_first_also_in_a_paused_pipeline_and_nothing_is_missed_or_repeated() -> None:
    with running(simple_program(), initial="paused") as controller:
        controller.push("t", rows(0, 30))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 30)
        stop = threading.Event()

        def keep_pushing() -> None:
            first = 30
            while not stop.is_set():
                controller.push("t", rows(first, 1))
                first += 1
            controller.push("t", rows(-1, 1))

        pusher = threading.Thread(target=keep_pushing)
        pusher.start()
        subscriptions = [
            controller.subscribe("v", send_snapshot=True, backpressure=True, format="json") for _ in range(5)
        ]
        stop.set()
        pusher.join()
        for subscription in subscriptions:
            seen: Counter[tuple[str, int]] = Counter()
            kinds: list[bool] = []
            while ("insert", -1) not in seen:
                chunk = next_chunk(subscription)
                kinds.append(chunk.snapshot)
                seen += changes(chunk)
            assert kinds == sorted(kinds, reverse=True)
            assert kinds[0] is True
            assert set(seen.values()) == {1}
            assert sorted(i for _, i in seen) == list(range(-1, max(i for _, i in seen) + 1))
            subscription.close()


def test_a_subscription_is_an_output_endpoint_until_it_is_closed() -> None:
    with running(simple_program()) as controller:
        subscription = controller.subscribe("v", format="json")
        (status,) = controller.stats()["outputs"]
        assert status["endpoint_name"] == subscription.name
        assert subscription.name.startswith("v.api-")
        assert status["config"] == {"stream": "v"}
        controller.push("t", rows(0, 2))
        next_chunk(subscription)
        wait(controller, lambda: totals(controller)["total_completed_records"] == 2)
        subscription.close()
        assert subscription.closed
        assert subscription.get(0) is None
        assert controller.stats()["outputs"] == []


def test_without_backpressure_a_slow_subscriber_loses_chunks_and_sees_gaps() -> None:
    with running(simple_program(), manual_stepping=True) as controller:
        subscription = controller.subscribe("v", format="json")
        for number in range(150):
            controller.push("t", rows(number, 1))
            controller.step()
        wait(controller, lambda: totals(controller)["total_completed_records"] == 150)
        received = [next_chunk(subscription) for _ in range(100)]
        assert [chunk.sequence_number for chunk in received] == list(range(100))
        assert subscription.get(0) is None
        controller.push("t", rows(150, 1))
        controller.step()
        assert next_chunk(subscription).sequence_number == 150


def test_with_backpressure_a_slow_subscriber_holds_the_pipeline_back() -> None:
    with running(simple_program()) as controller:
        subscription = controller.subscribe("v", format="json", backpressure=True)
        for number in range(150):
            controller.push("t", rows(number, 1))
            steps = number + 2
            wait(controller, lambda steps=steps: totals(controller)["total_initiated_steps"] >= steps)  # type: ignore[misc]  # a default binds the loop's value
        assert totals(controller)["total_completed_records"] < 150
        received = [next_chunk(subscription) for _ in range(150)]
        assert [chunk.sequence_number for chunk in received] == list(range(150))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 150)
        subscription.close()


def test_a_huge_backlog_stalls_steps_only_with_backpressure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.pipeline.controller.EGRESS_MAX_QUEUED_RECORDS", 10)
    monkeypatch.setattr("millstream.pipeline.egress.EGRESS_MAX_CHUNKS", 1)
    with running(simple_program()) as controller:
        patient = controller.subscribe("v", format="json", backpressure=True)

        def stalled() -> bool:
            return bool(controller.output_stats(patient.name)["metrics"]["queued_records"] >= 10)

        for number in range(30):
            controller.push("t", rows(number * 10, 10))
            processed = 10 * (number + 1)
            wait(controller, lambda n=processed: stalled() or totals(controller)["total_processed_records"] == n)  # type: ignore[misc]  # a default binds the loop's value
        wait(controller, stalled)
        assert totals(controller)["total_completed_records"] < 300
        patient.close()
        wait(controller, lambda: totals(controller)["total_completed_records"] == 300)
        hasty = controller.subscribe("v", format="json")
        for number in range(30):
            controller.push("t", rows(1000 + number * 10, 10))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 600)
        hasty.close()


def test_tables_may_be_subscribed_to_and_listeners_are_woken() -> None:
    with running(simple_program()) as controller, controller.subscribe("t", format="json") as subscription:
        woken = threading.Event()
        subscription.notify(woken.set)
        woken.clear()
        controller.push("t", rows(0, 1))
        assert woken.wait(TIMEOUT)
        assert changes(next_chunk(subscription)) == Counter([("insert", 0)])


def test_a_stream_ends_when_the_pipeline_stops() -> None:
    received: list[Chunk] = []
    with running(simple_program()) as controller:
        subscription = controller.subscribe("v", format="json")
        reader = threading.Thread(target=lambda: received.extend(subscription))
        reader.start()
        controller.push("t", rows(0, 1))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 1)
    reader.join(TIMEOUT)
    assert not reader.is_alive()
    assert len(received) == 1
    assert subscription.closed


def test_what_cannot_be_subscribed_to_is_refused() -> None:
    views = [copy_view(), copy_view("hidden", local=True, materialized=False), copy_view("plain", materialized=False)]
    with running(program(table(), *views)) as controller:
        for relation in ("hidden", "nope"):
            with pytest.raises(MillstreamError) as caught:
                controller.subscribe(relation)
            assert (caught.value.error_code, caught.value.status) == ("ConfigError.UnknownOutputStream", 404)
        for relation in ("plain", "t"):
            with pytest.raises(MillstreamError, match="materialized") as not_kept:
                controller.subscribe(relation, send_snapshot=True)
            assert (not_kept.value.error_code, not_kept.value.status) == ("ConfigError.InvalidTransportConfig", 400)
        with pytest.raises(MillstreamError) as unknown:
            controller.subscribe("v", format="nope")
        assert unknown.value.status == 400
        assert controller.stats()["outputs"] == []
