"""How a process that runs a pipeline gets its memory.

A step allocates and frees the same few megabytes of columns over and over. By default the C library gives large blocks
back to the kernel at once and the allocator in Arrow soon after, and the kernel clears every page that is asked for
again. Here both use the C library's heap, which keeps some of what is freed: `KEPT_BYTES` a heap.

State is read at random: with pages of 4 KiB, nearly each access costs a walk through tables of pages as well, which is
dear in virtual machines. Where the system gives large pages to those who ask (`madvise`, the default of most), the heap
asks for them. The C library decides that when a process begins, so it is the environment that says so.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping

#: Free memory at the end of a heap that is kept, and the size from which a block comes from the kernel directly.
KEPT_BYTES, DIRECT_BYTES = 128 << 20, 32 << 20
#: Parameters of mallopt(3), which only glibc knows.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: What glibc 2.35 and later understand; others ignore it.
_TUNABLES, _HUGE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"


def keep_freed_memory() -> bool:
    """Tune the allocators of this process; for processes of our own, before they do any work. False where the C library
    is another one: nothing is changed then."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    if not (mallopt(_MMAP_THRESHOLD, DIRECT_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES)):
        return False
    import pyarrow as pa  # the server and the command line need only the rest

    pa.set_memory_pool(pa.system_memory_pool())
    return True


def tuned_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a new process that runs a pipeline: its heap asks for large pages, unless `environment` has
    decided that already."""
    tunables = environment.get(_TUNABLES, "")
    if _HUGE in tunables:
        return dict(environment)
    return {**environment, _TUNABLES: ":".join(filter(None, (tunables, f"{_HUGE}=1")))}
