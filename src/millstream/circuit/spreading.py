"""How the nodes of a circuit are called when there are several workers.

Sharded operators (sharded.py) exchange and spread their inputs themselves. Linear operators, which map each row on its
own, are given parts as parts, each in a thread where it pays; a delta of many rows that goes on to a sharded operator
is cut into slices for them. All others get whole deltas, in the thread of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from millstream.circuit.graph import Node
from millstream.circuit.parts import Change, Parts, in_parts, sliced, whole
from millstream.circuit.sharded import ShardedOperator
from millstream.circuit.workers import Workers
from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.base import Operator, merge_parts
from millstream.operators.union import UnionOperator
from millstream.zset.delta import Delta


class Spreading:
    """Calls the nodes of one graph."""

    def __init__(self, nodes: Sequence[Node], workers: Workers) -> None:
        self._workers = workers
        # For each node the sharded operators that it feeds, itself or through linear ones.
        self._fed: list[list[ShardedOperator]] = [[] for _ in nodes]
        for number in reversed(range(len(nodes))):
            operator = nodes[number].operator
            if isinstance(operator, ShardedOperator):
                reached = [operator]
            elif operator is not None and (operator.linear or isinstance(operator, UnionOperator)):
                reached = self._fed[number]
            else:
                continue
            for source in nodes[number].inputs:
                self._fed[source] += reached

    def step(
        self, number: int, node: Node, inputs: Sequence[Change | None], context: EvaluationContext
    ) -> Change | None:
        """The change of a node's output."""
        operator = node.operator
        assert operator is not None
        if isinstance(operator, ShardedOperator):
            return operator.change(inputs, context)
        if operator.linear and inputs[0] is not None:
            return self._linear(number, node, operator, inputs[0], context)
        if isinstance(operator, UnionOperator) and self._feeds(number):
            return self._union(inputs)
        return operator.step([whole(change) for change in inputs], context)

    def _feeds(self, number: int) -> bool:
        """Whether the node feeds an operator that is split."""
        return any(operator.replicas > 1 for operator in self._fed[number])

    def _linear(
        self, number: int, node: Node, operator: Operator, change: Change, context: EvaluationContext
    ) -> Change | None:
        many = change.num_rows >= self._workers.thread_rows
        placed = False
        parts: Sequence[Delta | None]
        if isinstance(change, Parts) and (many or self._feeds(number)):
            parts, placed = change.parts, change.placed and node.distribution is not None
        elif isinstance(change, Delta) and many and self._feeds(number):
            parts = sliced(change, self._workers.count)
        else:
            return operator.step([whole(change)], context)
        tasks = [partial(_step, operator, part, context) for part in parts]
        try:
            return in_parts(self._workers.run(tasks, change.num_rows), placed)
        except EvaluationError:
            # A row that fails may cancel with one of another part.
            return operator.step([whole(change)], context)

    def _union(self, inputs: Sequence[Change | None]) -> Change | None:
        """The sum, part by part."""
        merged: list[list[Delta]] = [[] for _ in range(self._workers.count)]
        for change in inputs:
            if isinstance(change, Parts):
                parts: Sequence[Delta | None] = change.parts
            else:
                parts = [] if change is None else sliced(change, self._workers.count)
            for place, part in enumerate(parts):
                if part is not None:
                    merged[place].append(part)
        return in_parts([merge_parts(parts) for parts in merged], False)


def _step(operator: Operator, part: Delta | None, context: EvaluationContext) -> Delta | None:
    return None if part is None else operator.step([part], context)
