"""The kernels that look entries up and compare values.

Columns are given as tables of addresses (columns.py); *sources* are those of kernels.py. Each kernel has a plain numpy
twin in tests/zset/reference.py that it must agree with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import (
    DATA,
    FIXED,
    KIND,
    NULLS,
    OTHER,
    POSITION_MASK,
    SECOND_SOURCE,
    SOURCE_SHIFT,
    START,
    VALID,
    WIDTH,
)
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import ZERO, bit, load64, prefetch, same_value

# How many look-ups ahead of the present one memory is asked for.
AHEAD = 16
# Columns of an index: addresses.
WEIGHTS, ROW_HASHES = 3, 4
_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


@kernel_for("int64[:, :, ::1], int64[::1], int64[:, :, ::1], int64[::1]")
def equal_positions(a: Any, positions_a: Any, b: Any, positions_b: Any) -> Any:
    """For the pairs of positions, whether the first columns of the tables a[0] and b[0] hold equal values or NULLs."""
    equal = np.empty(len(positions_a), np.bool_)
    zero = np.int64(0)
    for i in range(len(positions_a)):
        equal[i] = same_value(a, zero, zero, positions_a[i], b, zero, zero, positions_b[i], np.bool_(True))
    return equal


@kernel
def find_range(keys: Any, low: Any, high: Any, key: Any) -> Any:
    """The range of positions low .. high - 1 where sorted hashes at address `keys` equal `key`."""
    if high - low <= 8:
        # Counting takes no branch that depends on the values.
        below = np.int64(0)
        equal = np.int64(0)
        for position in range(low, high):
            found = load64(keys, position * 8)
            below += found < key
            equal += found == key
        return low + below, low + below + equal
    end = high
    while low < end:
        middle = (low + end) >> 1
        if load64(keys, middle * 8) < key:
            low = middle + 1
        else:
            end = middle
    while end < high:
        middle = (end + high) >> 1
        if load64(keys, middle * 8) <= key:
            end = middle + 1
        else:
            high = middle
    return low, end


@kernel
def find_ranges(keys: Any, directory: Any, bits: Any, hashes: Any, low: Any, high: Any) -> Any:
    """For every one of `hashes` the range of equal ones in a run.

    Every look-up misses the caches twice. So the directory is read for all of them first, without any branch in
    between, and hashes are prefetched some rounds before they are compared.
    """
    count = len(hashes)
    shift = np.uint64(64 - bits)
    for i in range(count):
        bounds = load64(directory, np.int64(hashes[i] >> shift) * 4)
        low[i] = np.int64(bounds & _LOW32)
        high[i] = np.int64(bounds >> _S32)
    for i in range(count):
        if i + AHEAD < count:
            prefetch(keys, low[i + AHEAD] * 8)
        low[i], high[i] = find_range(keys, low[i], high[i], hashes[i])


@kernel_for("int64[:, ::1], int64[:, :, ::1], int64[::1], uint64[::1], int64[:, :, ::1], boolean[::1]")
def probe_runs(index: Any, tables: Any, key: Any, hashes: Any, probe: Any, null_safe: Any) -> Any:
    """All entries of several runs whose key equals a probe row's.

    `index` has per run the addresses of key hashes and directory, the directory's bits, and the addresses of weights
    (0: all are 1) and row hashes; `tables` its columns, of which `key` are the key columns; `hashes` and the table
    `probe` (a single one, with one line per key column) are those of the probe rows. Columns of kind OTHER are taken to
    be equal. Returns probe positions, ascending, and where the entries come from (as in `gather`). O(rows x runs +
    matches).
    """
    num_runs, num_rows = len(index), len(hashes)
    low = np.empty((num_runs, num_rows), np.int64)
    high = np.empty((num_runs, num_rows), np.int64)
    for r in range(num_runs):
        find_ranges(index[r, 0], index[r, 1], index[r, 2], hashes, low[r], high[r])
    for k in range(len(key)):
        if not null_safe[k] and (probe[0, k, KIND] == NULLS or probe[0, k, VALID] != 0):
            drop_nulls(probe, k, low, high)
    matched = np.empty((high - low).sum(), np.int64)
    sources = np.empty(len(matched), np.int64)
    # Typed, as all arguments of kernels: numba compiles a function again for each literal.
    zero = np.int64(0)
    size = zero
    for i in range(num_rows):
        for r in range(num_runs):
            for position in range(low[r, i], high[r, i]):
                matched[size] = i
                sources[size] = r * SECOND_SOURCE + position
                size += 1
    if len(key) == 1 and is_plain(tables, key[0]) and is_plain(probe, zero):
        size = keep_equal_words(tables, key[0], probe, matched, sources, size)
    else:
        size = keep_equal(tables, key, probe, null_safe, matched, sources, size)
    return matched[:size], sources[:size]


@kernel
def is_plain(tables: Any, column: Any) -> Any:
    """Whether a column holds 8-byte words and no NULL, wherever it stands."""
    for r in range(len(tables)):
        if tables[r, column, KIND] != FIXED or tables[r, column, WIDTH] != 8 or tables[r, column, VALID] != 0:
            return False
    return True


@kernel
def keep_equal_words(tables: Any, column: Any, probe: Any, matched: Any, sources: Any, size: Any) -> Any:
    """`keep_equal` for a single key column that is plain on both sides."""
    starts = tables[:, column, DATA] + tables[:, column, START] * 8
    start = probe[0, 0, DATA] + probe[0, 0, START] * 8
    kept = 0
    for m in range(size):
        word = load64(starts[sources[m] >> SOURCE_SHIFT], (sources[m] & POSITION_MASK) * 8)
        equal = word == load64(start, matched[m] * 8)
        matched[kept] = matched[m]
        sources[kept] = sources[m]
        kept += equal
    return kept


@kernel
def keep_equal(tables: Any, key: Any, probe: Any, null_safe: Any, matched: Any, sources: Any, size: Any) -> Any:
    """Moves the first `size` pairs whose key columns are equal to the front; returns how many these are."""
    kept = 0
    zero = np.int64(0)
    for m in range(size):
        r = sources[m] >> SOURCE_SHIFT
        position = sources[m] & POSITION_MASK
        equal = True
        for k in range(len(key)):
            if probe[zero, k, KIND] != OTHER and not same_value(
                probe, zero, k, matched[m], tables, r, key[k], position, null_safe[k]
            ):
                equal = False
                break
        if equal:
            matched[kept] = matched[m]
            sources[kept] = sources[m]
            kept += 1
    return kept


@kernel
def drop_nulls(probe: Any, k: Any, low: Any, high: Any) -> None:
    """Empties the ranges of probe rows whose key column k is NULL: many entries may share their hash."""
    for i in range(low.shape[1]):
        if probe[0, k, KIND] == NULLS or bit(probe[0, k, VALID], i + probe[0, k, START]) == ZERO:
            for r in range(len(low)):
                high[r, i] = low[r, i]


@kernel_for("int64[:, ::1], int64, int64[::1]")
def gather_words(index: Any, part: Any, sources: Any) -> Any:
    """The weights (part WEIGHTS) or row hashes (ROW_HASHES) of the entries at `sources`; `index` as in `probe_runs`."""
    words = np.empty(len(sources), np.int64)
    for i in range(len(sources)):
        address = index[sources[i] >> SOURCE_SHIFT, part]
        words[i] = 1 if address == 0 else np.int64(load64(address, (sources[i] & POSITION_MASK) * 8))
    return words


@kernel_for("int64[:, ::1], uint64[::1], uint64[::1]")
def find_rows(index: Any, key_hashes: Any, row_hashes: Any) -> Any:
    """Where the rows with those pairs of hashes are, in any run that mentions them; -1 for those that are nowhere.

    `index` as in `probe_runs`. O(rows x runs), and O(log n) where a key has n rows.
    """
    count = len(key_hashes)
    sources = np.full(count, -1, np.int64)
    low = np.empty(count, np.int64)
    high = np.empty(count, np.int64)
    for r in range(len(index)):
        find_ranges(index[r, 0], index[r, 1], index[r, 2], key_hashes, low, high)
        for i in range(count):
            if sources[i] < 0 and low[i] < high[i]:
                first, end = find_range(index[r, ROW_HASHES], low[i], high[i], row_hashes[i])
                if first < end:
                    sources[i] = r * SECOND_SOURCE + first
    return sources
