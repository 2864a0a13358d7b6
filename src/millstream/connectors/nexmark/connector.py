"""`nexmark`: three connectors, one per table, that together deliver one stream of events (connectors.md §11.14).

The connector of the `bid` table leads: it alone looks whether it may read, and goes on in chunks of events. Before it
pushes a chunk's bids, the other two have pushed the chunk's persons and auctions, each in its own thread; so a step
that sees a bid has been given what came before it. Starting and pausing the other two has no effect.

Rows are made as columns; the `csv` format that configurations must name is never used. Table columns are matched by
position, as in a CSV file.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.base import InputConnector, InputSink
from millstream.connectors.nexmark.model import COLUMNS, EPOCH_EVENTS, KINDS, Column, columns_of
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation, RelationColumn, SqlType, arrow_type
from millstream.types.sql_type import INTEGERS, STRINGS, Kind
from millstream.zset.changes import ChangeBatch

MAX_UNSIGNED_32 = 2**32 - 1
#: How often a connector that waits for another one looks whether it must stop.
STOP_CHECK_SECONDS = 0.05


@dataclass(frozen=True)
class NexmarkOptions:
    """`events` in all; a chunk has threads * max_step_size_per_thread of them."""

    events: int = 100_000_000
    threads: int = 4
    batch_size_per_thread: int = 1000
    max_step_size_per_thread: int = 10_000


class NexmarkInput(InputConnector):
    """Options: `table` (required), `options` (in at most one of the three connectors)."""

    name = "nexmark"
    formats: ClassVar[tuple[str, ...] | None] = ("csv",)

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self.endpoint_name = endpoint_name
        try:
            options = Options(config)
            self.table = options.choice("table", KINDS)
            self.options = _parse_options(options.take("options"))
            options.finish()
            self._targets = _match_columns(self.table, relation)
        except OptionError as error:
            raise self._invalid(str(error)) from error
        self._stream: Stream | None = None

    def meet(self, inputs: Sequence[InputConnector]) -> None:
        if self._stream is not None:
            return
        group = [connector for connector in inputs if isinstance(connector, NexmarkInput)]
        for kind in KINDS:
            of_kind = [connector.endpoint_name for connector in group if connector.table == kind]
            if len(of_kind) != 1:
                found = "none has" if not of_kind else f"{' and '.join(f'`{name}`' for name in of_kind)} have"
                raise self._invalid(f"exactly one connector must have the table `{kind}`; {found} it")
        configured = [connector for connector in group if connector.options is not None]
        if len(configured) > 1:
            names = " and ".join(f"`{connector.endpoint_name}`" for connector in configured)
            raise self._invalid(f"only one of the three connectors may have `options`, but {names} have them")
        options = (configured[0].options if configured else None) or NexmarkOptions()
        stream = Stream(options)
        for connector in group:
            connector._stream = stream

    def run(self, sink: InputSink) -> None:
        stream = self._stream
        assert stream is not None, "meet() comes first"
        if self.table == "bid":
            self._lead(stream, sink)
        else:
            self._follow(stream, sink)

    def _lead(self, stream: Stream, sink: InputSink) -> None:
        first = 0
        while first < stream.options.events:
            if sink.closing:
                return
            if not sink.wait_until_active():
                continue
            # Whole epochs, so that every chunk has all kinds.
            rows = max(EPOCH_EVENTS, sink.max_batch_rows // EPOCH_EVENTS * EPOCH_EVENTS)
            end = min(first + rows, first + stream.chunk_events, stream.options.events)
            if not stream.offer(end, sink):
                return
            self._push(first, end, sink)
            first = end
        stream.finish()
        sink.end_of_input()

    def _follow(self, stream: Stream, sink: InputSink) -> None:
        first = 0
        while not sink.closing:
            end = stream.next_end(first)
            if end is None:
                continue
            if end == first:
                sink.end_of_input()
                return
            self._push(first, end, sink)
            stream.delivered(self.table, end)
            first = end

    def _push(self, first: int, end: int, sink: InputSink) -> None:
        made = columns_of(self.table, first, end)
        count = len(made[0])
        if not count:
            return
        columns = tuple(
            pa.nulls(count, target) if position is None else _converted(made[position], target)
            for position, target in self._targets
        )
        limit = max(1, sink.max_batch_rows)
        batch = ChangeBatch(columns, count)
        num_bytes = sum(column.nbytes for column in made)
        for offset in range(0, count, limit):
            part = batch.slice(offset, limit)
            last = offset + part.num_rows == count
            position = {"event_ids": {"start": first, "end": end}} if last else None
            sink.push_batch(part, num_bytes * part.num_rows // count, position)

    def _invalid(self, error: str) -> Exception:
        return invalid_transport(self.endpoint_name, self.name, error)


class Stream:
    """What the three connectors share: how far the leader has come, and what the others have delivered."""

    def __init__(self, options: NexmarkOptions) -> None:
        self.options = options
        self.chunk_events = options.threads * options.max_step_size_per_thread
        self._changed = threading.Condition()
        self._end = 0
        self._finished = False
        self._delivered = {kind: 0 for kind in KINDS if kind != "bid"}

    def offer(self, end: int, sink: InputSink) -> bool:
        """Let the others deliver the events before `end` and wait until they have; False if closing came first."""
        with self._changed:
            self._end = end
            self._changed.notify_all()
            while min(self._delivered.values()) < end:
                if sink.closing:
                    return False
                self._changed.wait(STOP_CHECK_SECONDS)
        return True

    def finish(self) -> None:
        """No more events will come."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def next_end(self, first: int) -> int | None:
        """The end of the chunk that begins at `first`; `first` itself if the stream is finished; None: not yet."""
        with self._changed:
            if self._end == first and not self._finished:
                self._changed.wait(STOP_CHECK_SECONDS)
            return self._end if self._end > first or self._finished else None

    def delivered(self, kind: str, end: int) -> None:
        """The connector of `kind` has pushed its rows before `end`."""
        with self._changed:
            self._delivered[kind] = end
            self._changed.notify_all()


def _parse_options(value: object) -> NexmarkOptions | None:
    if value is None:
        return None
    options = Options(value, "options")
    defaults = NexmarkOptions()
    parsed = NexmarkOptions(
        options.sure_integer("events", defaults.events),
        options.sure_integer("threads", defaults.threads, 1, MAX_UNSIGNED_32),
        options.sure_integer("batch_size_per_thread", defaults.batch_size_per_thread, 1, MAX_UNSIGNED_32),
        options.sure_integer("max_step_size_per_thread", defaults.max_step_size_per_thread, 1, MAX_UNSIGNED_32),
    )
    options.finish()
    return parsed


Target = tuple[int | None, pa.DataType]


def _match_columns(kind: str, relation: Relation) -> list[Target]:
    """For every table column the position of the column that fills it (None: NULL) and its Arrow type."""
    model = COLUMNS[kind]
    return [
        (_source(kind, i, model[i] if i < len(model) else None, column), arrow_type(column.type))
        for i, column in enumerate(relation.columns)
    ]


def _source(kind: str, position: int, source: Column | None, column: RelationColumn) -> int | None:
    if source is None:
        if not column.type.nullable:
            raise OptionError(
                f"`{kind}` events have {position} columns at most, but column `{column.name}` is number "
                f"{position + 1} and NOT NULL"
            )
        return None
    if not _holds(column.type, source.type):
        expected = {"int64": "BIGINT", "large_string": "VARCHAR"}.get(str(source.type), "TIMESTAMP")
        raise OptionError(
            f"column `{column.name}` is {column.type.sql()}, but column {position + 1} of `{kind}` events is "
            f"`{source.name}`, a {expected}"
        )
    return position


def _holds(sql_type: SqlType, source: pa.DataType) -> bool:
    if pa.types.is_integer(source):
        return sql_type.kind in INTEGERS
    if pa.types.is_timestamp(source):
        return sql_type.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
    return sql_type.kind in STRINGS


def _converted(column: pa.Array, target: pa.DataType) -> pa.Array:
    return column if column.type == target else pc.cast(column, target)
