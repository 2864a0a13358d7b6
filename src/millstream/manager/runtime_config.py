"""`runtime_config`: validation and defaults (api.md §7).

Users give any subset of the fields; what is stored and shown always has every field. The model is a set of msgspec
structs, so types are checked strictly (a string is no number, `true` is no integer) and unknown fields are ignored.
Three fields have spellings of their own (`storage` may be a boolean, `fault_tolerance` a string or null, the
checkpoint interval is clamped), which `_spell_out` turns into the plain form first.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from millstream.manager import errors

UInt = Annotated[int, msgspec.Meta(ge=0)]
UInt16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]

RESERVED_ENV_NAMES = frozenset({"HOSTNAME", "RUST_LOG", "TOKIO_WORKER_THREADS"})
RESERVED_ENV_PREFIXES = ("FELDERA_", "KUBERNETES_", "TOKIO_")

DEFAULT_CHECKPOINT_INTERVAL_S = 60
MAX_CHECKPOINT_INTERVAL_S = 3600
LEGACY_FAULT_TOLERANCE = frozenset({"initial_state", "latest_checkpoint"})

_OFFSET = re.compile(r"[+-]([01]\d|2[0-3]):?([0-5]\d)|[+-]([01]\d|2[0-3])|Z")

# Fields that keep their value while storage is in use (api.md §6.4), as paths into the configuration.
FROZEN_WITH_STORAGE: tuple[tuple[str, ...], ...] = (
    ("workers",),
    ("hosts",),
    ("fault_tolerance",),
    ("clock_timezone_offset",),
    ("resources", "storage_mb_max"),
    ("resources", "storage_class"),
    ("resources", "namespace"),
)


class Sync(msgspec.Struct, kw_only=True):
    bucket: str
    endpoint: str | None = None
    region: str | None = None
    provider: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    start_from_checkpoint: str | None = None
    read_bucket: str | None = None
    fail_if_no_checkpoint: bool = False
    standby: bool = False
    push_interval: UInt | None = None
    pull_interval: UInt = 10
    retention_min_count: UInt = 10
    retention_min_age: UInt = 30
    optimize_download_resources: bool = True
    transfers: UInt | None = None
    checkers: UInt | None = None
    ignore_checksum: bool | None = None
    multi_thread_cutoff: str | None = None
    multi_thread_streams: UInt | None = None
    upload_concurrency: UInt | None = None
    flags: list[str] | None = None


class FileBackendConfig(msgspec.Struct, kw_only=True):
    async_threads: bool | None = None
    ioop_delay: UInt | None = None
    sync: Sync | None = None


class DefaultBackend(msgspec.Struct, tag_field="name", tag="default"):
    pass


class FileBackend(msgspec.Struct, tag_field="name", tag="file"):
    config: FileBackendConfig


class ObjectBackend(msgspec.Struct, tag_field="name", tag="object"):
    config: dict[str, Any]


class Storage(msgspec.Struct, kw_only=True):
    backend: DefaultBackend | FileBackend | ObjectBackend = msgspec.field(default_factory=DefaultBackend)
    min_storage_bytes: UInt | None = None
    min_step_storage_bytes: UInt | None = None
    compression: Literal["default", "none", "snappy"] = "default"
    cache_mib: UInt | None = None


class FaultTolerance(msgspec.Struct, kw_only=True):
    model: Literal["none", "at_least_once", "exactly_once"] = "exactly_once"
    checkpoint_interval_secs: UInt | None = DEFAULT_CHECKPOINT_INTERVAL_S


class Resources(msgspec.Struct, kw_only=True):
    cpu_cores_min: float | None = None
    cpu_cores_max: float | None = None
    memory_mb_min: UInt | None = None
    memory_mb_max: UInt | None = None
    storage_mb_max: UInt | None = None
    storage_class: str | None = None
    service_account_name: str | None = None
    namespace: str | None = None


class PipelineTemplate(msgspec.Struct, kw_only=True):
    name: str
    key: str = "pipelineTemplate"


class RuntimeConfig(msgspec.Struct, kw_only=True):
    """Every field with its default, in the order of the published example."""

    workers: UInt16 = 8
    max_rss_mb: UInt | None = None
    datafusion_memory_mb: UInt | None = None
    hosts: UInt = 1
    storage: Storage | None = msgspec.field(default_factory=Storage)
    fault_tolerance: FaultTolerance = msgspec.field(default_factory=lambda: FaultTolerance(model="none"))
    cpu_profiler: bool = True
    tracing: bool = False
    tracing_endpoint_jaeger: str = "127.0.0.1:6831"
    min_batch_size_records: UInt = 0
    max_buffering_delay_usecs: UInt = 0
    resources: Resources = msgspec.field(default_factory=Resources)
    clock_resolution_usecs: UInt | None = 1_000_000
    clock_timezone_offset: str | None = None
    pin_cpus: list[UInt] = msgspec.field(default_factory=list)
    provisioning_timeout_secs: UInt | None = None
    max_parallel_connector_init: UInt | None = None
    init_containers: Any = None
    checkpoint_during_suspend: bool = True
    http_workers: UInt | None = None
    io_workers: UInt | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    dev_tweaks: dict[str, Any] = msgspec.field(default_factory=dict)
    logging: str | None = None
    pipeline_template_configmap: PipelineTemplate | None = None


def normalise_runtime_config(value: Any) -> dict[str, Any]:
    """The configuration with every default filled in; None stands for `{}`. Raises `InvalidRuntimeConfig`."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise errors.invalid_runtime_config(value, f"expected an object, got {type(value).__name__}")
    try:
        config = msgspec.convert(_spell_out(value), RuntimeConfig)
    except (msgspec.ValidationError, ValueError) as error:
        raise errors.invalid_runtime_config(value, str(error)) from None
    problem = _env_problem(config.env) or _offset_problem(config.clock_timezone_offset)
    if problem:
        raise errors.invalid_runtime_config(value, problem)
    result: dict[str, Any] = msgspec.to_builtins(config)
    return result


def frozen_changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the fields that differ although storage in use freezes them."""

    def at(config: dict[str, Any], path: tuple[str, ...]) -> Any:
        value: Any = config
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return ["runtime_config." + ".".join(path) for path in FROZEN_WITH_STORAGE if at(before, path) != at(after, path)]


def _spell_out(value: dict[str, Any]) -> dict[str, Any]:
    plain = dict(value)
    storage = plain.get("storage", True)
    if isinstance(storage, bool):
        plain["storage"] = {} if storage else None
    if "fault_tolerance" in plain:
        plain["fault_tolerance"] = _spell_out_fault_tolerance(plain["fault_tolerance"])
    return plain


def _spell_out_fault_tolerance(value: Any) -> Any:
    if value is None:
        return {"model": "none"}
    if isinstance(value, str):
        if value in LEGACY_FAULT_TOLERANCE:
            return {}
        raise ValueError(f"unknown fault tolerance '{value}' - at `$.fault_tolerance`")
    if not isinstance(value, dict):
        return value
    plain = dict(value)
    if plain.get("model", "") is None:
        plain["model"] = "none"
    interval = plain.get("checkpoint_interval_secs")
    if isinstance(interval, int) and not isinstance(interval, bool) and interval >= 0:
        plain["checkpoint_interval_secs"] = min(max(interval, 1), MAX_CHECKPOINT_INTERVAL_S)
    return plain


def _env_problem(env: dict[str, str]) -> str | None:
    for name, text in env.items():
        if name in RESERVED_ENV_NAMES or name.startswith(RESERVED_ENV_PREFIXES):
            return f"environment variable '{name}' is reserved and cannot be overridden"
        if not name or "=" in name or "\0" in name or "\0" in text:
            return f"'{name}' is not a valid environment variable"
    return None


def _offset_problem(offset: str | None) -> str | None:
    if offset is None or _OFFSET.fullmatch(offset):
        return None
    return f"clock_timezone_offset '{offset}' is not an ISO 8601 offset such as '+05:30'"
