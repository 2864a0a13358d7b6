"""Objects that last: what imports make is not looked through for garbage.

Python's collector of cycles goes through all objects there are whenever a share of new ones has been added. While
modules are loaded nearly all of them stay, and the collector takes a tenth of the time to find that out.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Nothing is collected while the body loads modules; afterwards as before."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def keep_loaded() -> None:
    """No collection looks at the objects that there are now again; for processes of our own, when all is loaded. A full
    collection would stop a step for some 100 ms because of them."""
    gc.freeze()
