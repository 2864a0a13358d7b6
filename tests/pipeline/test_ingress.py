"""Request bodies into tables: shared endpoints, parse errors, pausing, back-pressure."""

from __future__ import annotations

import re
import threading
from collections import Counter

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline import limits
from millstream.pipeline.controller import Controller
from tests.pipeline.support import (
    copy_view,
    ids,
    metrics,
    ndjson,
    program,
    running,
    simple_program,
    table,
    totals,
    wait,
    wait_processed,
)

RAW = {"update_format": "raw"}


def send(controller: Controller, body: bytes, *, force: bool = False) -> str:
    """A whole request without errors; its token."""
    request = controller.ingress_endpoint("t", "json", RAW)
    request.push(body, end=True, force=force)
    token, errors = request.finish()
    assert not errors
    return token


def test_a_body_arrives_and_its_token_completes() -> None:
    with running(simple_program()) as controller:
        token = send(controller, ndjson(0, 100))
        wait(controller, lambda: controller.completion_status(token)["status"] == "complete")
        assert ids(controller) == Counter(range(100))


def test_an_endpoint_is_shared_by_table_and_format_and_counts_body_bytes() -> None:
    with running(simple_program()) as controller:
        one = controller.ingress_endpoint("t", "json", RAW)
        two = controller.ingress_endpoint("t", "json", dict(RAW))
        other = controller.ingress_endpoint("t", "json", {"update_format": "insert_delete"})
        assert one.name == two.name != other.name
        assert re.fullmatch(r"t\.api-ingress-[0-9a-f]{16}", one.name)
        body = ndjson(0, 10)
        one.push(body, end=True)
        two.push(body, end=True)
        found = metrics(controller, one.name)
        assert (found["total_records"], found["total_bytes"]) == (20, 2 * len(body))
        assert metrics(controller, other.name)["total_records"] == 0
        assert [i["endpoint_name"] for i in controller.stats()["inputs"]] == [one.name, other.name]


def test_chunks_may_cut_records_anywhere_and_whole_records_are_visible_before_the_end() -> None:
    body = ndjson(0, 50)
    with running(simple_program()) as controller:
        request = controller.ingress_endpoint("t", "json", RAW)
        for start in range(0, len(body), 7):
            request.push(body[start : start + 7])
        wait(controller, lambda: len(ids(controller)) >= 49)
        request.push(b"", end=True)
        assert not request.finish().errors
        wait_processed(controller, 50)
        assert ids(controller) == Counter(range(50))


def test_requests_that_interleave_do_not_mix_their_records() -> None:
    with running(simple_program()) as controller:
        one, two = (controller.ingress_endpoint("t", "json", RAW) for _ in range(2))
        for left, right in zip(ndjson(0, 20), ndjson(100, 20), strict=False):
            one.push(bytes([left]))
            two.push(bytes([right]))
        one.push(ndjson(0, 20)[len(ndjson(0, 20)) :], end=True)
        two.push(ndjson(100, 20)[len(ndjson(0, 20)) :], end=True)
        assert not one.finish().errors
        assert not two.finish().errors
        wait_processed(controller, 40)
        assert ids(controller) == Counter([*range(20), *range(100, 120)])


def test_bad_records_are_reported_and_counted_and_good_ones_stay() -> None:
    body = b'{"id":1,"s":"a"}\n{"id":"x","s":"b"}\n{"id":3,"s":"c"}\n{"s":"d"}\n'
    with running(simple_program()) as controller:
        request = controller.ingress_endpoint("t", "json", RAW)
        request.push(body, end=True)
        _, errors = request.finish()
        assert errors
        assert errors.num_errors == 2
        answer = errors.to_error()
        assert (answer.error_code, answer.status) == ("ParseErrors", 400)
        assert answer.message.startswith("Errors parsing input data (2 errors):")
        assert [e["event_number"] for e in answer.details["errors"]] == [2, 4]
        wait_processed(controller, 2)
        assert ids(controller) == Counter([1, 3])
        status = controller.input_stats(request.name)
        assert status["metrics"]["num_parse_errors"] == 2
        assert [e["index"] for e in status["parse_errors"]] == [1, 2]
        assert status["metrics"]["total_bytes"] == len(body)
        assert controller.num_errors == 2
        assert totals(controller)["buffered_input_bytes"] == 0


def test_a_deletion_from_an_append_only_table_is_a_bad_record_and_the_pipeline_goes_on() -> None:
    body = b'{"insert":{"id":1}}\n{"delete":{"id":1}}\n{"insert":{"id":2}}\n'
    with running(program(table(append_only=True), copy_view())) as controller:
        request = controller.ingress_endpoint("t", "json", {"update_format": "insert_delete"})
        request.push(body, end=True)
        _, errors = request.finish()
        assert errors
        assert errors.num_errors == 1
        assert "table 't' is append-only: records cannot be deleted from it" in errors.to_error().message
        wait_processed(controller, 2)
        assert ids(controller) == Counter([1, 2])
        assert controller.input_stats(request.name)["metrics"]["num_parse_errors"] == 1


def test_many_errors_keep_the_counter_exact_and_the_lists_short() -> None:
    count = 1500
    with running(simple_program()) as controller:
        request = controller.ingress_endpoint("t", "json", {**RAW, "lines": "single"})
        request.push(b'{"id":"bad"}\n' * count, end=True)
        _, errors = request.finish()
        assert (errors.num_errors, len(errors.errors)) == (count, limits.MAX_REPORTED_PARSE_ERRORS)
        assert f"(reporting 1000 out of {count} total errors):" in errors.to_error().message
        kept = controller.input_stats(request.name)["parse_errors"]
        assert len(kept) == limits.MAX_ERRORS_PER_TAG
        assert kept[-1]["index"] == count


def test_a_request_blocks_while_the_pipeline_or_its_endpoint_is_paused() -> None:
    with running(simple_program(), initial="paused") as controller:
        name = controller.ingress_endpoint("t", "json", RAW).name
        done = threading.Event()

        def request() -> None:
            send(controller, ndjson(0, 1))
            done.set()

        thread = threading.Thread(target=request)
        thread.start()
        assert not done.wait(0.05)
        controller.pause_connector(name)
        controller.resume()
        assert not done.wait(0.05)
        assert metrics(controller, name)["paused"] is True
        assert metrics(controller, name)["total_records"] == 0
        controller.start_connector(name)
        assert done.wait(20)
        thread.join()
        wait_processed(controller, 1)


def test_force_ignores_both_pauses() -> None:
    with running(simple_program(), initial="paused") as controller:
        name = controller.ingress_endpoint("t", "json", RAW).name
        controller.pause_connector(name)
        send(controller, ndjson(0, 10), force=True)
        # Buffered input is stepped in a paused pipeline, too.
        wait_processed(controller, 10)
        assert controller.state == "Paused"


def test_a_request_waits_for_room_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.pipeline.inlets.INGRESS_MAX_QUEUED_RECORDS", 10)
    with running(simple_program(), manual_stepping=True) as controller:
        request = controller.ingress_endpoint("t", "json", RAW)
        request.push(ndjson(0, 10))
        done = threading.Event()
        thread = threading.Thread(target=lambda: (request.push(ndjson(10, 5), end=True, force=True), done.set()))
        thread.start()
        assert not done.wait(0.05)
        controller.step()
        assert done.wait(20)
        thread.join()
        controller.step()
        assert ids(controller) == Counter(range(15))


def test_a_blocked_request_ends_when_the_pipeline_stops_or_the_client_goes() -> None:
    answers: list[str] = []

    def blocked(request: object) -> None:
        try:
            request.push(ndjson(0, 1), end=True)  # type: ignore[attr-defined]  # an IngressEndpoint
        except MillstreamError as error:
            answers.append(error.error_code)

    with running(simple_program(), initial="paused") as controller:
        gone, stopped = (controller.ingress_endpoint("t", "json", RAW) for _ in range(2))
        threads = [threading.Thread(target=blocked, args=(request,)) for request in (gone, stopped)]
        for thread in threads:
            thread.start()
        gone.abandon()
        threads[0].join(20)
        assert answers == ["Terminating"]
        status = controller.input_stats(gone.name)
        assert status["fatal_error"] is None
        assert status["metrics"]["num_transport_errors"] == 1
    threads[1].join(20)
    assert answers == ["Terminating"] * 2


def test_unknown_tables_and_formats_are_refused() -> None:
    with running(simple_program()) as controller:
        with pytest.raises(MillstreamError) as table:
            controller.ingress_endpoint("nope", "json", RAW)
        assert (table.value.error_code, table.value.status) == ("ConfigError.UnknownInputStream", 404)
        with pytest.raises(MillstreamError) as unknown:
            controller.ingress_endpoint("t", "nope", {})
        assert (unknown.value.error_code, unknown.value.status) == ("ConfigError.UnknownInputFormat", 400)
        assert controller.stats()["inputs"] == []


def test_the_number_of_http_connections_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millstream.pipeline.registry.MAX_API_CONNECTIONS", 2)
    with running(simple_program()) as controller:
        controller.ingress_endpoint("t", "json", RAW)
        subscription = controller.subscribe("v", format="json")
        for connect in (lambda: controller.ingress_endpoint("t", "csv", {}), lambda: controller.subscribe("v")):
            with pytest.raises(MillstreamError) as caught:
                connect()
            assert (caught.value.error_code, caught.value.status) == ("ApiConnectionLimit", 429)
        # A request on a known endpoint is no new connection.
        controller.ingress_endpoint("t", "json", RAW)
        subscription.close()
        controller.ingress_endpoint("t", "csv", {})


def test_an_ad_hoc_insert_waits_until_its_rows_are_visible_and_leaves_no_endpoint() -> None:
    from tests.pipeline.support import rows

    with running(simple_program()) as controller:
        assert controller.insert("t", rows(0, 25)) == 25
        assert ids(controller) == Counter(range(25))
        assert controller.stats()["inputs"] == []
        found = totals(controller)
        assert found["total_input_records"] == found["total_processed_records"] == 25
        wait(controller, lambda: totals(controller)["pipeline_complete"])


def test_an_ad_hoc_insert_waits_while_the_pipeline_is_paused() -> None:
    from tests.pipeline.support import rows

    with running(simple_program(), initial="paused") as controller:
        done = threading.Event()
        thread = threading.Thread(target=lambda: (controller.insert("t", rows(0, 3)), done.set()))
        thread.start()
        assert not done.wait(0.05)
        assert totals(controller)["total_input_records"] == 0
        controller.resume()
        assert done.wait(20)
        thread.join()
        assert ids(controller) == Counter(range(3))
