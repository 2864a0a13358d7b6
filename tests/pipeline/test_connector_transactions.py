"""Transactions that connectors open, merged with each other and with those of the API (connectors.md §3.5)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from millstream.connectors.base import InputSink
from millstream.errors import MillstreamError
from millstream.pipeline.controller import Controller
from tests.pipeline.support import (
    ScriptedInput,
    empty_input,
    ids,
    metrics,
    rows,
    running,
    scripted,
    simple_program,
    totals,
    wait,
    wait_processed,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")

COMMIT: Callable[[InputSink], None] = lambda sink: sink.commit_transaction()  # noqa: E731 - an offer


def begin(label: str | None = None) -> Callable[[InputSink], None]:
    return lambda sink: sink.start_transaction(label)


def offer(endpoint: str, *chunks: Any) -> None:
    for chunk in chunks:
        ScriptedInput.instances[endpoint].offer(chunk)


def initiators(controller: Controller) -> dict[str, Any]:
    found: dict[str, Any] = totals(controller)["transaction_initiators"]
    return found


def status(controller: Controller) -> str:
    return str(totals(controller)["transaction_status"])


def test_what_a_connector_delivers_in_a_transaction_is_one_step() -> None:
    with running(simple_program({"c": scripted(max_batch_size=2)})) as controller:
        offer("t.c", begin("load"), rows(0, 5))
        wait_processed(controller, 5)
        assert status(controller) == "TransactionInProgress"
        assert initiators(controller) == {
            "transaction_id": 1,
            "initiated_by_api": None,
            "initiated_by_connectors": {"t.c": {"phase": "Started", "label": "load"}},
        }
        assert totals(controller)["transaction_records"] == 5
        assert ids(controller) == Counter()
        steps = totals(controller)["total_initiated_steps"]
        offer("t.c", rows(5, 5), COMMIT)
        wait(controller, lambda: totals(controller)["total_completed_records"] == 10)
        assert ids(controller) == Counter(range(10))
        assert totals(controller)["total_initiated_steps"] == steps + 1
        assert (status(controller), totals(controller)["transaction_id"]) == ("NoTransaction", 0)
        assert initiators(controller)["initiated_by_connectors"] == {}


def test_records_outside_a_transaction_are_stepped_on_their_own() -> None:
    with running(simple_program({"c": scripted()}), manual_stepping=True) as controller:
        offer("t.c", rows(0, 2), begin(), rows(2, 2), COMMIT, rows(4, 2))
        wait(controller, lambda: metrics(controller, "t.c")["total_records"] == 6)
        seen = []
        for _ in range(3):
            controller.step()
            seen.append(sum(ids(controller).values()))
        assert seen == [2, 4, 6]


def test_a_committed_connector_is_not_drained_until_the_others_commit() -> None:
    with running(simple_program({"a": scripted(), "b": scripted()})) as controller:
        offer("t.a", begin("a1"), rows(0, 2))
        offer("t.b", begin("b1"), rows(100, 2))
        wait_processed(controller, 4)
        offer("t.a", COMMIT, begin("a2"), rows(2, 3), COMMIT)
        wait(controller, lambda: metrics(controller, "t.a")["total_records"] == 5)
        controller.push("t", rows(200, 1))  # who takes no part is taken in
        wait_processed(controller, 5)
        assert metrics(controller, "t.a")["buffered_records"] == 3
        assert initiators(controller)["initiated_by_connectors"] == {
            "t.a": {"phase": "Committed", "label": "a1"},
            "t.b": {"phase": "Started", "label": "b1"},
        }
        assert ids(controller) == Counter()
        offer("t.b", COMMIT)
        wait(controller, lambda: totals(controller)["total_completed_records"] == 8)
        assert ids(controller) == Counter([*range(5), 100, 101, 200])
        assert status(controller) == "NoTransaction"
        assert controller.start_transaction() == 3, "the connector's second one had an id of its own"


def test_the_engine_sleeps_while_only_a_committed_connector_has_records() -> None:
    with running(simple_program({"a": scripted(), "b": scripted()})) as controller:
        offer("t.b", begin(), rows(0, 1))
        wait_processed(controller, 1)
        offer("t.a", begin(), rows(1, 1), COMMIT, rows(2, 1))
        wait(controller, lambda: metrics(controller, "t.a")["buffered_records"] == 1)
        wait_processed(controller, 2)
        with controller._control.lock:
            assert controller._engine._seconds_to_step(controller._control.clock.monotonic()) is None
        offer("t.b", COMMIT)
        wait(controller, lambda: ids(controller) == Counter(range(3)))


def test_a_client_takes_part_in_a_connectors_transaction() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", begin(), rows(0, 2))
        wait_processed(controller, 2)
        with pytest.raises(MillstreamError) as none:
            controller.commit_transaction()
        assert none.value.error_code == "NoTransactionInProgress", "the connector's is not the client's to commit"
        assert controller.start_transaction() == 1
        with pytest.raises(MillstreamError) as second:
            controller.start_transaction()
        assert (second.value.error_code, second.value.status) == ("TransactionInProgress", 409)
        controller.push("t", rows(10, 1))
        offer("t.c", COMMIT)
        wait(controller, lambda: initiators(controller)["initiated_by_connectors"]["t.c"]["phase"] == "Committed")
        assert (status(controller), ids(controller)) == ("TransactionInProgress", Counter())
        controller.commit_transaction()
        wait(controller, lambda: status(controller) == "NoTransaction")
        assert ids(controller) == Counter([0, 1, 10])


def test_the_clients_commit_waits_for_connectors() -> None:
    with running(simple_program({"c": scripted()}), manual_stepping=True) as controller:
        assert controller.start_transaction() == 1
        offer("t.c", begin("x"), rows(0, 1))
        wait(controller, lambda: metrics(controller, "t.c")["total_records"] == 1)
        controller.step()
        controller.push("t", rows(10, 1))
        controller.commit_transaction()
        assert status(controller) == "TransactionInProgress"
        assert initiators(controller)["initiated_by_api"] == "Committed"
        for action in (controller.commit_transaction, controller.start_transaction):
            with pytest.raises(MillstreamError):
                action()
        offer("t.c", rows(1, 1), COMMIT)
        wait(controller, lambda: metrics(controller, "t.c")["total_records"] == 2)
        while status(controller) != "NoTransaction":
            controller.step()
        assert ids(controller) == Counter([0, 1, 10])


def test_what_a_client_commits_has_no_transaction_in_it_that_a_connector_begins_later() -> None:
    with running(simple_program({"c": scripted(max_batch_size=1)}), manual_stepping=True) as controller:
        controller.start_transaction()
        offer("t.c", rows(0, 2), begin(), rows(2, 1))
        wait(controller, lambda: metrics(controller, "t.c")["total_records"] == 3)
        controller.commit_transaction()
        assert status(controller) == "CommitInProgress"
        controller.step()
        assert (status(controller), ids(controller)) == ("NoTransaction", Counter(range(2)))


@pytest.mark.parametrize("end", [None, OSError("gone")])
def test_a_connector_that_ends_or_fails_commits_what_it_has(end: Exception | None) -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", begin(), rows(0, 3), end)
        wait(controller, lambda: ids(controller) == Counter(range(3)))
        wait(controller, lambda: status(controller) == "NoTransaction")
        assert (metrics(controller, "t.c")["fatal_error"] is None) == (end is None)


def test_a_failure_long_after_the_last_record_ends_the_transaction() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", begin(), rows(0, 3))
        wait_processed(controller, 3)
        offer("t.c", ValueError("bad"))
        wait(controller, lambda: ids(controller) == Counter(range(3)))


def test_a_connector_paused_in_a_transaction_keeps_it_open() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", begin(), rows(0, 1))
        wait_processed(controller, 1)
        controller.pause_connector("t.c")
        offer("t.c", rows(1, 1), COMMIT)
        controller.push("t", rows(10, 1))
        wait_processed(controller, 2)
        assert (status(controller), ids(controller)) == ("TransactionInProgress", Counter())
        controller.start_connector("t.c")
        wait(controller, lambda: ids(controller) == Counter([0, 1, 10]))


def test_transactions_without_records_are_none() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", begin(), COMMIT, rows(0, 1))
        wait(controller, lambda: ids(controller) == Counter([0]))
        assert status(controller) == "NoTransaction"
        assert controller.start_transaction() == 1


def test_bounds_that_do_not_fit_are_errors_of_the_connector() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        offer("t.c", COMMIT, begin(), begin(), rows(0, 1), COMMIT)
        wait(controller, lambda: ids(controller) == Counter([0]))
        errors = controller.input_stats("t.c")["transport_errors"]
        assert [error["tag"] for error in errors] == ["connector_commit_transaction", "connector_start_transaction"]
        assert metrics(controller, "t.c")["fatal_error"] is None


def test_whoever_waits_for_a_connectors_end_is_started() -> None:
    sources = {"c": scripted(labels=["first"]), "d": empty_input(start_after="first")}
    with running(simple_program(sources)) as controller:
        offer("t.c", begin(), rows(0, 3), None)
        wait(controller, lambda: totals(controller)["pipeline_complete"] is True)
        assert ids(controller) == Counter(range(3))


@pytest.mark.parametrize("seed", range(3))
def test_random_transactions_of_three_connectors_and_a_client_lose_nothing(seed: int) -> None:
    """Every transaction of a connector shows whole: its first and last rows come in the same step."""
    chance = random.Random(seed)
    names = ["t.a", "t.b", "t.c"]
    sources = {name[-1]: scripted(max_batch_size=chance.randint(1, 5)) for name in names}
    with running(simple_program(sources)) as controller:
        expected: list[int] = []
        groups: list[range] = []
        for index, name in enumerate(names):
            first = index * 1000
            for _ in range(15):
                group = range(first, first + chance.randint(1, 12))
                first = group.stop
                cut = chance.randint(0, len(group))
                parts = [rows(group.start, cut), rows(group.start + cut, len(group) - cut)]
                offer(name, begin(), *(part for part in parts if part.num_rows), COMMIT)
                groups.append(group)
                expected.extend(group)
            offer(name, None)
        for _ in range(10):
            controller.start_transaction()
            controller.commit_transaction()
            wait(controller, lambda: initiators(controller)["initiated_by_api"] is None)
            seen = ids(controller)
            assert all(seen[group[0]] == seen[group[-1]] for group in groups), f"seed {seed}"
        wait(controller, lambda: totals(controller)["pipeline_complete"] is True)
        assert ids(controller) == Counter(expected), f"seed {seed}"
