"""What every kernel is made of: loads and stores at addresses, canonical words of values, mixing and comparing.

Kernels see columns as tables of buffer addresses (columns.py), so that each is compiled for one combination of
argument types only. All are nopython, release the interpreter lock and are cached on disk. numba's cache follows
changes of a kernel's own file, not of the functions that it calls: after a change of this file, touch *_kernels.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite ships no type stubs
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from millstream.zset.columns import BITS, BYTES, DATA, FIXED, FLOAT32, FLOAT64, KIND, NULLS, START, TEXT, VALID, WIDTH
from millstream.zset.compiled import kernel


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


def _storer(bits: int) -> Any:
    """An intrinsic (address, byte offset, uint64): puts the low `bits` bits there."""

    def store(typing: Any, address: Any, offset: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = ir.IntType(bits)
            pointer = builder.inttoptr(builder.add(arguments[0], arguments[1]), word.as_pointer())
            builder.store(arguments[2] if bits == 64 else builder.trunc(arguments[2], word), pointer, align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.uint64), generate

    return intrinsic(store)


@intrinsic
def copy(typing: Any, target: Any, source: Any, length: Any) -> tuple[Any, Callable[..., Any]]:
    """Copies `length` bytes from address `source` to address `target`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = [builder.inttoptr(argument, cgutils.voidptr_t) for argument in arguments[:2]]
        cgutils.raw_memcpy(builder, pointers[0], pointers[1], arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def prefetch(typing: Any, address: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:
    """Starts to bring the cache line at address + offset near; any address will do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(builder.add(arguments[0], arguments[1]), cgutils.voidptr_t)
        flag = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [cgutils.voidptr_t],
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag]),
        )
        # For reading (0), to be kept in all levels of cache (3), data (1).
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fold(typing: Any, a: Any, b: Any) -> tuple[Any, Callable[..., Any]]:
    """The two halves of the 128-bit product of two uint64, combined by exclusive or (wyhash, Wang Yi 2019)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        high = builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))
        return builder.xor(builder.trunc(product, ir.IntType(64)), high)

    return types.uint64(types.uint64, types.uint64), generate


load8 = _loader(8)
load16 = _loader(16)
load32 = _loader(32)
load64 = _loader(64)
store8 = _storer(8)
store32 = _storer(32)
store64 = _storer(64)

_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)
_F64_MAGNITUDE = np.uint64(0x7FFFFFFFFFFFFFFF)
_F64_INFINITY = np.uint64(0x7FF0000000000000)
_F32_MAGNITUDE = np.uint64(0x7FFFFFFF)
_F32_INFINITY = np.uint64(0x7F800000)
_NAN = np.uint64(0x7FF8000000000000)
ZERO = np.uint64(0)
ONE = np.uint64(1)
#: A one in each byte, and the top bit of each.
ONES, TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)


@kernel
def bit(address: Any, position: Any) -> Any:
    """Bit `position` of a bitmap, as 0 or 1."""
    return (load8(address, position >> 3) >> np.uint64(position & 7)) & ONE


@kernel
def word(kind: Any, width: Any, data: Any, position: Any) -> Any:
    """A value of at most 8 bytes as a word, such that equal values have equal words and others do not."""
    if kind == FLOAT64:
        bits = load64(data, position * 8)
        if bits & _F64_MAGNITUDE == ZERO:
            return ZERO
        return _NAN if bits & _F64_MAGNITUDE > _F64_INFINITY else bits
    if kind == FLOAT32:
        bits = load32(data, position * 4)
        if bits & _F32_MAGNITUDE == ZERO:
            return ZERO
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
def mix(x: Any) -> Any:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection in which every bit affects every other."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@kernel
def load_part(address: Any, length: Any) -> Any:
    """The 0 to 7 bytes at `address` as a word, padded with zeros. Reads no other bytes."""
    if length >= 4:
        high = load32(address, length - 4) << np.uint64((length - 4) * 8)
        return load32(address, np.int64(0)) | high
    if length > 0:
        half = length >> 1
        low = load8(address, np.int64(0)) | load8(address, half) << np.uint64(half * 8)
        return low | load8(address, length - 1) << np.uint64((length - 1) * 8)
    return ZERO


@kernel
def copy_text(target: Any, source: Any, length: Any) -> None:
    """`copy` for strings that are mostly short: words that overlap at the end, without a call. Touches no other
    bytes."""
    if length >= 8:
        if length > 256:
            copy(target, source, length)
            return
        last = length - 8
        tail = load64(source, last)
        offset = np.int64(0)
        while offset < last:
            store64(target, offset, load64(source, offset))
            offset += 8
        store64(target, last, tail)
    elif length >= 4:
        tail = load32(source, length - 4)
        store32(target, np.int64(0), load32(source, np.int64(0)))
        store32(target, length - 4, tail)
    else:
        for position in range(length):
            store8(target, position, load8(source, position))


@intrinsic
def first_mark(typing: Any, marks: Any) -> tuple[Any, Callable[..., Any]]:
    """The number of the lowest byte of `marks`, a uint64 other than zero, that is not zero, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.lshr(bits, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), generate


@numba.njit(nogil=True, cache=True, inline="always")
def zeros(word: Any) -> Any:
    """Marks the bytes of `word` that are zero, with their top bits; above the lowest one there may be wrong marks."""
    return (word - ONES) & ~word & TOPS


@kernel
def find_byte(base: Any, at: Any, end: Any, byte: Any) -> Any:
    """The first place from `at` to before `end`, counted from `base`, where `byte` stands; `end` if there is none.
    Looks at eight bytes at a time."""
    pattern = np.uint64(byte) * ONES
    while at + 8 <= end:
        marks = zeros(load64(base, at) ^ pattern)
        if marks != ZERO:
            return at + first_mark(marks)
        at += 8
    while at < end and load8(base, at) != np.uint64(byte):
        at += 1
    return at


@kernel
def same_bytes(a: Any, b: Any, length: Any) -> Any:
    """Whether two byte strings of equal length are equal."""
    offset = np.int64(0)
    while offset + 8 <= length:
        if load64(a, offset) != load64(b, offset):
            return False
        offset += 8
    while offset < length:
        if load8(a, offset) != load8(b, offset):
            return False
        offset += 1
    return True


@kernel
def same_value(a: Any, r: Any, c: Any, i: Any, b: Any, s: Any, d: Any, j: Any, null_safe: Any) -> Any:
    """Whether value i of column c of a[r] equals value j of column d of b[s]; NULLs are equal if `null_safe`."""
    kind = a[r, c, KIND]
    if kind == NULLS:
        return null_safe
    i += a[r, c, START]
    j += b[s, d, START]
    null_a = a[r, c, VALID] != 0 and bit(a[r, c, VALID], i) == ZERO
    null_b = b[s, d, VALID] != 0 and bit(b[s, d, VALID], j) == ZERO
    if null_a or null_b:
        return null_a and null_b and null_safe
    width = a[r, c, WIDTH]
    data_a = a[r, c, DATA]
    data_b = b[s, d, DATA]
    if kind == TEXT:
        begin_a = np.int64(load64(data_a, i * 8))
        begin_b = np.int64(load64(data_b, j * 8))
        length = np.int64(load64(data_a, i * 8 + 8)) - begin_a
        if np.int64(load64(data_b, j * 8 + 8)) - begin_b != length:
            return False
        return same_bytes(a[r, c, BYTES] + begin_a, b[s, d, BYTES] + begin_b, length)
    if width > 8 or (width > 4 and width < 8) or width == 3 or (width == 0 and kind == FIXED):
        return same_bytes(data_a + i * width, data_b + j * width, width)
    return word(kind, width, data_a, i) == word(kind, width, data_b, j)
