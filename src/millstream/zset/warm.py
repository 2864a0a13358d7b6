"""Warming up: compile, or load from the on-disk cache, every kernel before the first step needs it."""

from __future__ import annotations

import pyarrow as pa

from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from millstream.zset.trace import Trace


def warm_up() -> None:
    """Calls every kernel once on a tiny input. Seconds at the first start on a machine, later milliseconds."""
    types = [pa.int64(), pa.large_list(pa.int64()), pa.map_(pa.large_string(), pa.int64())]
    columns = tuple(
        pa.array(values, data_type)
        for values, data_type in zip(([1, 2], [[1], None], [[("a", 1)], None]), types, strict=True)
    )
    trace = Trace(types, [0], DEFAULT_SEEDS)
    trace.insert(Delta.inserts(columns))
    trace.probe(columns[:1], 2)
