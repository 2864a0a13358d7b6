"""The kernels that hash rows (hashing.py says what the hashes promise)."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.columns import BYTES, DATA, FIXED, KIND, NULLS, START, TEXT, VALID, WIDTH
from millstream.zset.compiled import kernel, kernel_for
from millstream.zset.words import ONE, ZERO, bit, fold, load64, load_part, mix, word

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0xD1B54A32D192ED03)
_SECRET = np.uint64(0x8CB92BA72F3D8DD7)


@kernel
def absorb(state: Any, word: Any) -> Any:
    """The hash state after one more word. Bijective in either argument: one 64-bit column never collides."""
    return mix(state ^ (word * _SPREAD))


@kernel
def absorb_null(state: Any) -> Any:
    """The hash state after a NULL."""
    return mix(state + _NULL)


@kernel
def absorb_bytes(state: Any, secret: Any, address: Any, length: Any) -> Any:
    """The hash state after a byte string: sixteen bytes at a time, the last ones padded with zeros, then the length.

    Folded products as in wyhash; the secret keeps others from choosing factors of zero.
    """
    offset = np.int64(0)
    while length - offset > 16:
        state = fold(load64(address, offset) ^ secret, load64(address, offset + 8) ^ state)
        offset += 16
    rest = length - offset
    low = high = ZERO
    if rest >= 8:
        low = load64(address, offset)
        if rest > 8:
            # The last eight bytes, without those that are in `low` already.
            high = load64(address, length - 8) >> np.uint64((16 - rest) * 8)
    elif length >= 8:
        if rest > 0:
            low = load64(address, length - 8) >> np.uint64((8 - rest) * 8)
    else:
        low = load_part(address, rest)
    return absorb(fold(low ^ secret, high ^ state), np.uint64(length))


@kernel
def secret_of(seed: Any) -> Any:
    """The second number that a seed stands for; odd, so that it is not zero."""
    return mix(np.uint64(seed) + _SECRET) | ONE


@kernel
def absorb_column(states: Any, secret: Any, table: Any, c: Any) -> None:
    """Lets every row's state absorb its value in column c, which is not of kind OTHER. O(bytes)."""
    count = len(states)
    kind = table[c, KIND]
    width = table[c, WIDTH]
    data = table[c, DATA]
    valid = table[c, VALID]
    first = table[c, START]
    if kind == NULLS:
        for i in range(count):
            states[i] = absorb_null(states[i])
    elif kind == TEXT:
        characters = table[c, BYTES]
        for i in range(count):
            if valid != 0 and bit(valid, first + i) == ZERO:
                states[i] = absorb_null(states[i])
            else:
                begin = np.int64(load64(data, (first + i) * 8))
                end = np.int64(load64(data, (first + i) * 8 + 8))
                states[i] = absorb_bytes(states[i], secret, characters + begin, end - begin)
    elif kind == FIXED and width == 8 and valid == 0:
        for i in range(count):
            states[i] = absorb(states[i], load64(data, (first + i) * 8))
    elif kind == FIXED and width != 8 and width != 4 and width != 2 and width != 1:
        for i in range(count):
            if valid != 0 and bit(valid, first + i) == ZERO:
                states[i] = absorb_null(states[i])
            else:
                states[i] = absorb_bytes(states[i], secret, data + (first + i) * width, width)
    else:
        for i in range(count):
            if valid != 0 and bit(valid, first + i) == ZERO:
                states[i] = absorb_null(states[i])
            else:
                states[i] = absorb(states[i], word(kind, width, data, first + i))


@kernel_for("int64[:, ::1], int64, uint64")
def hash_table(table: Any, num_rows: Any, seed: Any) -> Any:
    """The uint64 hash of every row of the columns in `table`, none of kind OTHER. O(bytes)."""
    states = np.full(num_rows, mix(np.uint64(seed)))
    secret = secret_of(seed)
    for c in range(table.shape[0]):
        absorb_column(states, secret, table, c)
    return states


@kernel_for("int64[:, ::1], int64, uint64, uint64")
def hash_table_twice(table: Any, num_rows: Any, seed: Any, other_seed: Any) -> Any:
    """`hash_table` with two seeds, in one call."""
    return hash_table(table, num_rows, seed), hash_table(table, num_rows, other_seed)


@kernel_for("uint64[::1], int64[::1], int64[:, ::1], uint64")
def extend_hashes(hashes: Any, rows: Any, table: Any, seed: Any) -> Any:
    """The hashes of rows with more columns: hashes[rows[i]] is that of the columns before, which used the same seed."""
    states = hashes[rows]
    secret = secret_of(seed)
    for c in range(table.shape[0]):
        absorb_column(states, secret, table, c)
    return states


@kernel_for("int64[::1], uint64[::1]")
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


@kernel_for("int64[::1], uint64[::1]")
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
