"""The log of one pipeline: lines of its process and of the runner, numbered, the latest of them kept in memory.

The process writes to a file; `catch_up` moves what is new there into the buffer. Nothing runs while nobody reads and
nothing is written. Line numbers start at 1 and go on over stops and starts; they belong to an *epoch*, the lifetime of
the buffer, which ends with the server or the pipeline.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from millstream.manager.ids import timestamp

MAX_BYTES = 1_000_000
MAX_LINES = 50_000
MAX_LINE_BYTES = 1 << 18
"""A line that goes on beyond this size is cut into several."""
FOLLOW_INTERVAL_S = 0.2
"""How often a reader that follows looks into the file."""
MAX_FILE_BYTES = 16 << 20
"""A file beyond this size is emptied once its lines are in the buffer."""
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader starts: after line `seq`; `gap` lines between what it asked for and there are no more."""

    seq: int
    gap: int


class LogBuffer:
    """See the module. Lives on the event loop."""

    def __init__(self, path: Path, pipeline_id: str) -> None:
        self.epoch = str(uuid.uuid4())
        self._path = path
        self._pipeline_id = pipeline_id
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._last = 0
        self._offset = 0
        self._partial = b""
        self._closed = asyncio.Event()
        self.note("INFO", "Fresh start of pipeline logs")

    # Writing.

    def note(self, level: str, text: str, name: str | None = None) -> None:
        """Add a line of the runner, after what the process has written before."""
        self.catch_up()
        self._add(self._line(level, text, name).encode())

    def _line(self, level: str, text: str, name: str | None) -> str:
        named = "" if name is None else f' pipeline-name="{name}"'
        line = f'[manager] {timestamp()} {level:5} runner: {text} pipeline-id="{self._pipeline_id}"{named}'
        return line.replace("\n", " ")

    def catch_up(self) -> None:
        """Take over what the process has written since the last time."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                while chunk := file.read(READ_BYTES):
                    self._offset += len(chunk)
                    *lines, self._partial = (self._partial + chunk).split(b"\n")
                    for line in lines:
                        self._add(line)
                    if len(self._partial) > MAX_LINE_BYTES:
                        self._add(self._partial)
                        self._partial = b""
            if self._offset > MAX_FILE_BYTES:
                os.truncate(self._path, 0)
                self._offset = 0
        except OSError:  # not there yet, or not readable: a log must not keep anybody from stopping the pipeline
            return

    def next_file(self) -> None:
        """The process has ended, or a file of another one is about to take the place of this one."""
        self.catch_up()
        if self._partial:
            self._add(self._partial)
        self._partial = b""

    def restart_file(self) -> None:
        """Another file is in place: read it from its beginning."""
        self._offset = 0

    def _add(self, line: bytes) -> None:
        line = line.decode("utf-8", "replace").encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)
        self._last += 1
        while len(self._lines) > MAX_LINES or self._size > MAX_BYTES:
            self._size -= len(self._lines.popleft())

    def close(self) -> None:
        """The pipeline is deleted, or the server ends: readers come to their end."""
        self._closed.set()

    # Reading.

    @property
    def discarded(self) -> int:
        """Lines that are no longer kept."""
        return self._last - len(self._lines)

    def discarded_notice(self) -> bytes:
        """The line that tells a reader of the whole log that its beginning is missing."""
        text = f"{self.discarded} prior log lines were discarded due to buffer constraints"
        return self._line("INFO", text, None).encode() + b"\n"

    def position(self, cursor: str | None) -> Position:
        """Where a reader with this cursor (`<epoch>:<line>`) starts; any other text means the beginning."""
        self.catch_up()
        epoch, _, line = (cursor or "").rpartition(":")
        if epoch != self.epoch or not line.isascii() or not line.isdigit():
            return Position(self.discarded, self.discarded if cursor is not None else 0)
        asked = min(int(line), self._last)
        start = max(asked, self.discarded)
        return Position(start, start - asked)

    def content(self) -> bytes:
        """All that is kept."""
        self.catch_up()
        return (self.discarded_notice() if self.discarded else b"") + b"".join(self._lines)

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """The lines after line number `after`, then new ones as they come, until the buffer is closed."""
        while True:
            self.catch_up()
            after = max(after, self.discarded)
            if after < self._last:
                lines = list(islice(self._lines, after - self.discarded, None))
                after = self._last
                yield b"".join(lines)
                continue
            try:
                async with asyncio.timeout(FOLLOW_INTERVAL_S):
                    await self._closed.wait()
            except TimeoutError:
                continue
            return
