"""Subscriptions: the changes of a relation as a stream of numbered chunks, for HTTP egress and embedded listeners.

A subscription is an output endpoint like any other (its thread encodes, its queue is bounded) whose transport is a
queue of at most EGRESS_MAX_CHUNKS chunks in memory. A subscriber that does not keep up either holds the pipeline back
(`backpressure`) or loses whole chunks, which shows as gaps in `sequence_number`. A snapshot is never dropped and comes
before all changes: it and the subscription are registered under the same lock as steps publish their results.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from millstream.connectors.base import OutputConnector
from millstream.formats.base import Encoder
from millstream.pipeline.connector_config import ConnectorConfig
from millstream.pipeline.control import Control
from millstream.pipeline.limits import EGRESS_DRAIN_SECONDS, EGRESS_MAX_CHUNKS
from millstream.pipeline.output_endpoint import Mark, OutputEndpoint, OutputItem
from millstream.types import Relation
from millstream.zset.delta import Delta


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of output: `data` is encoded text, for `json_data` a JSON array of changes."""

    sequence_number: int
    snapshot: bool
    key: str
    data: bytes

    def to_line(self) -> bytes:
        """The chunk as the HTTP stream carries it: one JSON object and CR LF."""
        body = self.data if self.key == "json_data" else json.dumps(self.data.decode()).encode()
        snapshot = "true" if self.snapshot else "false"
        head = f'{{"sequence_number":{self.sequence_number},"snapshot":{snapshot},"{self.key}":'
        return head.encode() + body.rstrip() + b"}\r\n"

    def to_json(self) -> dict[str, Any]:
        """The chunk as an object, its changes parsed."""
        payload = json.loads(self.data) if self.key == "json_data" else self.data.decode()
        return {"sequence_number": self.sequence_number, "snapshot": self.snapshot, self.key: payload}


class ChunkQueue(OutputConnector):
    """The transport of a subscription: written by the output's thread, read by the subscriber."""

    name = "http_output"

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self._backpressure = bool(config.get("backpressure", False))
        self._key = "json_data" if config.get("format") == "json" else "text_data"
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._chunks: deque[Chunk] = deque()
        self._next_number = 0
        self._closed = False
        #: Whether the current batch is a snapshot; set by the endpoint before each batch.
        self.snapshot = False
        #: Called (in the output's thread) after a chunk was added or the queue was closed.
        self.on_chunk: Callable[[], object] | None = None

    def write(self, data: bytes, num_records: int) -> None:
        with self._lock:
            number = self._next_number
            self._next_number += 1
            while len(self._chunks) >= EGRESS_MAX_CHUNKS and not self._closed:
                if not (self._backpressure or self.snapshot):
                    return
                self._changed.wait()
            if self._closed:
                return
            self._chunks.append(Chunk(number, self.snapshot, self._key, data))
            self._changed.notify_all()
        self._notify()

    def keep_alive(self) -> bytes:
        """A chunk without data, with a number of its own."""
        with self._lock:
            number = self._next_number
            self._next_number += 1
        return b'{"sequence_number":%d}\r\n' % number

    def skip(self) -> None:
        """A change was dropped before it was encoded: leave a gap."""
        with self._lock:
            self._next_number += 1

    def get(self, timeout: float | None) -> Chunk | None:
        """The next chunk, None after `timeout` seconds or at the end."""
        with self._lock:
            self._changed.wait_for(lambda: self._chunks or self._closed, timeout)
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._changed.notify_all()
            return chunk

    @property
    def closed(self) -> bool:
        with self._lock:
            return self._closed and not self._chunks

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._changed.notify_all()
        self._notify()

    def _notify(self) -> None:
        callback = self.on_chunk
        if callback is not None:
            callback()


class EgressEndpoint(OutputEndpoint):
    """The output endpoint of a subscription."""

    def __init__(
        self,
        control: Control,
        name: str,
        relation: str,
        config: ConnectorConfig,
        chunks: ChunkQueue,
        encoder: Encoder,
        mark: Mark,
        *,
        may_drop: bool,
    ) -> None:
        super().__init__(control, name, relation, config, chunks, encoder, mark, may_drop=may_drop)
        self.drain_seconds = EGRESS_DRAIN_SECONDS
        self._chunks = chunks

    def _deliver(self, delta: Delta, item: OutputItem) -> None:
        self._chunks.snapshot = item.snapshot
        super()._deliver(delta, item)

    @property
    def health(self) -> None:
        """A subscriber is no connector."""
        return None

    def _dropped(self) -> None:
        self._chunks.skip()

    def abort(self) -> None:
        self._chunks.close()


class Subscription:
    """A subscriber's end: `get` chunks until `closed`, then `close`. Iterating yields chunks until the end."""

    def __init__(self, name: str, chunks: ChunkQueue, release: Callable[[], None]) -> None:
        self.name = name
        self._chunks = chunks
        self._release = release

    def get(self, timeout: float | None = None) -> Chunk | None:
        """The next chunk; None if `timeout` seconds passed without one, or at the end (`closed`)."""
        return self._chunks.get(timeout)

    def keep_alive(self) -> bytes:
        """The line that tells an idle HTTP subscriber that the stream is alive."""
        return self._chunks.keep_alive()

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more: the pipeline has stopped or `close` was called."""
        return self._chunks.closed

    def notify(self, callback: Callable[[], object]) -> None:
        """Call `callback` (from another thread; it must not block) whenever a chunk is there or the end is reached."""
        self._chunks.on_chunk = callback
        callback()

    def close(self) -> None:
        """Unsubscribe; the endpoint disappears from the statistics."""
        self._chunks.close()
        self._release()

    def __iter__(self) -> Iterator[Chunk]:
        while (chunk := self.get()) is not None:
            yield chunk

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
