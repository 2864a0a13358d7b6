"""Helpers of the pipeline tests: small programs, a connector that does exactly what a test tells it, and waiting.

Programs are built from plan nodes: `t` a table of (id BIGINT, s VARCHAR), `v` its contents, `n` the number of its rows.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

import millstream.connectors as connectors
from millstream.connectors.base import InputConnector, InputSink, OutputConnector
from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.nodes import Aggregate, AggregateCall, Column, Scan
from millstream.plan.program import Program, Table, TableColumn, View
from millstream.types import Relation
from millstream.types.sql_type import BIGINT, VARCHAR
from millstream.zset.changes import ChangeBatch

TIMEOUT = 60.0

COLUMNS = (TableColumn("id", BIGINT.with_nullable(False)), TableColumn("s", VARCHAR))
SCHEMA = tuple(Column(column.name, column.type) for column in COLUMNS)

Connectors = dict[str, dict[str, Any]]
Offer = ChangeBatch | Exception | Callable[[InputSink], None] | None


def table(name: str = "t", connectors: Connectors | None = None, **options: Any) -> Table:
    """A table of (id, s); connectors by their short name."""
    named = {f"{name}.{key}": value for key, value in (connectors or {}).items()}
    return Table(name, COLUMNS, connectors=named, **options)


def copy_view(name: str = "v", of: str = "t", connectors: Connectors | None = None, **options: Any) -> View:
    """`SELECT * FROM of`, materialized."""
    named = {f"{name}.{key}": value for key, value in (connectors or {}).items()}
    settings = {"materialized": True, **options}
    return View(name, SCHEMA, Scan(SCHEMA, of), connectors=named, **settings)


def count_view(name: str = "n", of: str = "t") -> View:
    """`SELECT COUNT(*) FROM of`, materialized."""
    schema = (Column("c", BIGINT.with_nullable(False)),)
    call = AggregateCall("COUNT", (), BIGINT.with_nullable(False))
    return View(name, schema, Aggregate(schema, Scan(SCHEMA, of), (), (call,)), materialized=True)


def program(*relations: Table | View, uses_now: bool = False) -> Program:
    tables = tuple(r for r in relations if isinstance(r, Table))
    return Program(tables, tuple(r for r in relations if isinstance(r, View)), uses_now)


def simple_program(input_connectors: Connectors | None = None, output_connectors: Connectors | None = None) -> Program:
    return program(table(connectors=input_connectors), copy_view(connectors=output_connectors), count_view())


def rows(first: int, count: int) -> ChangeBatch:
    """`count` inserted rows with ids from `first`."""
    ids = range(first, first + count)
    return ChangeBatch((pa.array(ids, pa.int64()), pa.array([f"s{i}" for i in ids], pa.large_string())), count)


def ndjson(first: int, count: int) -> bytes:
    """The same rows as `raw` JSON lines."""
    return b"".join(b'{"id":%d,"s":"s%d"}\n' % (i, i) for i in range(first, first + count))


def ids(controller: Controller, relation: str = "v") -> Counter[int]:
    """How often each id occurs in a materialized relation."""
    return Counter(controller.snapshot().table(relation).column(0).to_pylist())


@contextmanager
def running(
    relations: Program, config: RuntimeConfig | None = None, *, initial: str = "running", **options: Any
) -> Iterator[Controller]:
    """A started pipeline, stopped at the end."""
    controller = Controller(relations, config, **options)
    controller.start(initial)
    try:
        yield controller
    finally:
        controller.stop()


def wait(controller: Controller, condition: Callable[[], bool]) -> None:
    """Wait until `condition()`; fail with the statistics otherwise."""
    if not controller.wait_for(condition, TIMEOUT):
        raise AssertionError(f"the condition did not come true: {controller.stats(True)}")


def metrics(controller: Controller, endpoint: str) -> dict[str, Any]:
    """`metrics` of one input endpoint, with its `paused` flag."""
    status = controller.input_stats(endpoint)
    return {**status["metrics"], "paused": status["paused"], "fatal_error": status["fatal_error"]}


def totals(controller: Controller) -> dict[str, Any]:
    return controller.stats()["global_metrics"]


def wait_refused(controller: Controller, endpoint: str) -> None:
    """Wait until a scripted connector has found twice that it may not read."""
    connector = ScriptedInput.instances[endpoint]
    before = connector.refusals
    deadline = time.monotonic() + TIMEOUT
    while connector.refusals < before + 2:
        assert time.monotonic() < deadline, f"{endpoint} was never refused: {controller.stats(True)}"
        time.sleep(0.001)  # the connector has no event for what it does not do


def wait_processed(controller: Controller, count: int) -> None:
    """Wait until steps have consumed `count` records in all."""
    wait(controller, lambda: totals(controller)["total_processed_records"] == count)


def file_input(path: Path, **options: Any) -> dict[str, Any]:
    """A connector that reads `raw` JSON lines from a file."""
    return {
        "transport": {"name": "file_input", "config": {"path": str(path)}},
        "format": {"name": "json", "config": {"update_format": "raw"}},
        **options,
    }


def empty_input(**options: Any) -> dict[str, Any]:
    """A connector that finishes as soon as it may read."""
    return {"transport": {"name": "empty_input"}, "format": {"name": "json"}, **options}


class ScriptedInput(InputConnector):
    """Reads what the test offers: each `offer(batch)` is one chunk, taken only while the connector may read.

    `chunks_read` counts the chunks taken; `offer` returns at once. `None` ends the input, an exception fails it, and
    anything else than rows is called with the sink."""

    name = "scripted"
    format = "forbidden"
    instances: dict[str, ScriptedInput] = {}  # noqa: RUF012 - a registry that tests look their connector up in

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self.endpoint_name = endpoint_name
        self.offered: queue.Queue[Offer] = queue.Queue()
        self.chunks_read = 0
        #: How often the connector found that it may not read.
        self.refusals = 0
        self.opened = self.closed = False
        ScriptedInput.instances[endpoint_name] = self

    def open(self) -> None:
        self.opened = True

    def offer(self, chunk: Offer) -> None:
        self.offered.put(chunk)

    def run(self, sink: InputSink) -> None:
        while not sink.closing:
            if not sink.wait_until_active(0.005):
                self.refusals += 1
                continue
            try:
                chunk = self.offered.get(timeout=0.005)
            except queue.Empty:
                continue
            if not sink.active:  # paused between looking and reading: the chunk stays where it was
                self.offered.queue.appendleft(chunk)
                continue
            if chunk is None:
                sink.end_of_input()
                return
            if isinstance(chunk, Exception):
                raise chunk
            if not isinstance(chunk, ChangeBatch):
                chunk(sink)
                continue
            self.chunks_read += 1
            sink.push_batch(chunk, 8 * chunk.num_rows)

    def close(self) -> None:
        self.closed = True


class ScriptedOutput(OutputConnector):
    """A sink that can be blocked and made to fail."""

    name = "scripted"
    instances: dict[str, ScriptedOutput] = {}  # noqa: RUF012 - a registry that tests look their connector up in

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self.open_gate = threading.Event()
        if not config.get("blocked"):
            self.open_gate.set()
        self.failure: Exception | None = None
        self.batches: list[tuple[int, bytes]] = []
        self.closed = False
        ScriptedOutput.instances[endpoint_name] = self

    def batch_start(self, step: int) -> None:
        self.batches.append((step, b""))

    def write(self, data: bytes, num_records: int) -> None:
        self.open_gate.wait(TIMEOUT)
        if self.failure is not None:
            raise self.failure
        step, before = self.batches[-1]
        self.batches[-1] = (step, before + data)

    def close(self) -> None:
        self.closed = True

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.batches)


def install_scripted_transports(setitem: Callable[[Any, Any, Any], None]) -> None:
    """Make the transport `scripted` known (`setitem`: pytest's monkeypatch.setitem)."""
    setitem(connectors.INPUT_TRANSPORTS, "scripted", ScriptedInput)
    setitem(connectors.OUTPUT_TRANSPORTS, "scripted", ScriptedOutput)


def scripted(**options: Any) -> dict[str, Any]:
    """The configuration of a scripted input."""
    return {"transport": {"name": "scripted", "config": {}}, **options}


def scripted_output(blocked: bool = False, **options: Any) -> dict[str, Any]:
    """The configuration of a scripted output that writes JSON lines."""
    return {"transport": {"name": "scripted", "config": {"blocked": blocked}}, "format": {"name": "json"}, **options}
