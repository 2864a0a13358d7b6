"""A pipeline as the control plane knows it, and the JSON forms in which the API shows it (api.md §5).

`Pipeline` is one frozen record: what the user wrote, what the compiler found, and where the deployment stands.
State changes are functions that return another record; the store persists the difference. Timestamps are the API's
text form, so they compare and serialise as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

ProgramStatus = Literal[
    "Pending",
    "CompilingSql",
    "SqlCompiled",
    "CompilingRust",
    "Success",
    "SqlError",
    "RustError",
    "SystemError",
]
StorageStatus = Literal["Cleared", "InUse", "Clearing"]
ResourcesStatus = Literal["Stopped", "Provisioning", "Provisioned", "Stopping"]
ResourcesDesired = Literal["Stopped", "Provisioned"]
RuntimeStatus = Literal["Initializing", "Unavailable", "Running", "Paused"]
RuntimeDesired = Literal["Running", "Paused", "Standby"]
BootstrapPolicy = Literal["allow", "reject", "await_approval"]
Selector = Literal["all", "status", "status_with_connectors"]

FAILED_PROGRAM: frozenset[str] = frozenset({"SqlError", "RustError", "SystemError"})
NO_PROGRAM_ERROR: dict[str, Any] = {"sql_compilation": None, "rust_compilation": None, "system_error": None}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline. Field names are the API's, without the prefix `deployment_` where that is plain.

    `process` tells the runner how to find the operating-system process again (see `process.ProcessHandle`); it is
    never shown. `runtime_details` is non-null exactly while `runtime_status` is.
    """

    id: str
    name: str
    created_at: str
    platform_version: str
    runtime_config: dict[str, Any]
    program_code: str
    program_config: dict[str, Any]
    program_status_since: str
    resources_status_since: str
    resources_desired_status_since: str
    description: str = ""
    tags: tuple[str, ...] = ()
    udf_rust: str = ""
    udf_toml: str = ""
    udf_python: str = ""
    version: int = 1
    program_version: int = 1
    refresh_version: int = 1
    program_status: ProgramStatus = "Pending"
    program_error: dict[str, Any] = field(default_factory=lambda: dict(NO_PROGRAM_ERROR))
    program_info: dict[str, Any] | None = None
    storage_status: StorageStatus = "Cleared"
    storage_status_details: dict[str, Any] | None = None
    deployment_id: str | None = None
    deployment_initial: RuntimeDesired | None = None
    deployment_error: dict[str, Any] | None = None
    bootstrap_policy: BootstrapPolicy | None = None
    silent_bootstrap: bool = False
    concurrent_bootstrap: bool = False
    resources_status: ResourcesStatus = "Stopped"
    resources_status_details: dict[str, Any] | None = None
    resources_desired_status: ResourcesDesired = "Stopped"
    runtime_status: RuntimeStatus | None = None
    runtime_status_since: str | None = None
    runtime_status_details: dict[str, Any] | None = None
    runtime_desired_status: RuntimeDesired | None = None
    runtime_desired_status_since: str | None = None
    process: dict[str, Any] | None = None

    @property
    def deployment_status(self) -> str:
        """The combined status of api.md §10.1."""
        if self.resources_status == "Provisioned":
            return self.runtime_status or "Unavailable"
        return self.resources_status

    @property
    def deployment_desired_status(self) -> str:
        """The combined desired status of api.md §10.1."""
        if self.resources_desired_status == "Stopped":
            return "Stopped"
        return self.runtime_desired_status or self.deployment_initial or "Running"

    @property
    def fully_stopped(self) -> bool:
        return self.resources_status == "Stopped" and self.resources_desired_status == "Stopped"


def _common(p: Pipeline) -> dict[str, Any]:
    """The 30 keys that every answer has."""
    return {
        "id": p.id,
        "name": p.name,
        "description": p.description,
        "tags": list(p.tags),
        "created_at": p.created_at,
        "version": p.version,
        "platform_version": p.platform_version,
        "program_config": p.program_config,
        "program_version": p.program_version,
        "program_status": p.program_status,
        "program_status_since": p.program_status_since,
        "deployment_error": p.deployment_error,
        "refresh_version": p.refresh_version,
        "storage_status": p.storage_status,
        "storage_status_details": p.storage_status_details,
        "deployment_id": p.deployment_id,
        "deployment_initial": p.deployment_initial,
        "deployment_status": p.deployment_status,
        "deployment_status_since": max(p.resources_status_since, p.runtime_status_since or ""),
        "deployment_desired_status": p.deployment_desired_status,
        "deployment_desired_status_since": max(p.resources_desired_status_since, p.runtime_desired_status_since or ""),
        "deployment_resources_status": p.resources_status,
        "deployment_resources_status_since": p.resources_status_since,
        "deployment_resources_desired_status": p.resources_desired_status,
        "deployment_resources_desired_status_since": p.resources_desired_status_since,
        "deployment_runtime_status": p.runtime_status,
        "deployment_runtime_status_since": p.runtime_status_since,
        "deployment_runtime_status_details": p.runtime_status_details,
        "deployment_runtime_desired_status": p.runtime_desired_status,
        "deployment_runtime_desired_status_since": p.runtime_desired_status_since,
    }


def _bootstrap(p: Pipeline) -> dict[str, Any]:
    return {
        "bootstrap_policy": p.bootstrap_policy,
        "silent_bootstrap": p.silent_bootstrap,
        "concurrent_bootstrap": p.concurrent_bootstrap,
    }


def pipeline_info(p: Pipeline) -> dict[str, Any]:
    """The answer of create and update (`PipelineInfo`, 38 keys: Feldera's and `udf_python`)."""
    return {
        **_common(p),
        "runtime_config": p.runtime_config,
        "program_code": p.program_code,
        "udf_rust": p.udf_rust,
        "udf_toml": p.udf_toml,
        "udf_python": p.udf_python,
        "program_error": p.program_error,
        "program_info": p.program_info,
        "deployment_resources_status_details": p.resources_status_details,
    }


def selected_info(p: Pipeline, selector: Selector) -> dict[str, Any]:
    """The answer of GET for a selector: 41 keys for `all`, 33 for `status` (plus `connectors` if known)."""
    if selector == "all":
        return {**pipeline_info(p), **_bootstrap(p)}
    info = {**_common(p), **_bootstrap(p)}
    if selector == "status_with_connectors":
        info["connectors"] = (p.runtime_status_details or {}).get("connector_stats")
    return info


def pipeline_event(p: Pipeline, event_id: str, recorded_at: str) -> dict[str, Any]:
    """What an event records of a pipeline (api.md §22.2), all 13 keys."""
    return {
        "event_id": event_id,
        "recorded_at": recorded_at,
        "deployment_resources_status": p.resources_status,
        "deployment_resources_status_details": p.resources_status_details,
        "deployment_resources_desired_status": p.resources_desired_status,
        "deployment_runtime_status": p.runtime_status,
        "deployment_runtime_status_details": p.runtime_status_details,
        "deployment_runtime_desired_status": p.runtime_desired_status,
        "deployment_has_error": p.deployment_error is not None,
        "deployment_error": p.deployment_error,
        "program_status": p.program_status,
        "storage_status": p.storage_status,
        "storage_status_details": p.storage_status_details,
    }
