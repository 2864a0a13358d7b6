"""What a scanner found: for each column and row, the place of a value's text and its shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

#: Shapes of values. STRING: the span is the string's own text (between its quotes); ESCAPED: it has to be unescaped.
#: IGNORED: a value that the row's operation does not look at. OPAQUE: only the exact converter may judge it.
ABSENT = 0
NULL = 1
TRUE = 2
FALSE = 3
INTEGER = 4
NUMBER = 5
STRING = 6
ESCAPED = 7
ARRAY = 8
OBJECT = 9
IGNORED = 10
OPAQUE = 11


#: The largest table of spans that the fast paths allocate; a block that might need more is left to the exact path.
MAX_SCAN_BYTES = 4 << 30


def scan_bytes(num_columns: int, capacity: int) -> int:
    """The address space of a table of spans: a byte and two words a value, some words a row."""
    return capacity * (17 * num_columns + 25)


@dataclass(frozen=True, slots=True)
class Spans:
    """One column: `kinds[r]` is the shape of row r's value, buffer[starts[r]:ends[r]] its text."""

    buffer: Bytes
    kinds: npt.NDArray[np.uint8]
    starts: Positions
    ends: Positions


@dataclass(frozen=True, slots=True)
class ScannedRows:
    """The rows of a block in order of application. `kinds`, `starts`, `ends`: [column, row]; `events[r]`: the record
    that row r belongs to; record e's text is buffer[event_starts[e]:event_ends[e]]. `operations` is None if all rows
    are inserts."""

    buffer: Bytes
    kinds: npt.NDArray[np.uint8]
    starts: Positions
    ends: Positions
    operations: npt.NDArray[np.int8] | None
    events: Positions
    event_starts: Positions
    event_ends: Positions

    def column(self, column: int) -> Spans:
        """The spans of one column."""
        return Spans(self.buffer, self.kinds[column], self.starts[column], self.ends[column])
