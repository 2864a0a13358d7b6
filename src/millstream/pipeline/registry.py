"""The endpoints of a running pipeline: making them, finding them, and refusing who comes too early, late or often.

Methods take the control lock; it is re-entrant, so callers that need several of them at once hold it around all.
"""

from __future__ import annotations

import uuid

from millstream.errors import MillstreamError, config_error
from millstream.pipeline.connector_config import ConnectorConfig
from millstream.pipeline.control import Control, initializing
from millstream.pipeline.egress import EgressEndpoint
from millstream.pipeline.engine import Engine
from millstream.pipeline.input_endpoint import InputEndpoint, InputKind
from millstream.pipeline.limits import MAX_API_CONNECTIONS, QUEUED_BYTES_PER_RECORD
from millstream.pipeline.output_endpoint import Mark, OutputEndpoint
from millstream.pipeline.relations import input_relations, output_relations
from millstream.pipeline.tokens import Token, encode_token
from millstream.plan.program import Program
from millstream.types import Relation


class Registry:
    """Names to endpoints and relations."""

    def __init__(
        self, control: Control, engine: Engine, program: Program, workers: int, incarnation: uuid.UUID
    ) -> None:
        self.control = control
        self.engine = engine
        self.program = program
        self.incarnation = incarnation
        self.tables = input_relations(program)
        self.outputs = output_relations(program)
        #: The pipeline has started: requests are served.
        self.ready = False
        self._workers = workers
        self._last_endpoint_id = 0

    def check_ready(self) -> None:
        """Raise `Initializing` (503) or `Terminating` (410) unless the pipeline has started and not stopped."""
        self.control.check_alive()
        if not self.ready:
            raise initializing()

    # ---- endpoints ----------------------------------------------------------------------------------------------

    def add_input(
        self, name: str, relation: str, config: ConnectorConfig, kind: InputKind = InputKind.CONNECTOR
    ) -> InputEndpoint:
        """Make an input endpoint; its id is new in this process."""
        limits: dict[InputKind, int | None] = {InputKind.PUSH: None, InputKind.CLOCK: 1}
        limit = limits.get(kind, config.step_limit(self._workers))
        with self.control.lock:
            self._last_endpoint_id += 1
            endpoint = InputEndpoint(self.control, self._last_endpoint_id, name, relation, config, limit, kind)
            self.engine.inputs[name] = endpoint
            return endpoint

    def remove_input(self, endpoint: InputEndpoint) -> None:
        """Forget an endpoint; the totals keep what it did."""
        with self.control.lock:
            endpoint.discard()
            self.engine.inputs.pop(endpoint.name, None)
            self.control.progress.notify_all()

    def remove_output(self, name: str) -> None:
        """Forget an output; steps no longer wait for it."""
        with self.control.lock:
            endpoint = self.engine.outputs.pop(name, None)
            if endpoint is None:
                return
            endpoint.request_close()
            self.engine.refresh_completed()
            self.control.engine_wakeup.notify()

    def input(self, name: str) -> InputEndpoint:
        """The endpoint, or `UnknownInputEndpoint` (404)."""
        endpoint = self.engine.inputs.get(name)
        if endpoint is None:
            raise MillstreamError(
                "UnknownInputEndpoint", f"unknown input endpoint name '{name}'", {"endpoint_name": name}, 404
            )
        return endpoint

    def output(self, name: str) -> OutputEndpoint:
        """The endpoint, or `UnknownOutputEndpoint` (404)."""
        endpoint = self.engine.outputs.get(name)
        if endpoint is None:
            raise MillstreamError(
                "UnknownOutputEndpoint", f"unknown output endpoint name '{name}'", {"endpoint_name": name}, 404
            )
        return endpoint

    def token(self, endpoint: InputEndpoint) -> str:
        """A completion token for all that the endpoint has received."""
        with self.control.lock:
            return encode_token(self.incarnation, Token(endpoint.endpoint_id, endpoint.total_records))

    def check_connection_limit(self) -> None:
        """Raise `ApiConnectionLimit` (429) if there are as many ingress endpoints and subscriptions as may be."""
        inputs = sum(endpoint.kind is InputKind.INGRESS for endpoint in self.engine.inputs.values())
        outputs = sum(isinstance(endpoint, EgressEndpoint) for endpoint in self.engine.outputs.values())
        if inputs + outputs >= MAX_API_CONNECTIONS:
            text = f"the pipeline already has {MAX_API_CONNECTIONS} HTTP connections; close some first"
            raise MillstreamError("ApiConnectionLimit", text, None, 429)

    # ---- relations ----------------------------------------------------------------------------------------------

    def table(self, name: str, endpoint_name: str) -> Relation:
        """The table, or `ConfigError.UnknownInputStream` (404)."""
        relation = self.tables.get(name)
        if relation is None:
            raise config_error(
                "UnknownInputStream", f"unknown input table '{name}'", endpoint_name=endpoint_name, stream_name=name
            )
        return relation

    def output_relation(self, name: str, endpoint_name: str) -> Relation:
        """The table or view that is not LOCAL, or `ConfigError.UnknownOutputStream` (404)."""
        relation = self.outputs.get(name)
        if relation is None:
            raise config_error(
                "UnknownOutputStream",
                f"unknown output view or table '{name}'",
                endpoint_name=endpoint_name,
                stream_name=name,
            )
        return relation

    def materialized(self, name: str) -> bool:
        """Whether the relation's contents are kept."""
        table, view = self.program.table(name), self.program.view(name)
        return (table is not None and table.queryable) or (view is not None and view.materialized)

    def mark(self) -> Mark:
        """How far the published steps have come. Under the lock."""
        totals = self.control.totals
        return Mark(totals.published_steps, totals.published_records)

    def send_snapshot(self, output: OutputEndpoint) -> None:
        """Queue the present contents of the output's relation. Under the lock: what steps change comes after it."""
        contents, relation = self.engine.snapshot, output.relation
        assert contents is not None, "the first step makes a snapshot"
        output.enqueue_snapshot(lambda: contents.delta(relation), self.mark())


def transient(transport: str, max_queued_records: int | None = None) -> ConnectorConfig:
    """The configuration of an endpoint that no program declares."""
    if max_queued_records is None:
        return ConnectorConfig({"name": transport})
    return ConnectorConfig(
        {"name": transport},
        max_queued_records=max_queued_records,
        max_queued_bytes=max_queued_records * QUEUED_BYTES_PER_RECORD,
    )
