"""Helpers of the connector tests: relations, and a sink that pauses a connector at moments chosen by the test.

The sink runs in the test's thread on a clock of its own, so nothing here waits and everything repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from hypothesis import settings

from millstream.connectors import build_input, build_output
from millstream.connectors.base import InputConnector, OutputConnector
from millstream.errors import MillstreamError
from millstream.types import Relation, RelationColumn, SqlType
from millstream.types.sql_type import BIGINT, VARCHAR
from millstream.zset.changes import ChangeBatch

ENDPOINT = "t.c"
#: Laws have no time limit per example: the machine may be busy, and the first example loads word lists.
quick = settings(deadline=None)


def relation(**columns: SqlType) -> Relation:
    """A table `t` with those columns."""
    return Relation("t", tuple(RelationColumn(name, sql_type) for name, sql_type in columns.items()))


ID_S = relation(id=BIGINT, s=VARCHAR)


def make_input(transport: str, config: Any, table: Relation = ID_S) -> InputConnector:
    return build_input(ENDPOINT, {"name": transport, "config": config}, table)


def make_output(transport: str, config: Any) -> OutputConnector:
    return build_output("v.c", {"name": transport, "config": config}, ID_S)


def refusal(error: MillstreamError) -> str:
    """The reason inside an InvalidTransportConfig error, whose form is checked."""
    assert error.error_code == "ConfigError.InvalidTransportConfig"
    assert error.details["endpoint_name"] == ENDPOINT
    assert str(error.details["error"]) in error.message
    return str(error.details["error"])


class StopTestError(Exception):
    """The connector asks for more than the test has."""


class MemorySink:
    """An `InputSink` that keeps what it is given.

    `activity`: what the successive looks at `active` find (True after the last); a wait takes the False looks away.
    `close_after`: `closing` turns true after that many pushes. `sleep` moves the sink's own clock, by `oversleep`
    seconds too much, as real clocks do; after `max_sleeps` sleeps the sink closes."""

    def __init__(
        self,
        *,
        activity: Iterable[bool] = (),
        close_after: int | None = None,
        max_batch_rows: int = 100_000,
        oversleep: float = 0.0,
        max_sleeps: int = 100_000,
    ) -> None:
        self.data = b""
        self.batches: list[ChangeBatch] = []
        self.positions: list[Mapping[str, Any] | None] = []
        #: When each push came.
        self.times: list[float] = []
        self.byte_stream_ended = 0
        self.inputs_ended = 0
        #: Rows of each transaction; one that is not committed is not among them.
        self.transactions: list[int] = []
        self._transaction_from: int | None = None
        self.errors: list[tuple[str, str, bool]] = []
        self.closing = False
        self.clock = 1_000_000.0
        self.num_bytes = 0
        self.paused_for = 10.0
        self._activity: Iterator[bool] = iter(activity)
        self._close_after = close_after
        self.max_batch_rows = max_batch_rows
        self._oversleep = oversleep
        self._sleeps_left = max_sleeps

    @property
    def active(self) -> bool:
        return not self.closing and next(self._activity, True)

    def wait_until_active(self, timeout: float | None = None) -> bool:
        if self.closing:
            return False
        while not next(self._activity, True):
            self.clock += self.paused_for
            if timeout is not None:
                return False
        return True

    def push_bytes(self, data: bytes, *, end: bool = False) -> None:
        assert not self.byte_stream_ended
        self.data += data
        self.byte_stream_ended += end
        self._pushed()

    def push_batch(self, batch: ChangeBatch, num_bytes: int, position: Mapping[str, Any] | None = None) -> None:
        assert 0 < batch.num_rows <= self.max_batch_rows
        assert all(len(column) == batch.num_rows for column in batch.columns)
        self.batches.append(batch)
        self.positions.append(position)
        self.num_bytes += num_bytes
        self._pushed()

    def _pushed(self) -> None:
        assert not self.inputs_ended, "nothing may be pushed after the end of input"
        self.times.append(self.clock)
        if self._close_after is not None and len(self.times) >= self._close_after:
            self.closing = True

    def error(self, tag: str, message: str, *, fatal: bool = False) -> None:
        self.errors.append((tag, message, fatal))

    def start_transaction(self, label: str | None = None) -> None:
        assert self._transaction_from is None, "transactions do not nest"
        self._transaction_from = self.num_rows

    def commit_transaction(self) -> None:
        assert self._transaction_from is not None, "there is no transaction to commit"
        self.transactions.append(self.num_rows - self._transaction_from)
        self._transaction_from = None

    def end_of_input(self) -> None:
        self.inputs_ended += 1
        if self._transaction_from is not None:
            self.commit_transaction()

    def request_step(self) -> None:
        raise AssertionError("no connector here asks for steps")

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.clock += seconds + self._oversleep
        self._sleeps_left -= 1
        if self._sleeps_left <= 0:
            self.closing = True

    def now(self) -> float:
        return self.clock

    @property
    def columns(self) -> list[list[Any]]:
        """The pushed rows, by column, as Python values."""
        if not self.batches:
            return []
        return [
            pa.concat_arrays([batch.columns[i] for batch in self.batches]).to_pylist()
            for i in range(len(self.batches[0].columns))
        ]

    @property
    def num_rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


def run(connector: InputConnector, sink: MemorySink | None = None) -> MemorySink:
    """Open, run and close the connector in this thread."""
    sink = MemorySink() if sink is None else sink
    connector.open()
    try:
        connector.run(sink)
    finally:
        connector.close()
    return sink
