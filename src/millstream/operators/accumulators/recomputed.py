"""ARRAY_AGG, MODE and BIT_*: aggregates that are computed again for each touched group.

State is the trace of the rows that take part, keyed by group. A step reads the touched groups twice, before and after
it adds its rows: cost O(rows of the touched groups), whatever the change.

ARRAY_AGG has the order of its sort keys, then that of the input rows sorted by all columns, NULL first. Where several
rows may stand for one value (DISTINCT, WITHIN DISTINCT), only the columns that these have in common take part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.operators.accumulators.base import Accumulator, Forgotten, GroupBatch
from millstream.operators.accumulators.binary_bits import binary_bits
from millstream.operators.arrays import Integers, Mask, fixed_array, fixed_values
from millstream.operators.ordering import NO_VARIANTS, Variants, key_words, row_codes, sort_codes
from millstream.operators.slots import Moved
from millstream.plan.nodes import AggregateCall, SortKey
from millstream.types import SqlType, arrow_type
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta, Weights
from millstream.zset.hashing import Seeds
from millstream.zset.trace import Trace

RECOMPUTED = frozenset(("ARRAY_AGG", "MODE", "BIT_AND", "BIT_OR", "BIT_XOR"))

Compute = Callable[[Integers, Sequence[pa.Array], Weights, int], pa.Array]
"""(group of each row, columns, positive weights, number of groups) -> one result per group. The first column is the
argument; rows are distinct."""


@dataclass(frozen=True, slots=True)
class RecomputedUpdate:
    """Results of all touched groups before and after."""

    before: pa.Array
    after: pa.Array

    @property
    def changed(self) -> Mask:
        codes = sort_codes(pa.concat_arrays([self.before, self.after]))
        return np.asarray(codes[: len(self.before)] != codes[len(self.before) :])

    def output(self, before: Integers, after: Integers) -> pa.Array:
        return pa.concat_arrays([self.before.take(pa.array(before)), self.after.take(pa.array(after))])


class Recomputed(Accumulator):
    """See the module."""

    def __init__(
        self,
        call: AggregateCall,
        types: Sequence[pa.DataType],
        group: Sequence[int],
        seeds: Seeds,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        (self._argument,) = call.arguments
        self._filter = call.filter
        self._required = () if call.function == "ARRAY_AGG" else call.arguments
        # The argument first, then what else decides the order of ARRAY_AGG.
        ties: tuple[int, ...] = ()
        if call.function == "ARRAY_AGG" and not call.distinct:
            ties = (*(key.column for key in call.order), *call.within) if call.within else tuple(range(len(types)))
        self._columns = (self._argument, *ties)
        self._compute = _compute(call, self._columns, types[self._argument], variants)
        self._distinct = call.distinct
        key_types = [types[g] for g in group]
        self._width = len(key_types)
        self._trace = Trace(key_types + [types[c] for c in self._columns], range(self._width), seeds)
        self._seeds = seeds

    def update(self, batch: GroupBatch) -> RecomputedUpdate:
        before = self._results(batch)
        weights = batch.masked_weights(self._filter, self._required)
        rows = np.flatnonzero(weights)
        if len(rows):
            groups, positions = pa.array(batch.groups[rows]), pa.array(rows)
            keys = tuple(key.take(groups) for key in batch.keys)
            values = tuple(batch.columns[c].take(positions) for c in self._columns)
            self._trace.insert(Delta(keys + values, weights[rows]))
        return RecomputedUpdate(before, self._results(batch))

    def _results(self, batch: GroupBatch) -> pa.Array:
        wanted = range(self._width, self._width + len(self._columns))
        found = self._trace.probe(batch.keys, batch.num_groups, columns=wanted)
        tagged = consolidate(
            Delta((pa.array(found.probe_index), *found.delta.columns), found.delta.weights), self._seeds
        )
        tagged = tagged.filter(tagged.weights > 0)
        weights = np.ones(tagged.num_rows, np.int64) if self._distinct else tagged.weights
        return self._compute(fixed_values(tagged.columns[0]), tagged.columns[1:], weights, batch.num_groups)

    def vacant(self, slots: Integers) -> Mask:
        return np.ones(len(slots), np.bool_)

    def clear(self, slots: Integers) -> None:
        """Nothing to do: the trace knows groups by their keys."""

    def forget(self, gone: Forgotten) -> None:
        self._trace.retain(lambda rows: gone.others(rows.columns[: self._width]))

    def absorb(self, other: Self, moved: Moved) -> None:
        self._trace.absorb(other._trace)

    @property
    def num_rows(self) -> int:
        return self._trace.num_rows

    @property
    def nbytes(self) -> int:
        return self._trace.nbytes


def _compute(call: AggregateCall, columns: Sequence[int], argument: pa.DataType, variants: Variants) -> Compute:
    variants = {i: variants[c] for i, c in enumerate(columns) if c in variants}
    if call.function == "ARRAY_AGG":
        keys = tuple(replace(key, column=columns.index(key.column)) for key in call.order)
        return partial(_array, keys=keys, result=arrow_type(call.type), variants=variants)
    if call.function == "MODE":
        return partial(_mode, variant=variants.get(0))
    operations = {"BIT_AND": np.bitwise_and, "BIT_OR": np.bitwise_or, "BIT_XOR": np.bitwise_xor}
    operation = operations[call.function]
    if pa.types.is_large_binary(argument):
        return partial(binary_bits, call.function, operation=operation)
    if not pa.types.is_integer(argument):
        raise MillstreamError(
            "UnsupportedAggregate",
            f"Aggregate function {call.function} is not supported for arguments of Arrow type {argument}",
            {"function": call.function},
        )
    return partial(_bits, operation=operation)


def _array(
    groups: Integers,
    columns: Sequence[pa.Array],
    weights: Weights,
    count: int,
    keys: Sequence[SortKey],
    result: pa.DataType,
    variants: Variants,
) -> pa.Array:
    words = key_words(columns, keys, variants)
    if len(columns) > 1:
        ties = row_codes(columns[1:], len(groups), {i - 1: t for i, t in variants.items() if i})
    else:
        ties = row_codes(columns, len(groups), variants)
    order = np.lexsort((ties, *reversed(words), groups))
    positions = np.repeat(order, weights[order])
    lengths = np.zeros(count, np.int64)
    np.add.at(lengths, groups, weights)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, columns[0].take(pa.array(positions)), type=result)


def _mode(
    groups: Integers, columns: Sequence[pa.Array], weights: Weights, count: int, variant: SqlType | None
) -> pa.Array:
    """The most frequent value; of several, the smallest."""
    order = np.lexsort((sort_codes(columns[0], variant), -weights, groups))
    best = np.full(count, -1, np.int64)
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    best[groups[order[first]]] = order[first]
    return columns[0].take(pa.array(best, mask=best < 0))


def _bits(groups: Integers, columns: Sequence[pa.Array], weights: Weights, count: int, operation: np.ufunc) -> pa.Array:
    values = fixed_values(columns[0])
    if operation is np.bitwise_xor:
        values = np.where(weights % 2 == 1, values, values.dtype.type(0))
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    results = np.zeros(count, values.dtype)
    valid = np.zeros(count, np.bool_)
    if len(first):
        present = groups[order[first]]
        results[present] = operation.reduceat(values[order], first)
        valid[present] = True
    return fixed_array(columns[0].type, results, valid)
