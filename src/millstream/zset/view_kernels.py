"""The kernels over views (views.py): an int64 matrix with the address and the length of each string."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.zset.compiled import kernel_for
from millstream.zset.words import copy_text


@kernel_for("int64[:, ::1]")
def total_length(views: Any) -> Any:
    """The number of bytes of all strings."""
    total = np.int64(0)
    for i in range(len(views)):
        total += views[i, 1]
    return total


@kernel_for("int64[:, ::1], int64")
def copy_views(views: Any, target: Any) -> None:
    """Copies all strings one after the other to address `target`, and lets the views point there."""
    for i in range(len(views)):
        copy_text(target, views[i, 0], views[i, 1])
        views[i, 0] = target
        target += views[i, 1]
