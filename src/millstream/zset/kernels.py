"""The kernels over hashes: sorting, merging, probing.

They are given hashes as uint64, weights and positions as int64, columns as tables of addresses (columns.py). A
*source* says where an entry comes from: s * SECOND_SOURCE + p is entry p of the s-th run. Each kernel has a plain numpy
twin in tests/zset/reference.py that it must agree with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import (
    KIND,
    NULLS,
    OTHER,
    POSITION_MASK,
    SECOND_SOURCE,
    SOURCE_SHIFT,
    START,
    VALID,
)
from millstream.zset.words import ZERO, bit, kernel, load32, load64, same_value


@kernel
def equal_positions(a: Any, positions_a: Any, b: Any, positions_b: Any) -> Any:
    """For the pairs of positions, whether the first columns of the tables a[0] and b[0] hold equal values or NULLs."""
    equal = np.empty(len(positions_a), np.bool_)
    for i in range(len(positions_a)):
        equal[i] = same_value(a, 0, 0, positions_a[i], b, 0, 0, positions_b[i], True)
    return equal


@kernel
def directory_bits(count: Any) -> Any:
    """How many top bits the directory of `count` hashes tells apart: one to two entries a bucket."""
    bits = 1
    while count >> (bits + 1) != 0:
        bits += 1
    return bits


@kernel
def build_directory(keys: Any) -> Any:
    """The radix directory of sorted hashes: entry b is the number of hashes whose top bits are below b."""
    count = len(keys)
    bits = directory_bits(count)
    shift = np.uint64(64 - bits)
    directory = np.empty((1 << bits) + 1, np.uint32)
    bucket = 0
    for i in range(count):
        top = np.int64(keys[i] >> shift)
        while bucket <= top:
            directory[bucket] = i
            bucket += 1
    for b in range(bucket, len(directory)):
        directory[b] = count
    return directory


@kernel
def insertion_sort(entries: Any, low: Any, high: Any) -> None:
    """Sorts entries[low:high] by (key hash, row hash) in place. Quadratic; for a handful."""
    for i in range(low + 1, high):
        key = entries[i, 0]
        row = entries[i, 1]
        position = entries[i, 2]
        j = i - 1
        while j >= low and (entries[j, 0] > key or (entries[j, 0] == key and entries[j, 1] > row)):
            entries[j + 1, 0] = entries[j, 0]
            entries[j + 1, 1] = entries[j, 1]
            entries[j + 1, 2] = entries[j, 2]
            j -= 1
        entries[j + 1, 0] = key
        entries[j + 1, 1] = row
        entries[j + 1, 2] = position


@kernel
def merge_sort(entries: Any, low: Any, high: Any) -> None:
    """Sorts entries[low:high] by (key hash, row hash) in place. O(n log n): for buckets that one key fills."""
    source = entries[low:high].copy()
    target = np.empty_like(source)
    count = high - low
    width = 16
    for start in range(0, count, width):
        insertion_sort(source, start, min(start + width, count))
    while width < count:
        for start in range(0, count, 2 * width):
            i, end_i = start, min(start + width, count)
            j, end_j = end_i, min(start + 2 * width, count)
            for k in range(start, end_j):
                if j >= end_j:
                    first = True
                elif i >= end_i:
                    first = False
                elif source[i, 0] != source[j, 0]:
                    first = source[i, 0] < source[j, 0]
                else:
                    first = source[i, 1] <= source[j, 1]
                p = i if first else j
                target[k, 0] = source[p, 0]
                target[k, 1] = source[p, 1]
                target[k, 2] = source[p, 2]
                if first:
                    i += 1
                else:
                    j += 1
        source, target = target, source
        width *= 2
    entries[low:high] = source


@kernel
def sort_entries(keys: Any, rows: Any, weights: Any) -> Any:
    """Entries by (key hash, row hash), equal pairs merged and zero weights dropped.

    Returns the position of one original entry for each that remains, its key hash, row hash and total weight. The
    hashes are uniform, so one scatter on their top bits leaves one or two entries a bucket; what remains to sort in a
    bucket is sorted by insertion, or, where few keys have many rows, by merging. O(n) for distinct keys.
    """
    count = len(keys)
    entries = np.empty((count, 3), np.uint64)
    if count <= 16:
        for i in range(count):
            entries[i, 0] = keys[i]
            entries[i, 1] = rows[i]
            entries[i, 2] = np.uint64(i)
        insertion_sort(entries, 0, count)
    else:
        bits = directory_bits(count)
        shift = np.uint64(64 - bits)
        ends = np.zeros((1 << bits) + 1, np.int64)
        for i in range(count):
            ends[np.int64(keys[i] >> shift) + 1] += 1
        for b in range(1, len(ends)):
            ends[b] += ends[b - 1]
        for i in range(count):
            top = np.int64(keys[i] >> shift)
            p = ends[top]
            ends[top] = p + 1
            entries[p, 0] = keys[i]
            entries[p, 1] = rows[i]
            entries[p, 2] = np.uint64(i)
        low = 0
        for b in range(1 << bits):
            high = ends[b]
            if high - low > 24:
                merge_sort(entries, low, high)
            elif high - low > 1:
                insertion_sort(entries, low, high)
            low = high
    return collapse(entries, weights)


@kernel
def collapse(entries: Any, weights: Any) -> Any:
    """Sums the weights of equal neighbours, drops zeros, and takes the sorted entries apart."""
    count = len(entries)
    order = np.empty(count, np.int64)
    keys = np.empty(count, np.uint64)
    rows = np.empty(count, np.uint64)
    totals = np.empty(count, np.int64)
    size = 0
    i = 0
    while i < count:
        key = entries[i, 0]
        row = entries[i, 1]
        first = np.int64(entries[i, 2])
        total = weights[first]
        i += 1
        while i < count and entries[i, 0] == key and entries[i, 1] == row:
            total += weights[np.int64(entries[i, 2])]
            i += 1
        order[size] = first
        keys[size] = key
        rows[size] = row
        totals[size] = total
        if total != 0:
            size += 1
    if size < count // 2:  # most entries vanished: do not hold on to the memory of all
        return order[:size].copy(), keys[:size].copy(), rows[:size].copy(), totals[:size].copy()
    return order[:size], keys[:size], rows[:size], totals[:size]


@kernel
def merge_entries(keys_a: Any, rows_a: Any, weights_a: Any, keys_b: Any, rows_b: Any, weights_b: Any) -> Any:
    """Merges two sorted runs' entries, cancelling opposite weights.

    Returns where each entry comes from (as in `gather`: 0 for a, 1 for b), key hashes, row hashes and weights. O(n).
    """
    count_a, count_b = len(keys_a), len(keys_b)
    sources = np.empty(count_a + count_b, np.int64)
    keys = np.empty(count_a + count_b, np.uint64)
    rows = np.empty(count_a + count_b, np.uint64)
    weights = np.empty(count_a + count_b, np.int64)
    i = j = size = 0
    while i < count_a and j < count_b:
        key_a, key_b = keys_a[i], keys_b[j]
        if key_a == key_b and rows_a[i] == rows_b[j]:
            total = weights_a[i] + weights_b[j]
            if total != 0:
                sources[size] = i
                keys[size] = key_a
                rows[size] = rows_a[i]
                weights[size] = total
                size += 1
            i += 1
            j += 1
        elif key_a < key_b or (key_a == key_b and rows_a[i] < rows_b[j]):
            sources[size] = i
            keys[size] = key_a
            rows[size] = rows_a[i]
            weights[size] = weights_a[i]
            size += 1
            i += 1
        else:
            sources[size] = SECOND_SOURCE + j
            keys[size] = key_b
            rows[size] = rows_b[j]
            weights[size] = weights_b[j]
            size += 1
            j += 1
    while i < count_a:
        sources[size] = i
        keys[size] = keys_a[i]
        rows[size] = rows_a[i]
        weights[size] = weights_a[i]
        size += 1
        i += 1
    while j < count_b:
        sources[size] = SECOND_SOURCE + j
        keys[size] = keys_b[j]
        rows[size] = rows_b[j]
        weights[size] = weights_b[j]
        size += 1
        j += 1
    if size < (count_a + count_b) // 2:
        return sources[:size], keys[:size].copy(), rows[:size].copy(), weights[:size].copy()
    return sources[:size], keys[:size], rows[:size], weights[:size]


@kernel
def find_range(keys: Any, low: Any, high: Any, key: Any) -> Any:
    """The range of positions low .. high - 1 where sorted hashes at address `keys` equal `key`."""
    end = high
    while end - low > 8:
        middle = (low + end) >> 1
        if load64(keys, middle * 8) < key:
            low = middle + 1
        else:
            end = middle
    while low < high and load64(keys, low * 8) < key:
        low += 1
    end = low
    while end < high and end - low < 8 and load64(keys, end * 8) == key:
        end += 1
    if end - low == 8:
        while end < high:
            middle = (end + high) >> 1
            if load64(keys, middle * 8) <= key:
                end = middle + 1
            else:
                high = middle
    return low, end


@kernel
def probe_runs(index: Any, tables: Any, key: Any, hashes: Any, probe: Any, null_safe: Any) -> Any:
    """All entries of several runs whose key equals a probe row's.

    `index` has per run the addresses of key hashes and directory, the directory's bits, and the address of the
    weights; `tables` its columns, of
    which `key` are the key columns; `hashes` and the table `probe` (a single one, with one line per key column) are
    those of the probe rows. Columns of kind OTHER are taken to be equal. Returns probe positions, ascending, and
    where the entries come from (as in `gather`). O(rows x runs + matches).
    """
    num_runs, num_rows = len(index), len(hashes)
    starts = np.empty((num_runs, num_rows), np.int64)
    ends = np.empty((num_runs, num_rows), np.int64)
    total = np.int64(0)
    skipped = np.empty(num_rows, np.bool_)
    for i in range(num_rows):
        skipped[i] = unmatchable(probe, i, null_safe)
    for r in range(num_runs):
        keys = index[r, 0]
        directory = index[r, 1]
        shift = np.uint64(64 - index[r, 2])
        for i in range(num_rows):
            if skipped[i]:
                starts[r, i] = ends[r, i] = 0
                continue
            top = np.int64(hashes[i] >> shift)
            low = np.int64(load32(directory, top * 4))
            high = np.int64(load32(directory, top * 4 + 4))
            low, high = find_range(keys, low, high, hashes[i])
            starts[r, i] = low
            ends[r, i] = high
            total += high - low
    matched = np.empty(total, np.int64)
    sources = np.empty(total, np.int64)
    size = 0
    for i in range(num_rows):
        for r in range(num_runs):
            for position in range(starts[r, i], ends[r, i]):
                equal = True
                for k in range(len(key)):
                    if probe[0, k, KIND] != OTHER and not same_value(
                        probe, 0, k, i, tables, r, key[k], position, null_safe[k]
                    ):
                        equal = False
                        break
                if equal:
                    matched[size] = i
                    sources[size] = r * SECOND_SOURCE + position
                    size += 1
    return matched[:size], sources[:size]


@kernel
def unmatchable(probe: Any, i: Any, null_safe: Any) -> Any:
    """Whether probe row i has a NULL where NULLs do not match: many entries may share its hash."""
    for k in range(len(null_safe)):
        if not null_safe[k]:
            if probe[0, k, KIND] == NULLS:
                return True
            if probe[0, k, VALID] != 0 and bit(probe[0, k, VALID], i + probe[0, k, START]) == ZERO:
                return True
    return False


@kernel
def gather_weights(index: Any, sources: Any) -> Any:
    """The weights of the entries at `sources`; `index` as in `probe_runs`."""
    weights = np.empty(len(sources), np.int64)
    for i in range(len(sources)):
        weights[i] = np.int64(load64(index[sources[i] >> SOURCE_SHIFT, 3], (sources[i] & POSITION_MASK) * 8))
    return weights
