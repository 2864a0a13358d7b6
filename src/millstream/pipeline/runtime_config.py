"""The `runtime_config` of a pipeline, as far as a running pipeline acts on it (connectors.md §1.8, api.md §7).

The manager has checked and stored the whole object; here the fields that matter at run time become typed values with
their defaults. Everything else is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from millstream.errors import MillstreamError, config_error
from millstream.pipeline.limits import DEFAULT_PARALLEL_CONNECTOR_INIT

DEFAULT_WORKERS = 8
DEFAULT_CLOCK_RESOLUTION_US = 1_000_000
MIN_CLOCK_RESOLUTION_US = 1_000

_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """Times in microseconds, sizes in records or megabytes as named."""

    workers: int = DEFAULT_WORKERS
    #: Threads that compute steps, at most; None, which the default of `workers` stands for: as many as measure best.
    circuit_workers: int | None = None
    min_batch_size_records: int = 0
    max_buffering_delay_us: int = 0
    #: None: NOW() advances only with data.
    clock_resolution_us: int | None = DEFAULT_CLOCK_RESOLUTION_US
    clock_timezone_offset_us: int = 0
    #: Unix microseconds that NOW() starts from instead of the machine's time.
    now_start_us: int | None = None
    #: NOW() moves only through `advance_clock`.
    now_http_driven: bool = False
    max_parallel_connector_init: int = DEFAULT_PARALLEL_CONNECTOR_INIT
    max_rss_mb: int | None = None
    datafusion_memory_mb: int | None = None
    #: `resources`: what the process may use; what it asks for at least (`..._min`) has no counterpart here.
    memory_mb_max: int | None = None
    cpu_cores_max: float | None = None
    storage_mb_max: int | None = None
    #: Whether state may go to disk, and from which size of a run on it does so in any case.
    storage: bool = True
    min_storage_bytes: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def memory_budget_mb(self) -> int | None:
        """What memory pressure is relative to."""
        return min((mb for mb in (self.max_rss_mb, self.memory_mb_max) if mb is not None), default=None)

    @staticmethod
    def from_json(value: Any) -> RuntimeConfig:
        """Parse `runtime_config` (None: all defaults). Raises `ConfigError.PipelineConfigParseError` for wrong types
        and the errors of options that contradict each other or are not supported."""
        source = {} if value is None else value
        if not isinstance(source, dict):
            raise _parse_error("expected an object")
        tweaks = source.get("dev_tweaks") or {}
        env = source.get("env") or {}
        resources = source.get("resources") or {}
        if not all(isinstance(value, dict) for value in (tweaks, env, resources)):
            raise _parse_error("'dev_tweaks', 'env' and 'resources' must be objects")
        storage = source.get("storage", True)
        if storage is not None and not isinstance(storage, dict | bool):
            raise _parse_error("'storage' must be an object, a boolean or null")
        _check_fault_tolerance(source)
        resolution = source.get("clock_resolution_usecs", DEFAULT_CLOCK_RESOLUTION_US)
        workers = max(1, _uint(source, "workers", DEFAULT_WORKERS))
        config = RuntimeConfig(
            workers=workers,
            circuit_workers=None if workers == DEFAULT_WORKERS else workers,
            min_batch_size_records=_uint(source, "min_batch_size_records", 0),
            max_buffering_delay_us=_uint(source, "max_buffering_delay_usecs", 0),
            clock_resolution_us=None
            if resolution is None
            else max(MIN_CLOCK_RESOLUTION_US, _uint(source, "clock_resolution_usecs", DEFAULT_CLOCK_RESOLUTION_US)),
            clock_timezone_offset_us=_offset_us(source.get("clock_timezone_offset")),
            now_start_us=_now_start_us(tweaks.get("now_offset")),
            now_http_driven=tweaks.get("now_http_driven") is True,
            max_parallel_connector_init=max(
                1, _uint(source, "max_parallel_connector_init", DEFAULT_PARALLEL_CONNECTOR_INIT)
            ),
            max_rss_mb=_optional_uint(source, "max_rss_mb"),
            datafusion_memory_mb=_optional_uint(source, "datafusion_memory_mb"),
            memory_mb_max=_optional_uint(resources, "memory_mb_max"),
            cpu_cores_max=_cores(resources.get("cpu_cores_max")),
            storage_mb_max=_optional_uint(resources, "storage_mb_max"),
            storage=isinstance(storage, dict) or storage is True,
            min_storage_bytes=_optional_uint(storage, "min_storage_bytes") if isinstance(storage, dict) else None,
            env={str(k): str(v) for k, v in env.items()},
        )
        rss, pool = config.max_rss_mb, config.datafusion_memory_mb
        if rss is not None and pool is not None and pool > rss:
            raise config_error(
                "DatafusionMemoryExceedsBudget",
                f"datafusion_memory_mb ({pool}) does not fit into max_rss_mb ({rss})",
                datafusion_memory_mb=pool,
                max_rss_mb=rss,
            )
        return config


def _parse_error(error: str) -> MillstreamError:
    return config_error("PipelineConfigParseError", f"error parsing the runtime configuration: {error}", error=error)


def _uint(source: Mapping[str, Any], key: str, default: int) -> int:
    value = _optional_uint(source, key)
    return default if value is None else value


def _optional_uint(source: Mapping[str, Any], key: str) -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _parse_error(f"'{key}' must be an unsigned integer, not {value!r}")
    return value


def _cores(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise _parse_error(f"'resources.cpu_cores_max' must be a number above 0, not {value!r}")
    return float(value)


def _offset_us(value: Any) -> int:
    if value is None:
        return 0
    match = _OFFSET.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise _parse_error(f"'clock_timezone_offset' must look like \"+05:30\", not {value!r}")
    minutes = int(match[2]) * 60 + int(match[3])
    return (-minutes if match[1] == "-" else minutes) * 60_000_000


def _now_start_us(value: Any) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _parse_error(f"'dev_tweaks.now_offset' must be an RFC 3339 date and time, not {value!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


def _check_fault_tolerance(source: Mapping[str, Any]) -> None:
    value = source.get("fault_tolerance")
    if isinstance(value, str):
        model: Any = "exactly_once"
    elif isinstance(value, dict):
        model = value.get("model", "exactly_once")
    elif value is None:
        model = None
    else:
        raise _parse_error("'fault_tolerance' must be an object or null")
    if model in (None, "none"):
        return
    if model not in ("at_least_once", "exactly_once"):
        raise _parse_error(f"unknown fault tolerance model {model!r}")
    # An honest refusal: running on without the promised guarantee would lose data silently.
    raise MillstreamError("NotSupported", f"fault tolerance model '{model}' is not supported; use 'none'")
