"""Completion tokens (connectors.md §7)."""

from __future__ import annotations

import base64
import json
import uuid

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline import input_endpoint
from tests.pipeline.support import (
    ScriptedInput,
    ScriptedOutput,
    metrics,
    ndjson,
    rows,
    running,
    scripted,
    scripted_output,
    simple_program,
    totals,
    wait,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")

C = "t.c"


def test_a_token_is_the_documented_object_in_base64url_without_padding() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        token = controller.completion_token(C)
        assert "=" not in token
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        assert body == {"u": str(controller.incarnation), "e": 1, "c": 0}
        assert controller.completion_status(token)["status"] == "complete"


def test_a_token_completes_when_every_output_has_delivered_its_records() -> None:
    outputs = {"slow": scripted_output(blocked=True), "fast": scripted_output()}
    with running(simple_program({"c": scripted()}, outputs), manual_stepping=True) as controller:
        ScriptedInput.instances[C].offer(rows(0, 10))
        wait(controller, lambda: metrics(controller, C)["total_records"] == 10)
        token = controller.completion_token(C)
        assert controller.completion_status(token) == {"status": "inprogress", "step": None}
        controller.step()
        wait(controller, lambda: controller.output_stats("v.fast")["metrics"]["transmitted_records"] == 10)
        assert controller.completion_status(token) == {"status": "inprogress", "step": 2}
        ScriptedOutput.instances["v.slow"].open_gate.set()
        wait(controller, lambda: controller.completion_status(token)["status"] == "complete")
        assert controller.completion_status(token) == {"status": "complete", "step": 2}


def test_each_token_completes_with_the_step_that_took_its_last_record() -> None:
    with running(simple_program({"c": scripted(max_batch_size=3)}), manual_stepping=True) as controller:
        tokens = []
        for first in range(0, 8, 2):
            ScriptedInput.instances[C].offer(rows(first, 2))
            wait(controller, lambda count=first + 2: metrics(controller, C)["total_records"] == count)  # type: ignore[misc]  # a default binds the loop's value
            tokens.append(controller.completion_token(C))
        done: list[list[bool]] = []
        for _ in range(3):
            controller.step()
            done.append([controller.completion_status(token)["status"] == "complete" for token in tokens])
        assert done == [[True, False, False, False], [True, True, True, False], [True] * 4]
        assert [controller.completion_status(token)["step"] for token in tokens] == [2, 3, 3, 4]


def test_steps_of_long_ago_are_forgotten_but_their_tokens_stay_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_endpoint, "COMPLETED_STEPS_KEPT", 3)
    with running(simple_program(), manual_stepping=True) as controller:
        tokens = []
        for number in range(10):
            controller.push("t", rows(number, 1))
            controller.step()
            tokens.append(controller.completion_token("t.push"))
        assert [controller.completion_status(token) for token in tokens[:7]] == [
            {"status": "complete", "step": None}
        ] * 7
        assert [controller.completion_status(token)["step"] for token in tokens[7:]] == [9, 10, 11]


def test_ingress_in_a_paused_pipeline_is_completed_when_its_data_was_forced_in() -> None:
    with running(simple_program(), initial="paused") as controller:
        request = controller.ingress_endpoint("t", "json", {"update_format": "raw"})
        request.push(ndjson(0, 5), end=True, force=True)
        token, _ = request.finish()
        wait(controller, lambda: controller.completion_status(token)["status"] == "complete")


@pytest.mark.parametrize(
    "text",
    ["", "x", "ünï", "bm90IGpzb24", base64.urlsafe_b64encode(b"[]").decode(), base64.urlsafe_b64encode(b"{}").decode()],
)
def test_nonsense_is_not_a_token(text: str) -> None:
    with running(simple_program()) as controller:
        with pytest.raises(MillstreamError) as caught:
            controller.completion_status(text)
        assert (caught.value.error_code, caught.value.status) == ("InvalidParam", 400)


def test_tokens_of_other_processes_and_of_unknown_endpoints_are_gone() -> None:
    with running(simple_program({"c": scripted()})) as controller:
        with running(simple_program({"c": scripted()}), incarnation=uuid.uuid4()) as other:
            foreign = other.completion_token(C)
        with pytest.raises(MillstreamError) as restarted:
            controller.completion_status(foreign)
        assert (restarted.value.error_code, restarted.value.status) == ("PipelineRestarted", 410)
        body = json.dumps({"u": str(controller.incarnation), "e": 77, "c": 1})
        with pytest.raises(MillstreamError) as unknown:
            controller.completion_status(base64.urlsafe_b64encode(body.encode()).decode())
        assert (unknown.value.error_code, unknown.value.status) == ("UnknownEndpointInCompletionToken", 410)
        assert unknown.value.details == {"endpoint_id": 77}
        assert totals(controller)["state"] == "Running"


def test_steps_beyond_those_that_may_wait_for_an_output_complete_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_endpoint, "MAX_PENDING_STEPS", 3)
    outputs = {"slow": scripted_output(blocked=True)}
    with running(simple_program({"c": scripted()}, outputs), manual_stepping=True) as controller:
        tokens = []
        for number in range(6):
            ScriptedInput.instances[C].offer(rows(number, 1))
            wait(controller, lambda count=number + 1: metrics(controller, C)["total_records"] == count)  # type: ignore[misc]  # a default binds the loop's value
            controller.step()
            tokens.append(controller.completion_token(C))
        found = [controller.completion_status(token) for token in tokens]
        assert found == [{"status": "inprogress", "step": step} for step in (2, 3, 7, 7, 7, 7)]
        ScriptedOutput.instances["v.slow"].open_gate.set()
        for token in reversed(tokens):
            wait(controller, lambda t=token: controller.completion_status(t)["status"] == "complete")  # type: ignore[misc]  # a default binds the loop's value
