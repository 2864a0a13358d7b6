"""The numba kernels of the Z-set room: hashing, and raw loads from Arrow buffers.

Every kernel is compiled for one combination of argument types only: columns are passed as tables of buffer addresses
(see columns.py), hashes as uint64, positions and weights as int64. All release the interpreter lock and are cached on
disk. Each has a plain numpy twin in tests/zset/reference.py that it must agree with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite ships no type stubs
from numba import types
from numba.extending import intrinsic

from millstream.zset.columns import (
    BITS,
    BYTES,
    DATA,
    FIXED,
    FLOAT32,
    FLOAT64,
    KIND,
    NULLS,
    START,
    TEXT,
    VALID,
    WIDTH,
)

kernel = numba.njit(nogil=True, cache=True)


def _loader(bits: int) -> Any:
    """An intrinsic (address, byte offset) -> uint64: the `bits`-bit word there, which need not be aligned."""

    def load(typing: Any, address: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = ir.IntType(bits)
            pointer = builder.inttoptr(builder.add(arguments[0], arguments[1]), word.as_pointer())
            value = builder.load(pointer, align=1)
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return types.uint64(types.int64, types.int64), generate

    return intrinsic(load)


load8 = _loader(8)
load16 = _loader(16)
load32 = _loader(32)
load64 = _loader(64)

_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0xD1B54A32D192ED03)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)
_F64_MAGNITUDE = np.uint64(0x7FFFFFFFFFFFFFFF)
_F64_INFINITY = np.uint64(0x7FF0000000000000)
_F32_MAGNITUDE = np.uint64(0x7FFFFFFF)
_F32_INFINITY = np.uint64(0x7F800000)
_NAN = np.uint64(0x7FF8000000000000)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel
def mix(x: Any) -> Any:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection in which every bit affects every other."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@kernel
def absorb(state: Any, word: Any) -> Any:
    """The hash state after one more word. Bijective in either argument: one 64-bit column never collides."""
    return mix(state ^ (word * _SPREAD))


@kernel
def absorb_null(state: Any) -> Any:
    """The hash state after a NULL."""
    return mix(state + _NULL)


@kernel
def bit(address: Any, position: Any) -> Any:
    """Bit `position` of a bitmap, as 0 or 1."""
    return (load8(address, position >> 3) >> np.uint64(position & 7)) & _ONE


@kernel
def word(kind: Any, width: Any, data: Any, position: Any) -> Any:
    """A value of at most 8 bytes as a word, such that equal values have equal words and others do not."""
    if kind == FLOAT64:
        bits = load64(data, position * 8)
        if bits & _F64_MAGNITUDE == _ZERO:
            return _ZERO
        return _NAN if bits & _F64_MAGNITUDE > _F64_INFINITY else bits
    if kind == FLOAT32:
        bits = load32(data, position * 4)
        if bits & _F32_MAGNITUDE == _ZERO:
            return _ZERO
        return _NAN if bits & _F32_MAGNITUDE > _F32_INFINITY else bits
    if kind == BITS:
        return bit(data, position)
    if width == 8:
        return load64(data, position * 8)
    if width == 4:
        return load32(data, position * 4)
    if width == 2:
        return load16(data, position * 2)
    return load8(data, position)


@kernel
def absorb_bytes(state: Any, address: Any, length: Any) -> Any:
    """The hash state after a byte string: its length, then its words, the last one padded with zeros."""
    state = absorb(state, np.uint64(length))
    offset = np.int64(0)
    while offset + 8 <= length:
        state = absorb(state, load64(address, offset))
        offset += 8
    if offset < length:
        tail = _ZERO
        shift = _ZERO
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
                if valid != 0 and bit(valid, first + i) == _ZERO:
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
                if valid != 0 and bit(valid, first + i) == _ZERO:
                    states[i] = absorb_null(states[i])
                else:
                    states[i] = absorb_bytes(states[i], data + (first + i) * width, width)
        else:
            for i in range(num_rows):
                if valid != 0 and bit(valid, first + i) == _ZERO:
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
