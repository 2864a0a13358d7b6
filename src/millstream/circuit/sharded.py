"""Sharded operators: a replica of an operator for each worker, with its shard of the state.

An operator begins with one replica. The first change of many rows and different keys (workers.py) splits it. Its state
is not taken apart, but built anew from what came before, which the operator remembers until there is too much of it. So
one to which only small changes come stays whole, and its steps cost what they cost with one worker; one that got many
rows in small changes stays whole for good.

Of a small change only those replicas are called that get rows, one after the other in the thread of the step. Still it
costs up to as many times what it would cost a whole operator as there are replicas. So after as many small changes, one
after the other, as make this comparable with what it costs to move the state, the first replica absorbs the others, and
the operator stays whole.

What replicas give does not depend on their number, for rows of one key meet in one replica. Where several rows fail,
the error is that of the first replica that has one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from millstream.circuit.distribution import Sharding
from millstream.circuit.parts import Change, Parts, in_parts, sliced, whole
from millstream.circuit.workers import Workers
from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.arrays import Integers
from millstream.operators.base import Inputs, KeyedOperator, Operator, concat_deltas
from millstream.operators.floors import Floors
from millstream.zset.delta import Delta
from millstream.zset.hashing import Seeds
from millstream.zset.sharding import Dealt, deal_out, gather_shard

LEAST_REMEMBERED = 64
"""A change counts as at least so many remembered rows, for what it takes besides."""

Piece = Callable[[int], Delta | None]
"""An input, exchanged: the rows of each shard."""


class ShardedOperator(Operator):
    """Replicas of the operator that `make` makes, which depends on nothing but its inputs."""

    def __init__(self, make: Callable[[], KeyedOperator], sharding: Sharding, workers: Workers, seeds: Seeds) -> None:
        self._make = make
        self._sharding = sharding
        self._workers = workers
        self._seeds = seeds
        self._replicas = [make()]
        self.kind = self._replicas[0].kind
        # For each input what came before the split; None when there is too much, or no need any more.
        self._before: list[list[Delta]] | None = [[] for _ in sharding.columns]
        self._remembered = 0
        # Small changes since the last large one, and after how many the replicas become one.
        self._small = self._patience = 0

    @property
    def replicas(self) -> int:
        """Their number: one, or that of the workers."""
        return len(self._replicas)

    def step(self, inputs: Inputs, context: EvaluationContext) -> Delta | None:
        return whole(self.change(inputs, context))

    def change(self, inputs: Sequence[Change | None], context: EvaluationContext) -> Change | None:
        """The change of the output, in parts if the operator is split."""
        if self._before is not None:
            if self._worth_splitting(inputs):
                self._split(self._before, context)
                self._before = None
            else:
                self._remember(self._before, inputs)
        elif len(self._replicas) > 1 and self._worth_uniting(inputs):
            self._unite()
        if len(self._replicas) == 1:
            return self._replicas[0].step([whole(change) for change in inputs], context)
        return self._spread(inputs, context)

    def _worth_splitting(self, inputs: Sequence[Change | None]) -> bool:
        """Whether a change has many rows, and more than one worker something to do with it."""
        rows = sum(change.num_rows for change in inputs if change is not None)
        if rows < self._workers.split_rows:
            return False
        shares = np.zeros(self._workers.count, np.int64)
        for number, change in enumerate(inputs):
            if change is not None:
                shares += _counts(self._deal(number, change))
        return int(shares.max()) <= self._workers.largest_share * rows

    def _remember(self, before: list[list[Delta]], inputs: Sequence[Change | None]) -> None:
        for seen, change in zip(before, inputs, strict=True):
            delta = whole(change)
            if delta is not None:
                seen.append(delta)
                self._remembered += max(delta.num_rows, LEAST_REMEMBERED)
        if self._remembered > self._workers.remembered_rows:
            self._before = None

    def _split(self, before: Sequence[Sequence[Delta]], context: EvaluationContext) -> None:
        """Makes the replicas, with their shards of the state. O(rows remembered)."""
        self._replicas = [self._make() for _ in range(self._workers.count)]
        if any(before):
            self._spread([concat_deltas(seen) if seen else None for seen in before], context)

    def _worth_uniting(self, inputs: Sequence[Change | None]) -> bool:
        """Whether there have been many small changes without a large one between them."""
        if sum(change.num_rows for change in inputs if change is not None) >= self._workers.split_rows:
            self._small = 0
            return False
        if not self._small:
            self._patience = max(self._workers.small_changes, self.state_rows // self._workers.united_rows)
        self._small += 1
        return self._small > self._patience

    def _unite(self) -> None:
        """Makes one replica of all. O(state)."""
        first, *others = self._replicas
        for other in others:
            first.absorb(other)
        self._replicas = [first]

    def _spread(self, inputs: Sequence[Change | None], context: EvaluationContext) -> Parts | None:
        rows = sum(change.num_rows for change in inputs if change is not None)
        pieces = [None if change is None else self._exchange(i, change) for i, change in enumerate(inputs)]

        def work(shard: int) -> Delta | None:
            mine = [None if piece is None else piece(shard) for piece in pieces]
            if all(delta is None for delta in mine):
                return None
            return self._replicas[shard].step(mine, context)

        results = self._workers.run([partial(work, shard) for shard in range(len(self._replicas))], rows)
        return in_parts(results, self._sharding.output is not None)

    def _exchange(self, number: int, change: Change) -> Piece:
        """The rows of input `number` by shard. Only says where they are; a shard is gathered when it is asked for."""
        if isinstance(change, Parts) and change.placed and self._sharding.aligned[number]:
            parts = change.parts
            return lambda shard: parts[shard]
        dealt = self._deal(number, change)
        counts = _counts(dealt)
        if change.num_rows in counts:
            # All rows are of one shard: nothing is moved.
            return lambda shard: whole(change) if counts[shard] else None
        return lambda shard: gather_shard(dealt, shard)

    def _deal(self, number: int, change: Change) -> list[Dealt]:
        count = self._workers.count
        if isinstance(change, Parts):
            sources = change.present
        else:
            sources = sliced(change, count) if change.num_rows >= self._workers.thread_rows else [change]
        columns = self._sharding.columns[number]
        tasks: list[Callable[[], Dealt]] = [
            partial(deal_out, source, columns, count, self._seeds) for source in sources
        ]
        return self._workers.run(tasks, change.num_rows)

    def discard(self, floors: Floors) -> None:
        for replica in self._replicas:
            replica.discard(floors)

    @property
    def state_rows(self) -> int:
        return sum(replica.state_rows for replica in self._replicas)

    @property
    def state_bytes(self) -> int:
        return sum(replica.state_bytes for replica in self._replicas)


def _counts(sources: Sequence[Dealt]) -> Integers:
    """The number of rows of each shard."""
    total: Integers = np.sum([np.diff(source.bounds) for source in sources], axis=0)
    return total
