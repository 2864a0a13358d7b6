"""Bytes and words at addresses, for kernels that call one another per value.

Passing arrays between compiled functions costs reference counts and a dozen words a call, several times what it takes
to look at a byte. Addresses are plain integers. Whoever calls the outermost kernel keeps the memory alive, and the
kernels stay inside it: scanners rely on the zero byte that ends every `bytes` object. Eight bytes are looked at in one
go where the text allows it (`plain_end`): the tests for several characters are those for a zero byte of H. S. Warren,
Hacker's Delight, 6-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite ships no type stubs
from numba import types
from numba.extending import intrinsic

from millstream.zset.compiled import kernel
from millstream.zset.words import ONES, TOPS, first_mark, load64, zeros

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
#: Every byte 1, every byte 128, and every byte the character in question.
_QUOTES, _BACKSLASHES, _BLANKS = (ONES * np.uint64(c) for c in (0x22, 0x5C, 0x20))
_NONE = np.uint64(0)
#: Eight bytes that begin at most here in a page of memory end in it.
_PAGE_MASK, _LAST_IN_PAGE = 4095, 4088


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


@kernel
def plain_end(buffer: Any, i: Any) -> Any:
    """The first position from i on of a quote, a backslash or a control character; a zero byte must end the text.

    Eight bytes that reach beyond the text's end are read, but never beyond the page of memory that it ends in.
    """
    while True:
        if (buffer + i) & _PAGE_MASK > _LAST_IN_PAGE:
            c = byte_at(buffer, i)
            if c == 0x22 or c == 0x5C or c < 0x20:
                return i
            i += 1
            continue
        word = load64(buffer, i)
        marks = zeros(word ^ _QUOTES) | zeros(word ^ _BACKSLASHES) | ((word - _BLANKS) & ~word & TOPS)
        if marks != _NONE:
            return i + first_mark(marks)
        i += 8
