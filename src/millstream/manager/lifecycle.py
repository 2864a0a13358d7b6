"""The deployment's state machines (api.md §10) as pure functions on `Pipeline`.

Three machines run side by side: *resources* (Stopped -> Provisioning -> Provisioned -> Stopping -> Stopped) says
whether there is a process, *runtime* what that process says of itself, *storage* whether there is data on disk.
Users only change what is desired (`start`, `stop`, `set_runtime_desired`, `clear`, `dismiss_error`); the runner takes
the steps. Each function is one transaction and one event. `refresh_version` counts steps of the runner, not wishes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from millstream.manager import errors
from millstream.manager.models import (
    FAILED_PROGRAM,
    BootstrapPolicy,
    Pipeline,
    RuntimeDesired,
    RuntimeStatus,
)


@dataclass(frozen=True, slots=True)
class StartRequest:
    """The query of /start, with its defaults."""

    initial: RuntimeDesired = "Running"
    bootstrap_policy: BootstrapPolicy = "await_approval"
    silent_bootstrap: bool = False
    concurrent_bootstrap: bool = False
    dismiss_error: bool = True


def start(p: Pipeline, request: StartRequest, now: str) -> Pipeline:
    """Wants the pipeline deployed. The first check that fails decides the error."""
    if p.resources_desired_status == "Stopped" and p.resources_status != "Stopped":
        raise errors.illegal_action(
            p.resources_status,
            p.resources_desired_status,
            "Provisioned",
            "Cannot restart the pipeline while it is stopping. "
            "Wait for it to stop before starting a new instance of the pipeline.",
        )
    if p.deployment_error is not None and not request.dismiss_error:
        raise errors.undismissed_error()
    if p.storage_status == "Clearing":
        raise errors.start_while_clearing()
    if p.program_status in FAILED_PROGRAM:
        raise errors.start_with_compilation_error()
    already = p.resources_desired_status == "Provisioned"
    if already and p.deployment_initial != request.initial:
        raise errors.initial_immutable()
    bootstrap = (request.bootstrap_policy, request.silent_bootstrap, request.concurrent_bootstrap)
    if already and (p.bootstrap_policy, p.silent_bootstrap, p.concurrent_bootstrap) != bootstrap:
        raise errors.bootstrap_immutable()
    if request.initial == "Standby" and not _has_sync(p.runtime_config):
        raise errors.standby_not_allowed()
    if already:
        return p
    return replace(
        p,
        resources_desired_status="Provisioned",
        resources_desired_status_since=now,
        deployment_initial=request.initial,
        bootstrap_policy=request.bootstrap_policy,
        silent_bootstrap=request.silent_bootstrap,
        concurrent_bootstrap=request.concurrent_bootstrap,
        deployment_error=None,
    )


def _has_sync(runtime_config: dict[str, Any]) -> bool:
    backend = (runtime_config.get("storage") or {}).get("backend") or {}
    return backend.get("name") == "file" and (backend.get("config") or {}).get("sync") is not None


def stop(p: Pipeline, now: str) -> Pipeline:
    """Wants the pipeline stopped at once (force). Legal in every state."""
    if p.resources_desired_status == "Stopped":
        return p
    stopped = replace(p, resources_desired_status="Stopped", resources_desired_status_since=now)
    if p.resources_status == "Stopped":
        # The pipeline still waited for its program: there is nothing to take down.
        return replace(stopped, **_NO_DEPLOYMENT)
    return stopped


def set_runtime_desired(p: Pipeline, wanted: RuntimeDesired, applied: bool, now: str) -> Pipeline:
    """Wants the running process paused or running. `applied`: the process has already done it, so that status and
    desired status change together."""
    if p.resources_status != "Provisioned":
        return p
    if p.runtime_desired_status != wanted:
        p = replace(p, runtime_desired_status=wanted, runtime_desired_status_since=now)
    if applied and p.runtime_status != wanted and wanted != "Standby":
        p = _runtime(p, wanted, dict(p.runtime_status_details or {}), now)
    return p


def dismiss_error(p: Pipeline) -> Pipeline:
    """Forgets the deployment error."""
    if p.deployment_error is None:
        return p
    if not p.fully_stopped:
        raise errors.dismiss_restricted()
    return replace(p, deployment_error=None)


def clear(p: Pipeline) -> Pipeline:
    """Wants the storage cleared."""
    if not p.fully_stopped:
        raise errors.storage_immutable(p.resources_status, p.resources_desired_status, p.storage_status, "Clearing")
    if p.storage_status != "InUse":
        return p
    return replace(p, storage_status="Clearing", storage_status_details=None)


# Steps of the runner


def cleared(p: Pipeline) -> Pipeline:
    """Clearing -> Cleared."""
    return replace(p, storage_status="Cleared") if p.storage_status == "Clearing" else p


def use_storage(p: Pipeline) -> Pipeline:
    """Cleared -> InUse, just before provisioning."""
    if p.storage_status != "Cleared":
        return p
    return replace(p, storage_status="InUse", storage_status_details={"checkpoints": []})


def fail_early_start(p: Pipeline, compiler_error: str, now: str) -> Pipeline:
    """The program that a start waited for did not compile."""
    if p.resources_status != "Stopped" or p.resources_desired_status != "Provisioned":
        return p
    return replace(
        p,
        **_NO_DEPLOYMENT,
        resources_desired_status="Stopped",
        resources_desired_status_since=now,
        deployment_error=errors.failed_compilation(compiler_error).to_json(),
    )


def provisioning(p: Pipeline, deployment_id: str, now: str) -> Pipeline:
    """Stopped -> Provisioning, unless no longer wanted."""
    if p.resources_status != "Stopped" or p.resources_desired_status != "Provisioned":
        return p
    return replace(
        p,
        resources_status="Provisioning",
        resources_status_since=now,
        deployment_id=deployment_id,
        deployment_error=None,
        refresh_version=p.refresh_version + 1,
    )


def provisioned(p: Pipeline, process: dict[str, Any], details: dict[str, Any], now: str) -> Pipeline:
    """Provisioning -> Provisioned: the process answers and initialises."""
    if p.resources_status != "Provisioning":
        return p
    return replace(
        p,
        resources_status="Provisioned",
        resources_status_since=now,
        resources_status_details=details,
        runtime_status="Initializing",
        runtime_status_since=now,
        runtime_status_details={"reason": "initializing set by the runner"},
        runtime_desired_status=p.deployment_initial,
        runtime_desired_status_since=now,
        process=process,
        refresh_version=p.refresh_version + 1,
    )


def observe_runtime(p: Pipeline, status: RuntimeStatus, details: dict[str, Any], now: str) -> Pipeline:
    """What the process says of itself."""
    if p.resources_status != "Provisioned" or p.resources_desired_status != "Provisioned":
        return p
    if p.runtime_status == status and p.runtime_status_details == details:
        return p
    return _runtime(p, status, details, now)


def give_up(p: Pipeline, now: str) -> Pipeline:
    """The runner itself wants the pipeline stopped: recorded before any status changes."""
    return stop(p, now)


def stopping(p: Pipeline, error: dict[str, Any] | None, now: str) -> Pipeline:
    """Provisioning or Provisioned -> Stopping; everything about the deployment is forgotten but its error."""
    if p.resources_status not in ("Provisioning", "Provisioned"):
        return p
    return replace(
        p,
        **_NO_DEPLOYMENT,
        resources_status="Stopping",
        resources_status_since=now,
        resources_status_details=None,
        runtime_status=None,
        runtime_status_since=None,
        runtime_status_details=None,
        runtime_desired_status=None,
        runtime_desired_status_since=None,
        deployment_error=error if error is not None else p.deployment_error,
        refresh_version=p.refresh_version + 1,
    )


def stopped(p: Pipeline, now: str) -> Pipeline:
    """Stopping -> Stopped."""
    if p.resources_status != "Stopping":
        return p
    return replace(
        p,
        resources_status="Stopped",
        resources_status_since=now,
        deployment_id=None,
        process=None,
        refresh_version=p.refresh_version + 1,
    )


_NO_DEPLOYMENT: dict[str, Any] = {
    "deployment_initial": None,
    "bootstrap_policy": None,
    "silent_bootstrap": False,
    "concurrent_bootstrap": False,
}


def _runtime(p: Pipeline, status: RuntimeStatus, details: dict[str, Any], now: str) -> Pipeline:
    if p.runtime_status == "Initializing" and status != "Initializing":
        details = {key: value for key, value in details.items() if key != "reason"}
    since = p.runtime_status_since if p.runtime_status == status else now
    return replace(
        p,
        runtime_status=status,
        runtime_status_since=since,
        runtime_status_details=details,
        refresh_version=p.refresh_version + 1,
    )
