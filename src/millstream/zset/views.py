"""String views, as Arrow calls them: the text columns of runs, as places of characters instead of characters. (They
have nothing to do with the views of a program.)

Sorting and merging runs moves their rows; moving characters would be most of it. So a run holds, of a text column that
is no key, an address and a length for each string, and the Arrow buffers that the strings are in, which nobody ever
changes. Those of a new run are the buffers of its delta; a merged run has the buffers of all its parts.

Buffers are given up when too little of them is used: when what they hold is more than half as large again as the run's
strings, or when they are many and small, the strings are copied to one new buffer. So memory is at most 1.5 times that
of the characters, and every string is copied a few times at worst, while its run is small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.zset.view_kernels import copy_views, total_length

#: A view's address and length: its KIND in tables (columns.py) is VIEW.
VIEW_BYTES = 16
#: Buffers may hold this many times the characters that are used, as a fraction, and so many bytes more.
_MOST_HELD = (3, 2)
_SLACK_BYTES = 1 << 16
#: More than so many buffers are too many if they have fewer bytes than this on average.
_FEW_OWNERS = 8
_SMALL_OWNER_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Views:
    """A text column of `num_rows` strings: `words` has address and length of each, `valid` is the validity bitmap or
    None, `owners` are the buffers that the addresses point into."""

    words: pa.Buffer
    valid: pa.Buffer | None
    owners: tuple[pa.Buffer, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of memory. O(owners)."""
        valid = 0 if self.valid is None else self.valid.size
        return int(self.words.size + valid + sum(held_bytes(owner) for owner in self.owners))


def views_of(words: pa.Buffer, valid: pa.Buffer | None, owners: Iterable[pa.Buffer]) -> Views:
    """The column with these words, whose characters are in `owners`; `words` may be changed. O(rows)."""
    distinct = tuple({owner.address: owner for owner in owners}.values())
    places: npt.NDArray[np.int64] = np.frombuffer(words, np.int64).reshape(-1, 2)
    used = int(total_length(places))
    held = sum(held_bytes(owner) for owner in distinct)
    more, less = _MOST_HELD
    wasteful = less * held > more * used + less * _SLACK_BYTES
    if wasteful or (len(distinct) > _FEW_OWNERS and used < _SMALL_OWNER_BYTES * len(distinct)):
        characters = pa.allocate_buffer(used)
        copy_views(places, characters.address)
        distinct = (characters,) if used else ()
    return Views(words, valid, distinct)


def characters_of(column: pa.Array) -> Sequence[pa.Buffer]:
    """The buffers with the characters of a text column: none or one."""
    characters = column.buffers()[2]
    return () if characters is None else (characters,)


def held_bytes(buffer: pa.Buffer) -> int:
    """The bytes that a reference to the buffer keeps in memory: a slice keeps all of what it is a slice of."""
    while buffer.parent is not None:
        buffer = buffer.parent
    return int(buffer.size)
