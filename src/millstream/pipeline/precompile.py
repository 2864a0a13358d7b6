"""Compiling kernels ahead of their first call, in several processes: once on a machine, for as long as it keeps them.

`compile_ahead` does all of it and returns; that is for installation (`python -m millstream.pipeline.warm`). `start` is
for processes that find themselves on a machine where nobody has done that: it begins in the background what they will
need, from the other end than they do, so that two processors work for the first result. What one process has compiled
the others load from numba's cache on disk.

`python -m millstream.pipeline.precompile` is such a process in the background. It ends when it is done, or as soon as
its standard input does: with the process that started it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding  # type: ignore[import-untyped]  # llvmlite ships no type stubs
from numba.core.sigutils import normalize_signature

from millstream.processors import usable_processors
from millstream.zset import compiled, hash_kernels

#: Where the kernels are that the step of nearly every program calls.
COMMON = (
    "millstream.operators.kernels",
    "millstream.zset.group_table",
    "millstream.zset.probe_kernels",
    "millstream.zset.view_kernels",
    "millstream.zset.gather_kernels",
    "millstream.zset.kernels",
    "millstream.zset.hash_kernels",
)
ALL = (
    "millstream.formats.json.scan",
    *COMMON,
    "millstream.formats.json.inside",
    "millstream.formats.json.split",
    "millstream.formats.columns.kernels",
    "millstream.formats.csv.scan",
    "millstream.operators.windows.checkpoint_kernels",
    "millstream.operators.windows.run_kernels",
    "millstream.operators.windows.kernels",
    "millstream.expressions.text_kernels",
    "millstream.expressions.json_members",
    "millstream.expressions.json_texts",
    "millstream.expressions.functions.parse_columns",
    "millstream.zset.shard_kernels",
)
#: What the first step of a common program calls, the other way round: see above.
_FIRST = (
    "best_codes", "add_wide", "sum_wide", "sum_weights", "group_pairs", "probe_runs", "find_rows", "build_directory",
    "sort_entries", "gather_text", "text_sizes", "gather", "lay_out", "insert_slots", "hash_table_twice",
)  # fmt: skip
#: More processes would mostly compile what the others do too: what kernels call.
MAX_PROCESSES = 4

_started = threading.Event()


def compile_ahead(modules: tuple[str, ...] = ALL, processes: int | None = None) -> None:
    """Compile the kernels of `modules`, unless that was done before, in so many processes (None: one for each
    processor). A minute of work on a new machine."""
    if _done(modules):
        return
    count = min(processes or usable_processors(), MAX_PROCESSES)
    helpers = [_helper(modules, f"--share={share}", f"--of={count}") for share in range(1, count)]
    _compile(modules, 0, count)
    statuses = {_status(helper) for helper in helpers}
    if statuses <= {0}:
        marker = _marker(modules)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def start(modules: tuple[str, ...] = COMMON) -> None:
    """Unless that was done on this machine before, begin to compile the kernels of `modules` in the background. It
    ends with this process. Costs some system calls; happens once in a process."""
    if _started.is_set() or usable_processors() < 2 or not sys.executable or _done(modules):
        return
    _started.set()
    try:
        helper = _helper(modules)
    except OSError:
        return  # this process compiles what it needs
    threading.Thread(target=_status, args=(helper,), name="precompile", daemon=True).start()


def _helper(modules: tuple[str, ...], *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "millstream.pipeline.precompile", *arguments, *modules]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _status(helper: subprocess.Popen[bytes]) -> int:
    """Its exit status; waits for its end. Its input stays open until then."""
    status = helper.wait()
    assert helper.stdin is not None
    helper.stdin.close()
    return status


def _compile(modules: tuple[str, ...], share: int, of: int) -> None:
    """Compile, or load, every `of`-th kernel of `modules`, from number `share` on."""
    for module in modules:
        importlib.import_module(module)
    kernels = [entry for entry in compiled.ahead if entry[0].py_func.__module__ in modules]
    for kernel, arguments in sorted(kernels, key=lambda entry: _rank(entry[0].py_func, modules))[share::of]:
        kernel.compile(normalize_signature(arguments)[0])  # the cache knows signatures in this form


def _rank(function: Any, modules: tuple[str, ...]) -> tuple[int, int, int]:
    """What orders kernels in the same way in every process."""
    first = _FIRST.index(function.__name__) if function.__name__ in _FIRST else len(_FIRST)
    return first, modules.index(function.__module__), function.__code__.co_firstlineno


def _done(modules: tuple[str, ...]) -> bool:
    return _marker(modules).exists() or _marker(ALL).exists()


def _marker(modules: tuple[str, ...]) -> Path:
    """A file among the compiled kernels that is there when all of these have been compiled from these sources."""
    root = Path(__file__).parents[2]
    stamp = [sys.version, numba.__version__, binding.get_host_cpu_name()]
    for module in modules:
        found = root.joinpath(*module.split(".")).with_suffix(".py").stat()
        stamp.append(f"{module} {found.st_mtime_ns} {found.st_size}")
    digest = hashlib.sha256("\n".join(stamp).encode()).hexdigest()[:16]
    return Path(hash_kernels.hash_table.stats.cache_path) / f"compiled-{digest}"


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # without a buffer, whose lock would keep this process from its end
        pass
    os._exit(0)  # at once: numba writes its files under other names first


def main() -> None:
    """Compile everything, with helpers, or what a helper is told to."""
    parser = argparse.ArgumentParser(prog="millstream.pipeline.precompile")
    parser.add_argument("modules", nargs="*", default=ALL)
    parser.add_argument("--share", type=int, help="which of the kernels: number SHARE and every OF-th from there")
    parser.add_argument("--of", type=int, default=1)
    arguments = parser.parse_args()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    modules = tuple(arguments.modules)
    if arguments.share is None:
        compile_ahead(modules, usable_processors() - 1)  # the process that started this one compiles, too
    else:
        _compile(modules, arguments.share, arguments.of)


if __name__ == "__main__":
    main()
