"""Reading text eight bytes at a time agrees with reading it byte by byte, and stays inside its page of memory."""

from __future__ import annotations

import ctypes
import mmap
import random
from collections.abc import Iterator

import numpy as np
import pytest

from millstream.formats.columns.memory import plain_end
from millstream.zset.words import copy_text

PAGE = mmap.PAGESIZE
NO_ACCESS = 0
ENDS = b'"\\' + bytes(range(0x20))


def address_of(data: bytes) -> int:
    return int(np.frombuffer(data, np.uint8).ctypes.data)


def end_by_bytes(data: bytes, start: int) -> int:
    return next((i for i in range(start, len(data)) if data[i] in ENDS), len(data))


@pytest.mark.parametrize("stop", [bytes([c]) for c in (*ENDS, 0x7F, 0x80, 0xA2, 0xDC, 0xFF, 0x21, 0x23, 0x5B, 0x5D)])
def test_every_character_at_every_place(stop: bytes) -> None:
    for before in range(18):
        for after in (b"", b"plain", stop * 9):
            data = b"\xc3x" * before + stop + after
            assert plain_end(address_of(data), before) == end_by_bytes(data, before)


def test_random_text() -> None:
    generator = random.Random(5)
    for _ in range(300):
        data = bytes(generator.choices(range(256), [3 if c in ENDS else 40 for c in range(256)], k=60))
        for start in range(0, 60, 7):
            assert plain_end(address_of(data), start) == end_by_bytes(data, start)


@pytest.fixture
def last_page() -> Iterator[int]:
    """The address of a page of memory; whoever touches the one behind it dies."""
    memory = mmap.mmap(-1, 2 * PAGE)
    view = (ctypes.c_char * (2 * PAGE)).from_buffer(memory)
    libc = ctypes.CDLL(None, use_errno=True)
    guard = ctypes.c_void_p(ctypes.addressof(view) + PAGE)
    assert libc.mprotect(guard, PAGE, NO_ACCESS) == 0
    yield ctypes.addressof(view)
    assert libc.mprotect(guard, PAGE, mmap.PROT_READ | mmap.PROT_WRITE) == 0


def test_text_at_the_end_of_a_page(last_page: int) -> None:
    for length in range(20):
        start = last_page + PAGE - length - 1
        ctypes.memmove(start, b"x" * length + b"\0", length + 1)
        assert plain_end(start, 0) == length


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 31])
def test_copies_are_exact(count: int) -> None:
    source, target = np.arange(1, 41, dtype=np.uint8), np.zeros(40, np.uint8)
    copy_text(target.ctypes.data + 1, source.ctypes.data + 3, count)
    expected = np.zeros(40, np.uint8)
    expected[1 : 1 + count] = source[3 : 3 + count]
    assert target.tolist() == expected.tolist()
