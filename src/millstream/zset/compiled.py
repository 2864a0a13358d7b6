"""How kernels are compiled, and which can be compiled ahead of their first call.

All are nopython, release the interpreter lock and are cached on disk. Compiling them takes most of a minute in all,
once on a machine, so several processes may share the work (pipeline/precompile.py): what one has compiled the others
read from the disk. numba keeps an index of signatures a kernel there, and two processes that write one at the same time
do no harm as long as both write the same: therefore every kernel has one signature. Literals have types of their own in
numba: what one kernel passes to another is a variable or a numpy scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

#: For functions that only other kernels call, or that few programs use. Nobody needs pointers to them for C.
kernel = numba.njit(nogil=True, cache=True, no_cfunc_wrapper=True)

#: The type of the bytes of a text that may not be written.
READ_ONLY_BYTES = "Array(uint8, 1, 'C', readonly=True)"

#: Kernels that Python calls, with their argument types, in the order in which their modules were imported.
ahead: list[tuple[Any, str]] = []


def kernel_for(arguments: str) -> Callable[[Callable[..., Any]], Any]:
    """`kernel` for a function that Python calls, with values of these types: numba's names for them, with commas in
    between. It is compiled at its first call, unless it was compiled ahead."""

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = kernel(function)
        ahead.append((compiled, f"({arguments},)"))
        return compiled

    return decorate
