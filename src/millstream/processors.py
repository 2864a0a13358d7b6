"""How many processors there are for this process."""

from __future__ import annotations

import math
import os


def usable_processors(cores: float | None = None) -> int:
    """How many processors this process may use; `cores`: at most so many, a part of one counts as one."""
    if hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count() or 1
    return found if cores is None else max(1, min(found, math.ceil(cores)))
