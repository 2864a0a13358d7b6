"""HTTP ingress: request bodies into tables.

All requests with the same table and format configuration share one input endpoint, `<table>.api-ingress-<16 hex
digits>`, which lives as long as the pipeline and can be paused like a connector. What belongs to a request alone is
its parser, its incomplete record and its errors: requests run concurrently.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from millstream.errors import MillstreamError
from millstream.formats.base import ParseError, Parser
from millstream.pipeline.control import Control, terminating
from millstream.pipeline.input_endpoint import InputEndpoint, describe
from millstream.pipeline.input_stream import InputStream, attribute_bytes
from millstream.pipeline.limits import MAX_REPORTED_PARSE_ERRORS, PARSE_PIECE_BYTES


@dataclass(frozen=True, slots=True)
class RequestErrors:
    """The parse errors of one request: how many, and the last of them. False when there were none."""

    num_errors: int
    errors: tuple[ParseError, ...]

    def __bool__(self) -> bool:
        return self.num_errors > 0

    def to_error(self) -> MillstreamError:
        """The answer 400 `ParseErrors`."""
        shown = len(self.errors)
        count = (
            f"{self.num_errors} errors"
            if shown == self.num_errors
            else f"reporting {shown} out of {self.num_errors} total errors"
        )
        text = "\n".join(describe(error) for error in self.errors)
        details = {"num_errors": self.num_errors, "errors": [error.to_json() for error in self.errors]}
        return MillstreamError("ParseErrors", f"Errors parsing input data ({count}):\n{text}", details, 400)


class IngressResult(NamedTuple):
    """What a finished request gets: a completion token for all it queued, and what it could not parse."""

    token: str
    errors: RequestErrors


class IngressEndpoint:
    """One request on an ingress endpoint. Used by one thread at a time.

    `push` parses and queues, and blocks while the pipeline or the endpoint is paused (unless `force`) and while the
    queue is full; so it may be called with chunks of any size as they arrive.
    """

    def __init__(
        self, control: Control, endpoint: InputEndpoint, parser: Parser, make_token: Callable[[], str]
    ) -> None:
        self.name = endpoint.name
        self._control = control
        self._endpoint = endpoint
        self._stream = InputStream(parser)
        self._make_token = make_token
        self._num_errors = 0
        self._errors: deque[ParseError] = deque(maxlen=MAX_REPORTED_PARSE_ERRORS)
        self._abandoned = False

    def push(self, data: bytes, end: bool = False, force: bool = False) -> None:
        """Take a part of the body; `end`: it is the last one. Raises `Terminating` (410) when the pipeline stops."""
        if len(data) <= PARSE_PIECE_BYTES:
            self._push(data, end, force)
            return
        view = memoryview(data)
        for start in range(0, len(data), PARSE_PIECE_BYTES):
            last = start + PARSE_PIECE_BYTES >= len(data)
            self._push(bytes(view[start : start + PARSE_PIECE_BYTES]), end and last, force)

    def finish(self) -> IngressResult:
        """The request's outcome; parses what is left if `end` was not pushed."""
        if self._stream.pending_bytes:
            self._push(b"", True, True)
        return IngressResult(self._make_token(), RequestErrors(self._num_errors, tuple(self._errors)))

    def abandon(self, reason: str = "the client closed the connection before the end of the request") -> None:
        """The client has gone: an incomplete record is dropped, a blocked `push` (in another thread) gives up."""
        self._abandoned = True
        with self._control.lock:
            self._endpoint.activity.notify_all()
        self._endpoint.add_error("http_input", reason, fatal=False)

    def _push(self, data: bytes, end: bool, force: bool) -> None:
        if not self._endpoint.wait_until_accepting(force, None, lambda: self._abandoned):
            raise terminating()
        chunk = self._stream.feed(data, end)
        if chunk.num_bytes:
            self._endpoint.enqueue(attribute_bytes(chunk.block.batches, chunk.num_bytes), chunk.num_bytes)
        if chunk.block.errors:
            self._num_errors += len(chunk.block.errors)
            self._errors.extend(chunk.block.errors)
            self._endpoint.add_parse_errors(chunk.block.errors)


def ingress_name(table: str, format_name: str, config: Mapping[str, Any]) -> str:
    """The endpoint's name: equal for equal tables and format configurations, in every process."""
    identity = json.dumps([table, format_name, config], sort_keys=True, default=str)
    return f"{table}.api-ingress-{hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()}"
