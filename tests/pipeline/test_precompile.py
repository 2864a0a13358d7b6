"""What is compiled ahead is what programs call, and other processes find it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: A warmed-up process has called every kernel that common programs need.
CALLED = """
from numba.core.sigutils import normalize_signature
from millstream.pipeline import precompile, warm
from millstream.zset.compiled import ahead
warm.warm_up()
modules = {kernel.py_func.__module__ for kernel, _ in ahead}
assert modules == set(precompile.ALL), modules ^ set(precompile.ALL)
for kernel, arguments in ahead:
    assert kernel.signatures == [normalize_signature(arguments)[0]], (kernel, arguments, kernel.signatures)
"""

COMPILED = """
from millstream.pipeline.precompile import compile_ahead
compile_ahead(("millstream.zset.view_kernels", "millstream.zset.shard_kernels"), 2)
"""

LOADED = """
import numpy as np
from millstream.zset.shard_kernels import deal
from millstream.zset.view_kernels import total_length
deal(np.zeros(4, np.uint64), 2)
total_length(np.zeros((4, 2), np.int64))
for kernel in (deal, total_length):
    assert kernel.stats.cache_hits and not kernel.stats.cache_misses, kernel
"""


def run(*arguments: str, **environment: str) -> None:
    """In a new process, whose standard input is empty."""
    command = [sys.executable, *arguments]
    subprocess.run(command, env=os.environ | environment, check=True, stdin=subprocess.DEVNULL, timeout=300)


def test_kernels_are_called_with_the_types_that_they_are_compiled_for() -> None:
    run("-c", CALLED)


def test_two_processes_compile_for_others(tmp_path: Path) -> None:
    run("-c", COMPILED, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.glob("*/compiled-*"))
    run("-c", LOADED, NUMBA_CACHE_DIR=str(tmp_path))


def test_a_process_in_the_background_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    run("-m", "millstream.pipeline.precompile", NUMBA_CACHE_DIR=str(tmp_path))
    assert not list(tmp_path.glob("*/compiled-*"))
