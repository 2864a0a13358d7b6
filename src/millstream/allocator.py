"""How a process that runs a pipeline gets its memory.

A step allocates and frees the same few megabytes of columns over and over. By default the C library gives large blocks
back to the kernel at once and the allocator in Arrow soon after, and the kernel clears every page that is asked for
again. Here both use the C library's heap, which keeps some of what is freed: `KEPT_BYTES` a heap.
"""

from __future__ import annotations

import ctypes
import platform

import pyarrow as pa

#: Free memory at the end of a heap that is kept, and the size from which a block comes from the kernel directly.
KEPT_BYTES, DIRECT_BYTES = 128 << 20, 32 << 20
#: Parameters of mallopt(3), which only glibc knows.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Tune the allocators of this process; for processes of our own, before they do any work. False where the C library
    is another one: nothing is changed then."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    if not (mallopt(_MMAP_THRESHOLD, DIRECT_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES)):
        return False
    pa.set_memory_pool(pa.system_memory_pool())
    return True
