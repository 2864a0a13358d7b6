"""Transports by name, and making connectors from `{"name": ..., "config": {...}}` objects.

Input transports of this package push into an `InputSink`, output transports are handed encoded buffers; see `base.py`.
HTTP ingress, HTTP egress and ad-hoc input have no connector: the pipeline makes their endpoints itself.
"""

from __future__ import annotations

import difflib
from typing import Any

from millstream.connectors.base import InputConnector, InputSink, OutputConnector
from millstream.connectors.datagen import DatagenInput
from millstream.connectors.empty_input import EmptyInput
from millstream.connectors.file_input import FileInput
from millstream.connectors.file_output import FileOutput
from millstream.connectors.nexmark import NexmarkInput
from millstream.connectors.null_output import NullOutput
from millstream.connectors.references import References, resolve_references
from millstream.connectors.url_input import UrlInput
from millstream.errors import MillstreamError, config_error
from millstream.types import Relation

INPUT_TRANSPORTS: dict[str, type[InputConnector]] = {
    connector.name: connector for connector in (DatagenInput, EmptyInput, FileInput, NexmarkInput, UrlInput)
}
OUTPUT_TRANSPORTS: dict[str, type[OutputConnector]] = {
    connector.name: connector for connector in (FileOutput, NullOutput)
}
#: Endpoints that only the pipeline itself makes.
INTERNAL_INPUT_TRANSPORTS = ("http_input", "ad_hoc_input", "clock_input")
INTERNAL_OUTPUT_TRANSPORTS = ("http_output",)
#: Transports of the compatible API that this version does not have.
UNSUPPORTED_INPUT_TRANSPORTS = (
    "s3_input", "kafka_input", "nats_input", "pub_sub_input", "delta_table_input", "iceberg_input", "postgres_input",
    "postgres_cdc_input",
)  # fmt: skip
UNSUPPORTED_OUTPUT_TRANSPORTS = (
    "kafka_output", "delta_table_output", "postgres_output", "dynamodb_output", "redis_output",
)  # fmt: skip

__all__ = [
    "INPUT_TRANSPORTS",
    "INTERNAL_INPUT_TRANSPORTS",
    "INTERNAL_OUTPUT_TRANSPORTS",
    "OUTPUT_TRANSPORTS",
    "InputConnector",
    "InputSink",
    "OutputConnector",
    "References",
    "build_input",
    "build_output",
    "check_format",
    "resolve_references",
]


def build_input(
    endpoint_name: str, transport: dict[str, Any], relation: Relation, references: References | None = None
) -> InputConnector:
    """The input connector of a transport object, not yet opened. References in its `config` are resolved.

    Raises ConfigError UnknownInputTransport, InvalidTransportConfig, or PipelineConfigParseError for a reference."""
    name = transport.get("name")
    connector = INPUT_TRANSPORTS.get(str(name))
    if connector is None:
        reason = _why_not(
            str(name), INPUT_TRANSPORTS, UNSUPPORTED_INPUT_TRANSPORTS, INTERNAL_INPUT_TRANSPORTS, OUTPUT_TRANSPORTS
        )
        raise _unknown("Input", endpoint_name, name, reason)
    return connector(endpoint_name, _config(endpoint_name, transport, references), relation)


def build_output(
    endpoint_name: str, transport: dict[str, Any], relation: Relation, references: References | None = None
) -> OutputConnector:
    """The output connector of a transport object, not yet opened. Like `build_input`."""
    name = transport.get("name")
    connector = OUTPUT_TRANSPORTS.get(str(name))
    if connector is None:
        reason = _why_not(
            str(name), OUTPUT_TRANSPORTS, UNSUPPORTED_OUTPUT_TRANSPORTS, INTERNAL_OUTPUT_TRANSPORTS, INPUT_TRANSPORTS
        )
        raise _unknown("Output", endpoint_name, name, reason)
    return connector(endpoint_name, _config(endpoint_name, transport, references), relation)


def check_format(endpoint_name: str, connector: InputConnector | OutputConnector, format_name: str | None) -> None:
    """Whether a connector has a `format` where its transport needs one, and none where that is forbidden
    (connectors.md §1.4). Raises InputFormatNotSpecified, OutputFormatNotSpecified or InvalidTransportConfig."""
    if format_name is None and connector.format == "required":
        direction = "Input" if isinstance(connector, InputConnector) else "Output"
        raise config_error(
            f"{direction}FormatNotSpecified",
            f"connector '{endpoint_name}' needs a `format`: its transport '{connector.name}' carries plain bytes",
            endpoint_name=endpoint_name,
        )
    allowed = connector.formats if isinstance(connector, InputConnector) else None
    if format_name is not None and allowed is not None and format_name not in allowed:
        error = f"the transport '{connector.name}' works with the format {' or '.join(f'`{f}`' for f in allowed)} only"
        raise config_error(
            "InvalidTransportConfig",
            f"invalid connector '{endpoint_name}': {error}, not `{format_name}`",
            endpoint_name=endpoint_name,
            error=error,
        )
    if format_name is not None and connector.format == "forbidden":
        error = f"the transport '{connector.name}' makes rows itself and does not allow a `format`; remove it"
        raise config_error(
            "InvalidTransportConfig",
            f"invalid connector '{endpoint_name}': {error}",
            endpoint_name=endpoint_name,
            error=error,
        )


def _config(endpoint_name: str, transport: dict[str, Any], references: References | None) -> dict[str, Any]:
    config = transport.get("config")
    where = f"transport configuration of connector '{endpoint_name}'"
    # Connectors check their options; an array or a number here is theirs to reject.
    return resolve_references({} if config is None else config, where, references)


def _why_not(
    name: str,
    known: dict[str, Any],
    unsupported: tuple[str, ...],
    internal: tuple[str, ...],
    opposite: dict[str, Any],
) -> str:
    usable = f"supported are {', '.join(f'`{other}`' for other in sorted(known))}"
    if name in unsupported:
        return f"it is not supported yet; {usable}"
    if name in internal:
        return f"it is internal and cannot be configured; {usable}"
    if name in opposite:
        return f"it works in the other direction; {usable}"
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean `{near[0]}`?" if near else usable


def _unknown(direction: str, endpoint_name: str, name: object, reason: str) -> MillstreamError:
    return config_error(
        f"Unknown{direction}Transport",
        f"connector '{endpoint_name}' has the unknown {direction.lower()} transport '{name}': {reason}",
        endpoint_name=endpoint_name,
        transport_name=name,
    )
