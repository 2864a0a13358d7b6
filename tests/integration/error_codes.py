"""The error codes of the API (api.md §3.2, §3.3): what provokes each, or why nothing can.

`REQUESTS` are provoked by `test_error_codes.py` on a real server, as are `STARTS`, programs that compile and cannot
start. `ELSEWHERE` names the test that provokes a code that takes more than a request. `IMPOSSIBLE` gives reasons.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A request, and the status that it is refused with."""

    status: int
    method: str
    path: str
    body: Any = None
    content: str | None = None


def _new(**fields: Any) -> dict[str, Any]:
    return {"name": "n", "program_code": "", **fields}


def _codes(text: str) -> list[str]:
    return text.split()


def _token(**parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


NOWHERE = "00000000-0000-0000-0000-000000000000"
BOTH = "silent_bootstrap=true&concurrent_bootstrap=true"

#: The pipelines: `idle` is compiled, `broken` does not compile, `live` runs, `used` has stopped with an error and has
#: storage. `{incarnation}` becomes that of `live`.
REQUESTS: dict[str, Request] = {
    "EmptyName": Request(400, "POST", "/pipelines", _new(name="")),
    "TooLongName": Request(400, "POST", "/pipelines", _new(name="n" * 64)),
    "NameDoesNotMatchPattern": Request(400, "POST", "/pipelines", _new(name="-n")),
    "InvalidTag": Request(400, "POST", "/pipelines", _new(tags=["?"])),
    "TooManyTags": Request(400, "POST", "/pipelines", _new(tags=["t"] * 51)),
    "TooLongDescription": Request(400, "POST", "/pipelines", _new(description="d" * 301)),
    "InvalidRuntimeConfig": Request(400, "POST", "/pipelines", _new(runtime_config={"workers": "many"})),
    "InvalidProgramConfig": Request(400, "POST", "/pipelines", _new(program_config={"profile": "quick"})),
    "CannotRenameNonExistingPipeline": Request(400, "PUT", "/pipelines/none", _new(name="other")),
    "UpdateRestrictedToStopped": Request(400, "PATCH", "/pipelines/live", {"program_code": "-- x"}),
    "EditRestrictedToClearedStorage": Request(400, "PATCH", "/pipelines/used", {"name": "renamed"}),
    "DeleteRestrictedToFullyStopped": Request(400, "DELETE", "/pipelines/live"),
    "DeleteRestrictedToClearedStorage": Request(400, "DELETE", "/pipelines/used"),
    "CannotStartWithUndismissedError": Request(400, "POST", "/pipelines/used/start?dismiss_error=false"),
    "CannotStartWithCompilationError": Request(400, "POST", "/pipelines/broken/start"),
    "InitialImmutableUnlessStopped": Request(400, "POST", "/pipelines/live/start?initial=paused"),
    "BootstrapPolicyImmutableUnlessStopped": Request(400, "POST", "/pipelines/live/start?bootstrap_policy=reject"),
    "InitialStandbyNotAllowed": Request(400, "POST", "/pipelines/idle/start?initial=standby"),
    "StorageStatusImmutableUnlessStopped": Request(400, "POST", "/pipelines/live/clear"),
    "InvalidUuidParam": Request(400, "GET", "/pipelines/idle/events/first"),
    "InvalidBootstrapConfig": Request(400, "POST", f"/pipelines/idle/start?{BOTH}"),
    "InvalidConnectorAction": Request(400, "POST", "/pipelines/none/tables/t/connectors/c/stop"),
    "InvalidRuntimeVersion": Request(400, "POST", "/validate_program", {"program_code": "", "runtime_version": "1"}),
    "InvalidNewProgramSql": Request(400, "POST", "/pipelines/idle/diff", {"program_code": "SELECT"}),
    "InsufficientPermissions": Request(403, "GET", "/tenants"),
    "UnknownPipelineName": Request(404, "GET", "/pipelines/none"),
    "UnknownApiKey": Request(404, "GET", "/api_keys/none"),
    "UnknownClusterMonitorEvent": Request(404, "GET", f"/cluster/events/{NOWHERE}"),
    "UnknownPipelineMonitorEvent": Request(404, "GET", f"/pipelines/idle/events/{NOWHERE}"),
    "ProgramInfoMissesDataflow": Request(404, "GET", "/pipelines/broken/dataflow_graph"),
    "ProgramNotCompiled": Request(404, "POST", "/pipelines/broken/diff", {}),
    "UnsupportedPipelineAction": Request(405, "POST", "/pipelines/idle/start?initial=fast"),
    "DuplicateName": Request(409, "POST", "/pipelines", _new(name="idle")),
    "EnterpriseFeature": Request(501, "POST", "/pipelines/live/stop"),
    "PipelineInteractionNotDeployed": Request(503, "GET", "/pipelines/idle/stats"),
    "InvalidParam": Request(400, "GET", "/pipelines/live/completion_status?token=!"),
    "ParseErrors": Request(400, "POST", "/pipelines/live/ingress/t?format=json", content="[]"),
    "AdHocQueryError": Request(400, "GET", "/pipelines/live/query?sql=SELECT%20*%20FROM%20nowhere"),
    "HeapProfilerError": Request(400, "GET", "/pipelines/live/heap_profile"),
    "ConfigError.UnknownInputFormat": Request(400, "POST", "/pipelines/live/ingress/t?format=yaml", content="x"),
    "ConfigError.InputFormatNotSupported": Request(
        400, "POST", "/pipelines/live/ingress/t?format=json&update_format=snowflake", content="x"
    ),
    "ConfigError.UnknownInputStream": Request(404, "POST", "/pipelines/live/ingress/nowhere", content="x"),
    "ConfigError.UnknownOutputStream": Request(404, "POST", "/pipelines/live/egress/nowhere"),
    "ConfigError.UnknownOutputFormat": Request(400, "POST", "/pipelines/live/egress/v?format=yaml"),
    "ConfigError.InvalidTransportConfig": Request(
        400, "POST", "/pipelines/live/egress/v?format=json&send_snapshot=true"
    ),
    "UnknownInputEndpoint": Request(404, "GET", "/pipelines/live/tables/t/connectors/none/stats"),
    "UnknownOutputEndpoint": Request(404, "GET", "/pipelines/live/views/v/connectors/none/stats"),
    "NoTransactionInProgress": Request(400, "POST", "/pipelines/live/commit_transaction"),
    "PipelineRestarted": Request(
        410, "GET", f"/pipelines/live/completion_status?token={_token(u=NOWHERE, e=0, c=0)}"
    ),
}  # fmt: skip

_CSV = {"format": {"name": "csv"}}
_EMPTY = {"transport": {"name": "empty_input"}, **_CSV}
_FILE = {"transport": {"name": "file_output", "config": {"path": "/dev/null"}}, **_CSV}


class Start(NamedTuple):
    """A pipeline that cannot start: the connector of its table, or of its view, or its runtime configuration."""

    table: dict[str, Any] | None = None
    view: dict[str, Any] | None = None
    runtime_config: dict[str, Any] | None = None


STARTS: dict[str, Start] = {
    "ConfigError.PipelineConfigParseError": Start(
        {"transport": {"name": "file_input", "config": {"path": "${env:NOT_SET_ANYWHERE}"}}, **_CSV}
    ),
    "ConfigError.ParserConfigParseError": Start(
        {**_EMPTY, "format": {"name": "json", "config": {"update_format": "nope"}}}
    ),
    "ConfigError.EncoderConfigParseError": Start(
        view={**_FILE, "format": {"name": "json", "config": {"update_format": "nope"}}}
    ),
    "ConfigError.InvalidParserConfig": Start({**_EMPTY, "format": {"name": "csv", "config": {"delimiter": 5}}}),
    "ConfigError.InvalidEncoderConfig": Start(view={**_FILE, "format": {"name": "csv", "config": {"delimiter": 5}}}),
    "ConfigError.UnknownIndex": Start(view={**_FILE, "index": "nowhere"}),
    "ConfigError.NotAnIndex": Start(view={**_FILE, "index": "v"}),
    "ConfigError.InvalidOutputBufferConfig": Start(
        view={
            **_FILE,
            "enable_output_buffer": True,
            "max_output_buffer_size_records": 2**64 - 1,
        }
    ),
    "ConfigError.InvalidSoftDeleteConfig": Start(view={**_FILE, "soft_delete": True}),
    "ConfigError.InputFormatNotSpecified": Start({"transport": {"name": "empty_input"}}),
    "ConfigError.OutputFormatNotSpecified": Start(
        view={"transport": {"name": "file_output", "config": {"path": "/dev/null"}}}
    ),
    "ConfigError.EmptyStartAfter": Start({**_EMPTY, "start_after": []}),
    "ConfigError.CyclicDependency": Start({**_EMPTY, "labels": ["l"], "start_after": "l"}),
    "ConfigError.DatafusionMemoryExceedsBudget": Start(runtime_config={"max_rss_mb": 100, "datafusion_memory_mb": 200}),
    "NotSupported": Start(runtime_config={"fault_tolerance": {"model": "exactly_once"}}),
}

_STATES = "tests/manager/test_state_machine.py"
_HOST = "tests/pipeline/test_host_states.py"
_HERE = "tests/integration/test_error_codes.py"
_LIFE = "tests/integration/test_client_lifecycle.py"

#: Code -> the file with the test; the file names the code.
ELSEWHERE: dict[str, str] = {
    "IllegalPipelineAction": _STATES,
    "CannotStartWhileClearingStorage": _STATES,
    "DismissErrorRestrictedToFullyStopped": _STATES,
    "PipelineUnavailable": _STATES,
    "StartFailedDueToFailedCompilation": _HERE,
    "PipelineInteractionUnreachable": "tests/manager/test_api.py",
    "NoClusterMonitorEventsAvailable": "tests/manager/test_api.py",
    "CompilerUnavailable": "tests/manager/test_programs.py",
    "CompilerTimeout": "tests/manager/test_programs.py",
    "AutomatonProvisioningTimeout": _HERE,
    "RunnerProvisionError": _HERE,
    "TransactionInProgress": _HERE,
    "UnknownEndpointInCompletionToken": _HERE,
    "UnableToConnect": "tests/manager/test_api.py",
    "InvalidSupportBundleParameter": "tests/integration/test_observation.py",
    "NoSamplyProfile": "tests/integration/test_observation.py",
    "SamplyProfilingInProgress": "tests/integration/test_observation.py",
    "ApiConnectionLimit": "tests/integration/test_limits.py",
    "NotATenantMember": "tests/manager/test_logins.py",
    "UnknownTenantName": "tests/manager/test_logins.py",
    "RuntimeError.WorkerPanic": _LIFE,
    "PipelineTerminated": _LIFE,
    "Initializing": _HOST,
    "InitializationError": _HOST,
    "Terminating": _HOST,
    "InputTransportError": "tests/pipeline/test_configuration.py",
    "ConfigError.UnknownInputTransport": "tests/pipeline/test_configuration.py",
    "ConfigError.UnknownOutputTransport": "tests/pipeline/test_configuration.py",
}

_AUTH = "belongs to authentication and tenants (§4, §25)"
_CHECKPOINTS = "needs checkpoints, standby or bootstrapping (§19, §20), which are refused as not supported"
_ATOMIC = "the store applies each change as one function of the present record, so no stale or illegal change is asked"
_COMPILE = "the compiler refuses such programs (SqlError), so that none starts"
_NATIVE = "says of a native engine, or of how several machines are run, what has no counterpart here"
_PROCESS = "the services of one server are one process: there is no connection between them to fail"
_ROUTED = "routes match only with all their segments, and the framework rejects missing parameters in plain text"

_REASONS: tuple[tuple[str, str], ...] = (
    (_AUTH, """EmptyOidcTrustField InvalidOidcIssuerUrl AmbiguousOidcTenant AmbiguousTenantMembership InvalidApiKey
        InvalidOidcToken UnauthorizedOidcToken RoleExceedsCreator OwnerRoleNotAssignable OwnerAdminNotMintableAsApiKey
        OidcTenantNotTrusted NoTenantMemberships UnknownOidcTrust UnknownTenant
        UnknownUser TenantNotEmpty"""),
    (_CHECKPOINTS, """BootstrapNotAllowed InvalidActivateStatus InvalidTransition IncarnationUuidMismatch
        BootstrapRejected AwaitingApproval Suspended RestoreInProgress BootstrapInProgress CheckpointParseError
        CheckpointDoesNotMatchPipeline ReplayFailure SuspendError CheckpointFetchError CheckpointPushError
        InvalidStandby UnexpectedBootstrap UnexpectedRuntimeVersion StorageError RuntimeError.IncompatibleStorage
        RuntimeError.CheckpointParseError RuntimeError.BootstrapCircuit RuntimeError.UnknownPersistentId
        ConfigError.FtRequiresStorage ConfigError.FtWithNonFtInput InvalidStartupTransition InvalidInitialStatus"""),
    (_ATOMIC, """ProgramStatusUpdateRestrictedToStopped InvalidStorageStatusTransition PauseWhileNotProvisioned
        ResumeWhileNotProvisioned UnnecessaryResourcesStatusTransition OutdatedProgramVersion OutdatedPipelineVersion
        InvalidProgramStatusTransition TransitionRequiresCompiledProgram InvalidResourcesStatus InvalidProgramInfo
        LockTimeout LockTookTooLong DeadlockDetected UnknownPipeline NoPipelineMonitorEventsAvailable"""),
    (_COMPILE, """ConfigError.DuplicateInputEndpoint ConfigError.DuplicateOutputEndpoint
        ConfigError.DuplicateInputStream ConfigError.DuplicateOutputStream PreprocessorCreateError
        PostprocessorCreateError SchemaParseError"""),
    (_NATIVE, """ConfigError.LayoutError PrometheusError IrParseError ControllerCliArgsError CommandError DbspPanic
        ControllerPanic ControllerExit RuntimeError.Terminated ControllerMissingAfterInitialization PrecompilationError
        AutomatonCannotProvisionUnsupportedPlatformVersion AutomatonMissing AutomatonInvalid TaskFailed StepError
        ControllerIoError UnknownError ParseError"""),
    (_PROCESS, "RunnerInteractionUnreachable RunnerInteractionLogFollowRequestChannelFull PostgresError"),
    (_ROUTED, "MissingUrlEncodedParam InvalidNameParam InvalidChecksumParam InvalidVersionParam"),
    ("no transport or format is refused for how it delivers", "ConfigError.OutputFormatNotSupported"),
    ("a defect of the server: it answers `InternalError` (tests/manager/test_api.py), whatever went wrong",
     "JsonSerializationError JsonDeserializationError IoError PipelineInteractionInvalidResponse"),
    ("takes a compiler that fails without a message; `SystemError` of a program is tested instead",
     "NewProgramCompilationFailed"),
    ("a bundle names in its metadata what could not be had, and is made without it",
     "UnableToCreateSupportBundle UnableToFetchCircuitProfile"),
    ("the encoders of views are total: every value of every type has a form", "EncodeError"),
    ("outputs that cannot be opened report `ConfigError.InvalidTransportConfig`", "OutputTransportError"),
)  # fmt: skip

IMPOSSIBLE: dict[str, str] = {code: reason for reason, codes in _REASONS for code in codes.split()}

#: Every code of §3.2 and §3.3 but those that the specification itself calls internal.
SPECIFIED = _codes(
    """
    EmptyName TooLongName NameDoesNotMatchPattern InvalidTag TooManyTags TooLongDescription InvalidRuntimeConfig
    InvalidProgramConfig CannotRenameNonExistingPipeline UpdateRestrictedToStopped EditRestrictedToClearedStorage
    ProgramStatusUpdateRestrictedToStopped DeleteRestrictedToFullyStopped DeleteRestrictedToClearedStorage
    IllegalPipelineAction CannotStartWithUndismissedError CannotStartWhileClearingStorage
    CannotStartWithCompilationError StartFailedDueToFailedCompilation InitialImmutableUnlessStopped
    BootstrapPolicyImmutableUnlessStopped InitialStandbyNotAllowed DismissErrorRestrictedToFullyStopped
    StorageStatusImmutableUnlessStopped InvalidStorageStatusTransition PauseWhileNotProvisioned
    ResumeWhileNotProvisioned UnnecessaryResourcesStatusTransition EmptyOidcTrustField InvalidOidcIssuerUrl
    AmbiguousOidcTenant AmbiguousTenantMembership MissingUrlEncodedParam InvalidUuidParam InvalidNameParam
    InvalidChecksumParam InvalidVersionParam InvalidBootstrapConfig InvalidConnectorAction
    InvalidSupportBundleParameter UnableToConnect InvalidRuntimeVersion InvalidNewProgramSql BootstrapNotAllowed
    InvalidApiKey InvalidOidcToken UnauthorizedOidcToken InsufficientPermissions RoleExceedsCreator
    OwnerRoleNotAssignable OwnerAdminNotMintableAsApiKey OidcTenantNotTrusted NotATenantMember NoTenantMemberships
    UnknownPipelineName UnknownPipeline UnknownApiKey UnknownOidcTrust UnknownTenantName UnknownTenant UnknownUser
    UnknownClusterMonitorEvent UnknownPipelineMonitorEvent NoClusterMonitorEventsAvailable
    NoPipelineMonitorEventsAvailable ProgramInfoMissesDataflow ProgramNotCompiled UnsupportedPipelineAction
    DuplicateName TenantNotEmpty OutdatedProgramVersion OutdatedPipelineVersion PostgresError
    InvalidProgramStatusTransition TransitionRequiresCompiledProgram InvalidResourcesStatus InvalidProgramInfo
    LockTimeout UnableToCreateSupportBundle UnableToFetchCircuitProfile NewProgramCompilationFailed IoError
    JsonSerializationError JsonDeserializationError PrecompilationError TaskFailed EnterpriseFeature LockTookTooLong
    DeadlockDetected PipelineInteractionNotDeployed PipelineUnavailable PipelineInteractionUnreachable
    RunnerInteractionUnreachable RunnerInteractionLogFollowRequestChannelFull CompilerUnavailable CompilerTimeout
    AutomatonProvisioningTimeout RunnerProvisionError AutomatonCannotProvisionUnsupportedPlatformVersion
    AutomatonMissing AutomatonInvalid PipelineInteractionInvalidResponse InvalidParam ParseErrors AdHocQueryError
    HeapProfilerError InvalidActivateStatus InvalidTransition IncarnationUuidMismatch
    ConfigError.PipelineConfigParseError ConfigError.ParserConfigParseError ConfigError.EncoderConfigParseError
    ConfigError.DuplicateInputEndpoint ConfigError.DuplicateOutputEndpoint ConfigError.DuplicateInputStream
    ConfigError.DuplicateOutputStream ConfigError.UnknownInputFormat ConfigError.UnknownOutputFormat
    ConfigError.UnknownInputTransport ConfigError.UnknownOutputTransport ConfigError.UnknownIndex
    ConfigError.NotAnIndex ConfigError.InputFormatNotSupported ConfigError.OutputFormatNotSupported
    ConfigError.InvalidParserConfig ConfigError.InvalidEncoderConfig ConfigError.InvalidTransportConfig
    ConfigError.InvalidOutputBufferConfig ConfigError.InvalidSoftDeleteConfig ConfigError.InputFormatNotSpecified
    ConfigError.OutputFormatNotSpecified ConfigError.EmptyStartAfter ConfigError.CyclicDependency
    ConfigError.FtRequiresStorage ConfigError.FtWithNonFtInput ConfigError.DatafusionMemoryExceedsBudget
    ConfigError.LayoutError ConfigError.UnknownInputStream ConfigError.UnknownOutputStream UnknownInputEndpoint
    UnknownOutputEndpoint ParseError NotSupported NoTransactionInProgress NoSamplyProfile TransactionInProgress
    BootstrapRejected SamplyProfilingInProgress Terminating PipelineRestarted UnknownEndpointInCompletionToken
    InvalidInitialStatus ApiConnectionLimit InitializationError PrometheusError ControllerIoError SchemaParseError
    CheckpointParseError CheckpointDoesNotMatchPipeline StepError ReplayFailure IrParseError ControllerCliArgsError
    EncodeError InputTransportError OutputTransportError CommandError DbspPanic ControllerPanic ControllerExit
    StorageError SuspendError CheckpointFetchError CheckpointPushError InvalidStandby InvalidStartupTransition
    UnexpectedBootstrap UnexpectedRuntimeVersion PreprocessorCreateError PostprocessorCreateError UnknownError
    RuntimeError.WorkerPanic RuntimeError.IncompatibleStorage RuntimeError.Terminated
    RuntimeError.CheckpointParseError RuntimeError.BootstrapCircuit RuntimeError.UnknownPersistentId
    PipelineTerminated ControllerMissingAfterInitialization Initializing AwaitingApproval Suspended
    RestoreInProgress BootstrapInProgress
    """
)
