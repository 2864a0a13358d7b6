"""Input that no connector reads: HTTP requests, ad-hoc INSERT, and batches from an embedding program."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.formats import build_parser
from millstream.formats.append_only import AppendOnlyParser
from millstream.pipeline.control import terminating
from millstream.pipeline.ingress import IngressEndpoint, ingress_name
from millstream.pipeline.input_endpoint import InputKind
from millstream.pipeline.limits import INGRESS_MAX_QUEUED_RECORDS
from millstream.pipeline.registry import Registry, transient
from millstream.zset.changes import ChangeBatch

Changes = ChangeBatch | Sequence[ChangeBatch]


def open_ingress(registry: Registry, table: str, format_name: str, config: Mapping[str, Any]) -> IngressEndpoint:
    """One request's way into a table, on the endpoint that all requests of its kind share."""
    name = ingress_name(table, format_name, config)
    relation = registry.table(table, name)
    parser = build_parser(format_name, dict(config), relation, name)
    if relation.append_only:
        parser = AppendOnlyParser(parser, relation.name)
    with registry.control.lock:
        registry.check_ready()
        endpoint = registry.engine.inputs.get(name)
        if endpoint is None:
            registry.check_connection_limit()
            shape = transient("http_input", INGRESS_MAX_QUEUED_RECORDS)
            endpoint = registry.add_input(name, table, shape, InputKind.INGRESS)
    return IngressEndpoint(registry.control, endpoint, parser, lambda: registry.token(endpoint))


def insert(registry: Registry, table: str, changes: Changes) -> int:
    """Queue rows on an endpoint of their own and wait until they have been consumed; their number."""
    control, engine = registry.control, registry.engine
    name = f"adhoc-ingress-{table}-{uuid.uuid4()}"
    registry.table(table, name)
    with control.lock:
        registry.check_ready()
        endpoint = registry.add_input(name, table, transient("adhoc_input"), InputKind.ADHOC)
    try:
        if not endpoint.wait_until_accepting(False):
            raise terminating()
        endpoint.enqueue(_sized(changes))
        if engine.manual:
            engine.step()
        with control.lock:
            while endpoint.buffered_records and not control.closing:
                control.progress.wait()
            if endpoint.buffered_records:
                raise terminating()
            return endpoint.total_records
    finally:
        registry.remove_input(endpoint)


def push(registry: Registry, table: str, changes: Changes) -> None:
    """Queue rows, unconditionally, on the table's endpoint `<table>.push`."""
    name = f"{table}.push"
    registry.table(table, name)
    with registry.control.lock:
        registry.check_ready()
        endpoint = registry.engine.inputs.get(name)
        if endpoint is None:
            endpoint = registry.add_input(name, table, transient("push"), InputKind.PUSH)
    endpoint.enqueue(_sized(changes))


def _sized(changes: Changes) -> list[tuple[ChangeBatch, int]]:
    batches = [changes] if isinstance(changes, ChangeBatch) else changes
    return [(batch, sum(column.nbytes for column in batch.columns)) for batch in batches]
