"""From a program's connector configurations to opened transports (connectors.md §1.6).

Everything that can be wrong with a configuration is found here, before the pipeline starts; the first error, in
declaration order, is the one reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from millstream.connectors import build_input, build_output, check_format
from millstream.connectors.base import InputConnector, OutputConnector
from millstream.connectors.references import References
from millstream.errors import MillstreamError, config_error
from millstream.formats import build_encoder, build_parser
from millstream.formats.append_only import AppendOnlyParser
from millstream.formats.base import Encoder, Parser
from millstream.formats.soft_delete import DELETED_METADATA, SoftDeleteParser
from millstream.pipeline.connector_config import ConnectorConfig, parse_connector_config
from millstream.pipeline.relations import table_relation
from millstream.plan.program import Program, Table
from millstream.sql.identifiers import canonical_name
from millstream.types import Relation


@dataclass(frozen=True, slots=True)
class BuiltInput:
    """An input connector that has not been opened yet. `parser` None: the transport pushes batches."""

    name: str
    relation: str
    config: ConnectorConfig
    connector: InputConnector
    parser: Parser | None


@dataclass(frozen=True, slots=True)
class BuiltOutput:
    """An output connector that has not been opened yet."""

    name: str
    relation: str
    config: ConnectorConfig
    connector: OutputConnector
    encoder: Encoder


def build_inputs(program: Program, relations: Mapping[str, Relation], references: References) -> list[BuiltInput]:
    """All input connectors of the program, in declaration order; they have met each other."""
    built = [
        _build_input(name, table, relations[table.name], source, references)
        for table in program.tables
        for name, source in table.connectors.items()
    ]
    connectors = [one.connector for one in built]
    for connector in connectors:
        connector.meet(connectors)
    return built


def build_outputs(program: Program, relations: Mapping[str, Relation], references: References) -> list[BuiltOutput]:
    """All output connectors of the program, in declaration order."""
    built = []
    for view in program.views:
        for name, source in view.connectors.items():
            if view.name not in relations:
                raise config_error(
                    "UnknownOutputStream",
                    f"output connector '{name}' belongs to the LOCAL view '{view.name}', which has no output",
                    endpoint_name=name,
                    stream_name=view.name,
                )
            output = _build_output(program, name, relations[view.name], source, references)
            if output.config.send_snapshot and not view.materialized:
                raise snapshot_not_materialized(name)
            built.append(output)
    return built


def _check_index(program: Program, view: str, endpoint_name: str, index: str) -> None:
    """Whether `index` (a SQL identifier) is one of the view."""
    name = canonical_name(index)
    found = next((one for one in program.indexes if one.name == name), None)
    if found is not None and found.view == view:
        return
    if found is not None:
        code, error = "NotAnIndex", f"which is an index of view '{found.view}', not of '{view}'"
    elif name is not None and (program.table(name) or program.view(name)):
        code, error = "NotAnIndex", "which is a table or a view"
    else:
        code, error = "UnknownIndex", f"which does not exist; declare it with CREATE INDEX {index} ON {view} (...)"
    text = f"output connector '{endpoint_name}' names '{index}' as its index, {error}"
    raise config_error(code, text, endpoint_name=endpoint_name, index_name=index)


def open_all(connectors: Sequence[tuple[str, InputConnector | OutputConnector]], parallel: int) -> None:
    """Open all, at most `parallel` at a time. Raises the first error, in order; the caller closes all then."""
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="open") as pool:
        attempts = [pool.submit(connector.open) for _, connector in connectors]
    failures = [(name, error) for (name, _), f in zip(connectors, attempts, strict=True) if (error := f.exception())]
    if not failures:
        return
    name, error = failures[0]
    if isinstance(error, MillstreamError):
        raise error
    text = f"{type(error).__name__}: {error}"
    raise MillstreamError(
        "InputTransportError" if isinstance(dict(connectors)[name], InputConnector) else "OutputTransportError",
        f"cannot open connector '{name}': {text}",
        {"endpoint_name": name, "fatal": True, "error": text, "backtrace": ""},
        500,
    )


def snapshot_not_materialized(endpoint_name: str) -> MillstreamError:
    """`send_snapshot` on contents that are not kept."""
    return _transport_error(endpoint_name, "'send_snapshot: true' requires a materialized output view")


def _build_input(
    name: str, table: Table, relation: Relation, source: Mapping[str, Any], references: References
) -> BuiltInput:
    config = parse_connector_config(name, source, output=False)
    connector = build_input(name, dict(config.transport), relation, references)
    check_format(name, connector, config.format_name)
    parser = None
    if config.format_name is not None:
        options = references.resolve(config.format_config, name)
        parser = build_parser(config.format_name, options, relation, name)
        if config.soft_delete:
            deleted = table_relation(table, DELETED_METADATA)
            parser = SoftDeleteParser(parser, build_parser(config.format_name, options, deleted, name))
        if relation.append_only:
            parser = AppendOnlyParser(parser, relation.name)
    return BuiltInput(name, relation.name, config, connector, parser)


def _build_output(
    program: Program, name: str, relation: Relation, source: Mapping[str, Any], references: References
) -> BuiltOutput:
    config = parse_connector_config(name, source, output=True)
    if config.index is not None:
        _check_index(program, relation.name, name, config.index)
    connector = build_output(name, dict(config.transport), relation, references)
    check_format(name, connector, config.format_name)
    if config.format_name is None:
        raise _transport_error(name, f"transport '{connector.name}' is not supported without a format")
    options = references.resolve(config.format_config, name)
    encoder = build_encoder(config.format_name, options, relation, name, indexed=config.index is not None)
    return BuiltOutput(name, relation.name, config, connector, encoder)


def _transport_error(name: str, error: str) -> MillstreamError:
    return config_error(
        "InvalidTransportConfig",
        f"invalid configuration of connector '{name}': {error}",
        endpoint_name=name,
        error=error,
    )
