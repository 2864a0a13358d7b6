"""Table inputs: change batches become deltas.

Without primary key a table is a bag: rows get weight +1 or -1, and a deletion of an absent row leaves a negative
multiplicity. With one, a table is a map: within a step operations on the same key apply in arrival order,

* INSERT replaces the key's row, DELETE removes it (absent: no-op; only key columns are looked at),
* UPDATE patches the columns that are present (absent key: no-op),

and the delta retracts the row from before the step and inserts the one after it. No row is handled on its own: for
each key the last INSERT or DELETE is found first (it makes all operations before it irrelevant), then for each column
the last UPDATE after it that gives a value. Cost O(|batches|) and a probe of the table's trace.

Records that WATERMARK withholds (withheld.py) have not come yet. Late ones (operators/lateness.py) are left out before
anything else happens; of those with a key, also the ones whose key has a late row: such rows stay as they are for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.circuit.withheld import Withheld
from millstream.errors import EvaluationError, MillstreamError
from millstream.operators.arrays import Integers, Mask, fixed_values
from millstream.operators.base import concat_deltas
from millstream.operators.floors import Sweeps, rows_alive
from millstream.operators.index import Index
from millstream.operators.lateness import Lateness
from millstream.operators.ordering import has_word_codes, word_codes
from millstream.operators.slots import group_rows
from millstream.plan.program import Table
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch, Operation
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.gathered import Columns
from millstream.zset.hashing import Seeds
from millstream.zset.moving import take_columns
from millstream.zset.trace import Trace, TraceSnapshot


class TableInput:
    """The contents of one table, as far as they must be known, and its changes. `index`: what joins read that ask for
    rows of the table by its primary key."""

    def __init__(
        self, table: Table, seeds: Seeds, lateness: Lateness | None = None, index: Index | None = None
    ) -> None:
        self._table = table
        self._index = index
        self._lateness = lateness
        self._sweeps = Sweeps()
        self._withheld: Withheld | None = None
        mark = table.watermark
        if mark is not None:
            width, sql_type = len(table.columns), table.columns[mark.column].type
            self._withheld = Withheld(mark.column, sql_type, mark.lateness, width, bool(table.primary_key), seeds)
        self._key = table.primary_key
        self._seeds = seeds
        types = [arrow_type(column.type) for column in table.columns]
        self._trace: Trace | None = None
        if index is not None:
            self._trace = index.trace
        elif self._key:
            self._trace = Trace(types, self._key, seeds)
        elif table.materialized or table.positive:
            self._trace = Trace(types, range(len(types)), seeds)

    def change(self, batches: Sequence[ChangeBatch]) -> Delta:
        """The delta of the batches, applied in order; consolidated if the table's contents are kept."""
        batches = [batch for batch in batches if batch.num_rows]
        if self._withheld is not None:
            batches = self._withheld.pass_on(batches)
        if self._lateness is not None:
            batches = self._in_time(batches, self._lateness)
        if self._key and batches:
            delta = self._upsert(batches)
        else:
            delta = self._append(batches)
        if self._trace is None:
            return delta
        delta = self._trace.insert(delta) if self._index is None else self._index.advance(delta)
        if self._table.positive:
            self._check_weights(delta)
        return delta

    def _check_weights(self, delta: Delta) -> None:
        """Raises when a row whose weight went down has none left. A probe of the rows of the delta that are deleted."""
        assert self._trace is not None
        deleted = np.flatnonzero(delta.weights < 0)
        if not len(deleted):
            return
        rows = delta.take(deleted)
        found = self._trace.probe(rows.columns, rows.num_rows)
        weights = np.zeros(rows.num_rows, np.int64)
        np.add.at(weights, found.probe_index, found.delta.weights)
        wrong = int(np.argmin(weights))
        if weights[wrong] < 0:
            row = ", ".join(str(column[wrong]) for column in rows.columns)
            raise EvaluationError(f"Negative weight {weights[wrong]} of row ({row}) in table '{self._table.name}'")

    def discard(self) -> None:
        """Forgets rows whose key is late: for tables with LATENESS of a key column, whose contents nobody asks for.
        Amortised O(rows that came)."""
        assert self._trace is not None
        assert self._lateness is not None
        if not self._sweeps.due(self._trace.num_rows):
            return
        keys = [w for w in self._lateness.waterlines if w.column in self._key and has_word_codes(w.type)]
        floors = [None if w.value is None else int(word_codes(pa.array([w.value], w.type))[0]) for w in keys]
        self._trace.retain(rows_alive([w.column for w in keys], floors))
        self._sweeps.done(self._trace.num_rows)

    def snapshot(self) -> TraceSnapshot | None:
        """The contents; None if they are not kept, or not all of them."""
        return self._trace.snapshot() if self._trace is not None and self._table.queryable else None

    @property
    def state_rows(self) -> int:
        """Entries kept."""
        waiting = 0 if self._withheld is None else self._withheld.state_rows
        return waiting + (0 if self._trace is None else self._trace.num_rows)

    @property
    def state_bytes(self) -> int:
        """Bytes of memory."""
        waiting = 0 if self._withheld is None else self._withheld.state_bytes
        return waiting + (0 if self._trace is None else self._trace.nbytes)

    def _in_time(self, batches: Sequence[ChangeBatch], lateness: Lateness) -> list[ChangeBatch]:
        """The batches without late records; raises the waterlines for the next step."""
        accepted = []
        for batch in batches:
            given = self._given(batch, lateness)
            below = lateness.below(batch.columns, given)
            if self._key:
                old = self._old_below(batch, lateness)
                if old is not None:
                    below = old if below is None else np.where(below < 0, old, below)
            if below is not None:
                lateness.refuse(batch.columns, np.ones(batch.num_rows, np.int64), below)
                batch = _chosen(batch, np.flatnonzero(below < 0))
            if batch.num_rows:
                accepted.append(batch)
        for batch in accepted:
            for waterline, mask in zip(lateness.waterlines, self._given(batch, lateness), strict=True):
                values = batch.columns[waterline.column]
                waterline.see(values if mask is None else values.filter(pa.array(mask)))
        return accepted

    def _given(self, batch: ChangeBatch, lateness: Lateness) -> list[Mask | None]:
        """For each waterline the records that say something about its column: a deletion by key says nothing else, an
        update what is present."""
        given: list[Mask | None] = []
        for column in lateness.columns:
            mask: Mask | None = None
            if self._key and batch.operations is not None and column not in self._key:
                mask = batch.operations != Operation.DELETE
                present = None if batch.present is None else batch.present[column]
                if present is not None:
                    mask &= present | (batch.operations != Operation.UPDATE)
            given.append(mask)
        return given

    def _old_below(self, batch: ChangeBatch, lateness: Lateness) -> Integers | None:
        """For each record the number of a waterline that the present row of its key is below, -1 for none."""
        if all(column in self._key for column in lateness.columns):
            return None
        assert self._trace is not None
        found = self._trace.probe([batch.columns[k] for k in self._key], batch.num_rows)
        below = lateness.below(found.delta.columns)
        if below is None:
            return None
        # Entries of rows that were replaced cancel: only what is left of a key's rows counts.
        live = consolidate(Delta((pa.array(found.probe_index), pa.array(below), *found.delta.columns),
                                 found.delta.weights), self._seeds)  # fmt: skip
        old = np.full(batch.num_rows, -1, np.int64)
        old[fixed_values(live.columns[0])] = fixed_values(live.columns[1])
        return old

    def _append(self, batches: Sequence[ChangeBatch]) -> Delta:
        if not batches:
            return Delta.empty([arrow_type(column.type) for column in self._table.columns])
        deltas = []
        for batch in batches:
            if batch.operations is None:
                deltas.append(Delta.inserts(batch.columns, batch.num_rows))
                continue
            batch_weights = batch.operations.astype(np.int64)
            if (batch_weights == Operation.UPDATE).any():
                raise self._refusal("has no primary key: 'update' changes are not supported")
            # Operators downstream keep no state for deletions.
            if self._table.append_only and (batch_weights == Operation.DELETE).any():
                raise self._refusal("is append-only: deletions are not supported")
            deltas.append(Delta(batch.columns, batch_weights))
        return concat_deltas(deltas)

    def _refusal(self, reason: str) -> MillstreamError:
        name = self._table.name
        return MillstreamError("InvalidInput", f"table '{name}' {reason}", {"table": name})

    def _upsert(self, batches: Sequence[ChangeBatch]) -> Delta:
        rows = concat_deltas([Delta(batch.columns, _operations(batch).astype(np.int64)) for batch in batches])
        operations = rows.weights
        keys = rows.columns.select(self._key)
        touched = group_rows(keys, rows.num_rows, self._seeds)
        # The last INSERT or DELETE of each key, -1 for none: in an assignment with repeated indices the last one wins.
        base = np.full(touched.count, -1, np.int64)
        whole = np.flatnonzero(operations != Operation.UPDATE)
        base[touched.groups[whole]] = whole
        old, old_row = self._old_rows(take_columns(keys, touched.first), touched.count)
        if len(whole) == rows.num_rows:
            new = rows.take(base[operations[base] == Operation.INSERT]).columns
        else:
            new = self._patched(batches, rows, touched.groups, base, old, old_row)
        count = len(new[0])
        inserted = Delta(new, np.ones(count, np.int64))
        return concat_deltas([old.negate(), inserted]) if old.num_rows else inserted

    def _old_rows(self, keys: Sequence[pa.Array], count: int) -> tuple[Delta, Integers]:
        """The present rows of the keys, and the position of each key's row among them, -1 if there is none."""
        assert self._trace is not None
        found = self._trace.probe(keys, count)
        rows, owner = found.delta, found.probe_index
        if len(owner) and (rows.weights.min() < 1 or (np.diff(owner) == 0).any()):
            tagged = consolidate(Delta((pa.array(owner), *rows.columns), rows.weights), self._seeds)
            owner = fixed_values(tagged.columns[0])
            rows = Delta(tagged.columns[1:], tagged.weights)
        position = np.full(count, -1, np.int64)
        position[owner] = np.arange(len(owner))
        return rows, position

    def _patched(
        self,
        batches: Sequence[ChangeBatch],
        rows: Delta,
        groups: Integers,
        base: Integers,
        old: Delta,
        old_row: Integers,
    ) -> Columns:
        """The rows after the step of the keys that then have one."""
        operations = rows.weights
        total = rows.num_rows
        # Sources are rows of the batches, followed by old rows.
        source = np.where(base >= 0, base, np.where(old_row >= 0, total + old_row, -1))
        deleted = (base >= 0) & (operations[base] == Operation.DELETE)
        kept = np.flatnonzero((source >= 0) & ~deleted)
        updates = np.flatnonzero((operations == Operation.UPDATE) & (np.arange(total) > base[groups]))
        columns = []
        for c, column in enumerate(rows.columns):
            given = updates if c in self._key else updates[_present(batches, c)[updates]]
            chosen = source.copy()
            chosen[groups[given]] = given
            pool = pa.concat_arrays([column, old.columns[c]])
            columns.append(pool.take(pa.array(chosen[kept])))
        return Columns(columns)


def _chosen(batch: ChangeBatch, rows: Integers) -> ChangeBatch:
    """Some records of a batch, in order."""
    positions = pa.array(rows)
    return ChangeBatch(
        tuple(column.take(positions) for column in batch.columns),
        len(rows),
        None if batch.operations is None else batch.operations[rows],
        None if batch.present is None else tuple(None if mask is None else mask[rows] for mask in batch.present),
    )


def _operations(batch: ChangeBatch) -> npt.NDArray[np.int8]:
    return np.ones(batch.num_rows, np.int8) if batch.operations is None else batch.operations


def _present(batches: Sequence[ChangeBatch], column: int) -> Mask:
    """Which rows give a value for the column."""
    parts = []
    for batch in batches:
        mask = None if batch.present is None else batch.present[column]
        parts.append(np.ones(batch.num_rows, np.bool_) if mask is None else mask)
    return np.concatenate(parts)
