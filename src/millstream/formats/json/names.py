"""Names of columns and fields as the scanner compares them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

_NEEDS_ESCAPES = re.compile(r'["\\\x00-\x1f]')


class Named(Protocol):
    """A column of a relation or a field of a ROW."""

    @property
    def name(self) -> str: ...
    @property
    def case_sensitive(self) -> bool: ...


Packed = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def name_tables(named: Sequence[Named]) -> tuple[npt.NDArray[np.generic], ...]:
    """The names as they are, and in lower case (nothing for quoted ones): each as bytes and offsets. A name that JSON
    only writes with escapes becomes a byte that no text has: the exact path takes records with escaped keys."""
    exact = [b"\xff" if _NEEDS_ESCAPES.search(one.name) else one.name.encode() for one in named]
    folded = [b"" if one.case_sensitive else one.name.lower().encode() for one in named]
    return (*_packed(exact), *_packed(folded))


def _packed(names: list[bytes]) -> Packed:
    offsets = np.zeros(len(names) + 1, np.int64)
    np.cumsum([len(name) for name in names], out=offsets[1:])
    return np.frombuffer(b"".join(names) + b"\0", np.uint8), offsets
