"""The allocators of a pipeline's process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.allocator import tuned_environment

SCRIPT = """
import numpy as np, pyarrow as pa, resource
from millstream.allocator import keep_freed_memory
def faults(tries):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(tries):
        np.full(2_000_000, 7)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
assert keep_freed_memory()
faults(2)
print(pa.default_memory_pool().backend_name, faults(20) < 100)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_a_block_that_was_freed_is_used_again_without_asking_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["system", "True"]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from millstream import allocator

    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert allocator.keep_freed_memory() is False


def test_a_new_process_asks_for_large_pages_unless_told_otherwise() -> None:
    assert tuned_environment({"A": "b"}) == {"A": "b", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    others = tuned_environment({"GLIBC_TUNABLES": "glibc.malloc.check=0"})
    assert others["GLIBC_TUNABLES"] == "glibc.malloc.check=0:glibc.malloc.hugetlb=1"
    decided = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    assert tuned_environment(decided) == decided


#: Whether the memory of a large block is of those that large pages are asked for.
PAGES = """
import ctypes
allocate = ctypes.CDLL(None).malloc
allocate.restype = ctypes.c_void_p
block = allocate(ctypes.c_size_t(8 << 20)) + (4 << 20)
inside = False
for line in open("/proc/self/smaps"):
    first = line.split()[0]
    if "-" in first:
        low, high = (int(bound, 16) for bound in first.split("-"))
        inside = low <= block < high
    elif inside and first == "VmFlags:":
        print("hg" in line.split())
"""


def _asks_on_request() -> bool:
    """Whether glibc knows the setting and the system gives large pages to those who ask."""
    name, number = platform.libc_ver()
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    known = name == "glibc" and tuple(map(int, number.split(".")[:2])) >= (2, 35)
    return known and enabled.exists() and "[madvise]" in enabled.read_text()


@pytest.mark.skipif(not _asks_on_request(), reason="there are no large pages to ask for")
@pytest.mark.parametrize("tuned", [True, False])
def test_large_pages_are_asked_for(tuned: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if tuned:
        environment = tuned_environment(environment)
    done = subprocess.run([sys.executable, "-c", PAGES], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tuned)]


@pytest.mark.skipif(os.name != "posix", reason="a process cannot begin again")
@pytest.mark.parametrize("command, tuned", [("run", True), ("serve", False)])
def test_a_command_that_runs_a_program_begins_again_with_its_memory_tuned(
    command: str, tuned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, sys, types; from millstream.cli import start\n"
        "main = sys.modules['millstream.cli.main'] = types.ModuleType('main')\n"
        "main.run = lambda: print(os.environ.get('GLIBC_TUNABLES'), sys.argv[1:])\n"
        "start.start()"
    )
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    done = subprocess.run([sys.executable, "-c", script, command, "x"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{'glibc.malloc.hugetlb=1' if tuned else None} ['{command}', 'x']"
