"""The two small interfaces of a data format: bytes to change batches (`Parser`), deltas to bytes
(`Encoder`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from millstream.zset.changes import ChangeBatch
from millstream.zset.delta import Delta

TEXT_EVENT_ERROR = "text_event_err"
TEXT_ENVELOPE_ERROR = "text_envelope_err"


@dataclass(frozen=True, slots=True)
class ParseError:
    """One record that could not be parsed (connectors.md §6). `event_number` counts from 1 within the
    stream."""

    description: str
    event_number: int | None = None
    field: str | None = None
    invalid_bytes: list[int] | None = None
    invalid_text: str | None = None
    suggestion: str | None = None
    tag: str = TEXT_EVENT_ERROR

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """What a block of bytes held: good records in arrival order, and what was wrong with the others."""

    batches: tuple[ChangeBatch, ...]
    errors: tuple[ParseError, ...] = ()

    @property
    def num_records(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


class Parser(ABC):
    """Turns blocks of one byte stream into change batches. Not thread-safe; one parser a stream.

    A transport appends what it reads to a buffer, asks `split` how much of it is whole records, and hands
    that part to `parse`; the rest waits for more bytes.
    """

    @abstractmethod
    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        """How many leading bytes of `buffer` form whole records (0: none yet). `buffer` starts at a record
        boundary. At the end of input an unterminated last record counts as whole."""

    @abstractmethod
    def parse(self, block: bytes) -> ParsedBlock:
        """The records of `block`, which ends at a record boundary. Never raises for bad data."""

    @abstractmethod
    def restart(self) -> None:
        """A new byte stream begins (another file or request): forget header and position."""


@dataclass(frozen=True, slots=True)
class EncodedBuffer:
    """A piece of output: bytes and the number of records in them.

    Formats that give every record a key (debezium, redis) set `key`; `tombstone` then says that the key is to
    be deleted, and `data` is empty. Keyless formats leave both alone.
    """

    data: bytes
    num_records: int
    key: bytes | None = None
    tombstone: bool = False


class Encoder(ABC):
    """Turns deltas into bytes: deletes before inserts, each in row order, a weight of n as n records."""

    @abstractmethod
    def encode(self, delta: Delta) -> Iterator[EncodedBuffer]:
        """The buffers for one (consolidated) delta. Raises MillstreamError for values without
        representation."""
