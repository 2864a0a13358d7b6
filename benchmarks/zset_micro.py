"""Rows per second of the Z-set room's primitives on one thread: `python benchmarks/zset_micro.py [rows]`.

Traces of four columns, all of fixed width or one of them text, are filled with deltas of 100,000 rows; then probed,
and then given single rows. Latencies are percentiles of single calls.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.group_table import GroupTable
from millstream.zset.hashing import DEFAULT_SEEDS, hash_columns
from millstream.zset.trace import Trace
from millstream.zset.warm import warm_up

STEP_ROWS = 100_000
FIXED = (pa.int64(), pa.int64(), pa.int32(), pa.timestamp("us"))
WITH_TEXT = (pa.int64(), pa.int64(), pa.large_string(), pa.timestamp("us"))


def make_delta(types: tuple[pa.DataType, ...], rows: int, keys: int, random: np.random.Generator) -> Delta:
    """Random insertions; the first column has `keys` distinct values."""
    columns = []
    for position, data_type in enumerate(types):
        if pa.types.is_large_string(data_type):
            columns.append(pa.array(random.integers(0, 1 << 40, rows)).cast(data_type))
        else:
            values = random.integers(0, keys if position == 0 else 1 << 30, rows)
            columns.append(pa.array(values).cast(pa.int64()).cast(data_type))
    return Delta.inserts(columns)


def report(name: str, rows: int, work: Callable[[], object]) -> None:
    """Prints the rate of one call."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{name:<48}{rows / seconds / 1e6:8.2f} M rows/s")


def report_latency(name: str, calls: list[Callable[[], object]]) -> None:
    """Prints percentiles of the calls' durations."""
    micros = []
    for call in calls:
        start = time.perf_counter()
        call()
        micros.append((time.perf_counter() - start) * 1e6)
    p50, p99, worst = np.percentile(micros, [50, 99, 100])
    print(f"{name:<48}p50 {p50:7.1f}  p99 {p99:7.1f}  max {worst:7.1f}  mean {np.mean(micros):7.1f} us")


def measure(name: str, types: tuple[pa.DataType, ...], rows: int) -> None:
    """All measurements on one kind of trace."""
    random = np.random.default_rng(1)
    trace = Trace(types, [0], DEFAULT_SEEDS)
    deltas = [make_delta(types, STEP_ROWS, rows, random) for _ in range(rows // STEP_ROWS)]
    report(f"{name}: fill, {rows:,} rows", rows, lambda: [trace.insert(delta) for delta in deltas])
    more = [make_delta(types, STEP_ROWS, rows, random) for _ in range(10)]
    report(f"{name}: insert 100k deltas into it", 10 * STEP_ROWS, lambda: [trace.insert(d) for d in more])
    keys = make_delta(types, STEP_ROWS, rows, random).columns[:1]
    found = len(trace.probe(keys, STEP_ROWS).probe_index)
    probe = lambda: [trace.probe(keys, STEP_ROWS) for _ in range(5)]  # noqa: E731  # a measured call
    report(f"{name}: probe + gather, per probe row", 5 * STEP_ROWS, probe)
    report(f"{name}: probe + gather, per match", 5 * found, probe)
    batch = more[0]
    twice = Delta(tuple(pa.concat_arrays([c, c]) for c in batch.columns), np.repeat([1, -1], STEP_ROWS))
    report(f"{name}: consolidate, all distinct", STEP_ROWS, lambda: consolidate(batch, DEFAULT_SEEDS))
    report(f"{name}: consolidate, all cancel", 2 * STEP_ROWS, lambda: consolidate(twice, DEFAULT_SEEDS))
    report(f"{name}: snapshot to delta", trace.num_rows, lambda: trace.snapshot().to_delta())
    singles = [make_delta(types, 1, rows, random) for _ in range(5000)]
    pairs: list[Callable[[], object]] = []
    for single in singles:
        pairs.append(lambda s=single: trace.insert(s))  # type: ignore[misc]  # default binds the loop variable
        pairs.append(lambda s=single: trace.probe(s.columns[:1], 1))  # type: ignore[misc]
    report_latency(f"{name}: 1-row insert", pairs[0::2][:2500])
    report_latency(f"{name}: 1-row insert, then 1-row probe (each)", pairs[5000:])
    report_latency(f"{name}: 1-row probe", pairs[1::2])


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    report("warm up", 0, warm_up)
    measure("fixed width", FIXED, rows)
    measure("with text", WITH_TEXT, rows)
    random = np.random.default_rng(2)
    column = pa.array(random.integers(0, rows, rows))
    report("hash one int64 column", rows, lambda: hash_columns([column], rows, 1))
    h1, h2 = (hash_columns([column], rows, seed) for seed in DEFAULT_SEEDS)
    table = GroupTable()
    report("group table: new slots", rows, lambda: table.slots(h1, h2))
    report("group table: known slots", rows, lambda: table.slots(h1, h2))


if __name__ == "__main__":
    main()
