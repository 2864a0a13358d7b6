"""The control plane's errors (api.md §3.2), one constructor each, so that a code, its text, its details and its
HTTP status are written down once."""

from __future__ import annotations

from typing import Any

from millstream.errors import MillstreamError


def unknown_pipeline(name: str) -> MillstreamError:
    return MillstreamError("UnknownPipelineName", f"Unknown pipeline name '{name}'", {"pipeline_name": name}, 404)


def duplicate_name() -> MillstreamError:
    return MillstreamError("DuplicateName", "An entity with this name already exists", None, 409)


def empty_name() -> MillstreamError:
    return MillstreamError("EmptyName", "Name cannot be empty")


def too_long_name(name: str, maximum: int) -> MillstreamError:
    return MillstreamError(
        "TooLongName",
        f"Name '{name}' has {len(name)} characters, which exceeds the maximum of {maximum}",
        {"name": name, "length": len(name), "maximum": maximum},
    )


def name_does_not_match(name: str, pattern: str, description: str) -> MillstreamError:
    return MillstreamError(
        "NameDoesNotMatchPattern",
        f"Name '{name}' should {description} (pattern: '{pattern}')",
        {"name": name, "pattern": pattern, "pattern_description": description},
    )


def invalid_tag(tag: str, reason: str) -> MillstreamError:
    return MillstreamError("InvalidTag", f"Tag '{tag}' is not valid: {reason}", {"tag": tag, "reason": reason})


def too_many_tags(count: int, maximum: int) -> MillstreamError:
    return MillstreamError(
        "TooManyTags",
        f"A pipeline can have at most {maximum} tags, but {count} were given",
        {"count": count, "maximum": maximum},
    )


def too_long_description(length: int, maximum: int) -> MillstreamError:
    return MillstreamError(
        "TooLongDescription",
        f"The description has {length} characters, which exceeds the maximum of {maximum}",
        {"length": length, "maximum": maximum},
    )


def invalid_runtime_config(value: Any, error: str) -> MillstreamError:
    return MillstreamError(
        "InvalidRuntimeConfig", f"Runtime configuration is not valid: {error}", {"value": value, "error": error}
    )


def invalid_program_config(value: Any, error: str) -> MillstreamError:
    return MillstreamError(
        "InvalidProgramConfig", f"Program configuration is not valid: {error}", {"value": value, "error": error}
    )


def cannot_rename_missing() -> MillstreamError:
    return MillstreamError(
        "CannotRenameNonExistingPipeline",
        "Cannot rename a pipeline that does not exist: the name in the request body must equal the name in the URL",
    )


def update_restricted_to_stopped() -> MillstreamError:
    return MillstreamError(
        "UpdateRestrictedToStopped",
        "Pipeline can only be updated while stopped. Stop it first by invoking '/stop'.",
    )


def edit_restricted_to_cleared_storage(fields: list[str]) -> MillstreamError:
    quoted = [f"`{name}`" for name in fields]
    return MillstreamError(
        "EditRestrictedToClearedStorage",
        f"The following pipeline edits are not allowed while storage is not cleared: {', '.join(quoted)}. "
        "Clear it first by invoking '/clear'.",
        {"not_allowed": quoted},
    )


def delete_restricted_to_stopped() -> MillstreamError:
    return MillstreamError(
        "DeleteRestrictedToFullyStopped",
        "Cannot delete a pipeline which is not fully stopped. "
        "Stop the pipeline first fully by invoking the '/stop' endpoint.",
    )


def delete_restricted_to_cleared() -> MillstreamError:
    return MillstreamError(
        "DeleteRestrictedToClearedStorage",
        "Cannot delete a pipeline whose storage is not cleared. "
        "Clear the storage first by invoking the '/clear' endpoint.",
    )


def illegal_action(status: str, current_desired: str, new_desired: str, hint: str) -> MillstreamError:
    return MillstreamError(
        "IllegalPipelineAction",
        f"Deployment resources status (current: '{status}', desired: '{current_desired}') "
        f"cannot have desired changed to '{new_desired}'. {hint}",
        {
            "status": status,
            "current_desired_status": current_desired,
            "new_desired_status": new_desired,
            "hint": hint,
        },
    )


def undismissed_error() -> MillstreamError:
    return MillstreamError(
        "CannotStartWithUndismissedError",
        "Cannot start the pipeline while it has a deployment error that was not dismissed. "
        "Dismiss it first by invoking '/dismiss_error', or start with 'dismiss_error=true'.",
    )


def start_while_clearing() -> MillstreamError:
    return MillstreamError(
        "CannotStartWhileClearingStorage",
        "Cannot start the pipeline while its storage is being cleared. Wait until the storage is cleared.",
    )


def start_with_compilation_error() -> MillstreamError:
    return MillstreamError(
        "CannotStartWithCompilationError",
        "Cannot start a pipeline whose program failed to compile. Correct the program first.",
    )


def failed_compilation(compiler_error: str) -> MillstreamError:
    return MillstreamError(
        "StartFailedDueToFailedCompilation",
        f"Pipeline could not be started because its program failed to compile: {compiler_error}",
        {"compiler_error": compiler_error},
    )


def initial_immutable() -> MillstreamError:
    return MillstreamError(
        "InitialImmutableUnlessStopped",
        "The initial status cannot be changed while the pipeline is not stopped. Stop the pipeline first.",
    )


def bootstrap_immutable() -> MillstreamError:
    return MillstreamError(
        "BootstrapPolicyImmutableUnlessStopped",
        "The bootstrap settings cannot be changed while the pipeline is not stopped. Stop the pipeline first.",
    )


def bad_bootstrap() -> MillstreamError:
    reason = "'silent_bootstrap' and 'concurrent_bootstrap' cannot both be true"
    return MillstreamError("InvalidBootstrapConfig", f"Invalid bootstrap settings: {reason}", {"reason": reason})


def standby_not_allowed() -> MillstreamError:
    return MillstreamError(
        "InitialStandbyNotAllowed",
        "A pipeline can only start as 'standby' if its storage backend is 'file' with 'sync' configured",
    )


def dismiss_restricted() -> MillstreamError:
    return MillstreamError(
        "DismissErrorRestrictedToFullyStopped",
        "The deployment error can only be dismissed while the pipeline is fully stopped. Stop the pipeline first.",
    )


def storage_immutable(status: str, desired: str, current: str, new: str) -> MillstreamError:
    return MillstreamError(
        "StorageStatusImmutableUnlessStopped",
        f"Storage status cannot be changed from '{current}' to '{new}' unless the pipeline is stopped "
        f"(resources status: '{status}', desired: '{desired}'). Stop the pipeline first.",
        {
            "resources_status": status,
            "resources_desired_status": desired,
            "current_status": current,
            "new_status": new,
        },
    )


def invalid_uuid(value: str, error: str) -> MillstreamError:
    return MillstreamError("InvalidUuidParam", f"'{value}' is not a UUID: {error}", {"value": value, "error": error})


def invalid_connector_action(action: str) -> MillstreamError:
    return MillstreamError(
        "InvalidConnectorAction",
        f"Invalid connector action '{action}'; valid actions are: 'start' or 'pause'",
        {"action": action},
    )


def unsupported_action(action: str, reason: str) -> MillstreamError:
    return MillstreamError(
        "UnsupportedPipelineAction",
        f"Unsupported pipeline action '{action}': {reason}",
        {"action": action, "reason": reason},
        405,
    )


def enterprise_feature(feature: str) -> MillstreamError:
    return MillstreamError(
        "EnterpriseFeature", f"Cannot use enterprise-only feature: {feature}", {"feature": feature}, 501
    )


def not_supported(what: str) -> MillstreamError:
    return MillstreamError("NotSupported", f"{what} is not supported yet", None, 501)


def unknown_api_key(name: str) -> MillstreamError:
    return MillstreamError("UnknownApiKey", f"Unknown API key '{name}'", {"name": name}, 404)


def unknown_pipeline_event(event_id: str) -> MillstreamError:
    return MillstreamError(
        "UnknownPipelineMonitorEvent", f"Unknown pipeline event '{event_id}'", {"event_id": event_id}, 404
    )


def no_pipeline_events() -> MillstreamError:
    return MillstreamError("NoPipelineMonitorEventsAvailable", "The pipeline has no events yet", None, 404)


def unknown_cluster_event(event_id: str) -> MillstreamError:
    return MillstreamError(
        "UnknownClusterMonitorEvent", f"Unknown cluster event '{event_id}'", {"event_id": event_id}, 404
    )


def no_cluster_events() -> MillstreamError:
    return MillstreamError("NoClusterMonitorEventsAvailable", "There are no cluster events yet", None, 404)


def misses_dataflow(name: str) -> MillstreamError:
    return MillstreamError(
        "ProgramInfoMissesDataflow",
        f"Pipeline '{name}' has no dataflow graph",
        {"pipeline_name": name},
        404,
    )


def program_not_compiled(name: str) -> MillstreamError:
    return MillstreamError(
        "ProgramNotCompiled", f"The program of pipeline '{name}' is not compiled", {"pipeline_name": name}, 404
    )


def invalid_new_program(error: str) -> MillstreamError:
    return MillstreamError("InvalidNewProgramSql", f"The new program does not compile: {error}", {"error": error})


def invalid_runtime_version(version: str) -> MillstreamError:
    text = f"'{version}' is neither a version such as v1.2.3 nor a 40-digit hexadecimal revision"
    return MillstreamError("InvalidRuntimeVersion", f"Invalid runtime version: {text}", {"error": text})


def new_program_failed(error: str) -> MillstreamError:
    return MillstreamError(
        "NewProgramCompilationFailed", f"The new program could not be compiled: {error}", {"error": error}, 500
    )


def insufficient_permissions(required: str, actual: str) -> MillstreamError:
    return MillstreamError(
        "InsufficientPermissions",
        f"This operation requires the role '{required}', but the caller has the role '{actual}'",
        {"required": required, "actual": actual},
        403,
    )


def open_to_nobody() -> MillstreamError:
    return MillstreamError("InsufficientPermissions", "This operation is open to nobody", None, 403)


def unknown_tenant_name(name: str) -> MillstreamError:
    return MillstreamError("UnknownTenantName", f"Unknown tenant '{name}'", {"name": name}, 404)


def not_a_tenant_member(tenant: str) -> MillstreamError:
    return MillstreamError(
        "NotATenantMember", f"The user is not a member of the tenant '{tenant}'", {"tenant": tenant}, 403
    )


def no_tenant_memberships() -> MillstreamError:
    return MillstreamError("NoTenantMemberships", "The user is a member of no tenant of this server", None, 403)


def compiler_unavailable(reason: str) -> MillstreamError:
    return MillstreamError("CompilerUnavailable", f"The compiler is unavailable: {reason}", {"reason": reason}, 503)


def compiler_timeout(seconds: float) -> MillstreamError:
    return MillstreamError(
        "CompilerTimeout", f"The compilation took longer than {seconds:g} s", {"timeout_secs": seconds}, 504
    )


def unable_to_connect(reason: str) -> MillstreamError:
    return MillstreamError(
        "UnableToConnect", f"Unable to connect a WebSocket to the pipeline: {reason}", {"reason": reason}
    )


def invalid_bundle_parameter(reason: str) -> MillstreamError:
    return MillstreamError(
        "InvalidSupportBundleParameter", f"Invalid parameter of a support bundle: {reason}", {"reason": reason}
    )


def not_deployed(name: str, pipeline_id: str, status: str, desired: str) -> MillstreamError:
    return MillstreamError(
        "PipelineInteractionNotDeployed",
        f"Unable to interact with pipeline because the deployment status ({status.lower()}) indicates it is not "
        f'(yet) fully provisioned pipeline-id={pipeline_id} pipeline-name="{name}"',
        {"pipeline_name": name, "status": status, "desired_status": desired},
        503,
    )


def unavailable(name: str, pipeline_id: str) -> MillstreamError:
    return MillstreamError(
        "PipelineUnavailable",
        "Unable to interact with pipeline because its runtime status is 'Unavailable': the process does not answer "
        f'at present pipeline-id={pipeline_id} pipeline-name="{name}"',
        {"pipeline_name": name},
        503,
    )


def unreachable(name: str, pipeline_id: str, request: str, error: str) -> MillstreamError:
    return MillstreamError(
        "PipelineInteractionUnreachable",
        f"Error sending HTTP request to pipeline: {error} Failed request: {request} "
        f'pipeline-id={pipeline_id} pipeline-name="{name}"',
        {"pipeline_name": name, "request": request, "error": error},
        503,
    )


def provisioning_timeout(seconds: float) -> MillstreamError:
    return MillstreamError(
        "AutomatonProvisioningTimeout",
        f"The pipeline process did not come up within {seconds:g} s",
        {"timeout": seconds},
        500,
    )


def provision_failed(error: str) -> MillstreamError:
    return MillstreamError(
        "RunnerProvisionError", f"The pipeline process could not be started: {error}", {"error": error}, 500
    )


def check_failed(error: str) -> MillstreamError:
    return MillstreamError(
        "RunnerCheckError", f"The pipeline could not be watched any more: {error}", {"error": error}, 500
    )


def terminated(how: str) -> MillstreamError:
    return MillstreamError(
        "PipelineTerminated",
        f"The pipeline process ended unexpectedly: {how}. The pipeline logs may tell more.",
        None,
        500,
    )
