"""Cold runs: state on disk, mapped into memory, so that it may be larger than memory.

A run is written as one Arrow IPC file of one uncompressed record batch: its columns, named by their number, and
`weight`, `key_hash`, `row_hash` or whatever else its entries have. The file is mapped and read in place: kernels see
addresses, and the system reads pages when they are touched and takes them back when memory is short. A file is deleted
once nothing refers to its run any more; mappings made before stay readable.

The columns of a run that is to become cold are not gathered in memory first: `allocate` gives space in a file without a
name, so a merge needs memory for the hashes and sources of its entries only, 32 bytes each.

Files are mapped writable, although nobody writes: numba compiles kernels anew for arrays that are read-only. What a
file occupies is reserved before it is mapped, because a full disk would otherwise end the process at a write.
Whatever cannot be written stays in memory: nothing is lost for want of space.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: After the disk has failed, it is left alone for so long.
RETRY_SECONDS = 60.0
#: Smaller buffers are not worth a file.
_SCRATCH_BYTES = 1 << 16
_SUFFIX = ".arrow"


@dataclass(frozen=True)
class RunFile:
    """A run's file, which exists for as long as this object. `nbytes` is its size."""

    path: Path
    nbytes: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """What was written, now in the file."""

    file: RunFile
    columns: tuple[pa.Array, ...]
    words: dict[str, npt.NDArray[Any]]


class StoreError(Exception):
    """A run cannot be written now; the text says why. It stays in memory."""


class ColdStore:
    """The files of one pipeline in a directory of their own; whatever is in it at the start is removed. `limit_bytes`
    bounds what the files occupy. `log` is told of failures, once each time that the disk begins to fail. Thread-safe.

    Raises OSError if the directory cannot be made.
    """

    def __init__(
        self, directory: Path, limit_bytes: int | None = None, log: Callable[[str], None] | None = None
    ) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        self.directory = directory
        self._limit_bytes = limit_bytes
        self._log = log or (lambda _: None)
        self._sizes: dict[Path, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._fails_until = -float("inf")

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(list(self._sizes.values()))

    @property
    def available(self) -> bool:
        """Whether writing may be tried."""
        return time.monotonic() >= self._fails_until

    def close(self) -> None:
        """Removes all files; what is mapped stays readable."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def allocate(self, size: int) -> pa.Buffer:
        """Space for `size` bytes in a file without a name. Raises StoreError."""
        if size < _SCRATCH_BYTES:
            return pa.allocate_buffer(size)
        try:
            with tempfile.TemporaryFile(dir=self.directory) as scratch:
                os.posix_fallocate(scratch.fileno(), 0, size)
                return pa.py_buffer(mmap.mmap(scratch.fileno(), size))
        except OSError as error:
            raise self._failed(error) from None

    def write(self, columns: Sequence[pa.Array], words: Mapping[str, npt.NDArray[Any]]) -> Mapped:
        """Writes the columns and the arrays of words, a word or a line of words an entry, and maps them. Raises
        StoreError. O(bytes)."""
        arrays = [*columns, *(_as_column(array) for array in words.values())]
        batch = pa.record_batch(arrays, names=[*(str(i) for i in range(len(columns))), *words])
        with self._lock:
            self._count += 1
            path = self.directory / f"{self._count:08}{_SUFFIX}"
        try:
            self._check_limit(batch.nbytes)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
                writer.write_batch(batch)
            with path.open("r+b") as written:
                memory = mmap.mmap(written.fileno(), 0)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise self._failed(error) from None
        whole = pa.py_buffer(memory)
        read = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
        mapped = read.columns
        self._sizes[path] = whole.size
        file = RunFile(path, whole.size)
        weakref.finalize(file, self._remove, path).atexit = False
        # Through the mapping, not through Arrow's buffers, which are read-only.
        place = {
            name: np.frombuffer(
                memory, array.dtype, array.size, mapped[len(columns) + i].buffers()[1].address - whole.address
            ).reshape(array.shape)
            if len(array)
            else array
            for i, (name, array) in enumerate(words.items())
        }
        return Mapped(file, tuple(mapped[: len(columns)]), place)

    def _remove(self, path: Path) -> None:
        # Called by the garbage collector, in any thread: no lock, and no failure.
        self._sizes.pop(path, None)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._log(f"cannot remove a file of state: {error}")

    def _check_limit(self, more: int) -> None:
        if self._limit_bytes is not None and self.nbytes + more > self._limit_bytes:
            text = f"state on disk would exceed {self._limit_bytes} bytes (runtime_config.resources.storage_mb_max)"
            raise OSError(errno.EDQUOT, text)

    def _failed(self, error: OSError) -> StoreError:
        text = error.strerror or str(error)
        if self.available:
            self._log(f"state cannot be written to disk and stays in memory: {text}")
        self._fails_until = time.monotonic() + RETRY_SECONDS
        return StoreError(text)


def _as_column(words: npt.NDArray[Any]) -> pa.Array:
    if words.ndim == 1:
        return pa.array(words.view(np.int64))
    count, width = words.shape
    return pa.Array.from_buffers(pa.binary(8 * width), count, [None, pa.py_buffer(words)])
