"""Cutting a column of encoded records into buffers of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from millstream.formats.order import encode_error
from millstream.formats.text_columns import text_bytes, text_offsets


def check_size(num_bytes: int, max_bytes: int | None) -> None:
    """Raise the encode error of a record that no buffer of the transport can hold."""
    if max_bytes is not None and num_bytes > max_bytes:
        raise encode_error(
            f"record of {num_bytes} bytes exceeds the maximum buffer size of {max_bytes} bytes of the output transport"
        )


def cut(records: pa.Array, max_records: int, max_bytes: int | None) -> Iterator[tuple[bytes, int]]:
    """The records' texts, one after another, in buffers of at most so many records and bytes, as many as fit in each.
    Raises MillstreamError for a record that does not fit alone."""
    offsets = text_offsets(records)
    offsets = offsets - offsets[0]
    data = text_bytes(records)
    start = 0
    while start < len(records):
        end = min(start + max_records, len(records))
        if max_bytes is not None:
            fitting = int(np.searchsorted(offsets, offsets[start] + max_bytes, side="right")) - 1
            if fitting <= start:
                check_size(int(offsets[start + 1] - offsets[start]), max_bytes)
            end = min(end, fitting)
        yield data[offsets[start] : offsets[end]].tobytes(), end - start
        start = end
