"""Indexes: traces that several joins read, each kept once.

Where joins ask for the rows of one stream by one key, whichever of its columns each of them wants, an index keeps them
for all (circuit/sharing.py finds out where). It takes the stream's change before any of its readers is called, so a run
is built once a step. A join probes its right side as it is after the step, and its left one as it was before
(join.py): for readers of the second kind the index holds what it was until the step ends.

The index of a table by its primary key is the trace that the table keeps anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Mask, validity
from millstream.operators.base import Inputs, Operator
from millstream.operators.floors import Floors, Sweeps, rows_alive
from millstream.zset.columns import VALID
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns
from millstream.zset.hashing import Hashes, Seeds
from millstream.zset.trace import Described, Found, Matches, Trace


def without_nulls(columns: Columns, null_safe: Sequence[bool]) -> Mask | None:
    """Which rows have no NULL in a key column that is not null-safe; None: all."""
    mask: Mask | None = None
    for i, (bitmap, safe) in enumerate(zip(columns.table[:, VALID].tolist(), null_safe, strict=True)):
        valid = None if safe or not bitmap else validity(columns[i])
        if valid is not None:
            mask = valid if mask is None else mask & valid
    return mask


class Index:
    """A trace, and `before`, what it was before the step (None: it has not changed). `remembers`: a reader asks for
    that."""

    def __init__(self, types: Sequence[pa.DataType], key: Sequence[int], seeds: Seeds) -> None:
        self.trace = Trace(types, key, seeds)
        self.remembers = False
        self.before: Described | None = None
        self._key_hashes: Hashes | None = None

    def advance(self, delta: Delta) -> Delta:
        """Adds the change of this step, the only one; gives it back consolidated. Cost as of Trace.insert."""
        if self.remembers:
            self.before = self.trace.described()
        consolidated, self._key_hashes, _ = self.trace.insert_identified(delta)
        return consolidated

    def end_step(self) -> None:
        """Forgets what was before."""
        self.before = self._key_hashes = None

    def key_hashes(self, num_rows: int) -> Hashes | None:
        """Those of the rows of this step's change, if these are so many: no two rows were equal then."""
        hashes = self._key_hashes
        return hashes if hashes is not None and len(hashes) == num_rows else None


class IndexReader:
    """What a join sees of an index, in the place of a trace of its own: the columns at `places`, `before` the step or
    after it."""

    num_rows = 0
    nbytes = 0

    def __init__(self, index: Index, places: Sequence[int], before: bool) -> None:
        self.index = index
        self._places = tuple(places)
        self._before = before
        index.remembers |= before

    def key_hashes(self, num_rows: int) -> Hashes | None:
        """Those of the rows of this step's change, if they are known."""
        return self.index.key_hashes(num_rows)

    def find(
        self,
        key_columns: Sequence[pa.Array],
        num_rows: int,
        *,
        null_safe: Sequence[bool] | None = None,
        key_hashes: Hashes | None = None,
    ) -> Found:
        """As Trace.find."""
        earlier = self.index.before if self._before else None
        found = self.index.trace.find(
            key_columns, num_rows, null_safe=null_safe, key_hashes=key_hashes, earlier=earlier
        )
        return found.select(self._places)

    def probe(
        self, key_columns: Sequence[pa.Array], num_rows: int, *, null_safe: Sequence[bool] | None = None
    ) -> Matches:
        """As Trace.probe."""
        found = self.find(key_columns, num_rows, null_safe=null_safe)
        return Matches(found.probe_index, Delta(found.columns(range(len(found.types))), found.weights()))

    def insert(self, delta: Delta) -> None:
        """The index has taken the change already."""

    def retain(self, kept: Callable[[Delta], npt.NDArray[np.bool_]]) -> None:
        """The index forgets by itself."""


class IndexOperator(Operator):
    """Keeps an index of the columns `columns` of its input; `key` are positions among them, `floors` those of which it
    is told floors. Rows that can match nothing, with NULL in a key column that is not null-safe, are not kept. It has
    no output."""

    kind = "index"

    def __init__(
        self,
        types: Sequence[pa.DataType],
        columns: Sequence[int],
        key: Sequence[int],
        null_safe: Sequence[bool],
        floors: Sequence[int],
        seeds: Seeds,
    ) -> None:
        self.index = Index(types, key, seeds)
        self._columns = tuple(columns)
        self._null_safe = tuple(null_safe)
        self._floors = tuple(floors)
        self._sweeps = Sweeps()

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        (delta,) = inputs
        if delta is not None:
            delta = delta.select(self._columns)
            kept = without_nulls(delta.columns.select(self.index.trace.key), self._null_safe)
            self.index.advance(delta if kept is None else delta.filter(kept))
        return None

    def discard(self, floors: Floors) -> None:
        trace = self.index.trace
        if self._sweeps.due(trace.num_rows):
            trace.retain(rows_alive(self._floors, floors))
            self._sweeps.done(trace.num_rows)

    @property
    def state_rows(self) -> int:
        return self.index.trace.num_rows

    @property
    def state_bytes(self) -> int:
        return self.index.trace.nbytes
