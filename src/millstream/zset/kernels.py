"""The kernels over hashes: sorting, merging, directories.

They are given hashes as uint64, weights and positions as int64. A run without weights, or with 0 for their address,
has weights of 1. A *source* says where an entry comes from: s * SECOND_SOURCE + p is entry p of the s-th run. Each
kernel has a plain numpy twin in tests/zset/reference.py that it must agree with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import POSITION_MASK, SECOND_SOURCE, SOURCE_SHIFT
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import load64

# A block of a merge has so many buckets at most, as a power of two: they and their entries fit in the nearer caches.
BLOCK_BITS = 11
# So few entries are sorted without buckets.
SMALL_COUNT = 16
# Buckets of more entries are not sorted by insertion.
INSERTION_LIMIT = 24


@kernel
def directory_bits(count: Any) -> Any:
    """How many top bits the directory of `count` hashes tells apart: one to two entries a bucket."""
    bits = 1
    while count >> (bits + 1) != 0:
        bits += 1
    return bits


@kernel_for("uint64[::1]")
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
    """Sorts entries[low:high] by (key hash, row hash) in place. O(n log n), whatever the hashes are."""
    count = high - low
    source = np.empty((count, 3), np.uint64)
    target = np.empty((count, 3), np.uint64)
    for k in range(count):
        for part in range(3):
            source[k, part] = entries[low + k, part]
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
    for k in range(count):
        for part in range(3):
            entries[low + k, part] = source[k, part]


@kernel
def sort_large_bucket(entries: Any, low: Any, high: Any) -> None:
    """Sorts entries[low:high] in place. Such a bucket nearly always has one key with many rows: row hashes are uniform,
    so the rows are scattered as keys are. O(n) for distinct rows of one key."""
    for i in range(low + 1, high):
        if entries[i, 0] != entries[low, 0]:
            merge_sort(entries, low, high)
            return
    count = high - low
    bits = directory_bits(count)
    shift = np.uint64(64 - bits)
    ends = np.zeros((1 << bits) + 1, np.int64)
    for i in range(low, high):
        ends[np.int64(entries[i, 1] >> shift) + 1] += 1
    for b in range(1, len(ends)):
        ends[b] += ends[b - 1]
    rest = np.empty((count, 2), np.uint64)
    for i in range(low, high):
        top = np.int64(entries[i, 1] >> shift)
        p = ends[top]
        ends[top] = p + 1
        rest[p, 0] = entries[i, 1]
        rest[p, 1] = entries[i, 2]
    for i in range(count):
        entries[low + i, 1] = rest[i, 0]
        entries[low + i, 2] = rest[i, 1]
    start = low
    for b in range(len(ends) - 1):
        end = low + ends[b]
        if end - start > INSERTION_LIMIT:
            merge_sort(entries, start, end)
        elif end - start > 1:
            insertion_sort(entries, start, end)
        start = end


@kernel
def sort_buckets(entries: Any, ends: Any) -> None:
    """Sorts each of the buckets, which end at ends[:-1], in place."""
    low = np.int64(0)  # typed: numba would compile the sorts again for a literal
    for b in range(len(ends) - 1):
        high = ends[b]
        if high - low > INSERTION_LIMIT:
            sort_large_bucket(entries, low, high)
        elif high - low > 1:
            insertion_sort(entries, low, high)
        low = high


@kernel_for("uint64[::1], uint64[::1], int64[::1]")
def sort_entries(keys: Any, rows: Any, weights: Any) -> Any:
    """Entries by (key hash, row hash), equal pairs merged and zero weights dropped.

    Returns the position of one original entry for each that remains, its key hash, row hash and total weight, and
    whether all of these weights are 1. The hashes are uniform, so one scatter on their top bits leaves one or two
    entries a bucket, which are sorted by insertion; where a key has many rows, these are scattered in turn by their
    own hash. O(n).
    """
    count = len(keys)
    entries = np.empty((count, 3), np.uint64)
    if count <= SMALL_COUNT:
        for i in range(count):
            entries[i, 0] = keys[i]
            entries[i, 1] = rows[i]
            entries[i, 2] = np.uint64(i)
        insertion_sort(entries, np.int64(0), count)
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
        sort_buckets(entries, ends)
    return collapse(entries, weights)


@kernel_for("uint64[::1]")
def find_repeated(hashes: Any) -> Any:
    """The positions of all hashes that occur more than once; rarely, of others that look alike.

    A hash table of 31-bit parts of the hashes, at most half full, with a bit for those that come again. O(n); one pass
    where there is none.
    """
    size = 64
    while size < 2 * len(hashes):
        size *= 2
    mask = np.uint64(size - 1)
    cells = np.zeros(size, np.uint32)
    again, used, part_bits = np.uint32(1), np.uint32(2), np.uint32(0xFFFFFFFC)
    found = False
    for i in range(len(hashes)):
        part = (np.uint32(hashes[i] >> np.uint64(32)) & part_bits) | used
        cell = np.int64(hashes[i] & mask)
        while cells[cell] != 0 and cells[cell] & ~again != part:
            cell = (cell + 1) & np.int64(mask)
        if cells[cell] != 0:
            part |= again
            found = True
        cells[cell] = part
    repeated = np.empty(len(hashes) if found else 0, np.int64)
    count = np.int64(0)
    if found:
        for i in range(len(hashes)):
            part = (np.uint32(hashes[i] >> np.uint64(32)) & part_bits) | used
            cell = np.int64(hashes[i] & mask)
            while cells[cell] & ~again != part:
                cell = (cell + 1) & np.int64(mask)
            repeated[count] = i
            count += np.int64(cells[cell] & again)
    return repeated[:count]


@kernel
def collapse(entries: Any, weights: Any) -> Any:
    """Sums the weights of equal neighbours, drops zeros, and takes the sorted entries apart; whether all weights left
    are 1."""
    count = len(entries)
    order = np.empty(count, np.int64)
    keys = np.empty(count, np.uint64)
    rows = np.empty(count, np.uint64)
    totals = np.empty(count, np.int64)
    plain = True
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
            plain &= total == 1
    if size < count // 2:  # most entries vanished: do not hold on to the memory of all
        return order[:size].copy(), keys[:size].copy(), rows[:size].copy(), totals[:size].copy(), plain
    return order[:size], keys[:size], rows[:size], totals[:size], plain


@kernel_for("uint64[::1], uint64[::1], int64[::1], uint64[::1], uint64[::1], int64[::1]")
def merge_entries(keys_a: Any, rows_a: Any, weights_a: Any, keys_b: Any, rows_b: Any, weights_b: Any) -> Any:
    """Merges two sorted runs' entries, cancelling opposite weights.

    Returns where each entry comes from (as in `gather`: 0 for a, 1 for b), key hashes, row hashes and weights, and
    whether all of these are 1. O(n).
    """
    count_a, count_b = len(keys_a), len(keys_b)
    plain_a, plain_b = len(weights_a) == 0, len(weights_b) == 0
    plain = True
    sources = np.empty(count_a + count_b, np.int64)
    keys = np.empty(count_a + count_b, np.uint64)
    rows = np.empty(count_a + count_b, np.uint64)
    weights = np.empty(count_a + count_b, np.int64)
    i = j = size = 0
    while i < count_a and j < count_b:
        key_a, key_b = keys_a[i], keys_b[j]
        if key_a == key_b and rows_a[i] == rows_b[j]:
            total = (1 if plain_a else weights_a[i]) + (1 if plain_b else weights_b[j])
            if total != 0:
                sources[size] = i
                keys[size] = key_a
                rows[size] = rows_a[i]
                weights[size] = total
                plain &= total == 1
                size += 1
            i += 1
            j += 1
        elif key_a < key_b or (key_a == key_b and rows_a[i] < rows_b[j]):
            sources[size] = i
            keys[size] = key_a
            rows[size] = rows_a[i]
            weight = 1 if plain_a else weights_a[i]
            weights[size] = weight
            plain &= weight == 1
            size += 1
            i += 1
        else:
            sources[size] = SECOND_SOURCE + j
            keys[size] = key_b
            rows[size] = rows_b[j]
            weight = 1 if plain_b else weights_b[j]
            weights[size] = weight
            plain &= weight == 1
            size += 1
            j += 1
    while i < count_a:
        sources[size] = i
        keys[size] = keys_a[i]
        rows[size] = rows_a[i]
        weight = 1 if plain_a else weights_a[i]
        weights[size] = weight
        plain &= weight == 1
        size += 1
        i += 1
    while j < count_b:
        sources[size] = SECOND_SOURCE + j
        keys[size] = keys_b[j]
        rows[size] = rows_b[j]
        weight = 1 if plain_b else weights_b[j]
        weights[size] = weight
        plain &= weight == 1
        size += 1
        j += 1
    if size < (count_a + count_b) // 2:
        return sources[:size], keys[:size].copy(), rows[:size].copy(), weights[:size].copy(), plain
    return sources[:size], keys[:size], rows[:size], weights[:size], plain


@kernel_for("int64[:, ::1]")
def merge_many(parts: Any) -> Any:
    """Merges any number of sorted runs' entries, cancelling opposite weights.

    `parts` has per run the addresses of key hashes, row hashes and weights, and the number of entries. Answers as
    `merge_entries`. Entries are scattered into buckets by the top bits of their key hash and sorted there, in blocks
    that fit in the caches; being sorted already, the runs are read from start to end. O(n) for any number of runs.
    """
    total = np.int64(0)
    for r in range(len(parts)):
        total += parts[r, 3]
    bits = directory_bits(total)
    local_bits = min(bits, BLOCK_BITS)
    shift = np.uint64(64 - bits)
    mask = np.int64((1 << local_bits) - 1)
    ends = np.empty((1 << local_bits) + 1, np.int64)
    entries = np.empty((min(total, 2 << local_bits), 3), np.uint64)
    starts = np.zeros(len(parts), np.int64)
    stops = np.zeros(len(parts), np.int64)
    sources = np.empty(total, np.int64)
    keys = np.empty(total, np.uint64)
    rows = np.empty(total, np.uint64)
    weights = np.empty(total, np.int64)
    plain = True
    size = 0
    for block in range(1 << (bits - local_bits)):
        for b in range(len(ends)):
            ends[b] = 0
        count = np.int64(0)
        for r in range(len(parts)):
            i = starts[r]
            while i < parts[r, 3]:
                top = np.int64(load64(parts[r, 0], i * 8) >> shift)
                if top >> local_bits != block:
                    break
                ends[(top & mask) + 1] += 1
                i += 1
            stops[r] = i
            count += i - starts[r]
        for b in range(1, len(ends)):
            ends[b] += ends[b - 1]
        if count > len(entries):
            entries = np.empty((2 * count, 3), np.uint64)
        for r in range(len(parts)):
            for i in range(starts[r], stops[r]):
                key = load64(parts[r, 0], i * 8)
                bucket = np.int64(key >> shift) & mask
                p = ends[bucket]
                ends[bucket] = p + 1
                entries[p, 0] = key
                entries[p, 1] = load64(parts[r, 1], i * 8)
                entries[p, 2] = np.uint64(r * SECOND_SOURCE + i)
            starts[r] = stops[r]
        sort_buckets(entries, ends)
        i = 0
        while i < count:
            first = np.int64(entries[i, 2])
            sources[size] = first
            keys[size] = entries[i, 0]
            rows[size] = entries[i, 1]
            weight = weight_of(parts, first)
            i += 1
            while i < count and entries[i, 0] == keys[size] and entries[i, 1] == rows[size]:
                weight += weight_of(parts, np.int64(entries[i, 2]))
                i += 1
            weights[size] = weight
            if weight != 0:
                size += 1
                plain &= weight == 1
    if size < total // 2:
        return sources[:size], keys[:size].copy(), rows[:size].copy(), weights[:size].copy(), plain
    return sources[:size], keys[:size], rows[:size], weights[:size], plain


@kernel
def weight_of(parts: Any, source: Any) -> Any:
    """The weight of an entry of one of the runs that `merge_many` merges."""
    address = parts[source >> SOURCE_SHIFT, 2]
    return np.int64(1) if address == 0 else np.int64(load64(address, (source & POSITION_MASK) * 8))
