"""The JSON encoder: deltas to events, a chunk of records at a time.

The text of a chunk is built column by column in Arrow, and the events are the element-wise join of the column
texts with the constants between them. The data buffer of that text column, as it stands, is the output.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.formats.base import EncodedBuffer, Encoder
from millstream.formats.buffers import check_size, cut
from millstream.formats.json.config import JsonEncoderConfig, UpdateFormat
from millstream.formats.json.kafka_connect import envelope_schema, struct_schema
from millstream.formats.order import ordered_records
from millstream.formats.text_columns import (
    TEXT,
    column_json,
    column_text,
    join,
    object_members,
    text,
    text_bytes,
    text_offsets,
)
from millstream.types import Relation
from millstream.zset.delta import Delta

#: Records whose text is built at once when every record is a buffer of its own.
_CHUNK_RECORDS = 10_000


class JsonEncoder(Encoder):
    """Encodes deltas of one relation. `stream_id` (snowflake) is random unless given."""

    def __init__(
        self,
        relation: Relation,
        config: JsonEncoderConfig,
        *,
        key_separator: str = ":",
        max_buffer_bytes: int | None = None,
        stream_id: int | None = None,
    ) -> None:
        self._relation = relation
        self._config = config
        self._key_separator = key_separator
        self._max_buffer_bytes = max_buffer_bytes
        self._types = [column.type for column in relation.columns]
        self._names = [column.name for column in relation.columns]
        self._stream_id = secrets.randbits(63) if stream_id is None else stream_id
        self._next_sequence = 0
        self._key_columns = config.key_fields or tuple(range(len(self._names)))
        self._key_start, self._value_start = self._message_starts()

    def encode(self, delta: Delta) -> Iterator[EncodedBuffer]:
        records = ordered_records(delta, self._types, expand=True)
        size = self._config.buffer_size_records
        chunk_size = size if size > 1 else _CHUNK_RECORDS
        for start in range(0, len(records.rows), chunk_size):
            rows = pa.array(records.rows[start : start + chunk_size])
            columns = [column.take(rows) for column in delta.columns]
            yield from self._chunk(columns, records.weights[start : start + chunk_size] > 0)

    def _chunk(self, columns: Sequence[pa.Array], inserts: npt.NDArray[np.bool_]) -> Iterator[EncodedBuffer]:
        texts = [column_json(c, t, self._config.flavor) for c, t in zip(columns, self._types, strict=True)]
        update_format = self._config.update_format
        if update_format is UpdateFormat.DEBEZIUM:
            yield from self._debezium(texts, inserts)
        elif update_format is UpdateFormat.REDIS:
            yield from self._redis(columns, texts, inserts)
        elif update_format is UpdateFormat.SNOWFLAKE:
            for data, count in cut(self._snowflake(texts, inserts), 1, self._max_buffer_bytes):
                yield EncodedBuffer(data, count)
        else:
            yield from self._insert_delete(texts, inserts)

    def _insert_delete(self, texts: Sequence[pa.Array], inserts: npt.NDArray[np.bool_]) -> Iterator[EncodedBuffer]:
        prefix = _choose(inserts, '{"insert":{', '{"delete":{')
        ending = "}}," if self._config.array else "}}\n"
        events = join(prefix, *object_members(self._names, texts), text(ending))
        limit = self._max_buffer_bytes
        if self._config.array and limit is not None:
            limit -= 1  # for the opening bracket; the closing one takes the place of a comma
        for data, count in cut(events, self._config.buffer_size_records, limit):
            yield EncodedBuffer(b"[" + data[:-1] + b"]" if self._config.array else data, count)

    def _snowflake(self, texts: Sequence[pa.Array], inserts: npt.NDArray[np.bool_]) -> pa.Array:
        first = self._next_sequence
        self._next_sequence += len(inserts)
        numbers = pc.cast(pa.array(np.arange(first, self._next_sequence)), TEXT)
        separator = "," if texts else ""
        action = _choose(inserts, separator + '"__action":"insert"', separator + '"__action":"delete"')
        stream = text(f',"__stream_id":{self._stream_id},"__seq_number":')
        return join(text("{"), *object_members(self._names, texts), action, stream, numbers, text("}\n"))

    def _debezium(self, texts: Sequence[pa.Array], inserts: npt.NDArray[np.bool_]) -> Iterator[EncodedBuffer]:
        keys = join(
            text(self._key_start + "{"),
            *object_members([self._names[c] for c in self._key_columns], [texts[c] for c in self._key_columns]),
            _constant(inserts, "}}"),
        )
        operation = _choose(inserts, '{"op":"c","after":{', '{"op":"d","before":{')
        members = object_members(self._names, texts)
        values = join(text(self._value_start), operation, *members, text("}}}"))
        for key, data in zip(_rows(keys), _rows(values), strict=True):
            check_size(len(key) + len(data), self._max_buffer_bytes)
            yield EncodedBuffer(data, 1, key)

    def _message_starts(self) -> tuple[str, str]:
        """What stands before the payload in debezium keys and values: the schemas, if the flavour has
        them."""
        if (
            self._config.update_format is not UpdateFormat.DEBEZIUM
            or self._config.flavor.name != "kafka_connect_json_converter"
        ):
            return '{"payload":', '{"payload":'
        columns = list(self._relation.columns)
        key = struct_schema([columns[c] for c in self._key_columns], name="Key", optional=False)
        schemas = [json.dumps(s, separators=(",", ":"), ensure_ascii=False) for s in (key, envelope_schema(columns))]
        return f'{{"schema":{schemas[0]},"payload":', f'{{"schema":{schemas[1]},"payload":'

    def _redis(
        self, columns: Sequence[pa.Array], texts: Sequence[pa.Array], inserts: npt.NDArray[np.bool_]
    ) -> Iterator[EncodedBuffer]:
        parts: list[pa.Array | pa.Scalar] = []
        for position, c in enumerate(self._key_columns):
            if position:
                parts.append(text(self._key_separator))
            is_text = self._types[c].is_string
            bare = column_text(columns[c], self._types[c], self._config.flavor) if is_text else texts[c]
            parts.append(pc.fill_null(bare, "null"))
        keys = join(*parts, _constant(inserts, ""))
        values = join(text("{"), *object_members(self._names, texts), _constant(inserts, "}\n"))
        for key, data, insert in zip(_rows(keys), _rows(values), inserts.tolist(), strict=True):
            check_size(len(key) + len(data), self._max_buffer_bytes)
            yield EncodedBuffer(data if insert else b"", 1, key, tombstone=not insert)


def _constant(inserts: npt.NDArray[np.bool_], value: str) -> pa.Array:
    """`value` for every record: makes a join a column even if all its other parts are constants."""
    return _choose(inserts, value, value)


def _choose(inserts: npt.NDArray[np.bool_], if_insert: str, if_delete: str) -> pa.Array:
    return pc.if_else(pa.array(inserts), text(if_insert), text(if_delete))


def _rows(texts: pa.Array) -> Iterator[bytes]:
    """The bytes of each text."""
    data = text_bytes(texts).tobytes()
    ends = (text_offsets(texts) - text_offsets(texts)[0]).tolist()
    for start, end in pairwise(ends):
        yield data[start:end]
