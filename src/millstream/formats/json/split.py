"""Where records end in a JSON stream.

With `lines = single` a record ends with its line: the last newline is the answer. Otherwise values may span
lines and follow one another with or without whitespace; a small state machine over the bytes (nesting depth,
inside a string, after a backslash) finds the end of the last complete top-level value. The state is kept
between calls, so that a large value that arrives in many pieces is scanned once. Cost: O(new bytes), a fraction of
a nanosecond each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.formats.columns.memory import byte_at, plain_end
from millstream.zset.compiled import kernel_for

_QUOTE, _BACKSLASH = 0x22, 0x5C
_OPEN_BRACE, _CLOSE_BRACE = 0x7B, 0x7D
#: Scanner states besides nesting depth: between values, in a string, after a backslash in one, in a bare
#: scalar.
_OUTSIDE, _STRING, _ESCAPE, _SCALAR = 0, 1, 2, 3


@kernel_for("int64, int64, int64, int64, int64")
def _scan(buffer: Any, start: Any, length: Any, depth: Any, state: Any) -> Any:
    """Continue at `start` in the text of `length` bytes at address `buffer`, which a zero byte follows; returns (end of
    the last complete value or -1, depth, state)."""
    last, i = -1, start
    while i < length:
        if state == _STRING:
            i = plain_end(buffer, i)
            if i >= length:
                break
            c = byte_at(buffer, i)
            if c == _QUOTE:
                state = _OUTSIDE
                if depth == 0:
                    last = i + 1
            elif c == _BACKSLASH:
                state = _ESCAPE
            i += 1
            continue
        c = byte_at(buffer, i)
        if state == _ESCAPE or c == _QUOTE:
            state = _STRING
        elif c | 0x20 == _OPEN_BRACE:  # or an opening bracket
            depth += 1
            state = _OUTSIDE
        elif c | 0x20 == _CLOSE_BRACE:
            state = _OUTSIDE
            depth -= 1
            if depth <= 0:
                depth = 0
                last = i + 1
        elif depth == 0:
            if c == 0x20 or c == 0x0A or c == 0x0D or c == 0x09:
                if state == _SCALAR:
                    state = _OUTSIDE
                    last = i + 1
            else:
                state = _SCALAR
        i += 1
    return last, depth, state


class ValueSplitter:
    """Finds boundaries between top-level values in a buffer that grows at its end and is consumed at its
    start."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the state: the next buffer belongs to another stream."""
        self._scanned = 0
        self._depth = 0
        self._state = _OUTSIDE
        self._tail = b""

    @property
    def scanned(self) -> int:
        """How many bytes of the buffer, since its last boundary, have been looked at."""
        return self._scanned

    def split(self, buffer: bytes) -> int:
        """The length of the longest prefix that consists of whole values."""
        start = self._scanned
        if start > len(buffer) or buffer[start - len(self._tail) : start] != self._tail:
            self.reset()
            start = 0
        address = int(np.frombuffer(buffer, np.uint8).ctypes.data)
        last, self._depth, self._state = _scan(address, start, len(buffer), self._depth, self._state)
        consumed = max(last, 0)
        self._scanned = len(buffer) - consumed
        self._tail = buffer[max(consumed, len(buffer) - 16) :]
        return consumed


def split_lines(buffer: bytes) -> int:
    """The length of the longest prefix that consists of whole lines."""
    return buffer.rfind(b"\n") + 1
