"""Transactions (connectors.md §3.5)."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from millstream.errors import MillstreamError
from tests.pipeline.support import (
    ScriptedInput,
    ScriptedOutput,
    ids,
    metrics,
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


def status(controller: object) -> str:
    return str(totals(controller)["transaction_status"])  # type: ignore[arg-type]  # a Controller


def test_nothing_changes_until_the_commit_which_is_one_step() -> None:
    sources, outputs = {"c": scripted(max_batch_size=3)}, {"out": scripted_output()}
    with running(simple_program(sources, outputs)) as controller:
        controller.push("t", rows(-1, 1))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 1)
        assert controller.start_transaction() == 1
        for first in range(0, 20, 5):
            ScriptedInput.instances["t.c"].offer(rows(first, 5))
        wait_processed(controller, 21)
        token = controller.completion_token("t.c")
        found = totals(controller)
        assert (found["transaction_status"], found["transaction_id"]) == ("TransactionInProgress", 1)
        assert found["transaction_records"] == 20
        assert found["transaction_initiators"]["initiated_by_api"] == "Started"
        assert found["total_completed_records"] == 1
        assert ids(controller) == Counter([-1])
        assert controller.completion_status(token)["status"] == "inprogress"
        steps = found["total_initiated_steps"]
        controller.commit_transaction()
        wait(controller, lambda: status(controller) == "NoTransaction")
        wait(controller, lambda: controller.completion_status(token)["status"] == "complete")
        assert ids(controller) == Counter(range(-1, 20))
        assert totals(controller)["total_initiated_steps"] == steps + 1
        assert len(ScriptedOutput.instances["v.out"].batches) == 2
        assert totals(controller)["total_completed_records"] == 21
        assert totals(controller)["transaction_id"] == 0


def test_what_was_queued_before_the_commit_belongs_to_it() -> None:
    with running(simple_program({"c": scripted(max_batch_size=1)}), manual_stepping=True) as controller:
        controller.start_transaction()
        ScriptedInput.instances["t.c"].offer(rows(0, 10))
        wait(controller, lambda: metrics(controller, "t.c")["total_records"] == 10)
        assert controller.step() is None
        controller.commit_transaction()
        assert status(controller) == "CommitInProgress"
        controller.push("t", rows(100, 1))
        controller.step()
        assert ids(controller) == Counter(range(10))
        assert status(controller) == "NoTransaction"
        controller.step()
        assert ids(controller) == Counter([*range(10), 100])


def test_a_commit_proceeds_while_the_pipeline_is_paused() -> None:
    with running(simple_program()) as controller:
        controller.start_transaction()
        controller.push("t", rows(0, 3))
        controller.pause()
        controller.commit_transaction()
        wait(controller, lambda: ids(controller) == Counter(range(3)))


def test_an_empty_transaction_ends_at_once_and_ids_increase() -> None:
    with running(simple_program()) as controller:
        steps = totals(controller)["total_initiated_steps"]
        for number in (1, 2, 3):
            assert controller.start_transaction() == number
            controller.commit_transaction()
            assert status(controller) == "NoTransaction"
        assert totals(controller)["total_initiated_steps"] == steps


def test_there_is_only_one_transaction_at_a_time() -> None:
    with running(simple_program()) as controller:
        with pytest.raises(MillstreamError) as none:
            controller.commit_transaction()
        assert (none.value.error_code, none.value.status) == ("NoTransactionInProgress", 400)
        controller.start_transaction()
        with pytest.raises(MillstreamError) as second:
            controller.start_transaction()
        assert (second.value.error_code, second.value.status) == ("TransactionInProgress", 409)


def test_a_transaction_opens_between_steps_even_under_load() -> None:
    with running(simple_program()) as controller:
        stop = threading.Event()

        def keep_pushing() -> None:
            while not stop.is_set():
                controller.push("t", rows(0, 1))

        pushers = [threading.Thread(target=keep_pushing) for _ in range(2)]
        for pusher in pushers:
            pusher.start()
        try:
            for _ in range(20):
                controller.start_transaction()
                before = controller.snapshot()
                steps = totals(controller)["total_initiated_steps"]
                assert totals(controller)["total_completed_steps"] == steps
                controller.push("t", rows(1, 1))
                assert controller.snapshot() is before
                controller.commit_transaction()
                wait(controller, lambda: status(controller) == "NoTransaction")
        finally:
            stop.set()
            for pusher in pushers:
                pusher.join()


def test_connectors_start_and_pause_during_a_transaction() -> None:
    with running(simple_program({"c": scripted(paused=True)})) as controller:
        controller.start_transaction()
        ScriptedInput.instances["t.c"].offer(rows(0, 3))
        controller.start_connector("t.c")
        wait_processed(controller, 3)
        controller.pause_connector("t.c")
        controller.commit_transaction()
        wait(controller, lambda: ids(controller) == Counter(range(3)))
        assert metrics(controller, "t.c")["paused"] is True


def test_an_ad_hoc_insert_inside_a_transaction_returns_and_is_seen_after_the_commit() -> None:
    with running(simple_program()) as controller:
        controller.start_transaction()
        assert controller.insert("t", rows(0, 3)) == 3
        assert ids(controller) == Counter()
        controller.commit_transaction()
        wait(controller, lambda: ids(controller) == Counter(range(3)))
