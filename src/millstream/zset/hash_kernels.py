"""The kernels that hash rows (hashing.py says what the hashes promise)."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import BYTES, DATA, FIXED, KIND, NULLS, START, TEXT, VALID, WIDTH
from millstream.zset.words import ZERO, bit, kernel, load8, load64, mix, word

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0xD1B54A32D192ED03)


@kernel
def absorb(state: Any, word: Any) -> Any:
    """The hash state after one more word. Bijective in either argument: one 64-bit column never collides."""
    return mix(state ^ (word * _SPREAD))


@kernel
def absorb_null(state: Any) -> Any:
    """The hash state after a NULL."""
    return mix(state + _NULL)


@kernel
def absorb_bytes(state: Any, address: Any, length: Any) -> Any:
    """The hash state after a byte string: its length, then its words, the last one padded with zeros."""
    state = absorb(state, np.uint64(length))
    offset = np.int64(0)
    while offset + 8 <= length:
        state = absorb(state, load64(address, offset))
        offset += 8
    if offset < length:
        tail = ZERO
        shift = ZERO
        while offset < length:
            tail |= load8(address, offset) << shift
            shift += np.uint64(8)
            offset += 1
        state = absorb(state, tail)
    return state


@kernel
def hash_table(table: Any, num_rows: Any, seed: Any) -> Any:
    """The uint64 hash of every row of the columns in `table`, none of kind OTHER. O(bytes)."""
    states = np.empty(num_rows, np.uint64)
    start = mix(np.uint64(seed))
    for i in range(num_rows):
        states[i] = start
    for c in range(table.shape[0]):
        kind = table[c, KIND]
        width = table[c, WIDTH]
        data = table[c, DATA]
        valid = table[c, VALID]
        first = table[c, START]
        if kind == NULLS:
            for i in range(num_rows):
                states[i] = absorb_null(states[i])
        elif kind == TEXT:
            characters = table[c, BYTES]
            for i in range(num_rows):
                if valid != 0 and bit(valid, first + i) == ZERO:
                    states[i] = absorb_null(states[i])
                else:
                    begin = np.int64(load64(data, (first + i) * 8))
                    end = np.int64(load64(data, (first + i) * 8 + 8))
                    states[i] = absorb_bytes(states[i], characters + begin, end - begin)
        elif kind == FIXED and width == 8 and valid == 0:
            for i in range(num_rows):
                states[i] = absorb(states[i], load64(data, (first + i) * 8))
        elif kind == FIXED and width != 8 and width != 4 and width != 2 and width != 1:
            for i in range(num_rows):
                if valid != 0 and bit(valid, first + i) == ZERO:
                    states[i] = absorb_null(states[i])
                else:
                    states[i] = absorb_bytes(states[i], data + (first + i) * width, width)
        else:
            for i in range(num_rows):
                if valid != 0 and bit(valid, first + i) == ZERO:
                    states[i] = absorb_null(states[i])
                else:
                    states[i] = absorb(states[i], word(kind, width, data, first + i))
    return states


@kernel
def fold_lists(offsets: Any, hashes: Any) -> Any:
    """One hash per list, of its elements' hashes in order; offsets[0] is the position of hashes[0]."""
    count = len(offsets) - 1
    folded = np.empty(count, np.uint64)
    for i in range(count):
        state = mix(np.uint64(offsets[i + 1] - offsets[i]))
        for j in range(offsets[i] - offsets[0], offsets[i + 1] - offsets[0]):
            state = absorb(state, hashes[j])
        folded[i] = state
    return folded


@kernel
def fold_maps(offsets: Any, hashes: Any) -> Any:
    """One hash per map, of its entries' hashes in any order; offsets[0] is the position of hashes[0]."""
    count = len(offsets) - 1
    folded = np.empty(count, np.uint64)
    for i in range(count):
        total = np.uint64(offsets[i + 1] - offsets[i])
        for j in range(offsets[i] - offsets[0], offsets[i + 1] - offsets[0]):
            total += mix(hashes[j])
        folded[i] = mix(total)
    return folded
