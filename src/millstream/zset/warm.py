"""Warming up: compile, or load from the on-disk cache, every kernel before the first step needs it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.equality import equal_values
from millstream.zset.gathered import describe
from millstream.zset.group_table import GroupTable
from millstream.zset.hashing import DEFAULT_SEEDS, extend_pairs, hash_columns, hash_pairs
from millstream.zset.run import build_run, merge_runs
from millstream.zset.sharding import deal_out, gather_shard
from millstream.zset.trace import Trace
from millstream.zset.views import VIEW_BYTES, views_of

_SAMPLE: tuple[tuple[pa.DataType, list[object]], ...] = (
    (pa.int64(), [1, 2]),
    (pa.large_string(), ["a", None]),
    (pa.large_list(pa.int64()), [[1], None]),
    (pa.map_(pa.large_string(), pa.int64()), [[("a", 1)], None]),
)


def warm_up() -> None:
    """Calls every kernel once on a tiny input. Seconds at the first start on a machine, later milliseconds."""
    columns = tuple(pa.array(values, data_type) for data_type, values in _SAMPLE)
    delta = Delta.inserts(columns)
    trace = Trace([data_type for data_type, _ in _SAMPLE], [0], DEFAULT_SEEDS)
    trace.insert(delta)
    trace.insert(delta)
    # Too large a buffer for two empty strings: they are copied.
    words = pa.allocate_buffer(2 * VIEW_BYTES)
    np.frombuffer(words, np.int64)[:] = 0
    views_of(words, None, [pa.allocate_buffer(1 << 20)])
    merge_runs(*[build_run(delta, [0], DEFAULT_SEEDS)] * 3)
    trace.probe(columns[:1], 2, null_safe=[False])
    trace.rows(*trace.insert_identified(delta)[1:])
    consolidate(delta, DEFAULT_SEEDS)
    dealt = deal_out(delta, [0], 2, DEFAULT_SEEDS)
    gather_shard([dealt, dealt], 0)
    positions = np.arange(2)
    equal_values(columns[0], positions, columns[0], positions)
    groups = GroupTable()
    h1, h2 = (hash_columns(columns, 2, seed) for seed in DEFAULT_SEEDS)
    extend_pairs(hash_pairs(columns[:1], describe(columns[:1]), 2, DEFAULT_SEEDS), positions, columns, DEFAULT_SEEDS)
    slots = groups.slots(np.repeat(h1, 40), np.repeat(h2, 40))
    groups.find(h1, h2)
    groups.release(np.unique(slots))
    many = np.arange(1, 1000, dtype=np.uint64) << np.uint64(32)
    groups.slots(many, many)  # the table grows
