"""The generic attributes of a connector (connectors.md §1.2), typed and with defaults.

Programs carry connector configurations as JSON objects; transports and formats parse their own `config`. This module
parses what is common to all: limits, labels, pausing, buffering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millstream.connectors.options import MAX_UNSIGNED_64
from millstream.errors import MillstreamError, config_error
from millstream.pipeline.limits import (
    DEFAULT_MAX_OUTPUT_BUFFER_RECORDS,
    DEFAULT_MAX_QUEUED_RECORDS,
    DEFAULT_WORKER_BATCH_SIZE,
    QUEUED_BYTES_PER_RECORD,
    UNBOUNDED_MILLIS,
)


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """A connector's generic attributes. `start_after` None: no condition (an empty tuple is never built)."""

    transport: Mapping[str, Any]
    format_name: str | None = None
    format_config: Mapping[str, Any] | None = None
    #: Name of an index of the output's view, as the program writes it.
    index: str | None = None
    paused: bool = False
    soft_delete: bool = False
    labels: tuple[str, ...] = ()
    start_after: tuple[str, ...] | None = None
    max_batch_size: int | None = None
    max_worker_batch_size: int | None = None
    max_queued_records: int = DEFAULT_MAX_QUEUED_RECORDS
    max_queued_bytes: int = DEFAULT_MAX_QUEUED_RECORDS * QUEUED_BYTES_PER_RECORD
    send_snapshot: bool = False
    enable_output_buffer: bool = False
    max_output_buffer_time_millis: int = UNBOUNDED_MILLIS
    max_output_buffer_size_records: int = DEFAULT_MAX_OUTPUT_BUFFER_RECORDS

    @property
    def initially_paused(self) -> bool:
        """The user flag at creation (§4.5)."""
        return self.paused or self.start_after is not None

    def step_limit(self, workers: int) -> int:
        """How many records one step takes at most (§3.3)."""
        if self.max_batch_size is not None:
            return max(1, self.max_batch_size)
        per_worker = DEFAULT_WORKER_BATCH_SIZE if self.max_worker_batch_size is None else self.max_worker_batch_size
        return max(1, per_worker * workers)


def parse_connector_config(endpoint_name: str, source: Mapping[str, Any], *, output: bool) -> ConnectorConfig:
    """Parse one connector object. Raises the `ConfigError` that the start of the pipeline reports.

    `max_queued_records` and `max_queued_bytes` of 0 count as 1: a queue that takes nothing would never move."""
    _reject_unsupported(endpoint_name, source, output)
    transport = source.get("transport")
    if not isinstance(transport, dict) or not isinstance(transport.get("name"), str):
        raise _parse_error(endpoint_name, "'transport' must be an object with a 'name'")
    format_object = source.get("format")
    if format_object is not None and not (
        isinstance(format_object, dict) and isinstance(format_object.get("name"), str)
    ):
        raise _parse_error(endpoint_name, "'format' must be an object with a 'name'")
    records = _uint(endpoint_name, source, "max_queued_records")
    max_queued_records = DEFAULT_MAX_QUEUED_RECORDS if records is None else max(1, records)
    queued_bytes = _uint(endpoint_name, source, "max_queued_bytes")
    buffer_millis = _uint(endpoint_name, source, "max_output_buffer_time_millis")
    buffer_records = _uint(endpoint_name, source, "max_output_buffer_size_records")
    config = ConnectorConfig(
        transport=transport,
        format_name=None if format_object is None else format_object["name"],
        format_config=None if format_object is None else format_object.get("config"),
        index=_text(endpoint_name, source, "index"),
        paused=_flag(endpoint_name, source, "paused"),
        soft_delete=_flag(endpoint_name, source, "soft_delete"),
        labels=_labels(endpoint_name, source.get("labels")),
        start_after=_start_after(endpoint_name, source.get("start_after")),
        max_batch_size=_uint(endpoint_name, source, "max_batch_size"),
        max_worker_batch_size=_uint(endpoint_name, source, "max_worker_batch_size"),
        max_queued_records=max_queued_records,
        max_queued_bytes=max_queued_records * QUEUED_BYTES_PER_RECORD if queued_bytes is None else max(1, queued_bytes),
        send_snapshot=_flag(endpoint_name, source, "send_snapshot"),
        enable_output_buffer=_flag(endpoint_name, source, "enable_output_buffer"),
        max_output_buffer_time_millis=UNBOUNDED_MILLIS if buffer_millis is None else buffer_millis,
        max_output_buffer_size_records=DEFAULT_MAX_OUTPUT_BUFFER_RECORDS if buffer_records is None else buffer_records,
    )
    unbounded = config.max_output_buffer_size_records == config.max_output_buffer_time_millis == MAX_UNSIGNED_64
    if output and config.enable_output_buffer and unbounded:
        raise _invalid(
            "InvalidOutputBufferConfig",
            endpoint_name,
            "when 'enable_output_buffer' is set, 'max_output_buffer_size_records' or 'max_output_buffer_time_millis' "
            "must bound the buffer",
        )
    return config


def _reject_unsupported(endpoint_name: str, source: Mapping[str, Any], output: bool) -> None:
    if output and source.get("soft_delete"):
        error = "'soft_delete' applies to input connectors only"
        raise _invalid("InvalidSoftDeleteConfig", endpoint_name, error)
    for plugin in ("preprocessor", "postprocessor"):
        if source.get(plugin):
            raise MillstreamError("NotSupported", f"connector '{endpoint_name}': '{plugin}' is not supported")


def _invalid(code: str, endpoint_name: str, error: str) -> MillstreamError:
    text = f"invalid connector '{endpoint_name}': {error}"
    return config_error(code, text, endpoint_name=endpoint_name, error=error)


def _parse_error(endpoint_name: str, error: str) -> MillstreamError:
    return config_error(
        "PipelineConfigParseError", f"invalid configuration of connector '{endpoint_name}': {error}", error=error
    )


def _flag(endpoint_name: str, source: Mapping[str, Any], key: str) -> bool:
    value = source.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _parse_error(endpoint_name, f"'{key}' must be true or false")
    return value


def _uint(endpoint_name: str, source: Mapping[str, Any], key: str) -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_UNSIGNED_64:
        raise _parse_error(endpoint_name, f"'{key}' must be an unsigned integer of 64 bits")
    return value


def _text(endpoint_name: str, source: Mapping[str, Any], key: str) -> str | None:
    value = source.get(key)
    if value is not None and not isinstance(value, str):
        raise _parse_error(endpoint_name, f"'{key}' must be a string")
    return value


def _labels(endpoint_name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise _parse_error(endpoint_name, "'labels' must be an array of strings")
    return tuple(value)


def _start_after(endpoint_name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise _parse_error(
            endpoint_name, "invalid 'start_after' property: expected a string, an array of strings, or null"
        )
    if not value:
        raise config_error(
            "EmptyStartAfter",
            f"the 'start_after' property of connector '{endpoint_name}' is an empty array; name at least one label",
            endpoint_name=endpoint_name,
        )
    return tuple(value)
