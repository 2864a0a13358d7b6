"""The CSV encoder: all columns of a row, then its weight; no header, minimal quotes, NULL is an empty field.

Built column by column in Arrow, as in `json.encode`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from millstream.formats.base import EncodedBuffer, Encoder
from millstream.formats.buffers import cut
from millstream.formats.csv.config import CsvEncoderConfig
from millstream.formats.json.flavors import DEFAULT
from millstream.formats.order import ordered_records
from millstream.formats.text_columns import TEXT, column_text, float_texts, join, needs_quotes, text
from millstream.types import Relation, SqlType
from millstream.zset.delta import Delta


class CsvEncoder(Encoder):
    """Encodes deltas of one relation."""

    def __init__(self, relation: Relation, config: CsvEncoderConfig, *, max_buffer_bytes: int | None = None) -> None:
        self._max_buffer_bytes = max_buffer_bytes
        self._config = config
        self._types = [column.type for column in relation.columns]
        self._special = ('"\r\n' + config.delimiter).encode()
        self._special_pattern = f"[{re.escape(self._special.decode())}]"

    def encode(self, delta: Delta) -> Iterator[EncodedBuffer]:
        records = ordered_records(delta, self._types, expand=self._config.expand_weights)
        size = self._config.buffer_size_records
        delimiter = text(self._config.delimiter)
        for start in range(0, len(records.rows), size):
            rows = pa.array(records.rows[start : start + size])
            parts: list[pa.Array | pa.Scalar] = []
            for column, sql_type in zip(delta.columns, self._types, strict=True):
                parts += [self._fields(column.take(rows), sql_type), delimiter]
            weights = pc.cast(pa.array(records.weights[start : start + size]), TEXT)
            lines = join(*parts, weights, text("\n"))
            for data, count in cut(lines, size, self._max_buffer_bytes):
                yield EncodedBuffer(data, count)

    def _fields(self, column: pa.Array, sql_type: SqlType) -> pa.Array:
        fields = float_texts(column) if sql_type.is_float else column_text(column, sql_type, DEFAULT)
        fields = pc.fill_null(fields, "")
        if not needs_quotes(fields, self._special):
            return fields
        mask = pc.match_substring_regex(fields, self._special_pattern)
        quoted = join(text('"'), pc.replace_substring(fields, '"', '""'), text('"'))
        return pc.if_else(mask, quoted, fields)
