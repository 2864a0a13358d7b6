"""Places: the words of the leading order keys, by which ordered traces sort the rows of a partition.

Rows with equal places need not be equal in all keys; who reads them puts them in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from millstream.operators.arrays import Words, validity
from millstream.operators.ordering import has_word_codes, word_codes
from millstream.plan.nodes import SortKey

# No partition has so many rows: as good as all of them, and sums of it do not overflow.
ALL_ROWS = 1 << 40
# More keys than these, which decide nearly always, are not worth their memory.
_MAX_KEYS = 2


def leading_keys(types: Sequence[pa.DataType], keys: Sequence[SortKey]) -> Sequence[SortKey]:
    """The first keys that have words, as many as places are made of; none where the first key has no words (texts)."""
    count = 0
    while count < min(len(keys), _MAX_KEYS) and has_word_codes(types[keys[count].column]):
        count += 1
    return keys[:count]


def place_words(columns: Sequence[pa.Array], keys: Sequence[SortKey]) -> list[Words]:
    """The words of rows' places, two for each key: on which side of the NULLs, and the value."""
    words: list[Words] = []
    for key in keys:
        column = columns[key.column]
        codes = word_codes(column)
        if key.descending:
            codes = ~codes
        present = validity(column)
        if present is None:
            present = np.ones(len(column), np.bool_)
        words.append((present if key.nulls_first else ~present).astype(np.uint64))
        words.append(np.where(present, codes, np.uint64(0)))
    return words
