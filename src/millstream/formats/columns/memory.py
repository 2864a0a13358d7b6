"""Bytes and words at addresses, for kernels that call one another per value.

Passing arrays between compiled functions costs reference counts and a dozen words a call, several times what it takes
to look at a byte. Addresses are plain integers. Whoever calls the outermost kernel keeps the memory alive, and the
kernels stay inside it: scanners rely on the zero byte that ends every `bytes` object.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite ships no type stubs
from numba import types
from numba.extending import intrinsic

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)


def _place(builder: Any, address: Any, index: Any, width: int) -> Any:
    offset = builder.mul(index, ir.Constant(_WORD, width))
    element = _BYTE if width == 1 else _WORD
    return builder.inttoptr(builder.add(address, offset), element.as_pointer())


@intrinsic
def byte_at(typing_context: Any, address: Any, index: Any) -> Any:
    """The byte at address + index, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index = arguments
        return builder.zext(builder.load(_place(builder, address, index, 1)), _WORD)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def word_at(typing_context: Any, address: Any, index: Any) -> Any:
    """The int64 at address + 8 * index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index = arguments
        return builder.load(_place(builder, address, index, 8))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def put_byte(typing_context: Any, address: Any, index: Any, value: Any) -> Any:
    """Store the low byte of `value` at address + index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, value = arguments
        builder.store(builder.trunc(value, _BYTE), _place(builder, address, index, 1))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def put_word(typing_context: Any, address: Any, index: Any, value: Any) -> Any:
    """Store `value` at address + 8 * index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, value = arguments
        builder.store(value, _place(builder, address, index, 8))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate
