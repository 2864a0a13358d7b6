"""The deployment's machines: which wish is legal when, and what each step changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.errors import MillstreamError
from millstream.manager import lifecycle
from millstream.manager.lifecycle import StartRequest
from millstream.manager.models import Pipeline
from tests.manager.support import (
    LATER,
    NOW,
    PROCESS,
    compiled,
    failed,
    initializing,
    new_pipeline,
    provisioning,
    running,
    stopped,
    stopping,
    wanted,
    with_error,
)

FRESH = new_pipeline()
READY = compiled(FRESH)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MillstreamError) as caught:
        action()
    return caught.value.error_code


@pytest.mark.parametrize(
    ("p", "request_", "code"),
    [
        (stopping(READY), StartRequest(), "IllegalPipelineAction"),
        (lifecycle.stop(running(READY), LATER), StartRequest(), "IllegalPipelineAction"),
        (with_error(READY), StartRequest(dismiss_error=False), "CannotStartWithUndismissedError"),
        (lifecycle.clear(stopped(READY)), StartRequest(), "CannotStartWhileClearingStorage"),
        (failed(FRESH), StartRequest(), "CannotStartWithCompilationError"),
        (running(READY), StartRequest("Paused"), "InitialImmutableUnlessStopped"),
        (running(READY), StartRequest(bootstrap_policy="allow"), "BootstrapPolicyImmutableUnlessStopped"),
        (running(READY), StartRequest(silent_bootstrap=True), "BootstrapPolicyImmutableUnlessStopped"),
        (READY, StartRequest("Standby"), "InitialStandbyNotAllowed"),
    ],
)
def test_start_is_refused(p: Pipeline, request_: StartRequest, code: str) -> None:
    assert code_of(lambda: lifecycle.start(p, request_, LATER)) == code


def test_the_first_check_that_fails_decides() -> None:
    stopping_with_error = replace(stopping(READY), deployment_error={"message": "x"})
    request = StartRequest("Standby", dismiss_error=False)
    assert code_of(lambda: lifecycle.start(stopping_with_error, request, LATER)) == "IllegalPipelineAction"
    clearing_with_error = replace(with_error(READY), storage_status="Clearing")
    assert code_of(lambda: lifecycle.start(clearing_with_error, request, LATER)) == "CannotStartWithUndismissedError"


def test_illegal_action_names_both_statuses() -> None:
    with pytest.raises(MillstreamError) as caught:
        lifecycle.start(stopping(READY), StartRequest(), LATER)
    assert caught.value.status == 400
    assert caught.value.message.startswith(
        "Deployment resources status (current: 'Stopping', desired: 'Stopped') cannot have desired changed to "
        "'Provisioned'. Cannot restart the pipeline while it is stopping."
    )
    assert set(caught.value.details) == {"status", "current_desired_status", "new_desired_status", "hint"}


@pytest.mark.parametrize("p", [wanted(FRESH), wanted(READY), provisioning(READY), initializing(READY), running(READY)])
def test_the_same_start_again_changes_nothing(p: Pipeline) -> None:
    assert lifecycle.start(p, StartRequest(), LATER) is p


def test_start_dismisses_an_error_unless_told_not_to() -> None:
    assert wanted(with_error(READY)).deployment_error is None


def test_desired_status_shows_what_the_pipeline_will_become() -> None:
    assert wanted(READY, initial="Paused").deployment_desired_status == "Paused"
    assert provisioning(READY).deployment_status == "Provisioning"
    assert initializing(READY).deployment_status == "Initializing"
    assert running(READY).deployment_status == "Running"
    assert lifecycle.stop(running(READY), LATER).deployment_desired_status == "Stopped"


def test_stop_is_always_accepted() -> None:
    for p in (FRESH, READY, wanted(READY), provisioning(READY), running(READY), stopping(READY), stopped(READY)):
        after = lifecycle.stop(p, LATER)
        assert after.resources_desired_status == "Stopped"
        assert lifecycle.stop(after, LATER) is after


def test_stop_before_the_process_exists_takes_the_wish_back() -> None:
    after = lifecycle.stop(wanted(FRESH, initial="Paused"), LATER)
    assert after.fully_stopped
    assert after.deployment_initial is None


def test_an_early_start_ends_when_the_program_fails() -> None:
    after = lifecycle.fail_early_start(wanted(FRESH), "no such table", LATER)
    assert after.fully_stopped
    assert after.deployment_error is not None
    assert after.deployment_error["error_code"] == "StartFailedDueToFailedCompilation"
    assert after.deployment_error["details"] == {"compiler_error": "no such table"}


def test_provisioning_makes_a_deployment_and_forgets_the_last_error() -> None:
    p = provisioning(with_error(READY))
    assert (p.deployment_id, p.deployment_error) == ("deployment-1", None)
    assert p.storage_status == "InUse"
    assert p.storage_status_details == {"checkpoints": []}


def test_runtime_details_are_there_exactly_with_a_runtime_status() -> None:
    for p in (READY, provisioning(READY), initializing(READY), running(READY), stopping(READY), stopped(READY)):
        assert (p.runtime_status is None) == (p.runtime_status_details is None)
    assert initializing(READY).runtime_status_details == {"reason": "initializing set by the runner"}
    assert running(READY).runtime_status_details == {"connector_stats": {"num_errors": 0}}


def test_stopping_forgets_the_deployment_but_keeps_the_error() -> None:
    error = {"message": "boom", "error_code": "X", "details": None}
    p = lifecycle.stopping(lifecycle.give_up(running(READY), LATER), error, LATER)
    assert p.deployment_error == error
    assert (p.deployment_initial, p.runtime_status, p.runtime_desired_status) == (None, None, None)
    assert p.process == PROCESS  # the runner still has to end it
    after = lifecycle.stopped(p, LATER)
    assert (after.deployment_id, after.process, after.deployment_error) == (None, None, error)


def test_pause_changes_status_and_desired_status_together() -> None:
    p = lifecycle.set_runtime_desired(running(READY), "Paused", True, LATER)
    assert (p.runtime_status, p.runtime_desired_status) == ("Paused", "Paused")
    assert p.runtime_status_since == p.runtime_desired_status_since == LATER


def test_pause_while_initializing_changes_only_what_it_becomes() -> None:
    p = lifecycle.set_runtime_desired(initializing(READY), "Paused", False, LATER)
    assert (p.runtime_status, p.runtime_desired_status) == ("Initializing", "Paused")


def test_what_a_process_says_after_stop_was_asked_for_is_ignored() -> None:
    p = lifecycle.stop(running(READY), LATER)
    assert lifecycle.observe_runtime(p, "Paused", {}, LATER) is p


@pytest.mark.parametrize("p", [wanted(READY), provisioning(READY), running(READY), stopping(READY)])
def test_clear_needs_a_stopped_pipeline(p: Pipeline) -> None:
    with pytest.raises(MillstreamError) as caught:
        lifecycle.clear(p)
    assert caught.value.error_code == "StorageStatusImmutableUnlessStopped"
    assert caught.value.details == {
        "resources_status": p.resources_status,
        "resources_desired_status": p.resources_desired_status,
        "current_status": p.storage_status,
        "new_status": "Clearing",
    }


def test_storage_goes_from_use_over_clearing_to_cleared() -> None:
    clearing = lifecycle.clear(stopped(READY))
    assert (clearing.storage_status, clearing.storage_status_details) == ("Clearing", None)
    assert lifecycle.clear(clearing) is clearing
    cleared = lifecycle.cleared(clearing)
    assert cleared.storage_status == "Cleared"
    assert lifecycle.clear(cleared) is cleared


def test_an_error_can_be_dismissed_only_when_fully_stopped() -> None:
    assert lifecycle.dismiss_error(with_error(READY)).deployment_error is None
    assert lifecycle.dismiss_error(running(READY)) == running(READY)
    error = {"message": "boom"}
    failing = lifecycle.stopping(lifecycle.give_up(running(READY), LATER), error, LATER)
    assert code_of(lambda: lifecycle.dismiss_error(failing)) == "DismissErrorRestrictedToFullyStopped"


def test_refresh_version_counts_steps_and_not_wishes() -> None:
    p = READY
    assert p.refresh_version == 3
    p = wanted(p)
    assert p.refresh_version == 3
    assert running(READY).refresh_version == 6
    assert lifecycle.stop(running(READY), LATER).refresh_version == 6
    assert stopped(READY).refresh_version == 8
    assert lifecycle.cleared(lifecycle.clear(stopped(READY))).refresh_version == 8


STEPS: dict[str, Callable[[Pipeline], Pipeline]] = {
    "start": lambda p: lifecycle.start(p, StartRequest(), NOW),
    "start paused": lambda p: lifecycle.start(p, StartRequest("Paused"), NOW),
    "stop": lambda p: lifecycle.stop(p, NOW),
    "pause": lambda p: lifecycle.set_runtime_desired(p, "Paused", True, NOW),
    "resume": lambda p: lifecycle.set_runtime_desired(p, "Running", True, NOW),
    "clear": lifecycle.clear,
    "dismiss": lifecycle.dismiss_error,
    "cleared": lifecycle.cleared,
    "use storage": lambda p: lifecycle.use_storage(p) if p.resources_desired_status == "Provisioned" else p,
    "provisioning": lambda p: lifecycle.provisioning(p, "d", NOW),
    "provisioned": lambda p: lifecycle.provisioned(p, PROCESS, {}, NOW),
    "observe": lambda p: lifecycle.observe_runtime(p, "Running", {}, NOW),
    "give up": lambda p: lifecycle.give_up(p, NOW),
    "stopping": lambda p: lifecycle.stopping(p, None, NOW) if p.resources_desired_status == "Stopped" else p,
    "stopped": lambda p: lifecycle.stopped(p, NOW),
}
LEGAL = {
    ("Stopped", "Provisioning"),
    ("Provisioning", "Provisioned"),
    ("Provisioning", "Stopping"),
    ("Provisioned", "Stopping"),
    ("Stopping", "Stopped"),
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=40))
def test_whatever_happens_the_invariants_hold(names: list[str]) -> None:
    p = READY
    for name in names:
        before = p
        try:
            p = STEPS[name](p)
        except MillstreamError:
            continue
        if p.resources_status != before.resources_status:
            assert (before.resources_status, p.resources_status) in LEGAL
        assert (p.runtime_status is None) == (p.runtime_status_details is None)
        assert (p.runtime_status is not None) == (p.resources_status == "Provisioned")
        assert (p.deployment_id is None) == (p.resources_status == "Stopped")
        assert (p.deployment_initial is None) or p.resources_status != "Stopping"
        assert p.refresh_version >= before.refresh_version
        if p.resources_status == "Stopped" and p.resources_desired_status == "Stopped":
            assert p.deployment_initial is None
            assert p.process is None
