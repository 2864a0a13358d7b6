"""The thread of one input connector: runs the transport and is the sink that it pushes into.

The sink parses in the reader's thread, so that connectors parse in parallel to each other and to the steps. A reader
that returns, fails or raises never harms the pipeline: its endpoint stays listed with `end_of_input` or `fatal_error`
set, and what it queued is still consumed (connectors.md §16-D23).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import Any

from millstream.connectors.base import InputConnector
from millstream.errors import MillstreamError
from millstream.formats.base import Parser
from millstream.pipeline.control import Control
from millstream.pipeline.input_endpoint import InputEndpoint
from millstream.pipeline.input_stream import InputStream, ParsedChunk, attribute_bytes
from millstream.pipeline.limits import MAX_ROWS_PER_PUSH
from millstream.zset.changes import ChangeBatch


class ReaderSink:
    """`connectors.base.InputSink` on an endpoint. Used by one thread."""

    def __init__(
        self, control: Control, endpoint: InputEndpoint, parser: Parser | None, single_stream: bool = False
    ) -> None:
        self._control = control
        self._single_stream = single_stream
        #: Bytes that were parsed.
        self._offset = 0
        self._endpoint = endpoint
        self._stream = None if parser is None else InputStream(parser)

    def wait_until_active(self, timeout: float | None = None) -> bool:
        if not self.active:
            self._flush()
        return self._endpoint.wait_until_accepting(False, timeout)

    @property
    def active(self) -> bool:
        return self._endpoint.active

    @property
    def closing(self) -> bool:
        return self._endpoint.closing

    @property
    def max_batch_rows(self) -> int:
        endpoint = self._endpoint
        limit = MAX_ROWS_PER_PUSH if endpoint.step_limit is None else endpoint.step_limit
        return max(1, min(limit, endpoint.config.max_queued_records, MAX_ROWS_PER_PUSH))

    def push_bytes(self, data: bytes, *, end: bool = False) -> None:
        assert self._stream is not None, f"{self._endpoint.name}: bytes from a transport without format"
        self._queue(self._stream.feed(data, end))

    def push_batch(self, batch: ChangeBatch, num_bytes: int, position: Mapping[str, Any] | None = None) -> None:
        self._endpoint.enqueue([(batch, num_bytes)], position=position)

    def error(self, tag: str, message: str, *, fatal: bool = False) -> None:
        self._endpoint.add_error(tag, message, fatal)

    def start_transaction(self, label: str | None = None) -> None:
        self._flush()
        self._endpoint.start_transaction(label)

    def commit_transaction(self) -> None:
        self._flush()
        self._endpoint.commit_transaction()

    def end_of_input(self) -> None:
        if self._stream is not None and self._stream.pending_bytes:
            self._queue(self._stream.feed(b"", end=True))
        self._endpoint.set_end_of_input()

    def request_step(self) -> None:
        self._control.request_step()

    def sleep(self, seconds: float) -> None:
        self._flush()
        clock, endpoint = self._control.clock, self._endpoint
        deadline = clock.monotonic() + seconds
        with self._control.lock:
            active = endpoint.active
            while not endpoint.closing and endpoint.active == active:
                left = deadline - clock.monotonic()
                if left <= 0:
                    return
                clock.wait(endpoint.activity, left)

    def now(self) -> float:
        return self._control.clock.now()

    def _flush(self) -> None:
        if self._stream is not None:
            self._queue(self._stream.flush())

    def _queue(self, chunk: ParsedChunk) -> None:
        block = chunk.block
        if chunk.num_bytes:
            start, self._offset = self._offset, self._offset + chunk.num_bytes
            position = {"offsets": {"start": start, "end": self._offset}} if self._single_stream else None
            self._endpoint.enqueue(attribute_bytes(block.batches, chunk.num_bytes), chunk.num_bytes, position)
        self._endpoint.add_parse_errors(block.errors)


class Reader:
    """A connector's thread. `start` once; `join` after the endpoint or the pipeline is closing."""

    def __init__(
        self, control: Control, endpoint: InputEndpoint, connector: InputConnector, parser: Parser | None
    ) -> None:
        self._control = control
        self._endpoint = endpoint
        self._connector = connector
        self._sink = ReaderSink(control, endpoint, parser, connector.single_stream)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"in-{endpoint.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended. One that never started only closes its connector."""
        if self._thread.ident is None:
            self._close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        name = self._endpoint.name
        try:
            self._connector.run(self._sink)
        except MillstreamError as error:
            self._sink.error("reader", error.message, fatal=True)
        except Exception as error:  # noqa: BLE001 - a broken transport must not take the pipeline with it
            self._control.log(f"input endpoint '{name}': {traceback.format_exc()}")
            self._sink.error("reader", f"{type(error).__name__}: {error}", fatal=True)
        finally:
            self._close()
        if not self._endpoint.closing and not self._endpoint.end_of_input and self._endpoint.fatal_error is None:
            self._sink.error("reader", "the connector stopped without end of input", fatal=True)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._connector.close()
        except Exception as error:  # noqa: BLE001 - closing is best effort
            self._control.log(f"input endpoint '{self._endpoint.name}': error while closing: {error}")
