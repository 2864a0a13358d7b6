"""The two small interfaces of a transport: an input connector runs in its own thread and pushes into a sink; an output
connector takes encoded buffers. Neither knows of tables' contents, steps or other connectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from millstream.types import Relation
from millstream.zset.changes import ChangeBatch


class InputSink(Protocol):
    """Where an input connector's data goes; the controller implements it. All methods may be called from the reader's
    thread only."""

    def wait_until_active(self, timeout: float | None = None) -> bool:
        """Block while the connector may not read (pipeline or connector paused, back-pressure). True: may read now;
        False: `timeout` seconds passed, or the connector must stop (`closing`)."""

    @property
    def active(self) -> bool:
        """Whether the connector may read at this instant. Check it before every chunk."""

    @property
    def closing(self) -> bool:
        """Whether `run` must return soon."""

    @property
    def max_batch_rows(self) -> int:
        """At most so many rows go into one `push_batch`."""

    def push_bytes(self, data: bytes, *, end: bool = False) -> None:
        """Bytes that were read, split and parsed with the connector's format and queued. `end`: the byte stream (file,
        object) ends here; a last unterminated record is parsed."""

    def push_batch(self, batch: ChangeBatch, num_bytes: int, position: Mapping[str, Any] | None = None) -> None:
        """Rows of a connector without a byte format, queued; `num_bytes` counts in the statistics. `position`: a JSON
        object that says where in the source they end, the `completed_frontier` once they are delivered everywhere."""

    def error(self, tag: str, message: str, *, fatal: bool = False) -> None:
        """A transport error. Fatal: the connector has stopped; the pipeline goes on."""

    def start_transaction(self, label: str | None = None) -> None:
        """What is pushed from now on takes effect in one step. If others have a transaction open, it becomes part of
        that; `label` is shown in the statistics. Transactions do not nest."""

    def commit_transaction(self) -> None:
        """All of the transaction has been pushed. Until it has been committed, what is pushed next stays queued."""

    def end_of_input(self) -> None:
        """All data has been pushed; commits an open transaction."""

    def request_step(self) -> None:
        """Ask for a step even without queued records (clock ticks)."""

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once when closing or when activity changes."""

    def now(self) -> float:
        """Unix time in seconds, from the pipeline's clock."""


class InputConnector(ABC):
    """A transport that reads. Created from its `transport.config`; unknown or missing options raise
    `config_error("InvalidTransportConfig", ..., endpoint_name=..., error=...)` in the constructor."""

    name: ClassVar[str]
    #: "required", "forbidden" or "optional" (connectors.md §1.4)
    format: ClassVar[str] = "required"
    #: All that is pushed as bytes is one stream: how many of them were used up is the position in the source.
    single_stream: ClassVar[bool] = False
    #: The formats that may be used; None: every one.
    formats: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None: ...

    def meet(self, inputs: Sequence[InputConnector]) -> None:  # noqa: B027 - most transports work alone
        """Get to know the pipeline's other input connectors; `inputs` has all, in declaration order. Called once, when
        all are built, before `open`. Raises the configuration error of a combination that cannot work."""

    def open(self) -> None:  # noqa: B027 - opening is optional
        """Acquire what reading needs; failure fails the start of the pipeline. Called once, before `run`."""

    @abstractmethod
    def run(self, sink: InputSink) -> None:
        """Read until end of input or `sink.closing`; returns then. Exceptions become a fatal transport error."""

    def close(self) -> None:  # noqa: B027 - closing is optional
        """Release everything. Called after `run` returned (or if it was never called)."""


class OutputConnector(ABC):
    """A transport that writes. Called from one thread of its own."""

    name: ClassVar[str]
    format: ClassVar[str] = "required"

    @abstractmethod
    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None: ...

    def open(self) -> None:  # noqa: B027 - opening is optional
        """Acquire what writing needs; failure fails the start of the pipeline."""

    def batch_start(self, step: int) -> None:  # noqa: B027 - most transports need no batches
        """The buffers that follow belong to `step`."""

    @abstractmethod
    def write(self, data: bytes, num_records: int) -> None:
        """Ship one encoded buffer. Exceptions become a transport error; the connector goes on."""

    def batch_end(self) -> None:  # noqa: B027 - most transports need no batches
        """The step's last buffer has been written."""

    def close(self) -> None:  # noqa: B027 - closing is optional
        """Flush and release."""
